"""A page a transaction: what happened to it, its energy and power over time, the limits in force, its messages.

`Pages` follows the bus and gives frozen pages at any moment; who shows them sees nothing of the state behind them.
Texts of a page hold what came from the wire as it was, cut to a length.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ocppscope.analysis.happenings import (
    ProfileSet,
    Sampled,
    StatusChanged,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdated,
    answered,
)
from ocppscope.analysis.state.charging import limit_at
from ocppscope.analysis.state.metering import Role
from ocppscope.analysis.state.transactions import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.happenings import Happening
    from ocppscope.analysis.state.metering import Sample
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Place, Station

MAX_PAGES = 1000
"""Transactions that have a page; of more, the oldest that are over have none."""
MAX_SETTLING = 64
"""Transactions that are over and still followed, the latest; what comes later changes no page of theirs."""
MAX_STEPS = 48
"""Steps of a transaction that are kept from its beginning, and as many from its end; messages likewise."""
MAX_POINTS = 512
"""Points of a curve; of more, two neighbours become one."""
MAX_LIMITS = 256
"""Changes of the limit in force that are kept, the first ones."""
MAX_NAMES = 4096
"""Messages of a transaction by which findings are told to concern it, the first ones."""
MAX_PLACES = 1 << 14
"""Connectors of which it is known what transaction was there last."""
MAX_WORDS = 120
"""Characters of what a step says."""
AROUND_NS = 600_000_000_000
"""How long before a transaction, and after it, a connector's status belongs to it."""
MAX_BEFORE = 4
"""Statuses before a transaction that are kept, the latest."""
BELIEVED_NS = 86_400_000_000_000
"""How far a sample's timestamp may be from its arrival, or from the start, to be believed."""

_STATION_ONLY = 0


class Step(Struct, frozen=True):
    """Something that happened to a transaction."""

    ref: Ref
    kind: str  # "start", "stop", "status", "charging", "profile", "remote", "message"
    text: str
    replayed: bool = False


class Curve(Struct, frozen=True):
    """A figure over time, by the capture's clock. Not to be changed."""

    times: array[int]
    values: array[float]


class LimitStep(NamedTuple):
    """The limit in force from then on; `watts` None: none is known."""

    time_ns: int
    watts: float | None
    text: str  # as it was set: "16 A"
    is_certain: bool


class TransactionPage(Struct, frozen=True):
    """One transaction as it stands. Times are arrivals; energy in Wh, power in W, None where nothing is known."""

    number: int  # in the order in which they were heard of
    station: str
    place: Place
    is_2x: bool
    id: str
    tag: str
    verdict: str  # what the CSMS said of the tag
    started_ns: int | None  # None: before the capture
    stopped_ns: int | None
    last_ns: int
    duration_ns: int | None
    energy_wh: float | None
    peak_w: float | None
    reason: str
    charging_state: str
    is_open: bool
    superseded: bool
    replayed: bool
    samples: int
    steps: tuple[Step, ...]
    steps_left_out: int  # between the first half and the second one
    messages: tuple[Step, ...]
    messages_left_out: int
    energy: Curve
    power: Curve
    limits: tuple[LimitStep, ...]
    names: array[int]  # its messages, as `name_of` makes them

    @property
    def begins_ns(self) -> int:
        """When it was first heard of."""
        if self.started_ns is not None:
            return self.started_ns
        return self.messages[0].ref.time_ns if self.messages else self.last_ns

    @property
    def mean_w(self) -> float | None:
        """Energy by duration."""
        if self.energy_wh is None or not self.duration_ns or self.duration_ns < 0:
            return None
        return self.energy_wh * 3.6e12 / self.duration_ns


class Transactions(NamedTuple):
    """All pages, in the order in which their transactions were heard of."""

    pages: tuple[TransactionPage, ...] = ()
    not_kept: int = 0


NO_TRANSACTIONS = Transactions()


