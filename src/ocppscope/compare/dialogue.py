"""What two stations and their CSMSs said differently: actions, order, answers, and elements of payloads."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ocppscope.compare import abstraction
from ocppscope.compare.alignment import IDLE, MAX_EDITS, MAX_PHASE, align, condensed
from ocppscope.compare.report import Difference, Fact, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.compare.alignment import Step
    from ocppscope.compare.ladders import Ladders
    from ocppscope.compare.stories import Story

MAX_FACTS = 12
"""Elements of one kind of payload that are listed; the difference says how many there are."""
_SERIOUS = frozenset({
    "BootNotification", "Authorize", "StartTransaction", "StopTransaction", "TransactionEvent",
    "RemoteStartTransaction",
    "RequestStartTransaction", "RemoteStopTransaction", "RequestStopTransaction",
})  # fmt: skip
"""Whose answers decide whether a car charges."""
_WHO = "The station", "The CSMS"
_WHERE = {"boot": "while booting", "idle": "between transactions", "transaction": "around a transaction"}
_PLURALS = {"boot": "Boots", "transaction": "Transactions"}
_Where = list[tuple[int, int]]


class Dialogue:
    """Aligns the exchanges of two stories."""

    def __init__(self, a: Story, b: Story, name: str, ladders: Ladders) -> None:
        self._a, self._b, self._name, self._ladders = a, b, name, ladders
        self.notices: list[str] = []
        self._answers: defaultdict[tuple[str, str, str], _Where] = defaultdict(list)
        self._bad: set[tuple[str, str, str]] = set()
        self._only: tuple[defaultdict[tuple[str, str, str], _Where], ...] = (defaultdict(list), defaultdict(list))
        self._orders: defaultdict[tuple[str, str], _Where] = defaultdict(list)
        self._phases: tuple[defaultdict[str, _Where], ...] = (defaultdict(list), defaultdict(list))  # in one only
        self._places: tuple[defaultdict[str, _Where], ...] = (defaultdict(list), defaultdict(list))  # by action
        self._turns = tuple(Counter(phase for phase, _ in _by_phase(one.steps)) for one in (a, b))
        self._actions = a.actions, b.actions

    def differences(self) -> list[Difference]:
        """All of them, with excerpts of the ladders."""
        self._align()
        found = [
            *self._of_answers(), *self._of_actions(), *self._of_phases(), *self._of_order(), *self._of_sequence(),
        ]  # fmt: skip
        told = [self._ladders.illustrate(difference, where) for difference, where in found]
        return [*told, *self._of_payloads()]

    # --- alignment ------------------------------------------------------------------------------------------------

    def _align(self) -> None:
        """Phase by phase: the first boot of A beside the first boot of B, and so on."""
        parts = [_by_phase(one.steps) for one in (self._a, self._b)]
        for phase in _in_order(*parts):
            steps = [condensed(part.get(phase, [])) for part in parts]
            if not all(steps):
                self._alone(phase[0], steps)
                continue
            if max(map(len, steps)) > MAX_PHASE:
                self._count(phase[0], steps)
                continue
            found = align([step.key for step in steps[0]], [step.key for step in steps[1]])
            if found is None:
                self._count(phase[0], steps)
            else:
                self._beside(phase[0], steps, found)

    def _alone(self, phase: str, steps: list[list[Step]]) -> None:
        """A phase that only one of them has."""
        for which, part in enumerate(steps):
            for step in part:
                place = (step.row, -1) if which == 0 else (-1, step.row)
                self._line(place, (Mark.ONLY_A, Mark.ONLY_B)[which], step, which)
                self._phases[which][phase].append(place)

    def _count(self, phase: str, steps: list[list[Step]]) -> None:
        """Where the two have too little in common to be laid side by side."""
        self.notices.append(
            f"The {phase} phases of {self._name} differ in more than {MAX_EDITS} exchanges (or have more than "
            f"{MAX_PHASE:,}): they are compared by how often each exchange comes, not by its place."
        )
        counts = [Counter(step.key for step in part) for part in steps]
        for which, (part, other) in enumerate(zip(steps, reversed(counts), strict=True)):
            for step in part:
                place = (step.row, -1) if which == 0 else (-1, step.row)
                self._line(place, Mark.SAME if step.key in other else (Mark.ONLY_A, Mark.ONLY_B)[which], step, which)
                if step.key not in other:
                    self._only[which][phase, step.key, step.action].append(place)

    def _beside(self, phase: str, steps: list[list[Step]], found: list[tuple[int, int]]) -> None:
        gone = [
            Counter(steps[0][x].key for x, y in found if y < 0),
            Counter(steps[1][y].key for x, y in found if x < 0),
        ]
        moved = gone[0] & gone[1]
        for x, y in found:
            if x >= 0 and y >= 0:
                self._same(steps[0][x], steps[1][y])
                continue
            which = 0 if y < 0 else 1
            step = steps[which][x if which == 0 else y]
            place = (step.row, -1) if which == 0 else (-1, step.row)
            if moved[step.key]:
                self._line(place, Mark.MOVED, step, which)
                self._orders[phase, step.key].append(place)
                continue
            self._line(place, (Mark.ONLY_A, Mark.ONLY_B)[which], step, which)
            self._only[which][phase, step.key, step.action].append(place)

    def _same(self, one: Step, other: Step) -> None:
        place = one.row, other.row
        self._ladders.know_answers(one, other)
        if one.result == other.result or "" in (one.result, other.result):
            self._ladders.put(place, Mark.SAME)
            return
        self._ladders.put(place, Mark.CHANGED)
        key = one.key, one.result, other.result
        self._answers[key].append(place)
        if one.is_bad or other.is_bad or one.action in _SERIOUS:
            self._bad.add(key)

    def _line(self, place: tuple[int, int], mark: Mark, step: Step, which: int) -> None:
        self._ladders.know_answers(step if which == 0 else None, step if which == 1 else None)
        self._ladders.put(place, mark)
        self._places[which][f"{step.key[0]} {step.action}"].append(place)

    # --- what it comes to -----------------------------------------------------------------------------------------

    def _of_answers(self) -> Iterable[tuple[Difference, _Where]]:
        for (key, one, other), where in self._answers.items():
            action = key.split(" ")[1]
            serious = action in _SERIOUS
            weight = 96 if serious else 90 if (key, one, other) in self._bad else 84
            why = (
                "The answer decides whether the car charges."
                if serious
                else "The same question got another answer: what follows may follow from it."
            )
            text = f"{key} is answered with {one} in A and with {other} in B{_times(len(where))}."
            yield Difference("answer", weight, text, why, self._name, len(where)), where

    def _of_actions(self) -> Iterable[tuple[Difference, _Where]]:
        """Actions that one of the two never uses."""
        for which, actions in enumerate(self._actions):
            for (side, action), count in actions.items():
                if (side, action) in self._actions[1 - which]:
                    continue
                where = self._places[which].get(f"{'→←'[side]} {action}", [])
                letter = "AB"[which]
                text = f"{_WHO[side]} uses {action} only in {letter}{_times(count)}."
                commanded = side == 1
                why = (
                    "A command that the other session does not have; it may be what somebody happened to do."
                    if commanded
                    else "A whole action is missing from the other session."
                )
                yield Difference("action", 63 if commanded else 80, text, why, self._name, count), where

    def _of_phases(self) -> Iterable[tuple[Difference, _Where]]:
        """A boot or a transaction that one has more of."""
        for which, phases in enumerate(self._phases):
            for phase, where in phases.items():
                mine, theirs = self._turns[which][phase], self._turns[1 - which][phase]
                if phase == IDLE or mine <= theirs:
                    continue
                counts = (mine, theirs) if which == 0 else (theirs, mine)
                text = f"{_PLURALS[phase]}: {counts[0]:,} in A, {counts[1]:,} in B."
                why = (
                    "One of them never comes so far."
                    if not theirs
                    else "What has no counterpart is not compared step by step."
                )
                yield Difference("phase", 57 if theirs else 82, text, why, self._name, mine - theirs), where

    def _of_order(self) -> Iterable[tuple[Difference, _Where]]:
        groups: defaultdict[str, list[tuple[str, _Where]]] = defaultdict(list)
        for (phase, key), where in self._orders.items():
            groups[phase].append((key, where))
        for phase, moved in groups.items():
            names = ", ".join(key for key, _ in moved[:4]) + (", …" if len(moved) > 4 else "")
            where = [place for _, places in moved for place in places]
            text = f"In another order {_WHERE[phase]}: {names}."
            yield Difference("order", 66, text, "The same was said, at another place.", self._name, len(moved)), where

    def _of_sequence(self) -> Iterable[tuple[Difference, _Where]]:
        """Exchanges of actions that both use, which one has more of in a phase."""
        for which, found in enumerate(self._only):
            for (phase, key, action), where in found.items():
                side = "→←".index(key[0])
                if (side, action) not in self._actions[1 - which]:
                    continue
                letter = "AB"[which]
                text = f"{key} {_WHERE[phase]} only in {letter}{_times(len(where))}."
                why = "A step of the sequence that the other session does not have there."
                weight = 64 if phase != "idle" else 50
                yield Difference("step", weight, text, why, self._name, len(where)), where

    def _of_payloads(self) -> Iterable[Difference]:
        cut: list[str] = []
        for key in self._a.shapes:
            if key not in self._b.shapes:
                continue
            side, action, response = key
            if not (self._a.shapes[key].is_whole and self._b.shapes[key].is_whole):
                cut.append(f"{'the answer to ' if response else ''}{action:.{abstraction.MAX_WORD}}")
            changes = abstraction.compare_shapes(
                self._a.shapes[key], self._b.shapes[key], self._b.version, action, response=response
            )
            if not changes:
                continue
            part = "the answer to " if response else ""
            names = ", ".join(one.name for one in changes[:3]) + (", …" if len(changes) > 3 else "")
            found = Difference(
                "payload", changes[0].weight, f"{_WHO[side]} fills {part}{action} differently: {names}.",
                "Other types break readers, missing elements and other values change what they do.", self._name,
                len(changes), tuple(Fact(one.name, one.a, one.b) for one in changes[:MAX_FACTS]),
            )  # fmt: skip
            yield self._beside_payloads(found, key)
        if cut:
            names = ", ".join(cut[:3]) + (", …" if len(cut) > 3 else "")
            self.notices.append(
                f"Payloads of {self._name} have more elements than are looked at: not all are compared of {names}."
            )

    def _beside_payloads(self, found: Difference, key: tuple[int, str, bool]) -> Difference:
        """With the first message of either side."""
        rows = self._a.shapes[key].row, self._b.shapes[key].row
        return replace(found, ladder=self._ladders.beside(*rows), at=self._ladders.line_of(*rows))


def _times(count: int) -> str:
    return f" ({count:,} times)" if count > 1 else ""


def _by_phase(steps: list[Step]) -> dict[tuple[str, int], list[Step]]:
    found: dict[tuple[str, int], list[Step]] = {}
    for step in steps:
        found.setdefault((step.phase, step.turn), []).append(step)
    return found


def _in_order(a: dict[tuple[str, int], list[Step]], b: dict[tuple[str, int], list[Step]]) -> list[tuple[str, int]]:
    """The phases of both, as they follow each other; those that only B has after the one before them."""
    found = list(a)
    after = -1
    for phase in b:
        if phase in a:
            after = found.index(phase)
        else:
            after += 1
            found.insert(after, phase)
    return found
