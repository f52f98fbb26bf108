"""What the TCP segments of one connection say beside their bytes: losses, acknowledgements, windows, ends.

A `Tally` is told of every segment in capture order: of unusual ones one by one (`add`), of those of a smooth flow as
sums over a block (from `wire/order`). Both come to the same figures however the segments are cut into
blocks; a test compares them. Keeps a fixed number of figures a connection. Judges nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocppscope.model import RoundTrips, Side, Transport, TransportSide
from ocppscope.wire.link import ACK, FIN, RST, SYN
from ocppscope.wire.tcp import MODULUS, distance_to

if TYPE_CHECKING:
    from ocppscope.wire.link import Ints

MAX_AHEAD = 64 << 20
"""Bytes that a sequence or acknowledgement number may lie ahead and still be believed."""
COPY_NS = 1_000_000
"""Within this time after the last segment of a side, its newest data again is a copy that the capture made."""
REORDER_NS = 10_000_000
"""Within this time after a segment that left a hole, what fills the hole was only captured in another order."""
BUCKETS = 104
"""Classes of round trip times, four to a power of two: the last one holds all from about a minute on."""

FIRST_OCTAVE = 13  # times below 8 µs share the first classes
NO_STATE = -1
"""Stands for None in columns."""
NEVER = np.iinfo(np.int64).max

State = tuple[int, int, int, int, int, int, int, int, int, int]
"""What a smooth flow begins a block with; see `Tally.state`."""
Sums = tuple[int, int, int, int, int, int, int, int]
"""What a block adds to one direction of a smooth flow, and what is true of it then: segments, bytes, time of its last
segment (NO_STATE: it has none), `top`, `acked`, `flight_end` (or NO_STATE), `flight_ns`, `waiting_ns` (NO_STATE: as
before). See `Way`."""


class RoundTripTable:
    """Round trip times of any number of directions, by class. A direction has a seat here, and gives it back."""

    def __init__(self) -> None:
        self._counts = np.zeros(0, np.uint32)  # seat * BUCKETS + class
        self._view = self._counts.data
        self._soonest = np.zeros(0, np.int64)  # by seat
        self._slowest = np.zeros(0, np.int64)
        self._free: list[int] = []

    def seat(self) -> int:
        """A seat that nobody has."""
        if not self._free:
            have = len(self._soonest)
            more = max(have, 16)
            counts = np.zeros((have + more) * BUCKETS, np.uint32)  # memory only where it is written to
            counts[: have * BUCKETS] = self._counts
            self._counts, self._view = counts, counts.data
            self._soonest = np.concatenate([self._soonest, np.full(more, NEVER)])
            self._slowest = np.concatenate([self._slowest, np.zeros(more, np.int64)])
            self._free = list(range(have + more - 1, have - 1, -1))
        return self._free.pop()

    def give_back(self, seat: int) -> None:
        """Nobody needs a seat any more."""
        self._counts[seat * BUCKETS : (seat + 1) * BUCKETS] = 0
        self._soonest[seat], self._slowest[seat] = NEVER, 0
        self._free.append(seat)

    def add(self, seat: int, time_ns: int) -> None:
        """One round trip."""
        octave = time_ns.bit_length() - FIRST_OCTAVE
        if octave <= 0:
            self._view[seat * BUCKETS + (time_ns >> FIRST_OCTAVE - 3)] += 1
        else:
            class_ = 4 * octave + (time_ns >> octave + FIRST_OCTAVE - 3)
            self._view[seat * BUCKETS + min(class_, BUCKETS - 1)] += 1
        self._soonest[seat] = min(self._soonest[seat], time_ns)
        self._slowest[seat] = max(self._slowest[seat], time_ns)

    def add_many(self, seats: Ints, times_ns: Ints) -> None:
        """A round trip for each seat, of less than 2**53 ns (a quarter of a year)."""
        octave = np.maximum(np.frexp(times_ns.astype(np.float64))[1] - FIRST_OCTAVE, 0)
        class_ = np.minimum(4 * octave + (times_ns >> (octave + (FIRST_OCTAVE - 3))), BUCKETS - 1)
        np.add.at(self._counts, seats * BUCKETS + class_, 1)
        np.minimum.at(self._soonest, seats, times_ns)
        np.maximum.at(self._slowest, seats, times_ns)

    def figures(self, seat: int) -> RoundTrips | None:
        """All round trips of a direction; None without any."""
        upto = np.cumsum(self._counts[seat * BUCKETS : (seat + 1) * BUCKETS])
        count = int(upto[-1])
        if not count:
            return None
        soonest, slowest = int(self._soonest[seat]), int(self._slowest[seat])
        low, high = _bounds(int(np.searchsorted(upto, (count * 95 + 99) // 100)))
        return RoundTrips(count, soonest, max(soonest, min(slowest, (low + high) // 2)), slowest)


class Way:
    """What one direction sent. Sequence numbers are 32 bits and wrap; None: not known."""

    __slots__ = (
        "acked",
        "copies",
        "fin_ns",
        "flight_end",
        "flight_ns",
        "hole",
        "hole_ns",
        "last_ns",
        "octets",
        "reordered",
        "resent",
        "resent_ns",
        "rst_ns",
        "run",
        "run_ns",
        "seat",
        "segments",
        "table",
        "top",
        "waiting_ns",
        "zero_longest_ns",
        "zero_ns",
    )

    def __init__(self, table: RoundTripTable) -> None:
        self.table = table
        self.seat = NO_STATE
        self.segments = self.octets = self.resent = self.copies = self.reordered = 0
        self.top: int | None = None  # the highest sequence number sent, and one
        self.acked: int | None = None  # by the peer
        self.flight_end: int | None = None  # of a segment that began a flight and waits for its ACK
        self.flight_ns = 0
        self.waiting_ns: int | None = None  # since when data that is waiting waits for any ACK, without a flight
        self.run = self.run_ns = 0  # segments sent again since the last ACK, and when the first of them was
        self.hole: tuple[int, int] | None = None  # sequence numbers that were jumped over last
        self.hole_ns = 0
        self.resent_ns: int | None = None  # when it was sent again last
        self.last_ns: int | None = None  # last segment
        self.zero_ns: int | None = None  # since when it can take nothing
        self.zero_longest_ns = 0
        self.fin_ns: int | None = None
        self.rst_ns: int | None = None

    def acknowledge(self, ack: int, now: int) -> None:
        """The peer has everything before `ack`."""
        acked, flight_end = self.acked, self.flight_end
        if acked is not None and not 0 < (ack - acked) & MODULUS <= MAX_AHEAD:
            return
        self.acked = ack
        self.run = 0
        if flight_end is not None:
            if (ack - flight_end) & MODULUS > MAX_AHEAD:
                return
            self._trip(now - self.flight_ns)
            self.flight_end = None
        if ack != self.top:
            self.waiting_ns = now

    def _trip(self, time_ns: int) -> None:
        """A round trip took this long."""
        self.sit_down()
        self.table.add(self.seat, max(time_ns, 0))

    def sit_down(self) -> None:
        """Takes a seat in the table of round trips."""
        if self.seat < 0:
            self.seat = self.table.seat()

    def round_trips(self) -> RoundTrips | None:
        """All round trips; None without any."""
        return None if self.seat < 0 else self.table.figures(self.seat)

    def smoothed(self, block: Sums) -> None:
        """What a block adds in which the flow is smooth."""
        segments, octets, last_ns, top, acked, flight_end, flight_ns, waiting_ns = block
        self.segments += segments
        self.octets += octets
        self.top = top
        if last_ns != NO_STATE:
            self.last_ns = last_ns
        if acked != self.acked:
            self.acked, self.run = acked, 0
        if flight_end == NO_STATE:
            self.flight_end = None
        else:
            self.flight_end, self.flight_ns = flight_end, flight_ns
        if waiting_ns != NO_STATE:
            self.waiting_ns = waiting_ns


class Tally:
    """The figures of one connection. Directions are 0 and 1, as with its segments."""

    __slots__ = (
        "ack_ns",
        "ended_by",
        "last_syn_ns",
        "opener",
        "syn",
        "syn_ns",
        "synack_ns",
        "syns",
        "unreachable",
        "ways",
    )

    def __init__(self, table: RoundTripTable | None = None) -> None:
        """`table` keeps the round trips of many connections; seats in it are given back by `release`."""
        table = RoundTripTable() if table is None else table
        self.ways = (Way(table), Way(table))
        self.opener: int | None = None  # the direction of the SYN
        self.syn: int | None = None  # its sequence number
        self.syns = 0
        self.syn_ns: int | None = None
        self.last_syn_ns: int | None = None
        self.synack_ns: int | None = None
        self.ack_ns: int | None = None
        self.ended_by: int | None = None
        self.unreachable = False  # an ICMP message said so of its SYN

    # --- one segment --------------------------------------------------------------------------------------------

    def add(
        self, direction: int, seq: int, length: int, ack: int, flags: int, now: int, *, zero: bool = False
    ) -> None:
        """A segment with `length` payload bytes; `zero` if its window is."""
        own, peer = self.ways[direction], self.ways[1 - direction]
        if flags & (SYN | FIN | RST):
            self._mark(direction, seq, flags, now)
        elif self.ack_ns is None and self.synack_ns is not None and direction == self.opener:
            self.ack_ns = now
        if length:
            self._send(own, seq + 1 if flags & SYN else seq, length, now)
        if flags & ACK and not flags & RST:
            peer.acknowledge(ack, now)
            _window(own, now, zero=zero and not flags & SYN)
        own.last_ns = now

    def follow(self, direction: int, seq: int, after: int, ack: int, now: int) -> None:
        """As `add`, of a segment about which nothing is unusual, when most is known already."""
        own, peer = self.ways[direction], self.ways[1 - direction]
        acked = own.acked
        if own.top != seq or own.zero_ns is not None or acked is None:
            self.add(direction, seq, (after - seq) & MODULUS, ack, ACK, now)
            return
        if after != seq:
            own.segments += 1
            own.octets += (after - seq) & MODULUS
            own.top = after
            if acked == seq:
                own.flight_end, own.flight_ns = after, now
            elif (acked - seq) & MODULUS <= MAX_AHEAD:
                own.waiting_ns = now
        if ack != peer.acked:
            peer.acknowledge(ack, now)
        own.last_ns = now

    def _mark(self, direction: int, seq: int, flags: int, now: int) -> None:
        """SYN, FIN or RST."""
        own = self.ways[direction]
        if flags & SYN:
            if own.top is None:
                own.top = (seq + 1) & MODULUS
            self._open(direction, seq, flags, now)
        if flags & FIN and own.fin_ns is None:
            own.fin_ns = now
        if flags & RST and own.rst_ns is None:
            own.rst_ns = now
        if flags & (FIN | RST) and self.ended_by is None:
            self.ended_by = direction

    def _open(self, direction: int, seq: int, flags: int, now: int) -> None:
        if flags & ACK:
            if self.opener is None:
                self.opener = 1 - direction
            if direction != self.opener and self.synack_ns is None:
                self.synack_ns = now
            return
        if self.opener is None:
            self.opener, self.syn = direction, seq
        if direction != self.opener:
            return  # both ends open at once (RFC 9293 §3.5)
        if self.last_syn_ns is None or now - self.last_syn_ns > COPY_NS:
            self.syns += 1
        if self.syn_ns is None:
            self.syn_ns = now
        if self.synack_ns is None:
            self.last_syn_ns = now

    def _send(self, own: Way, seq: int, length: int, now: int) -> None:
        """Data."""
        after, top = (seq + length) & MODULUS, own.top
        if top is None:
            own.top = top = seq & MODULUS
        ahead = distance_to(top, after)
        if ahead > MAX_AHEAD or ahead < -MAX_AHEAD:
            return
        if length == 1 and ahead == 0 and own.acked == top:
            return  # a keep-alive probe (RFC 9293 §3.8.4)
        own.segments += 1
        own.octets += length
        if ahead > 0:
            _advance(own, seq & MODULUS, after, top, now)
        elif ahead == 0 and _is_copy(own, now):
            own.copies += 1
        elif _fills(own, seq, after) and now - own.hole_ns <= REORDER_NS:
            own.reordered += 1
        else:
            _resend(own, after, now)

    # --- many segments ------------------------------------------------------------------------------------------

    def state(self, first_next: int, second_next: int) -> State | None:
        """For either direction: what comes next; acknowledged up to; pending flight's end and time; seat.

        None if each segment has to be looked at, be it since others come next than those given.
        """
        first, second = self.ways
        if (
            first.top != first_next
            or second.top != second_next
            or first.acked is None
            or second.acked is None
            or first.zero_ns is not None
            or second.zero_ns is not None
        ):
            return None
        first_end, second_end = first.flight_end, second.flight_end
        return (
            first_next,
            second_next,
            first.acked,
            second.acked,
            NO_STATE if first_end is None else first_end,
            NO_STATE if second_end is None else second_end,
            first.flight_ns,
            second.flight_ns,
            first.seat,
            second.seat,
        )

    def release(self) -> None:
        """Nobody will ask for round trips any more."""
        for way in self.ways:
            if way.seat >= 0:
                way.table.give_back(way.seat)
                way.seat = NO_STATE

    # --- the figures --------------------------------------------------------------------------------------------

    @property
    def said_nothing(self) -> bool:
        """Whether a connection was opened whose opener has sent no byte, as far as anybody can tell."""
        if self.opener is None or self.syn is None:
            return False
        own = self.ways[self.opener]
        acknowledged = 0 if own.acked is None else distance_to((self.syn + 1) & MODULUS, own.acked)
        return not own.segments and acknowledged <= int(own.fin_ns is not None)

    def transport(self, client: int) -> Transport | None:
        """What is known now; `client` is the station's direction. None if nothing was seen."""
        ways = (self.ways[client], self.ways[1 - client])
        if ways[0].last_ns is None and ways[1].last_ns is None:
            return None
        until = max(way.last_ns for way in ways if way.last_ns is not None)
        opened = self.opener is None or self.opener == client
        return Transport(
            sides=(_side(ways[0], until), _side(ways[1], until)),
            syns=self.syns if opened else 0,
            syn_ns=self.syn_ns if opened else None,
            last_syn_ns=self.last_syn_ns if opened else None,
            synack_ns=self.synack_ns if opened else None,
            ack_ns=self.ack_ns if opened else None,
            ended_by=None if self.ended_by is None else Side(self.ended_by ^ client),
        )


