"""Puts a generated capture into TLS: the same sessions, at the same times, each in a TLS connection of OpenSSL's.

`python -m bench.tls plain 20k tls13` makes bench/data/plain-20k-tls13.pcapng, with its secrets inside and beside it;
without a version, one for each.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.generate import cached, number
from ocppscope.capture import pcapngout
from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.synthetic import Conversation
from ocppscope.model import Side
from ocppscope.wire.link import LinkDecoder, endpoints

VERSIONS = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}
READ = 1 << 20


class Protected:
    """One connection: both ends of TLS, and the packets of what they say."""

    def __init__(self, contexts: tuple[ssl.SSLContext, ssl.SSLContext], conversation: Conversation) -> None:
        self.conversation = conversation
        self._ways = ssl.MemoryBIO(), ssl.MemoryBIO()  # towards the CSMS, towards the station
        there, back = self._ways
        self._ends = (
            contexts[0].wrap_bio(back, there, server_hostname="csms.example"),
            contexts[1].wrap_bio(there, back, server_side=True),
        )
        self._agreed = [False, False]

    def agree(self, time_ns: int) -> bytes:
        """The handshake."""
        blocks = [self.conversation.open(time_ns)]
        while not all(self._agreed):
            for side in Side:
                try:
                    self._ends[side].do_handshake()
                    self._agreed[side] = True
                except ssl.SSLWantReadError:
                    pass
                blocks.append(self._passed(side, time_ns))
        return b"".join(blocks)

    def says(self, side: Side, data: bytes, time_ns: int) -> bytes:
        """The packets of some bytes."""
        self._ends[side].write(data)
        return self._passed(side, time_ns)

    def _passed(self, side: Side, time_ns: int) -> bytes:
        """What `side` has written, as packets, and in the hands of the other end."""
        way = self._ways[side]
        data = way.read()
        if not data:
            return b""
        way.write(data)
        blocks = self.conversation.data(side, data, time_ns)
        if all(self._agreed):
            with suppress(ssl.SSLWantReadError):  # tickets
                self._ends[side.other].read(READ)
        return blocks


def protect(source: Path, target: Path, key_log: Path, version: ssl.TLSVersion) -> None:
    """Writes `target`."""
    with TemporaryDirectory() as directory:
        contexts = _contexts(Path(directory), key_log, version)
        link = LinkDecoder()
        open_: dict[int, Protected] = {}
        body: list[bytes] = []
        with open_captures([source]) as reader:
            for block in reader.blocks():
                segments = link.decode(block)
                for row in np.flatnonzero(segments.length).tolist():
                    key = int(segments.key[row])
                    time_ns = int(block.time_ns[segments.packet[row]])
                    start = int(segments.payload[row])
                    data = bytes(segments.data[start : start + int(segments.length[row])])
                    if key not in open_:
                        ends = endpoints(segments.data, int(segments.ip[row]))
                        open_[key] = Protected(contexts, Conversation(len(open_) + 1, *ends))
                        open_[key].station = int(segments.direction[row])  # type: ignore[attr-defined]
                        body.append(open_[key].agree(time_ns))
                    side = Side.STATION if int(segments.direction[row]) == open_[key].station else Side.CSMS  # type: ignore[attr-defined]
                    body.append(open_[key].says(side, data, time_ns))
    header = pcapngout.section("bench") + pcapngout.interface(pcapngout.ETHERNET, "tls")
    target.write_bytes(header + pcapngout.secrets(key_log.read_bytes()) + b"".join(body))


def _contexts(directory: Path, key_log: Path, version: ssl.TLSVersion) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=csms.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    station, csms = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    station.check_hostname, station.verify_mode = False, ssl.CERT_NONE
    csms.load_cert_chain(certificate, key)
    for context in (station, csms):
        context.minimum_version = context.maximum_version = version
    key_log.unlink(missing_ok=True)
    station.keylog_filename = str(key_log)
    return station, csms


def path_of(source: Path, version: str) -> Path:
    """Where a capture lies once it is in TLS."""
    return source.with_name(f"{source.stem}-{version}.pcapng")


def made(variant: str, size: str, version: str) -> Path:
    """The capture of that kind, made if it is not there; its key log has the suffix `.keys`."""
    source, _ = cached(variant, number(size))
    target = path_of(source, version)
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        part = target.with_suffix(".part")
        protect(source, part, target.with_suffix(".keys"), VERSIONS[version])
        part.rename(target)
    return target


if __name__ == "__main__":
    for name in sys.argv[3:] or VERSIONS:
        path = made(sys.argv[1], sys.argv[2], name)
        with open_captures([path]) as reader:
            print(path, sum(len(block.offsets) for block in reader.blocks()), sep="\t")
