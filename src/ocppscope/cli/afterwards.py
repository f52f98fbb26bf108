"""What is said on stderr when all is read: what is wrong with the input, what is missing, what else there was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.engine import MAX_CONNECTIONS, MAX_EMBRYOS, MAX_HELD, MAX_LEAVING
from ocppscope.plural import counted
from ocppscope.render.wiretext import visible
from ocppscope.wire.connection import Phase
from ocppscope.wire.heads import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from ocppscope.analysis.unread import UnreadCounts
    from ocppscope.cli.session import Log
    from ocppscope.model import Connection
    from ocppscope.summary import Summary

MAX_LOSSES = 10
"""Connections with lost bytes that are named."""


class Afterwards:
    """Tells on a stream; every line starts with `note:`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def tell(self, summary: Summary | None, log: Log, notices: list[str], *, secrets: bool) -> None:
        """Everything there is to say; often nothing."""
        self._say(notices)
        self._say(missing(summary, list(log.lost.values())))
        self._say(folded(log))
        if not log.rows and not log.done:
            self._say(holdings(summary, refused=log.connections, secrets=secrets))
            return
        if summary is not None:
            self._say(endless(summary))
        if log.sieve is not None and not log.shown:
            self._say([f"none of the {log.rows:,} messages passes the filter"])

    def tell_of_stations(self, summary: Summary | None, notices: list[str], found: bool) -> None:
        """What is wrong with the input, and what it held if it was no connection."""
        self._say(notices)
        self._say(missing(summary, []))
        if not found:
            self._say(holdings(summary, refused=0, secrets=False))

    def _say(self, sentences: Iterator[str] | list[str]) -> None:
        for sentence in sentences:
            self._stream.write(f"note: {visible(sentence, 500)}\n")


def missing(summary: Summary | None, lossy: list[Connection]) -> Iterator[str]:
    """What is not shown of what went by; `lossy` are the connections with lost bytes, where these are to be named."""
    yield from bounded(summary)
    yield from losses(lossy)
    yield from out_of_context(summary)


def bounded(summary: Summary | None) -> Iterator[str]:
    """What was let go of to keep memory bounded."""
    if summary is None:
        return
    if summary.forgotten:
        yield (
            f"{_connections(summary.forgotten)} forgotten to keep memory bounded: of those of which nobody knew yet "
            f"what they were, {MAX_EMBRYOS:,} are followed at a time; whatever they said later was read as if the "
            "capture began there"
        )
    if summary.forgotten_sessions:
        yield (
            f"{_connections(summary.forgotten_sessions, 'WebSocket')} forgotten to keep memory bounded: "
            f"{MAX_CONNECTIONS:,} are followed at a time, {MAX_LEAVING:,} that one side has closed, and these were "
            "longest without a packet; what they said later was read as another connection"
        )
    if summary.given_up:
        yield (
            f"unfinished messages, heads and lost segments of all connections together took more than "
            f"{MAX_HELD >> 20} MB of memory: {_connections(summary.given_up)} made to give up what had come of them"
        )


def _connections(count: int, what: str = "connection") -> str:
    return f"{counted(count, what)} {'was' if count == 1 else 'were'}"


def losses(connections: list[Connection]) -> Iterator[str]:
    """Bytes that the capture does not hold."""
    for connection in connections[:MAX_LOSSES]:
        station, csms = connection.lost_bytes
        parts = [f"{count:,} from the {who}" for count, who in ((station, "station"), (csms, "CSMS")) if count]
        yield f"{connection.station} #{connection.number}: bytes missing in the capture: {', '.join(parts)}"
    if len(connections) > MAX_LOSSES:
        yield f"bytes are missing of {len(connections) - MAX_LOSSES:,} more connections"


def out_of_context(summary: Summary | None) -> Iterator[str]:
    """Compressed messages that nobody can read who has not seen those before them."""
    if summary is not None and summary.out_of_context:
        messages = counted(summary.out_of_context, "compressed message")
        refer = "refers" if summary.out_of_context == 1 else "refer"
        yield (
            f"{messages} {refer} to text that was not captured (permessage-deflate with context takeover): only what "
            "was said anew is shown; to see it all, capture from before a station connects, and without loss"
        )


def folded(log: Log) -> Iterator[str]:
    """Sessions that were captured twice."""
    if log.folded:
        count, legs = sum(log.folded.values()), len(log.folded)
        which = "1 connection that repeats another" if legs == 1 else f"{legs:,} connections that repeat others"
        messages = counted(count, "message")
        yield f"{messages} not shown, of {which} on another leg of the way; --legs shows them"


