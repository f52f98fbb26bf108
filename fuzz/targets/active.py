"""The proxy where it passes messages: no text is lost, changed or made up while nobody asks for that; what it keeps is bounded."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from fuzz import sources
from fuzz.tape import packed, pieces, records
from fuzz.targets.frames import read
from ocppscope.model import Endpoint, Flow, Side
from ocppscope.proxy.active import ActiveSession
from ocppscope.proxy.commands import Command, Finish, Pause, Reset, Resume, Send
from ocppscope.proxy.policy import Policy

FLOW = Flow(Endpoint("192.0.2.1", 50_000), Endpoint("192.0.2.2", 80))
FILTERS = ("", "", 'action == "Heartbeat"', "kind == CALL and size > 100", "side == csms")
ENDS = ("FIN", "RST")
HEADS = (
    b"GET /CP-1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n",
    b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n",
)
WORDS = (*HEADS, b"\x81\x80\0\0\0\0", b"\x88\x82\0\0\0\0\x03\xe8", b"\x81\x02{}", b"\x89\x00")


class Ends:
    """Both ends of a session, and the order of what happens to them."""

    def __init__(self, session: ActiveSession) -> None:
        self.session = session
        self.got = bytearray(), bytearray()
        self.over = [False, False]
        self.now = 1

    def take(self, commands: Iterable[Command]) -> None:
        """Carries out commands as a server would."""
        for one in commands:
            if isinstance(one, Send):
                assert one.data
                assert not self.over[one.side], "sent behind the end"
                self.got[one.side].extend(one.data)
            elif isinstance(one, Finish | Reset):
                self.over[one.side] = True
            else:
                assert one.side in Side or isinstance(one, Pause | Resume)

    def wait(self, seconds: int) -> None:
        """Time passes."""
        end = self.now + seconds * 10**9
        for _ in range(10_000):
            if self.session.deadline is None or self.session.deadline > end:
                break
            self.now = max(self.now, self.session.deadline)
            self.take(self.session.wake(self.now))
        else:
            raise AssertionError("it wants to be woken for ever")
        self.now = end


def run(steps: list[tuple[int, bytes]], intercept: str, *, upgraded: bool) -> Ends:
    """A session up to its end."""
    policy = Policy(chance=random.Random(5))
    policy.intercept(intercept)
    ends = Ends(ActiveSession(1, FLOW, policy, 1))
    ended = [False, False]
    for tag, body in [(0, HEADS[0]), (1, HEADS[1]), *steps] if upgraded else steps:
        side = Side(tag & 1)
        if tag & 0xF0 == 0xF0 and not ended[side]:
            ended[side] = True
            ends.take(ends.session.ended(side, ENDS[tag >> 1 & 1], ends.now))
        elif tag & 0xF0 == 0xE0:
            ends.wait(len(body))
        elif not ended[side]:
            for piece in pieces(body) if tag & 2 else (body,):
                if piece:
                    ends.take(ends.session.received(side, piece, ends.now))
    for side in Side:
        if not ended[side]:
            ends.take(ends.session.ended(side, "FIN", ends.now))
    ends.wait(4000)
    ends.session.gone(ends.now)
    ends.session.tidings()
    return ends


def target(data: bytes) -> None:
    """With an upgrade before it, without, and with a filter that holds messages."""
    steps = list(records(data, 60))
    said = [b"".join(body for tag, body in steps if tag & 1 == side and tag & 0xE0 != 0xE0) for side in (0, 1)]
    run(steps, FILTERS[len(data) % len(FILTERS)], upgraded=True)
    ends = run(steps, "", upgraded=True)
    whole = not any(tag & 0xE0 == 0xE0 for tag, _ in steps)
    for side in Side:
        got = bytes(ends.got[side.other])
        head = len(HEADS[side])
        assert got[:head] == HEADS[side]
        sent, came = read(side, [said[side]] if said[side] else []), read(side, [got[head:]] if got[head:] else [])
        texts, others = ([one[1] for one in notes.found if one[0] == "text"] for notes in (sent, came))
        if not sent.troubled:
            assert not came.troubled
            assert others == texts[: len(others)]
            alone = not said[side.other]
            closes = any(one[:2] == ("control", 8) for one in sent.found)
            assert not (whole and alone and not closes) or others == texts
    bare = run(steps, "", upgraded=False)
    if whole and not said[0][:20].lstrip(b"\r\n").isalpha() and b" " not in said[0][:22] and said[0]:
        assert bare.got[Side.STATION] == said[1]


def seeds() -> Iterator[bytes]:
    """Recorded frames without their upgrades, whole connections, closings."""
    for name in ("ocpp16_plain", "fragmented", "malformed"):
        for said in list(sources.streams(name, 10))[:2]:
            yield packed([(way | 2, data) for way, data in said])
            yield packed([(way, data) for way, data in said[2:]])
            yield packed([(0, said[2][1]), (0xE0, b"x" * 30), *said[3:5], (0xF1, b"")])
    mask = b"\x01\x02\x03\x04"
    ping = b"\x89\x81" + mask + b"\x60"
    yield packed([(0, ping), (1, b"\x8a\x01a"), (1, b"\x88\x02\x03\xe8"), (0, b"\x88\x82" + mask + b"\x02\xea")])
