"""Evidence as it may be shared: the same, seen through a `Redactor`; what is hidden. No form, no export written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ocppscope.export.evidence import Evidence, Item, Row, Source
from ocppscope.model import Message
from ocppscope.redaction.policy import Policy, new_key, read_key
from ocppscope.redaction.redactor import Redactor

if TYPE_CHECKING:
    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.report import Report, StationSummary
    from ocppscope.model import Connection
    from ocppscope.store.notes import Note


class Hiding(NamedTuple):
    """What is to be hidden, and how."""

    show_secrets: bool = False
    redact: bool = False  # also in forms that are not made to be shared
    key_file: str = ""  # "": pseudonyms of this run alone
    shift_ns: int = 0
    equipment: bool = True
    network: bool = True
    free_text: bool = False

    def redactor(self, key: bytes = b"") -> Redactor:
        """Makes one; `key` is that of this run. Raises UsageError and AccessError for the file of the key."""
        return Redactor(
            Policy(
                read_key(Path(self.key_file)) if self.key_file else key or new_key(),
                equipment=self.equipment,
                network=self.network,
                free_text=self.free_text,
                shift_ns=self.shift_ns,
            )
        )


class RedactedEvidence:
    """Implements `Evidence` around another one. The redactor has to have met all of it before."""

    def __init__(self, evidence: Evidence, redactor: Redactor) -> None:
        self._evidence = evidence
        self.redactor = redactor
        self._connections = _Connections(evidence, redactor)

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
        return self._connections

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


class _Connections(Mapping[int, "Connection"]):
    """The connections of evidence, each redacted when somebody asks for it."""

    def __init__(self, evidence: Evidence, redactor: Redactor) -> None:
        self._evidence = evidence
        self._redactor = redactor
        self._shown: dict[int, tuple[Connection, Connection]] = {}  # as it was, as it is shown

    def __getitem__(self, number: int) -> Connection:
        known = self._evidence.connections[number]
        shown = self._shown.get(number)
        if shown is None or shown[0] is not known:
            shown = self._shown[number] = known, self._redactor.connection(known)
        return shown[1]

    def __iter__(self) -> Iterator[int]:
        return iter(self._evidence.connections)

    def __len__(self) -> int:
        return len(self._evidence.connections)


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
