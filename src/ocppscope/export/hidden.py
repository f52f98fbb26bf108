"""Evidence as it may be shared: the same, seen through a `Redactor`. No form, no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ocppscope.export.evidence import Evidence, Item, Row, Source
from ocppscope.model import Message

if TYPE_CHECKING:
    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.report import Report, StationSummary
    from ocppscope.model import Connection
    from ocppscope.redaction.redactor import Redactor
    from ocppscope.store.notes import Note


class RedactedEvidence:
    """Implements `Evidence` around another one. The redactor has to have met all of it before."""

    def __init__(self, evidence: Evidence, redactor: Redactor) -> None:
        self._evidence = evidence
        self.redactor = redactor
        self._connections: dict[int, tuple[Connection, Connection]] = {}  # as it was, as it is shown

    @property
    def title(self) -> str:
        """See `Evidence`."""
        return self.redactor.words(self._evidence.title)

    @property
    def captures(self) -> tuple[str, ...]:
        """See `Evidence`."""
        return tuple(map(self.redactor.words, self._evidence.captures))

    @property
    def report(self) -> Report | None:
        """See `Evidence`."""
        found = self._evidence.report
        return None if found is None else redacted_report(found, self.redactor)

    @property
    def source(self) -> Source | None:
        """See `Evidence`: the packets as they were. Who copies them has to redact them."""
        return self._evidence.source

    @property
    def connections(self) -> Mapping[int, Connection]:
        """See `Evidence`."""
        for number, known in self._evidence.connections.items():
            before = self._connections.get(number)
            if before is None or before[0] is not known:
                self._connections[number] = known, self.redactor.connection(known)
        return {number: shown for number, (_, shown) in self._connections.items()}

    def items(self) -> Iterator[Item]:
        """See `Evidence`."""
        for item in self._evidence.items():
            yield self._row(item) if isinstance(item, Row) else self.redactor.event(item)  # type: ignore[misc]

    def _row(self, row: Row) -> Row:
        redactor = self.redactor
        message = redactor.event(row.message)
        assert isinstance(message, Message)
        verdicts = tuple((verdict, redactor.words(text)) for verdict, text in row.verdicts)
        return row._replace(message=message, verdicts=verdicts, note=self._note(row.note))

    def _note(self, note: Note) -> Note:
        if not note.mark and not note.note:
            return note
        words = self.redactor.words
        return note._replace(time_ns=self.redactor.time(note.time_ns), mark=words(note.mark), note=words(note.note))


def redacted_report(found: Report, redactor: Redactor) -> Report:
    """A report without what is to be hidden. The redactor has to have met what was diagnosed."""
    return replace(
        found,
        captures=tuple(map(redactor.words, found.captures)),
        begins_ns=redactor.time(found.begins_ns),
        ends_ns=redactor.time(found.ends_ns),
        stations=tuple(_summary(one, redactor) for one in found.stations),
        findings=tuple(_finding(one, redactor) for one in found.findings),
        notices=tuple(map(redactor.words, found.notices)),
    )


def _summary(station: StationSummary, redactor: Redactor) -> StationSummary:
    return replace(
        station,
        identity=redactor.station(station.identity),
        model=redactor.words(station.model),
        endings=tuple(map(redactor.words, station.endings)),
    )


def _finding(finding: Finding, redactor: Redactor) -> Finding:
    return replace(
        finding,
        station=redactor.station(finding.station),
        text=redactor.words(finding.text),
        first_ns=redactor.time(finding.first_ns),
        last_ns=redactor.time(finding.last_ns),
        evidence=tuple(_ref(one, redactor) for one in finding.evidence),
        measured={name: redactor.words(value) for name, value in finding.measured.items()},
    )


def _ref(ref: Ref, redactor: Redactor) -> Ref:
    return ref._replace(time_ns=redactor.time(ref.time_ns), what=redactor.words(ref.what))