def name_of(connection: int, ordinal: int) -> int:
    """A message's name as one number."""
    return connection << 32 | ordinal & 0xFFFF_FFFF


def concerning(pages: Iterable[TransactionPage], findings: Iterable[Finding]) -> dict[int, tuple[Finding, ...]]:
    """The findings whose evidence names a message of a transaction, by the number of its page; in the order given."""
    by_name: dict[int, list[Finding]] = {}
    for finding in findings:
        for ref in finding.evidence:
            if ref.ordinal >= 0:
                by_name.setdefault(name_of(ref.connection, ref.ordinal), []).append(finding)
    places = {finding.number: at for at, finding in enumerate(findings)} if by_name else {}
    found: dict[int, tuple[Finding, ...]] = {}
    for page in pages:
        mine = {one.number: one for name in page.names if name in by_name for one in by_name[name]}
        if mine:
            found[page.number] = tuple(sorted(mine.values(), key=lambda one: places.get(one.number, 0)))
    return found


class _Both:
    """The first steps and the last ones."""

    __slots__ = ("first", "last", "left_out")

    def __init__(self) -> None:
        self.first: list[Step] = []
        self.last: deque[Step] = deque(maxlen=MAX_STEPS)
        self.left_out = 0

    def add(self, step: Step) -> None:
        if len(self.first) < MAX_STEPS:
            self.first.append(step)
            return
        self.left_out += len(self.last) == MAX_STEPS
        self.last.append(step)

    def again(self, step: Step) -> bool:
        """Whether the latest is about the same message; then this one takes its place if it says more."""
        kept = self.last or self.first
        if not kept or kept[-1].ref[1:3] != step.ref[1:3]:
            return False
        if len(step.text) > len(kept[-1].text):
            kept[-1] = step
        return True

    def all(self) -> tuple[Step, ...]:
        return (*self.first, *self.last)


class _Points:
    """A curve in the making. With `high`, of two points that become one the higher is kept, else the later."""

    __slots__ = ("_high", "most", "times", "values")

    def __init__(self, *, high: bool) -> None:
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")
        self.most: float | None = None
        self._high = high

    def add(self, time_ns: int, value: float) -> None:
        self.most = value if self.most is None else max(self.most, value)
        at = bisect_right(self.times, time_ns) if self.times and self.times[-1] > time_ns else len(self.times)
        self.times.insert(at, time_ns)
        self.values.insert(at, value)
        if len(self.times) > MAX_POINTS:
            self._thin()

    def _thin(self) -> None:
        times, values = self.times, self.values
        pairs = range(1, len(times) - 1, 2)
        kept = [0]  # the first point stays
        kept += [at if self._high and values[at] > values[at + 1] else at + 1 for at in pairs]
        if len(times) % 2 == 0:
            kept.append(len(times) - 1)
        self.times = array("q", [times[at] for at in kept])
        self.values = array("d", [values[at] for at in kept])

    def frozen(self) -> Curve:
        return Curve(self.times[:], self.values[:])


