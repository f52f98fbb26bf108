"""Captures that are meant to hurt, by name; `size` says how much: the same ones are tests and load."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from support_bombs import (
    FIN,
    MILLISECOND,
    compressed_session,
    deflated,
    fragments,
    ip4,
    ordinary,
    tcp_packet,
    write_packets,
    write_session,
    zeros_deflated,
)

from support_cli import ACK, SYN, Session, frame

CSMS = (0xFFFFFE, 9000)
_UPGRADE = (
    "GET /ocpp/CP-{} HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
_BOOT = '[2,"{}","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M{}"}}]'
_BOOTED = '[3,"{}",{{"status":"Accepted","currentTime":"2026-11-22T12:00:00Z","interval":300}}]'
_DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
_TRANSFER = '[2,"{}","DataTransfer",{{"vendorId":"V","data":"{}"}}]'
_TRANSFERRED = '[3,"{}",{{"status":"Accepted","data":"{}"}}]'
_BEAT = '[2,"{}","Heartbeat",{{}}]'
_BEATEN = '[3,"{}",{{"currentTime":"2026-11-22T12:00:00Z"}}]'

Maker = Callable[[Path, int], Path]
BOMBS: dict[str, Maker] = {}


def bomb(maker: Maker) -> Maker:
    BOMBS[maker.__name__.replace("_", "-")] = maker
    return maker


def _with_opcode(data: bytes, first: int) -> bytes:
    return bytes([first]) + data[1:]


def _ends(number: int) -> tuple[int, int]:
    """Address and port of the client of a flow."""
    return (number >> 14) + 1, 1024 + (number & 0x3FFF)


# --- deflate ----------------------------------------------------------------------------------------------------


@bomb
def deflate_one(path: Path, size: int) -> Path:
    """A message that inflates to `size` MiB of NULs."""
    session = compressed_session().send(0, _with_opcode(frame(zeros_deflated(size), masked=True), 0xC1))
    return write_session(path, ordinary(session))


@bomb
def deflate_many(path: Path, size: int) -> Path:
    """`size` messages that would inflate to 16 MiB each."""
    session, zeros = compressed_session(), _with_opcode(frame(zeros_deflated(16), masked=True), 0xC1)
    for _ in range(size):
        session.send(0, zeros)
    return write_session(path, ordinary(session))


@bomb
def deflate_fragments(path: Path, size: int) -> Path:
    """The same in fragments of 100 bytes; `size` MiB in all."""
    session, zeros = compressed_session(), zeros_deflated(size)
    pieces = [zeros[at : at + 100] for at in range(0, len(zeros), 100)]
    session.send(0, b"".join(fragments(pieces, masked=True, rsv1=True)))
    return write_session(path, ordinary(session))


@bomb
def deflate_after_loss(path: Path, size: int) -> Path:
    """`size` compressed messages after one that is missing: each is inflated over unknown bytes."""
    session = compressed_session()
    texts = [f'[2,"id-{n}","Heartbeat",{{}}]'.encode() for n in range(20)]
    for text in texts:
        session.send(0, _with_opcode(frame(deflated(text), masked=True), 0xC1))
    session.packets.pop(-3)
    noise = random.Random(1)
    for number in range(size):
        text = bytes(noise.choices(b'[]{}",:abc0123456789', k=2000)) * 10 if number % 2 else texts[number % 20]
        session.send(0, _with_opcode(frame(deflated(text), masked=True), 0xC1))
    return write_session(path, ordinary(session))


# --- JSON -------------------------------------------------------------------------------------------------------


def _calls(path: Path, *payloads: str) -> Path:
    session = Session().upgrade()
    for number, payload in enumerate(payloads):
        session.say(0, f'[2,"{number}","DataTransfer",{payload}]')
    return write_session(path, ordinary(session))


@bomb
def json_depth(path: Path, size: int) -> Path:
    """`size` brackets, in an array, in objects, before and instead of a message."""
    deep = "[" * size + "]" * size
    session = Session().upgrade().say(0, deep, "[" * size, '{"a":' * size + "1" + "}" * size)
    session.say(0, f'[2,"a","DataTransfer",{{"vendorId":{deep}}}]', f'[2,"b","DataTransfer",{deep}]')
    session.say(0, f"[2,{deep}]", f"[{deep}]", f'[2,"c",{deep},{{}}]').say(1, f'[4,"a","X","",{deep}]')
    return write_session(path, ordinary(session))


@bomb
def json_size(path: Path, size: int) -> Path:
    """A message of `size` MiB, and one as much larger as is not kept any more."""
    return _calls(path, '{"vendorId":"' + "x" * (size << 20) + '"}')


@bomb
def json_keys(path: Path, size: int) -> Path:
    """An object with `size` keys, an array with as many numbers, and as many problems."""
    keys = ",".join(f'"k{n}":{n}' for n in range(size))
    return _calls(path, "{" + keys + "}", '{"vendorId":[' + "1," * size + "1]}")


@bomb
def json_duplicates(path: Path, size: int) -> Path:
    """The same key `size` times, and `size` keys twice."""
    twice = ",".join(f'"k{n}":1,"k{n}":2' for n in range(size))
    return _calls(path, '{"vendorId":"1"' + ',"vendorId":"x"' * size + "}", "{" + twice + "}")


@bomb
def json_numbers(path: Path, size: int) -> Path:
    """Numbers of `size` digits, and with exponents without end, wherever a number may stand."""
    digits = "9" * size
    odd = (
        digits,
        f"0.{digits}",
        f"1e{digits}",
        f"-1E-{digits}",
        "1e999999",
        "-1e999999",
        "1e-999999",
        "1E+999999999999",
    )
    session = Session().upgrade()
    for number, value in enumerate(odd):
        session.say(0, f'[2,"v{number}","MeterValues",{{"connectorId":{value},"meterValue":[]}}]')
        session.say(
            0,
            f'[2,"s{number}","StartTransaction",{{"connectorId":1,"idTag":"T","meterStart":{value},'
            f'"timestamp":"2026-11-22T12:00:00Z"}}]',
        )
        session.say(1, f'[3,"s{number}",{{"transactionId":{value},"idTagInfo":{{"status":"Accepted"}}}}]')
        session.say(
            0,
            f'[2,"m{number}","MeterValues",{{"connectorId":1,"transactionId":{value},"meterValue":[{{"timestamp":'
            f'"2026-11-22T12:00:00Z","sampledValue":[{{"value":"{value}"}}]}}]}}]',
        )
        session.say(0, f"[{value},1,2,3]", f"[2,{value},{value},{{}}]")
        session.say(1, f'[3,"x",{{"interval":{value}}}]', f'[2,"c{number}","Reset",{{"type":{value}}}]')
        session.say(0, f'[2,"b{number}","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M"}}]')
        session.say(
            1,
            f'[3,"b{number}",{{"status":"Accepted","currentTime":"2026-11-22T12:00:00Z","interval":{value}}}]',
            f'[2,"p{number}","SetChargingProfile",{{"connectorId":1,"csChargingProfiles":{{"chargingProfileId":1,'
            f'"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute",'
            f'"chargingSchedule":{{"duration":{value},"chargingRateUnit":"A","chargingSchedulePeriod":'
            f'[{{"startPeriod":{value},"limit":{value}}}]}}}}}}]',
            f'[2,"h{number}","ChangeConfiguration",{{"key":"HeartbeatInterval","value":"{value}"}}]',
        )
        session.say(0, f'[3,"p{number}",{{"status":"Accepted"}}]', f'[3,"h{number}",{{"status":"Accepted"}}]')
    return write_session(path, ordinary(session))


@bomb
def json_samples(path: Path, size: int) -> Path:
    """One MeterValues with `size` samples, each of a kind of its own."""
    samples = ",".join(
        f'{{"value":"{n}","measurand":"M{n}","phase":"L{n}","unit":"u{n}","location":"o{n}","context":"c{n}"}}'
        for n in range(size)
    )
    text = (
        f'[2,"{{}}","MeterValues",{{{{"connectorId":1,"meterValue":[{{{{"timestamp":"2026-11-22T12:00:00Z",'
        f'"sampledValue":[{samples.replace("{", "{{").replace("}", "}}")}]}}}}]}}}}]'
    )
    session = Session().upgrade().say(0, text.format("a"), text.format("b"))
    return write_session(path, ordinary(session))


# --- frames -----------------------------------------------------------------------------------------------------


@bomb
def fragments_tiny(path: Path, size: int) -> Path:
    """A message of `size` fragments of a byte, with pings between them, and one of empty fragments."""
    session = Session().upgrade()
    text = b'[2,"1","DataTransfer",{"vendorId":"' + b"x" * size + b'"}]'
    pieces = list(fragments((text[at : at + 1] for at in range(len(text))), masked=True))
    ping = frame(b"", masked=True, opcode=9)
    for at in range(1, len(pieces), 1000):
        pieces[at] += ping
    session.send(0, b"".join(pieces))
    session.send(0, b"".join(fragments([b""] * size, masked=True)))
    return write_session(path, ordinary(session))


@bomb
def message_endless(path: Path, size: int) -> Path:
    """A message whose final frame never comes: `size` MiB of fragments."""
    session = Session().upgrade()
    made = list(
        fragments([b'[2,"1","DataTransfer",{"vendorId":"', *[b"x" * (1 << 16)] * (size * 16), b""], masked=True)
    )
    session.send(0, b"".join(made[:-1]))
    return write_session(path, session)


@bomb
def frame_endless(path: Path, size: int) -> Path:
    """`size` frames of 4 GiB are announced, one after another begins."""
    session = Session().upgrade()
    for announced in (1 << 32, (1 << 63) - 1, 1 << 27, 1 << 20):
        head = b"\x81\xff" + struct.pack(">Q", announced) + bytes(4)
        session.send(0, head + b"x" * size)
    return write_session(path, ordinary(session))


@bomb
def frames_of_noise(path: Path, size: int) -> Path:
    """`size` KiB in which no frame begins, or one at every byte."""
    noise = random.Random(2)
    session = Session().upgrade()
    session.send(0, noise.randbytes(size << 10))
    session.send(1, b"\x81" * (size << 10))
    return write_session(path, ordinary(session))


@bomb
def frames_of_noise_midstream(path: Path, size: int) -> Path:
    """The same without an upgrade: the beginning is searched for."""
    noise = random.Random(3)
    session = Session(port=9000)
    session.packets.clear()
    session.say(0, _BEAT.format("a")).say(1, _BEATEN.format("a"))
    session.send(0, noise.randbytes(size << 10))
    session.send(1, b"\x81\x7e\xff\xff" * (size << 8))
    session.send(0, b"\x81\x80\0\0\0\0" * (size << 7))
    return write_session(path, ordinary(session))


@bomb
def pings(path: Path, size: int) -> Path:
    """`size` pings, no pong."""
    session = Session().upgrade()
    made = b"".join(frame(struct.pack(">I", n), masked=True, opcode=9) for n in range(size))
    return write_session(path, ordinary(session.send(0, made)))


@bomb
def closes(path: Path, size: int) -> Path:
    """`size` Close frames with long reasons."""
    session = Session().upgrade()
    made = frame(b"\x03\xe8" + b"r" * 123, masked=True, opcode=8) * size
    return write_session(path, session.send(0, made).send(1, made))


# --- OCPP -------------------------------------------------------------------------------------------------------


@bomb
def calls_unanswered(path: Path, size: int) -> Path:
    """`size` CALLs, no answer."""
    session = Session().upgrade()
    made = b"".join(frame(_BEAT.format(n).encode(), masked=True) for n in range(size))
    return write_session(path, session.send(0, made))


@bomb
def ids_reused(path: Path, size: int) -> Path:
    """`size` CALLs with one id from each side, and as many answers that ask for none."""
    session = Session().upgrade()
    session.send(0, frame(_BEAT.format("same").encode(), masked=True) * size)
    session.send(1, frame(b'[2,"same","Reset",{"type":"Soft"}]', masked=False) * size)
    session.send(1, b"".join(frame(_BEATEN.format(n).encode(), masked=False) for n in range(size)))
    return write_session(path, ordinary(session))


@bomb
def actions_unknown(path: Path, size: int) -> Path:
    """`size` actions, elements, ids and error codes that nobody has heard of."""
    session = Session().upgrade()
    session.send(
        0, b"".join(frame(f'[2,"{n}","Act{n}",{{"key{n}":{n}}}]'.encode(), masked=True) for n in range(size))
    )
    session.send(
        1, b"".join(frame(f'[4,"{n}","Err{n}","why {n}",{{"k{n}":1}}]'.encode(), masked=False) for n in range(size))
    )
    return write_session(path, ordinary(session))


@bomb
def transactions(path: Path, size: int) -> Path:
    """`size` transactions on as many connectors, none of them ends; as many tags and settings."""
    session, asked, answered = Session().upgrade(), [], []
    for n in range(size):
        asked.append(
            f'[2,"t{n}","StartTransaction",{{"connectorId":{n},"idTag":"T{n}","meterStart":1,'
            f'"timestamp":"2026-11-22T12:00:00Z"}}]'
        )
        asked.append(f'[2,"n{n}","StatusNotification",{{"connectorId":{n},"errorCode":"E{n}","status":"S{n}"}}]')
        asked.append(f'[2,"a{n}","Authorize",{{"idTag":"X{n}"}}]')
        answered.append(f'[3,"t{n}",{{"transactionId":{n},"idTagInfo":{{"status":"Accepted"}}}}]')
        answered.append(f'[2,"c{n}","ChangeConfiguration",{{"key":"K{n}","value":"{n}"}}]')
    session.send(0, b"".join(frame(text.encode(), masked=True) for text in asked))
    session.send(1, b"".join(frame(text.encode(), masked=False) for text in answered))
    return write_session(path, ordinary(session))


# --- HTTP -------------------------------------------------------------------------------------------------------


@bomb
def header_endless(path: Path, size: int) -> Path:
    """An upgrade request of `size` KiB without an end, one with as many headers, one header folded over and over."""
    start = b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    bodies = (
        b"X-Long: " + b"a" * (size << 10),
        b"".join(b"X-%d: 1\r\n" % n for n in range(size * 64)),
        b"X: 1\r\n" + b" folded\r\n" * (size * 100),
        b"Sec-WebSocket-Extensions: " + b"permessage-deflate; a=1, " * (size * 40),
        b"Sec-WebSocket-Protocol: " + b"ocpp1.6, " * (size * 100),
    )
    sessions = [Session(port=50000 + n) for n in range(2 * len(bodies))]
    for body, whole, broken in zip(bodies, sessions[::2], sessions[1::2], strict=True):
        broken.send(0, start + body)
        whole.send(0, start + body + b"\r\n\r\n").send(1, _ANSWER[:-2] + body + b"\r\n\r\n")
        ordinary(whole)
    return write_session(path, *sessions)


@bomb
def requests_on_one(path: Path, size: int) -> Path:
    """`size` requests without an answer on one connection, then the upgrade."""
    session = Session()
    session.send(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * size)
    session.send(1, b"HTTP/1.1 404 No\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * size)
    return write_session(path, ordinary(session.upgrade()))


@bomb
def chunks_endless(path: Path, size: int) -> Path:
    """Answers in `size` chunks of a byte, and with lengths that lie."""
    lies = (b"-1", b"9" * 5000, b"0x10", b"1, 1", b"")
    sessions = [Session(port=50000 + n) for n in range(1 + len(lies))]
    head = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    sessions[0].send(0, _UPGRADE.format(0).encode()).send(1, head + b"1\r\nx\r\n" * size + b"ffffffffffffffffff\r\n")
    for session, lie in zip(sessions[1:], lies, strict=True):
        session.send(0, _UPGRADE.format(1).encode())
        session.send(1, b"HTTP/1.1 401 No\r\nContent-Length: " + lie + b"\r\n\r\n" + b"x" * 5000)
    return write_session(path, *sessions)


# --- TCP --------------------------------------------------------------------------------------------------------


def _upgraded(
    client: tuple[int, int] = (1, 50000), number: int = 1, extension: bytes = b""
) -> tuple[list[bytes], int, int]:
    """The packets of an upgrade, and the next sequence numbers."""
    request, answer = (head[:-2] + extension + head[-2:] for head in (_UPGRADE.format(number).encode(), _ANSWER))
    packets = [
        tcp_packet(client, CSMS, 1000, 0, SYN),
        tcp_packet(CSMS, client, 2000, 1001, SYN | ACK),
        tcp_packet(client, CSMS, 1001, 2001, ACK, request),
        tcp_packet(CSMS, client, 2001, 1001 + len(request), ACK, answer),
    ]
    return packets, 1001 + len(request), 2001 + len(answer)


@bomb
def hole_never_filled(path: Path, size: int) -> Path:
    """`size` segments with a hole of a byte before each: nothing is in order any more."""
    packets, seq, ack = _upgraded()
    text = frame(_BEAT.format("x").encode(), masked=True)
    step = len(text) + 1
    packets += [tcp_packet((1, 50000), CSMS, seq + 1 + n * step, ack, ACK, text) for n in range(size)]
    return write_packets(path, packets, step_ns=MILLISECOND // 10)


@bomb
def hole_backwards(path: Path, size: int) -> Path:
    """`size` segments behind a hole, the last one first."""
    packets, seq, ack = _upgraded()
    text = frame(_BEAT.format("x").encode(), masked=True)
    packets += [tcp_packet((1, 50000), CSMS, seq + 1 + n * len(text), ack, ACK, text) for n in reversed(range(size))]
    return write_packets(path, packets, step_ns=MILLISECOND // 10)


@bomb
def segments_overlapping(path: Path, size: int) -> Path:
    """`size` segments that overlap all others with another content, ahead of a hole and behind."""
    noise = random.Random(4)
    packets, seq, ack = _upgraded()
    for _ in range(size):
        at = noise.randrange(0, 60_000)
        packets.append(
            tcp_packet((1, 50000), CSMS, seq + at, ack, ACK, noise.randbytes(noise.choice((1, 700, 1400))))
        )
    return write_packets(path, packets, step_ns=MILLISECOND // 10)


@bomb
def segments_of_a_byte(path: Path, size: int) -> Path:
    """A message of `size` bytes, a segment each."""
    packets, seq, ack = _upgraded()
    text = frame(b'[2,"1","DataTransfer",{"vendorId":"' + b"x" * size + b'"}]', masked=True)
    packets += [tcp_packet((1, 50000), CSMS, seq + n, ack, ACK, text[n : n + 1]) for n in range(len(text))]
    return write_packets(path, packets, step_ns=MILLISECOND // 10)


@bomb
def acks_of_the_unseen(path: Path, size: int) -> Path:
    """`size` ACKs of bytes that the capture does not hold: each is a gap."""
    packets, seq, ack = _upgraded()
    packets += [tcp_packet(CSMS, (1, 50000), ack, seq + 100 * n, ACK) for n in range(1, size + 1)]
    return write_packets(path, packets, step_ns=100 * MILLISECOND)


@bomb
def ports_reused(path: Path, size: int) -> Path:
    """`size` connections on the same addresses and ports, each with an upgrade; between them SYNs again and again."""
    client, packets = (1, 50000), list[bytes]()
    request = _UPGRADE.format(1).encode()
    for n in range(size):
        seq = (n * 1_000_003) & 0xFFFFFFFF
        packets += [
            tcp_packet(client, CSMS, seq, 0, SYN),
            tcp_packet(client, CSMS, seq + 7 & 0xFFFFFFFF, 0, SYN),
            tcp_packet(CSMS, client, seq, seq + 1 & 0xFFFFFFFF, SYN | ACK),
            tcp_packet(client, CSMS, seq + 1 & 0xFFFFFFFF, seq + 1 & 0xFFFFFFFF, ACK, request),
        ]
    return write_packets(path, packets)


@bomb
def flows_of_syns(path: Path, size: int) -> Path:
    """`size` flows, a SYN each."""
    return write_packets(path, (tcp_packet(_ends(n), CSMS, n, 0, SYN) for n in range(size)), step_ns=10_000)


@bomb
def flows_of_requests(path: Path, size: int) -> Path:
    """`size` flows with a SYN and an upgrade request each, no answer."""

    def packets() -> Iterator[bytes]:
        for n in range(size):
            yield tcp_packet(_ends(n), CSMS, n, 0, SYN)
            yield tcp_packet(_ends(n), CSMS, n + 1, 1, ACK, _UPGRADE.format(n).encode())

    return write_packets(path, packets(), step_ns=10_000)


@bomb
def flows_of_tls(path: Path, size: int) -> Path:
    """`size` flows with a SYN and the first bytes of a TLS hello each."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)

    def packets() -> Iterator[bytes]:
        for n in range(size):
            yield tcp_packet(_ends(n), CSMS, n, 0, SYN)
            yield tcp_packet(_ends(n), CSMS, n + 1, 1, ACK, hello)

    return write_packets(path, packets(), step_ns=10_000)


