"""What one station did in one capture: its exchanges in order, phase by phase, and the shapes of its payloads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.compare import abstraction, fields
from ocppscope.compare.alignment import Phases, Step
from ocppscope.model import Kind, Version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.analysis.station import Station
    from ocppscope.compare.abstraction import Shape
    from ocppscope.compare.recording import Recording
    from ocppscope.model import Connection

    Ints = NDArray[np.int64]

MAX_STEPS = 50_000
"""Exchanges of a station that are read; what comes after them is left out, and that is said."""
_ASKING = Kind.CALL, Kind.SEND


class Story:
    """A station of a recording."""

    def __init__(self, recording: Recording, identity: str, max_steps: int = MAX_STEPS) -> None:
        self.recording = recording
        self.identity = identity
        self.station: Station | None = recording.diagnosis.stations.by_identity.get(identity)
        self.connections = connections_of(recording, identity)
        self.upgraded = [one for one in self.connections if one.handshake is None or one.handshake.upgraded]
        self.steps: list[Step] = []
        self.shapes: dict[tuple[int, str, bool], Shape] = abstraction.shapes()
        self.problems: Counter[tuple[str, str]] = Counter()  # by code and action
        self.first_problem: dict[tuple[str, str], int] = {}
        self.left_out = 0
        self._read(max_steps)

    @property
    def version(self) -> Version:
        """Of its latest connection of known version."""
        known = [one.version for one in self.upgraded if one.version is not Version.UNKNOWN]
        return known[-1] if known else Version.UNKNOWN

    @property
    def actions(self) -> Counter[tuple[int, str]]:
        """How often who asked what."""
        return Counter((abstraction.ARROWS.index(step.key[0]), step.action) for step in self.steps)

    def rows(self) -> Ints:
        """All its messages, in order."""
        parts = [self.recording.rows_of(one.number) for one in self.upgraded]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def _read(self, max_steps: int) -> None:
        rows = self.rows()
        recording = self.recording
        self._objections(rows)
        asking = rows[np.isin(recording.rows.kind[rows], _ASKING)]
        self.left_out = max(len(asking) - max_steps, 0)
        partner = recording.column("partner")
        phases = Phases()
        for row in asking[:max_steps].tolist():
            other = int(partner[row])
            self._step(row, other if other >= 0 else -1, phases)

    def _step(self, row: int, other: int, phases: Phases) -> None:
        message = self.recording.message(row)
        answer = self.recording.message(other) if other >= 0 else None
        asked = fields.payload(message.text)
        key = abstraction.key(message, asked)
        ended = abstraction.result(message, answer)
        about = key.partition(f" {message.action}")[2].strip()
        phase, turn = phases.of(message.action, about, message.time_ns)
        self.steps.append(Step(row, other, message.action, key, ended.text, ended.is_bad, phase, turn))
        side = int(message.side)
        self.shapes[side, message.action, False].add(asked, row)
        if answer is not None and answer.kind is Kind.CALLRESULT:
            self.shapes[1 - side, message.action, True].add(fields.payload(answer.text), other)

    def _objections(self, rows: Ints) -> None:
        """Problems of messages, by code and action."""
        store = self.recording.store
        codes = self.recording.column("problems")[rows]
        actions = self.recording.column("action")[rows]
        for row, code, action in zip(
            rows[codes > 0].tolist(), codes[codes > 0].tolist(), actions[codes > 0].tolist(), strict=True
        ):
            for problem in {one.code for one in store.problem_sets.sets[code]}:
                key = problem, store.actions.texts[action]
                self.problems[key] += 1
                self.first_problem.setdefault(key, row)


def connections_of(recording: Recording, identity: str) -> list[Connection]:
    """The connections of a station, repeated legs left out."""
    found = [one for one in recording.connections.values() if one.station == identity and one.leg_of is None]
    return sorted(found, key=lambda one: (one.opened_ns, one.number))


def busiest(recording: Recording) -> list[str]:
    """The stations of a recording, those with the most messages first."""
    counts: Counter[str] = Counter()
    for one in recording.connections.values():
        if one.leg_of is None:
            counts[one.station] += sum(one.messages)
    return sorted(counts, key=lambda name: (-counts[name], name))
