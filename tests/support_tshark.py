"""tshark as an oracle for what TLS streams hold: the bytes of each direction, taken as bytes and never as texts.

It loses the rest of a direction behind a missing packet, and all of a TLS 1.3 connection that is captured from the
middle: where it gives less than we do, it is no oracle.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Endpoint, Flow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEADLINE = 120
PREFERENCES = (
    "tcp.desegment_tcp_streams:TRUE",
    "tcp.reassemble_out_of_order:TRUE",
    "tls.desegment_ssl_records:TRUE",
    "tls.desegment_ssl_application_data:TRUE",
)
_FIELDS = (
    "tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
    "tls.handshake.type", "data.data",
)  # fmt: skip


class OracleStream(NamedTuple):
    """What one TLS connection held; the client is who sent the ClientHello, or the first bytes."""

    flow: Flow
    client: bytes  # that the client sent
    server: bytes  # that the server sent


def decrypted_streams(
    capture: Path, keys: Path | None = None, *, rsa_keys: Sequence[Path] = (), more: Sequence[str] = ()
) -> list[OracleStream]:
    """The application data of the TLS connections of a capture that have any, in order of their first packet.

    `keys` is a key log, `rsa_keys` are servers' private keys in PEM, `more` are further arguments of tshark.
    """
    command = ["tshark", "-n", "-r", str(capture), "--disable-protocol", "http", "-T", "fields"]
    command += ["-Y", "tls and (data or tls.handshake.type == 1)"]
    for name in _FIELDS:
        command += ["-e", name]
    command += ["-E", "occurrence=a", "-E", "aggregator=,", "-E", "separator=|"]
    for preference in PREFERENCES:
        command += ["-o", preference]
    if keys is not None:
        command += ["-o", f"tls.keylog_file:{keys}"]
    for key in rsa_keys:
        command += ["-o", f'uat:rsa_keys:"{key}",""']
    run = subprocess.run([*command, *more], capture_output=True, timeout=DEADLINE, check=False)
    assert run.returncode == 0, run.stderr.decode("utf-8", "replace")
    return _gathered([line.split("|") for line in run.stdout.decode("ascii").splitlines()])


def _gathered(rows: list[list[str]]) -> list[OracleStream]:
    flows: dict[str, Flow] = {}
    sent: dict[str, tuple[bytearray, bytearray]] = {}
    for stream, source4, source6, source_port, target4, target6, target_port, handshake, data in rows:
        source = Endpoint((source4 or source6).split(",")[-1], int(source_port))
        target = Endpoint((target4 or target6).split(",")[-1], int(target_port))
        if stream not in flows or "1" in handshake.split(","):
            flows[stream] = Flow(source, target)
        halves = sent.setdefault(stream, (bytearray(), bytearray()))
        halves[source != flows[stream].client].extend(bytes.fromhex(data.replace(",", "").replace(":", "")))
    streams = [OracleStream(flows[name], bytes(first), bytes(second)) for name, (first, second) in sent.items()]
    return [one for one in streams if one.client or one.server]
