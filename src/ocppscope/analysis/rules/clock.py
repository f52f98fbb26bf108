"""Rules about clocks: of the station, of the CSMS, and of whoever captured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import CaptureEnded, objected
from ocppscope.analysis.registry import MINUTE, SECOND, Group, Mute, family, hours, minutes, seconds
from ocppscope.analysis.state.clock import EARLIEST_NS, ClockRead
from ocppscope.analysis.wording import blamed, message_name, sender, span, subject
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.registry import Case

rule = family(Group.CLOCK)

_QUARTER = 15 * MINUTE
FOLLOWS_NS = 10 * SECOND
"""By which the clocks of a station and its CSMS may differ to agree."""
MAX_NAMES = 3
"""Messages that a sentence names; of more it says that there are others."""
_ZONE = {
    "shortest": minutes(15, "offset that may be a time zone"),
    "longest": hours(14, "offset that may be a time zone"),
    "zone": seconds(120, "deviation from a multiple of a quarter of an hour"),
}


@rule(
    "clock-epoch",
    on=ClockRead,
    severity=ERROR,
    blame=Blame.STATION,
    title="The station's clock has never been set",
    advice="Have it take currentTime from BootNotification and Heartbeat before it starts transactions. Those "
    "that it stamped so cannot be billed: use the times at which they came.",
    spec="1.6 §4.2.1",
    mute=Mute.GAP,
)
def clock_epoch(what: ClockRead, case: Case) -> None:
    """A timestamp of the station lies before 2020 or after 2036, as clocks show that begin at their epoch."""
    if what.side is Side.STATION and not what.is_set and what.time_ns >= EARLIEST_NS:
        year = 1970 + what.stamp_ns // _YEAR_NS
        case.find(f"{what.exchange.action} is stamped with the year {year}.", what, key="")


_YEAR_NS = 31_556_952 * SECOND


@rule(
    "clock-skew",
    on=ClockRead,
    severity=WARNING,
    blame=Blame.STATION,
    title="The station's clock is wrong",
    advice="It ignores currentTime, or its clock drifts between heartbeats. Check whether it takes the time from the "
    "CSMS or from an NTP server that it cannot reach.",
    spec="1.6 §4.6",
    limits={
        "note": seconds(10, "skew that is noted"),
        "warn": seconds(30, "skew that is warned of"),
        "error": seconds(300, "skew that is an error"),
        **_ZONE,
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def clock_skew(what: ClockRead, case: Case) -> None:
    """The median of recent live timestamps of the station differs from the capture's clock by over `note`.

    Not if it follows its CSMS, whose clock then is wrong, nor if it is a time zone away (`clock-timezone-error`).
    """
    skew = what.station.clock.skew_ns
    if what.side is Side.CSMS or not what.is_set or skew is None:
        return
    if min(abs(skew), abs(what.reading.skew_ns)) <= case["note"]:
        return
    if _follows_csms(what) or _zone(skew, case):
        return
    severity = ERROR if abs(skew) > case["error"] else WARNING if abs(skew) > case["warn"] else NOTE
    case.find(f"{_ahead('The clock of the station is', skew)}.", what, severity=severity)


@rule(
    "clock-timezone-error",
    on=ClockRead,
    severity=ERROR,
    blame=Blame.STATION,
    title="The station sends local time as UTC",
    advice="The skew is that of a time zone. Set the station's zone, or have its timestamps end in the right offset. "
    "Until then, profiles and transactions are at the wrong hours.",
    spec="1.6 §3.14; 2.1 Part 2 §3.1",
    limits=_ZONE,
    mute=Mute.GAP | Mute.REPLAY,
)
def clock_timezone_error(what: ClockRead, case: Case) -> None:
    """The station's skew is a multiple of a quarter of an hour, give or take `zone`.

    Not if it follows its CSMS, which is wrong then.
    """
    skew = what.station.clock.skew_ns
    if what.side is Side.CSMS or not what.is_set or skew is None or _follows_csms(what):
        return
    if zone := _zone(skew, case):
        case.find(f"{_ahead('The clock of the station is', skew)}{_named(zone)}.", what)


@rule(
    "clock-no-zone",
    on=objected("schema.datetime-no-zone"),
    severity=WARNING,
    title="A timestamp has no time zone",
    advice="Nobody can know whether it is UTC or local time. It should end in Z.",
    spec="1.6 §3.15; RFC 3339 §4.4",
)
def clock_no_zone(what: Objected, case: Case) -> None:
    """A date-time ends in neither Z nor an offset, from either side."""
    side, name = sender(what), message_name(what)
    names: list[str] = case.memory(what.station).setdefault(side, [])
    if name not in names and len(names) <= MAX_NAMES:
        names.append(name)
    *most, last = names if len(names) <= MAX_NAMES else [*names[:MAX_NAMES], "others"]
    told = f"{', '.join(most)} and {last}" if most else last
    case.find(
        f"{subject(side)} sent {told} with a time that has no zone.", what, blame=blamed(side), key=side, latest=True
    )


@rule(
    "csms-time-wrong",
    on=(ClockRead, CaptureEnded),
    severity=ERROR,
    blame=Blame.CSMS,
    title="The CSMS tells the wrong time",
    advice="All its stations follow currentTime, and so stamp transactions wrongly. If the difference is a time "
    "zone, the CSMS sends local time as UTC; else check its clock, and that of the host that captured.",
    spec="1.6 §6.4, §6.30",
    limits={
        "skew": seconds(30, "difference from the capture's clock, beyond the time that the answer took"),
        **_ZONE,
    },
)
def csms_time_wrong(what: ClockRead | CaptureEnded, case: Case) -> None:
    """currentTime of a BootNotification or Heartbeat is not between the CALL and its answer, give or take `skew`.

    If no time zone explains it, the station's clock decides: where it agrees, see `capture-clock-suspect`; where it
    is not known yet, this waits until it is, or the capture ends.
    """
    memory, station_skew = case.memory(what.station), what.station.clock.likely_skew_ns
    if isinstance(what, CaptureEnded):
        if "first" in memory and station_skew is None:
            case.find(memory["first"].text, memory["first"].what)
        return
    if what.side is Side.STATION or not _is_off(what, case["skew"]):
        return
    zone = _zone(what.reading.skew_ns, case)
    text = f"{_ahead('The clock of the CSMS is', what.reading.skew_ns)}{_named(zone)}."
    if zone or (station_skew is not None and abs(station_skew - what.reading.skew_ns) > FOLLOWS_NS):
        case.find(text, what)
    elif station_skew is None:
        memory.setdefault("first", _Waiting(text, what))


class _Waiting(NamedTuple):
    """What would be said."""

    text: str
    what: ClockRead


@rule(
    "clock-jump",
    on=ClockRead,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The station's clock was set while it ran",
    advice="Intervals and orders of its timestamps across this moment mean nothing. If no answer of the CSMS told "
    "the time, look at its battery or at a second source of time.",
    spec="1.6 §4.6",
    limits={
        "step": seconds(30, "change of the skew"),
        "steady": seconds(5, "by which the readings on either side may differ"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def clock_jump(what: ClockRead, case: Case) -> None:
    """The skew changed by over `step` between four live timestamps: two agree before and two after.

    A note if the CSMS told the time in between.
    """
    clock = what.station.clock
    if what.side is Side.CSMS or len(clock.station) < 4 or what.reading is not clock.station[-1]:
        return
    one, two, three, four = (clock.station[at] for at in (-4, -3, -2, -1))
    step = three.skew_ns - two.skew_ns
    steady = max(abs(two.skew_ns - one.skew_ns), abs(four.skew_ns - three.skew_ns)) <= case["steady"]
    if abs(step) <= case["step"] or not steady:
        return
    synced = any(two.time_ns <= one.time_ns <= three.time_ns for one in clock.csms)
    after = ", after the CSMS told the time" if synced else ", without the CSMS telling the time"
    way = "forward" if step > 0 else "back"
    case.find(
        f"The station's clock went {way} by {span(abs(step))}{after}.",
        what, severity=NOTE if synced else WARNING, key=synced,
    )  # fmt: skip


@rule(
    "timestamp-future",
    on=ClockRead,
    severity=WARNING,
    priority=3,
    blame=Blame.STATION,
    title="A single timestamp lies in the future",
    advice="The station's clock is right before and after. Take the time at which the message came.",
    limits={
        "ahead": seconds(60, "by which a timestamp is ahead of the station's clock"),
        "wait": minutes(10, "time in which no other timestamp is as far ahead"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def timestamp_future(what: ClockRead, case: Case) -> Iterator[int]:
    """A timestamp is `ahead` of what the station's clock showed before, and no other of the next `wait` is.

    A clock that stays ahead is `clock-jump` or `clock-skew`.
    """
    clock, skew = what.station.clock, what.reading.skew_ns
    known = clock.skew_ns
    if what.side is Side.CSMS or known is None or not what.is_set or skew - known <= case["ahead"]:
        return
    yield case["wait"]
    others = [one for one in clock.station if one.time_ns != what.reading.time_ns]
    if not any(abs(one.skew_ns - skew) <= case["ahead"] for one in others):
        case.find(f"A {what.exchange.action} is stamped {span(skew)} after the time at which it came.", what)


@rule(
    "clock-offset-format",
    on=ClockRead,
    severity=NOTE,
    priority=2,
    title="Timestamps carry an offset other than UTC",
    advice="This is legal. Receivers that cut the offset off are wrong by hours, so UTC with Z is safer.",
    spec="1.6 §3.14",
    mute=Mute.GAP,
)
def clock_offset_format(what: ClockRead, case: Case) -> None:
    """A timestamp is written with an offset, as +02:00, from either side."""
    if what.offset:
        case.find(
            f"{subject(what.side)} writes times with the offset {what.offset[:6]}.",
            what, blame=blamed(what.side), key=(what.side, what.offset[:6]),
        )  # fmt: skip


@rule(
    "capture-clock-suspect",
    on=ClockRead,
    severity=NOTE,
    priority=3,
    title="Station and CSMS agree on a time that is not the capture's",
    advice="Most likely the host that captured has the wrong time; or the CSMS has, and the station follows it. "
    "Times in this report are those of the capture.",
    limits={"skew": seconds(30, "difference of both from the capture's clock"), **_ZONE},
    mute=Mute.GAP | Mute.REPLAY,
)
def capture_clock_suspect(what: ClockRead, case: Case) -> None:
    """The clocks of station and CSMS agree within `skew`, and both differ from the capture's by more than that."""
    clock = what.station.clock
    skew = clock.likely_skew_ns
    if skew is None or abs(skew) <= case["skew"] or not _follows_csms(what) or _zone(skew, case):
        return
    case.find(f"{_ahead('The clocks of the station and of the CSMS are both', skew)}.", what)