@bomb
def flows_midstream(path: Path, size: int) -> Path:
    """`size` flows of which the capture holds one segment of noise each."""
    noise = random.Random(5)

    def packets() -> Iterator[bytes]:
        for n in range(size):
            yield tcp_packet(_ends(n), CSMS, n, 1, ACK, b"\x81\xfe" + noise.randbytes(100))

    return write_packets(path, packets(), step_ns=10_000)


def _stations(path: Path, size: int, texts: Callable[[int], tuple[str, str]], *, closing: bool) -> Path:
    def packets() -> Iterator[bytes]:
        for n in range(size):
            client = _ends(n)
            begin, seq, ack = _upgraded(client, n)
            yield from begin
            asked, answered = (text.encode() for text in texts(n))
            yield tcp_packet(client, CSMS, seq, ack, ACK, frame(asked, masked=True))
            seq += len(frame(asked, masked=True))
            yield tcp_packet(CSMS, client, ack, seq, ACK, frame(answered, masked=False))
            if closing:
                yield tcp_packet(client, CSMS, seq, ack + len(frame(answered, masked=False)), ACK | FIN)

    return write_packets(path, packets(), step_ns=100_000)


@bomb
def stations_open(path: Path, size: int) -> Path:
    """`size` stations with a boot each; none ever closes."""
    return _stations(path, size, lambda n: (_BOOT.format(n, n), _BOOTED.format(n)), closing=False)


