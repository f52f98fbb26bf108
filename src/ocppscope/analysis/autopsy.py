"""The autopsy of connections: who ended each and how, what came before it, and what the ends have in common.

    autopsy = Autopsy(diagnosis.bus)
    …
    for sentence in autopsy.sentences(station): …

It reads `Station.connections`, from which the rules have their figures too, and judges nothing. A sentence may quote
the reason of a Close frame: whoever shows it makes it safe for a terminal.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.happenings import CaptureEnded
from ocppscope.analysis.state.connections import MAX_ADDRESSES, SILENCE, Constant, End, Overlap
from ocppscope.analysis.wording import MAX_QUOTED, span, who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.connections import Attempt, Connections
    from ocppscope.analysis.station import Station
    from ocppscope.model import Side

MAX_TOLD = 8
"""Ends that are told one by one: the latest."""
MAX_PAUSES = 8
"""Pauses between attempts that a sentence lists."""
ENOUGH = 3
"""Ends that have to agree before they are called constant."""
PROBE_NS = 10_000_000_000
"""A connection without a message that lived no longer than this is a probe."""

_GOOD = {1000: "normal", 1001: "going away", 1012: "restart"}


class Series(Struct, frozen=True):
    """Attempts that failed after an end, or at the beginning of the capture."""

    before_ns: int | None  # when the connection before it ended
    times_ns: tuple[int, ...]  # first attempts; the latest ones
    hows: tuple[str, ...]  # how they failed, each once
    count: int  # all of them

    @property
    def pauses_ns(self) -> tuple[int, ...]:
        """Between one and the next; the first one since the end."""
        times = (self.before_ns, *self.times_ns) if self.before_ns is not None else self.times_ns
        return tuple(after - one for one, after in pairwise(times))


class StationAutopsy(Struct, frozen=True):
    """What became of the connections of one station."""

    identity: str
    ended: int  # all ends, also those that are not kept
    ends: tuple[End, ...]  # the latest, oldest first
    constants: tuple[Constant, ...]  # what enough of them have in common
    probes: int  # of the ends that are kept
    overlaps: tuple[Overlap, ...]
    series: tuple[Series, ...]


class Autopsy:
    """All stations' autopsies, made when the capture is over; those of a running one are made when asked for."""

    def __init__(self, bus: Bus) -> None:
        self._found: dict[str, StationAutopsy] = {}
        bus.subscribe(CaptureEnded, self._ended)

    def _ended(self, what: CaptureEnded) -> None:
        if len(self._found) < MAX_ADDRESSES:
            self._found[what.station.identity] = autopsy_of(what.station)

    def of(self, station: Station) -> StationAutopsy:
        """The autopsy of a station."""
        return self._found.get(station.identity) or autopsy_of(station)

    def sentences(self, station: Station) -> list[str]:
        """The same for a reader: what the ends have in common, then the latest ones."""
        return lines(self.of(station))


def autopsy_of(station: Station) -> StationAutopsy:
    """As things stand."""
    known = station.connections
    ends = tuple(known.ends)
    return StationAutopsy(
        station.identity, known.count, ends, tuple(_constants(known)), sum(_is_probe(one) for one in ends),
        tuple(known.overlaps), tuple(_series(known)),
    )  # fmt: skip


