"""What is said when there is no OCPP, or not all of it."""

import pytest

from support_captures import Packet, pcap_bytes, pcap_header
from support_cli import CAPTURES, START_NS, Session, run, write

TLS = b"\x16\x03\x01\x00\x10" + bytes(16)


def notes(path):
    done = run(path)
    assert (done.code, done.out) == (0, "")
    return done.err


def test_no_packets(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_header())
    assert notes(path) == "note: the capture holds no packets at all\n"


def test_tls_without_keys(tmp_path):
    done = run(write(tmp_path / "a.pcap", Session().send(0, TLS)))
    assert "no OCPP here; the capture holds 3 packets: 3 TCP" in done.err
    assert "1 TLS connection (10.0.0.1:50000 → 10.0.0.2:9000) whose content cannot be read" in done.err
    assert "--keylog FILE; docs/tls.md" in done.err
    assert " TLS " in done.out


@pytest.mark.parametrize("cut", [24, 16, 5])
def test_http2_in_the_clear(tmp_path, cut):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    session = Session().send(0, preface[:cut]).send(0, preface[cut:] + bytes(9))
    told = notes(write(tmp_path / "a.pcap", session))
    assert "1 HTTP/2 connection (10.0.0.1:50000 → 10.0.0.2:9000); WebSockets over HTTP/2 (RFC 8441)" in told
    assert "other TCP" not in told


def test_plain_http(tmp_path):
    session = Session().send(0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").send(1, b"HTTP/1.1 200 OK\r\n\r\n")
    assert "1 HTTP connection (10.0.0.1:50000 → 10.0.0.2:9000) without an upgrade" in notes(
        write(tmp_path / "a.pcap", session)
    )


def test_other_websockets(tmp_path):
    done = run(write(tmp_path / "a.pcap", Session().upgrade(path="/chat", protocol="chat").say(0, "hello")))
    assert "--all-websockets" in done.err


def test_other_tcp(tmp_path):
    assert "1 other TCP connection" in notes(
        write(tmp_path / "a.pcap", Session().send(0, b"SSH-2.0-OpenSSH_9.2\r\n"))
    )


def test_unknown_link_type(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_bytes([Packet(START_NS, bytes(60))], linktype=147))
    assert "link type 147 is not understood, of 1 packets" in notes(path)


def test_cut_packets(tmp_path):
    packets = [Packet(packet.time_ns, packet.data[:40], len(packet.data)) for packet in Session().upgrade().packets]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_bytes(packets))
    assert "tcpdump -s 0" in notes(path)


def test_lost_bytes_are_named():
    told = run(CAPTURES / "capture_loss.pcap").err
    assert "bytes missing in the capture" in told
    assert run("-q", CAPTURES / "capture_loss.pcap").err == ""


@pytest.mark.parametrize("command", [[], ["--jobs", "2"], ["stations"]])
def test_compressed_messages_that_refer_to_what_is_lost_are_counted(command):
    told = run(*command, CAPTURES / "deflate_gap.pcap").err
    assert "25 compressed messages refer to text that was not captured" in told
    assert "refer to text" not in run(*command, CAPTURES / "ocpp16_deflate.pcap").err


def test_refused_connections_point_to_the_negotiation(tmp_path):
    request = b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    protocol = b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    session = Session().send(0, request + protocol).send(1, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    done = run(write(tmp_path / "a.pcap", session))
    assert " REFUSED " in done.out
    assert "stations --handshake" in done.err


@pytest.mark.parametrize("cut", [10, 300])
def test_a_file_that_ends_in_the_middle_of_a_packet(tmp_path, cut):
    path = tmp_path / "a.pcap"
    path.write_bytes((CAPTURES / "ipv6.pcap").read_bytes()[:-cut])
    done = run(path)
    assert done.code == 0
    assert "BootNotification" in done.out
    assert done.err.startswith("note: ")


def test_notices_are_shown_as_text(tmp_path):
    path = tmp_path / "a\x1b[2J.pcap"
    path.write_bytes((CAPTURES / "ipv6.pcap").read_bytes()[:-10])
    assert "\x1b" not in run(path).err


HELLO = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(32) + b"\x00\x00\x04\x00\x2f\x00\xff\x01\x00"
RECORD = b"\x17\x03\x03\x00\x10" + bytes(16)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BANNER = b"220 mail.example ready\r\n"


@pytest.mark.parametrize(
    ("client", "begins", "said"),
    [
        (800, "SYN", [(0, b"SSH-2.0-OpenSSH_9.2\r\n")]),
        (800, "SYN", [(1, BANNER)]),  # the server speaks first
        (800, "SYN-ACK", [(1, BANNER)]),  # and its packet is the first of the capture
        (800, "SYN", [(0, HELLO)]),
        (800, "", [(0, HELLO)]),
        (800, "", [(1, OK), (0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")]),
        (50000, "", [(0, BANNER)]),  # in the middle, where only the ports tell
        (50000, "", [(1, BANNER)]),
        (50000, "", [(1, RECORD), (0, RECORD)]),
    ],
)
@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.9"])
def test_who_opened_a_connection(tmp_path, address, client, begins, said):
    """The SYN or what is asked tells it; without either the lower port is the server's."""
    session = Session(address, client)
    session.packets = session.packets[{"SYN": 0, "SYN-ACK": 1, "": 2}[begins] :]
    for side, data in said:
        session.send(side, data)
    told = run(write(tmp_path / "a.pcap", session)).err
    assert f"({address}:{client} → 10.0.0.2:9000)" in told