@bomb
def stations_closing(path: Path, size: int) -> Path:
    """`size` stations with a boot each, which leave at once."""
    return _stations(path, size, lambda n: (_BOOT.format(n, n), _BOOTED.format(n)), closing=True)


class _Contexts:
    """A station that keeps its deflate context, and its CSMS."""

    def __init__(self, number: int) -> None:
        self.ends = _ends(number), CSMS
        self.begin, *self.places = _upgraded(self.ends[0], number, _DEFLATE)
        self._squeezers = [zlib.compressobj(9, zlib.DEFLATED, -15, 1) for _ in self.ends]

    def say(self, side: int, text: str) -> bytes:
        squeezer, ends, places = self._squeezers[side], self.ends, self.places
        octets = (squeezer.compress(text.encode()) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        data = _with_opcode(frame(octets, masked=side == 0), 0xC1)
        packet = tcp_packet(ends[side], ends[1 - side], places[side], places[1 - side], ACK, data)
        places[side] += len(data)
        return packet


def _squeezed(path: Path, size: int, *, turns: int, unseen: int) -> Path:
    """`size` stations that take turns in saying 1.3 KB; of the first `unseen` turns there is nothing."""
    noise = random.Random(9)

    def packets() -> Iterator[bytes]:
        stations = [_Contexts(n) for n in range(size)]
        for station in stations if not unseen else ():
            yield from station.begin
        for turn in range(turns):
            for station in stations:
                call = _TRANSFER.format(turn, noise.randbytes(300).hex())
                said = station.say(0, call), station.say(1, _TRANSFERRED.format(turn, noise.randbytes(300).hex()))
                yield from said if turn >= unseen else ()

    return write_packets(path, packets(), step_ns=100_000)


@bomb
def contexts(path: Path, size: int) -> Path:
    """`size` stations with full deflate contexts."""
    return _squeezed(path, size, turns=60, unseen=0)


@bomb
def contexts_in_doubt(path: Path, size: int) -> Path:
    """The same, met midway, so that nothing is known of their contexts."""
    return _squeezed(path, size, turns=34, unseen=30)


@bomb
def frames_unfinished(path: Path, size: int) -> Path:
    """`size` connections, each with a frame of 15 MiB of which 1 MiB comes."""
    head = b"\x81\xff" + struct.pack(">Q", 15 << 20) + bytes(4)

    def packets() -> Iterator[bytes]:
        for n in range(size):
            begin, seq, ack = _upgraded(_ends(n), n)
            yield from begin
            yield tcp_packet(_ends(n), CSMS, seq, ack, ACK, head)
            for at in range(0, 1 << 20, 32 << 10):
                yield tcp_packet(_ends(n), CSMS, seq + len(head) + at, ack, ACK, b"x" * (32 << 10))

    return write_packets(path, packets(), step_ns=10_000)


@bomb
def holes_everywhere(path: Path, size: int) -> Path:
    """`size` connections, each with 1 MiB behind a hole."""

    def packets() -> Iterator[bytes]:
        for n in range(size):
            begin, seq, ack = _upgraded(_ends(n), n)
            yield from begin
            for at in range(0, 1 << 20, 32 << 10):
                yield tcp_packet(_ends(n), CSMS, seq + 1 + at, ack, ACK, b"x" * (32 << 10))

    return write_packets(path, packets(), step_ns=10_000)


# --- IP and link layer ------------------------------------------------------------------------------------------


@bomb
def ip_fragments(path: Path, size: int) -> Path:
    """`size` IP fragments: datagrams that never end, of one id and of as many, overlapping and beyond 64 KiB."""
    noise = random.Random(6)

    def packets() -> Iterator[bytes]:
        for n in range(size):
            id_ = 7 if n % 2 else n & 0xFFFF
            offset = noise.choice((0, 1, 100, 0x1FFF, n & 0x1FFF)) | 0x2000
            data = noise.randbytes(noise.choice((8, 1400)))
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), id_, offset, 64, 6, 0) + ip4(n >> 10) + ip4(2)
            yield bytes(12) + b"\x08\x00" + head + data

    return write_packets(path, packets())


