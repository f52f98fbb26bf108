"""Tells what happens: first those who follow everything, then the rules that nothing mutes.

A subscriber is a function of one argument, an Exchange or a Happening. Who is told of what is looked up once for each
action and type, so that an ordinary message costs one look into a table and the calls themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ocppscope.analysis.happenings import Happening, Objected, Trigger
from ocppscope.analysis.registry import Mute, Rule
from ocppscope.analysis.station import AROUND_GAP_NS

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import On
    from ocppscope.analysis.registry import Case, Check
    from ocppscope.analysis.station import Exchange, Link, Station
    from ocppscope.model import Version

MAX_NAMES = 1024
"""Actions and problem codes of a phase whose subscribers are remembered; what the wire invents is looked up anew."""

Tell = Callable[[Any], object]
_GAP, _MIDSTREAM, _REPLAY = int(Mute.GAP), int(Mute.MIDSTREAM), int(Mute.REPLAY)


class _Subscription:
    """Who wants to be told, and under which names."""

    __slots__ = ("case", "names", "rule", "tell")

    def __init__(self, names: tuple[str, ...], tell: Any, rule: Rule | None = None, case: Case | None = None) -> None:
        self.names = names
        self.tell = tell
        self.rule = rule
        self.case = case

    def is_called(self, name: str) -> bool:
        """Whether a name is among its own, or begins like one that ends in a dot."""
        return not self.names or any(name == one or (one[-1:] == "." and name.startswith(one)) for one in self.names)


class _Plan:
    """Who is told of one thing: `plain` always, `rules` unless muted. `by` is what the rules come to in a
    situation."""

    __slots__ = ("by", "plain", "rules")

    def __init__(self, subscriptions: list[_Subscription]) -> None:
        self.plain: tuple[Tell, ...] = tuple(one.tell for one in subscriptions if one.rule is None)
        self.rules = [one for one in subscriptions if one.rule is not None]
        self.by: dict[int, list[tuple[Check, Case]]] = {}  # an enum's own hash is slow; its members are for ever

    def in_(self, version: Version, muted: int) -> list[tuple[Check, Case]]:
        """The rules that are about a version and not muted."""
        found = [
            (one.tell, one.case)
            for one in self.rules
            if one.rule
            and one.case
            and not one.rule.mute & muted
            and (not one.rule.versions or version in one.rule.versions)
        ]
        self.by[id(version) + muted] = found
        return found


class Bus:
    """Who wants to be told of what. `run` is told which rules are to look at something."""

    def __init__(self) -> None:
        self.run: Callable[[list[tuple[Check, Case]], Any], None] = _run_plainly
        self._wanted: defaultdict[str | type[Happening], list[_Subscription]] = defaultdict(list)
        self._plans: defaultdict[str, dict[str, _Plan]] = defaultdict(dict)  # by phase and name
        self._by_type: dict[type[Happening], _Plan] = {}

    def subscribe(self, on: On | tuple[On, ...], tell: Tell) -> None:
        """Tells `tell` of everything that `on` names, in the order of subscription."""
        self._add(on, tell, None, None)

    def subscribe_rule(self, rule: Rule, case: Case) -> None:
        """Lets a rule look at what it wants to, when nothing mutes it."""
        self._add(rule.on, rule.check, rule, case)

    def _add(self, on: On | tuple[On, ...], tell: Any, rule: Rule | None, case: Case | None) -> None:
        for one in (on,) if isinstance(on, type | Trigger) else on:
            name, names = (one.phase, one.names) if isinstance(one, Trigger) else (one, ())
            self._wanted[name].append(_Subscription(names, tell, rule, case))
        self._plans.clear()
        self._by_type.clear()

    def exchange(self, phase: str, x: Exchange) -> None:
        """Tells of a CALL that is asked, answered or unanswered."""
        plan = self._plans[phase].get(x.action)
        if plan is None:
            plan = self._planned(phase, x.action)
        for tell in plan.plain:
            tell(x)
        if plan.rules:
            station, link = x.station, x.link
            muted, gap = 0, link.gap_ns
            if gap is not None and (x.time_ns - gap <= AROUND_GAP_NS or gap >= x.asked_ns - AROUND_GAP_NS):
                muted = _GAP
            if station.known_ns is None:
                muted |= _MIDSTREAM
            if x.replayed:
                muted |= _REPLAY
            version = link.connection.version
            rules = plan.by.get(id(version) + muted)
            if rules is None:
                rules = plan.in_(version, muted)
            if rules:
                self.run(rules, x)

    def happens(self, happening: Happening) -> None:
        """Tells of anything else."""
        plan = self._by_type.get(type(happening))
        if plan is None:
            plan = self._by_type[type(happening)] = _Plan(self._wanted[type(happening)])
        self._tell(plan, happening)

    def objection(self, happening: Objected) -> None:
        """Tells of a problem."""
        code = happening.problem.code
        self._tell(self._plans["problem"].get(code) or self._planned("problem", code), happening)
        self.happens(happening)

    def _tell(self, plan: _Plan, happening: Happening) -> None:
        for tell in plan.plain:
            tell(happening)
        if plan.rules:
            station, link = happening.station, happening.link
            muted = _muted(station, link, happening)
            version = station.version if link is None else link.connection.version
            rules = plan.by.get(id(version) + muted)
            if rules is None:
                rules = plan.in_(version, muted)
            if rules:
                self.run(rules, happening)

    def _planned(self, phase: str, name: str) -> _Plan:
        plans = self._plans[phase]
        plan = _Plan([one for one in self._wanted[phase] if one.is_called(name)])
        if len(plans) < MAX_NAMES:
            plans[name] = plan
        return plan


def _muted(station: Station, link: Link | None, happening: Happening) -> int:
    """What may have caused something that only looks like a fault."""
    gap = None if link is None else link.gap_ns
    muted = _GAP if gap is not None and happening.time_ns - gap <= AROUND_GAP_NS else 0
    if station.known_ns is None:
        muted |= _MIDSTREAM
    exchange: Exchange | None = getattr(happening, "exchange", None)
    return muted | _REPLAY if exchange is not None and exchange.replayed else muted


def _run_plainly(rules: list[tuple[Check, Case]], what: Any) -> None:
    for check, case in rules:
        check(what, case)
