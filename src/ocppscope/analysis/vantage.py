"""Where a connection was captured: at the station, at the CSMS, or between them.

The TCP handshake tells: what a side answers to at once is near, what takes a round trip is far. Latency means
something else at each: at the caller it holds the network's share, at the one who answers it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocppscope.model import Transport

STATION, MIDDLE, CSMS, HOST, LOG = "station", "middle", "csms", "host", "log"
"""At the station; between them; at the CSMS; both on one host, or so near that it makes no difference; in a log."""
WORDS = {
    STATION: "at the station", MIDDLE: "between station and CSMS", CSMS: "at the CSMS",
    HOST: "on a host or a network that both share", LOG: "as messages, by a log", "": "nobody knows where",
}  # fmt: skip
NEAR_NS = 1_000_000
"""Answers quicker than this come from the same network."""
TIMES_NEARER = 5
"""A side is near if the other takes this many times as long."""


def vantage_of(transport: Transport | None) -> str:
    """By the TCP handshake of one connection; "" where it was not captured or says nothing, `LOG` without TCP."""
    if transport is None:
        return LOG
    if transport.syn_ns is None or transport.synack_ns is None or transport.ack_ns is None:
        return ""
    to_csms, to_station = transport.synack_ns - transport.syn_ns, transport.ack_ns - transport.synack_ns
    if to_csms < 0 or to_station < 0:
        return ""
    if max(to_csms, to_station) < NEAR_NS:
        return HOST
    if to_station * TIMES_NEARER <= to_csms:
        return STATION
    if to_csms * TIMES_NEARER <= to_station:
        return CSMS
    return MIDDLE