@bomb
def tags_stacked(path: Path, size: int) -> Path:
    """`size` packets below up to 1,000 VLAN tags, MPLS labels and IPv6 extension headers."""
    inner = tcp_packet((1, 50000), CSMS, 1, 0, SYN)

    def packets() -> Iterator[bytes]:
        for n in range(size):
            yield bytes(12) + b"\x81\x00\x00\x01" * (1 + n % 1000) + inner[12:]
            yield bytes(12) + b"\x88\x47" + b"\0\0\0\x40" * (n % 1000) + b"\0\0\1\x40" + inner[14:]
            chain = b"\0\0" + bytes(6)
            length = 8 * (n % 1000)
            yield (
                bytes(12)
                + b"\x86\xdd"
                + struct.pack(">IHBB", 6 << 28, length, 0, 64)
                + bytes(32)
                + chain * (n % 1000)
            )

    return write_packets(path, packets())


@bomb
def headers_that_lie(path: Path, size: int) -> Path:
    """`size` packets whose lengths of IP and TCP say too little, too much, or nothing at all."""
    noise = random.Random(7)
    plain = bytearray(tcp_packet((1, 50000), CSMS, 1, 0, ACK, b"x" * 50))

    def packets() -> Iterator[bytes]:
        for _ in range(size):
            packet = plain[:]
            packet[14] = noise.randrange(256)
            packet[16:18] = noise.randbytes(2)
            packet[46] = noise.randrange(256)
            yield bytes(packet[: noise.choice((14, 15, 20, 34, 35, 54, 60, 104))])

    return write_packets(path, packets())
