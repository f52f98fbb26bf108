"""A comparison as it may be shared: the same, seen through a redactor that has met both captures before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from ocppscope.compare import fields
from ocppscope.compare.report import Fact
from ocppscope.model import Message

if TYPE_CHECKING:
    from ocppscope.compare.report import Capture, Comparison, Difference, Half, Pairing, Table
    from ocppscope.model import Event

HIDDEN = "(hidden)"


class Redactor(Protocol):
    """What hides names and secrets."""

    def event(self, event: Event) -> Event:
        """Any event of the model."""

    def words(self, text: str) -> str:
        """A text of ours that may quote the wire."""

    def station(self, identity: str) -> str:
        """A station's identity."""


def redacted(report: Comparison, redactor: Redactor) -> Comparison:
    """The same comparison without names and secrets; without lines and connections, which no form shows."""
    return replace(
        report,
        captures=(_capture(report.captures[0], redactor), _capture(report.captures[1], redactor)),
        differences=tuple(_difference(one, redactor) for one in report.differences),
        tables=tuple(_table(one, redactor) for one in report.tables),
        summary=tuple(map(redactor.words, report.summary)),
        notices=tuple(map(redactor.words, report.notices)),
        lines=None,
        connections=({}, {}),
    )


def _capture(one: Capture, redactor: Redactor) -> Capture:
    return replace(one, name=redactor.words(one.name), stations=tuple(map(redactor.station, one.stations)))


def _difference(one: Difference, redactor: Redactor) -> Difference:
    ladder = tuple(_pairing(line, redactor) for line in one.ladder)
    facts = tuple(
        Fact(redactor.words(fact.name), redactor.words(fact.a), redactor.words(fact.b)) for fact in one.facts
    )
    if one.code == "changed":
        facts = _changed(one, ladder)
    return replace(
        one, text=redactor.words(one.text), station=redactor.words(one.station), facts=facts, ladder=ladder
    )


def _changed(one: Difference, ladder: tuple[Pairing, ...]) -> tuple[Fact, ...]:
    """What differs between the messages as they may be shown; of what may not, only where it is."""
    shown = {
        fact.name: fact
        for line in ladder
        if line.a is not None and line.b is not None
        for fact in fields.changes(line.a.message.text, line.b.message.text)
    }
    return tuple(shown.get(fact.name, Fact(fact.name, HIDDEN, HIDDEN)) for fact in one.facts)


def _pairing(line: Pairing, redactor: Redactor) -> Pairing:
    return replace(line, a=_half(line.a, redactor), b=_half(line.b, redactor))


def _half(one: Half | None, redactor: Redactor) -> Half | None:
    if one is None:
        return None
    answer = None if one.answer is None else _message(one.answer, redactor)
    return replace(one, message=_message(one.message, redactor), answer=answer)


def _message(message: Message, redactor: Redactor) -> Message:
    found = redactor.event(message)
    assert isinstance(found, Message)
    return found


def _table(table: Table, redactor: Redactor) -> Table:
    rows = tuple(tuple(redactor.words(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
    return replace(table, title=redactor.words(table.title), rows=rows)
