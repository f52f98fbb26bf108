"""What passes between the two sides after the upgrade: each message read, judged, and sent on or not.

    bytes ─► frames.Voice ─► message ─► Dialogue (action, latency, problems) ─► policy ─► Line ─► Voice ─► bytes

Everything that differs from passing messages on as they are is marked by an `Act`. Commands go to `out`, tidings to
`told`. No I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ocppscope.acts import Act
from ocppscope.control import Answered, Drop, Forward, Held, Inject, Released, Said
from ocppscope.model import Connection, Flow, Handshake, Kind, Message, Origin, Side, Text, Version
from ocppscope.ocpp.codec import decode
from ocppscope.ocpp.exchange import Dialogue
from ocppscope.ocpp.versions import version_of
from ocppscope.proxy import policy as decisions
from ocppscope.proxy.commands import Note, Send
from ocppscope.proxy.editing import EditError, Reply
from ocppscope.proxy.frames import CLOSE, MAX_MESSAGE_BYTES, Control, Piece, Violation, Voice, Whole
from ocppscope.proxy.injecting import Injector, call_text
from ocppscope.proxy.policy import MAX_HOLD_NS, Judgement, Seen
from ocppscope.proxy.waiting import Line, Payload, Sending, Waiting
from ocppscope.proxy.wording import as_sent, called, copies_of, header_size, name_of, seconds, shown
from ocppscope.query.fields import Around

if TYPE_CHECKING:
    from ocppscope.control import Tiding
    from ocppscope.ocpp.exchange import Speaker
    from ocppscope.proxy.commands import Command
    from ocppscope.proxy.policy import Decision, Policy

MAX_TOLD = 1_000
"""Tidings that are kept until somebody takes them; of more, sentences are left out."""
GOING_AWAY = 1001
SHARE_OF_HOLD = 5
"""Even an answer that comes late is held for this part of the usual time."""


class Stop(NamedTuple):
    """How the connection is to end: "FIN", "RST", or "" for saying nothing more for `lasts_ns`."""

    how: str
    lasts_ns: int = 0


class Talk:
    """The messages of one connection, both directions."""

    def __init__(self, number: int, flow: Flow, handshake: Handshake, policy: Policy, opened_ns: int) -> None:
        self.out: list[Command] = []
        self.told: list[Tiding] = []
        self.stop: Stop | None = None
        self._policy = policy
        self._judgement = Judgement(policy)
        self._voices = Voice(Side.STATION), Voice(Side.CSMS)
        self._lines = Line(policy.room), Line(policy.room)  # by who sent it
        self._injectors = Injector(Side.STATION, policy.chance), Injector(Side.CSMS, policy.chance)
        version = version_of(handshake.protocol)
        guessed = version is Version.UNKNOWN
        self._dialogue = Dialogue(number, version, guessed=guessed, timeout_ns=policy.timeout_ns)
        station = handshake.station or flow.client.address
        self._connection = Connection(number, flow, opened_ns, 0, station, version, guessed, handshake)
        self._before_ns: int | None = None  # the message before
        self._ending = False  # a side has said, or shown, that it goes
        self._warned = False

    # --- what comes in ------------------------------------------------------------------------------------------

    def received(self, side: Side, data: bytes, now: int) -> None:
        """Bytes of a side."""
        for event in self._voices[side].read(data):
            match event:
                case Whole():
                    self._message(side, event, now)
                case Piece():
                    self._piece(side, event, now)
                case Control():
                    self._control(side, event, now)
                case Violation():
                    self._violation(side, event, now)
            if self.stop is not None:
                return
        self._inject(now)

    def _message(self, side: Side, whole: Whole, now: int) -> None:
        payload = whole.data.encode() if isinstance(whole.data, str) else whole.data
        binary = isinstance(whole.data, bytes)
        wire_size = whole.size + header_size(whole.size, side) + (whole.frames - 1) * header_size(0, side)
        text = Text(payload, Origin(now, ()), wire_size, whole.frames, binary=binary)
        message = self._dialogue.read(side, text)
        self._dialogue.ended.clear()
        if self._dialogue.version is not self._connection.version:
            self._connection = replace(self._connection, version=self._dialogue.version)
        around = Around(delta_ns=None if self._before_ns is None else now - self._before_ns)
        self._before_ns = now
        if self._swallowed(side, message, now):
            return
        if self._judgement.is_idle:
            self._pass(side, [(whole.data, None)], whole.size, now)
        else:
            self._judge(message, whole.data, around, now)

    def _piece(self, side: Side, piece: Piece, now: int) -> None:
        line = self._lines[side]
        if not line.busy:
            self._release(side, "forwarded", "before a message that is too large to wait behind it", now)
            if not self._warned:
                self._warned = True
                self._say(f"a message of more than {MAX_MESSAGE_BYTES >> 20} MiB passes unread")
        line.busy = not piece.last
        self._send(side.other, self._voices[side.other].message(piece.data, last=piece.last))
        self._go(side, now)

    def _control(self, side: Side, frame: Control, now: int) -> None:
        if frame.opcode == CLOSE:
            self._release(side, "forwarded", "since its sender closes the connection", now)
            self._give_up(now)
        self._send(side.other, self._voices[side.other].control(frame))

    def _violation(self, side: Side, violation: Violation, now: int) -> None:
        self._note(side, "violation", f"{name_of(side)} broke the WebSocket rules: {violation.words}")
        self._close((violation.code, GOING_AWAY), violation.words, now, blame=side)
        self.stop = Stop("FIN")

    def ended(self, side: Side, how: str, now: int) -> None:
        """A side will send nothing more; what it sent still goes."""
        self._release(side, "forwarded", "since its sender ended the connection", now)
        if how == "RST":
            self._discard(side.other, "dropped", "since its receiver reset the connection")
        if self._lines[side].busy:
            self._discard(side, "dropped", "since a message before it stayed unfinished")
        self._give_up(now)

    # --- one message --------------------------------------------------------------------------------------------

    def _swallowed(self, side: Side, message: Message, now: int) -> bool:
        """Whether a message answers a CALL of ours, and goes no further."""
        injector = self._injectors[side]
        found = injector.answered(message.kind, message.id, message.text.decode("utf-8", "replace"), now)
        if found is False:
            return False
        late = ", which came too late" if found is True else ""
        self._note(side, "swallowed", f"the answer of {name_of(side)} to an injected {shown(message.action)}{late}")
        if isinstance(found, Answered):
            self.told.append(found)
        return True

    def _judge(self, message: Message, data: Payload, around: Around, now: int) -> None:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        seen = Seen(message, self._connection, text)
        found = self._judgement.decide(seen, around, self._say, lambda text: self._reread(message, text))
        edits = [one for one in found if isinstance(one, decisions.Edit)]
        act = None
        if edits:
            act = Act("edited", f"{called(message)}, {', '.join(dict.fromkeys(one.why for one in edits))}")
            data = as_sent(edits[-1].text, data)
            message = self._reread(message, edits[-1].text).message
        last = found[-1] if found else None
        self._carry_out(message, (data, act), last if not isinstance(last, decisions.Edit) else None, now)

    def _reread(self, message: Message, text: str) -> Seen:
        """A message as an edit made it; an answer keeps the action that it answers."""
        payload = text.encode("utf-8", "replace")
        raw = decode(payload)
        action = message.action if raw.kind in (Kind.CALLRESULT, Kind.CALLERROR) else raw.action
        changed = replace(message, text=payload, kind=raw.kind, id=raw.id, action=action, problems=raw.problems)
        return Seen(changed, self._connection, text)

    def _carry_out(self, message: Message, sending: Sending, decision: Decision | None, now: int) -> None:
        side, size = message.side, len(message.text)
        match decision:
            case decisions.Drop(why, reply):
                self._drop(message, why)
                if reply is not None:
                    self._reply(message, reply, why, now)
            case decisions.Hold(why, overtake):
                self._hold(message, sending, why, overtake, now)
            case decisions.Delay(why, wait_ns, overtake):
                wait = min(max(wait_ns, 0), MAX_HOLD_NS)
                entry = Waiting([sending], size, now, now + wait, blocks=not overtake)
                entry.why, entry.called = why, called(message)
                self._wait(side, entry, now)
            case decisions.Duplicate(why, copies):
                self._pass(side, copies_of(sending, copies, size, why), size * copies, now)
            case decisions.Cut(why, how):
                self.cut(how, f"at {called(message)}, {why}", now)
            case decisions.HalfOpen(why, lasts_ns):
                self.half_open(f"at {called(message)}, {why}", lasts_ns)
            case _:
                self._pass(side, [sending], size, now)

    def _drop(self, message: Message, why: str) -> None:
        self._note(message.side, "dropped", f"{called(message)}, {why}")
        self._forget(message.side, message.kind, message.id)

    def _reply(self, message: Message, reply: Reply, why: str, now: int) -> None:
        other = message.side.other
        try:
            text = reply.text(message.id)
        except EditError as error:
            self._say(f"{why}: {error}")
            return
        act = Act("injected", f"the answer to {shown(message.action)} in the place of {name_of(other)}, {why}")
        self._pass(other, [(text, act)], len(text), now)

    # --- waiting ------------------------------------------------------------------------------------------------

    def _hold(self, message: Message, sending: Sending, why: str, overtake: bool, now: int) -> None:
        wait = self._policy.hold_ns
        waited = message.latency_ns or 0  # a peer waits for an answer since its CALL
        expires = now + max(wait - waited, wait // SHARE_OF_HOLD)
        entry = Waiting([sending], len(message.text), now, expires, blocks=not overtake)
        entry.act, entry.why, entry.called = "expired", why, called(message)
        if not self._wait(message.side, entry, now):
            return
        entry.number = next(self._policy.numbers)
        self._note(message.side, "held", f"{called(message)}, {why}")
        answering = message.latency_ns is not None
        gives_up = now - waited + self._policy.timeout_ns if answering or message.kind is Kind.CALL else None
        data = sending[0]
        self.told.append(
            Held(
                held=entry.number,
                connection=self._connection.number,
                station=self._connection.station,
                side=message.side,
                time_ns=now,
                expires_ns=expires,
                gives_up_ns=gives_up,
                action=message.action,
                kind=int(message.kind),
                id=message.id,
                text=data if isinstance(data, str) else data.decode("utf-8", "replace"),
                version=self._connection.version.value,
            )
        )

    def _wait(self, side: Side, entry: Waiting, now: int) -> bool:
        """Whether a message waits; without room for it, it goes."""
        if self._lines[side].add(entry):
            return True
        data, act = entry.sendings[0]
        full = Act("expired", f"{entry.called}, not held ({entry.why}): too much waits already")
        self._pass(side, [(data, act or full)], entry.size, now)
        return False

    def _pass(self, side: Side, sendings: list[Sending], size: int, now: int) -> None:
        """Sends a message of `side` on, behind what must not be overtaken."""
        line = self._lines[side]
        if line.is_blocked:
            if line.add(Waiting(sendings, size, now, None)):
                return
            self._release(side, "expired", "too much waits behind it", now)
        self._send_all(side, sendings)

    def _send_all(self, side: Side, sendings: list[Sending]) -> None:
        for data, act in sendings:
            self._send(side.other, self._voices[side.other].message(data), act)

    def _send(self, side: Side, data: bytes, act: Act | None = None) -> None:
        if data:
            self.out.append(Send(side, data, act))

    def _go(self, side: Side, now: int) -> None:
        for entry in self._lines[side].go():
            self._send_all(side, entry.sendings)

    def _release(self, side: Side, how: str, why: str, now: int) -> None:
        """All that waits in a direction goes, as it is, in order; unless it would come amid another message."""
        line = self._lines[side]
        for entry in line.waiting():
            self._let_go(entry, how if entry.number else "delayed", why, now)
        self._go(side, now)

    def _let_go(self, entry: Waiting, how: str, why: str, now: int) -> None:
        """One goes as it is; an edit that it has already keeps its own act."""
        data, act = entry.sendings[0]
        text = f"{entry.called}, after {seconds(now - entry.since_ns)}" + (f", {why}" if why else "")
        rest = entry.sendings[1:]
        entry.release([(data, act or Act(how, text)), *rest])
        if entry.number:
            self.told.append(Released(entry.number, how))

    def _discard(self, side: Side, how: str, why: str) -> None:
        """All that waits in a direction is never sent."""
        for entry in self._lines[side].clear():
            self._note(side, "dropped", f"{entry.called}, {why}")
            if entry.number and entry.due_ns is not None:
                self.told.append(Released(entry.number, how))

    # --- time ---------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> int | None:
        """When `wake` wants to be called."""
        times = [line.deadline for line in self._lines]
        times += [one.deadline(self._free_ns(one.to)) for one in self._injectors if not one.is_idle]
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: int) -> None:
        """What was waited for has come, or has not."""
        for side in Side:
            line = self._lines[side]
            for entry in line.due(now):
                self._let_go(entry, entry.act, entry.why, now)
            self._go(side, now)
            missed = self._injectors[side].given_up(now)
            if missed is not None:
                self.told.append(missed)
        self._inject(now)

    # --- orders -------------------------------------------------------------------------------------------------

    def holds(self, number: int) -> bool:
        """Whether a message with this number is held here."""
        return self._find(number) is not None

    def _find(self, number: int) -> tuple[Side, Waiting] | None:
        for side in Side:
            entry = self._lines[side].numbered(number)
            if entry is not None and entry.due_ns is not None:
                return side, entry
        return None

    def forward(self, order: Forward, now: int) -> bool:
        """The user sends a held message on; False if there is none."""
        found = self._find(order.held)
        if found is None:
            return False
        side, entry = found
        data, act = entry.sendings[0]
        how, waited = "forwarded", f"{entry.called}, after {seconds(now - entry.since_ns)}"
        if order.text is not None:
            if len(order.text) > MAX_MESSAGE_BYTES:
                self._say(f"the text is larger than {MAX_MESSAGE_BYTES:,} bytes; the message is still held")
                return True
            changed = as_sent(order.text, data)
            if changed != data:
                how, act, data = "edited", Act("edited", f"{waited}, by the user"), changed
        sending = data, act or Act(how, waited)
        entry.release(copies_of(sending, order.copies, len(data), "by the user"))
        self.told.append(Released(order.held, how))
        self._go(side, now)
        return True

    def drop(self, order: Drop, now: int) -> bool:
        """The user keeps a held message back; False if there is none."""
        found = self._find(order.held)
        if found is None:
            return False
        side, entry = found
        data = entry.sendings[0][0]
        raw = decode(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        self._lines[side].remove(entry)
        self._note(side, "dropped", f"{entry.called}, after {seconds(now - entry.since_ns)}, by the user")
        self._forget(side, raw.kind, raw.id)
        self.told.append(Released(order.held, "dropped"))
        self._go(side, now)
        return True

    def forward_all(self, why: str, now: int) -> None:
        """Everything that is held for the user goes; what is delayed stays."""
        for side in Side:
            for entry in self._lines[side].waiting():
                if entry.number:
                    self._let_go(entry, "forwarded", why, now)
            self._go(side, now)

    def inject(self, order: Inject, now: int) -> None:
        """The user sends a CALL of his own, as soon as it is its turn."""
        trouble = "the connection is ending" if self._ending else self._injectors[order.to].ask(order, now)
        if trouble:
            self.told.append(Answered(order.ticket, "", trouble))
        self._inject(now)

    def _inject(self, now: int) -> None:
        for injector in self._injectors:
            if injector.is_idle:
                continue
            turn = injector.next(now, self._free_ns(injector.to, now))
            if turn is not None:
                order, id_ = turn
                self._send_own(injector.to, order, id_, now)

    def _send_own(self, to: Side, order: Inject, id_: str, now: int) -> None:
        text = call_text(id_, order)
        self._dialogue.read(to.other, Text(text.encode(), Origin(now, ()), len(text)))
        act = Act("injected", f"the CALL {shown(order.action)} to {name_of(to)}; its answer will be kept back")
        self._pass(to.other, [(text, act)], len(text), now)

    def _free_ns(self, to: Side, now: int | None = None) -> int | None:
        """Until when a CALL to `to` may still be answered; None if there is none."""
        pending = self._dialogue.speakers[to.other].pending.values()
        until = max((call.time_ns for call in pending), default=None)
        if until is None:
            return None
        until += self._policy.timeout_ns
        return until if now is None or until > now else None

    # --- ends ---------------------------------------------------------------------------------------------------

    def cut(self, how: str, why: str, now: int) -> None:
        """The connection ends on both sides: "FIN", "RST" or "close"."""
        self._note(Side.STATION, "cut-off", why)
        if how == "close":
            self._close((GOING_AWAY, GOING_AWAY), "", now)
        for side in Side:
            self._discard(side, "cut-off", "since the connection was cut")
        self._give_up(now)
        self.stop = Stop("RST" if how == "RST" else "FIN")

    def half_open(self, why: str, lasts_ns: int) -> None:
        """Nothing passes any more."""
        self._note(Side.STATION, "fault", f"half-open: nothing passes from here on, {why}")
        for side in Side:
            self._discard(side, "dropped", "since nothing passes any more")
        self.stop = Stop("", lasts_ns)

    def _close(self, codes: tuple[int, int], words: str, now: int, blame: Side = Side.STATION) -> None:
        """Close frames to both sides, the first code to `blame`, after all that waits."""
        for side, code in zip((blame, blame.other), codes, strict=True):
            self._release(side.other, "forwarded", "since the connection ends", now)
            if not self._lines[side.other].busy:
                self._send(side, self._voices[side].control(Control(CLOSE, code=code, reason=words)))
        for side in Side:
            self._discard(side, "dropped", "since the connection ends amid another message")
        self._give_up(now)

    def _give_up(self, now: int) -> None:
        """No more CALLs of ours."""
        self._ending = True
        for injector in self._injectors:
            self.told += injector.ended(now)

    def _forget(self, side: Side, kind: Kind, id_: str) -> None:
        """A CALL that its receiver never sees is no CALL that is being answered."""
        speaker: Speaker = self._dialogue.speakers[side]
        if kind is Kind.CALL:
            speaker.pending.pop(id_, None)

    def _note(self, side: Side, what: str, text: str) -> None:
        self.out.append(Note(side, Act(what, text)))

    def _say(self, text: str) -> None:
        if len(self.told) < MAX_TOLD:
            self.told.append(Said(f"{self._connection.number}: {text}"))

    @property
    def version(self) -> Version:
        """The OCPP version as far as it is known."""
        return self._connection.version
