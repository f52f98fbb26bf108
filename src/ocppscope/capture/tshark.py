"""The second engine for TLS: what tshark decrypts, read with pyshark. The only place that knows pyshark.

tshark gives a packet as XML (its PDML), pyshark makes layers and fields of it, and the bytes that a TLS stream
carries come out. They are taken as bytes and never as texts: what tshark makes of WebSocket frames cannot be trusted
(it cuts texts at NUL, and mixes up fragmented compressed messages), so its dissector of HTTP is switched off. Of a
direction that misses a packet it gives nothing behind that. It does some 300 packets with data a second.

pyshark could start tshark, too, but by a path that it takes from a `config.ini` of the current directory, and it
keeps output of any length. So `tshark_program` starts it, and pyshark reads what it says.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.tshark_program import Reading, read_key_log
from ocppscope.errors import UsageError
from ocppscope.model import Endpoint, Flow, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

MAX_PACKET_XML = 64 << 20
"""Bytes of XML about one packet; what tshark says of a packet that needs more is passed over."""
MAX_STREAMS = 1 << 16
"""TLS connections that are told apart; further ones are passed over."""

PREFERENCES = (
    "tcp.desegment_tcp_streams:TRUE",
    "tcp.reassemble_out_of_order:TRUE",
    "tls.desegment_ssl_records:TRUE",
    "tls.desegment_ssl_application_data:TRUE",
)
_WANTED = "(tls and data) or tls.handshake.type == 1 or tcp.flags.fin == 1 or tcp.flags.reset == 1"
FIN, RST = 1, 4
_STREAM = re.compile(rb'<field name="tcp\.stream"[^>]* show="(\d{1,10})"')
_HAS_TLS = re.compile(rb'<proto name="tls"')
_END = b"</packet>"


class StreamPiece(NamedTuple):
    """Some bytes that a TLS connection carried, or the end of a direction of it.

    The flow's client is who sent the ClientHello (the first bytes, where that was not captured); a station, for
    OCPP, and `Side.STATION` is the side of the client. `stream` is the connection's number: ports are used again.
    `end` is "FIN" or "RST" with no data, else "".
    """

    flow: Flow
    side: Side
    data: bytes
    time_ns: int
    packet: int
    stream: int
    end: str = ""


class TsharkStreams:
    """The pieces of all TLS connections of captures, in the order of their packets. To be iterated once, or closed.

    Raises UsageError if tshark is not there or too old, or a key cannot be read; iterating raises CaptureError if a
    capture cannot be read or tshark fails. `skipped` counts packets of which nothing could be made.
    """

    def __init__(self, paths: Sequence[str], key_logs: Sequence[str] = (), rsa_keys: Sequence[str] = ()) -> None:
        """`key_logs` and `rsa_keys` (PEM) are names of files."""
        logs = [read_key_log(path) for path in key_logs]
        self.skipped = 0
        self._streams: dict[int, Flow] = {}
        self._carrying: set[int] = set()
        self._reading = Reading(list(_arguments(rsa_keys)), paths, logs)

    def __iter__(self) -> Iterator[StreamPiece]:
        """Reads to the end; tshark is ended when the iteration is."""
        parse = _parser()
        try:
            for text in packets_of(self._reading.output(), self._skip):
                yield from self._pieces(text, parse)
        finally:
            self.close()

    def close(self) -> None:
        """Ends tshark."""
        self._reading.close()

    def _skip(self) -> None:
        self.skipped += 1

    def _pieces(self, text: bytes, parse: Callable[[bytes], Any]) -> Iterator[StreamPiece]:
        number = _STREAM.search(text)
        if number is None or not (int(number[1]) in self._streams or _HAS_TLS.search(text)):
            return  # the end of a connection that is none of ours, of which there may be very many
        try:
            found = list(self._read(parse(text)))
        except (ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError):
            self._skip()
            return
        yield from found

    def _read(self, packet: Any) -> Iterator[StreamPiece]:
        tcp = packet["tcp"]
        stream, flags = int(tcp.get_field("tcp.stream")), int(tcp.get_field("tcp.flags"), 16)
        end = "RST" if flags & RST else "FIN" if flags & FIN else ""
        source, target = _ends(packet.layers)
        data = b"".join(_data(packet.layers))
        if stream not in self._streams:
            if len(self._streams) >= MAX_STREAMS or (end and not data):
                return
            self._streams[stream] = Flow(source, target)  # of what is asked for, only a ClientHello is neither
        flow = self._streams[stream]
        side = Side.STATION if source == flow.client else Side.CSMS
        piece = StreamPiece(flow, side, data, _nanoseconds(packet.sniff_timestamp), int(packet.number), stream)
        if data:
            self._carrying.add(stream)
            yield piece
        if end and stream in self._carrying:
            yield piece._replace(data=b"", end=end)


def _arguments(rsa_keys: Iterable[str]) -> Iterator[str]:
    yield from ("-T", "pdml", "-j", "ip ipv6 tcp data", "-Y", _WANTED, "--disable-protocol", "http")
    for preference in PREFERENCES:
        yield from ("-o", preference)
    for path in rsa_keys:
        read_key_log(path)
        yield from ("-o", f'uat:rsa_keys:"{_quoted(os.path.abspath(path))}",""')


def _quoted(path: str) -> str:
    """A path as Wireshark's tables want it; what they would take for something else, as its number."""
    if "\n" in path or "\r" in path:
        raise UsageError("The name of a key has a line break in it.", "tshark cannot be told of it: rename it.")
    return path.replace("\\", "\\x5c").replace('"', "\\x22")


