"""Random connections and messages, and a store that holds them, for tests of filters."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import strategies as st

from ocppscope.model import ConnectionOpened, Endpoint, Flow, Kind, Message, Outcome, Problem, Side, Version
from ocppscope.query.fields import Around
from ocppscope.store.notes import Notes
from ocppscope.store.store import Store
from store.support_store import START, connection

WORDS = ["", "Heartbeat", "heartbeat", "MeterValues", "CP", "a", "é", "10.5", "17", "true", "x" * 300]
KEYS = ["connectorId", "evse", "id", "status", "value", "transactionId", "idTag", "idToken", "list", "offline", "k"]
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 17, -2, 10.5, 1e3, "", "1", "17", "10.5", "1e3", "Accepted", "é", "nan"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)

CONNECTIONS = [
    connection(0, station="CP000", version=Version.V16),
    connection(1, station='é|"CP', version=Version.V201),
    connection(2, station="", version=Version.UNKNOWN, leg_of=1),
    connection(3, flow=Flow(Endpoint("fd00::3", 40_000), Endpoint("fd00::1", 9001)), version=Version.V21),
]
"""Snapshots that the store knows; connection 4 is one that it does not."""


def text_of(kind: Kind, identity: str, action: str, payload: object, escaped: bool) -> bytes:
    frame: object = {
        Kind.CALL: [2, identity, action, payload],
        Kind.SEND: [6, identity, action, payload],
        Kind.CALLRESULT: [3, identity, payload],
        Kind.CALLERROR: [4, identity, "GenericError", "went wrong", payload],
        Kind.CALLRESULTERROR: [5, identity, "x", 7],
        Kind.UNPARSED: payload,
    }[kind]
    text = json.dumps(frame, ensure_ascii=escaped)
    return (text.replace("status", "st\\u0061tus") if escaped else text).encode("utf-8", "surrogatepass")


@st.composite
def messages(draw: st.DrawFn, ordinal: int = 0) -> Message:
    kind = draw(st.sampled_from(list(Kind)))
    identity, action = draw(st.sampled_from(WORDS)), draw(st.sampled_from(WORDS))
    text = text_of(kind, identity, action, draw(JSON), draw(st.booleans()))
    text = draw(st.sampled_from([text] * 8 + [text[:-1], b"\xff", b""]))
    codes = st.sampled_from(["json.syntax", "schema.required", "ocpp.unknown-action"])
    return Message(
        START + draw(st.integers(-5, 5)) * 1_000_000_000,
        draw(st.integers(0, 4)),
        ordinal,
        draw(st.sampled_from(Side)),
        kind,
        identity,
        action,
        text,
        draw(st.integers(0, 5000)),
        draw(st.sampled_from([(), (7,), (7, 9)])),
        frames=draw(st.integers(0, 3)),
        compressed=draw(st.booleans()),
        binary=draw(st.booleans()),
        outcome=draw(st.sampled_from(Outcome)),
        latency_ns=draw(st.none() | st.integers(-2, 5).map(lambda seconds: seconds * 1_000_000_000)),
        problems=tuple(Problem(code, "") for code in draw(st.lists(codes, max_size=3))),
    )


def store_of(rows: list[Message], notes: Notes, chunk_rows: int) -> Store:
    store = Store(chunk_rows=chunk_rows)
    store.notes = notes
    store.take([ConnectionOpened(START, one) for one in CONNECTIONS])
    store.take(rows)
    return store


def arounds(rows: list[Message], notes: Notes) -> list[Around]:
    """What each message has around it, reckoned from the messages alone."""
    deltas = [None] * bool(rows) + [b.time_ns - a.time_ns for a, b in pairwise(rows)]
    return [Around(row, delta, notes.of(one)) for row, (delta, one) in enumerate(zip(deltas, rows, strict=True))]
