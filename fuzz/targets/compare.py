"""Two logs held against each other, either way: no more differences than are bounded, and none with itself."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import sources
from fuzz.tape import joined, split
from fuzz.targets.dialects import printed
from ocppscope.capture.dialects.context import Context
from ocppscope.capture.textlog import TextReader
from ocppscope.compare import compare
from ocppscope.compare.recording import Recording
from ocppscope.compare.report import Comparison, Mark
from ocppscope.errors import OcppscopeError
from ocppscope.model import Event
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.replay import replay

MAX_DIFFERENCES = 400
MODES = ("", "vantage", "sessions")


def events(text: bytes) -> list[Event]:
    """Of a log in our own form."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")[:300]
    reader = TextReader(Context(lines[:20]))
    entries = [entry for number, line in enumerate(lines, 1) for entry in reader.line(number, line)]
    return [event for batch in replay([*entries, *reader.finish()]) for event in batch]


def recording(found: list[Event], name: str) -> Recording:
    """A finished recording."""
    made = Recording(name)
    made.take(found)
    made.finish(0)
    return made


def compared(first: list[Event], second: list[Event], mode: str) -> Comparison | None:
    """The comparison; None where it cannot be made."""
    a, b = recording(first, "A"), recording(second, "B")
    try:
        return compare(a, b, mode)
    except OcppscopeError as error:
        assert str(error)
        return None
    finally:
        a.close()
        b.close()


def target(data: bytes) -> None:
    """Two texts; the first byte tells where the second begins."""
    first, second = (events(part) for part in split(data))
    for mode in MODES:
        report = compared(first, second, mode)
        if report is not None:
            assert len(report.differences) <= MAX_DIFFERENCES
            assert all(one.text for one in report.differences)
    same = compared(first, first, "vantage")
    if same is not None and len(first) > 1:
        told = [one.code for one in same.differences for pairing in one.ladder if pairing.mark is not Mark.SAME]
        assert not [code for code in told if "lost" in code], told


def seeds() -> Iterator[bytes]:
    """Sessions that went well and others."""
    names = ("ocpp16_plain", "malformed", "remote_start_stop", "refused_handshakes")
    logs = {name: printed(name, TextFormat(Style(full=False)))[:2000] for name in names}
    for name in names:
        yield joined(logs["ocpp16_plain"], logs[name])
    yield joined(logs["remote_start_stop"], b"\n".join(logs["remote_start_stop"].split(b"\n")[::2]))
    assert sources.CAPTURES
