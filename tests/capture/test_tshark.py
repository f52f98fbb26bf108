"""tshark as the second engine: when it can be had, what comes out of it, and how it is ended."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture import pcapngout, tshark, tshark_packet, tshark_program
from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.synthetic import Conversation
from ocppscope.capture.tshark import StreamPiece, TsharkStreams, packets_of
from ocppscope.capture.tshark_packet import PacketTrees
from ocppscope.capture.tshark_program import Reading, find
from ocppscope.capture.tshark_streams import DecryptedStreams, decrypted
from ocppscope.engine import Engine
from ocppscope.errors import AccessError, CaptureError, UsageError
from ocppscope.model import ConnectionClosed, ConnectionOpened, Endpoint, Flow, Message, Side
from support_tshark import OracleStream, decrypted_streams

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
OWN = CAPTURES / "tls"
SHARED = ROOT.parent / "shared" / "captures"
PLAIN = str(CAPTURES / "ocpp16_plain.pcap")
NAMES = sorted(path.stem for path in OWN.glob("*.pcapng"))
OTHERS = [
    path
    for folder in ("tls", "selfmade")
    for path in sorted((SHARED / folder).glob("*t*1[23]*.pcap*"))
    if path.suffix in (".pcap", ".pcapng")
]
STATION, CSMS = Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.2", 443)


def keys_beside(capture: Path) -> list[str]:
    return [str(one) for one in (capture.with_suffix(".keys"), capture.with_suffix(".keylog")) if one.exists()]


def gathered(pieces: list[StreamPiece]) -> list[OracleStream]:
    found: dict[int, OracleStream] = {}
    for piece in pieces:
        one = found.setdefault(piece.stream, OracleStream(piece.flow, b"", b""))
        if piece.side is Side.STATION:
            found[piece.stream] = one._replace(client=one.client + piece.data)
        else:
            found[piece.stream] = one._replace(server=one.server + piece.data)
    return list(found.values())


def streams(*paths: Path | str, keys: list[str] | None = None, rsa: list[str] | None = None) -> list[OracleStream]:
    found = TsharkStreams([str(path) for path in paths], keys or [], rsa or [])
    pieces = list(found)
    assert found.skipped == 0
    return gathered(pieces)


def rewritten(capture: Path, target: Path, *, every: int = 1, first: int = 0) -> Path:
    """The packets of a capture without the secrets in it; every so many of them, from `first` on."""
    with open_captures([capture]) as reader, target.open("wb") as file:
        file.write(pcapngout.section("a test"))
        file.write(pcapngout.interface(1, "any"))
        for block in reader.blocks():
            columns = zip(block.offsets.tolist(), block.caplen.tolist(), block.time_ns.tolist(), strict=True)
            for at, (offset, size, time_ns) in enumerate(columns, block.first_packet):
                if at % every == first:
                    file.write(pcapngout.packet(0, time_ns, bytes(block.data[offset : offset + size])))
    return target


# --- whether it can be had ----------------------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a program `tshark`, the only one of PATH."""

    def make(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "tshark"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return program

    return make


GOOD = 'if [ "$1" = --version ]; then echo "TShark (Wireshark) 4.2.2."; exit; fi\n'


def test_no_tshark(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        TsharkStreams([PLAIN])
    assert caught.value.what == "tshark is not installed."
    assert "apt install tshark" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("TShark (Wireshark) 3.6.14 (Git v3.6.14)", "tshark 3.6.14 is too old: 4.0 or newer is needed."),
        ("TShark 1.12.1", "tshark 1.12.1 is too old: 4.0 or newer is needed."),
        ("something else", "does not say its version."),
        ("", "does not say its version."),
    ],
)
def test_a_tshark_that_is_of_no_use(fake, said, sentence):
    fake(f'echo "{said}"')
    with pytest.raises(UsageError) as caught:
        find()
    assert sentence in caught.value.what
    assert caught.value.hint


def test_a_tshark_that_will_do(fake):
    program = fake(GOOD)
    assert find() == (str(program), "4.2.2")


@pytest.mark.parametrize("which", ["key_logs", "rsa_keys"])
def test_a_key_file_that_is_missing(fake, tmp_path, which):
    fake(GOOD)
    with pytest.raises(UsageError, match="none cannot be read: No such file"):
        TsharkStreams([PLAIN], **{which: [str(tmp_path / "none")]})