class _Draft:
    """A transaction that is followed."""

    __slots__ = (
        "charging_state", "energy", "is_changed", "limits", "messages", "names", "number", "page", "power", "seen",
        "station", "steps", "transaction",
    )  # fmt: skip

    def __init__(self, number: int, transaction: Transaction, station: Station) -> None:
        self.number = number
        self.transaction = transaction
        self.station = station
        self.steps, self.messages = _Both(), _Both()
        self.energy, self.power = _Points(high=False), _Points(high=True)
        self.limits: list[LimitStep] = []
        self.names: array[int] = array("q")
        self.charging_state = ""
        self.is_changed = True
        self.seen: list[tuple[int, float] | None] = [None, None]  # the latest energy and power that were taken
        self.page: TransactionPage | None = None

    def step(self, ref: Ref, kind: str, text: str, *, replayed: bool = False) -> None:
        self.is_changed = True
        self.steps.add(Step(ref, kind, text[:MAX_WORDS], replayed))
        self._name(ref)

    def message(self, x: Exchange, text: str) -> None:
        self.is_changed = True
        one = Step(x.ref, "message", text[:MAX_WORDS], x.replayed)
        if not self.messages.again(one):
            self.messages.add(one)
            self._name(one.ref)

    def _name(self, ref: Ref) -> None:
        if ref.ordinal >= 0 and len(self.names) < MAX_NAMES:
            self.names.append(name_of(ref.connection, ref.ordinal))

    def limit(self, now: int) -> None:
        """Asks which limit is in force."""
        number = self.transaction.place[0]
        if number <= _STATION_ONLY or len(self.limits) >= MAX_LIMITS:
            return
        limit = limit_at(self.station, number, now)
        watts, text, certain = (None, "", True) if limit is None else (limit.watts, limit.text, limit.is_certain)
        before = self.limits[-1] if self.limits else None
        if before is None and limit is None:
            return
        if before is None or (before.watts, before.text, before.is_certain) != (watts, text, certain):
            since = now if limit is None else min(max(limit.since_ns, before.time_ns if before else 0), now)
            self.limits.append(LimitStep(since, watts, text, certain))
            self.is_changed = True

    @property
    def is_metered(self) -> bool:
        """Whether the state keeps all that a curve is made of, so that samples need not be read again."""
        return bool(self.transaction.power) and bool(self.transaction.energy)

    def latest(self) -> Iterator[tuple[int, Role, float]]:
        """What an ordinary message added to the readings of the transaction."""
        one = self.transaction
        skew = self.station.clock.station_time(0)
        for place, role, readings in ((0, Role.MAIN, one.energy), (1, Role.POWER, one.power)):
            if readings[-1] != self.seen[place]:
                self.seen[place] = readings[-1]
                at, value = readings[-1]
                yield at - skew if abs(at - skew - one.last_ns) < BELIEVED_NS else one.last_ns, role, value

    def freeze(self) -> TransactionPage:
        """The page as it is now."""
        if self.page is None or self.is_changed:
            self.page, self.is_changed = self._frozen(), False
        return self.page

    def _frozen(self) -> TransactionPage:
        one = self.transaction
        replayed = any(x is not None and x.replayed for x in (one.start, one.stop))
        steps = tuple(sorted(self.steps.all(), key=lambda step: step.ref.time_ns))
        return TransactionPage(
            self.number, self.station.identity, one.place, self.station.is_2x, one.id, one.tag,
            one.verdict[:MAX_WORDS], one.started_ns, one.stopped_ns, one.last_ns, one.duration_ns, one.energy_wh,
            self.power.most, one.reason[:MAX_WORDS], self.charging_state, one.is_open, one.superseded, replayed,
            one.samples, steps, self.steps.left_out, self.messages.all(), self.messages.left_out,
            self.energy.frozen(), self.power.frozen(), tuple(self.limits), self.names[:],
        )  # fmt: skip


