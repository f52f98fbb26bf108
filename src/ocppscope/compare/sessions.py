"""Two sessions, a good and a bad one: what the peers did differently, chance aside. Ranked by how telling it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.compare.dialogue import Dialogue
from ocppscope.compare.ladders import Ladders
from ocppscope.compare.report import SESSIONS, Column, Comparison, Difference, Table
from ocppscope.compare.stories import Story, busiest
from ocppscope.compare.surroundings import surroundings
from ocppscope.compare.tempo import tempo
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from ocppscope.compare.recording import Recording
    from ocppscope.compare.report import Cell

MAX_DIFFERENCES = 400
"""Differences of a report, the most telling ones."""
MAX_STATIONS = 8
"""Stations that are compared one by one."""


class Sessions:
    """Compares what stations did in two recordings."""

    def __init__(self, a: Recording, b: Recording, reason: str, stations: tuple[str, str]) -> None:
        self._a, self._b, self._reason = a, b, reason
        self._notices: list[str] = []
        self._pairs = self._paired(stations)
        self._ladders = Ladders(a, b, None)
        self._differences: list[Difference] = []
        self._tables: list[Table] = []
        self._summary: list[str] = []

    def compare(self) -> Comparison:
        """Everything."""
        for one, other in self._pairs:
            self._stories(Story(self._a, one), Story(self._b, other))
        ranked = sorted(self._differences, key=lambda one: (-one.weight, -one.count, one.at, one.text))
        return Comparison(
            SESSIONS, self._reason, (self._a.described(), self._b.described()), tuple(ranked[:MAX_DIFFERENCES]),
            tuple(one for one in self._tables if one.rows), None, tuple(self._summary),
            max(len(ranked) - MAX_DIFFERENCES, 0), (*self._a.notices, *self._b.notices, *self._notices),
            self._ladders.lines(ranked), (self._a.connections, self._b.connections),
        )  # fmt: skip

    def _paired(self, wanted: tuple[str, str]) -> list[tuple[str, str]]:
        known = [busiest(one) for one in (self._a, self._b)]
        for name, stations, recording in zip(wanted, known, (self._a, self._b), strict=True):
            if name and name not in stations:
                few = ", ".join(stations[:5]) or "none"
                raise UsageError(f"There is no station {name!r} in {recording.name}.", f"Its stations: {few}.")
        if any(wanted):
            return [(wanted[0] or known[0][0], wanted[1] or known[1][0])]
        if not all(known):
            self._notices.append("One of the captures has no station in it, so that there is nothing to compare.")
            return []
        common = [name for name in known[0] if name in set(known[1])]
        if common:
            if len(common) > MAX_STATIONS:
                self._notices.append(
                    f"{len(common):,} stations are in both; the busiest {MAX_STATIONS} are compared. --station takes "
                    "one."
                )
            return [(name, name) for name in common[:MAX_STATIONS]]
        if max(map(len, known)) > 1:
            self._notices.append(
                "No station is in both: the busiest of each is compared. --station and --station-b say which."
            )
        return [(known[0][0], known[1][0])]

    def _stories(self, a: Story, b: Story) -> None:
        name = a.identity if a.identity == b.identity else f"{a.identity} and {b.identity}"
        versions = [one.version.value for one in (a, b)]
        told = (
            f"OCPP {versions[0]}" if versions[0] == versions[1] else f"OCPP {versions[0]} in A and {versions[1]} in B"
        )
        self._summary.append(f"{name}, {told}: {len(a.steps):,} exchanges in A, {len(b.steps):,} in B.")
        if versions[0] != versions[1]:
            self._notices.append(
                f"{name}: {told}. Actions and payloads differ by themselves, and are compared as they are."
            )
        for letter, story in (("A", a), ("B", b)):
            if story.left_out:
                self._notices.append(
                    f"{story.left_out:,} exchanges of {story.identity} at the end of {letter} are left out."
                )
        dialogue = Dialogue(a, b, name, self._ladders)
        self._differences += dialogue.differences()
        self._notices += dialogue.notices
        self._differences += surroundings(a, b, name, self._ladders)
        differences, table = tempo(a, b, name)
        self._differences += differences
        self._tables.append(table)
        self._tables.append(self._counts(a, b, name))

    def _counts(self, a: Story, b: Story, name: str) -> Table:
        one, other = a.actions, b.actions
        order = sorted({*one, *other}, key=lambda key: (key[0], -one[key] - other[key], key[1]))
        rows: list[tuple[Cell, ...]] = [
            ("→←"[side], action, one[side, action], other[side, action]) for side, action in order
        ]
        columns = (Column("from"), Column("action"), Column("n A"), Column("n B"))
        return Table("actions", f"Exchanges of {name}", columns, tuple(rows))