def test_a_key_file_that_may_not_be_read(fake, tmp_path, monkeypatch):
    fake(GOOD)

    def refuse(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AccessError, match="may not be read"):
        tshark_program.read_key_log(str(tmp_path))


def test_what_comes_through_a_pipe_is_refused(fake, tmp_path):
    fake(GOOD)
    os.mkfifo(tmp_path / "pipe")
    for path in ("-", str(tmp_path / "pipe")):
        with pytest.raises(UsageError, match="through a pipe"):
            TsharkStreams([path])


def test_what_is_no_capture_is_refused(fake, tmp_path):
    fake(GOOD)
    (tmp_path / "x.pcap").write_bytes(b"no capture at all")
    with pytest.raises(CaptureError):
        TsharkStreams([str(tmp_path / "x.pcap")])


# --- what goes wrong while it runs ------------------------------------------------------------------------------


def test_a_failure_is_told_with_its_reason(fake):
    fake(GOOD + "echo 'Running as user' >&2; echo 'tshark: it is full' >&2; exit 2")
    with pytest.raises(CaptureError, match="tshark failed: tshark: it is full"):
        list(TsharkStreams([PLAIN]))


def test_one_that_does_nothing_is_stopped(fake, monkeypatch):
    fake(GOOD + "exec /bin/sleep 60")
    monkeypatch.setattr(tshark_program, "STALL_SECONDS", 0.1)
    with pytest.raises(CaptureError, match="takes too long"):
        list(TsharkStreams([PLAIN]))


def test_one_that_never_ends_a_packet_is_bounded(fake, monkeypatch):
    fake(GOOD + "echo '<packet>'; i=0; while [ $i -lt 3000 ]; do echo '<field name=\"x\"/>'; i=$((i+1)); done")
    monkeypatch.setattr(tshark, "MAX_PACKET_XML", 1000)
    assert list(TsharkStreams([PLAIN])) == []


def test_what_makes_no_sense_is_skipped(fake):
    tcp = '<proto name=\\"tcp\\"><field name=\\"tcp.stream\\" show=\\"0\\" value=\\"0\\"/></proto>'
    tls = '<proto name=\\"tls\\"/>'
    fake(GOOD + f'echo "<packet>{tcp}{tls}</packet><packet><<{tcp}{tls}</packet>"')
    found = TsharkStreams([PLAIN])
    assert list(found) == []
    assert found.skipped == 2


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_whoever_stops_early_ends_the_program(fake):
    fake(GOOD + "while :; do echo more; done")
    with Reading([], [PLAIN]) as reading:
        assert next(reading.output())
        assert is_alive(reading.pid)
    assert not is_alive(reading.pid)


def test_what_is_cancelled_ends(fake):
    fake(GOOD + "exec /bin/sleep 60")
    with Reading([], [PLAIN]) as reading:
        assert list(reading.output(lambda: True)) == []
    assert not is_alive(reading.pid)


def test_names_of_captures_are_no_arguments(fake, tmp_path, monkeypatch):
    """Nor are keys: both go through the pipe."""
    fake(GOOD + 'for one in "$@"; do echo "$one"; done > args; cat=/bin/cat; exec $cat > fed')
    monkeypatch.chdir(tmp_path)
    name = tmp_path / "-X $(touch gone);.pcap"
    name.write_bytes(Path(PLAIN).read_bytes())
    (tmp_path / "keys").write_bytes(b"CLIENT_RANDOM 00 00\n")
    assert list(TsharkStreams([name.name], ["keys"])) == []
    said = (tmp_path / "args").read_text()
    assert "touch" not in said
    assert "keylog" not in said
    assert b"CLIENT_RANDOM" in (tmp_path / "fed").read_bytes()
    assert not (tmp_path / "gone").exists()