def holdings(summary: Summary | None, *, refused: int, secrets: bool) -> Iterator[str]:
    """What a capture without OCPP messages did hold, and what to try; of a log (None) the notices have said it."""
    if refused:
        yield "there are no OCPP messages; `ocppscope stations --handshake` shows how the connections were negotiated"
    elif summary is None:
        yield "there are no OCPP messages in the log; `--dialect help` lists the forms that are read"
    elif not summary.packets:
        yield "the capture holds no packets at all"
        return
    else:
        yield f"no OCPP here; the capture holds {_kinds(summary)}"
    if summary is not None:
        yield from _links(summary)
        yield from _flows(summary, secrets=secrets)


def unread(summary: Summary | None, counts: UnreadCounts) -> None:
    """Counts what the engine could not read, beyond what its events say; of a log (None) the notices have said it."""
    if summary is not None:
        counts.note("cut", summary.link.cut)
        counts.note("links", sum(summary.link.unknown_links.values()))
        counts.note("heads", summary.flows[Phase.ENDLESS_HTTP])
        counts.note("connections", summary.forgotten + summary.forgotten_sessions)
        counts.note("given-up", summary.given_up)


def endless(summary: Summary) -> Iterator[str]:
    """Connections that were given up within an HTTP head."""
    if summary.flows[Phase.ENDLESS_HTTP]:
        count = _count(summary, Phase.ENDLESS_HTTP, "HTTP connection")
        yield f"{count} with a head that has no end within {MAX_HEADER_BYTES:,} bytes; nothing after it was read"


def _kinds(summary: Summary) -> str:
    """`79 packets: 70 TCP, 5 other IP, 4 not IP`."""
    counts = (("TCP", summary.segments), ("other IP", summary.link.not_tcp), ("not IP", summary.link.not_ip))
    kinds = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    packets = counted(summary.packets, "packet")
    return f"{packets}: {kinds}" if kinds else packets


def _links(summary: Summary) -> Iterator[str]:
    link = summary.link
    for linktype, count in list(link.unknown_links.items())[:5]:
        yield f"link type {linktype} is not understood, of {count:,} packets"
    if link.cut:
        yield f"packets cut or broken in their headers: {link.cut:,}; capture whole packets (tcpdump -s 0)"


def _flows(summary: Summary, *, secrets: bool) -> Iterator[str]:
    flows = summary.flows
    if flows[Phase.TLS]:
        but = "; the keys in the capture are not theirs" if secrets else ""
        yield f"{_count(summary, Phase.TLS, 'TLS connection')} whose content cannot be read{but}"
        yield (
            "with their keys they are decoded: --keylog FILE; docs/tls.md says how to get them, and "
            "`ocppscope stations --handshake` what shows without"
        )
    if flows[Phase.HTTP2]:
        count = _count(summary, Phase.HTTP2, "HTTP/2 connection")
        yield f"{count}; WebSockets over HTTP/2 (RFC 8441) are not decoded"
    http = flows[Phase.HTTP] + flows[Phase.IDLE_HTTP]
    if http:
        phase = Phase.HTTP if summary.examples[Phase.HTTP] else Phase.IDLE_HTTP
        yield f"{_count(summary, phase, 'HTTP connection', http)} without an upgrade to WebSocket"
    yield from endless(summary)
    if flows[Phase.WEBSOCKET]:
        yield f"{_count(summary, Phase.WEBSOCKET, 'WebSocket')} without OCPP; --all-websockets shows them"
    other = flows[Phase.OTHER] + flows[Phase.TRIAL] + flows[Phase.NEW]
    if other:
        phase = next((p for p in (Phase.OTHER, Phase.TRIAL, Phase.NEW) if summary.examples[p]), Phase.OTHER)
        yield f"{_count(summary, phase, 'other TCP connection', other)}: nothing in them reads as WebSocket"


def _count(summary: Summary, phase: Phase, what: str, count: int | None = None) -> str:
    """`3 TLS connections (10.0.0.1:50000 → 10.0.0.2:443, …)`."""
    count = summary.flows[phase] if count is None else count
    flows = summary.examples[phase][:3]
    examples = ", ".join(map(str, flows)) + (", …" if count > len(flows) else "")
    return f"{counted(count, what)} ({examples})"
