"""`ocppscope stations`: who connected, how it was negotiated, how it ended."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.parameters import Reading, filtering, reading


@click.command("stations")
@reading
@filtering
@click.option("--handshake", is_flag=True, help="Show how each connection was negotiated, header by header.")
@click.option(
    "--format", "form", type=click.Choice(("text", "jsonl")), default="text", show_default=True,
    help="What to print: text for people, jsonl for programs.",
)  # fmt: skip
def command(
    read: Reading,
    wanted: str,
    handshake: bool,
    form: str,
) -> None:
    """List the stations of captures, and below each its connections.

    With a filter: those of which a message passes, and how many do.

    ~ before a version means that it was guessed: the capture does not hold what was agreed.
    """
    from ocppscope.cli.run import StationsRequest, run_stations

    run_stations(
        StationsRequest(
            inputs=read.inputs,
            options=read.options(),
            form=form,
            color=read.color,
            quiet=read.quiet,
            handshake=handshake,
            wanted=wanted,
        )
    )