def test_what_it_is_given_is_the_capture(fake, tmp_path, monkeypatch):
    fake(GOOD + "exec /bin/cat > fed")
    monkeypatch.chdir(tmp_path)
    assert list(TsharkStreams([PLAIN])) == []
    with open_captures([PLAIN]) as ours, open_captures([tmp_path / "fed"]) as theirs:
        for one, other in zip(ours.blocks(), theirs.blocks(), strict=True):
            assert one.time_ns.tolist() == other.time_ns.tolist()
            assert one.caplen.tolist() == other.caplen.tolist()
            assert one.origlen.tolist() == other.origlen.tolist()
            last = one.offsets[-1]
            assert one.data[last : last + 60] == other.data[other.offsets[-1] : other.offsets[-1] + 60]


def test_a_long_key_log_is_cut_between_lines(monkeypatch):
    monkeypatch.setattr(tshark_program, "KEYS_AT_ONCE", 100)
    lines = [b"%d %s\n" % (at, b"x" * (at % 60)) for at in range(200)]
    blocks = list(tshark_program._secrets(b"".join(lines)))
    assert len(blocks) > 20
    bodies = [block[16 : 16 + int.from_bytes(block[12:16], "little")] for block in blocks]
    assert b"".join(bodies) == b"".join(lines)
    assert all(body.endswith(b"\n") for body in bodies)


# --- packets of its output --------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"<packet>a</packet>", b"<packet></packet>", b"\n", b"x", b"<packet"])), st.data())
def test_packets_are_found_however_the_output_is_cut(parts, data):
    text = b"".join(parts).replace(b"<packet<packet>", b"<packet>")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = list(packets_of([text]))
    assert list(packets_of(pieces)) == whole
    assert len(whole) == text.count(b"</packet>")


def test_a_packet_that_is_too_long_is_passed_over(monkeypatch):
    monkeypatch.setattr(tshark, "MAX_PACKET_XML", 50)
    skipped: list[int] = []
    chunks = [b"<packet>", *[b"y" * 10] * 20, b"</pack", b"et><packet>z</packet>"]
    assert list(packets_of(chunks, lambda: skipped.append(1))) == [b"<packet>z</packet>"]
    assert skipped == [1]


# --- with the real one ------------------------------------------------------------------------------------------


@pytest.mark.tshark
@pytest.mark.parametrize("name", NAMES)
def test_own_captures(name):
    """What pyshark reads is what tshark says by another way; and mostly, that is the truth."""
    capture = OWN / f"{name}.pcapng"
    found = streams(capture)
    assert found == decrypted_streams(capture)
    truth = [json.loads(line) for line in (OWN / f"{name}.truth.jsonl").read_text().splitlines()]
    said = {(line["sent"].encode(), line["received"].encode()) for line in truth if line["opened"]}
    assert sum((one.client, one.server) in said for one in found) >= 3


@pytest.mark.tshark
@pytest.mark.shared
@pytest.mark.parametrize("capture", OTHERS, ids=lambda path: path.name)
def test_captures_of_others(capture):
    keys = keys_beside(capture)
    found = streams(capture, keys=keys)
    assert found
    assert found == decrypted_streams(capture, Path(keys[0]) if keys else None)


@pytest.mark.tshark
def test_a_servers_private_key(tmp_path):
    """Wherever it lies: its path becomes part of a table of Wireshark's."""
    folder = tmp_path / 'a "b" \\x41, c'
    folder.mkdir()
    key = folder / "rsa.pem"
    key.write_bytes(b"-----BEGIN" + (OWN / "rsa.pem").read_bytes().partition(b"-----BEGIN")[2])
    capture = rewritten(OWN / "tls12_rsa.pcapng", tmp_path / "no_secrets.pcapng")
    without, found = streams(capture), streams(capture, rsa=[str(key)])
    assert len(without) <= 1  # there is one that is not encrypted
    assert len(found) >= 3
    assert set(found) <= set(streams(OWN / "tls12_rsa.pcapng"))


