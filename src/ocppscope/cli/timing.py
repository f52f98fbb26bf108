"""`ocppscope timing`: how long things took, how regular they were, how much there was."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.parameters import Reading, reading


@click.command("timing")
@reading
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "csv")), default="text", show_default=True,
    help="text for people, json and csv for programs.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(("action", "station", "hour", "model")), default="action", show_default=True,
    help="What to tell figures apart by, besides what they are about.",
)  # fmt: skip
@click.option("--station", default="", metavar="ID", help="The figures of one station only.")
@click.option("--all", "full", is_flag=True, help="All rows, and the figures that have none.")
@click.option(
    "--vantage", type=click.Choice(("station", "middle", "csms", "host")),
    help="Where the capture was taken, if the TCP handshakes do not tell.",
)  # fmt: skip
@click.option("--markdown", is_flag=True, help="The definitions of all figures, for documents; reads no capture.")
def command(
    read: Reading,
    form: str,
    by: str,
    station: str,
    full: bool,
    vantage: str | None,
    markdown: bool,
) -> None:
    """Measure captures: latency of each action, boots and reconnects, heartbeats and pings, transactions, meter
    values, clocks, commands, bytes.

    What is remarkable is marked; `ocppscope timing --markdown` defines each figure and its limits.
    """
    if markdown:
        from ocppscope.render.timing.document import document

        click.echo(document(), nl=False)
        return
    from ocppscope.cli.measuring import TimingRequest, run_timing

    run_timing(
        TimingRequest(
            read.inputs, read.options(), form, read.color, quiet=read.quiet, by=by,
            station=station, full=full, vantage=vantage or "",
        )
    )  # fmt: skip
