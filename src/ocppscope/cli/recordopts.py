"""Options of the commands that record and show at the same time: how files are rotated, and what is shown.

Nothing is imported here that decodes.
"""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocppscope.cli.parameters import ClockType, DecodeAs, Seconds, decoding, filtering, keyed, set_debug

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.cli.run import LogRequest

    _Parameter = click.ParamType[Any]
else:
    _Parameter = click.ParamType

F = TypeVar("F", bound="Callable[..., Any]")

MIN_ROTATE_BYTES = 1 << 16
MIN_ROTATE_SECONDS = 1.0


class Bytes(_Parameter):
    """`100MB`, `64MiB` → bytes."""

    name = "SIZE"

    def __init__(self, least: int = MIN_ROTATE_BYTES) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads a size."""
        from ocppscope.query.literals import size

        read = value if isinstance(value, int) else size(value)
        if read is None or read < self._least:
            least = f"{self._least >> 10}KiB" if self._least >= 1024 else f"{self._least} B"
            self.fail(f"{value!r} is no size of at least {least}, like 100kB or 64MiB.", param, ctx)
        return read


class Span(_Parameter):
    """`90s`, `1h` → seconds."""

    name = "DURATION"

    def __init__(self, least: float = MIN_ROTATE_SECONDS) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads a duration."""
        from ocppscope.query.literals import duration

        read = value * 10**9 if isinstance(value, float) else duration(value)
        if read is None or read < self._least * 10**9:
            self.fail(f"{value!r} is no time of at least {self._least:g}s, like 90s, 15m or 1h.", param, ctx)
        return float(read / 10**9)


def rotating(function: F) -> F:
    """The options of files that follow each other."""
    return _with(
        function,
        click.option("--rotate-size", type=Bytes(), help="Begin another file at this size: 100MB."),
        click.option("--rotate-time", type=Span(), help="Begin another file after this time: 1h."),
        click.option("--keep", type=click.IntRange(1), metavar="N", help="Keep only the latest N files."),
    )


def showing(function: F) -> F:
    """The options of what is shown, on the screens or as a log; see `log_request`."""
    return _with(
        function,
        keyed,
        filtering,
        click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="Stop after N messages."),
        click.option("--log", "as_log", is_flag=True, help="Print the log on a terminal, too."),
        click.option(
            "--format", "form", type=click.Choice(("text", "jsonl", "csv")), default="text", show_default=True,
            help="Of the log: text for people, the others for programs.",
        ),
        click.option("--full", is_flag=True, help="In the log: show the JSON of each message, indented."),
        click.option(
            "-t", "--time", "clock", type=ClockType(), default="a", show_default=True,
            help="Times as with tshark: a, ad, r, d, dd, e; .N for N decimals. Always UTC.",
        ),
        click.option("--events", is_flag=True, help="With jsonl: also connections, close frames, pings, lost bytes."),
        click.option("--pings", is_flag=True, help="In the log: show ping and pong frames."),
        click.option("--theme", type=click.Choice(("dark", "light", "mono")), help="The look of the screens."),
        click.option(
            "-d", "--decode-as", multiple=True, type=DecodeAs(),
            help="The OCPP version of connections to a port: tcp.port==9000,ocpp1.6. May be repeated.",
        ),
        click.option(
            "--timeout", type=Seconds(), default="30", show_default=True,
            help="After how long an answer is late, and a CALL without one timed out.",
        ),
        click.option("--all-websockets", is_flag=True, help="Show WebSockets that carry no OCPP, too."),
        click.option("--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colours."),
        click.option("--debug", is_flag=True, hidden=True, expose_value=False, is_eager=True, callback=set_debug),
        click.option("-q", "--quiet", is_flag=True, help="No notices on stderr."),
    )  # fmt: skip


SHOWN = (
    "wanted", "count", "as_log", "form", "full", "clock", "events", "pings", "theme", "decode_as", "timeout",
    "all_websockets", "color", "quiet",
)  # fmt: skip
"""What `showing` adds to a command's arguments."""


def log_request(shown: dict[str, Any]) -> LogRequest:
    """The log that the options of `showing` ask for."""
    from ocppscope.cli.run import LogRequest

    return LogRequest(
        inputs=[],
        options=decoding(shown["timeout"], shown["all_websockets"], shown["decode_as"], is_live=True),
        form=shown["form"],
        color=shown["color"],
        clock=shown["clock"],
        quiet=shown["quiet"],
        full=shown["full"],
        wanted=shown["wanted"],
        limit=shown["count"],
        events=shown["events"],
        pings=shown["pings"],
    )


def on_screen(shown: dict[str, Any]) -> bool:
    """Whether the screens are meant, rather than the log."""
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and not shown["as_log"] and shown["count"] is None and shown["form"] == "text"


def _with(function: F, *options: Callable[[Any], Any]) -> F:
    for option in reversed(options):
        function = option(function)
    return function
