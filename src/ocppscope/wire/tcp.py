"""From TCP segments to ordered bytes, one connection at a time (RFC 9293 §3.4).

    segment in order ──► delivered
    segment ahead ─────► held until the hole is filled, given up, or the capture ends
    segment behind ────► retransmission: the first copy wins, another content is a Problem
    ACK of bytes that the capture does not hold ──► the connection *stalls* for a moment, since captures swap
        packets of the two directions; then the bytes are declared lost, before the packet with the ACK is read,
        so that a CALL behind the hole is still seen before its answer

A hole that the receiver has not acknowledged is waited for: the retransmission is on its way. Nothing here knows
what the bytes mean. Sequence numbers are 32 bits and wrap; positions of what is held do not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort_right
from operator import attrgetter
from typing import NamedTuple, Protocol

from ocppscope.model import Problem
from ocppscope.wire.link import ACK, FIN, RST, SYN

MODULUS = 0xFFFF_FFFF
MAX_JUMP = 64 << 20
"""Bytes that a segment or ACK may lie ahead and still be believed; further away, an ACK is ignored."""
LEAP_SEGMENTS = 3
"""Segments further away that are believed after all, since each goes on where the one before it ended."""
MAX_HELD_BYTES = 4 << 20
"""Bytes that wait behind one hole; with more, the hole is given up."""
MAX_HELD_SEGMENTS = 4096
"""Segments that wait behind one hole."""
STALL_PACKETS = 12
"""Packets of a connection that wait for bytes which were acknowledged but not captured yet."""
STALL_NS = 50_000_000
"""How long they wait, in capture time."""
HOLE_WAIT_NS = 120_000_000_000
"""How long a hole that nobody acknowledged is waited for, in capture time."""
ONE_SIDED_WAIT_NS = 5_000_000_000
"""The same where the capture has only one direction, so that no ACK can tell."""
MAX_TAIL = 2048
"""Bytes that were delivered last and are kept to compare with, should they be sent again."""
PIECE_BYTES = 256
"""What a segment that waits takes besides its bytes, roughly."""


class Segment(NamedTuple):
    """One TCP segment. `missing` counts payload bytes beyond `data` that the capture does not hold."""

    direction: int
    seq: int
    ack: int
    flags: int
    data: bytes
    missing: int
    time_ns: int
    packet: int


class Stream(Protocol):
    """Who takes the ordered bytes."""

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """The next bytes of a direction."""

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """`lost` bytes of a direction are not in the capture; what follows comes after them."""

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """Something odd about the segments of a direction."""

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """A direction ended ("FIN"), or both did ("RST")."""


class Half:
    """One direction. `next` is the sequence number of the next byte to deliver; None until one is seen."""

    __slots__ = (
        "begin",
        "delivered",
        "ended",
        "far",
        "held",
        "held_bytes",
        "is_doubted",
        "isn",
        "next",
        "passed",
        "phantom",
        "resent",
        "swapped",
        "tail",
    )

    def __init__(self) -> None:
        self.next: int | None = None
        self.isn: int | None = None
        self.begin = 0  # where the capture's view of this direction begins, if it has no SYN
        self.passed = 0  # the position of `next`, as those of `held` are counted
        self.held: list[_Held] = []  # sorted, without overlaps
        self.held_bytes = 0
        self.tail = b""  # the last delivered bytes, to compare retransmissions with
        self.delivered = False
        self.ended = False
        self.far: tuple[Segment, ...] = ()  # the latest that were not believed, each going on from the one before
        self.is_doubted = False  # whether some never were
        self.phantom = False  # one byte was acknowledged that may have been an uncaptured FIN
        self.resent = 0  # retransmitted segments
        self.swapped = 0  # segments that came ahead of a hole

    @property
    def hole(self) -> int:
        """How many bytes are missing before what is held."""
        return self.held[0].start - self.passed


class _Held(NamedTuple):
    start: int  # its position, see `Half.passed`
    data: bytes
    missing: int
    fin: bool
    time_ns: int
    packet: int

    @property
    def stop(self) -> int:
        return self.start + len(self.data) + self.missing


class Assembler:
    """Orders the segments of one connection.

    `plain` says that nothing is held, stalled or over: then a caller may deliver a segment whose `seq` is
    `halves[direction].next` and whose ACK acknowledges nothing unseen by itself, and advance `next` and `tail`.
    """

    __slots__ = ("_hole_since", "_stalled", "_starving", "deadline", "halves", "over", "plain", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.halves = (Half(), Half())
        self.plain = True
        self.over = False
        self.deadline: int | None = None  # capture time at which `expire` has something to do
        self._stalled: list[Segment] = []
        self._starving = 0  # the direction whose bytes a stalled connection waits for
        self._hole_since = [0, 0]

    def restarts(self, segment: Segment) -> bool:
        """Whether this SYN opens another connection on the same addresses and ports."""
        half = self.halves[segment.direction]
        if not segment.flags & SYN or half.next is None:
            return False
        other = self.halves[1 - segment.direction]
        begun = half.delivered or half.isn is not None or (other.delivered and not segment.flags & ACK)
        return segment.seq != half.isn and (self.over or begun)

    def add(self, segment: Segment) -> None:
        """Takes the next captured segment."""
        if self.over:
            return
        if self._stalled:
            self._while_stalled(segment)
        else:
            self._take(segment, patient=True)
        self._settle()

    def expire(self, time_ns: int) -> None:
        """Gives up a stall whose time is over."""
        if self._stalled and self.deadline is not None and time_ns > self.deadline:
            self._release(patient=False)
            self._settle()

    def finish(self, time_ns: int, why: str = "the capture ends before they were sent again") -> None:
        """The capture ends, or nothing is waited for any longer: delivers what was held, with the holes named."""
        if self._stalled:
            self._release(patient=False)
        for direction, half in enumerate(self.halves):
            while half.held:
                self._give_up(direction, half.hole, time_ns, why)
        self._settle()

    @property
    def half_closed(self) -> bool:
        """Whether one direction has ended and the other has not."""
        return self.halves[0].ended != self.halves[1].ended

    def held_back(self) -> int:
        """Bytes of memory that wait behind holes, roughly."""
        first, second = self.halves
        pieces = len(first.held) + len(second.held) + len(self._stalled)
        return first.held_bytes + second.held_bytes + PIECE_BYTES * pieces if pieces else 0

    def _settle(self) -> None:
        first, second = self.halves
        held = self._stalled or first.held or second.held
        self.plain = not (held or self.over or first.phantom or second.phantom or first.ended or second.ended)
        if not self._stalled:
            self.deadline = None

    # --- acknowledgements of unseen bytes -------------------------------------------------------------------

    def _unseen(self, segment: Segment) -> int:
        """How many bytes of the other direction this segment acknowledges that were not captured."""
        if not segment.flags & ACK or segment.flags & RST:
            return 0
        peer = self.halves[1 - segment.direction]
        if peer.next is None:
            peer.next = segment.ack
            return 0
        if peer.ended:
            return 0
        distance = (segment.ack - peer.next) & MODULUS
        if distance == 1 and peer.isn is None and not peer.delivered:
            peer.next = segment.ack  # what was seen of the peer was a keep-alive probe, one byte behind
            return 0
        return distance if distance < MAX_JUMP else 0

    def _while_stalled(self, segment: Segment) -> None:
        starving = self._starving
        brings = (segment.data or segment.flags & FIN) and not segment.flags & (SYN | RST)
        awaited = segment.direction == starving and distance_to(segment.seq, self._stalled[0].ack) > 0
        if awaited and brings:
            self._place(segment)
            if not self._unseen(self._stalled[0]):
                self._release(patient=True)
                return
        else:
            self._stalled.append(segment)
        late = segment.time_ns - self._stalled[0].time_ns > STALL_NS
        if late or len(self._stalled) > STALL_PACKETS:
            self._release(patient=False)

    def _release(self, *, patient: bool) -> None:
        stalled, self._stalled = self._stalled, []
        self.deadline = None
        for position, segment in enumerate(stalled):
            if self.over:
                return
            self._take(segment, patient=patient)
            if self._stalled:
                self._stalled += stalled[position + 1 :]
                return

    # --- one segment ----------------------------------------------------------------------------------------

    def _take(self, segment: Segment, *, patient: bool) -> None:
        direction = segment.direction
        half = self.halves[direction]
        if segment.flags & SYN:
            self._synchronise(half, segment)
        elif half.next is None:
            half.next = half.begin = segment.seq
        unseen = self._unseen(segment)
        if unseen:
            if patient:
                self._stalled = [segment]
                self._starving = 1 - direction
                self.deadline = segment.time_ns + STALL_NS
                return
            self._lose_acknowledged(1 - direction, unseen, segment.time_ns)
        if segment.flags & RST:
            assert half.next is not None
            if abs(distance_to(half.next, segment.seq)) <= MAX_JUMP:
                self._reset(segment)
        else:
            self._place(segment)

    def _synchronise(self, half: Half, segment: Segment) -> None:
        if half.isn is None and not half.delivered:
            half.isn = segment.seq
            half.next = (segment.seq + 1) & MODULUS

    def _reset(self, segment: Segment) -> None:
        for direction, half in enumerate(self.halves):
            while half.held:
                self._give_up(direction, half.hole, segment.time_ns, "the connection was reset before")
        if not self.over:
            self.over = True
            self.stream.closed(segment.direction, "RST", segment.time_ns, segment.packet)

    def _lose_acknowledged(self, direction: int, unseen: int, time_ns: int) -> None:
        """The receiver has everything up to `unseen` bytes ahead: gives up every hole in it."""
        half = self.halves[direction]
        assert half.next is not None
        target = (half.next + unseen) & MODULUS
        while (rest := distance_to(half.next, target)) > 0:
            if rest == 1 and not half.held:
                half.phantom = not half.ended
                half.next = target
                return
            lost = min(rest, half.hole) if half.held else rest
            self._give_up(direction, lost, time_ns, "they were acknowledged, but the capture does not hold them")

    def _place(self, segment: Segment) -> None:
        direction, seq, _, flags, data, missing, time_ns, packet = segment
        half = self.halves[direction]
        assert half.next is not None
        if flags & SYN:
            seq = (seq + 1) & MODULUS
        fin = bool(flags & FIN)
        if not data and not missing and not fin:
            return
        start = distance_to(half.next, seq)
        if start > 0 and not half.delivered and half.isn is None and start == 1:
            half.next, start = seq, 0  # the first thing seen was a keep-alive probe, one byte behind
        if half.phantom and fin and start + len(data) + missing == -1:
            half.phantom, half.ended = False, True  # the byte was this FIN, captured after its ACK
            self.stream.closed(direction, "FIN", time_ns, packet)
            return
        if half.ended:
            half.resent += start <= 0
            return
        if not -MAX_JUMP <= start <= MAX_JUMP:
            self._doubt(half, segment._replace(seq=seq, flags=flags & ~SYN))
            return
        if half.phantom and start >= 0 and data:
            half.phantom = False
            self.stream.gap(direction, 1, time_ns, "it was acknowledged, but the capture does not hold it")
        if start < 0:
            half.resent += 1
            if half.isn is None and distance_to(half.begin, seq) < -1 and data:
                self.stream.problem(direction, _BEFORE_START, time_ns)
            if start < -1 or len(data) > 1:  # a keep-alive probe may hold any byte (RFC 9293 §3.8.4)
                self._compare(direction, half, data, -start, time_ns)
            data, missing = data[-start:], missing + min(0, len(data) + start)
            start = 0
            if missing < 0 or not (data or missing or fin):
                return
        if start > 0:
            half.swapped += 1
        held = _Held(half.passed + start, data, missing, fin, time_ns, packet)
        if start == 0 and not half.held:
            self._deliver(direction, held, time_ns)
        else:
            self._hold(direction, half, held)

    def _doubt(self, half: Half, segment: Segment) -> None:
        """One far from all others proves nothing: a stray or forged one. That others go on from it does."""
        if segment.data or segment.missing:
            behind = half.far[-1:]
            follows = behind and segment.seq == _end(behind[0])
            repeats = behind and segment.seq == behind[0].seq
            half.far = (*half.far, segment) if follows else half.far if repeats else (segment,)
        if len(half.far) >= LEAP_SEGMENTS:
            self._leap(half, segment.direction)
        elif not half.is_doubted:
            half.is_doubted = True
            self.stream.problem(segment.direction, _FAR, segment.time_ns)

    def _leap(self, half: Half, direction: int) -> None:
        """The direction goes on where its far segments are."""
        far, half.far = half.far, ()
        while half.held:
            self._give_up(direction, half.hole, far[0].time_ns, "it goes on elsewhere")
        if not half.ended:
            assert half.next is not None
            self._give_up(direction, (far[0].seq - half.next) & MODULUS, far[0].time_ns, _LEAPT)
            for segment in far:
                self._place(segment)

    def _compare(self, direction: int, half: Half, data: bytes, behind: int, time_ns: int) -> None:
        """Compares a retransmission that starts `behind` bytes before `next` with what was delivered last."""
        tail = half.tail
        first = max(0, behind - len(tail))
        old = tail[len(tail) - behind + first :] if behind <= len(tail) else tail
        new = data[first : first + len(old)]
        if new != old[: len(new)]:
            self.stream.problem(direction, _CONFLICT, time_ns)

    # --- holes ----------------------------------------------------------------------------------------------

    def _hold(self, direction: int, half: Half, new: _Held) -> None:
        if not half.held:
            self._hole_since[direction] = new.time_ns
        held = half.held
        first = bisect_right(held, new.start, key=_stop)
        last = bisect_left(held, new.start + len(new.data), first, key=_start)
        held[first:last] = [_yield(old, new) for old in held[first:last]]
        for piece in self._uncovered(direction, held, new, first):
            insort_right(held, piece, key=_start)
            half.held_bytes += len(piece.data)
        self._drain(direction, half, new.time_ns)
        other = self.halves[1 - direction]
        wait = ONE_SIDED_WAIT_NS if other.isn is None and not other.delivered else HOLE_WAIT_NS
        while half.held and (
            half.held_bytes > MAX_HELD_BYTES
            or len(half.held) > MAX_HELD_SEGMENTS
            or new.time_ns - self._hole_since[direction] > wait
        ):
            self._give_up(direction, half.hole, new.time_ns, "they were not seen in time")

    def _uncovered(self, direction: int, held: list[_Held], new: _Held, first: int) -> list[_Held]:
        """The parts of a segment that nothing in `held`, from `first` on, covers; what is covered is compared."""
        pieces = []
        start, data = new.start, new.data
        for place in range(first, len(held)):
            old = held[place]
            if old.start >= start + len(data):
                break
            if old.stop <= start:
                continue
            if old.start > start:
                pieces.append(_Held(start, data[: old.start - start], 0, False, new.time_ns, new.packet))
            low, high = max(old.start, start), min(old.start + len(old.data), start + len(data))
            if low < high and old.data[low - old.start : high - old.start] != data[low - start : high - start]:
                self.stream.problem(direction, _CONFLICT, new.time_ns)
            skip = min(old.stop - start, len(data))
            start, data = start + skip, data[skip:]
        end = start + len(data)
        behind, around = bisect_left(held, end, key=_start), bisect_right(held, start, key=_stop)
        missing = min(new.missing, held[behind].start - end) if behind < len(held) else new.missing
        is_inside = around < len(held) and held[around].start <= start
        if data or ((missing or new.fin) and not is_inside):
            pieces.append(_Held(start, data, missing, new.fin, new.time_ns, new.packet))
        return pieces

    def _drain(self, direction: int, half: Half, time_ns: int) -> None:
        """Delivers what is held from the hole's start on; it could be read at `time_ns` or when it came."""
        before = half.passed
        while half.held and half.held[0].start <= half.passed:
            held = half.held.pop(0)
            half.held_bytes -= len(held.data)
            behind = half.passed - held.start
            if behind < len(held.data) or held.missing or held.fin:
                missing = max(0, held.missing - max(0, behind - len(held.data)))
                kept = held._replace(data=held.data[behind:], missing=missing)
                self._deliver(direction, kept, max(time_ns, held.time_ns))
            if half.ended:
                half.held.clear()
                half.held_bytes = 0
        if half.passed != before and half.held:
            self._hole_since[direction] = half.held[0].time_ns

    def _give_up(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        half = self.halves[direction]
        assert half.next is not None
        half.next = (half.next + lost) & MODULUS
        half.passed += lost
        half.tail = b""
        if lost:
            self.stream.gap(direction, lost, half.held[0].time_ns if half.held else time_ns, why)
        if half.held:
            self._hole_since[direction] = half.held[-1].time_ns
            self._drain(direction, half, half.held[0].time_ns)

    def _deliver(self, direction: int, held: _Held, time_ns: int) -> None:
        half = self.halves[direction]
        assert half.next is not None
        half.next = (half.next + len(held.data) + held.missing) & MODULUS
        half.passed += len(held.data) + held.missing
        if held.data:
            half.delivered = True
            half.tail = held.data[-MAX_TAIL:]
            self.stream.data(direction, held.data, time_ns, held.packet)
        if held.missing:
            half.tail = b""
            self.stream.gap(direction, held.missing, time_ns, "the capture was cut by its snap length")
        if held.fin:
            half.next = (half.next + 1) & MODULUS
            half.ended = True
            self.stream.closed(direction, "FIN", time_ns, held.packet)


_start, _stop = attrgetter("start"), attrgetter("stop")


def _yield(old: _Held, new: _Held) -> _Held:
    """`old` without the claim to bytes that it lacks and `new` may have."""
    end = old.start + len(old.data)
    if not old.missing or new.start >= old.stop or new.start + len(new.data) <= end:
        return old
    return old._replace(missing=max(0, new.start - end))


_BEFORE_START = Problem(
    "tcp.before-start", "Bytes from before the first captured one came after it; they could not be read any more."
)
_CONFLICT = Problem(
    "tcp.overlap-conflict", "Bytes were sent twice with different content; the first copy is the one that is read."
)
_FAR = Problem(
    "tcp.far-segment",
    "A segment lies over 64 MiB from those before it; it is only read if others go on from it.",
)
_LEAPT = "it goes on far away: so much is missing, or another connection has the same addresses and ports"


def _end(segment: Segment) -> int:
    return (segment.seq + len(segment.data) + segment.missing) & MODULUS


def distance_to(here: int, there: int) -> int:
    """How far `there` lies ahead of `here` (negative: behind), modulo 2**32 (RFC 9293 §3.4)."""
    return ((there - here + 0x8000_0000) & MODULUS) - 0x8000_0000
