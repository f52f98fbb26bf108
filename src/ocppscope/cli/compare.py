"""`ocppscope compare`: one session seen from two places, or two sessions held against each other."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.parameters import Reading, reading

DIFFERENT = 1
"""The exit code of `--fail-on-difference` where there is one."""


@click.command("compare")
@reading
@click.option(
    "--as", "mode", type=click.Choice(("vantage", "sessions")),
    help="vantage: one session seen from two places; sessions: a good and a bad one. Usually told by the captures.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "html")), default="text", show_default=True,
    help="text for people, html to hand on, json for programs.",
)  # fmt: skip
@click.option("--view", is_flag=True, help="Open both ladders side by side on the screen.")
@click.option("--full", is_flag=True, help="Show all differences and all rows of the tables.")
@click.option("--fail-on-difference", is_flag=True, help=f"Exit with {DIFFERENT} if there is a difference.")
@click.option("--station", default="", metavar="ID", help="sessions: the station of A, and of B unless named.")
@click.option("--station-b", default="", metavar="ID", help="sessions: the station of B.")
@click.option("--show-secrets", is_flag=True, help="With html: show tags, serial numbers and addresses, too.")
def command(
    read: Reading,
    mode: str | None,
    form: str,
    view: bool,
    full: bool,
    fail_on_difference: bool,
    station: str,
    station_b: str,
    show_secrets: bool,
) -> int:
    """Hold two captures, A and B, against each other.

    Of one session (captured at the station and at the CSMS) it tells what one side sent and the other never got,
    what changed on the way, what the way between cost, and who cut. Of two sessions (a good and a bad one) it tells
    what the peers did differently, ids, tokens and times aside.

    \b
      ocppscope compare station.pcapng csms.pcapng
      ocppscope compare good.pcap bad.pcap --format html > difference.html
    """
    from ocppscope.cli.comparing import CompareRequest, run_compare
    from ocppscope.errors import UsageError

    named = read.inputs
    if len(named) != 2:
        raise UsageError(
            f"`compare` holds two captures against each other, and {len(named)} was named."
            if len(named) == 1
            else f"`compare` holds two captures against each other, and {len(named)} were named.",
            "Name two: ocppscope compare A B.",
        )
    if view and form != "text":
        raise UsageError("--view shows the comparison on the screen, which has no other format.", "Leave one out.")
    request = CompareRequest(
        named[0], named[1], read.options(), form, read.color, quiet=read.quiet, full=full,
        mode=mode or "", stations=(station, station_b or station), show_secrets=show_secrets, view=view,
    )  # fmt: skip
    different = run_compare(request)
    return DIFFERENT if fail_on_difference and different else 0
