"""Transcripts of what the proxy does: what each side sends, and all that comes of it.

    Playbook(policy).play(
        received(STATION, BOOT),
        sent(CSMS, BOOT),
        passed(25),
        sent(CSMS, HELD, "expired"),
    )

Both ends are protocol machines of the `websockets` library, which know nothing of ours. After each step everything
that the session commanded and told must stand in the transcript, in order; tidings may stand after commands.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, NamedTuple

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from ocppscope.acts import ACTS
from ocppscope.model import Endpoint, Flow, Side
from ocppscope.proxy.active import ActiveSession
from ocppscope.proxy.commands import Finish, Note, Pause, Reset, Resume, Send
from ocppscope.proxy.policy import Policy

STATION, CSMS = Side.STATION, Side.CSMS
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
FLOW = Flow(Endpoint("192.0.2.1", 50_000), Endpoint("192.0.2.2", 80))


class Step(NamedTuple):
    """Something that happens to the session."""

    run: Callable[[Playbook], None]


class Seen(NamedTuple):
    """Something that the session does."""

    what: str
    side: Side | None
    content: object = None
    act: str = ""


# --- steps ----------------------------------------------------------------------------------------------------------


def received(side: Side, data: str | bytes) -> Step:
    """A side sends a message."""
    return Step(lambda book: book.say(side, data))


def received_fragments(side: Side, *parts: str) -> Step:
    """A side sends a message in fragments."""

    def run(book: Playbook) -> None:
        peer = book.peers[side]
        peer.send_text(parts[0].encode(), fin=False)
        for part in parts[1:-1]:
            peer.send_continuation(part.encode(), fin=False)
        peer.send_continuation(parts[-1].encode(), fin=True)
        book.flush(side)

    return Step(run)


def received_raw(side: Side, data: bytes) -> Step:
    """A side sends bytes, whatever they are."""
    return Step(lambda book: book.feed(side, data))


def pinged(side: Side, payload: bytes) -> Step:
    """A side sends a ping."""

    def run(book: Playbook) -> None:
        book.peers[side].send_ping(payload)
        book.flush(side)

    return Step(run)


def closes(side: Side, code: int | None = 1000, reason: str = "") -> Step:
    """A side sends a Close frame."""

    def run(book: Playbook) -> None:
        book.peers[side].send_close(code, reason)
        book.flush(side)

    return Step(run)


def ended(side: Side, how: str = "FIN") -> Step:
    """A side ends its TCP connection."""
    return Step(lambda book: book.take(book.session.ended(side, how, book.now)))


def passed(seconds: float) -> Step:
    """Time passes; the session is woken when it wants to be."""
    return Step(lambda book: book.wait(round(seconds * SECOND)))


def ordered(order: Any) -> Step:
    """The user gives an order."""
    return Step(lambda book: book.order(order))


# --- what is expected -----------------------------------------------------------------------------------------------


def sent(side: Side, content: str | bytes, act: str = "") -> Seen:
    """A side got a message."""
    return Seen("sent", side, content, act)


def pong(side: Side, payload: bytes) -> Seen:
    return Seen("pong", side, payload)


def ping(side: Side, payload: bytes) -> Seen:
    return Seen("ping", side, payload)


def closed(side: Side, code: int) -> Seen:
    """A side got a Close frame."""
    return Seen("closed", side, code)


def noted(side: Side, act: str) -> Seen:
    """Something is said in the recording."""
    return Seen("noted", side, None, act)


def raw(side: Side, data: bytes) -> Seen:
    """A side got bytes, without a WebSocket on it."""
    return Seen("raw", side, data)


def finished(side: Side) -> Seen:
    return Seen("finished", side)


def was_reset(side: Side) -> Seen:
    return Seen("reset", side)


def paused(side: Side) -> Seen:
    return Seen("paused", side)


def resumed(side: Side) -> Seen:
    return Seen("resumed", side)


def told(tiding: type, **fields: object) -> Seen:
    """A tiding with these fields, whatever else it says."""
    return Seen("told", None, (tiding.__name__, fields))


_COMMANDS = {Finish: "finished", Reset: "reset", Pause: "paused", Resume: "resumed"}


class Playbook:
    """A session between two ends."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        upgraded: bool = True,
        subprotocol: str = "ocpp1.6",
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
        make: Callable[[Policy], Any] | None = None,
    ) -> None:
        self.now = START
        self.cut = cut
        self.policy = policy or Policy(chance=random.Random(5))
        self.session = make(self.policy) if make is not None else ActiveSession(3, FLOW, self.policy, START, host="")
        self.log: list[Seen] = []
        self.tidings: list[Any] = []
        self.acts: list[str] = []
        names = [subprotocol] if subprotocol else None
        self.station = ClientProtocol(
            parse_uri("ws://csms.example/ocpp/CP-1"),
            subprotocols=names,
            extensions=[ClientPerMessageDeflateFactory()],
            max_size=64 << 20,
        )
        self.csms = ServerProtocol(
            subprotocols=names, extensions=[ServerPerMessageDeflateFactory()], max_size=64 << 20
        )
        self.peers: tuple[Protocol, Protocol] = (self.station, self.csms)
        self.open = False
        if upgraded:
            self.upgrade()

    def upgrade(self) -> None:
        """Both ends agree on a WebSocket, through the session."""
        self.station.send_request(self.station.connect())
        self.flush(STATION)
        (request,) = self.csms.events_received()
        assert isinstance(request, Request)
        self.csms.send_response(self.csms.accept(request))
        self.flush(CSMS)
        (response,) = self.station.events_received()
        assert isinstance(response, Response)
        assert response.status_code == 101
        self.open = True
        self.log.clear()

    def say(self, side: Side, data: str | bytes) -> None:
        peer = self.peers[side]
        if isinstance(data, str):
            peer.send_text(data.encode())
        else:
            peer.send_binary(data)
        self.flush(side)

    def flush(self, side: Side) -> None:
        for piece in self.peers[side].data_to_send():
            if piece:
                self.feed(side, piece)

    def feed(self, side: Side, data: bytes) -> None:
        for part in self.cut(data):
            self.take(self.session.received(side, part, self.now))

    def wait(self, time_ns: int) -> None:
        until = self.now + time_ns
        for _ in range(10_000):
            deadline = self.session.deadline
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.take(self.session.wake(self.now))
        else:
            raise AssertionError("the session wants to be woken without end")
        self.now = until

    def order(self, order: Any) -> None:
        commands, tidings = self.session.obey(order, self.now)
        self.take(commands, tidings)

    def take(self, commands: Any, tidings: Any = ()) -> None:
        for command in commands:
            match command:
                case Send(side, data, act):
                    assert data, "nothing is sent as something"
                    self.acts += [act.text] if act else []
                    self._deliver(side, data, act.what if act else "")
                case Note(side, act):
                    self.acts.append(act.text)
                    self.log.append(noted(side, act.what))
                case _:
                    self.log.append(Seen(_COMMANDS[type(command)], command.side))
        for side in Side if self.open else ():
            self.flush(side)
        heard = [*tidings, *(self.session.tidings() if hasattr(self.session, "tidings") else ())]
        self.tidings += heard
        self.log += [Seen("told", None, tiding) for tiding in heard]
        assert {entry.act for entry in self.log} <= {"", *ACTS}

    def _deliver(self, side: Side, data: bytes, act: str) -> None:
        if not self.open:
            self.log.append(raw(side, data)._replace(act=act))
        peer = self.peers[side]
        peer.receive_data(data)
        if not self.open:
            return
        assert peer.parser_exc is None, peer.parser_exc
        for frame in peer.events_received():
            assert isinstance(frame, Frame)
            self.log.append(_seen(side, frame)._replace(act=act))

    def play(self, *transcript: Step | Seen) -> Playbook:
        """Runs the steps and holds what comes of each against what the transcript says."""
        expected: list[Seen] = []
        for entry in transcript:
            if isinstance(entry, Seen):
                expected.append(entry)
            else:
                self._compare(expected)
                entry.run(self)
        self._compare(expected)
        return self

    def _compare(self, expected: list[Seen]) -> None:
        expected.sort(key=_is_tiding)
        self.log.sort(key=_is_tiding)
        got = [_like(entry, wanted) for entry, wanted in zip_longest(self.log, expected) if entry]
        assert got == expected, "\n".join(map(str, ["got", *got, "expected", *expected]))
        self.log.clear()
        expected.clear()


def _seen(side: Side, frame: Frame) -> Seen:
    data = bytes(frame.data)
    match frame.opcode:
        case Opcode.TEXT:
            return sent(side, data.decode())
        case Opcode.BINARY:
            return sent(side, data)
        case Opcode.PING:
            return ping(side, data)
        case Opcode.PONG:
            return pong(side, data)
        case Opcode.CLOSE:
            return closed(side, int.from_bytes(data[:2], "big") or 1005)
    raise AssertionError(frame)


def _is_tiding(entry: Seen) -> bool:
    return entry.what == "told"


def _like(got: Seen, wanted: Seen | None) -> Seen:
    """A tiding reduced to the fields that the transcript names."""
    if got.what != "told" or wanted is None or not isinstance(wanted.content, tuple):
        return got
    name, fields = wanted.content
    if type(got.content).__name__ != name:
        return got
    return told(type(got.content), **{field: getattr(got.content, field) for field in fields})
