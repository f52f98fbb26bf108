"""Packets or stream bytes in, events out: owns the decoders of every connection.

    PacketBlock ─► link ─► flows ─┬─► tcp ─► connection ─► dialogue ─► events
                                  └─► an ordinary message in an ordinary segment: straight to its dialogue

No I/O, no clock: time is what comes with the data. However the same bytes are cut, into blocks or into pieces of a
stream, the events are the same.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace

from ocppscope.acts import Act, comment_of
from ocppscope.batch import Arrivals, Batch, Origin
from ocppscope.legs import Legs
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    Event,
    Flow,
    PacketBlock,
    PacketComment,
    Problem,
    Side,
)
from ocppscope.ocpp.codec import heads
from ocppscope.options import Options
from ocppscope.shortcut import Lane, Payloads, texts_in_parts, unsealed
from ocppscope.summary import Summary
from ocppscope.track import Track
from ocppscope.wire import flows
from ocppscope.wire.attempts import Attempts, attempt_of
from ocppscope.wire.connection import DEAD, Phase
from ocppscope.wire.dismissal import Dismissed, dismissed
from ocppscope.wire.frames import COMPRESSED, MASKED
from ocppscope.wire.held import HeldBack
from ocppscope.wire.http import is_plain_request
from ocppscope.wire.inflate import Contexts
from ocppscope.wire.link import (
    ACK,
    FIN,
    RST,
    SYN,
    UNREACHABLE,
    LinkDecoder,
    addresses,
    endpoints,
    zero_windows,
)
from ocppscope.wire.order import NOT_EXPECTED, Row, smooth_flows
from ocppscope.wire.tcp import MAX_TAIL, MODULUS, Segment
from ocppscope.wire.tlsflows import TlsFlows, packed
from ocppscope.wire.transport import RoundTripTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.model import TlsConnection
    from ocppscope.wire.decrypt import Secrets
    from ocppscope.wire.link import Ints, Segments
    from ocppscope.wire.tlsflow import TlsFlow
    from ocppscope.wire.tlsstream import TlsStream
    from ocppscope.wire.transport import State

MAX_EMBRYOS = 1 << 16
"""Connections that are not WebSocket yet and are looked at; of more, that longest without a packet is forgotten."""
MAX_CONNECTIONS = 1 << 16
"""WebSockets that are followed at a time; of more, those longest without a packet are forgotten."""
MAX_LEAVING = 1 << 12
"""WebSockets that one side has closed, with a FIN, and the other has not; of more, that longest without a packet that
tells of it is forgotten."""
MAX_HELD = 64 << 20
"""Bytes of memory in which all connections together wait for what completes a frame, a message, a head or a hole;
with more, those that hold most give it up."""
FORGOTTEN_AT_ONCE = 64
"""Which part of the WebSockets that are followed is forgotten at once."""
PACKETS_A_WEIGHING = 64
"""Packets for each connection after which all are asked what they hold, touched or not."""
MAX_SNAPSHOTS = 1 << 13
"""Closed connections whose last snapshot is kept: the latest, and of those with lost bytes half as many anyway."""
SYN_WAIT_NS = 90_000_000_000
"""How long after the last SYN an answer to it is waited for; systems wait up to 64 s before they send it again."""
CLOCK_JUMP_NS = 86_400_000_000_000
"""A later packet than that says nothing of how long was waited: the clocks of two captures differ."""

_CAPTURE_END = "end of capture"
_FORGOTTEN = Problem(
    "tcp.forgotten",
    "It was not followed any further, to keep memory bounded: more connections were open than are followed, and it "
    "was longest without a packet, or what it held was most of all.",
)
_SHIELDED = comment_of(Act("tls", Side.STATION.label))
_NEVER = 1 << 63
_SMOOTH, _ROUGH, _ODD = 0, 1, 2  # of a smooth flow; perhaps in order by itself; neither

__all__ = ["Batch", "Engine", "Options"]


class _Commented(NamedTuple):
    """A comment on a packet of a block, and the segment and slot of that packet; -1 for none."""

    place: int
    text: str
    row: int
    slot: int
    track: Track | None


class Engine:
    """Decodes what a capture or proxy hands it. Connections are numbered as they are recognised."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.connections: OrderedDict[int, Connection] = OrderedDict()  # the last snapshots of ended ones, by number
        self._lossy = 0  # of these, those with lost bytes
        self._link = LinkDecoder(self.options.hash_key)
        self.summary = Summary(self._link.stats)
        self._flows = flows.FlowTable()
        self._tracks: dict[int, Track] = {}  # by slot
        self._lanes: dict[int, Lane] = {}  # by slot * 2 + direction
        self._sealed: dict[int, Lane] = {}  # those of them that are in TLS
        self._embryos: OrderedDict[int, None] = OrderedDict()  # slots of tracks that are not WebSocket yet; LRU
        self._held: HeldBack[Track] = HeldBack()
        self.touch = self._held.touch
        self._weigh_at = 0  # packets
        self._leaving: OrderedDict[int, None] = OrderedDict()  # slots of WebSockets of which one side has ended; LRU
        self._stalled: dict[int, Track] = {}
        self._attempts = Attempts()
        self.round_trips = RoundTripTable()
        self.contexts = Contexts()
        self._tls = TlsFlows(self._flows, self.emit)
        self._waiting: OrderedDict[int, int] = OrderedDict()  # tracks that are but a SYN → until when; oldest first
        self.batch = Batch()
        self._now = 0
        self._numbers = 0
        self._legs = Legs()
        self._shielded: set[int] = set()  # slots of connections in this block that the proxy says were TLS
        self._dropped: dict[int, Track] = {}  # that ended in this block, by slot; for comments
        self._keeps_dropped = False

    # --- what tracks need ---------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Hands out an event."""
        self.batch.add(event)
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            if event.connection.subject == "ocpp":
                self._tls.meet(event.connection.flow)
            if isinstance(event, ConnectionClosed):
                self._keep(event.connection)

    def _keep(self, connection: Connection) -> None:
        kept = self.connections
        kept[connection.number] = connection
        self._lossy += any(connection.lost_bytes)
        while len(kept) > MAX_SNAPSHOTS:
            number, oldest = next(iter(kept.items()))
            if any(oldest.lost_bytes):
                if self._lossy <= MAX_SNAPSHOTS // 2:
                    kept.move_to_end(number)
                    continue
                self._lossy -= 1
            del kept[number]

    @property
    def secrets(self) -> Secrets | None:
        """See `track.Host`."""
        secrets = self.options.secrets
        return secrets if secrets is not None and (secrets.version or self.options.expects_secrets) else None

    def enrol(self, track: Track) -> int:
        """The number of a connection that was just recognised."""
        self._numbers += 1
        return self._numbers - 1

    def leg_of(self, track: Track, clue: object, time_ns: int) -> int | None:
        """See `legs`."""
        return self._legs.of(clue, track.number, track.flow, time_ns)

    def _take_batch(self) -> Batch:
        batch, self.batch = self.batch, Batch()
        batch.settle()
        return batch

    # --- packets ------------------------------------------------------------------------------------------------

    def packets(self, block: PacketBlock) -> Batch:
        """The events of the next packets."""
        segments = self._link.decode(block)
        for track in self._dropped.values():
            track.release()
        self._dropped.clear()
        self._keeps_dropped = bool(block.comments)
        self._shielded.clear()
        if self.options.share[1] > 1:
            segments = _own_share(segments, *self.options.share)
        slots, rows, counted = self._flows.sift(segments)
        self.summary.packets += len(block.offsets)
        self.summary.segments += len(segments.key)
        self._tls.count(segments, slots, counted, block.time_ns)
        rows = self._dismiss(block, segments, slots, rows)
        commented = self._commented(block, segments, slots) if block.comments else ()
        if len(rows):
            self._segments(block, segments, slots, rows)
        if self._stalled and len(block.time_ns):
            self._expire(int(block.time_ns[-1]))
        for comment in commented:
            self._comment(block, segments, *comment)
        if len(block.time_ns):
            self._now = max(self._now, int(block.time_ns.max()))
        self._bound()
        return self._take_batch()

    def _commented(self, block: PacketBlock, segments: Segments, slots: Ints) -> list[_Commented]:
        """The comments, each with its segment (-1: none), its slot, and the connection that has that slot now."""
        found = []
        for place, text in block.comments:
            row = int(np.searchsorted(segments.packet, place))
            if row < len(segments.packet) and segments.packet[row] == place:
                slot = int(slots[row])
                if text.startswith(_SHIELDED):
                    self._shielded.add(slot)
                found.append(_Commented(place, text, row, slot, self._tracks.get(slot)))
            else:
                found.append(_Commented(place, text, -1, -1, None))
        return found

    def _comment(
        self, block: PacketBlock, segments: Segments, place: int, text: str, row: int, slot: int, track: Track | None
    ) -> None:
        """Tells of a comment, when it is known to which connection its packet belongs."""
        number, side, flow = -1, Side.STATION, None
        track = track or self._tracks.get(slot) or self._dropped.get(slot)
        if row >= 0:
            flow = Flow(*endpoints(segments.data, int(segments.ip[row])))
        if track is not None and track.number >= 0:
            number, flow, side = track.number, track.flow, track.observer.side(int(segments.direction[row]))
        packet = block.first_packet + place
        comment = PacketComment(int(block.time_ns[place]), packet, number, side, text, -1, flow)
        self.batch.remark(comment, is_bare=row < 0 or not segments.length[row])

    def _dismiss(self, block: PacketBlock, segments: Segments, slots: Ints, rows: Ints) -> Ints:
        """The rows without those of flows that begin in this block and are none of ours, or TLS."""
        state = self._flows.state
        unknown = rows[state[slots[rows]] != flows.LIVE]
        if not len(unknown):
            return rows
        gone, kept = np.zeros(len(state), np.bool_), np.zeros(len(slots), np.bool_)
        slow = int(np.ptp(block.time_ns)) > SYN_WAIT_NS
        for one in dismissed(segments, slots[unknown], unknown, state == flows.IDLE):
            if slow and _answered_late(block, segments, one):
                continue
            left = None
            if one.phase is Phase.TLS and self.secrets is not None:
                continue  # there may be keys for it: it is read like any other connection
            if one.phase is Phase.TLS and self._tls.wants(self.summary.packets, addresses(segments.data, one.ip)):
                left = self._tls.begin(one, segments, block)
                if left is None:
                    continue
                kept[left] = True
            gone[one.slot] = True
            if one.phase is not None:
                self.summary.note(one.phase, partial(_flow_of, segments.data, one))
                if left is None:
                    state[one.slot] = flows.IDLE if one.phase is Phase.IDLE_HTTP else flows.DEAD
        return rows[~gone[slots[rows]] | kept[rows]]

    def _segments(self, block: PacketBlock, segments: Segments, slots: Ints, rows: Ints) -> None:
        """The segments that somebody looks at, in capture order.

        A segment of a smooth flow, or one that is in order by itself, goes straight to its reader, and a whole text
        frame in it straight to its dialogue. That is what `_unusual` would do, without the detours.
        """
        data = bytes(segments.data)
        way = slots[rows] * 2 + segments.direction[rows]
        after = (segments.seq[rows] + segments.length[rows]) & MODULUS
        zero = zero_windows(segments, rows)
        odd = ((segments.flags[rows] & (FIN | SYN | RST | ACK)) != ACK) | (segments.missing[rows] != 0) | zero
        time_ns = block.time_ns[segments.packet[rows]]
        smooth = self._smooth_rows(
            data,
            segments,
            Row(slots[rows], segments.direction[rows], segments.seq[rows], after, segments.ack[rows], odd, time_ns),
            rows,
        )
        held = Payloads(data, segments.payload[rows], segments.length[rows])
        if self._sealed:
            held = unsealed(held, way, smooth, self._sealed)
        visited = np.flatnonzero(~smooth | (held.length > 0))
        rows, smooth, way, after, odd = rows[visited], smooth[visited], way[visited], after[visited], odd[visited]
        held = held.some(visited)
        data, start, length = held[:3]
        times, packets = time_ns[visited].tolist(), (segments.packet[rows] + block.first_packet).tolist()
        starts, lengths = start.tolist(), length.tolist()
        form, body = held.frames()
        forms, origin = form.tolist(), None
        if block.position is not None and segments.data is block.data:
            origin = Origin(block.position, data, forms, body.tolist())
        arrivals = Arrivals([b""] * len(rows), times[:], packets[:], lengths[:], (form & 7 > MASKED).tolist(), origin)
        batch = self.batch = Batch(arrivals)
        step = np.where(smooth, _SMOOTH, np.where(odd, _ODD, _ROUGH))
        lanes, stalled, tracks, followed = self._lanes, self._stalled, self._tracks, self._tls.followed
        columns, due = (step.tolist(), way.tolist(), forms, times), self._due
        for part, texts in texts_in_parts(held, form, body, batch):
            mine = zip(*(column[part] for column in columns), texts, heads(texts), strict=True)
            for at, (step_, way_, form_, now, text, (called, action, answered, short)) in enumerate(mine, part.start):
                if stalled:
                    self._expire(now)
                if now > due:
                    due = self._give_up(now)
                lane = lanes.get(way_)
                if step_ != _SMOOTH:
                    slot, begin, size = way_ >> 1, starts[at], lengths[at]
                    row = rows[at]
                    if slot in followed:
                        if step_ == _ROUGH and followed[slot].settled:
                            if not self._tls.is_summed(slot):
                                followed[slot].count(way_ & 1, size, now)
                            continue
                        if self._tls.take(slot, _segment(segments, data, row, now, packets[at])):
                            continue
                    elif slot not in tracks and self._is_ignored(
                        slot, int(segments.flags[row]), data, begin, begin + size
                    ):
                        continue
                    seq, ack = int(segments.seq[row]), int(segments.ack[row])
                    if lane is None or step_ == _ODD or not lane.is_next(seq, ack):
                        segment = _segment(segments, data, row, now, packets[at])
                        self._unusual(slot, segment, data, int(segments.ip[row]), zero=bool(zero[visited[at]]))
                        due = self._due
                        continue
                    following = int(after[at])
                    lane.tally.follow(way_ & 1, seq, following, ack, now)
                    lane.half.next = following
                    if not size:
                        continue
                    lane.half.tail = data[begin if size <= MAX_TAIL else begin + size - MAX_TAIL : begin + size]
                assert lane is not None
                reader = lane.reader
                if form_ == lane.form and reader.idle:
                    if answered:
                        if lane.speaker.answers(batch, text, at, answered, short):
                            continue
                    elif lane.speaker.calls(batch, text, now, at, called, action, short):
                        continue
                    lane.read_closely(text, now, packets[at], lengths[at])
                elif reader.idle and form_ == lane.form + COMPRESSED and lane.inflater is not None:
                    lane.read_compressed(batch, text, now, at)
                else:
                    begin = starts[at]
                    lane.feed(data[begin : begin + lengths[at]], now, packets[at], form_)

    @property
    def _due(self) -> int:
        """Until when the next SYN is waited for."""
        return next(iter(self._waiting.values()), _NEVER)

    def _give_up(self, time_ns: int) -> int:
        """Nobody answered these SYNs; until when the next is waited for."""
        while (due := self._due) < time_ns:
            slot = next(iter(self._waiting))
            del self._waiting[slot]
            if time_ns - due < CLOCK_JUMP_NS:
                self._end(slot, self._tracks[slot], time_ns, flows.IDLE)
        return due

    def _smooth_rows(self, data: bytes, segments: Segments, row: Row, rows: Ints) -> NDArray[np.bool_]:
        """Which rows belong to flows that are smooth in this block; moves their connections to the block's end."""
        found = smooth_flows(row, self._expected)
        lanes = self._lanes
        for place, (number, final) in enumerate(zip(found.slots.tolist(), found.last.tolist(), strict=True)):
            for side, last in enumerate(final):
                lane = lanes[number * 2 + side]
                lane.way.smoothed(found.sums[place * 2 + side])
                if last >= 0:
                    half = lane.half
                    half.next = int(row.after[last])
                    at, length = int(segments.payload[rows[last]]), int(segments.length[rows[last]])
                    half.tail = data[at + max(length - MAX_TAIL, 0) : at + length]
        if len(found.seats):
            self.round_trips.add_many(found.seats, found.trips_ns)
        return found.rows

    def _expected(self, slot: int) -> State:
        """What must come next in a flow that has lanes for it to be smooth."""
        lane = self._lanes.get(slot * 2)
        if lane is None:
            return NOT_EXPECTED
        first, second = lane.half.next, lane.peer.next
        assert first is not None
        assert second is not None
        return lane.tally.state(first, second) or NOT_EXPECTED

    def _unusual(self, slot: int, segment: Segment, data: bytes, ip: int, *, zero: bool) -> None:
        track = self._tracks.get(slot)
        if track is not None and track.observer.assembler.restarts(segment):
            self._end(slot, track, segment.time_ns, flows.LIVE, "port reused")
            track = None
        if track is None:
            track = self._new_track(slot, segment, data, ip)
        if segment.flags & UNREACHABLE:
            self._unreachable(slot, track, segment)
            return
        self._waiting.pop(slot, None)
        if segment.flags & (SYN | ACK | RST) == SYN and track.tally.synack_ns is None:
            self._waiting[slot] = segment.time_ns + SYN_WAIT_NS
        length = len(segment.data) + segment.missing
        track.tally.add(
            segment.direction, segment.seq, length, segment.ack, segment.flags, segment.time_ns, zero=zero
        )
        track.observer.assembler.add(segment)
        self._after(slot, track, segment.time_ns)

    def _unreachable(self, slot: int, track: Track, segment: Segment) -> None:
        """An ICMP message says that a segment found nobody; it counts if that was a SYN (RFC 9293 §3.9.2.2)."""
        tally = track.tally
        if tally.synack_ns is None and tally.opener == 1 - segment.direction and tally.syn == segment.ack:
            tally.unreachable = True
            self._end(slot, track, segment.time_ns, flows.DEAD)

    def _is_ignored(self, slot: int, flags: int, data: bytes, at: int, stop: int) -> bool:
        """Whether a segment of a flow without a track gives no reason to make one."""
        if flags & SYN:
            return False
        state = self._flows.state
        if at == stop or state[slot] == flows.DEAD:
            return True
        if data[at : at + 4] != b"GET ":
            return bool(state[slot] == flows.IDLE)
        if is_plain_request(data[at:stop]):
            state[slot] = flows.IDLE
            return True
        return False

    def _new_track(self, slot: int, segment: Segment, data: bytes, ip: int) -> Track:
        """A track for a flow that has none."""
        self._flows.state[slot] = flows.LIVE
        source, destination = endpoints(data, ip)
        ends = (source, destination) if segment.direction == 0 else (destination, source)
        track = Track(self, ends, segment.time_ns, segment.packet)
        track.slot, track.shielded = slot, slot in self._shielded
        self._tracks[slot] = track
        self._embryos[slot] = None
        if len(self._embryos) > MAX_EMBRYOS:
            self.summary.forgotten += 1
            self._forget(self._tracks[next(iter(self._embryos))], segment.time_ns)
        return track

    def _after(self, slot: int, track: Track, time_ns: int) -> None:
        """What a segment may have changed of its connection's state."""
        phase = track.observer.phase
        inside = track.observer.inside
        if track.number < 0 and (phase is Phase.TLS or (inside is not None and inside.is_hopeless)):
            self._adopt(slot, track, time_ns)
            return
        idle = phase is Phase.IDLE_HTTP
        if idle or phase in DEAD or track.over:
            self._end(slot, track, time_ns, flows.IDLE if idle else flows.DEAD)
            return
        if phase is Phase.WEBSOCKET:
            self._embryos.pop(slot, None)
        elif slot in self._embryos:
            self._embryos.move_to_end(slot)
        if track.observer.assembler.half_closed:
            self._leaving[slot] = None
            self._leaving.move_to_end(slot)
        self.touch(track)
        if track.observer.assembler.deadline is not None:
            self._stalled[slot] = track
        else:
            self._stalled.pop(slot, None)
        self._lay_lanes(slot, track)

    def _adopt(self, slot: int, track: Track, time_ns: int) -> None:
        """A connection turns out to be TLS."""
        if not self._tls.wants(self.summary.packets, packed(track.ends)):
            track.observer.tls = track.observer.inside = None
            self._end(slot, track, time_ns, flows.DEAD)
            return
        flow = track.tls_flow()
        assert flow is not None
        self._drop(slot, track, flows.LIVE)
        self._tls.adopt(slot, flow)

    def _lay_lanes(self, slot: int, track: Track) -> None:
        pair = track.lanes()
        if pair is not None:
            self._lanes[slot * 2], self._lanes[slot * 2 + 1] = pair
            if pair[0].inside is not None:
                self._sealed[slot * 2], self._sealed[slot * 2 + 1] = pair
        elif slot * 2 in self._lanes:
            self._close_lanes(slot)

    def _close_lanes(self, slot: int) -> None:
        for way in (slot * 2, slot * 2 + 1):
            self._lanes.pop(way, None)
            self._sealed.pop(way, None)

    def _end(self, slot: int, track: Track, time_ns: int, state: int, how: str = "") -> None:
        """Nothing more is looked at of a connection."""
        track.end(time_ns, how)
        flow = track.tls_flow()
        if flow is not None and (track.number >= 0 or self._tls.wants(self.summary.packets, packed(track.ends))):
            self.emit(_with_inside(flow.told(time_ns, how), flow, track.observer.inside))
        if track.number < 0:
            attempt = attempt_of(track.tally, track.ends, time_ns, final=how == "port reused")
            if attempt is not None:
                for event in self._attempts.add(attempt):
                    self.emit(event)
        self._drop(slot, track, state)

    def _drop(self, slot: int, track: Track, state: int) -> None:
        del self._tracks[slot]
        self._held.forget(track)
        self._leaving.pop(slot, None)
        self._embryos.pop(slot, None)
        self._stalled.pop(slot, None)
        self._waiting.pop(slot, None)
        self._close_lanes(slot)
        track.tally.release()
        self._flows.state[slot] = state
        sealed = track.observer.inside is not None and not track.observer.inside.has_spoken
        self.summary.note(Phase.TLS if sealed else track.observer.phase, lambda: track.flow)
        if self._keeps_dropped:
            self._dropped[slot] = track
        else:
            track.release()

    def _expire(self, time_ns: int) -> None:
        """Gives up the stalls that were over before then; they ended when they did, whoever notices."""
        for slot, track in list(self._stalled.items()):
            assembler = track.observer.assembler
            if (due := assembler.deadline) is not None and time_ns > due:
                assembler.expire(time_ns)
                self._after(slot, track, due)

    # --- bounds of all connections together ---------------------------------------------------------------------

    def _bound(self) -> None:
        """Lets go of what is too much. Between two blocks only: within one, smooth flows rely on their lanes."""
        held, tracks = self._held, self._tracks
        if self.summary.packets >= self._weigh_at:
            self._weigh_at = self.summary.packets + PACKETS_A_WEIGHING * max(len(tracks), 1024)
            for track in tracks.values():
                held.touch(track)
        held.settle()
        if held.total > MAX_HELD:
            for track in held.largest(MAX_HELD * 3 // 4):
                self._give_up_held(track)
            held.settle()
        while len(self._leaving) > MAX_LEAVING:
            self.summary.forgotten_sessions += 1
            self._forget(tracks[next(iter(self._leaving))], self._now)
        too_many = len(tracks) - len(self._embryos) - MAX_CONNECTIONS
        if too_many > 0:
            self._forget_idle(too_many + MAX_CONNECTIONS // FORGOTTEN_AT_ONCE)

    def _give_up_held(self, track: Track) -> None:
        """Takes from a connection what it holds, and if that is not most of it, forgets the connection."""
        before = track.held_back()
        self.summary.given_up += 1
        if track.observer.phase is Phase.WEBSOCKET:
            track.let_go(self._now)
            if track.slot >= 0:
                self._after(track.slot, track, self._now)
        self._held.touch(track)
        if track.slot in self._tracks and track.held_back() > before // 2:
            self._forget(track, self._now)

    def _forget_idle(self, count: int) -> None:
        """Forgets WebSockets that are longest without a packet."""
        open_ = (track for slot, track in self._tracks.items() if slot not in self._embryos)
        for track in nsmallest(count, open_, key=lambda track: track.last_ns):
            self.summary.forgotten_sessions += 1
            self._forget(track, self._now)

    def _forget(self, track: Track, time_ns: int) -> None:
        """Follows a connection no further; if it goes on, it is met as if the capture began there."""
        track.problem(None, _FORGOTTEN)
        self._end(track.slot, track, time_ns, flows.NEW, _CAPTURE_END)

    # --- streams ------------------------------------------------------------------------------------------------

    def open_stream(self, flow: Flow, time_ns: int) -> Track:
        """A connection whose bytes come in order, from a proxy or a decryptor."""
        return Track(self, (flow.client, flow.server), time_ns, 0)

    def stream(self, track: Track, side: Side, data: bytes, time_ns: int, packet: int = 0) -> Batch:
        """The events of the next bytes that `side` sent; `packet` numbers the read that they came from."""
        track.observer.data(int(side), data, time_ns, packet)
        self._held.touch(track)
        self._now = max(self._now, time_ns)
        self._bound()
        return self._take_batch()

    def stream_closed(self, track: Track, side: Side, how: str, time_ns: int) -> Batch:
        """The events of a direction's end ("FIN") or of the connection's ("RST")."""
        half = track.observer.assembler.halves[side]
        half.ended = True
        track.observer.assembler.over = how == "RST"
        track.observer.closed(int(side), how, time_ns, 0)
        if track.over:
            track.end(time_ns)
            self._held.forget(track)
        return self._take_batch()

    def retry(self) -> Batch:
        """The events of what can be read since there are more keys."""
        for slot, track in list(self._tracks.items()):
            if track.observer.inside is not None:
                track.observer.inside.retry()
                self._after(slot, track, self._now)
        return self._take_batch()

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self) -> Batch:
        """The events of the end of the capture: everything still open is closed at the last packet's time."""
        for slot, track in list(self._tracks.items()):
            self._end(slot, track, self._now, flows.DEAD, _CAPTURE_END)
        self.summary.out_of_context = self.contexts.lost
        self._tls.finish(self._now)
        self.summary.unfollowed_tls = self._tls.unfollowed + self._tls.let_go
        for event in self._attempts.finish():
            self.emit(event)
        return self._take_batch()


def _flow_of(data: bytes | bytearray, found: Dismissed) -> Flow:
    source, destination = endpoints(data, found.ip)
    return Flow(destination, source) if found.answered else Flow(source, destination)


def _answered_late(block: PacketBlock, segments: Segments, one: Dismissed) -> bool:
    """Whether nobody waits any more for the answer to a flow's SYN when it comes."""
    synchronises = (segments.flags[one.rows] & SYN) != 0
    first, answer = segments.packet[one.rows[[0, int(np.argmin(synchronises))]]].tolist()
    times = block.time_ns[first : answer + 1]
    return bool(synchronises[0]) and int(times.max() - times[0]) > SYN_WAIT_NS


def _segment(segments: Segments, data: bytes, row: int, time_ns: int, packet: int) -> Segment:
    at, length = int(segments.payload[row]), int(segments.length[row])
    return Segment(
        int(segments.direction[row]),
        int(segments.seq[row]),
        int(segments.ack[row]),
        int(segments.flags[row]),
        data[at : at + length],
        int(segments.missing[row]),
        time_ns,
        packet,
    )


def _with_inside(told: TlsConnection, flow: TlsFlow, inside: TlsStream | None) -> TlsConnection:
    """What is known of a TLS connection, with what keys have shown of it."""
    if inside is None or not inside.has_spoken:
        return told
    client, shown = flow.client, inside.certificates
    encrypted = shown[client], shown[1 - client]
    certificates = told.certificates if not any(encrypted) else encrypted
    return replace(told, decrypted=True, certificates=certificates)


def _own_share(segments: Segments, share: int, of: int) -> Segments:
    mine = (segments.key >> 17) % of == share
    columns = {name: column[mine] for name, column in segments._asdict().items() if name != "data"}
    return segments._replace(**columns)
