"""Recordings made of events, captures and conversations; captures changed as a way, a clock or a sniffer would."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from conversation import play
from ocppscope.compare import compare
from ocppscope.compare.recording import Recording
from ocppscope.model import Connection, ConnectionClosed, ConnectionOpened, Message, Transport
from support_engine import CAPTURES, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocppscope.compare.report import Comparison, Difference
    from ocppscope.model import Event

MS, SECOND = 1_000_000, 1_000_000_000
OWN = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
STATION, CSMS = CAPTURES / "compare" / "station.pcap", CAPTURES / "compare" / "csms.pcap"


def recording(events: Iterable[Event], name: str = "A", **options: Any) -> Recording:
    """A finished recording of events."""
    made = Recording(name, **options)
    made.take(events)
    made.finish(0)
    return made


def of_capture(name: str | Path) -> Recording:
    """A finished recording of one of the captures, or of any."""
    path = name if isinstance(name, Path) else CAPTURES / f"{name}.pcap"
    return recording(run(path).events, path.name)


def of_text(text: str, name: str = "A") -> Recording:
    """A finished recording of a conversation."""
    return recording(play(text), name)


def compared(a: Recording, b: Recording, mode: str = "", **more: Any) -> Comparison:
    """The comparison of two recordings, which are closed."""
    try:
        return compare(a, b, mode, **more)
    finally:
        a.close()
        b.close()


def codes(report: Comparison) -> list[str]:
    return [one.code for one in report.differences]


def the(report: Comparison, code: str) -> Difference:
    """The only difference with a code."""
    found = [one for one in report.differences if one.code == code]
    assert len(found) == 1, codes(report)
    return found[0]


def shifted(events: Iterable[Event], clock: Callable[[int], int]) -> list[Event]:
    """The same events by another clock."""
    return [_shift(event, clock) for event in events]


def _shift(event: Event, clock: Callable[[int], int]) -> Event:
    if isinstance(event, ConnectionOpened | ConnectionClosed):
        return replace(event, time_ns=clock(event.time_ns), connection=_moved(event.connection, clock))
    return replace(event, time_ns=clock(event.time_ns))


def _moved(connection: Connection, clock: Callable[[int], int]) -> Connection:
    handshake = connection.handshake
    if handshake is not None:
        answered = None if handshake.answered_ns is None else clock(handshake.answered_ns)
        handshake = replace(handshake, requested_ns=clock(handshake.requested_ns), answered_ns=answered)
    transport = None if connection.transport is None else _by(connection.transport, clock)
    closed = None if connection.closed_ns is None else clock(connection.closed_ns)
    return replace(
        connection, opened_ns=clock(connection.opened_ns), closed_ns=closed, handshake=handshake, transport=transport
    )


_TIMES = "syn_ns", "last_syn_ns", "synack_ns", "ack_ns"
_SIDE_TIMES = "last_ns", "fin_ns", "rst_ns"


def _by(transport: Transport, clock: Callable[[int], int]) -> Transport:
    sides = tuple(replace(side, **_changed(side, _SIDE_TIMES, clock)) for side in transport.sides)
    return replace(transport, sides=sides, **_changed(transport, _TIMES, clock))


def _changed(of: Any, names: tuple[str, ...], clock: Callable[[int], int]) -> dict[str, Any]:
    return {name: clock(at) for name in names if (at := getattr(of, name)) is not None}


def messages(events: Iterable[Event]) -> list[Message]:
    return [event for event in events if isinstance(event, Message)]


def without(events: Iterable[Event], gone: Callable[[Message], bool]) -> list[Event]:
    """Without some messages; nothing says that they are missing."""
    return [event for event in events if not (isinstance(event, Message) and gone(event))]


def changed_pcap(source: Path, target: Path, change: Callable[[int, int, bytes], list[tuple[int, bytes]]]) -> Path:
    """A classic pcap with each packet (number from 1, time in ns, bytes) become any number of packets, by time."""
    raw = source.read_bytes()
    nanos = raw[:4] in (b"\x4d\x3c\xb2\xa1",)
    unit = 1 if nanos else 1000
    packets: list[tuple[int, bytes]] = []
    at, number = 24, 0
    while at < len(raw):
        seconds, fraction, kept, _ = struct.unpack_from("<IIII", raw, at)
        number += 1
        packets += change(number, seconds * SECOND + fraction * unit, raw[at + 16 : at + 16 + kept])
        at += 16 + kept
    packets.sort(key=lambda packet: packet[0])
    body = b"".join(
        struct.pack("<IIII", time_ns // SECOND, time_ns % SECOND // unit, len(data), len(data)) + data
        for time_ns, data in packets
    )
    target.write_bytes(raw[:24] + body)
    return target