def _zone(skew_ns: int, case: Case) -> str:
    """The offset of the time zone that a skew looks like, "" if it looks like none."""
    size = abs(skew_ns)
    quarters = (size + _QUARTER // 2) // _QUARTER
    if (
        not case["shortest"] <= quarters * _QUARTER <= case["longest"]
        or abs(size - quarters * _QUARTER) > case["zone"]
    ):
        return ""
    return f"{'+' if skew_ns > 0 else '-'}{quarters // 4}:{quarters % 4 * 15:02}"


def _follows_csms(what: ClockRead) -> bool:
    """Whether the station's clock agrees with that of its CSMS, as far as both are known."""
    clock = what.station.clock
    station, csms = clock.likely_skew_ns, clock.csms_skew_ns
    return station is not None and csms is not None and abs(station - csms) <= FOLLOWS_NS


def _is_off(what: ClockRead, borne: int) -> bool:
    """Whether a time that a CSMS tells is none at which it was asked or answered."""
    return not what.exchange.asked_ns - borne <= what.stamp_ns <= what.time_ns + borne


def _ahead(clock_is: str, skew_ns: int) -> str:
    return f"{clock_is} {span(abs(skew_ns))} {'ahead of' if skew_ns > 0 else 'behind'} that of the capture"


def _named(zone: str) -> str:
    return f", like the time zone UTC{zone}" if zone else ""
