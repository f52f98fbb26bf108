"""What is known of charging transactions: one, and those of a station; how they are found by id and place.

`transaction_tracker` fills it in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocppscope.analysis.latest import Latest
from ocppscope.analysis.payload import Payload
from ocppscope.analysis.state.meters import Meter
from ocppscope.analysis.state.readings import Readings

if TYPE_CHECKING:
    from ocppscope.analysis.station import Exchange, Link, Place

MAX_TRANSACTIONS = 64
"""Transactions of a station that are remembered, the latest."""
MAX_MEASURED = 8
"""Transactions of a station, the latest, of which the readings are remembered after they have stopped."""
MAX_MEASURED_IN_ALL = 1 << 13
"""The same of all stations together."""
MAX_SAMPLED_IN_ALL = 64
"""Transactions of all stations together, the latest that have stopped, of which messages keep their samples."""
MAX_READINGS = 512
"""Register and power readings of a transaction that are remembered, the latest."""
MAX_REMOTE = 32
"""Remote starts and stops of a station that are remembered, the latest."""
MAX_STARTS = 8
"""Times that the start of a transaction was sent which are remembered, the latest; and ids that it was given."""
MAX_MISSING = 256
"""seqNos of a transaction that are remembered as missing, the first ones; the count goes on."""
MAX_PLACES = 64
"""Connectors and EVSEs of a station whose latest timestamps are remembered, and of which is known what goes on."""
MAX_RECENT = 32
"""TransactionEvents of a transaction that are recognised when they are sent again, the latest."""

Sign = tuple[int, int | None, str]
"""What a TransactionEvent is known again by: seqNo, timestamp and eventType."""
Told = tuple[int, int, str, int, int, int]
"""What a `Stamped` is made of. To keep messages themselves would cost more than anything that is done with them."""
MAX_ID = 255
"""Characters of a transaction id, a token or a word; the schemas allow 36, of a token in OCPP 2.1 255."""
HUGE = 1 << 64
"""Numbers from which on they are no ids and no seqNos."""

_TAKEN = "", "Accepted"

NO_IDS = frozenset({"", "-1", "0"})
"""What 1.6 stations send where they have no transactionId (errata 3.18 allows -1)."""

_NONE: Latest[Any] = Latest(0)
_NO_READINGS = Readings(0)
_MEASURED = "meterValue", "transactionData"


class Transaction:
    """One transaction. Times are arrivals unless they are called stamps, which are the station's own."""

    __slots__ = (
        "charging_state", "energy", "evse_repeated", "first_seq", "id", "last_ns", "last_seq", "link", "meter",
        "meter_start", "meter_stop", "missing", "missing_seqs", "offline", "other_ids", "place", "power", "reason",
        "recent", "remote_start_id", "samples", "seqs", "start", "start_stamp_ns", "started_ns", "starts", "step",
        "stop", "stop_stamp_ns", "stopped_ns", "superseded", "tag", "told", "verdict",
    )  # fmt: skip

    def __init__(self, place: Place, link: Link, id_: str = "") -> None:
        self.id = id_  # "" until the CSMS gave one (1.6); of several that it gave, the latest
        self.other_ids: tuple[str, ...] = ()  # 1.6: ids that it was given before, when its start was sent again
        self.place = place
        self.link = link  # where it was last heard of
        self.tag = ""  # idTag or idToken that started it, its first characters
        self.start: Exchange | None = None  # the latest that said it; None: its start is not in the capture
        self.starts: Latest[Exchange] = Latest(MAX_STARTS)  # all that said it, oldest first
        self.started_ns: int | None = None
        self.start_stamp_ns: int | None = None
        self.meter_start: float | None = None  # Wh
        self.stop: Exchange | None = None
        self.stopped_ns: int | None = None
        self.stop_stamp_ns: int | None = None
        self.meter_stop: float | None = None  # Wh; of 2.x the last register
        self.reason = ""  # reason, stoppedReason
        self.charging_state = ""  # 2.x
        self.remote_start_id: int | None = None  # 2.x
        self.first_seq: int | None = None  # 2.x, the lowest
        self.last_seq: int | None = None  # 2.x, the highest
        self.seqs = 0  # 2.x: TransactionEvents seen
        self.missing: dict[int, None] = {}  # 2.x: seqNos that were skipped and did not come since
        self.missing_seqs = 0  # 2.x: how many
        self.step = ""  # 2.x: how the last event follows: "next", "gap", "late", "retry", "clash", "": unknown
        self.recent: Latest[Sign] = Latest(MAX_RECENT)  # 2.x
        self.evse_repeated: Exchange | None = None  # 2.x: the first event that says again what EVSE its start named
        self.offline = False  # 2.x: an event of it said so
        self.superseded = False  # another transaction began at its place while it was open
        self.told = False  # that it started
        self.verdict = ""  # status that the CSMS gave its token last, "" if none
        self.last_ns = 0  # last message about it
        self.samples = 0  # messages with meter samples
        self.meter = Meter()
        self.energy = Readings(MAX_READINGS)  # stamp or arrival, Wh of the register
        self.power = Readings(MAX_READINGS)  # stamp or arrival, W of all phases

    @property
    def is_measured(self) -> bool:
        """Whether its readings are remembered."""
        return self.energy is not _NO_READINGS

    def forget_readings(self) -> None:
        """It is over, and so long ago that only what it was counts."""
        self.meter = Meter()
        self.energy = self.power = _NO_READINGS
        self.recent = _NONE
        self.forget_samples()

    def forget_samples(self) -> None:
        """It is over, and nobody will read again what its messages measured."""
        for x in (*self.starts, self.evse_repeated, self.stop):
            if x is not None:
                x.asked = bare(x.asked)

    @property
    def is_open(self) -> bool:
        """Whether no stop was seen."""
        return self.stopped_ns is None

    @property
    def was_accepted(self) -> bool:
        """Whether the CSMS let it charge; True while nothing else is known."""
        return self.verdict in _TAKEN

    @property
    def energy_wh(self) -> float | None:
        """What was charged, as far as it is known."""
        first = self.meter_start if self.meter_start is not None else (self.energy[0][1] if self.energy else None)
        last = self.meter_stop if self.meter_stop is not None else (self.energy[-1][1] if self.energy else None)
        return None if first is None or last is None else last - first

    @property
    def duration_ns(self) -> int | None:
        """Between its stamps, by arrival where those are missing; None of an open one."""
        if self.stopped_ns is None:
            return None
        if self.start_stamp_ns is not None and self.stop_stamp_ns is not None:
            return self.stop_stamp_ns - self.start_stamp_ns
        return None if self.started_ns is None else self.stopped_ns - self.started_ns

    def has_id(self, id_: str) -> bool:
        """Whether it goes, or went, by this id."""
        return self.id == id_ or id_ in self.other_ids


