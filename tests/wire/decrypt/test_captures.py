"""Recorded connections of OpenSSL and of other stacks, against what their peers say that they sent."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_decrypt import Change, Stream, decrypted, gaps, plain, secrets_of, segments_of, websocket_texts

from ocppscope.capture.pcapfile import open_captures
from ocppscope.wire.decrypt import Decryptor, Plain, Secrets
from ocppscope.wire.tcp import Segment

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


# --- what captures lack -----------------------------------------------------------------------------------------


def with_payload(segments: list[Segment]) -> list[int]:
    return [at for at, segment in enumerate(segments) if segment.data]


def lines(stream: Stream, side: int) -> list[bytes]:
    return stream.plain(side).splitlines(keepends=True)


@pytest.mark.parametrize("back", range(1, 7))
@pytest.mark.parametrize("name", NAMES)
def test_one_packet_is_lost(name, back):
    """Counted from the end, so behind most handshakes: what is read is what was said, in order, and most of it."""

    def without_one(segments: list[Segment]) -> list[Segment]:
        data = with_payload(segments)
        return [segment for at, segment in enumerate(segments) if at != data[-back]]

    for line, stream in by_truth(name, decrypted(OWN / f"{name}.pcapng", Secrets(), without_one)):
        if not line["opened"]:
            continue
        server = server_of(stream)
        for side, text in ((1 - server, line["sent"]), (server, line["received"])):
            missing = text.encode()
            for one in stream.found:
                if isinstance(one, Plain) and one.direction == side:
                    assert one.data in missing, line["client"]
                    missing = missing.partition(one.data)[2]
        there = sum(len(stream.plain(side)) for side in (0, 1))
        assert there >= len(line["sent"] + line["received"]) - len(max(line["sent"].split(), key=len)) - 1


@pytest.mark.parametrize("name", ["tls13", "tls13_special"])
@pytest.mark.parametrize("left", [3, 4, 6])
def test_tls13_from_the_middle(name, left):
    """Of the packets with payload, only the last few."""

    def last(segments: list[Segment]) -> list[Segment]:
        return segments[with_payload(segments)[-left] :]

    for line, stream in by_truth(name, decrypted(OWN / f"{name}.pcapng", Secrets(), last)):
        assert gaps(stream.found) == []
        server = server_of(stream)
        assert line["received"].encode().endswith(stream.plain(server))
        assert line["sent"].encode().endswith(stream.plain(1 - server))
        assert stream.plain(server)
        assert stream.plain(1 - server) or left < 6 or line["port"] == 20006
        assert stream.decryptor.client == 1 - server


def test_tls13_from_the_middle_of_each_suite():
    """One text of the client, and all that follows it."""

    def last(segments: list[Segment]) -> list[Segment]:
        return segments[with_payload(segments)[-4] :]

    for line, stream in by_truth("tls13", decrypted(OWN / "tls13.pcapng", Secrets(), last)):
        assert stream.plain(server_of(stream)).endswith(line["received"].encode()[-400:]), line["client"]
        assert stream.decryptor.suite in line["client"]


def key_log(name: str) -> list[bytes]:
    """The lines of the key log that is inside a capture."""
    log: list[bytes] = []
    with open_captures([OWN / f"{name}.pcapng"], keep_secrets=log.append) as reader:
        for _ in reader.blocks():
            pass
    return b"".join(log).splitlines(keepends=True)


def special(port: int, name: str = "tls13_special") -> Callable[[Secrets, Change | None], list[Stream]]:
    def read(secrets: Secrets, change: Change | None = None) -> list[Stream]:
        found = decrypted(OWN / f"{name}.pcapng", secrets, change, inside=False)
        return [stream for stream in found if min(stream.ports) == port]

    return read


def test_early_data_without_its_secret_is_named():
    """What comes after it is read."""
    secrets = Secrets()
    secrets.add(b"".join(line for line in key_log("tls13_special") if b"EARLY" not in line))
    *_, (line, _) = by_truth("tls13_special", decrypted(OWN / "tls13_special.pcapng", Secrets()))
    stream = special(20006)(secrets, None)[1]
    (gap,) = gaps(stream.found)
    assert "early data" in gap.why
    assert line["sent"].encode().endswith(stream.plain(1 - server_of(stream)))
    assert stream.plain(server_of(stream)) == line["received"].encode()


@pytest.mark.parametrize("lost", range(1, 9))
def test_key_updates_are_lost(lost):
    """Of a client that updates keys three times, packets are missing: those behind them are read."""
    secrets = Secrets()
    secrets.add(b"".join(key_log("tls13_special")))

    def without(segments: list[Segment]) -> list[Segment]:
        gone = with_payload(segments)[6 : 6 + lost]
        return [segment for at, segment in enumerate(segments) if at not in gone]

    (whole,) = special(20001)(secrets, None)
    (stream,) = special(20001)(secrets, without)
    there = {one.packet for one in stream.found if isinstance(one, Plain)}
    last = [one for one in whole.found if isinstance(one, Plain)][-2:]
    assert [one for one in stream.found if isinstance(one, Plain)][-2:] == last
    assert len(there) < len(whole.found)
    assert gaps(stream.found)


@pytest.mark.parametrize("port", [20005, 20006])
def test_a_session_taken_up_needs_no_line_of_its_own(port):
    """Up to TLS 1.2 it has the master secret of the session before, by its id or ticket."""
    wanted = [stream.found for stream in special(port, "tls12_rsa")(secrets_inside("tls12_rsa"), None)]
    randoms = dict.fromkeys(line.split()[1] for line in key_log("tls12_rsa") if line.startswith(b"CLIENT_RANDOM"))
    first = [random for at, random in enumerate(randoms) if at in (5, 7)]
    secrets = Secrets()
    secrets.add(b"".join(line for line in key_log("tls12_rsa") if line.split()[1] in first))
    assert [stream.found for stream in special(port, "tls12_rsa")(secrets, None)] == wanted
    assert all(wanted)


def secrets_inside(name: str) -> Secrets:
    secrets = Secrets()
    secrets.add(b"".join(key_log(name)))
    return secrets


def test_negotiated_anew_without_secrets():
    """What was read before stays read, and the rest is named."""
    log = key_log("tls12_special")
    secrets = Secrets()
    secrets.add(log[0] if log[0].startswith(b"CLIENT") else log[1])
    (stream,) = special(20000, "tls12_special")(secrets, None)
    assert "negotiated anew" in stream.decryptor.why
    assert stream.decryptor.renegotiations == 1
    server = server_of(stream)
    line = truth_of("tls12_special")[0]
    assert 0 < len(stream.plain(1 - server)) < len(line["sent"])
    assert line["sent"].encode().startswith(stream.plain(1 - server))
    assert gaps(stream.found)


def test_negotiated_anew_with_secrets_that_come_later():
    log = [line for line in key_log("tls12_special") if line.startswith(b"CLIENT")]
    secrets = Secrets(may_grow=True)
    secrets.add(log[0])
    (whole,) = special(20000, "tls12_special")(secrets_inside("tls12_special"), None)
    reader = Decryptor(secrets)
    found = []
    for at, (ports, segment) in enumerate(
        (ports, segment)
        for _, ports, segment in segments_of(OWN / "tls12_special.pcapng")
        if min(ports) == 20000 and segment.data
    ):
        assert ports
        if at % 4 == 3 and len(log) > 1:
            secrets.add(log.pop(1))
            found += reader.retry()
        found += reader.data(segment.direction, segment.data, segment.time_ns, segment.packet)
    found += reader.finish(0)
    assert [plain(found, side) for side in (0, 1)] == [whole.plain(side) for side in (0, 1)]
    assert reader.renegotiations == 2


def test_a_servers_key():
    """Without the key log: RSA key exchanges, with and without extended master secret, and sessions taken up."""
    secrets = Secrets()
    secrets.add_rsa((OWN / "rsa.pem").read_bytes())
    opened = 0
    for line, stream in by_truth("tls12_rsa", decrypted(OWN / "tls12_rsa.pcapng", secrets, inside=False)):
        if "ECDHE" in line["client"]:
            assert "forward secrecy" in stream.decryptor.why
        else:
            said(line, stream)
            opened += 1
    assert opened == 9


@pytest.mark.shared
@pytest.mark.parametrize("name", ["t12_ecdhe_rsa_gcm128", "t12_ecdhe_rsa_cbc128_sha1_mte", "t13_aes128gcm"])
def test_any_one_packet_is_lost(name):
    """Behind the handshake, every packet in its turn: all texts but the one hit are read."""
    folder = SHARED / "tls"
    (whole,) = decrypted(folder / f"{name}.pcap", secrets_of(folder / f"{name}.keys"))
    texts = [one for one in whole.found if isinstance(one, Plain)]
    flows = [segment for _, _, segment in segments_of(folder / f"{name}.pcap")]
    data = [at for at in with_payload(flows) if flows[at].packet > texts[0].packet]
    for gone in data[::7]:
        kept = flows[:gone] + flows[gone + 1 :]
        (stream,) = decrypted(folder / f"{name}.pcap", secrets_of(folder / f"{name}.keys"), lambda _, kept=kept: kept)
        wanted = [(one.direction, one.data) for one in texts if one.packet != flows[gone].packet]
        found = [(one.direction, one.data) for one in stream.found if isinstance(one, Plain)]
        assert sorted(found) == sorted(wanted)


# --- tshark -----------------------------------------------------------------------------------------------------


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
    """Where tshark opens a connection at all."""
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
