"""Runs the rules on what happens, and makes findings of what they say.

diagnosis = Diagnosis()
for batch in …: diagnosis.take(batch)
diagnosis.finish(now)
for finding in diagnosis.findings(): …
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ocppscope.analysis.bus import Bus
from ocppscope.analysis.chains import explained
from ocppscope.analysis.finding import MAX_EVIDENCE, Blame, Finding, Ref, Severity
from ocppscope.analysis.quirks import Quirks
from ocppscope.analysis.registry import Limit, Mute, Rule, load
from ocppscope.analysis.settings import Settings
from ocppscope.analysis.stations import Stations
from ocppscope.analysis.wording import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocppscope.analysis.registry import Case, Check, Told
    from ocppscope.analysis.station import Station
    from ocppscope.model import Event

MAX_KEYS = 64
"""Findings of one rule and one station that are told apart; of more, the rest is counted as one."""
MAX_FINDINGS = 20_000
"""Findings of a diagnosis; rules that would add more are counted."""
MAX_CONNECTIONS = 16
"""Connections that a finding names; the first ones."""
MAX_WAITING = 1 << 17
"""Rules that sleep at the same time; of more, the newest do not."""
MAX_SLEEPS = 10_000
"""Times that one run of a rule may sleep."""

MAX_TEXT = 600
"""Characters of what a rule says."""

NEVER = 1 << 63
_OTHERS = "\0others"

Marks = Callable[[Rule, Severity, str, tuple[Ref, ...]], None]
"""Is told what a rule found, how bad it is, the sentence, and where."""


class _Open:
    """A finding in the making."""

    __slots__ = (
        "blame",
        "connections",
        "count",
        "first_ns",
        "has_more",
        "last_ns",
        "measured",
        "refs",
        "rule",
        "severity",
        "station",
        "text",
        "vantage",
    )

    def __init__(self, rule: Rule, station: Station, now: int) -> None:
        self.rule = rule
        self.station = station.identity
        self.vantage = station.vantage
        self.severity = Severity.NOTE
        self.text = ""
        self.blame = rule.blame
        self.first_ns = self.last_ns = now
        self.count = 0
        self.refs: list[Ref] = []
        self.connections: dict[int, None] = {}
        self.has_more = False  # connections
        self.measured: dict[str, str] = {}

    def say(self, text: str, severity: Severity, blame: Blame, measured: dict[str, str], *, latest: bool) -> None:
        """What it says is what the worst of them said, of equals the first, or the `latest`."""
        if not self.text or severity > self.severity or (latest and severity == self.severity):
            self.text, self.severity, self.blame, self.measured = text, severity, blame, measured

    def add(self, since: int, now: int, refs: tuple[Ref, ...], *, once: bool) -> None:
        """It happened again, or it goes on: then it counts `once`, and the last place is the latest."""
        self.count = 1 if once else self.count + 1
        self.first_ns, self.last_ns = min(self.first_ns, since), max(self.last_ns, now)
        for ref in refs:
            if ref not in self.refs:
                if once and len(self.refs) >= MAX_EVIDENCE:
                    self.refs.pop()
                if len(self.refs) < MAX_EVIDENCE:
                    self.refs.append(ref)
            if ref.connection >= 0 and ref.connection not in self.connections:
                if len(self.connections) < MAX_CONNECTIONS:
                    self.connections[ref.connection] = None
                else:
                    self.has_more = True


class _Case:
    """A rule at work. Implements `registry.Case`."""

    __slots__ = ("_diagnosis", "_limits", "rule")

    def __init__(self, diagnosis: Diagnosis, rule: Rule, limits: Mapping[str, float]) -> None:
        self._diagnosis = diagnosis
        self.rule = rule
        self._limits = {
            name: Limit(limits.get(name, one.value), one.unit, one.meaning).scaled
            for name, one in rule.limits.items()
        }

    @property
    def now(self) -> int:
        """The time of the capture."""
        return self._diagnosis.now

    def __getitem__(self, name: str) -> Any:
        return self._limits[name]

    def memory(self, station: Station) -> dict[Any, Any]:
        """What this rule keeps of a station."""
        found = station.memories.get(self.rule.id)
        if found is None:
            found = station.memories[self.rule.id] = {}
        return found

    def let_go(self) -> None:
        """Counts something that was waited for and is not any more, since it is too much; the report says so."""
        self._diagnosis.not_kept += 1

    def find(
        self, text: str, at: Told, *, severity: Severity | None = None, blame: Blame | None = None, key: object = "",
        refs: tuple[Ref, ...] = (), measured: dict[str, str] | None = None, since_ns: int | None = None,
        latest: bool = False, once: bool = False,
    ) -> None:  # fmt: skip
        """Says what was found."""
        finding = self._diagnosis.finding(self.rule, at.station, key, self.now)
        severity = self.rule.severity if severity is None else severity
        places = refs or at.refs
        if not text.isprintable() or len(text) > MAX_TEXT:
            text = cut("".join(char if char.isprintable() else "\ufffd" for char in text[: MAX_TEXT + 1]), MAX_TEXT)
        if finding is not None:
            blame = self.rule.blame if blame is None else blame
            finding.say(text, severity, blame, measured or {}, latest=latest or once)
            finding.add(self.now if since_ns is None else since_ns, self.now, places, once=once)
        if self._diagnosis.marks is not None:
            self._diagnosis.marks(self.rule, severity, text, places)


class _Sleeper(Struct):
    """A rule that waits."""

    run: Iterator[int]
    case: _Case
    station: Station
    since_ns: int
    sleeps: int = 0


class Diagnosis:
    """Findings about the stations of a capture. `stations` is the state behind them."""

    def __init__(
        self, settings: Settings | None = None, bus: Bus | None = None, marks: Marks | None = None,
        rules: Mapping[str, Rule] | None = None,
    ) -> None:  # fmt: skip
        """`bus` may have other subscribers, as the timing figures; `marks` is told of each single occurrence."""
        self.marks = marks
        self.settings = settings or Settings()
        self.bus = bus or Bus()
        self.stations = Stations(self.bus, self._wake, self.settings.vantage)
        self.failures: dict[str, str] = {}  # rules that failed, which is a fault of ours, and how
        self.not_kept = 0
        self.now = 0
        self._open: dict[tuple[str, str, object], _Open] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._sleeping: list[tuple[int, int, _Sleeper]] = []
        self._order = count()
        self._quirks = Quirks()
        for one in self._wanted(load() if rules is None else rules):
            self.bus.subscribe_rule(one, _Case(self, one, self.settings.limits.get(one.id, {})))
        self.bus.run = self._run

    def take(self, events: Iterable[Event]) -> None:
        """What the engine found next."""
        self.stations.take(events)

    def finish(self, now: int) -> None:
        """The capture is over. What rules still wait for stays open and is no finding."""
        self.stations.finish(now)
        self._sleeping.clear()

    def findings(self) -> list[Finding]:
        """What was found so far: roots first, each with what it explains after it; the worst first."""
        known = self.stations.by_identity
        found = [
            Finding(
                number, one.rule.id, one.severity, one.station, tuple(one.connections), one.text, one.blame,
                one.first_ns, one.last_ns, one.count, tuple(one.refs), one.measured,
                known[one.station].vantage if one.station in known else one.vantage,
                has_more_connections=one.has_more,
            )
            for number, one in enumerate(self._open.values())
        ]  # fmt: skip
        return explained(
            [
                self._quirks.annotate(one, known[one.station].registration if one.station in known else None)
                for one in found
            ]
        )

    def finding(self, rule: Rule, station: Station, key: object, now: int) -> _Open | None:
        """The finding that one more occurrence belongs to; None if there are too many."""
        name = rule.id, station.identity, key
        found = self._open.get(name)
        if found is not None:
            return found
        keys = self._keys.get(name[:2], 0)
        if keys >= MAX_KEYS:
            name = rule.id, station.identity, _OTHERS
            if name in self._open:
                return self._open[name]
        if len(self._open) >= MAX_FINDINGS:
            self.not_kept += 1
            return None
        self._keys[name[:2]] = keys + 1
        found = self._open[name] = _Open(rule, station, now)
        return found

    # --- rules ----------------------------------------------------------------------------------------------------

    def _wanted(self, rules: Mapping[str, Rule]) -> list[Rule]:
        settings = self.settings
        return [
            one for one in rules.values()
            if one.id not in settings.disabled and (not settings.only or one.id in settings.only)
        ]  # fmt: skip

    def _run(self, rules: list[tuple[Check, Case]], what: Any) -> None:
        """Lets rules look at what happens. One that fails is left out, and it is said; the others go on."""
        self.now = now = what.time_ns
        left = iter(rules)
        while True:
            case: Any = None
            try:
                for check, case in left:
                    run = check(what, case)
                    if run is not None:
                        self._sleep(_Sleeper(run, case, what.station, now), now)
                return
            except Exception as error:
                self._failed(case.rule, error)

    def _sleep(self, sleeper: _Sleeper, now: int) -> None:
        for wait in sleeper.run:
            sleeper.sleeps += 1
            if len(self._sleeping) >= MAX_WAITING or sleeper.sleeps > MAX_SLEEPS:
                self.not_kept += 1
            else:
                due = now + max(0, wait)
                heapq.heappush(self._sleeping, (due, next(self._order), sleeper))
                self.stations.due_ns = min(self.stations.due_ns, due)
            return

    def _wake(self, now: int) -> None:
        """Lets the rules go on whose time has come."""
        sleeping = self._sleeping
        while sleeping and sleeping[0][0] <= now:
            due, _, sleeper = heapq.heappop(sleeping)
            case = sleeper.case
            station = sleeper.station
            if not station.is_followed or (case.rule.mute & Mute.GAP and station.gap_since(sleeper.since_ns)):
                continue
            self.now = due
            try:
                self._sleep(sleeper, due)
            except Exception as error:
                self._failed(case.rule, error)
        self.stations.due_ns = sleeping[0][0] if sleeping else NEVER

    def _failed(self, rule: Rule, error: Exception) -> None:
        self.failures.setdefault(rule.id, f"{type(error).__name__}: {str(error)[:200]!a}")