class Pages:
    """The pages of what is told on a bus. Made after the `Diagnosis`, or the `Stations`, of the same bus."""

    def __init__(self, bus: Bus) -> None:
        self._drafts: dict[Transaction, _Draft] = {}
        self._over: deque[Transaction] = deque()  # followed and stopped, oldest first
        self._frozen: dict[int, TransactionPage] = {}
        self._at: dict[tuple[str, int], _Draft] = {}  # by station and connector or EVSE, the latest there
        self._count = 0
        self._not_kept = 0
        bus.subscribe(TransactionStarted, self._started)
        bus.subscribe(TransactionUpdated, self._updated)
        bus.subscribe(TransactionStopped, self._stopped)
        bus.subscribe(Sampled, self._sampled)
        bus.subscribe(StatusChanged, self._status)
        bus.subscribe(ProfileSet, self._profile)
        bus.subscribe(answered("RemoteStopTransaction", "RequestStopTransaction"), self._stop_asked)

    def snapshot(self) -> Transactions:
        """All pages as they are now."""
        found = {**self._frozen, **{one.number: one.freeze() for one in self._drafts.values()}}
        return Transactions(tuple(found[number] for number in sorted(found)), self._not_kept)

    # --- what is followed -----------------------------------------------------------------------------------------

    def _draft(self, what: Happening, transaction: Transaction) -> _Draft | None:
        """The draft of a transaction; None of one that was over long ago."""
        found = self._drafts.get(transaction)
        if found is not None:
            return found
        if not transaction.is_open and not isinstance(what, TransactionStopped):
            return None
        found = self._drafts[transaction] = _Draft(self._count, transaction, what.station)
        self._count += 1
        self._shrink()
        return found

    def _shrink(self) -> None:
        if len(self._drafts) + len(self._frozen) <= MAX_PAGES:
            return
        if not self._frozen and self._over:
            self._freeze()
        if self._frozen:
            del self._frozen[next(iter(self._frozen))]
        else:
            del self._drafts[next(iter(self._drafts))]
        self._not_kept += 1

    def _freeze(self) -> None:
        draft = self._drafts.pop(self._over.popleft(), None)
        if draft is not None:
            self._frozen[draft.number] = draft.freeze()

    def _stands(self, draft: _Draft) -> None:
        """It is the latest at its place."""
        number = draft.transaction.place[0]
        if number > _STATION_ONLY:
            key = draft.station.identity, number
            self._at.pop(key, None)
            self._at[key] = draft
            if len(self._at) > MAX_PLACES:
                del self._at[next(iter(self._at))]

    # --- what happens ---------------------------------------------------------------------------------------------

    def _started(self, what: TransactionStarted) -> None:
        draft = self._draft(what, what.transaction)
        if draft is None:
            return
        one, x = what.transaction, what.exchange
        for step in _before(what.station, one, self._at.get((what.station.identity, one.place[0]))):
            draft.step(*step)
        words = [f"tag {one.tag}" if one.tag else "", _energy(one.meter_start), one.verdict]
        draft.step(x.ref, "start", ", ".join(filter(None, words)), replayed=x.replayed)
        draft.message(x, "")
        self._charging(draft, x)
        self._stands(draft)
        draft.limit(what.time_ns)

    def _updated(self, what: TransactionUpdated) -> None:
        draft = self._draft(what, what.transaction)
        if draft is None:
            return
        key = what.station.identity, what.transaction.place[0]
        if key not in self._at:  # it began before the capture, or without a place
            self._stands(draft)
        draft.message(what.exchange, "")
        self._charging(draft, what.exchange)

    def _stopped(self, what: TransactionStopped) -> None:
        draft = self._draft(what, what.transaction)
        if draft is None:
            return
        one, x = what.transaction, what.exchange
        self._charging(draft, x)
        words = [one.reason, _energy(one.meter_stop)]
        draft.step(x.ref, "stop", ", ".join(filter(None, words)), replayed=x.replayed)
        draft.message(x, "")
        self._over.append(one)
        if len(self._over) > MAX_SETTLING:
            self._freeze()

    @staticmethod
    def _charging(draft: _Draft, x: Exchange) -> None:
        state = draft.transaction.charging_state[:MAX_WORDS]
        if state != draft.charging_state:
            draft.charging_state = state
            draft.step(x.ref, "charging", state, replayed=x.replayed)

    def _sampled(self, what: Sampled) -> None:
        transaction = what.transaction
        draft = None if transaction is None else self._draft(what, transaction)
        if draft is None:
            return
        x, said = what.exchange, dict[str, float]()
        for at, role, value in (
            draft.latest() if what.read is None and draft.is_metered else _readings(what.samples, x)
        ):
            (draft.energy if role is Role.MAIN else draft.power).add(at, value)
            said["energy" if role is Role.MAIN else "power"] = value
        words = [_energy(said.get("energy")), _power(said.get("power"))]
        draft.message(x, ", ".join(filter(None, words)))
        draft.limit(what.time_ns)

    def _status(self, what: StatusChanged) -> None:
        connector = what.connector
        draft = self._at.get((what.station.identity, connector.place[0]))
        if draft is None or connector.previous == connector.status:
            return
        there, now = draft.transaction.place[1], draft.transaction.stopped_ns
        if (there and connector.place[1] not in (0, there)) or (now is not None and what.time_ns - now > AROUND_NS):
            return
        error = "" if connector.error in ("", "NoError") else f", {connector.error}"
        draft.step(what.exchange.ref, "status", f"{connector.status}{error}", replayed=what.exchange.replayed)

    def _profile(self, what: ProfileSet) -> None:
        one, x = what.installed, what.exchange
        there = self._at.get((what.station.identity, one.number))
        for draft in list(self._drafts.values()) if not one.number else [there] if there else []:
            if draft.station is what.station and draft.transaction.is_open:
                text = f"{one.purpose or 'charging profile'}: {x.error or x.status or 'no answer'}"
                draft.step(x.ref, "profile", text)
                draft.limit(what.time_ns)

    def _stop_asked(self, x: Exchange) -> None:
        one = x.station.transactions.get(id_of(x.asked.data.get("transactionId")))
        draft = None if one is None else self._drafts.get(one)
        if draft is not None:
            draft.step(x.ref, "remote", f"stop: {x.error or x.status}")


