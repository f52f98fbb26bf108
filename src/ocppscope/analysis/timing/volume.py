"""How many bytes a station costs: the question of the mobile data bill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.happenings import Closed, Controlled, LeftOpen, Unpaired
from ocppscope.analysis.timing.figures import DAY, Kind, Unit, figure
from ocppscope.analysis.timing.ledger import MAX_PEOPLE
from ocppscope.model import Outcome, Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.timing.ledger import Ledger

SEGMENT_OVERHEAD = 40
"""Bytes of IPv4 and TCP headers without options."""
FRAME_OVERHEAD = (6, 2)
"""Bytes of a small frame's header, by sender: a station masks."""

TCP = figure(
    "tcp-bytes", "volume", "TCP payload", Unit.BYTES,
    "Bytes of TCP payload of a station's connections by sender, upgrade and frames included, each retransmission "
    "counted. `headers` is the least that IP and TCP headers add, `per_day` both together by the time connected.",
    kind=Kind.TOTAL, split=("from",),
)  # fmt: skip
PINGS = figure(
    "ping-bytes", "volume", "Pings and pongs", Unit.BYTES,
    "Bytes of ping, pong and Close frames by sender, headers of TCP left out.",
    kind=Kind.TOTAL, split=("from",),
)  # fmt: skip
DUPLICATES = figure(
    "duplicate-answers", "volume", "Second answers", Unit.COUNT,
    "Answers to a CALL that had been answered before.",
    kind=Kind.TOTAL, split=("from",),
)  # fmt: skip


WIRE = figure(
    "wire-share", "volume", "TCP payload per text", Unit.PERCENT,
    "Bytes of TCP payload for the bytes of the messages' texts, by sender: below 100 % compression helps, above "
    "that is the overhead of frames, pings, upgrades and retransmission. Told once no connection of the station is "
    "open.",
    kind=Kind.SHARE, split=("from", "compression"), scale=100,
)  # fmt: skip


class VolumeFigures:
    """Adds up the bytes of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._squeezed: dict[str, set[bool]] = {}  # by station: whether its connections were compressed
        bus.subscribe((Closed, LeftOpen), self._closed)
        bus.subscribe(Controlled, self._controlled)
        bus.subscribe(Unpaired, self._unpaired)

    def _closed(self, told: Closed | LeftOpen) -> None:
        assert told.link is not None
        connection = told.link.connection
        transport, handshake = connection.transport, connection.handshake
        squeezed = handshake is not None and handshake.deflate is not None
        self._squeezed.setdefault(told.station.identity, set()).add(squeezed)
        if len(self._squeezed) > MAX_PEOPLE:
            del self._squeezed[told.station.identity]
        for side in Side if transport is not None else ():
            assert transport is not None
            sent = transport.sides[side]
            total = self._ledger.portion(TCP, told.station.identity, side.label)
            total.add(sent.payload_bytes, 0, sent.segments)
            total.count("headers", sent.segments * SEGMENT_OVERHEAD)

    def _controlled(self, told: Controlled) -> None:
        frame = told.frame
        octets = len(frame.payload) + FRAME_OVERHEAD[frame.side]
        self._ledger.portion(PINGS, told.station.identity, frame.side.label).add(octets, 0, 1)

    def _unpaired(self, told: Unpaired) -> None:
        if told.message.outcome is Outcome.DUPLICATE:
            self._ledger.portion(DUPLICATES, told.station.identity, told.message.side.label).add(1, 0, 1)

    def settle(self, now: int) -> None:
        """Works out what a day costs."""
        del now
        for (identity, sender), total in list(self._ledger.portions[TCP].items()):
            person = self._ledger.people.get(identity)
            if person is None or person.connected_ns <= 0:
                continue
            octets = total.part + total.counts.get("headers", 0)
            total.counts["per_day"] = round(octets * DAY / person.connected_ns)
            text = person.text[sender == Side.CSMS.label]
            if text and not person.is_open:
                how = _COMPRESSIONS.get(frozenset(self._squeezed.get(identity, ())), "")
                self._ledger.portion(WIRE, identity, sender, how).set(total.part, text, total.n)


_COMPRESSIONS = {frozenset({True}): "compressed", frozenset({False}): "plain", frozenset({True, False}): "mixed"}
