"""One connection on its way through the engine: what its observer and its dialogue find, made into events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Encryption,
    Endpoint,
    Event,
    Flow,
    Handshake,
    Problem,
    Side,
    StreamGap,
    Text,
    Version,
)
from ocppscope.ocpp.exchange import Dialogue
from ocppscope.ocpp.jsontext import MAX_JSON_SIZE
from ocppscope.ocpp.versions import version_of
from ocppscope.shortcut import Lane
from ocppscope.wire.connection import ConnectionObserver, Phase
from ocppscope.wire.frames import CLOSE
from ocppscope.wire.http import ORDINARY_BYTES, head_bytes
from ocppscope.wire.inflate import CONTEXT_LOST
from ocppscope.wire.judge import Judge
from ocppscope.wire.link import FIN, RST
from ocppscope.wire.tlsflow import MIN_SPEECH, TlsFlow
from ocppscope.wire.transport import Tally
from ocppscope.wire.websocket import Control

if TYPE_CHECKING:
    from ocppscope.batch import Batch
    from ocppscope.options import Options
    from ocppscope.wire.decrypt import Secrets
    from ocppscope.wire.inflate import Contexts
    from ocppscope.wire.transport import RoundTripTable

MAX_CONNECTION_PROBLEMS = 32
"""Problems kept of a connection as a whole; the first ones."""
MAX_CLUES = 8
"""First messages of a connection without an upgrade by which another leg of it can be recognised."""
SURE_ID_LENGTH = 16
"""Characters that a message id must have for its message to be such a clue."""

_OCPP_TEXT = re.compile(rb"\s*\[\s*[2-6]\s*,")
_TOO_MUCH = "what waits for them on all connections together took too much memory"
_NO_CLOSE_FRAME = Problem(
    "ws.no-close-frame",
    "The connection ended without a Close frame; endpoints report 1006 (RFC 6455 §7.1.5).",
)


class Host(Protocol):
    """What a track needs of the engine."""

    options: Options
    batch: Batch
    round_trips: RoundTripTable
    contexts: Contexts

    @property
    def secrets(self) -> Secrets | None:
        """Keys of TLS connections; None where there are none."""

    def emit(self, event: Event) -> None:
        """Hands out an event."""

    def enrol(self, track: Track) -> int:
        """The number of a connection that was just recognised."""

    def leg_of(self, track: Track, clue: object, time_ns: int) -> int | None:
        """The connection of whose session `track` repeats what `clue` names."""

    def touch(self, track: Track) -> None:
        """What a connection holds back may have changed."""


class Ending:
    """Who ended a connection and how; the first sign of it counts."""

    __slots__ = ("by", "code", "how", "reason")

    def __init__(self) -> None:
        self.by: Side | None = None
        self.how = ""
        self.code: int | None = None
        self.reason = ""

    def note(self, side: Side | None, how: str, code: int | None = None, reason: str = "") -> None:
        """A Close frame, FIN, RST or whatever else ends the connection."""
        if not self.how:
            self.by, self.how, self.code, self.reason = side, how, code, reason


class Track:
    """Everything known of one connection.

    `ends` are the endpoints by direction.
    """

    __slots__ = (
        "_announced",
        "_clues",
        "_host",
        "_judged",
        "_lanes",
        "_others",
        "dialogue",
        "ending",
        "ends",
        "first_packet",
        "last_handshake",
        "leg",
        "lost_bytes",
        "number",
        "observer",
        "opened_ns",
        "problems",
        "shielded",
        "slot",
        "subject",
        "tally",
    )

    def __init__(self, host: Host, ends: tuple[Endpoint, Endpoint], opened_ns: int, first_packet: int) -> None:
        self._host = host
        self.observer = ConnectionObserver(self, host.secrets, host.contexts)
        self.tally = Tally(host.round_trips)
        self.ends = ends
        self.opened_ns = opened_ns
        self.first_packet = first_packet
        self.slot = -1  # in the flow table; -1: a stream
        self.number = -1
        self.last_handshake: Handshake | None = None
        self.dialogue: Dialogue | None = None
        self.subject = ""
        self.shielded = False  # the proxy that recorded it spoke TLS with the station
        self.leg: int | None = None
        self._lanes: tuple[Lane, Lane] | None = None
        self.ending = Ending()
        self.lost_bytes = (0, 0)
        self.problems: tuple[Problem, ...] = ()
        self._others = (0, 0)  # messages of a WebSocket that carries no OCPP
        self._judged: tuple[Problem | None, Problem | None] = (None, None)
        self._clues = 0
        self._announced = False

    @property
    def flow(self) -> Flow:
        """Who opened it: who asked, or sent the SYN; where nobody knows, the lower port is the server's."""
        inside = self.observer.inside
        reader = inside.reader if inside is not None else self.observer.tls
        said_hello = reader.client if reader is not None else None
        known = (self.observer.client, said_hello, self.tally.opener)
        by_port = int(self.ends[0].port < self.ends[1].port)
        client = next((one for one in known if one is not None), by_port)
        return Flow(self.ends[client], self.ends[1 - client])

    def lanes(self) -> tuple[Lane, Lane] | None:
        """The short cuts of both directions; None while this connection needs every detour."""
        observer = self.observer
        first, second = observer.assembler.halves
        ordinary = (
            observer.phase is Phase.WEBSOCKET
            and self.subject == "ocpp"
            and observer.assembler.plain
            and not self._clue_wanted()
            and first.delivered
            and second.delivered
        )
        if not ordinary:
            self._lanes = None
        elif self._lanes is None:
            self._lanes = Lane(self, 0), Lane(self, 1)
        return self._lanes

    # --- what the observer finds ------------------------------------------------------------------------------

    def handshake(self, handshake: Handshake, time_ns: int, packet: int) -> None:
        """An upgrade was refused, granted, or left without an answer."""
        if self.last_handshake is not None:  # a further upgrade on a kept-alive connection counts on its own
            self._host.emit(ConnectionClosed(time_ns, self.snapshot(time_ns)))
        self.last_handshake = handshake
        self.number = self._host.enrol(self)
        offered = (*handshake.offered_protocols, handshake.protocol or "")
        speaks = any(name.strip().lower().startswith("ocpp") for name in offered)
        self.subject = "ocpp" if speaks or self._decode_as() else "websocket"
        if handshake.key and handshake.upgraded:
            self.leg = self._host.leg_of(self, (handshake.key, handshake.target), handshake.requested_ns)
        self._open_dialogue()
        self._announced = False
        self._announce(time_ns)

    def recognised(self, time_ns: int, packet: int) -> None:
        """WebSocket frames were found without an upgrade, or after one whose answer is missing."""
        if self.dialogue is None:
            self.number = self._host.enrol(self)
            self.subject = "ocpp"
            self._open_dialogue()  # announced with what comes first, when a leg can be told

    def _decode_as(self) -> Version | None:
        return self._host.options.ports.get(self.flow.server.port)

    def _open_dialogue(self) -> None:
        chosen = self.last_handshake.protocol if self.last_handshake else None
        version = self._decode_as() or version_of(chosen)
        guessed = version is Version.UNKNOWN
        self.dialogue = Dialogue(self.number, version, guessed=guessed, timeout_ns=self._host.options.timeout_ns)

    def _announce(self, time_ns: int) -> None:
        if not self._announced and self.dialogue is not None:
            self._announced = True
            self._host.emit(ConnectionOpened(time_ns, self.snapshot()))

    def text(self, side: Side, text: Text) -> None:
        """A data message."""
        verdict = self._take_verdict(side)
        if verdict is not None:
            text = text._replace(problems=(*text.problems, verdict))
        assert self.dialogue is not None
        if self.subject != "ocpp" and not self._becomes_ocpp(text):
            self._others = _plus(self._others, side, 1)
            if self._host.options.every_websocket:
                self._host.emit(self.dialogue.read(side, text))
            return
        if not text.problems and not text.binary and text.frames == 1 and self._is_quick(side, text):
            return
        self._host.contexts.lost += any(problem.code == CONTEXT_LOST for problem in text.problems)
        message = self.dialogue.read(side, text)
        if self._clue_wanted():
            self._clues += 1
            if self.leg is None and len(message.id) >= SURE_ID_LENGTH:
                self.leg = self._host.leg_of(self, (side, message.text), message.time_ns)
            self._announce(message.time_ns)
        self._host.emit(message)
        for end in self.dialogue.ended:
            self._host.emit(end)
        self.dialogue.ended.clear()

    def _is_quick(self, side: Side, text: Text) -> bool:
        """Takes an ordinary message that came with other frames in a packet, or in several packets."""
        if self._clue_wanted() or len(text.payload) > MAX_JSON_SIZE:
            return False
        batch = self._host.batch
        assert self.dialogue is not None
        place = batch.arrivals.add(text)
        return self.dialogue.speakers[side].quick(batch, text.payload, text.origin.time_ns, place)

    def _becomes_ocpp(self, text: Text) -> bool:
        """Whether a connection that agreed on no OCPP subprotocol speaks OCPP after all."""
        if not _OCPP_TEXT.match(text.payload):
            return False
        self.subject = "ocpp"
        self._announced = False
        self._announce(text.origin.time_ns)
        return True

    def _clue_wanted(self) -> bool:
        return self.last_handshake is None and self._clues < MAX_CLUES

    def control(self, side: Side, control: Control) -> None:
        """A control frame."""
        verdict = self._take_verdict(side)
        problems = control.problems if verdict is None else (*control.problems, verdict)
        time_ns = control.origin.time_ns
        self._announce(time_ns)
        self._host.emit(
            ControlFrame(
                time_ns=time_ns,
                connection=self.number,
                side=side,
                opcode=control.opcode,
                payload=control.payload,
                packets=control.origin.packets,
                close_code=control.code,
                close_reason=control.reason,
                problems=problems,
            )
        )
        if control.opcode == CLOSE:
            self.ending.note(side, "close frame", control.code, control.reason)

    def lost(self, side: Side, count: int | None, time_ns: int, why: str) -> None:
        """Bytes of a direction that are not in the capture."""
        self._announce(time_ns)
        self.lost_bytes = _plus(self.lost_bytes, side, 1 if count is None else count)
        self._host.emit(StreamGap(time_ns, self.number, side, count, why))

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        """Captured bytes that could not be read as frames."""
        self._announce(time_ns)
        self._host.emit(StreamGap(time_ns, self.number, side, count, f"captured, but {why}"))

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        """Lets a strict endpoint judge the first frame of a direction that breaks a rule."""
        deflate = self.last_handshake.deflate if self.last_handshake else None
        judge = Judge(side, deflate)
        if continues:
            first = 0x41 if compressed and deflate is not None else 0x01
            judge.feed(bytes([first, 0x80, 0, 0, 0, 0]) if side is Side.STATION else bytes([first, 0]))
        found = judge.feed(octets)
        self._judged = (self._judged[0], found) if side else (found, self._judged[1])

    def _take_verdict(self, side: Side) -> Problem | None:
        verdict = self._judged[side]
        if verdict is not None:
            self._judged = (self._judged[0], None) if side else (None, self._judged[1])
        return verdict

    def problem(self, side: Side | None, problem: Problem) -> None:
        """Something odd about the connection as a whole."""
        if len(self.problems) < MAX_CONNECTION_PROBLEMS and problem not in self.problems:
            self.problems = (*self.problems, problem)

    def closed(self, side: Side | None, how: str, time_ns: int) -> None:
        """A direction ended, or both did."""
        if not self.ending.how and self.last_handshake is not None and self.last_handshake.upgraded:
            self.problem(side, _NO_CLOSE_FRAME)
        self.ending.note(side, how)

    def tls_flow(self) -> TlsFlow | None:
        """The TLS connection that this turned out to be; None if it did not."""
        inside, tally = self.observer.inside, self.tally
        reader = inside.reader if inside is not None else self.observer.tls
        if reader is None:
            return None
        assembler = self.observer.assembler
        assembler.stream = reader
        flow = TlsFlow(reader, assembler, self.ends, self.opened_ns, self.first_packet, tally.opener)
        flow.octets = [way.octets for way in tally.ways]
        for rhythm, way in zip(flow.rhythms, tally.ways, strict=True):
            rhythm.last_ns = (way.last_ns or 0) if way.octets >= MIN_SPEECH else 0
        flow.last_ns = self.last_ns
        by = tally.ended_by or 0
        for direction in (by, 1 - by):
            way = tally.ways[direction]
            if way.fin_ns is not None:
                flow.ends_with(direction, FIN, way.fin_ns)
            if way.rst_ns is not None:
                flow.ends_with(direction, RST, way.rst_ns)
        return flow

    # --- what it holds ----------------------------------------------------------------------------------------

    def touched(self) -> None:
        """What is held back may have changed."""
        self._host.touch(self)

    def held_back(self) -> int:
        """Bytes of memory that wait for what completes them, roughly, and what heads take that are out of measure."""
        held = self.observer.held_back()
        if self.dialogue is not None:
            held += self.dialogue.held_back()
        handshake = self.last_handshake
        if handshake is not None:
            heads = head_bytes(handshake.request_headers) + head_bytes(handshake.response_headers)
            held += heads if heads > ORDINARY_BYTES else 0
        return held

    def let_go(self, time_ns: int) -> None:
        """Gives up what is held of frames, messages and answers that are waited for."""
        self.observer.let_go(time_ns, _TOO_MUCH)
        if self.dialogue is not None and self.dialogue.held_back():
            for exchange in self.dialogue.finish(time_ns):
                self._host.emit(exchange)

    @property
    def last_ns(self) -> int:
        """When its last segment came."""
        return max((way.last_ns for way in self.tally.ways if way.last_ns is not None), default=self.opened_ns)

    # --- the end ----------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Nothing more will come, and nobody will ask for more than which connection it was."""
        self._lanes = None
        self.observer.release()
        if self.dialogue is not None:
            self.dialogue.release()
            self.dialogue = None

    @property
    def over(self) -> bool:
        """Whether both directions have ended."""
        assembler = self.observer.assembler
        return assembler.over or all(half.ended for half in assembler.halves)

    def end(self, time_ns: int, how: str = "") -> None:
        """The connection is over, or the capture is: states what stays open."""
        self.observer.assembler.finish(time_ns)
        if self.observer.inside is not None:
            self.observer.inside.finish(time_ns)
        self.observer.finish(time_ns)
        self.observer.forget_contexts()
        self._lanes = None
        if self.number < 0 or self.dialogue is None:
            return
        self._announce(time_ns)
        if how:
            self.ending.note(None, how)
        for exchange in self.dialogue.finish(time_ns):
            self._host.emit(exchange)
        self._host.emit(ConnectionClosed(time_ns, self.snapshot(time_ns)))

    def _tls(self) -> Encryption | None:
        """What protects the connection."""
        inside = self.observer.inside
        if inside is None:
            return Encryption(None, None, by_proxy=True) if self.shielded else None
        hello = inside.reader.server_hello
        name = inside.reader.client_hello.server_name if inside.reader.client_hello is not None else ""
        return Encryption(hello.version if hello else None, hello.suite if hello else None, name, inside.why)

    def snapshot(self, closed_ns: int | None = None) -> Connection:
        """What is known now."""
        handshake, dialogue, ending = self.last_handshake, self.dialogue, self.ending
        counts = dialogue.counts if dialogue and self.subject == "ocpp" else self._others
        return Connection(
            number=self.number,
            flow=self.flow,
            opened_ns=self.opened_ns,
            first_packet=self.first_packet,
            station=(handshake.station if handshake else "") or self.flow.client.address,
            version=dialogue.version if dialogue else Version.UNKNOWN,
            version_guessed=dialogue.guessed if dialogue else True,
            handshake=handshake,
            subject=self.subject,
            leg_of=self.leg,
            closed_ns=closed_ns,
            closed_by=ending.by,
            close_how=ending.how,
            close_code=ending.code,
            close_reason=ending.reason,
            messages=counts,
            lost_bytes=self.lost_bytes,
            problems=(*(handshake.problems if handshake else ()), *self.problems),
            transport=self.tally.transport(self.observer.client or 0),
            tls=self._tls(),
        )


def _plus(counts: tuple[int, int], side: Side, count: int) -> tuple[int, int]:
    return (counts[0], counts[1] + count) if side else (counts[0] + count, counts[1])
