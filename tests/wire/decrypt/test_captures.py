"""Recorded connections of OpenSSL and of other stacks, against what their peers say that they sent."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from support_decrypt import Stream, decrypted, gaps, secrets_of, websocket_texts

from ocppscope.wire.decrypt import Secrets

ROOT = Path(__file__).parents[3]
OWN = ROOT / "captures" / "tls"
SHARED = ROOT.parent / "shared" / "captures"
NAMES = sorted(path.name.partition(".")[0] for path in OWN.glob("*.truth.jsonl"))


def truth_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (OWN / f"{name}.truth.jsonl").read_text().splitlines()]


def by_truth(name: str, streams: list[Stream]) -> list[tuple[dict[str, Any], Stream]]:
    """Connections with what is true of them: in order of time, those of a port."""
    of_port: dict[int, list[Stream]] = defaultdict(list)
    for stream in streams:
        of_port[min(stream.ports)].append(stream)
    return [(line, of_port[line["port"]][line["nth"]]) for line in truth_of(name)]


def server_of(stream: Stream) -> int:
    return stream.ports.index(min(stream.ports))


def said(line: dict[str, Any], stream: Stream) -> None:
    """Both directions hold what was said, whole and in order."""
    server = server_of(stream)
    assert gaps(stream.found) == [], line["client"]
    assert stream.decryptor.why == "", line["client"]
    assert stream.plain(1 - server) == line["sent"].encode(), line["client"]
    assert stream.plain(server) == line["received"].encode(), line["client"]
    assert stream.decryptor.client == 1 - server


def test_there_are_captures():
    assert len(NAMES) >= 7


@pytest.mark.parametrize("name", NAMES)
def test_own_captures(name):
    """With the secrets that are inside the file."""
    for line, stream in by_truth(name, decrypted(OWN / f"{name}.pcapng", Secrets())):
        if line["opened"]:
            said(line, stream)
        else:
            assert stream.found == []
            assert "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256 is not decrypted" in stream.decryptor.why


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("t12_ecdhe_rsa_cbc128_sha1_mte", [(40, 40)]),
        ("t12_ecdhe_rsa_chacha", [(40, 40)]),
        ("t12_ecdhe_rsa_gcm128", [(40, 40)]),
        ("t12_mtls", [(40, 40)]),
        ("t12_resume_ticket", [(20, 20)] * 3),
        ("t12_rsa_gcm128", [(40, 40)]),
        ("t13_aes128gcm", [(40, 40)]),
        ("t13_mtls", [(40, 40)]),
        ("t13_resume", [(20, 20)] * 3),
        ("big_t13_aes256gcm_small", [(493, 492)]),
    ],
)
def test_captures_of_others(name, texts):
    folder = SHARED / "tls"
    streams = decrypted(folder / f"{name}.pcap", secrets_of(folder / f"{name}.keys"))
    found = []
    for stream in streams:
        assert gaps(stream.found) == []
        client, server = stream.plain(stream.client), stream.plain(1 - stream.client)
        assert client.startswith(b"GET /ocpp/CP")
        assert server.startswith(b"HTTP/1.1 101 ")
        sides = websocket_texts(client), websocket_texts(server)
        ids = [[json.loads(text)[1] for text in side if text.startswith(b"[")] for side in sides]
        assert set(ids[1]) <= set(ids[0])
        found.append((len(sides[0]), len(sides[1])))
    assert found == texts


@pytest.mark.shared
def test_mutual_tls_between_other_stacks():
    """Each text that the peers' WebSocket calls sent and received is in the plaintext, in order."""
    name = SHARED / "peers" / "31_wss_tls12_mutual_keylog_openocpp_mobilityhouse"
    lines = [json.loads(line) for line in name.with_suffix(".jsonl").read_text().splitlines()]
    sent = {"cp->csms": [], "csms->cp": []}
    for line in lines:
        if line["kind"] == "msg" and line["status"] == "delivered":
            sent[line["dir"]].append(line["text"].encode())
    found = {"cp->csms": [], "csms->cp": []}
    for stream in decrypted(name.with_suffix(".pcapng"), secrets_of(name.with_suffix(".keylog"))):
        assert gaps(stream.found) == []
        found["cp->csms"] += [text for text in websocket_texts(stream.plain(stream.client)) if text[:1] == b"["]
        found["csms->cp"] += [text for text in websocket_texts(stream.plain(1 - stream.client)) if text[:1] == b"["]
    assert sum(map(len, sent.values())) == 64
    assert found == sent


CORPUS = sorted(
    path
    for folder in ("tls", "selfmade", "peers", "tcp/tls")
    for path in (SHARED / folder).glob("*")
    if path.suffix in (".pcap", ".pcapng", ".gz") and ("tls" in str(path))
)


def keys_beside(capture: Path) -> list[Path]:
    stem = capture.name.partition(".")[0]
    beside = [capture.parent / f"{stem}.keys", capture.parent / f"{stem}.keylog"]
    if capture.parent.name == "tls" and capture.parent.parent.name == "tcp":
        beside = sorted((capture.parent / "keys").glob("*key*"))
    return [path for path in beside if path.exists() and path.suffix != ".key"]


def followed(tshark: str, capture: Path, keys: list[Path], number: int, scratch: Path) -> tuple[bytes, bytes]:
    """The plaintext of both directions, as tshark decrypts it: first the side that it saw first."""
    together = scratch / "keys"
    together.write_bytes(b"\n".join(path.read_bytes() for path in keys))
    command = [tshark, "-r", str(capture), "-q", "-z", f"follow,tls,raw,{number}"]
    command += ["-o", "tcp.reassemble_out_of_order:TRUE"]
    if keys:
        command += ["-o", f"tls.keylog_file:{together}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("Node 1:")) + 1
    sides = [b"", b""]
    for line in lines[start:]:
        if line.strip("\t \n") and set(line.strip()) <= set("0123456789abcdef"):
            sides[line.startswith("\t")] += bytes.fromhex(line.strip())
    return sides[0], sides[1]


@pytest.mark.tshark
@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_as_tshark_in_own_captures(name, tshark, tmp_path):
    """Save where tshark goes wrong: it does not open NULL-MD5 and what was padded or negotiated in odd ways."""
    compared = 0
    for number, stream in enumerate(decrypted(OWN / f"{name}.pcapng", Secrets())):
        theirs = followed(tshark, OWN / f"{name}.pcapng", [], number, tmp_path)
        if any(theirs):
            assert sorted(theirs) == sorted((stream.plain(0), stream.plain(1)))
            compared += 1
    assert compared >= 3


@pytest.mark.shared
@pytest.mark.tshark
@pytest.mark.parametrize("capture", CORPUS, ids=lambda path: path.name)
def test_same_bytes_as_tshark(capture, tshark, tmp_path):
    keys = keys_beside(capture)
    streams = decrypted(capture, secrets_of(*keys))
    for number, stream in enumerate(streams):
        theirs = followed(tshark, capture, keys, number, tmp_path)
        ours = stream.plain(0), stream.plain(1)
        if any(theirs):
            assert sorted(ours) == sorted(theirs)
