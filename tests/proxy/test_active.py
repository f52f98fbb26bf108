"""Active mode as transcripts: what passes, what is held, changed and injected, and how it ends."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import (
    CSMS,
    FLOW,
    SECOND,
    START,
    STATION,
    Playbook,
    closed,
    closes,
    ended,
    finished,
    noted,
    ordered,
    passed,
    ping,
    pinged,
    pong,
    received,
    received_fragments,
    received_raw,
    sent,
    told,
    was_reset,
)
from websockets.frames import Frame, Opcode
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from ocppscope.control import Answered, Cut, Drop, Forward, ForwardAll, Held, Inject, Released, Said
from ocppscope.model import Side
from ocppscope.proxy.active import GRACE_NS, ActiveSession
from ocppscope.proxy.commands import Note, Send
from ocppscope.proxy.frames import MAX_MESSAGE_BYTES, MAX_PARTS
from ocppscope.proxy.injecting import MAX_QUEUED
from ocppscope.proxy.opening import MAX_EARLY_BYTES
from ocppscope.proxy.policy import Policy, Room

BOOT = '[2,"b1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
BOOTED = '[3,"b1",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]'
BEAT = '[2,"h1","Heartbeat",{}]'
BEATEN = '[3,"h1",{"currentTime":"2026-11-22T10:00:00Z"}]'
RESET = '[2,"r1","Reset",{"type":"Soft"}]'
REQUEST = (
    b"GET /ocpp/CP-1 HTTP/1.1\r\nhOST: csms.example\r\nUpgrade:  websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate;\r\n  client_max_window_bits\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\nsec-websocket-extensions : x-other\r\nX-Last: 1\r\n\r\n"
)
REWRITTEN = (
    b"GET /ocpp/CP-1 HTTP/1.1\r\nhOST: csms.example\r\nUpgrade:  websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\nX-Last: 1\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n%s\r\n"
)


def policy(intercept: str = "", **options) -> Policy:
    made = Policy(chance=random.Random(5), **options)
    made.intercept(intercept)
    return made


def frame(text: str, side: Side = STATION) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=side is STATION)


def fresh(**options) -> ActiveSession:
    return ActiveSession(1, FLOW, policy(), START, **options)


def passed_to(commands, side: Side) -> bytes:
    return b"".join(command.data for command in commands if isinstance(command, Send) and command.side is side)


# --- the upgrade ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_upgrade_passes_but_for_the_extensions(size):
    session = fresh()
    commands = []
    for at in range(0, len(REQUEST), size):
        commands += session.received(STATION, REQUEST[at : at + size], START)
    assert passed_to(commands, CSMS) == REWRITTEN
    (act,) = [command.act for command in commands if isinstance(command, Send)]
    assert (act.what, "Sec-WebSocket-Extensions was taken out" in act.text) == ("rewritten", True)
    answer = SWITCH % b""
    back = []
    for at in range(0, len(answer), size):
        back += session.received(CSMS, answer[at : at + size], START)
    assert passed_to(back, STATION) == answer
    assert session.is_active
    assert session.handshake is not None
    assert (session.handshake.station, session.handshake.protocol) == ("CP-1", "ocpp1.6")


def test_a_request_without_extensions_passes_without_an_act():
    assert fresh().received(STATION, REWRITTEN, START) == [Send(CSMS, REWRITTEN)]


def test_the_host_can_be_replaced():
    (command,) = fresh(host="other.example").received(STATION, REWRITTEN, START)
    assert command.data == REWRITTEN.replace(b"hOST: csms.example", b"hOST: other.example")
    assert command.act.what == "rewritten"


REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (REFUSED, "401"),
        (SWITCH % b"Sec-WebSocket-Extensions: permessage-deflate\r\n", "permessage-deflate"),
        (SWITCH.replace(b"websocket\r", b"h2c\r") % b"", "no WebSocket"),
        (b"\x81\x00" * 40_000, "could not be read"),
        (b"nonsense\r\n\r\n", "no status"),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_where_we_cannot_speak_bytes_pass(answer, why, size):
    session = fresh()
    early = frame(BEAT)
    sent_on = passed_to(session.received(STATION, REQUEST + early, START), CSMS)
    assert sent_on == REWRITTEN
    commands = []
    for at in range(0, len(answer), size):
        commands += session.received(CSMS, answer[at : at + size], START)
    assert not session.is_active
    assert why in session.why_passive
    assert passed_to(commands, STATION) == answer
    assert passed_to(commands, CSMS) == early
    assert session.received(STATION, b"\xff\0", START) == [Send(CSMS, b"\xff\0")]
    assert session.received(CSMS, b"\xfe", START) == [Send(STATION, b"\xfe")]
    _, (tiding,) = session.obey(Inject(1, STATION, "Reset", "{}", ticket=9), START)
    assert isinstance(tiding, Answered)
    assert session.why_passive in tiding.trouble


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"\xff" * 9, b"G" * 30, b"GET /" + b"x" * 100_000])
def test_what_is_no_request_passes(data):
    session = fresh()
    commands = []
    for at in range(0, len(data), 1000):
        commands += session.received(STATION, data[at : at + 1000], START)
    assert passed_to(commands, CSMS) == data
    assert session.why_passive


def test_an_unfinished_request_passes_when_its_sender_ends():
    session = fresh()
    assert session.received(STATION, REQUEST[:50], START) == []
    commands = session.ended(STATION, "FIN", START)
    assert passed_to(commands, CSMS) == REQUEST[:50]


def test_an_interim_answer_is_not_the_answer():
    session = fresh()
    session.received(STATION, REQUEST, START)
    interim = b"HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n"
    commands = session.received(CSMS, interim + (SWITCH % b"") + frame(RESET, CSMS), START)
    assert passed_to(commands, STATION) == interim + (SWITCH % b"") + frame(RESET, CSMS)
    assert session.is_active


def test_early_frames_are_read_once_the_upgrade_is_answered():
    session = fresh()
    early = frame(BOOT)
    assert passed_to(session.received(STATION, REQUEST + early[:9], START), CSMS) == REWRITTEN
    assert session.received(STATION, early[9:], START) == []
    rest = session.received(CSMS, (SWITCH % b"") + frame(RESET, CSMS)[:4], START)
    assert passed_to(rest, STATION) == SWITCH % b""
    assert messages_in(passed_to(rest, CSMS)) == [BOOT.encode()]
    assert passed_to(session.received(CSMS, frame(RESET, CSMS)[4:], START), STATION) == frame(RESET, CSMS)


def test_too_many_early_bytes_are_waited_with():
    session = fresh()
    session.received(STATION, REQUEST, START)
    text = json.dumps([2, "x", "DataTransfer", {"data": "x" * MAX_EARLY_BYTES}])
    commands = session.received(STATION, frame(text), START)
    assert [type(command).__name__ for command in commands] == ["Pause"]
    commands = session.received(CSMS, SWITCH % b"", START)
    assert [type(command).__name__ for command in commands] == ["Send", "Resume", "Send"]
    assert len(passed_to(commands, CSMS)) == len(frame(text))


# --- passing --------------------------------------------------------------------------------------------------------


def test_messages_and_control_frames_pass():
    Playbook().play(
        received(STATION, BOOT),
        sent(CSMS, BOOT),
        received(CSMS, BOOTED),
        sent(STATION, BOOTED),
        received(STATION, b"\0\xff"),
        sent(CSMS, b"\0\xff"),
        received(STATION, "é" * 200),
        sent(CSMS, "é" * 200),
        received(STATION, ""),
        sent(CSMS, ""),
        received_fragments(CSMS, RESET[:5], "", RESET[5:]),
        sent(STATION, RESET),
        pinged(CSMS, b"are you there"),
        ping(STATION, b"are you there"),
        pong(CSMS, b"are you there"),
    )


def test_a_ping_amid_fragments_passes_at_once():
    half = Frame(Opcode.TEXT, BOOT[:9].encode(), fin=False).serialize(mask=True)
    rest = Frame(Opcode.CONT, BOOT[9:].encode()).serialize(mask=True)
    Playbook().play(
        received_raw(STATION, half + Frame(Opcode.PING, b"p").serialize(mask=True)),
        ping(CSMS, b"p"),
        pong(STATION, b"p"),
        received_raw(STATION, rest),
        sent(CSMS, BOOT),
    )


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (4001, 4001), (None, 1005)])
def test_a_close_is_the_peers_to_answer(code, seen):
    Playbook().play(
        closes(STATION, code), closed(CSMS, seen), closed(STATION, seen),
        ended(CSMS), finished(STATION), ended(STATION), finished(CSMS),
    )  # fmt: skip


def test_ends_are_mirrored():
    Playbook().play(
        ended(STATION), finished(CSMS), received(CSMS, RESET), sent(STATION, RESET), ended(CSMS), finished(STATION)
    )
    Playbook().play(ended(CSMS, "RST"), was_reset(STATION), received(STATION, BOOT))


TEXTS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.one_of(
            st.text(max_size=300).filter(lambda text: text.isascii() or text.isprintable()),
            st.binary(max_size=300),
            st.sampled_from([BOOT, BOOTED, BEAT, BEATEN, RESET]),
        ),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 40), st.booleans())
def test_without_a_policy_messages_out_are_messages_in(texts, size, whole):
    """In order, of the same kind, however the bytes are cut."""

    def cut(data: bytes) -> list[bytes]:
        return [data] if whole else [data[at : at + size] for at in range(0, len(data), size)]

    book = Playbook(policy(), cut=cut)
    for side, text in texts:
        book.play(received(side, text), sent(side.other, text))


# --- holding --------------------------------------------------------------------------------------------------------


def held(number: int = 1, **fields):
    return told(Held, held=number, **fields)


def test_a_held_message_is_forwarded_on_order_and_others_overtake_it():
    Playbook(policy("action == Heartbeat")).play(
        received(STATION, BEAT),
        noted(STATION, "held"),
        held(
            1,
            connection=3,
            station="CP-1",
            side=STATION,
            time_ns=START,
            expires_ns=START + 25 * SECOND,
            gives_up_ns=START + 30 * SECOND,
            action="Heartbeat",
            kind=2,
            id="h1",
            text=BEAT,
            version="1.6",
        ),
        received(STATION, BOOT),
        sent(CSMS, BOOT),
        passed(2),
        ordered(Forward(1)),
        sent(CSMS, BEAT, "forwarded"),
        told(Released, held=1, how="forwarded"),
        ordered(Forward(1)),
        told(Said),
    )


def test_a_held_answer_counts_from_its_call():
    book = Playbook(policy("kind == CALLRESULT")).play(
        received(STATION, BEAT), sent(CSMS, BEAT), passed(5), received(CSMS, BEATEN), noted(CSMS, "held"),
        held(1, expires_ns=START + 25 * SECOND, gives_up_ns=START + 30 * SECOND, action="Heartbeat", side=CSMS),
        passed(100), sent(STATION, BEATEN, "expired"), told(Released, held=1, how="expired"),
    )  # fmt: skip
    assert any("after 20.000 s" in text for text in book.acts)


def test_who_expects_no_answer_gives_up_never():
    Playbook(policy("kind == SEND"), subprotocol="ocpp2.1").play(
        received(STATION, '[6,"s1","NotifyPeriodicEventStream",{}]'), noted(STATION, "held"), held(gives_up_ns=None)
    )


def test_a_held_message_is_sent_on_as_it_was_when_its_time_is_over():
    Playbook(policy("Heartbeat", hold_ns=3 * SECOND)).play(
        received(STATION, BEAT), noted(STATION, "held"), held(), passed(2.9), passed(0.2),
        sent(CSMS, BEAT, "expired"), told(Released, how="expired"),
    )  # fmt: skip


def test_a_held_message_is_edited_dropped_or_copied():
    changed = BEAT.replace("h1", "h2")
    Playbook(policy("Heartbeat")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(1),
        ordered(Forward(1, text=changed)), sent(CSMS, changed, "edited"), told(Released, held=1, how="edited"),
        received(STATION, BEAT), noted(STATION, "held"), held(2),
        ordered(Forward(2, text=BEAT)), sent(CSMS, BEAT, "forwarded"), told(Released, held=2, how="forwarded"),
        received(STATION, BEAT), noted(STATION, "held"), held(3),
        ordered(Drop(3)), noted(STATION, "dropped"), told(Released, held=3, how="dropped"),
        received(STATION, BEAT), noted(STATION, "held"), held(4),
        ordered(Forward(4, copies=3)), sent(CSMS, BEAT, "forwarded"), sent(CSMS, BEAT, "duplicated"),
        sent(CSMS, BEAT, "duplicated"), told(Released, held=4, how="forwarded"),
    )  # fmt: skip


def test_everything_held_goes_at_once():
    Playbook(policy("Heartbeat or Reset")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(1),
        received(CSMS, RESET), noted(CSMS, "held"), held(2),
        ordered(ForwardAll()),
        sent(CSMS, BEAT, "forwarded"), sent(STATION, RESET, "forwarded"),
        told(Released, held=1), told(Released, held=2),
    )  # fmt: skip


def test_the_filter_changes_under_way():
    shared = policy("Heartbeat")
    book = Playbook(shared).play(received(STATION, BEAT), noted(STATION, "held"), held(1))
    shared.intercept("")
    book.play(received(STATION, BEAT), sent(CSMS, BEAT))


@pytest.mark.parametrize("room", [Room(count=1), Room(size=len(BEAT))])
def test_without_room_messages_pass(room):
    Playbook(policy("Heartbeat", room=room)).play(
        received(STATION, BEAT), noted(STATION, "held"), held(1),
        received(STATION, BEAT), sent(CSMS, BEAT, "expired"),
        ordered(Drop(1)), noted(STATION, "dropped"), told(Released),
        received(STATION, BEAT), noted(STATION, "held"), held(2),
    )  # fmt: skip


def test_what_is_held_goes_before_its_senders_close():
    Playbook(policy("Heartbeat")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(),
        closes(STATION), sent(CSMS, BEAT, "forwarded"), closed(CSMS, 1000), closed(STATION, 1000),
        told(Released, how="forwarded"),
    )  # fmt: skip


@pytest.mark.parametrize(("how", "end"), [("FIN", finished), ("RST", was_reset)])
def test_what_is_held_goes_before_its_sender_is_gone(how, end):
    Playbook(policy("Heartbeat")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(),
        ended(STATION, how), sent(CSMS, BEAT, "forwarded"), end(CSMS), told(Released, how="forwarded"),
    )  # fmt: skip


def test_what_nobody_can_take_any_more_is_dropped():
    Playbook(policy("Reset")).play(
        received(CSMS, RESET), noted(CSMS, "held"), held(),
        ended(STATION, "RST"), noted(CSMS, "dropped"), was_reset(CSMS), told(Released, how="dropped"),
    )  # fmt: skip


# --- injecting ------------------------------------------------------------------------------------------------------


def injected(book: Playbook, to: Side) -> list:
    """The CALLs that `to` got from the proxy, taken from the log."""
    found = [json.loads(entry.content) for entry in book.log if entry.act == "injected" and entry.side is to]
    book.log.clear()
    return found


@pytest.mark.parametrize("to", Side)
def test_an_injected_call_is_answered_to_us_alone(to):
    book = Playbook()
    book.order(Inject(3, to, "DataTransfer", '{"vendorId" : "é"}', ticket=7))
    ((kind, id_, action, payload),) = injected(book, to)
    assert (kind, action, payload) == (2, "DataTransfer", {"vendorId": "é"})
    assert len(id_) == 36
    answer = f'[3,"{id_}",{{"status":"Accepted"}}]'
    book.play(
        passed(0.5),
        received(to, answer),
        noted(to, "swallowed"),
        told(Answered, ticket=7, text=answer, trouble="", latency_ns=SECOND // 2),
        received(to, answer),
        sent(to.other, answer),
    )


def test_an_error_is_an_answer_too():
    book = Playbook()
    book.order(Inject(3, STATION, "Reset", "{}", ticket=7))
    ((_, id_, _, _),) = injected(book, STATION)
    answer = f'[4,"{id_}","NotSupported","",{{}}]'
    book.play(received(STATION, answer), noted(STATION, "swallowed"), told(Answered, ticket=7, text=answer))


def test_an_injected_call_waits_for_its_turn():
    book = Playbook()
    book.play(
        received(STATION, BOOT), sent(CSMS, BOOT),
        ordered(Inject(3, CSMS, "Heartbeat", "{}", ticket=1)),
        ordered(Inject(3, CSMS, "Heartbeat", "{}", ticket=2)),
    )  # fmt: skip
    book.say(CSMS, BOOTED)
    assert book.log.pop(0) == sent(STATION, BOOTED)
    ((_, id_, _, _),) = injected(book, CSMS)
    book.say(CSMS, f'[3,"{id_}",{{}}]')
    assert len(injected(book, CSMS)) == 1
    book.play(received(STATION, BEAT), sent(CSMS, BEAT))


def test_the_turn_comes_in_the_end():
    """A peer that is never answered does not keep ours waiting for longer than its own CALL would."""
    book = Playbook().play(
        received(STATION, BOOT), sent(CSMS, BOOT), passed(1), ordered(Inject(3, CSMS, "Heartbeat", "{}"))
    )
    book.wait(28 * SECOND)
    assert injected(book, CSMS) == []
    book.wait(2 * SECOND)
    assert len(injected(book, CSMS)) == 1


def test_a_missing_answer_is_told_and_a_late_one_swallowed():
    book = Playbook()
    book.order(Inject(3, STATION, "ClearCache", "{}", ticket=7))
    ((_, id_, _, _),) = injected(book, STATION)
    late = f'[3,"{id_}",{{"status":"Accepted"}}]'
    book.play(
        passed(29), passed(2), told(Answered, ticket=7, text=""), received(STATION, late), noted(STATION, "swallowed")
    )


@pytest.mark.parametrize(
    ("action", "payload"), [("Reset", "[]"), ("Reset", '{"a":'), ("", "{}"), ('a"b', "{}"), ("x" * 51, "{}")]
)
def test_what_is_no_call_is_not_injected(action, payload):
    Playbook().play(ordered(Inject(3, STATION, action, payload, ticket=4)), told(Answered, ticket=4, text=""))


def test_there_is_a_bound_to_what_waits_for_its_turn():
    book = Playbook().play(received(CSMS, RESET), sent(STATION, RESET))
    for _ in range(MAX_QUEUED):
        book.play(ordered(Inject(3, STATION, "ClearCache", "{}")))
    book.play(ordered(Inject(3, STATION, "ClearCache", "{}", ticket=5)), told(Answered, ticket=5, text=""))


def test_the_end_answers_what_was_injected():
    book = Playbook()
    book.play(received(STATION, BOOT), sent(CSMS, BOOT), ordered(Inject(3, CSMS, "Heartbeat", "{}", ticket=2)))
    book.order(Inject(3, STATION, "Reset", "{}", ticket=1))
    assert len(injected(book, STATION)) == 1
    book.play(
        ended(STATION), finished(CSMS), told(Answered, ticket=1, text=""), told(Answered, ticket=2, text=""),
        ordered(Inject(3, STATION, "Reset", "{}", ticket=3)), told(Answered, ticket=3, text=""),
    )  # fmt: skip


def test_ids_are_fresh():
    book = Playbook(Policy())
    ids = set()
    for _ in range(20):
        book.order(Inject(3, STATION, "ClearCache", "{}"))
        ((_, id_, _, _),) = injected(book, STATION)
        ids.add(id_)
        book.say(STATION, f'[3,"{id_}",{{}}]')
        book.log.clear()
    assert len(ids) == 20


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code", "side"),
    [
        (b"\xc1\x80\0\0\0\0", 1002, STATION),  # a reserved bit
        (b"\x81\x00", 1002, STATION),  # not masked
        (b"\x81\x81\0\0\0\0\xff", 1007, STATION),  # not UTF-8
        (b"\x83\x00", 1002, CSMS),
        (b"\x88\x01\x03", 1002, CSMS),
        (b"\x81\x7e\x00\x01a", 1002, CSMS),  # not the shortest length
    ],
)
def test_who_breaks_the_rules_is_told_and_the_other_too(data, code, side):
    book = Playbook().play(
        received_raw(side, data),
        noted(side, "violation"),
        closed(side, code),
        closed(side.other, 1001),
        finished(STATION),
        finished(CSMS),
        received_raw(side.other, b"ignored"),
        passed(GRACE_NS / SECOND + 1),
        was_reset(STATION),
        was_reset(CSMS),
    )
    assert book.session.deadline is None


def test_what_came_before_the_violation_goes():
    Playbook(policy("Heartbeat")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(),
        received_raw(STATION, frame(BOOT) + b"\xff\xff"), sent(CSMS, BOOT), noted(STATION, "violation"),
        closed(STATION, 1002), sent(CSMS, BEAT, "forwarded"), closed(CSMS, 1001), finished(STATION), finished(CSMS),
        told(Released, how="forwarded"),
    )  # fmt: skip


def test_a_connection_is_cut_on_order():
    Playbook().play(ordered(Cut(3, "RST")), noted(STATION, "cut-off"), was_reset(STATION), was_reset(CSMS))
    Playbook().play(
        ordered(Cut(3, "FIN")), noted(STATION, "cut-off"), finished(STATION), finished(CSMS), passed(9),
        was_reset(STATION), was_reset(CSMS),
    )  # fmt: skip
    Playbook().play(
        ordered(Cut(3, "close")), noted(STATION, "cut-off"), closed(STATION, 1001), closed(CSMS, 1001),
        finished(STATION), finished(CSMS),
    )  # fmt: skip
    Playbook().play(ordered(Cut(3, "softly")), told(Said))
    Playbook(policy("Heartbeat")).play(
        received(STATION, BEAT), noted(STATION, "held"), held(),
        ordered(Cut(3)), noted(STATION, "cut-off"), noted(STATION, "dropped"), was_reset(STATION), was_reset(CSMS),
        told(Released, how="cut-off"),
    )  # fmt: skip


def test_a_connection_can_be_cut_before_its_upgrade():
    session = fresh()
    commands, _ = session.obey(Cut(1, "RST"), START)
    assert [type(command).__name__ for command in commands] == ["Note", "Reset", "Reset"]
    assert session.received(STATION, REQUEST, START) == []


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [False, True])
def test_a_huge_message_passes_in_pieces_and_nothing_comes_between(binary):
    session = fresh()
    session.received(STATION, REQUEST, START)
    session.received(CSMS, SWITCH % b"", START)
    opcode = Opcode.BINARY if binary else Opcode.TEXT
    data = Frame(opcode, b"x" * (MAX_MESSAGE_BYTES + 100_000)).serialize(mask=True)
    out = b""
    commands = session.received(STATION, data[: MAX_MESSAGE_BYTES + 1000], START)
    out += passed_to(commands, CSMS)
    assert out
    _, told_now = session.obey(Inject(1, CSMS, "Heartbeat", "{}"), START)
    assert [type(tiding).__name__ for tiding in told_now] == ["Said"]
    out += passed_to(session.received(STATION, data[MAX_MESSAGE_BYTES + 1000 :], START), CSMS)
    out += passed_to(session.received(STATION, frame(BOOT), START), CSMS)
    messages = messages_in(out)
    assert [len(message) for message in messages[:1]] == [MAX_MESSAGE_BYTES + 100_000]
    assert messages[1].endswith(b'"Heartbeat",{}]')
    assert messages[2:] == [BOOT.encode()]


def messages_in(data: bytes) -> list[bytes]:
    """The data messages in what a client sent, read by `websockets`."""
    book = Playbook()
    book.csms.receive_data(data)
    assert book.csms.parser_exc is None
    messages: list[bytes] = []
    for one in book.csms.events_received():
        if one.opcode is Opcode.CONT:
            messages[-1] += one.data
        else:
            messages.append(bytes(one.data))
    return messages


def test_a_message_in_very_many_frames_is_not_collected():
    session = fresh()
    session.received(STATION, REQUEST, START)
    session.received(CSMS, SWITCH % b"", START)
    start = Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True)
    empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    assert session.received(STATION, start + empty * (MAX_PARTS - 1), START) == []
    assert passed_to(session.received(STATION, empty * 2, START), CSMS)


def test_the_session_asks_to_be_woken_only_for_a_reason():
    book = Playbook(policy("Heartbeat"))
    assert book.session.deadline is None
    book.play(received(STATION, BEAT), noted(STATION, "held"), held())
    assert book.session.deadline == START + 25 * SECOND
    book.play(ordered(Forward(1)), sent(CSMS, BEAT, "forwarded"), told(Released))
    assert book.session.deadline is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Side), st.binary(min_size=1, max_size=40)), max_size=20))
def test_garbage_neither_raises_nor_hangs(blocks):
    book = Playbook(policy("text contains a"))
    now = START
    for side, data in blocks:
        book.session.received(side, data, now)
        now += SECOND
    for side in Side:
        book.session.ended(side, "FIN", now)
    times = [now]
    while (deadline := book.session.deadline) is not None and len(times) < 100:
        times.append(max(times[-1], deadline))
        book.session.wake(times[-1])
    assert len(times) < 100
    assert all(before <= after for before, after in pairwise(times))
    assert book.session.tidings() is not None


# --- other people's traffic -----------------------------------------------------------------------------------------

CASES = Path(__file__).parents[2] / ".." / "shared" / "captures" / "websocket" / "autobahn" / "ab_core_cases.json"


def read_strictly(data: bytes) -> list[object]:
    """What an endpoint of wsproto reads of a client's bytes, fragments joined, up to the first violation."""
    endpoint = Connection(ConnectionType.SERVER)
    endpoint.receive_data(data)
    found: list[object] = []
    parts: list[str | bytes] = []
    for event in endpoint.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data)
            if event.message_finished:
                found.append(type(event.data)().join(parts))
                parts = []
        elif isinstance(event, CloseConnection):
            real = endpoint.state is not ConnectionState.OPEN
            found.append(("close", int(event.code), event.reason) if real else "violation")
        else:
            found.append((type(event).__name__, bytes(event.payload)))
    return found


@pytest.mark.shared
@pytest.mark.skipif(not CASES.exists(), reason="needs the third-party captures in ../shared/captures")
@pytest.mark.parametrize("size", [11, 1 << 20])
def test_the_autobahn_cases(size):
    """What a strict endpoint reads of the fuzzer, the CSMS reads of us; where it would fail, we say so and end."""
    cases = [bytes.fromhex(case["c2s"]) for case in json.loads(CASES.read_text()) if case.get("c2s")]
    assert len(cases) > 230
    broken = 0
    for data in cases:
        session = fresh()
        session.received(STATION, REQUEST, START)
        session.received(CSMS, SWITCH % b"", START)
        commands = []
        for at in range(0, len(data), size):
            commands += session.received(STATION, data[at : at + size], START)
        expected = read_strictly(data)
        noted_acts = [command.act.what for command in commands if isinstance(command, Note)]
        if expected and expected[-1] == "violation":
            broken += 1
            assert noted_acts == ["violation"]
            expected[-1] = ("close", 1001, ANY)
            assert session.deadline == START + GRACE_NS
        else:
            assert noted_acts == []
        assert read_strictly(passed_to(commands, CSMS)) == expected
    assert broken > 40
