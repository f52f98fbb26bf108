"""A ladder as a Mermaid sequence diagram, for tickets and wikis that draw one from text.

Mermaid reads its text with a grammar of its own: whatever is no letter, digit or harmless sign is written as an
entity (`;` as `#59;`), so that no text from the wire can end a statement, open a directive or become HTML. Its
readers give up beyond 50,000 characters; what does not fit is left out, and a note says how much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import ControlFrame, Kind, Message, Side
from ocppscope.render import times
from ocppscope.render.ladder import What
from ocppscope.render.wiretext import clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocppscope.render.ladder import Ladder, LadderRow

MAX_MERMAID_MESSAGES = 1000
"""Rows that are written; browsers draw more of them slowly or not at all."""
MAX_MERMAID_CHARACTERS = 45_000
"""Characters that are written; Mermaid's `maxTextSize` is 50,000."""
MAX_MERMAID_LABEL = 60
"""Columns of the text on one arrow."""
MAX_MERMAID_REMARK = 160
"""Columns of what is said below a row."""
MAX_MERMAID_STATIONS = 20
"""Lanes of stations; the last one is for all further stations."""
PONG = 10

_HARMLESS = frozenset(" _-.,=/()+*…→←")
_OWN = frozenset("ﬂ°¶ß")  # what Mermaid itself writes for entities while it reads
_ARROWS = {
    Kind.CALL: "->>",
    Kind.SEND: "-)",
    Kind.CALLRESULT: "-->>",
    Kind.CALLERROR: "--x",
    Kind.CALLRESULTERROR: "--x",
    Kind.UNPARSED: "-x",
}


def escape(text: str) -> str:
    """A text as Mermaid shows it and cannot misread it."""
    return "".join(char if _is_harmless(char) else f"#{ord(char)};" for char in text)


def _is_harmless(char: str) -> bool:
    return (char.isalnum() or char in _HARMLESS) and char not in _OWN


def mermaid(drawn: Ladder, remarks: Mapping[int, Sequence[str]] | None = None, more: int = 0) -> str:
    """The diagram, with line ends. Not fenced.

    `remarks` are what is said below a row, by the place of its first event; `more` is how many events came after
    those of the ladder.
    """
    lines = ["sequenceDiagram", *_participants(drawn)]
    size = sum(map(len, lines)) + len(lines)
    rows = [row for row in drawn.rows if row.what is not What.DAY]
    written = 0
    for row in rows[:MAX_MERMAID_MESSAGES]:
        said = remarks.get(row.first, ()) if remarks else ()
        statements = [_statement(drawn, row), *(_remark(drawn, row, words) for words in said)]
        size += sum(map(len, statements)) + len(statements)
        if size > MAX_MERMAID_CHARACTERS:
            break
        lines += statements
        written += 1
    if written < len(rows):
        lines.append(f"    Note over S0,C: {len(rows) - written} of {len(rows)} rows are left out from here on")
    if more:
        lines.append(f"    Note over S0,C: and {more} more events")
    return "\n".join(lines) + "\n"


def markdown(drawn: Ladder) -> str:
    """The diagram as a fenced block that Markdown viewers draw."""
    return f"```mermaid\n{mermaid(drawn)}```\n"


def _participants(drawn: Ladder) -> Iterator[str]:
    names = drawn.stations[: MAX_MERMAID_STATIONS - 1] or ["station"]
    if len(drawn.stations) > len(names):
        names = [*names, f"{len(drawn.stations) - len(names)} more stations"]
    for lane, name in enumerate(names):
        yield f"    participant S{lane} as {escape(name)}"
    if drawn.has_proxy:
        yield "    participant P as proxy"
    yield "    participant C as CSMS"


def _statement(drawn: Ladder, row: LadderRow) -> str:
    """One row as one statement."""
    arrow, place = drawn.rung(row)
    station = f"S{min(place.station or 0, MAX_MERMAID_STATIONS - 1)}"
    near = "P" if place.far and drawn.has_proxy else station
    far = "P" if drawn.has_proxy and not place.far else "C"
    event = drawn.event(row)
    words = " ".join(filter(None, (arrow.latency, arrow.name, arrow.tag, arrow.words)))
    if row.events > 1 or not isinstance(event, Message | ControlFrame):
        ends = f"{near},{far}" if place.station is not None else "S0,C"
        kind = arrow.kind if row.events == 1 else ""
        return f"    Note over {ends}: {_label(row, f'{kind} {words}'.strip())}"
    if isinstance(event, ControlFrame):
        head, words = ("-->>" if event.opcode == PONG else "->>"), f"{arrow.kind} {words}"
    else:
        head = _ARROWS[event.kind]
    sender, receiver = (near, far) if event.side is Side.STATION else (far, near)
    return f"    {sender}{head}{receiver}: {_label(row, words)}"


def _remark(drawn: Ladder, row: LadderRow, words: str) -> str:
    """What is said of a row, below it."""
    place = drawn.rung(row)[1]
    station = f"S{min(place.station or 0, MAX_MERMAID_STATIONS - 1)}"
    return f"    Note over {station},C: {escape(clip(words, MAX_MERMAID_REMARK))}"


def _label(row: LadderRow, words: str) -> str:
    second, rest = divmod(row.time_ns, times.SECOND)
    clock = f"{times.strftime('%H:%M:%S', second)}.{rest // 1_000_000:03}"
    return f"{clock} {escape(clip(words, MAX_MERMAID_LABEL))}"
