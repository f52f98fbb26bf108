"""`ocppscope live`: what goes over an interface now, on the screens or as a log."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ocppscope.cli.recordopts import log_request, on_screen, rotating, showing

if TYPE_CHECKING:
    from ocppscope.capture.live import Interface
    from ocppscope.capture.sniffers import Sniffer

    _Parameter = click.ParamType[Any]
else:
    _Parameter = click.ParamType

MIN_SNAPLEN = 96
"""Less would cut off the headers."""


def _list(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ocppscope.capture.live import interfaces

        for line in listed(interfaces()):
            click.echo(line)
        ctx.exit()


def listed(found: list[Interface]) -> list[str]:
    """The interfaces, a line each."""
    from ocppscope.capture.live import ANY, Interface

    rows = [*found, Interface(ANY, True, ("all interfaces",))]
    width = max(len(one.name) for one in rows)
    return [
        f"{one.name:{width}}  {'up  ' if one.is_up else 'down'}  {'  '.join(one.addresses)}".rstrip() for one in rows
    ]


@click.command("live")
@click.option("-i", "--interface", metavar="NAME", default="", help="What to sniff on; any for all interfaces.")
@click.option("-f", "--bpf", metavar="FILTER", default="", help="Take only packets that pass: 'tcp port 9000'.")
@click.option("-w", "--write", "out", metavar="FILE", default="", help="Keep what is captured in this pcapng file.")
@click.option(
    "-D", "--list-interfaces", is_flag=True, is_eager=True, expose_value=False, callback=_list,
    help="List the interfaces, and leave.",
)  # fmt: skip
@click.option(
    "--sniffer", type=click.Choice(("auto", "scapy", "dumpcap", "tcpdump")), default="auto", show_default=True,
    help="What receives the packets.",
)  # fmt: skip
@rotating
@click.option(
    "-s", "--snaplen", type=click.IntRange(MIN_SNAPLEN, 1 << 18), default=1 << 18, metavar="BYTES",
    help="Cut packets after this; messages in what is cut off are lost.",
)  # fmt: skip
@click.option("-p", "--no-promiscuous", is_flag=True, help="Only packets that the interface takes anyway.")
@showing
def command(
    interface: str,
    bpf: str,
    out: str,
    sniffer: str,
    rotate_size: int | None,
    rotate_time: float | None,
    keep: int | None,
    snaplen: int,
    no_promiscuous: bool,
    **shown: Any,
) -> None:
    """Show the OCPP messages that go over an interface now: on the screens, or as a log in a pipe.

    \b
      ocppscope live -i eth0 -f 'tcp port 9000' -w today.pcapng
      ocppscope live -i any -Y 'kind == CALLERROR' | tee errors.txt
    """
    from ocppscope.capture.live_request import LiveRequest
    from ocppscope.capture.sniffers import Sniffer
    from ocppscope.cli.following import Follow, run_follow
    from ocppscope.errors import UsageError

    if out == "-":
        raise UsageError("-w wants the name of a file.", "`dumpcap -w -` writes packets to a pipe.")
    if keep and not (rotate_size or rotate_time) and out:
        raise UsageError("--keep is for several files.", "Add --rotate-size or --rotate-time.")
    request = LiveRequest(
        interface=interface,
        out=out,
        bpf=bpf,
        snaplen=snaplen,
        promiscuous=not no_promiscuous,
        rotate_bytes=rotate_size or 0,
        rotate_seconds=rotate_time or 0.0,
        keep=keep or 0,
    )
    recorder = Sniffer(request, sniffer=sniffer)
    try:
        follow = Follow(recorder, log_request(shown), theme=shown["theme"], is_kept=bool(out))
        run_follow(follow, on_screen=on_screen(shown))
    finally:
        recorder.stop()
        if not shown["quiet"] and (ending := epilogue(recorder)):
            sys.stderr.write(ending)
        recorder.discard()


def epilogue(recorder: Sniffer) -> str:
    """How it went, and where it is, where it is anywhere."""
    files = recorder.files()
    if not files:
        return ""
    kept = [one for one in files if os.path.exists(one)] if not recorder.is_temporary else []
    named = kept[0] if len(kept) == 1 else f"{len(kept)} files, the latest {kept[-1]}" if kept else ""
    return f"{recorder.status()} on {recorder.title}" + (f"; kept in {named}" if named else "") + ".\n"
