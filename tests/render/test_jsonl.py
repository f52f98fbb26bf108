"""The promise of the jsonl rows: keys, order, types, and nothing that a terminal would obey."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ControlFrame,
    Endpoint,
    ExchangeEnd,
    Flow,
    Handshake,
    Kind,
    Message,
    Outcome,
    Problem,
    Side,
    StreamGap,
    Version,
)
from ocppscope.render import jsonl
from ocppscope.render.jsonl import JsonlFormat

MESSAGE_KEYS = [
    "type", "row", "connection", "time_ns", "station", "version", "version_guessed", "side", "kind", "id", "action",
    "latency_ns", "outcome", "ordinal", "reply_to", "text", "problems", "packets", "wire_size", "frames",
    "compressed", "binary",
]  # fmt: skip
"""What readers rely on. Add at the end; never rename or remove."""
CONNECTION_KEYS = [
    "type", "connection", "time_ns", "station", "version", "version_guessed", "client", "server", "subject", "leg_of",
    "opened_ns", "closed_ns", "closed_by", "close_how", "close_code", "close_reason", "messages", "lost_bytes",
    "problems", "upgrade",
]  # fmt: skip
UPGRADE_KEYS = [
    "method", "target", "user", "status", "reason", "requested_ns", "answered_ns", "websocket_version", "key",
    "accept", "accept_ok", "offered_protocols", "protocol", "offered_extensions", "extensions", "request_headers",
    "response_headers", "body",
]  # fmt: skip
OTHER_KEYS = {
    "frame": ["side", "opcode", "payload_base64", "close_code", "close_reason", "problems", "packets"],
    "gap": ["side", "lost_bytes", "why"],
    "unanswered": ["side", "id", "action", "ordinal", "outcome", "age_ns"],
}
PAGE = (Path(__file__).parents[2] / "docs" / "jsonl.md").read_text()


def message(text: bytes = b'[2,"a","Heartbeat",{}]', **changes: object) -> Message:
    fields = {"time_ns": 5, "connection": 3, "ordinal": 1, "side": Side.STATION, "kind": Kind.CALL, "id": "a"}
    fields |= {"action": "Heartbeat", "text": text, "wire_size": 9, "packets": (4, 6), "outcome": Outcome.PENDING}
    return Message(**(fields | changes))


def connection(station: str = "CP-1") -> Connection:
    handshake = Handshake(
        method="GET", target="/CP-1", station=station, user="u", request_headers=(("Host", "h"),), key="k",
        websocket_version="13", offered_protocols=("ocpp1.6",), offered_extensions=(), requested_ns=1,
    )  # fmt: skip
    flow = Flow(Endpoint("10.0.0.1", 5), Endpoint("fd00::2", 9000))
    return Connection(3, flow, 1, 1, station, Version.V16, False, handshake, closed_by=Side.CSMS, closed_ns=9)


def line(event: object, station: str = "CP-1") -> str:
    form = JsonlFormat()
    form.seen(connection(station))
    if isinstance(event, Message):
        return form.line(7, 3, event.time_ns, form.message(event))
    body = form.event(event)
    assert body is not None
    return form.line(None, 3, event.time_ns, body)


def test_a_message_has_the_promised_keys_in_order():
    row = json.loads(line(message()))
    assert list(row) == MESSAGE_KEYS
    assert row == {
        "type": "message", "row": 7, "connection": 3, "time_ns": 5, "station": "CP-1", "version": "1.6",
        "version_guessed": False, "side": "station", "kind": "CALL", "id": "a", "action": "Heartbeat",
        "latency_ns": None, "outcome": "pending", "ordinal": 1, "reply_to": None, "text": '[2,"a","Heartbeat",{}]',
        "problems": [], "packets": [4, 6], "wire_size": 9, "frames": 1, "compressed": False, "binary": False,
    }  # fmt: skip


def test_connections_have_the_promised_keys():
    row = json.loads(line(ConnectionClosed(9, connection())))
    assert list(row) == CONNECTION_KEYS
    assert list(row["upgrade"]) == UPGRADE_KEYS
    assert (row["client"], row["server"], row["closed_by"]) == ("10.0.0.1:5", "[fd00::2]:9000", "csms")
    assert row["messages"] == {"station": 0, "csms": 0}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (ControlFrame(5, 3, Side.CSMS, 9, b"\xff", (1,)), "frame"),
        (StreamGap(5, 3, Side.STATION, None, "why"), "gap"),
        (ExchangeEnd(5, 3, 0, Side.STATION, "a", "Heartbeat", Outcome.TIMEOUT, 8), "unanswered"),
    ],
)
def test_other_events_have_the_promised_keys(event, kind):
    row = json.loads(line(event))
    assert list(row) == ["type", "connection", "time_ns", "station", *OTHER_KEYS[kind]]
    assert row["type"] == kind


def test_each_key_is_documented():
    keys = {*MESSAGE_KEYS, *CONNECTION_KEYS, *UPGRADE_KEYS, *(key for keys in OTHER_KEYS.values() for key in keys)}
    assert keys <= set(re.findall(r"`(\w+)`", PAGE))


def test_bytes_that_are_no_utf8_are_kept_beside_the_text():
    row = json.loads(line(message(b"\xff\xfe[")))
    assert row["text"] == "\ufffd\ufffd["
    assert base64.b64decode(row["text_base64"]) == b"\xff\xfe["
    assert list(row)[-1] == "text_base64"


@pytest.mark.parametrize("text", ["\u202e\x9b2J", "\x7f", "\U000e0001", "\u2028", "é\x85", "\x1b]52;c;eA==\x07\n\0"])
def test_what_a_terminal_would_obey_is_escaped_and_the_same_to_a_reader(text):
    written = line(message(text.encode(), id=text, problems=(Problem("json.syntax", text),)), station=text)
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    row = json.loads(written)
    assert (row["text"], row["id"], row["station"], row["problems"][0]["text"]) == (text, text, text, text)


def test_half_a_surrogate_pair_is_replaced():
    row = json.loads(line(message(id="\ud800x", problems=(Problem("json.surrogate", "t", "/\udfff"),))))
    assert (row["id"], row["problems"][0]["path"]) == ("\ufffdx", "/\ufffd")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_message_is_one_line_of_json(text, station):
    written = line(message(text, id=station), station=station)
    assert written.count("\n") == 1
    assert len(written.splitlines()) == 1
    row = json.loads(written)
    assert row["text"] == text.decode("utf-8", "replace")


def test_indented_keeps_what_the_text_says():
    text = b'[2,"a","X",{"a":1.50,"a":2,"b":"\\u001b"}]'
    shown = jsonl.indented(text)
    assert shown is not None
    assert re.sub(r"\s+", "", shown) == text.decode()
