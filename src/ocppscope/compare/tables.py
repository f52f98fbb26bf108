"""Tables of a session seen from two places: its connections, and its segments of TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.compare import endings
from ocppscope.compare.report import Column, Table
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.compare.endings import Sighting
    from ocppscope.compare.matching import Pair
    from ocppscope.compare.recording import Recording
    from ocppscope.compare.report import Cell
    from ocppscope.model import Connection

_WHYS = {"key": "key", "addresses": "ports", "station": "station", "messages": "messages"}
_WHO = "station", "CSMS"


def connections(a: Recording, b: Recording, matched: Mapping[Pair, int], sightings: Mapping[Pair, Sighting]) -> Table:
    """The connections that both have, with the number of their messages in both, and how each ended."""
    rows: list[tuple[Cell, ...]] = []
    for pair, count in matched.items():
        one, other = a.connections[pair.a], b.connections[pair.b]
        _, sentence, _ = endings.ending(one, other, sightings[pair])
        names = one.station, f"#{pair.a}", f"#{pair.b}", _WHYS[pair.why]
        rows.append((*names, sum(one.messages), sum(other.messages), count, sentence))
    titles = ("station", "A", "B", "matched by", "messages A", "messages B", "in both", "end")
    return Table("connections", "Connections that both have", tuple(map(Column, titles)), tuple(rows))


def segments(a: Recording, b: Recording, pairs: list[Pair]) -> Table:
    """Segments of TCP with data that one side sent, where the captures do not agree on them."""
    rows: list[tuple[Cell, ...]] = []
    for pair in pairs:
        one, other = a.connections[pair.a], b.connections[pair.b]
        if one.transport is None or other.transport is None or not same_tcp(one, other):
            continue
        for side in Side:
            here, there = one.transport.sides[side], other.transport.sides[side]
            if (here.segments, here.retransmitted) != (there.segments, there.retransmitted):
                counts = here.segments, there.segments, here.retransmitted, there.retransmitted
                rows.append((one.station, f"#{pair.a}", _WHO[side], *counts))
    titles = ("station", "A", "from", "segments A", "segments B", "sent again A", "sent again B")
    note = (
        "Of the same TCP connection. Where there are more nearer to the sender, some were lost between the captures."
    )
    return Table("tcp", "TCP segments with data", tuple(map(Column, titles)), tuple(rows), note)


def same_tcp(a: Connection, b: Connection) -> bool:
    """Whether two snapshots are of one TCP connection, as far as ports tell: addresses are often translated."""
    return a.flow.client.port == b.flow.client.port and a.flow.server.port == b.flow.server.port