def _parser() -> Callable[[bytes], Any]:
    from pyshark.tshark.output_parser import tshark_xml  # type: ignore[import-untyped]  # noqa: PLC0415 - 100 ms

    return tshark_xml.packet_from_xml_packet  # type: ignore[no-any-return]


def packets_of(chunks: Iterable[bytes], skip: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The `<packet>` elements of PDML, which escapes "<" in everything that comes from a packet.

    `skip` is called for one that is longer than `MAX_PACKET_XML`.
    """
    kept, looked, too_long = bytearray(), 0, False
    for chunk in chunks:
        kept += chunk
        while (end := kept.find(_END, max(looked - len(_END), 0))) >= 0:
            start = kept.find(b"<packet>", 0, end)
            if too_long or start < 0:
                skip()
            else:
                yield bytes(kept[start : end + len(_END)])
            del kept[: end + len(_END)]
            looked, too_long = 0, False
        if len(kept) > MAX_PACKET_XML:
            del kept[: -len(_END)]
            too_long = True
        looked = len(kept)


def _ends(layers: Iterable[Any]) -> tuple[Endpoint, Endpoint]:
    """Source and target of the innermost TCP segment."""
    source = target = ""
    for layer in layers:
        name = layer.layer_name
        if name in ("ip", "ipv6"):
            source, target = str(layer.get_field(f"{name}.src")), str(layer.get_field(f"{name}.dst"))
        elif name == "tcp":
            ports = int(layer.get_field("tcp.srcport")), int(layer.get_field("tcp.dstport"))
            break
    else:
        raise LookupError("no TCP")
    return Endpoint(str(ip_address(source)), ports[0]), Endpoint(str(ip_address(target)), ports[1])


def _data(layers: Iterable[Any]) -> Iterator[bytes]:
    for layer in layers:
        if layer.layer_name.lower() == "data" and (field := layer.get_field("data.data")) is not None:
            for one in field.all_fields:
                yield bytes.fromhex(one.raw_value)


def _nanoseconds(text: str) -> int:
    """`1795332373.532696000` exactly."""
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 1_000_000_000 + int(f"{fraction:0<9}"[:9])