@pytest.mark.tshark
def test_packed_captures_and_several_as_one(tmp_path):
    whole = OWN / "tls13.pcapng"
    packed = tmp_path / "x.pcapng.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    expected = streams(whole)
    assert expected
    assert streams(packed) == expected
    with open_captures([whole]) as reader:
        list(reader.blocks())
        keys = tmp_path / "keys"
        keys.write_bytes(b"\n".join(reader.secrets))
    parts = [rewritten(whole, tmp_path / f"{at}.pcapng", every=2, first=at) for at in (0, 1)]
    assert streams(*parts, keys=[str(keys)]) == expected
    some, rest = tmp_path / "some", tmp_path / "rest"
    lines = keys.read_bytes().splitlines(keepends=True)
    some.write_bytes(b"".join(lines[: len(lines) // 2]))
    rest.write_bytes(b"".join(lines[len(lines) // 2 :]))
    assert streams(*parts, keys=[str(some), str(rest)]) == expected


@pytest.mark.tshark
def test_a_config_of_the_current_directory_starts_nothing(tmp_path, monkeypatch):
    """pyshark alone would take the program's path from it."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    (tmp_path / "config.ini").write_text(f"[tshark]\ntshark_path = {trap}\n[dumpcap]\ndumpcap_path = {trap}\n")
    monkeypatch.chdir(tmp_path)
    assert streams(OWN / "tls13.pcapng")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.tshark
def test_plain_connections_give_nothing():
    assert streams(PLAIN) == []


@pytest.mark.tshark
def test_only_so_many_connections(monkeypatch):
    everything = streams(OWN / "tls13.pcapng")
    monkeypatch.setattr(tshark, "MAX_STREAMS", 2)
    assert 0 < len(streams(OWN / "tls13.pcapng")) <= 2 < len(everything)


@pytest.mark.tshark
def test_the_numbers_and_times_of_packets():
    with open_captures([OWN / "tls13.pcapng"]) as reader:
        times = [at for block in reader.blocks() for at in block.time_ns.tolist()]
    pieces = list(TsharkStreams([str(OWN / "tls13.pcapng")]))
    assert [piece.time_ns for piece in pieces] == [times[piece.packet - 1] for piece in pieces]
    assert [piece.packet for piece in pieces] == sorted(piece.packet for piece in pieces)
    assert {piece.end for piece in pieces} >= {"", "FIN"}


# --- into the engine --------------------------------------------------------------------------------------------

UPGRADE = (
    b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
GRANTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
CALL = b'[2,"1","Heartbeat",{}]'
HEARTBEAT = b"\x81" + bytes([0x80 | len(CALL)]) + b"\0\0\0\0" + CALL


def pieces_of(stream: int, first: int, *, end: str = "") -> list[StreamPiece]:
    flow = Flow(STATION, CSMS)
    said = [(Side.STATION, UPGRADE), (Side.CSMS, GRANTED), (Side.STATION, HEARTBEAT)]
    pieces = [
        StreamPiece(flow, side, data, (first + at) * 10**9, first + at, stream)
        for at, (side, data) in enumerate(said)
    ]
    last = pieces[-1]
    return [*pieces, last._replace(data=b"", end=end, packet=last.packet + 1)] if end else pieces


def test_pieces_become_messages_of_connections():
    engine = Engine()
    pieces = [*pieces_of(0, 1, end="RST"), *pieces_of(0, 8), *pieces_of(7, 20)]
    events = [event for batch in decrypted(engine, pieces) for event in batch] + list(engine.finish())
    assert [event.packets for event in events if isinstance(event, Message)] == [(3,), (22,)]
    opened = [event.connection.first_packet for event in events if isinstance(event, ConnectionOpened)]
    assert opened == [1, 20]
    closed = [event.connection.close_how for event in events if isinstance(event, ConnectionClosed)]
    assert closed == ["RST", "end of capture"]


def test_pieces_come_with_their_packets():
    engine = Engine()
    feeding = DecryptedStreams(engine, iter(pieces_of(0, 1)))
    counts = [
        sum(isinstance(event, Message) for batch in feeding.upto(packet) for event in batch) for packet in (0, 2, 3)
    ]
    assert counts == [0, 0, 1]
    assert list(feeding.upto()) == []


@pytest.mark.tshark
@pytest.mark.shared
@pytest.mark.parametrize("name", ["t13_resume", "t12_mtls", "t12_ecdhe_rsa_cbc128_sha1_mte"])
def test_messages_of_others(name):
    capture, engine = SHARED / "tls" / f"{name}.pcap", Engine()
    pieces = TsharkStreams([str(capture)], keys_beside(capture))
    events = [event for batch in decrypted(engine, pieces) for event in batch]
    messages = [event for event in events if isinstance(event, Message)]
    assert len(messages) >= 80
    assert all(message.kind.name in ("CALL", "CALLRESULT") for message in messages)


# --- one packet -------------------------------------------------------------------------------------------------


@pytest.mark.tshark
def test_what_is_said_of_a_packet():
    trees = PacketTrees([str(OWN / "tls13.pcapng")])
    number = next(piece.packet for piece in TsharkStreams([str(OWN / "tls13.pcapng")]) if b"Heartbeat" in piece.data)
    lines = trees.tree(number)
    assert lines[0].startswith(f"Frame {number}: ")
    assert "Transport Layer Security" in lines
    assert any(f"Data: {b'[2,'.hex()}" in line for line in lines)  # decrypted with the secrets in the file
    assert trees.kept(number) == lines
    assert trees.kept(number + 1) is None


@pytest.mark.tshark
def test_packets_have_our_numbers_in_captures_that_were_merged(tmp_path):
    whole = OWN / "tls13.pcapng"
    parts = [str(rewritten(whole, tmp_path / f"{at}.pcapng", every=2, first=at)) for at in (0, 1)]
    one, other = PacketTrees([str(whole)]).tree(9), PacketTrees(parts).tree(9)
    assert [line for line in one if "Sequence" in line] == [line for line in other if "Sequence" in line]


@pytest.mark.tshark
def test_passwords_are_not_shown(tmp_path):
    talk = Conversation(0, STATION, CSMS._replace(port=80))
    request = UPGRADE.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic Q1AxOnNlY3JldHNlY3JldA==\r\n\r\n")
    capture = tmp_path / "x.pcapng"
    parts = [
        pcapngout.section("a test"),
        pcapngout.interface(1, "x"),
        talk.open(1),
        talk.data(Side.STATION, request, 2),
    ]
    capture.write_bytes(b"".join(parts))
    text = "\n".join(PacketTrees([str(capture)]).tree(4))
    assert "Authorization: Basic (not shown)" in text
    assert "Credentials: (not shown)" in text
    assert "secret" not in text
    assert "Q1Ax" not in text


@pytest.mark.tshark
def test_a_packet_that_is_not_there():
    with pytest.raises(CaptureError, match="tshark finds no packet 99,999 there"):
        PacketTrees([PLAIN]).tree(99_999)


def test_few_packets_are_kept(fake, monkeypatch):
    fake(GOOD + "echo 'Frame'; echo; echo '    a line'")
    monkeypatch.setattr(tshark_packet, "MAX_KEPT", 2)
    trees = PacketTrees([PLAIN])
    assert [trees.tree(number) for number in (1, 2, 3)] == [("Frame", "    a line")] * 3
    assert [trees.kept(number) is None for number in (1, 2, 3)] == [True, False, False]


def test_what_is_said_of_a_packet_is_bounded(fake, monkeypatch):
    fake(GOOD + "while :; do echo 'on and on'; done")
    monkeypatch.setattr(tshark_packet, "MAX_TEXT_BYTES", 1000)
    lines = PacketTrees([PLAIN]).tree(1)
    assert lines[-1] == tshark_packet.CUT
    assert len(lines) < 120


def test_nobody_waits_for_ever_for_a_packet(fake, monkeypatch):
    fake(GOOD + "exec /bin/sleep 60")
    monkeypatch.setattr(tshark_packet, "MAX_SECONDS", 0.1)
    with pytest.raises(CaptureError, match="takes too long"):
        PacketTrees([PLAIN]).tree(1)


def test_a_packet_that_is_not_waited_for(fake):
    fake(GOOD + "exec /bin/sleep 60")
    begun = time.monotonic()
    assert PacketTrees([PLAIN]).tree(1, lambda: time.monotonic() > begun + 0.2) == ()


def test_how_long_it_may_take(tmp_path, monkeypatch):
    big = tmp_path / "big.pcap"
    with big.open("wb") as file:
        file.truncate(3 << 30)
    assert PacketTrees([PLAIN]).expectation() == ""
    monkeypatch.setattr(tshark_packet, "BYTES_PER_SECOND", 10 << 20)
    said = PacketTrees([str(big)]).expectation()
    assert said == "tshark has to read what comes before: of 3.0 GiB, that may take up to 5 minutes."