def _advance(own: Way, seq: int, after: int, top: int, now: int) -> None:
    """Data that was not sent before."""
    if seq == top:
        if own.acked == seq:
            own.flight_end, own.flight_ns = after, now
    elif distance_to(top, seq) > 0:
        own.hole, own.hole_ns = (top, seq), now
    if own.acked is not None and distance_to(own.acked, top) <= 0:
        own.waiting_ns = now
    own.top = after


def _is_copy(own: Way, now: int) -> bool:
    """Whether the newest data is there again at once, and not since everything is sent again."""
    return own.last_ns is not None and own.last_ns != own.resent_ns and now - own.last_ns <= COPY_NS


def _fills(own: Way, seq: int, after: int) -> bool:
    """Whether data lies in the hole that was left last."""
    hole = own.hole
    return hole is not None and distance_to(hole[0], seq) >= 0 and distance_to(after, hole[1]) >= 0


def _resend(own: Way, after: int, now: int) -> None:
    own.resent += 1
    own.resent_ns = now
    if own.flight_end is not None:
        own.flight_end, own.waiting_ns = None, own.flight_ns
    if own.acked is not None and distance_to(own.acked, after) > 0:
        if not own.run:
            own.run_ns = now
        own.run += 1


def _window(own: Way, now: int, *, zero: bool) -> None:
    if zero:
        if own.zero_ns is None:
            own.zero_ns = now
    elif own.zero_ns is not None:
        own.zero_longest_ns = max(own.zero_longest_ns, now - own.zero_ns)
        own.zero_ns = None


def _side(way: Way, until_ns: int) -> TransportSide:
    zero_ns = way.zero_longest_ns
    if way.zero_ns is not None:
        zero_ns = max(zero_ns, until_ns - way.zero_ns)
    waits = way.top is not None and way.acked is not None and distance_to(way.acked, way.top) > 0
    return TransportSide(
        segments=way.segments,
        payload_bytes=way.octets,
        retransmitted=way.resent,
        copies=way.copies,
        reordered=way.reordered,
        unacked_resends=way.run,
        unacked_resends_since_ns=way.run_ns if way.run else None,
        unacked_since_ns=None if not waits else way.waiting_ns if way.flight_end is None else way.flight_ns,
        zero_window_ns=zero_ns,
        round_trips=way.round_trips(),
        last_ns=way.last_ns,
        fin_ns=way.fin_ns,
        rst_ns=way.rst_ns,
    )


def _bounds(bucket: int) -> tuple[int, int]:
    """The times of a class: from, to before."""
    octave = max(bucket // 4 - 1, 0)
    start = bucket - 4 * octave
    shift = octave + FIRST_OCTAVE - 3
    return start << shift, (start + 1) << shift
