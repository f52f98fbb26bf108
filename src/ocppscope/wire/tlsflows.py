"""The TLS connections that are followed: which ones, and their segments, most of them as columns.

A connection whose beginning is in order is read where it begins, without anything else being made of it. Once its
handshake is over, its amounts are summed up block by block, and only its SYN, FIN and RST are looked at.

Not every TLS connection is followed, since in captures of other traffic there may be any number of them. The first
`FREE_FLOWS` are. Once OCPP was seen in the clear, further ones only if an end of them has the address of a station or
CSMS. In any case no more than `MORE_FLOWS`, and one for every `PACKETS_A_FLOW` packets of the capture. `unfollowed`
counts the others.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.wire import flows
from ocppscope.wire.link import ACK, FIN, RST, SYN, endpoints
from ocppscope.wire.tcp import MAX_JUMP, MODULUS
from ocppscope.wire.tlsflow import MIN_SPEECH, QUIET_NS, TlsFlow, TlsReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.model import Endpoint, PacketBlock, TlsConnection
    from ocppscope.wire.dismissal import Dismissed
    from ocppscope.wire.flows import FlowTable
    from ocppscope.wire.link import Ints, Segments
    from ocppscope.wire.tcp import Segment

FREE_FLOWS = 256
"""TLS connections that are followed in any case."""
MORE_FLOWS = 4096
"""TLS connections that are followed however short the capture is."""
PACKETS_A_FLOW = 256
"""Packets of a capture for which one more may be followed."""
MAX_ADDRESSES = 4096
"""Addresses of stations and CSMSs that are remembered; the latest."""
MAX_TLS = 1 << 14
"""TLS connections that are followed at a time; of more, the oldest is told of and let go."""
MAX_OPENING = 1024
"""TLS connections whose handshake is read at a time; of more, that of the oldest is not read any further."""
MAX_GREETING = 32
"""Segments of a connection's beginning that are read at once."""

_ENDS = FIN | RST


