"""Text with style tags: what the ladder, the tree and the charts are made of, for every kind of screen and file.

A `Line` is a tuple of `Span`s; a span's style is a name that says what the text is, and the outlet decides how
that looks. Text from the wire becomes a span through `wire` and `wire_bytes` only, which let nothing through that a
terminal could obey. Knows nothing of OCPP and writes nothing anywhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.render import wiretext
from ocppscope.render.wiretext import MAX_VISIBLE, columns, visible, visible_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocppscope.render.palette import Palette


class Style(StrEnum):
    """What a piece of text is. The values are stable: themes refer to them."""

    PLAIN = "plain"
    DIM = "dim"
    BOLD = "bold"
    TIME = "time"
    STATION = "station"
    CSMS = "csms"
    PROXY = "proxy"
    CALL = "call"
    RESULT = "result"
    ERROR = "error"
    WARNING = "warning"
    GOOD = "good"
    ID = "id"
    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"  # true, false, null
    UNIT = "unit"
    MARK = "mark"
    SELECTED = "selected"
    AXIS = "axis"
    BAR = "bar"
    MEDIAN = "median"
    P95 = "p95"


COLOURS: dict[Style, str] = {
    Style.PLAIN: "",
    Style.DIM: "dim",
    Style.BOLD: "bold",
    Style.TIME: "dim",
    Style.STATION: "station",
    Style.CSMS: "csms",
    Style.PROXY: "dim",
    Style.CALL: "bold",
    Style.RESULT: "",
    Style.ERROR: "bad",
    Style.WARNING: "odd",
    Style.GOOD: "good",
    Style.ID: "dim",
    Style.KEY: "station",
    Style.STRING: "good",
    Style.NUMBER: "csms",
    Style.LITERAL: "odd",
    Style.UNIT: "dim",
    Style.MARK: "odd",
    Style.SELECTED: "bold",
    Style.AXIS: "dim",
    Style.BAR: "station",
    Style.MEDIAN: "good",
    Style.P95: "odd",
}
"""Style → field of the palette; "" is the terminal's own colour."""

_ASCII = {
    ord(char): plain
    for chars, plain in (
        ("│┃├┤┝┥┣┫▏▕▐▌", "|"),
        ("┊╎", ":"),
        ("─━┄·", "-"),
        ("╌", "."),
        ("═", "="),
        ("►→▸", ">"),
        ("◄←◂", "<"),
        ("┼┴┬└┘┌┐╋▾", "+"),
        ("✗", "x"),
        ("…", "~"),
        ("µμ", "u"),
        ("Δ", "d"),
        ("✓", "v"),
        ("≤", "<"),
        ("▁▂", "."),
        ("▃▄", ":"),
        ("▅▆▇█", "#"),
    )
    for char in chars
}


class Span(NamedTuple):
    """A piece of text of one style. The text is fit to be shown: who has text from the wire calls `wire`."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]
"""One line, without a line end."""

EMPTY: Line = ()


def wire(text: str, style: Style = Style.PLAIN, limit: int = MAX_VISIBLE) -> Span:
    """A span of text that came from a peer; at most `limit` characters of it, with its length where it was cut."""
    return Span(visible(text, limit), style)


def wire_bytes(data: bytes, style: Style = Style.PLAIN, limit: int = MAX_VISIBLE) -> Span:
    """As `wire`, for bytes that should be UTF-8."""
    return Span(visible_bytes(data, limit), style)


def width(line: Line) -> int:
    """Terminal columns that a line takes."""
    return sum([columns(span.text) for span in line])


def clip(line: Line, most: int) -> Line:
    """The beginning of a line, at most `most` columns, with "…" where it was cut."""
    if width(line) <= most:
        return line
    taken: list[Span] = []
    for span in line:
        room = most - width(tuple(taken))
        if columns(span.text) >= room:  # a span that just fits is cut too, since more follows
            taken.append(Span(wiretext.clip(f"{span.text}…", room), span.style))
            break
        taken.append(span)
    return tuple(span for span in taken if span.text)


def pad(line: Line, least: int) -> Line:
    """A line with spaces behind it, up to `least` columns."""
    missing = least - width(line)
    return (*line, Span(" " * missing)) if missing > 0 else line


def fit(line: Line, exactly: int) -> Line:
    """A line of just so many columns."""
    return pad(clip(line, exactly), exactly)


def join(lines: Iterable[Line], separator: Span) -> Line:
    """Several lines as one, with the separator between them; empty ones are left out."""
    joined: list[Span] = []
    for line in lines:
        if line:
            joined += (separator, *line) if joined else line
    return tuple(joined)


def ascii_only(line: Line) -> Line:
    """The same line in ASCII, column by column: drawing characters become their like, all others "?"."""
    return tuple(Span(_ascii(span.text), span.style) for span in line)


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    return text if text.isascii() else "".join(char if char.isascii() else "?" * columns(char) for char in text)


def plain(line: Line) -> str:
    """The text alone, without spaces at the end."""
    return "".join([span.text for span in line]).rstrip()


def text(lines: Iterable[Line]) -> str:
    """Lines of text, with line ends."""
    return "".join(f"{plain(line)}\n" for line in lines)


def ansi(line: Line, palette: Palette) -> str:
    """The line for a terminal, in the colours of a palette."""
    parts = []
    for span in line:
        field = COLOURS[span.style]
        colour = getattr(palette, field) if field else ""
        parts.append(f"{colour}{span.text}{palette.off}" if colour else span.text)
    return "".join(parts)


def markdown(lines: Sequence[Line]) -> str:
    """Lines as fenced text that no content of theirs can break out of."""
    body = text(lines)
    fence = "```"
    while fence in body:
        fence += "`"
    return f"{fence}text\n{body}{fence}\n"