def _constants(known: Connections) -> Iterator[Constant]:
    for found in (known.idle(PROBE_NS), known.lifetime()):
        if found is not None and found.value_ns >= PROBE_NS and found.count >= max(ENOUGH, (found.among + 1) // 2):
            yield found


def _is_probe(end: End) -> bool:
    return end.whole and end.how != SILENCE and not sum(end.messages) and end.lifetime_ns <= PROBE_NS


def _series(known: Connections) -> Iterator[Series]:
    """Runs of attempts that failed."""
    run: list[Attempt] = []
    for one in (*known.attempts, None):
        if one is not None and one.failed:
            run.append(one)
            continue
        if run:
            before = max((end.time_ns for end in known.ends if end.time_ns <= run[0].time_ns), default=None)
            hows = tuple(dict.fromkeys(str(each.how) for each in run))
            times = tuple(each.time_ns for each in run[-MAX_PAUSES - 1 :])
            kept = before if len(run) <= MAX_PAUSES + 1 else None
            yield Series(kept, times, hows, sum(each.times for each in run))
        run = []


# --- for a reader -------------------------------------------------------------------------------------------------


def lines(autopsy: StationAutopsy) -> list[str]:
    """Sentences: what the ends have in common, the latest ends, what failed between them."""
    return [
        *_summary(autopsy),
        *(constant_line(one, autopsy) for one in autopsy.constants),
        *(end_line(one) for one in autopsy.ends[-MAX_TOLD:]),
        *(series_line(one) for one in autopsy.series[-MAX_TOLD:]),
        *(overlap_line(one) for one in autopsy.overlaps[-MAX_TOLD:]),
    ]


def _summary(autopsy: StationAutopsy) -> Iterator[str]:
    """How connections ended, if there is more than the list below says."""
    if autopsy.ended > MAX_TOLD:
        ways = Counter((one.by, one.how, one.code) for one in autopsy.ends)
        told = [f"{count} {_way(by, how, code)}" for (by, how, code), count in ways.most_common(4)]
        kept = f", of the latest {len(autopsy.ends)}" if autopsy.ended > len(autopsy.ends) else ""
        yield f"{autopsy.ended} connections ended{kept}: {'; '.join(told)}."
    if autopsy.probes:
        yield f"{_count(autopsy.probes, 'connection')} ended within {span(PROBE_NS)} without a message."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _way(by: Side | None, how: str, code: int | None) -> str:
    if how == SILENCE:
        return "without a visible end"
    name = _closing(how, code)
    return f"with {name} of {who(by)}" if by is not None else f"with {name}"


def _closing(how: str, code: int | None) -> str:
    if how != "close frame":
        return how
    named = f" ({_GOOD[code]})" if code in _GOOD else ""
    return f"Close {code}{named}" if code is not None else "Close without a code"


def constant_line(constant: Constant, autopsy: StationAutopsy) -> str:
    """The figure that ends have in common: "3 of 3 closes of the CSMS came 60 s (±0.2 s) after …"."""
    last = autopsy.ends[-1]
    figure = f"{span(constant.value_ns)} (±{span(constant.spread_ns)})"
    if constant.sort == "lifetime":
        return f"{constant.count} of {constant.among} connections lived {figure}."
    by = f" that {who(last.by)} made" if last.by is not None else ""
    frame = "frame of either side" if constant.sort == "any" or last.by is None else f"frame of {who(last.by.other)}"
    return f"{constant.count} of {constant.among} ends{by} came {figure} after the last {frame}{_alive(last)}."


def _alive(end: End) -> str:
    """What kept it alive, as far as it is known."""
    known = [
        ("heartbeat interval", end.heartbeat_ns),
        ("heartbeats seen every", end.heartbeat_seen_ns),
        ("WebSocketPingInterval", end.ping_ns),
        ("pings of the station every", end.ping_seen_ns[0]),
        ("pings of the CSMS every", end.ping_seen_ns[1]),
    ]
    told = [f"{name} {span(value)}" for name, value in known if value is not None]
    return f"; {', '.join(told)}" if told else ""


def end_line(end: End) -> str:
    """One end: "#3: the CSMS sent Close 1001 (going away) “bye” after 5 min; …"."""
    lived = f"after {span(end.lifetime_ns)}" if end.whole else f"{span(end.lifetime_ns)} after it was found"
    if end.how == SILENCE:
        did = f"fell silent {lived}, and nobody closed it"
    else:
        reason = f' "{end.reason[:MAX_QUOTED]}"' if end.reason else ""
        verb = "sent" if end.how in ("close frame", "FIN", "RST") else "ended with"
        by = who(end.by) if end.by is not None else "nobody visible"
        did = f"{by} {verb} {_closing(end.how, end.code)}{reason} {lived}"
    reset = ", after a Reset" if end.after_reset else ""
    return f"#{end.connection}: {did}{reset}; {_silence(end)}{_pending(end)}{_next(end)}."


def _silence(end: End) -> str:
    station, csms = (span(one) for one in end.silent_ns)
    return f"last frame of the station {station} before, of the CSMS {csms}{_alive(end)}"


def _pending(end: End) -> str:
    calls = [f"{one.action[:MAX_QUOTED]} of {who(one.side)} ({span(one.age_ns)})" for one in end.pending[:3]]
    return f"; without an answer: {', '.join(calls)}" if calls else ""


def _next(end: End) -> str:
    if end.next_ns is None:
        return "; no further connection"
    if end.next_ns < end.time_ns:
        return "; the next connection was there before"
    tried = f" and {_count(end.tried, 'failed attempt')}" if end.tried else ""
    return f"; the next connection came after {span(end.next_ns - end.time_ns)}{tried}"


def series_line(series: Series) -> str:
    """Attempts that failed: "4 attempts failed (HTTP 503); pauses 5.0 s, 10 s, 21 s, 44 s"."""
    pauses = ", ".join(span(one) for one in series.pauses_ns)
    told = f"; pauses {pauses}" if pauses else ""
    return f"{_count(series.count, 'attempt')} to connect failed ({', '.join(series.hows[:4])}){told}."


def overlap_line(overlap: Overlap) -> str:
    """Two connections at a time."""
    long = f"for {span(overlap.until_ns - overlap.since_ns)}" if overlap.until_ns is not None else "to the end"
    then = "the station went on talking on the older one" if overlap.older_spoke else "the older one was silent"
    return f"#{overlap.older} and #{overlap.newer} were open at the same time {long}; {then}."