class TlsFlows:
    """Follows TLS connections by slot; `tell` takes what is known of one that has ended."""

    def __init__(self, table: FlowTable, tell: Callable[[TlsConnection], None]) -> None:
        self._table = table
        self._tell = tell
        self.followed: dict[int, TlsFlow] = {}  # oldest first
        self.unfollowed = 0
        self.let_go = 0
        self._begun = 0
        self._addresses: dict[bytes, None] = {}  # of stations and CSMSs; the latest last
        self._opening: dict[int, None] = {}
        self._octets = np.zeros(0, np.int64)  # by slot * 2 + direction, since the handshake
        self._last_ns = np.zeros(0, np.int64)  # by slot
        self._spoke_ns = np.zeros(0, np.int64)  # by slot * 2 + direction; 0: what its flow says
        self._summed: set[int] = set()  # slots whose segments of this block are summed up although some are looked at

    def meet(self, ends: tuple[Endpoint, ...]) -> None:
        """OCPP is spoken in the clear between these."""
        for address in packed(ends):
            self._addresses.pop(address, None)
            self._addresses[address] = None
        while len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]

    def wants(self, packets: int, addresses: tuple[bytes, ...]) -> bool:
        """Whether to follow one more, between these addresses (as they are sent), after so many packets."""
        if self._begun < FREE_FLOWS:
            return True
        room = self._begun < MORE_FLOWS + packets // PACKETS_A_FLOW
        if room and (not self._addresses or not self._addresses.keys().isdisjoint(addresses)):
            return True
        self.unfollowed += 1
        return False

    # --- connections begin --------------------------------------------------------------------------------------

    def begin(self, one: Dismissed, segments: Segments, block: PacketBlock) -> Ints | None:
        """Follows a connection from its SYN; the rows of it that still have to be looked at.

        None if its beginning is not in order: then each segment has to be looked at.
        """
        rows = one.rows[:MAX_GREETING]
        columns = (
            segments.direction, segments.seq, segments.ack, segments.flags, segments.payload, segments.length,
            segments.missing, segments.packet,
        )  # fmt: skip
        direction, seq, ack, flags, start, length, missing, packet = (column[rows].tolist() for column in columns)
        opened = len(rows) > 2 and flags[0] & (SYN | ACK) == SYN and flags[1] & (SYN | ACK) == SYN | ACK
        if not opened or direction[0] == direction[1]:
            return None
        opener = direction[0]
        ends = endpoints(segments.data, one.ip)
        opened_ns = int(block.time_ns[packet[0]])
        flow = TlsFlow(
            TlsReader(), None, ends if opener == 0 else ends[::-1], opened_ns, block.first_packet + packet[0], opener
        )
        following = flow.next
        for side, number in ((opener, seq[0]), (1 - opener, seq[1])):
            flow.isn[side], following[side] = number, (number + 1) & MODULUS
        for at in range(2, len(rows)):
            side = direction[at]
            ordinary = flags[at] & (SYN | FIN | RST | ACK) == ACK and not missing[at] and seq[at] == following[side]
            if flow.reader.settled or not ordinary or ((following[1 - side] - ack[at]) & MODULUS) > MAX_JUMP:
                break
            if length[at]:
                data = bytes(segments.data[start[at] : start[at] + length[at]])
                flow.deliver(side, data, int(block.time_ns[packet[at]]))
        else:
            at = len(rows)
        if not any(flow.octets):
            return None
        latest = dict(zip(direction[:at], packet[:at], strict=True))  # of each side; the clock may have gone back
        flow.last_ns = max(int(block.time_ns[one]) for one in latest.values())
        self._follow(one.slot, flow)
        rest = one.rows[at:]
        if flow.settled and len(rest):
            rest = self._sum(one.slot, flow, segments, rest, block.time_ns)
        return rest

    def adopt(self, slot: int, flow: TlsFlow) -> None:
        """Follows a connection of which something was looked at already."""
        if flow.over:
            self._begun += 1
            self._tell(flow.told(flow.last_ns))
            self._table.state[slot] = flows.DEAD
        else:
            self._follow(slot, flow)

    def _follow(self, slot: int, flow: TlsFlow) -> None:
        self._begun += 1
        self.followed[slot] = flow
        if len(self._octets) < 2 * len(self._table.state):
            more = len(self._table.state) - len(self._last_ns)
            self._octets = np.concatenate([self._octets, np.zeros(2 * more, np.int64)])
            self._last_ns = np.concatenate([self._last_ns, np.zeros(more, np.int64)])
            self._spoke_ns = np.concatenate([self._spoke_ns, np.zeros(2 * more, np.int64)])
        if flow.settled:
            self._table.state[slot] = flows.COUNTED
        else:
            self._table.state[slot] = flows.LIVE
            self._opening[slot] = None
            if len(self._opening) > MAX_OPENING:
                oldest = next(iter(self._opening))
                self.followed[oldest].reader.settled = True
                self._settle(oldest)
        if len(self.followed) > MAX_TLS:
            self.let_go += 1
            oldest = next(iter(self.followed))
            self.end(oldest, self.followed[oldest].last_ns, flows.DEAD, "let go")

    def _settle(self, slot: int) -> None:
        del self._opening[slot]
        self._table.state[slot] = flows.COUNTED

    # --- their segments -----------------------------------------------------------------------------------------

    def count(self, segments: Segments, slots: Ints, rows: Ints, time_ns: Ints) -> None:
        """Sums up a block's segments of settled connections; `slots` of all segments, `time_ns` of all packets."""
        self._summed.clear()
        self._retell_reopened(segments, slots)
        if not len(rows):
            return
        slot = slots[rows]
        ending = (segments.flags[rows] & _ENDS) != 0
        if ending.any():
            others = np.ones(len(rows), np.bool_)
            for number in dict.fromkeys(slot[ending].tolist()):
                own = slot == number
                others &= ~own
                self._sum(number, self.followed[number], segments, rows[own], time_ns)
            rows, slot = rows[others], slot[others]
        way = slot * 2 + segments.direction[rows]
        octets, now = segments.length[rows] + segments.missing[rows], time_ns[segments.packet[rows]]
        np.add.at(self._octets, way, octets)
        self._last_ns[slot] = now
        self._listen(way, octets, now)

    def _listen(self, way: Ints, octets: Ints, now: Ints) -> None:
        """Finds who spoke after a quiet."""
        speaks = octets >= MIN_SPEECH
        way, octets, now = way[speaks], octets[speaks], now[speaks]
        if not len(way):
            return
        since = now - self._spoke_ns[way]
        quiet = since >= QUIET_NS
        if (since < 0).any() or (now[1:] < now[:-1]).any():  # time runs back: anything may follow a quiet
            quiet[:] = True
        if quiet.any():
            ways = np.zeros(len(self._spoke_ns), np.bool_)
            ways[way[quiet]] = True
            some = np.flatnonzero(ways[way])
            self._break_quiets(way[some], octets[some], now[some])
        self._spoke_ns[way] = now

    def _break_quiets(self, way: Ints, octets: Ints, now: Ints) -> None:
        """The same, of directions in which it may have happened."""
        order = np.argsort(way, kind="stable")
        way, octets, now = way[order], octets[order], now[order]
        first = np.concatenate(([True], way[1:] != way[:-1]))
        before = np.concatenate(([0], now[:-1]))
        before[first] = self._spoke_ns[way[first]]
        quiets = now - before
        some = np.flatnonzero(quiets >= QUIET_NS)
        columns = (column[some].tolist() for column in (way, octets, now, quiets, before))
        followed = self.followed
        for way_, size, time_ns, quiet_ns, known in zip(*columns, strict=True):
            rhythm = followed[way_ >> 1].rhythms[way_ & 1]
            if known:
                rhythm.broken(size, time_ns, quiet_ns)
            else:
                rhythm.said(size, time_ns)

    def _sum(self, slot: int, flow: TlsFlow, segments: Segments, rows: Ints, time_ns: Ints) -> Ints:
        """Sums up a block's segments of one connection, up to its end; gives its FIN and RST, to look at later."""
        ends: Ints = rows[(segments.flags[rows] & _ENDS) != 0]
        if len(ends):
            self._summed.add(slot)
            fin = list(flow.fin)
            for row in ends.tolist():
                fin[int(segments.direction[row])] = True
                if segments.flags[row] & RST or all(fin):
                    rows = rows[rows <= row]
                    break
        octets = segments.length[rows] + segments.missing[rows]
        second = int(octets @ segments.direction[rows])
        flow.octets[1] += second
        flow.octets[0] += int(octets.sum()) - second
        self._retell_spoken(slot, flow)
        speaks, side, now = octets >= MIN_SPEECH, segments.direction[rows], time_ns[segments.packet[rows]]
        for direction, rhythm in enumerate(flow.rhythms):
            own = speaks & (side == direction)
            rhythm.said_many(octets[own], now[own])
        flow.last_ns = int(time_ns[segments.packet[rows[-1]]])
        self._last_ns[slot] = 0
        return ends

    def _retell_reopened(self, segments: Segments, slots: Ints) -> None:
        """Of a connection with a SYN, more than its ends may be looked at in this block."""
        opened = slots[(segments.flags & SYN) != 0]
        for slot in dict.fromkeys(opened[self._table.state[opened] == flows.COUNTED].tolist()):
            flow = self.followed[slot]
            flow.last_ns = int(self._last_ns[slot]) or flow.last_ns
            self._last_ns[slot] = 0
            self._retell_spoken(slot, flow)

    def _retell_spoken(self, slot: int, flow: TlsFlow) -> None:
        """The flow itself knows when its directions spoke last."""
        for direction, rhythm in enumerate(flow.rhythms):
            rhythm.last_ns = int(self._spoke_ns[2 * slot + direction]) or rhythm.last_ns
        self._spoke_ns[2 * slot : 2 * slot + 2] = 0

    def is_summed(self, slot: int) -> bool:
        """Whether this block's segments of a connection are summed up although some are looked at."""
        return slot in self._summed

    def take(self, slot: int, segment: Segment) -> bool:
        """One segment; False if it opens another connection, and the one that was followed is told of."""
        flow = self.followed[slot]
        if segment.flags & SYN and flow.restarts(segment):
            self.end(slot, segment.time_ns, flows.LIVE, "port reused")
            return False
        if slot not in self._summed:
            flow.add(segment)
        elif segment.flags & _ENDS:
            flow.ends_with(segment.direction, segment.flags, segment.time_ns)
        if flow.over:
            self.end(slot, segment.time_ns, flows.DEAD)
        elif flow.settled and slot in self._opening:
            self._settle(slot)
        return True

    # --- connections end ----------------------------------------------------------------------------------------

    def end(self, slot: int, now: int, state: int, how: str = "") -> None:
        """Tells of a connection and follows it no more."""
        flow = self.followed.pop(slot)
        self._opening.pop(slot, None)
        self._table.state[slot] = state
        for direction in (0, 1):
            flow.octets[direction] += int(self._octets[2 * slot + direction])
        flow.last_ns = int(self._last_ns[slot]) or flow.last_ns
        self._retell_spoken(slot, flow)
        self._octets[2 * slot : 2 * slot + 2] = 0
        self._last_ns[slot] = 0
        self._tell(flow.told(now, how))

    def finish(self, now: int) -> None:
        """Tells of all that are still open, in the order in which they began."""
        for slot, _ in sorted(self.followed.items(), key=lambda item: item[1].first_packet):
            self.end(slot, now, flows.DEAD, "end of capture")


def packed(ends: tuple[Endpoint, ...]) -> tuple[bytes, ...]:
    """Addresses as they are sent; of those that are names, nothing."""
    found = []
    for end in ends:
        try:
            found.append(ip_address(end.address).packed)
        except ValueError:
            continue
    return tuple(found)
