"""The network below OCPP: round trips, and how long TCP, TLS and the upgrade took. DNS is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.happenings import Closed, Encrypted, LeftOpen, Upgraded
from ocppscope.analysis.timing.figures import Kind, Limits, Unit, above, figure
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Link, Station
    from ocppscope.analysis.timing.ledger import Ledger
    from ocppscope.model import Transport

ENOUGH_SEGMENTS = 50

CONNECT = figure(
    "tcp-connect", "network", "TCP connect", Unit.TIME,
    "From the station's first SYN to its first segment after the SYN-ACK; `syns` is how many SYNs that took "
    "altogether.",
    limits=above(None, 3),
)  # fmt: skip
RTT = figure(
    "tcp-rtt", "network", "TCP round trip", Unit.TIME,
    "Between the place of the capture and each side, one value a connection: by SYN and SYN-ACK (SYN), and the "
    "quickest (ACK min) and slowest twentieth (ACK p95) of the times until sent data was acknowledged. A delayed "
    "ACK waits up to 200 ms by itself.",
    split=("to", "by"),
)  # fmt: skip
TLS = figure(
    "tls-handshake", "network", "TLS handshake", Unit.TIME,
    "From the ClientHello to the last handshake record, or to the first application data if that is not seen.",
    limits=above(None, 15),
)  # fmt: skip
UPGRADE = figure(
    "http-upgrade", "network", "HTTP upgrade", Unit.TIME,
    "From the request for the upgrade to its answer, by its status.",
    split=("answer",), limits=above(None, 15),
)  # fmt: skip
RETRANSMISSION = figure(
    "retransmission", "network", "TCP retransmission", Unit.PERCENT,
    "Segments with data that were sent again, of all segments with data. What was only captured twice does not "
    "count.",
    kind=Kind.SHARE, split=("by",), limits=Limits(warning=2, of="value", least=ENOUGH_SEGMENTS), scale=100,
)  # fmt: skip


class NetworkFigures:
    """Reads what the snapshots of connections say of TCP."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        bus.subscribe(Upgraded, self._upgraded)
        bus.subscribe((Closed, LeftOpen), self._closed)
        bus.subscribe(Encrypted, self._encrypted)

    def _upgraded(self, told: Upgraded) -> None:
        assert told.link is not None
        station, connection, now = told.station, told.link.connection, told.time_ns
        person = self._ledger.person(station)
        person.learn(station, now)
        handshake, transport = connection.handshake, connection.transport
        if handshake is not None and handshake.answered_ns is not None:
            took = handshake.answered_ns - handshake.requested_ns
            self._ledger.add(UPGRADE, station, took, now, str(handshake.status))
        if transport is None or transport.syn_ns is None or transport.synack_ns is None:
            return
        for side, rtt_ns in _legs(transport):
            person.round_trip(side, rtt_ns)
            self._ledger.add(RTT, station, rtt_ns, now, side.label, "SYN")
        if transport.ack_ns is not None:
            series = self._ledger.add(CONNECT, station, transport.ack_ns - transport.syn_ns, now)
            if transport.syns > 1:
                series.count("repeated_syns", transport.syns - 1)

    def _closed(self, told: Closed | LeftOpen) -> None:
        assert told.link is not None
        transport = told.link.connection.transport
        if transport is not None:
            self._acknowledged(told.station, told.link, transport, told.time_ns)

    def _acknowledged(self, station: Station, link: Link, transport: Transport, now: int) -> None:
        for sender in Side:
            sent, far = transport.sides[sender], sender.other
            if sent.segments:
                share = self._ledger.portion(RETRANSMISSION, station.identity, sender.label)
                share.add(sent.retransmitted, sent.segments, sent.segments)
            if sent.round_trips is not None:
                if link.gap_ns is None:
                    self._ledger.person(station).round_trip(far, sent.round_trips.min_ns)
                self._ledger.add(RTT, station, sent.round_trips.min_ns, now, far.label, "ACK min")
                self._ledger.add(RTT, station, sent.round_trips.p95_ns, now, far.label, "ACK p95")

    def _encrypted(self, told: Encrypted) -> None:
        tls = told.tls
        ends = [at for at in (tls.handshake_ns, *tls.application_ns) if at is not None]
        end = tls.handshake_ns if tls.handshake_ns is not None else min(ends, default=None)
        if tls.client_hello_ns is not None and tls.server_hello_ns is not None and end is not None:
            self._ledger.add(TLS, told.station, end - tls.client_hello_ns, told.time_ns)


def _legs(transport: Transport) -> list[tuple[Side, int]]:
    """The round trips that the TCP handshake shows; a SYN that was sent again shows nothing."""
    syn, synack, ack = transport.last_syn_ns or transport.syn_ns, transport.synack_ns, transport.ack_ns
    legs = []
    if syn is not None and synack is not None and transport.syns <= 1:
        legs.append((Side.CSMS, synack - syn))
    if synack is not None and ack is not None:
        legs.append((Side.STATION, ack - synack))
    return [(side, rtt) for side, rtt in legs if rtt >= 0]
