"""How the clocks of a station and its CSMS stand to that of the capture, and which messages are old ones of a queue.

A station keeps messages about transactions while it is offline and sends them later (OCPP 1.6 §4, 2.0.1 E04): their
timestamps say nothing about its clock. An old timestamp alone is no proof, the clock may be slow. A message counts
as replayed (`Exchange.replayed`) if it was written over `OLD_NS` before it came, by the station's clock as far as
that is known, and a reason is seen: it was written before its connection began, a message was waiting for its answer
for long, or other old ones came just before. A clock that is slow shows by messages that are all as late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.analysis.happenings import Happening
from ocppscope.analysis.latest import Latest
from ocppscope.analysis.state.stamps import instant
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange

MAX_READINGS = 64
"""Clock readings of a side that are remembered: the latest."""
ENOUGH = 3
"""Readings from which a skew is believed."""
RECENT = 9
"""Readings of which a skew is the median: the latest."""
OLD_NS = 60_000_000_000
"""Age from which a message of the station counts as one of an offline queue, if there is a reason for one."""
LOUD_NS = 2_000_000_000
"""Skew that is told of. Less is the time of a sample, a blink of the network, or timestamps in whole seconds."""
STALLED_NS = 30_000_000_000
"""Time after which a CALL that waits for its answer is a reason for a queue."""
DRAIN_NS = 60_000_000_000
"""Time between two messages of a queue at most."""
APART_NS = 5_000_000_000
"""Time between two messages that must be as late as each other to tell a slow clock from a queue, at least."""
EARLIEST_NS = 1_577_836_800_000_000_000
"""2020: a clock that shows less was never set, and its readings are told of but not kept."""
LATEST_NS = 2_082_758_400_000_000_000
"""2036: where clocks of 32 bits and of NTP begin anew."""


class Reading(NamedTuple):
    """A timestamp against the capture's clock."""

    time_ns: int  # of the capture
    skew_ns: int  # timestamp - time_ns; positive: that clock is ahead


class ClockRead(Happening):
    """A timestamp that is not what the capture's clock shows, or is written with an offset from UTC; and the first
    ones after such. Old messages of a queue are not among them, unless from a clock that was never set."""

    exchange: Exchange
    side: Side
    reading: Reading
    offset: str  # "+02:00"; "" of UTC and of none

    @property
    def stamp_ns(self) -> int:
        """The timestamp."""
        return self.reading.time_ns + self.reading.skew_ns

    @property
    def is_set(self) -> bool:
        """Whether that clock shows a time that may be."""
        return EARLIEST_NS <= self.stamp_ns < LATEST_NS


