"""Every exchange, counted once: how long answers took, how many there were, how large.

This is told of each message, so it does little: what can be worked out later is worked out in `settle`.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import Controlled, answered, asked, overlapping, repeated, unanswered
from ocppscope.analysis.timing.figures import MINUTE, Kind, Limits, Unit, above, figure
from ocppscope.analysis.timing.ledger import MAX_PART, OTHERS
from ocppscope.analysis.timing.samples import LARGEST, Series, groups
from ocppscope.analysis.wording import cut
from ocppscope.model import Kind as MessageKind
from ocppscope.model import Outcome, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange, Station
    from ocppscope.analysis.timing.ledger import Key, Ledger, Person
    from ocppscope.analysis.timing.samples import Column

MAX_ACTIONS = 1 << 16
"""Actions of all stations and sides; what comes beyond is counted for other stations together."""
MAX_JOURNAL = 7 << 20
"""Bytes of exchanges, 56 each, that are noted one after the other before each station gets its own."""
MAX_NAMES = 256
"""Actions of a side of a station that are told apart; what comes beyond is counted together."""
MAX_NOTED = 4096
"""Exchanges that wait until they are written down."""
MAX_RESENT = 1 << 14
"""Repeated CALLs whose answers are waited for; of more, the answers to the oldest are measured like any other."""
CLOSE = 8
LATE = Outcome.LATE
LARGE = 16 << 10
"""Bytes from which a message is remarkable: many stations have no larger buffers."""

LATENCY = figure(
    "latency", "latency", "Latency", Unit.TIME,
    "From the last byte of a CALL to the last byte of its answer, where the capture was made. Answers to repeated "
    "CALLs, to old messages of an offline queue, and answers after captured bytes went missing are counted, not "
    "measured. A CALL timed out if nothing answered it within --timeout; it is late if something did afterwards. "
    "`not_followed` counts repeated CALLs whose answers may have been measured, since there were too many.",
    split=("action", "from"), limits=above(5, 10, 30), alarms={"timeouts": Severity.ERROR}, pooled=True,
)  # fmt: skip
PROCESSING = figure(
    "processing", "latency", "Processing time", Unit.TIME,
    "Latency less the quickest TCP round trip between the place of the capture and the side that answers. Only "
    "where that was measured. Delayed ACKs do not count, since the quickest is taken.",
    split=("action", "from"), pooled=True, quiet=True,
)  # fmt: skip
AUTHORIZE = figure(
    "authorize", "latency", "Authorize, driver waits", Unit.TIME,
    "From an Authorize CALL to its result: the driver stands there.",
    limits=above(1, 2, 10),
)  # fmt: skip
GIVEN_UP = figure(
    "outstanding", "latency", "Never answered, age", Unit.TIME,
    "How old CALLs without an answer were when their connection or the capture ended, or when their id was used "
    "again.",
    split=("action", "from"), pooled=True,
)  # fmt: skip
CONCURRENCY = figure(
    "concurrency", "latency", "CALLs at the same time", Unit.COUNT,
    "How many CALLs of one side waited for their answers on the average while the station was connected; `peak` is "
    "the most on one connection. OCPP allows one.",
    kind=Kind.RATE, split=("from",), limits=Limits(note=1, of="peak"),
)  # fmt: skip
RESENT = figure(
    "repeated-calls", "volume", "Repeated CALLs", Unit.PERCENT,
    "CALLs that repeat an earlier one with the same id and content.",
    kind=Kind.SHARE, split=("action", "from"), limits=Limits(warning=2, least=20), pooled=True, scale=100,
)  # fmt: skip
RATE = figure(
    "message-rate", "volume", "Messages", Unit.PER_MINUTE,
    "Messages (CALLs of an action and their answers) a minute of connected time; `peak_per_min` is the most in a "
    "minute of one station.",
    kind=Kind.RATE, split=("action", "from"), pooled=True, scale=MINUTE,
)  # fmt: skip
BYTES = figure(
    "text-bytes", "volume", "Message text", Unit.BYTES,
    "Bytes of the messages' texts, uncompressed, by action and who asked; answers included.",
    kind=Kind.TOTAL, split=("action", "from"), pooled=True,
)  # fmt: skip
SIZE = figure(
    "message-size", "volume", "Message size", Unit.BYTES,
    "Bytes of a message's text, uncompressed, by action and who sent it.",
    split=("action", "from"), limits=Limits(note=LARGE), pooled=True,
)  # fmt: skip

HEARD = figure(
    "heard", "connections", "Heard", Unit.PERCENT,
    "Time in which the last message, ping or pong of the station's connection is no older than twice the heartbeat "
    "interval, of the time since it was first heard of; n is the minutes of that, and nothing is flagged before ten. "
    "Only where the interval is known.",
    kind=Kind.SHARE, limits=Limits(warning=99, of="value", below=True, least=10), scale=100,
)  # fmt: skip


class Action:
    """One action that one side of one station asks for."""

    __slots__ = (
        "answer_octets", "answer_sizes", "answers", "asks", "code", "in_minute", "latencies", "minute", "octets",
        "other_ns", "peak", "resent", "sizes",
    )  # fmt: skip

    def __init__(self, code: int, latencies: Column) -> None:
        self.code = code
        self.latencies = latencies
        self.sizes, self.answer_sizes = Series(), Series()
        self.asks = self.answers = self.resent = 0  # CALLs without an answer and SENDs; CALLs with one; repeated ones
        self.octets = self.answer_octets = 0  # of the CALLs' texts, of their answers'
        self.other_ns = 0  # how long CALLs waited that are not measured
        self.minute = -1
        self.in_minute = 0  # exchanges in it
        self.peak = 0  # the most

    def take(self, rows: NDArray[np.int64]) -> None:
        """More exchanges: the columns of the journal."""
        times, latencies, measured = rows[ENDED_NS], rows[LATENCY_NS], rows[MEASURED] > 0
        self.answers += len(times)
        if not measured.all():
            self.other_ns += int(latencies[~measured].sum())
            self.latencies.extend(latencies[measured], times[measured])
        else:
            self.latencies.extend(latencies, times)
        self.sizes.extend(rows[SIZE_B], times)
        self.answer_sizes.extend(rows[ANSWER_B], times)
        self.octets += int(rows[SIZE_B].sum())
        self.answer_octets += int(rows[ANSWER_B].sum())
        self._count(times // MINUTE)

    def _count(self, minutes: NDArray[np.int64]) -> None:
        """Exchanges in each minute."""
        found, counts = np.unique(minutes, return_counts=True)
        if found[0] == self.minute:
            counts[0] += self.in_minute
        self.minute, self.in_minute = int(found[-1]), int(counts[-1])
        self.peak = max(self.peak, int(counts.max()))


class Talk:
    """All that one station and its CSMS asked each other."""

    __slots__ = ("actions", "first_ns", "heard_ns", "identity", "peaks", "person", "unheard_ns")

    def __init__(self, identity: str, person: Person) -> None:
        self.identity = identity
        self.person = person
        self.actions: tuple[dict[str, Action], dict[str, Action]] = ({}, {})  # by who asks
        self.peaks = [1, 1]  # CALLs at the same time
        self.first_ns: int | None = None  # when it was heard first
        self.heard_ns = 0  # and last
        self.unheard_ns = 0  # how long it was not heard although it was to be

    def hear(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """From when to when something was heard each time, in order of the ends."""
        if self.first_ns is None:
            self.first_ns = self.heard_ns = int(begins[0])
        before = np.maximum.accumulate(np.concatenate([[self.heard_ns], ends]))
        if self.person.heartbeat_ns is not None:
            quiet = begins - before[:-1] - 2 * self.person.heartbeat_ns
            self.unheard_ns += int(quiet[quiet > 0].sum())
        self.heard_ns = int(before[-1])


STATION, ACTION, LATENCY_NS, MEASURED, SIZE_B, ANSWER_B, ENDED_NS = range(7)
_ROW = Struct("7q").pack


Note = tuple["Station", Side, str | None, int, int | None, bool, int, int]
"""Who, who asked, for what (None: something else was heard), from when to when, whether measured, and both sizes."""


class ExchangeFigures:
    """Counts all exchanges of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._talks: list[Talk] = []
        self._actions: list[Action] = []
        self._talk_codes: dict[str, int] = {}  # by identity
        self._codes: tuple[dict[tuple[str, str | None], tuple[int, int]], ...] = ({}, {})  # by side, station, action
        self._resent: dict[Exchange, None] = {}  # repeated CALLs without an answer yet
        self._noted: list[Note] = []
        self._journal = bytearray()  # rows of `_ROW`
        bus.subscribe(answered(), self._answered)
        bus.subscribe(unanswered(), self._unanswered)
        bus.subscribe(repeated(), self._repeated)
        bus.subscribe(overlapping(), self._overlapping)
        bus.subscribe(asked("NotifyPeriodicEventStream"), self._sent)
        bus.subscribe(answered("Authorize"), self._authorized)
        bus.subscribe(Controlled, self._controlled)

    def _answered(self, x: Exchange) -> None:
        measured = True
        if x.link.gap_ns is not None or self._resent or x.error or x.replayed or x.outcome is LATE:
            measured = self._is_measured(x)
        self._noted.append((x.station, x.side, x.action, x.asked_ns, x.done_ns, measured, x.size, x.answer_size))
        if len(self._noted) >= MAX_NOTED:
            self._put_away()

    def _is_measured(self, x: Exchange) -> bool:
        """Counts what is unusual about an answer."""
        _, action = self._code(x.station, x.side, x.action)
        count, gap = self._actions[action].latencies.count, x.link.gap_ns
        if x.error:
            count("errors")
        if x.outcome is LATE:
            count("late")
        why = "repeated" if self._resent.pop(x, x) is None else "replayed" if x.replayed else ""
        if not why and gap is not None and gap >= x.asked_ns:
            why = "after_gap"
        if why:
            count(why)
        return not why

    def _unanswered(self, x: Exchange) -> None:
        action, now, gap = self._asked(x), x.time_ns, x.link.gap_ns
        self._resent.pop(x, None)
        action.other_ns += now - x.asked_ns
        missed = gap is not None and gap >= x.asked_ns
        action.latencies.count("unanswered_gap" if missed else "timeouts" if x.outcome is Outcome.TIMEOUT else "open")
        self._ledger.add(GIVEN_UP, x.station, now - x.asked_ns, now, x.action, x.side.label)

    def _sent(self, x: Exchange) -> None:
        if x.kind is MessageKind.SEND:
            self._asked(x)

    def _asked(self, x: Exchange) -> Action:
        """Counts what has no answer."""
        self._heard(x.station, x.asked_ns)
        _, code = self._code(x.station, x.side, x.action)
        action = self._actions[code]
        action.asks += 1
        action.octets += x.size
        action.sizes.add(x.size, x.time_ns)
        return action

    def _repeated(self, x: Exchange) -> None:
        if x.outcome is Outcome.RESENT:
            _, code = self._code(x.station, x.side, x.action)
            self._actions[code].resent += 1
            self._resent[x] = None
            if len(self._resent) > MAX_RESENT:
                oldest = next(iter(self._resent))
                del self._resent[oldest]
                _, code = self._code(oldest.station, oldest.side, oldest.action)
                self._actions[code].latencies.count("not_followed")

    def _overlapping(self, x: Exchange) -> None:
        talk, _ = self._code(x.station, x.side, x.action)
        peaks = self._talks[talk].peaks
        peaks[x.side] = max(peaks[x.side], x.concurrent + 1)

    def _controlled(self, told: Controlled) -> None:
        if told.frame.opcode != CLOSE:
            self._heard(told.station, told.time_ns)

    def _heard(self, station: Station, now: int) -> None:
        self._noted.append((station, Side.STATION, None, now, now, False, 0, 0))
        if len(self._noted) >= MAX_NOTED:
            self._put_away()

    def _authorized(self, x: Exchange) -> None:
        if x.side is Side.STATION and not x.replayed:
            self._ledger.add(AUTHORIZE, x.station, x.latency_ns or 0, x.time_ns)

    # --- codes ----------------------------------------------------------------------------------------------------

    def _code(self, station: Station, side: Side, action: str | None) -> tuple[int, int]:
        """The numbers of a station and of one of its actions, given when they are met; -1 of no action."""
        codes, identity = self._codes[side], station.identity
        found = codes.get((identity, action))
        if found is not None:
            return found
        full = len(self._actions) >= MAX_ACTIONS
        number = self._talk(station, OTHERS if full and identity not in self._talk_codes else identity)
        found = number, -1 if action is None else self._action(self._talks[number], side, action, full=full)
        if len(codes) < 2 * MAX_ACTIONS:
            codes[identity, action] = found
        return found

    def _action(self, talk: Talk, side: Side, action: str, *, full: bool) -> int:
        actions = talk.actions[side]
        name = OTHERS if full or len(actions) >= MAX_NAMES else cut(action, MAX_PART)
        found = actions.get(name)
        if found is None:
            column = self._ledger.column(LATENCY, talk.identity, name, side.label)
            found = actions[name] = Action(len(self._actions), column)
            self._actions.append(found)
        return found.code

    def _talk(self, station: Station, identity: str) -> int:
        found = self._talk_codes.get(identity)
        if found is None:
            found = self._talk_codes[identity] = len(self._talks)
            self._talks.append(Talk(identity, self._ledger.person(station)))
        return found

    def sizes(self) -> Iterator[tuple[Key, Series]]:
        """The sizes of messages, by station, action and who sent them."""
        for talk in self._talks:
            for side in Side:
                for name, action in talk.actions[side].items():
                    yield (talk.identity, name, side.label), action.sizes
                    yield (talk.identity, name, side.other.label), action.answer_sizes

    # --- what comes of it -----------------------------------------------------------------------------------------

    def _put_away(self) -> None:
        """Turns what was noted into rows of the journal: one by one they cost several times as much."""
        journal, row, codes = self._journal, _ROW, self._codes
        for station, side, action, begun, ended, measured, size, answer in self._noted:
            now = ended or begun
            if begun <= now <= LARGEST:  # not after centuries, nor while time goes backwards
                talk, code = codes[side].get((station.identity, action)) or self._code(station, side, action)
                journal += row(talk, code, now - begun, measured, size, answer, now)
        self._noted.clear()
        if len(journal) >= MAX_JOURNAL:
            self._fold()

    def _fold(self) -> None:
        """Gives each station and action its part of the journal."""
        if not self._journal:
            return
        journal = np.frombuffer(bytes(self._journal), np.int64).reshape(-1, 7)
        self._journal.clear()
        order, places = groups(journal[:, STATION])
        ends = journal[order, ENDED_NS]
        begins = ends - journal[order, LATENCY_NS]
        for code, place in places:
            self._talks[code].hear(begins[place], ends[place])
        order, places = groups(journal[:, ACTION])
        columns = journal[order].T.copy()
        for code, place in places:
            if code >= 0:
                self._actions[code].take(columns[:, place])

    def settle(self, now: int) -> None:
        """Works out what is no single measurement. Connections are settled first."""
        self._put_away()
        self._fold()
        for talk in self._talks:
            text = talk.person.text = [0, 0]
            for side in Side:
                self._settle(talk, side, text)
            heartbeat, observed = talk.person.heartbeat_ns, 0 if talk.first_ns is None else now - talk.first_ns
            if heartbeat is not None and observed > 0:
                unheard = talk.unheard_ns + max(0, now - talk.heard_ns - 2 * heartbeat)
                self._ledger.portion(HEARD, talk.identity).set(observed - unheard, observed, -(-observed // MINUTE))

    def _settle(self, talk: Talk, side: Side, text: list[int]) -> None:
        busy, exchanges, connected = 0, 0, talk.person.connected_ns
        for name, action in talk.actions[side].items():
            messages, calls = 2 * action.answers + action.asks, action.answers + action.asks
            rate = self._ledger.portion(RATE, talk.identity, name, side.label)
            rate.set(messages, connected, messages)
            rate.most("peak_per_min", 2 * action.peak)
            octets = action.octets + action.answer_octets
            self._ledger.portion(BYTES, talk.identity, name, side.label).set(octets, 1, messages)
            text[side] += action.octets
            text[side.other] += action.answer_octets
            if action.resent:
                self._ledger.portion(RESENT, talk.identity, name, side.label).set(action.resent, calls, calls)
            busy += action.other_ns + int(sum(action.latencies.values))
            exchanges += calls
        if exchanges:
            concurrency = self._ledger.portion(CONCURRENCY, talk.identity, side.label)
            concurrency.set(busy, connected, exchanges)
            concurrency.most("peak", talk.peaks[side])
