"""Events of the model, redacted for exports: the same in every respect that says nothing of anybody.

Certificates of TLS handshakes are left out. Rules are not meant to read these events; what they say they said of the
real ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ocppscope.acts import Act, act_of, comment_of
from ocppscope.model import (
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    ExchangeEnd,
    Flow,
    Handshake,
    Message,
    PacketComment,
    Side,
    StreamGap,
    TlsConnection,
    Transport,
    TransportSide,
    Version,
)
from ocppscope.ocpp.versions import ALL_ACTIONS
from ocppscope.redaction.fields import decided

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocppscope.model import Event, Problem
    from ocppscope.redaction.heads import Heads
    from ocppscope.redaction.redactor import Redactor
    from ocppscope.redaction.values import Values

_CLOSE = 8
_NO_TEXT = 0x80  # a byte that goes on with a character that none has begun: no text holds it alone (RFC 3629 §3)
_INDEX = re.compile(r"[0-9]{1,9}")


class Events:
    """The redaction of events of one run. It remembers which connection speaks which version."""

    def __init__(self, redactor: Redactor, values: Values, heads: Heads) -> None:
        self._redactor = redactor
        self._values = values
        self._heads = heads
        self._versions: dict[int, Version] = {}
        self._ways: dict[type, Callable[[Any], Any]] = {
            Message: self._message,
            ControlFrame: self._control,
            StreamGap: self._gap,
            ExchangeEnd: self._end,
            ConnectionOpened: self._opened,
            ConnectionClosed: self._opened,
            ConnectAttempt: self._attempt,
            TlsConnection: self._tls,
            PacketComment: self._comment,
        }

    def event(self, event: Event) -> Event:
        """Any event."""
        redacted: Event = self._ways[type(event)](event)
        return redacted

    def connection(self, one: Connection) -> Connection:
        """A connection, its upgrade and its addresses; what its station is called is learned first."""
        station = self._values.station(one.station)
        self._versions[one.number] = one.version
        move = self._time
        return replace(
            one,
            station=station,
            flow=self._flow(one.flow),
            opened_ns=move(one.opened_ns),
            handshake=self._handshake(one.handshake) if one.handshake is not None else None,
            closed_ns=move(one.closed_ns),
            close_reason=self._redactor.words(one.close_reason),
            problems=self._problems(one.problems),
            transport=self._transport(one.transport),
            tls=replace(
                one.tls, server_name=self._name(one.tls.server_name), trouble=self._redactor.words(one.tls.trouble)
            )
            if one.tls is not None
            else None,
        )

    def _handshake(self, one: Handshake) -> Handshake:
        heads, words = self._heads, self._redactor.words
        headers = tuple((self._header_name(name), heads.value(name, value)) for name, value in one.request_headers)
        answers = tuple((self._header_name(name), heads.value(name, value)) for name, value in one.response_headers)
        return replace(
            one,
            target=heads.target(one.target),
            station=self._values.station(one.station),
            user=heads.user(one.user),
            request_headers=headers,
            offered_protocols=tuple(heads.protocol(token) for token in one.offered_protocols),
            requested_ns=self._time(one.requested_ns),
            reason=words(one.reason),
            response_headers=answers,
            protocol=heads.protocol(one.protocol) if one.protocol else one.protocol,
            answered_ns=self._time(one.answered_ns),
            body=self._values.inside(one.body),
            problems=self._problems(one.problems),
        )

    def _header_name(self, name: str) -> str:
        return self._values.free.known_replaced(name)

    def _message(self, one: Message) -> Message:
        version = self._versions.get(one.connection, Version.UNKNOWN)
        text = self._redactor.message_text(one.text, version=version, kind=one.kind, action=one.action)
        return replace(
            one, time_ns=self._time(one.time_ns), id=self._id(one.id), action=self._action(one.action), text=text,
            problems=self._problems(one.problems),
        )  # fmt: skip

    def _id(self, text: str) -> str:
        return self._values.free.identity(text)

    def _action(self, action: str) -> str:
        return action if action in ALL_ACTIONS else self._values.free.scrubbed(action)

    def _control(self, one: ControlFrame) -> ControlFrame:
        payload = one.payload
        if one.opcode == _CLOSE:
            payload = payload[:2] + self.spoken(payload[2:])
        elif payload:
            payload = self.spoken(payload)
        reason = self._redactor.words(one.close_reason)
        return replace(
            one, time_ns=self._time(one.time_ns), payload=payload, close_reason=reason,
            problems=self._problems(one.problems),
        )  # fmt: skip

    def spoken(self, payload: bytes) -> bytes:
        """The payload of a control frame: words if it is a text, else bytes that are none. Equal ones stay so."""
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            told = self._values.pseudonyms.digest("frame", payload)[: len(payload)]
            return bytes(_NO_TEXT | byte >> 2 for byte in told).ljust(len(payload), bytes((_NO_TEXT,)))
        return self._redactor.words(text).encode()

    def _gap(self, one: StreamGap) -> StreamGap:
        return replace(one, time_ns=self._time(one.time_ns), why=self._redactor.words(one.why))

    def _end(self, one: ExchangeEnd) -> ExchangeEnd:
        return replace(one, time_ns=self._time(one.time_ns), id=self._id(one.id), action=self._action(one.action))

    def _opened(self, one: ConnectionOpened | ConnectionClosed) -> ConnectionOpened | ConnectionClosed:
        return type(one)(self._time(one.time_ns), self.connection(one.connection))

    def _attempt(self, one: ConnectAttempt) -> ConnectAttempt:
        times = {name: self._time(getattr(one, name)) for name in ("time_ns", "first_ns", "last_ns")}
        return replace(one, flow=self._flow(one.flow), **times)

    def _tls(self, one: TlsConnection) -> TlsConnection:
        names = ("time_ns", "opened_ns", "closed_ns", "client_hello_ns", "server_hello_ns", "handshake_ns")
        hello = one.client_hello
        pair = self._pair
        return replace(
            one,
            **{name: self._time(getattr(one, name)) for name in names},
            flow=self._flow(one.flow),
            client_hello=replace(hello, server_name=self._name(hello.server_name)) if hello is not None else None,
            certificates=((), ()),
            certificate_ns=pair(one.certificate_ns),
            application_ns=pair(one.application_ns),
            alerts=tuple(replace(alert, time_ns=self._time(alert.time_ns)) for alert in one.alerts),
            reply=self._redactor.words(one.reply),
            problems=self._problems(one.problems),
            rhythm=tuple(
                replace(
                    side,
                    latest=tuple((self._time(at), size, quiet) for at, size, quiet in side.latest),
                    last_ns=self._time(side.last_ns),
                )
                for side in one.rhythm
            ),
        )

    def _comment(self, one: PacketComment) -> PacketComment:
        flow = self._flow(one.flow) if one.flow is not None else None
        return replace(one, time_ns=self._time(one.time_ns), flow=flow, text=self.comment(one.text))

    def comment(self, text: str) -> str:
        """A comment; the name of an act of the proxy stays."""
        act = act_of(text)
        return (
            self._redactor.words(text) if act is None else comment_of(Act(act.what, self._redactor.words(act.text)))
        )

    def _flow(self, flow: Flow) -> Flow:
        return Flow(*(Endpoint(self._values.address(end.address), end.port) for end in flow))

    def _name(self, name: str) -> str:
        return self._values.host(name) if name else name

    def _time(self, time_ns: Any) -> Any:
        return None if time_ns is None else time_ns + self._values.policy.shift_ns

    def _pair(self, times: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
        return self._time(times[Side.STATION]), self._time(times[Side.CSMS])

    def _transport(self, one: Transport | None) -> Transport | None:
        if one is None or not self._values.policy.shift_ns:
            return one
        names = ("syn_ns", "last_syn_ns", "synack_ns", "ack_ns")
        sides = tuple(self._transport_side(side) for side in one.sides)
        return replace(one, sides=sides, **{name: self._time(getattr(one, name)) for name in names})

    def _transport_side(self, side: TransportSide) -> TransportSide:
        names = ("unacked_resends_since_ns", "unacked_since_ns", "last_ns", "fin_ns", "rst_ns")
        return replace(side, **{name: self._time(getattr(side, name)) for name in names})

    def _problems(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        return tuple(self._problem(one) for one in problems) if problems else problems

    def _problem(self, one: Problem) -> Problem:
        path, text = self.pointer(one.path), self._values.free.scrubbed(one.text)
        return one if path == one.path and text == one.text else replace(one, path=path, text=text)

    def pointer(self, path: str) -> str:
        """A JSON pointer; a name in it that no schema has may be anybody's."""
        if not path:
            return path
        parts = [
            part if _INDEX.fullmatch(part) or decided("", part) is not None else self._values.free.scrubbed(part)
            for part in path.split("/")
        ]
        return "/".join(parts)