class Clock:
    """Readings of live messages only."""

    __slots__ = (
        "csms", "doubtful", "drained_ns", "is_quiet", "loud", "quiet_ns", "skew_ns", "station", "synced_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.station: Latest[Reading] = Latest(MAX_READINGS)
        self.csms: Latest[Reading] = Latest(MAX_READINGS)  # currentTime of Boot and Heartbeat answers
        self.synced_ns: int | None = None  # when the CSMS last told the time
        self.skew_ns: int | None = None  # the station's, the median of recent readings; None of too few
        self.doubtful: Reading | None = None  # one that is late by itself, or shows a slow clock
        self.drained_ns: int | None = None  # when the last message of a queue came
        self.loud = 0  # readings that are still to be told of
        self.is_quiet = False  # it is right, and readings that say so need not be kept
        self.quiet_ns = 0  # when the last such came

    @property
    def csms_skew_ns(self) -> int | None:
        """The CSMS's, the median of recent readings; None if there is none."""
        return _median(self.csms) if self.csms else None

    @property
    def likely_skew_ns(self) -> int | None:
        """The station's, also of few readings; None if there is none."""
        return self.skew_ns if self.skew_ns is not None or not self.station else self.station[-1].skew_ns

    def station_time(self, now: int) -> int:
        """What the station's clock shows, as far as it is known."""
        return now + (self.skew_ns or 0)

    def read(self, reading: Reading) -> None:
        """Takes a reading of the station's clock."""
        if self.is_quiet and self.quiet_ns > self.station[-1].time_ns:
            self.station.append(Reading(self.quiet_ns, self.station[-1].skew_ns))
        self.station.append(reading)
        if len(self.station) >= ENOUGH:
            self.skew_ns = _median(self.station)
        self.is_quiet = (
            -LOUD_NS < reading.skew_ns < LOUD_NS
            and len(self.station) >= RECENT
            and all(abs(one.skew_ns) < LOUD_NS for one in self.station)
        )

    def is_loud(self, reading: Reading) -> bool:
        """Whether a reading, or one shortly before it, is worth telling of."""
        self.loud = 4 if abs(reading.skew_ns) > LOUD_NS else self.loud - 1
        return self.loud > 0


class ClockTracker:
    """Reads the clocks; marks exchanges that replay an offline queue.

    It says in the phase `untimely` what is old, ahead, or from a time offline.
    """

    actions = (
        "StatusNotification", "StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues",
        "BootNotification", "Heartbeat", "SecurityEventNotification",
    )  # fmt: skip

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def asked(self, x: Exchange) -> None:
        """A station tells the time of what it reports."""
        if x.side is not _STATION:
            return
        data = x.asked.data
        text = data.get("timestamp")
        if text is None and x.action == "MeterValues":
            text = _sampled_at(data)
        if type(text) is not str:
            return
        stamp = x.stamp_ns = instant(text)
        if stamp is None:
            return
        clock, now, offline = x.station.clock, x.asked_ns, data.get("offline") is True
        if clock.is_quiet and -LOUD_NS < stamp - now < LOUD_NS and text[-1] == "Z" and not offline:
            clock.quiet_ns = now  # nothing new
            return
        self._look(x, clock, stamp, text, offline)
        if offline or abs(clock.station_time(x.asked_ns) - stamp) > LOUD_NS:
            self._bus.exchange("untimely", x)

    def _look(self, x: Exchange, clock: Clock, stamp: int, text: str, offline: bool) -> None:
        reading = Reading(x.asked_ns, stamp - x.asked_ns)
        if not EARLIEST_NS <= stamp < LATEST_NS:
            x.replayed = x.action in _QUEUED and bool(clock.station) and _has_a_queue(x, stamp)
            self._tell(x, Side.STATION, reading, "")
            return
        if offline:
            x.replayed = True
        elif x.action != "SecurityEventNotification" and not self._is_live(x, clock, reading):
            x.replayed = x.action in _QUEUED and _has_a_queue(x, stamp)
        elif x.action != "SecurityEventNotification":
            clock.read(reading)
            offset = "" if text[-1] == "Z" else offset_of(text)
            if clock.is_loud(reading) or offset:
                self._tell(x, Side.STATION, reading, offset)
        if x.replayed:
            clock.drained_ns = x.asked_ns

    def answered(self, x: Exchange) -> None:
        """A CSMS tells the time."""
        if x.action not in _TELLING:
            return
        text = x.answered.data.get("currentTime")
        if type(text) is not str or x.side is not _STATION:
            return
        stamp = instant(text)
        if stamp is None:
            return
        reading = Reading(x.time_ns, stamp - x.time_ns)
        if EARLIEST_NS <= stamp < LATEST_NS:
            x.station.clock.csms.append(reading)
            x.station.clock.synced_ns = x.time_ns
        offset = "" if text[-1] == "Z" else offset_of(text)
        if abs(reading.skew_ns) > LOUD_NS or offset:
            self._tell(x, Side.CSMS, reading, offset)

    def _tell(self, x: Exchange, side: Side, reading: Reading, offset: str) -> None:
        self._bus.happens(ClockRead(x.station, x.link, reading.time_ns, x, x, side, reading, offset))

    @staticmethod
    def _is_live(x: Exchange, clock: Clock, reading: Reading) -> bool:
        """Whether a timestamp shows what the station's clock showed when it was sent."""
        skew, known = reading.skew_ns, clock.likely_skew_ns
        if x.action == "StatusNotification" and skew < -LOUD_NS and not _is_news(x):
            on_time = known is not None and abs(skew - known) <= LOUD_NS  # it may tell of a status of long ago
        else:
            on_time = skew >= -OLD_NS or (known is not None and skew >= known - OLD_NS)
        if on_time:
            return True
        before = clock.doubtful
        if before is None or abs(skew - before.skew_ns) > LOUD_NS or reading.time_ns - before.time_ns > _FORGET_NS:
            clock.doubtful = reading
            return False
        if reading.time_ns - before.time_ns < APART_NS:
            return False
        clock.doubtful = None
        clock.read(before)  # both were live, and the clock is slow
        return True


_STATION = Side.STATION
_TELLING = frozenset({"BootNotification", "Heartbeat"})
_QUEUED = frozenset({"StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"})
_FORGET_NS = 3_600_000_000_000


def _sampled_at(data: dict[str, Any]) -> object:
    try:
        return data["meterValue"][-1]["timestamp"]
    except (KeyError, IndexError, TypeError):
        return None


def offset_of(text: str) -> str:
    """The offset from UTC that a date-time is written with, "" of UTC and of none."""
    if text[-1:] in "Zz" or len(text) < len("2026-01-01T00:00+00"):
        return ""
    clock = text[10:40]
    at = max(clock.rfind("+"), clock.rfind("-"))
    return "" if at < 0 or not clock[at + 1 :].strip("0:") else clock[at:]


def _is_news(x: Exchange) -> bool:
    """Whether a connector tells of another status than it told before on this connection."""
    place = (x.asked.whole("evseId") or 0, x.asked.whole("connectorId") or 0)
    known = x.station.connectors.get(place if "evseId" in x.asked else (place[1], 0))
    status = x.asked.text("status") or x.asked.text("connectorStatus")
    return known is not None and known.status != status and known.reported_ns >= x.link.seen_ns


def _has_a_queue(x: Exchange, stamp: int) -> bool:
    """Whether there is a reason why an old message was not sent before."""
    clock, link = x.station.clock, x.link
    began = link.upgraded_ns if link.upgraded_ns is not None else link.seen_ns
    if stamp - (clock.likely_skew_ns or 0) < began:
        return True
    if clock.drained_ns is not None and x.asked_ns - clock.drained_ns <= DRAIN_NS:
        return True
    return any(x.asked_ns - one.asked_ns > STALLED_NS for one in link.outstanding[Side.STATION].values())


def _median(readings: Latest[Reading]) -> int:
    recent = sorted(readings[at].skew_ns for at in range(-min(RECENT, len(readings)), 0))
    return recent[len(recent) // 2]
