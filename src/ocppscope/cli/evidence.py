"""Captures and logs as evidence: read once for the diagnosis and the redactor, and once more for each form.

Reading anew keeps memory bounded whatever the size of a capture; what comes through a pipe can be read only once, and
is refused where that is not enough.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ocppscope.analysis.settings import settings_of
from ocppscope.capture.pcapfile import STDIN
from ocppscope.cli.diagnosing import FindingsByMessage, diagnosed
from ocppscope.cli.engines import engine_of
from ocppscope.cli.output import Progress
from ocppscope.cli.run import reading, sieve
from ocppscope.cli.session import Selection
from ocppscope.errors import UsageError
from ocppscope.export.evidence import Between, Item, Row, Source
from ocppscope.model import Message
from ocppscope.query.config import config_path, config_table
from ocppscope.store.notes import NO_NOTE, Notes, load_notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocppscope.analysis.report import Report
    from ocppscope.batch import Batch
    from ocppscope.cli.sieve import Sieve
    from ocppscope.model import Connection, Event
    from ocppscope.options import Options
    from ocppscope.redaction.redactor import Redactor


class EvidenceRequest(NamedTuple):
    """What is to be read, and what of it is shown."""

    inputs: list[str]
    options: Options
    wanted: str = ""
    legs: bool = False
    findings: bool = True
    quiet: bool = False


class CaptureEvidence:
    """Implements `export.evidence.Evidence`."""

    def __init__(self, request: EvidenceRequest) -> None:
        """Reads nothing yet. Raises UsageError for a filter that is wrong."""
        self._request = request
        self._sieve = sieve(request.wanted)
        self._passes = 0
        self._found: FindingsByMessage | None = None
        self._report: Report | None = None
        self._notes = _notes_of(request.inputs)
        self._known: dict[int, Connection] = {}

    @property
    def title(self) -> str:
        """See `Evidence`."""
        return ", ".join(os.path.basename(name) or name for name in self._request.inputs)

    @property
    def captures(self) -> tuple[str, ...]:
        """See `Evidence`."""
        return tuple(os.path.basename(name) or name for name in self._request.inputs)

    @property
    def report(self) -> Report | None:
        """See `Evidence`."""
        return self._report

    @property
    def source(self) -> Source | None:
        """See `Evidence`."""
        names = self._request.inputs
        return None if STDIN in names else Source(tuple(names), self._request.options)

    @property
    def connections(self) -> Mapping[int, Connection]:
        """See `Evidence`."""
        return self._known

    def prepare(self, redactor: Redactor | None = None) -> None:
        """The first pass, where one is needed: for findings, and for a redactor that has to meet all names."""
        if self._request.findings or (self._sieve is not None and self._sieve.asks_findings):
            self._diagnose(redactor)
        elif redactor is not None:
            for batch in self._batches():
                for event in batch:
                    redactor.event(event)
        if redactor is not None:
            redactor.recount()

    def _diagnose(self, redactor: Redactor | None) -> None:
        self._begin_pass()
        found, request = FindingsByMessage(), self._request
        settings = settings_of(config_table("rules"), where=str(config_path()))
        made = diagnosed(
            request.inputs, request.options, settings, quiet=request.quiet, marks=found.add, redactor=redactor
        )
        self._found = found
        if request.findings:
            self._report = replace(made, captures=self.captures)
        if self._sieve is not None:
            self._sieve.verdicts = found.verdicts

    def items(self) -> Iterator[Item]:
        """See `Evidence`."""
        chosen: list[Item] = []
        selection = Selection(_Items(self._known), chosen.append, sieve=self._fresh_sieve(), legs=self._request.legs)
        for batch in self._batches():
            _select(batch, selection, chosen)
            yield from self._annotated(chosen)

    def _batches(self) -> Iterator[Batch]:
        """All events, in one pass."""
        request = self._request
        self._begin_pass()
        progress, messages = Progress(wanted=not request.quiet), 0
        with reading(request.inputs, request.options) as reader:
            engine = engine_of(request.options, request.inputs, reader)
            try:
                for block in reader.blocks():
                    batch = engine.packets(block)
                    messages += len(batch)
                    yield batch
                    progress.step(*reader.progress, messages)
                yield engine.finish()
            finally:
                progress.clear()

    def _begin_pass(self) -> None:
        if self._passes and STDIN in self._request.inputs:
            raise UsageError(
                "What comes through a pipe can be read once, and this needs it twice.", "Save it to a file first."
            )
        self._passes += 1
        self._known.clear()

    def _fresh_sieve(self) -> Sieve | None:
        """A filter that has not seen any connection yet."""
        fresh = sieve(self._request.wanted)
        if fresh is not None and self._sieve is not None:
            fresh.verdicts = self._sieve.verdicts
        return fresh

    def _annotated(self, chosen: list[Item]) -> Iterator[Item]:
        """What was chosen, with findings and notes; empties the list."""
        found, notes = self._found, self._notes
        if found is None and notes is None:
            yield from chosen
        else:
            for item in chosen:
                if type(item) is Row:
                    said = found.of(item.message) if found is not None and self._request.findings else ()
                    note = notes.of(item.message) if notes is not None else NO_NOTE
                    yield item if not said and note is NO_NOTE else Row(item.row, item.message, said, note)
                else:
                    yield item
        chosen.clear()


_row = partial(tuple.__new__, Row)


def _select(batch: Batch, selection: Selection[Message | Between, Item], chosen: list[Item]) -> None:
    """As `selection.take`; where each message is shown they are taken as they are, without asking one by one."""
    if selection.sieve is not None:
        selection.take(batch)
        return
    for start, stop, event in batch.parts():
        messages = map(batch.message, range(start, stop))
        if selection.folded:
            selection.take(messages)
        else:
            rows = range(selection.rows, selection.rows + stop - start)
            chosen.extend(map(_row, zip(rows, messages, repeat(()), repeat(NO_NOTE), strict=False)))
            selection.rows, selection.shown = rows.stop, selection.shown + len(rows)
        if event is not None:
            selection.take((event,))


class _Items:
    """Implements `cli.session.Form`: the events themselves."""

    def __init__(self, known: dict[int, Connection]) -> None:
        self._known = known

    def seen(self, connection: Connection) -> None:
        """Remembers it."""
        self._known[connection.number] = connection

    def message(self, message: Message) -> Message | Between:
        """Itself."""
        return message

    def event(self, event: Event) -> Message | Between | None:
        """Itself."""
        return event  # type: ignore[return-value]

    def line(self, row: int | None, connection: int, time_ns: int, body: Message | Between) -> Item:
        """A message with its number; anything else as it is."""
        return Row(row, body) if isinstance(body, Message) and row is not None else body


def _notes_of(inputs: list[str]) -> Notes | None:
    """The notes beside the first file, as the screens have them."""
    files = [name for name in inputs if name != STDIN and os.path.isfile(name)]
    notes = load_notes(files[0]) if files else None
    return notes if notes is not None and len(notes) else None
