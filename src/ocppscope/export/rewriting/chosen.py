"""Which packets of a capture are evidence: those of what is shown, by number, and what is said of them.

From evidence to numbers; no packet is looked at here. A connection stands for the TCP connection that it was read
from; several of them may have come over one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.rewriting.remarks import remarks_on, session_finding
from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, PacketComment, TlsConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.export.evidence import Evidence, Item
    from ocppscope.export.writing import Job
    from ocppscope.model import Connection

MAX_REMARKS = 1 << 18
"""Comments that are put on packets; further ones are counted and left out."""
FIRST_MARKS = 1 << 16
"""Packets for which there is room at first."""


class Marks:
    """A set of packet numbers: a byte a packet."""

    def __init__(self) -> None:
        self._marks = bytearray(FIRST_MARKS)

    def add(self, packets: Iterable[int]) -> None:
        """These belong to it."""
        for packet in packets:
            while packet >= len(self._marks):
                self._marks += bytes(len(self._marks))
            self._marks[packet] = 1

    def __contains__(self, packet: int) -> bool:
        """Whether it belongs to it."""
        return packet < len(self._marks) and self._marks[packet] == 1


class Talk:
    """One TCP connection that is exported, whatever WebSockets or refused upgrades came over it."""

    def __init__(self, first_packet: int) -> None:
        self.first_packet = first_packet
        self.connections: list[int] = []
        self.whole = False  # every packet, not only those of what is shown
        self.from_start = False  # what is shown can only be read with all that came before it
        self.is_tls = False  # and stays so
        self.first = self.last = first_packet  # packets of what is shown


class Chosen:
    """What is exported of captures."""

    def __init__(self) -> None:
        self.marks = Marks()
        self.remarks: dict[int, list[str]] = {}  # packet → comments
        self.unsaid = 0  # comments for which there was no room
        self.general: list[str] = []  # comments on the whole
        self.talks: dict[int, Talk] = {}  # by first packet
        self.invented: set[int] = set()  # connections of which the packets show nothing
        self.rows = 0
        self.connections: dict[int, Connection] = {}
        self._broken: set[int] = set()  # connections with fragmented messages, which readers find only from the start
        self._folded: set[int] = set()  # connections that repeat what others show
        self._shown: dict[int, list[int]] = {}  # connection → messages, first and last packet

    @classmethod
    def of(cls, evidence: Evidence, job: Job) -> Chosen:
        """Goes through the evidence once. Raises what its reading raises."""
        chosen = cls()
        tls: list[TlsConnection] = []
        for item in job.through(evidence.items()):
            if isinstance(item, TlsConnection):
                tls.append(item)
            else:
                chosen._take(item)
        chosen._settle(evidence)
        for one in tls:
            chosen._encrypted(one)
        return chosen

    def invent_all(self) -> None:
        """There is no capture to take packets from."""
        self.invented.update(self.connections.keys() - self._folded)
        self.talks.clear()

    def remark(self, packet: int, comments: list[str]) -> None:
        """Puts comments on a packet."""
        if not comments:
            return
        if len(self.remarks) >= MAX_REMARKS:
            self.unsaid += len(comments)
            return
        known = self.remarks.setdefault(packet, [])
        known += [one for one in comments if one not in known]

    def _take(self, item: Item) -> None:
        if isinstance(item, Row):
            self.rows += 1
            message = item.message
            self._see(message.connection, message.packets, 1)
            if message.frames > 1:
                self._broken.add(message.connection)
            if message.packets:
                self.remark(message.packets[-1], remarks_on(item))
        elif isinstance(item, ControlFrame):
            self._see(item.connection, item.packets)
        elif isinstance(item, PacketComment):
            if item.connection >= 0:
                self._see(item.connection, (item.packet,))
        elif isinstance(item, ConnectionOpened | ConnectionClosed):
            self._see(item.connection.number, ())
        elif not isinstance(item, TlsConnection):
            self._see(item.connection, ())

    def _see(self, connection: int, packets: tuple[int, ...], messages: int = 0) -> None:
        self.marks.add(packets)
        span = self._shown.setdefault(connection, [0, 0, 0])
        span[0] += messages
        if packets:
            span[1] = min(span[1] or packets[0], *packets)
            span[2] = max(span[2], *packets)

    def _settle(self, evidence: Evidence) -> None:
        """What is known of the connections only when all was read."""
        known = evidence.connections
        for number, (shown, first, last) in self._shown.items():
            connection = known.get(number)
            if connection is None:
                continue
            if connection.subject != "ocpp" and any(connection.messages) and not shown:
                continue  # a WebSocket of somebody else
            messages = shown
            leader = connection.leg_of if not shown and connection.leg_of in self._shown else None
            if leader is not None:  # the session is shown once; its other leg comes with all of it or not at all
                if not self._is_whole(known[leader]):
                    continue
                messages = sum(connection.messages)
                self._folded.add(number)
            self.connections[number] = connection
            if has_no_packets(connection):
                if leader is None:
                    self.invented.add(number)
                continue
            talk = self.talks.setdefault(connection.first_packet, Talk(connection.first_packet))
            talk.connections.append(number)
            talk.whole |= messages >= sum(connection.messages)
            talk.from_start |= _has_context(connection) or number in self._broken
            talk.first, talk.last = min(talk.first, first or talk.first), max(talk.last, last)
            handshake = connection.handshake
            if handshake is not None:
                self.marks.add((*handshake.request_packets, *handshake.response_packets))
        self._judge(evidence)

    def _is_whole(self, connection: Connection) -> bool:
        """Whether all its messages are shown."""
        return self._shown[connection.number][0] >= sum(connection.messages)

    def _judge(self, evidence: Evidence) -> None:
        """Findings that name no message stand on the first packet of their connection."""
        report = evidence.report
        for found in report.findings if report is not None else ():
            if any(ref.ordinal >= 0 for ref in found.evidence):
                continue
            known = [self.connections[one] for one in found.connections if one in self.connections]
            first = next((one.first_packet for one in known if not has_no_packets(one)), None)
            if first is not None:
                self.remark(first, [session_finding(found)])
            elif known or not found.connections:
                self.general.append(session_finding(found))

    def _encrypted(self, told: TlsConnection) -> None:
        if not told.decrypted and told.first_packet not in self.talks:
            talk = self.talks[told.first_packet] = Talk(told.first_packet)
            talk.whole = talk.is_tls = True


def has_no_packets(connection: Connection) -> bool:
    """Whether the packets show nothing of a connection: it was read through TLS, or did not come as packets."""
    sealed = connection.tls is not None and not connection.tls.by_proxy
    return sealed or connection.transport is None or not connection.first_packet


def _has_context(connection: Connection) -> bool:
    """Whether compressed messages refer to earlier ones."""
    deflate = connection.handshake.deflate if connection.handshake is not None else None
    return deflate is not None and not (deflate.station_no_context_takeover and deflate.csms_no_context_takeover)
