"""Wires two sources, two engines and the comparison together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.settings import settings_of
from ocppscope.capture.pcapfile import STDIN
from ocppscope.cli.output import Writer, palette_of
from ocppscope.cli.run import terminal_width
from ocppscope.cli.whole import read_whole
from ocppscope.compare import compare
from ocppscope.compare.recording import Recording
from ocppscope.compare.sharing import redacted
from ocppscope.errors import UsageError
from ocppscope.query.config import config_path, config_table
from ocppscope.redaction.policy import Policy, new_key
from ocppscope.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.compare.report import Comparison
    from ocppscope.model import Event
    from ocppscope.options import Options


class CompareRequest(NamedTuple):
    """What `compare` was asked for."""

    a: str
    b: str
    options: Options
    form: str
    color: str
    quiet: bool = False
    full: bool = False
    mode: str = ""
    stations: tuple[str, str] = ("", "")
    show_secrets: bool = False
    view: bool = False


def run_compare(request: CompareRequest) -> bool:
    """Prints the comparison, or shows it; gives whether there is a difference. Raises OcppscopeError."""
    _can_be_done(request)
    redactor = Redactor(Policy(new_key())) if request.form == "html" and not request.show_secrets else None
    a = _read(request.a, request, redactor)
    try:
        b = _read(request.b, request, redactor)
    except BaseException:
        a.close()
        raise
    try:
        found = compare(a, b, request.mode, request.stations)
        if request.view:
            from ocppscope.tui.comparing import show  # noqa: PLC0415 - only where a screen is wanted

            show(found, a.store, b.store)
        else:
            _write(found if redactor is None else redacted(found, redactor), request, redactor)
    finally:
        a.close()
        b.close()
    return bool(found.differences)


def _read(name: str, request: CompareRequest, redactor: Redactor | None) -> Recording:
    settings = settings_of(config_table("rules"), where=str(config_path()))
    recording = Recording(name, settings)
    follower = recording if redactor is None else _Learning(recording, redactor)
    try:
        notices = read_whole([name], request.options, follower, recording.diagnosis.stations, quiet=request.quiet)
    except BaseException:
        recording.close()
        raise
    recording.notices += [one if name in one else f"{name}: {one}" for one in notices]
    return recording


class _Learning:
    """Implements `cli.whole.Follower`: a recording, and a redactor that meets every name on the way."""

    def __init__(self, recording: Recording, redactor: Redactor) -> None:
        self._recording = recording
        self._redactor = redactor

    def take(self, events: Iterable[Event]) -> None:
        """See `Follower`."""
        self._recording.take(events)
        for event in events:
            self._redactor.event(event)

    def finish(self, now: int) -> None:
        """See `Follower`."""
        self._recording.finish(now)


def _can_be_done(request: CompareRequest) -> None:
    if request.a == STDIN == request.b:
        raise UsageError("Standard input holds one capture, not two.", "Name a file for one of them.")
    if request.view and STDIN in (request.a, request.b):
        raise UsageError(
            "The screen needs the terminal, and standard input is a capture.", "Save it to a file first."
        )
    if request.view and not sys.stdout.isatty():
        raise UsageError("The screens need a terminal.", "Without --view the comparison is printed.")


def _write(found: Comparison, request: CompareRequest, redactor: Redactor | None) -> None:
    writer = Writer(sys.stdout, live=sys.stdout.isatty())
    pieces: Iterable[str] = _pieces(found, request)
    if redactor is not None:
        pieces = [page := "".join(pieces)]
        if leaks := redactor.leaks(page):
            kinds = ", ".join(sorted({str(one.kind) for one in leaks}))
            raise UsageError(
                f"The page would still have held what is to be hidden, at {len(leaks)} places ({kinds[:200]}).",
                "It was not written; please report this. --show-secrets writes it as it is, for your own use.",
            )
    for piece in pieces:
        writer.add(piece)
        writer.rest()
    writer.flush()


def _pieces(found: Comparison, request: CompareRequest) -> Iterator[str]:
    if request.form == "json":
        from ocppscope.render.compare.jsonform import json  # noqa: PLC0415

        return json(found)
    if request.form == "html":
        from ocppscope.render.compare.html import html  # noqa: PLC0415

        return html(found)
    from ocppscope.render.compare.text import text  # noqa: PLC0415

    palette = palette_of(request.color)
    return text(found, palette, terminal_width(), full=request.full)