def _before(station: Station, one: Transaction, earlier: _Draft | None) -> Iterator[tuple[Ref, str, str]]:
    """What led to a transaction: statuses of its connector, and the CSMS that asked for it."""
    began, number = one.started_ns, one.place[0]
    if began is None:
        return
    ended = None if earlier is None else earlier.transaction.stopped_ns
    since = max(began - AROUND_NS, ended if ended is not None else 0)
    for connector in station.connectors.on_evse(number) if number > _STATION_ONLY else ():
        changes = [change for change in connector.changes if since < change.time_ns <= began]
        for change in changes[-MAX_BEFORE:]:
            yield change.ref, "status", change.status
    asked = next((x for x in reversed(station.transactions.remote_starts) if _asked_for(x, one, since)), None)
    if asked is not None:
        yield asked.ref, "remote", f"start: {asked.error or asked.status}"


def _asked_for(x: Exchange, one: Transaction, since: int) -> bool:
    if not since < x.asked_ns <= (one.started_ns or 0):
        return False
    number = x.asked.whole("remoteStartId")
    if number is not None and one.remote_start_id is not None:
        return number == one.remote_start_id
    tag = x.asked.text("idTag") or x.asked.table("idToken").text("idToken")
    return bool(tag) and tag.casefold() == one.tag.casefold()


def _readings(samples: list[Sample], x: Exchange) -> Iterator[tuple[int, Role, float]]:
    """Register and power readings with their times by the capture's clock; phases of power are added up."""
    skew = x.station.clock.station_time(x.asked_ns) - x.asked_ns
    phases: dict[int, tuple[int, float]] = {}
    whole = {one.group for one in samples if one.kind.role is Role.POWER}
    for one in samples:
        role, value = one.kind.role, one.value
        if value is None:
            continue
        at = x.asked_ns if one.time_ns is None else one.time_ns - skew
        if not -BELIEVED_NS < at - x.asked_ns < BELIEVED_NS:
            at = x.asked_ns
        if role is Role.PHASE_POWER and one.group not in whole:
            phases[one.group] = at, phases.get(one.group, (at, 0.0))[1] + value
        elif role in (Role.MAIN, Role.POWER):
            yield at, role, value
    for at, value in phases.values():
        yield at, Role.POWER, value


def _energy(wh: float | None) -> str:
    return "" if wh is None else f"{wh:,.0f} Wh"


def _power(watts: float | None) -> str:
    return "" if watts is None else f"{watts:,.0f} W"