class Transactions:
    """Of one station."""

    __slots__ = (
        "_at", "_by_id", "_going", "edge", "failing", "issued", "latest", "remote_starts", "remote_stops",
        "replayed_ns", "stamped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.latest: Latest[Transaction] = Latest(MAX_TRANSACTIONS)  # oldest first, open or stopped
        self.issued: Latest[str] = Latest(MAX_TRANSACTIONS)  # 1.6 ids that the CSMS gave in this capture
        self.remote_starts: Latest[Exchange] = Latest(MAX_REMOTE)  # RemoteStart/RequestStart, as asked
        self.remote_stops: Latest[Exchange] = Latest(MAX_REMOTE)
        self.replayed_ns: int | None = None  # when an old message of a queue came last
        self.failing = False  # the last message about a transaction was not taken
        self.stamped: dict[int, Told] = {}  # by connector or EVSE: the message with the latest timestamp
        self.edge: Told | None = None  # of starts and stops of 1.6 the one with the latest timestamp
        self.changed()

    def changed(self) -> None:
        """Forgets who was found: there is another transaction, or one got an id or a place, or ended."""
        self._by_id: dict[str, Transaction] = {}
        self._at: dict[int, Transaction | None] = {}
        self._going: tuple[Transaction, ...] | None = None

    def add(self, transaction: Transaction) -> None:
        """It is the latest. Of older ones that have stopped, what was measured is forgotten."""
        self.latest.append(transaction)
        for older in self.latest[:-MAX_MEASURED]:
            if not older.is_open and older.is_measured:
                older.forget_readings()
        self.changed()

    def get(self, id_: str) -> Transaction | None:
        """The latest open one with this id; if there is none, the latest."""
        found = self._by_id.get(id_)
        if found is None and id_:
            known = [one for one in reversed(self.latest) if one.has_id(id_)]
            found = next((one for one in known if one.is_open), known[0] if known else None)
            if found is not None:
                self._by_id[id_] = found
        return found

    def started_by(self, x: Exchange) -> Transaction | None:
        """The one whose start this message said, for the first time or again."""
        one = x.transaction
        return one if one is not None and x in one.starts else None

    def open_at(self, number: int) -> Transaction | None:
        """The latest on a connector (1.6) or EVSE (2.x) that goes on."""
        try:
            return self._at[number]
        except KeyError:
            found = next((one for one in reversed(self.all_open()) if one.place[0] == number), None)
            if len(self._at) < MAX_PLACES:
                self._at[number] = found
            return found

    def all_open(self) -> tuple[Transaction, ...]:
        """Those that go on: not stopped, and no other began at their place; the oldest first."""
        if self._going is None:
            self._going = tuple(one for one in self.latest if one.is_open and not one.superseded)
        return self._going

    def last_at(self, number: int) -> Transaction | None:
        """The latest on a connector or EVSE, open or not."""
        return next((one for one in reversed(self.latest) if one.place[0] == number), None)

    def drained_since(self, time_ns: int) -> bool:
        """Whether old messages of a queue came since then, so that more may come."""
        return self.replayed_ns is not None and self.replayed_ns >= time_ns


def bare(payload: Payload) -> Payload:
    """A payload without samples, of which most of a large one is made."""
    if not any(name in payload for name in _MEASURED):
        return payload
    return Payload({name: value for name, value in payload.data.items() if name not in _MEASURED})


def id_of(value: object) -> str:
    """A transaction id as text, of either version; "" of anything that is none."""
    if type(value) is int:
        return str(value) if -HUGE < value < HUGE else ""
    if type(value) is float and value.is_integer():
        return id_of(int(value))
    return value[:MAX_ID] if type(value) is str else ""


def tag_of(payload: Payload) -> str:
    """The idTag or idToken that a message names."""
    return (payload.text("idTag") or payload.table("idToken").text("idToken"))[:MAX_ID]


def same_tag(one: str, other: str) -> bool:
    """Whether two tokens are the same: upper and lower case are."""
    return one.casefold() == other.casefold()
