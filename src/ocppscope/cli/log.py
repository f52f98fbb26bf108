"""`ocppscope log`: the annotated message log."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ocppscope.cli.parameters import ClockType, Reading, filtering, reading

if TYPE_CHECKING:
    from ocppscope.render.times import ClockFormat


@click.command("log")
@reading
@click.option(
    "--format", "form", type=click.Choice(("text", "jsonl", "csv")), default="text", show_default=True,
    help="What to print: text for people, the others for programs.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="Show the JSON of each message, indented, below its line.")
@filtering
@click.option(
    "-t", "--time", "clock", type=ClockType(), default="a", show_default=True,
    help="Times as with tshark: a, ad, r, d, dd, e; .N for N decimals. Always UTC.",
)  # fmt: skip
@click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="Stop after N messages.")
@click.option("--events", is_flag=True, help="With jsonl: also connections, close frames, pings, lost bytes.")
@click.option("--findings", is_flag=True, help="Show below each message what `diagnose` found in it; reads twice.")
@click.option("--pings", is_flag=True, help="Show ping and pong frames.")
@click.option("--legs", is_flag=True, help="Show sessions again that were captured on two legs of their way.")
@click.option("--follow", is_flag=True, help="Wait for more at the end of the file, until Ctrl-C.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
    help="Decode in N processes; for large files.",
)  # fmt: skip
def command(
    read: Reading,
    form: str,
    full: bool,
    wanted: str,
    clock: ClockFormat,
    count: int | None,
    events: bool,
    findings: bool,
    pings: bool,
    legs: bool,
    follow: bool,
    jobs: int,
) -> None:
    """Print the OCPP messages of captures, a line each, with what was wrong with them.

    → is from the station to the CSMS, ← from the CSMS to the station. A line has the time, the time since the
    line before, the connection's number, the station, kind, action, id, latency of an answer, size, and what
    the message says. Problems stand below it.
    """
    from ocppscope.cli.run import LogRequest, run_log

    run_log(
        LogRequest(
            inputs=read.inputs,
            options=read.options(is_live=follow),
            form=form,
            color=read.color,
            clock=clock,
            quiet=read.quiet,
            full=full,
            wanted=wanted,
            limit=count,
            events=events,
            findings=findings,
            pings=pings,
            legs=legs,
            follow=follow,
            jobs=jobs,
        )
    )
