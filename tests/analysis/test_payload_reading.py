"""Payloads are read by type, whatever they hold: each access gives its type or nothing, and never raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocppscope.analysis.payload import MAX_ITEMS, MAX_TEXT, Payload, as_number, moment, said
from ocppscope.model import Kind, Message, Origin, Side, Text, Version
from ocppscope.ocpp.exchange import Dialogue

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
DATE_TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@given(JSON)
@example(10**400)
@example(-(10**400))
@example(1e308)
@example(float("nan"))
@example("9999-12-31T23:59:59-14:00")
@example("0001-01-01T00:00:00+14:00")
@example("٢٠٢٦-11-22T10:00:00Z")
def test_every_access_gives_its_type_or_nothing(value: Any) -> None:
    payload = Payload({"x": value})
    assert isinstance(payload.text("x"), str)
    assert payload.whole("x") is None or type(payload.whole("x")) is int
    number = payload.number("x")
    assert number is None or (type(number) is float and number - number == 0)
    assert payload.flag("x") in (None, True, False)
    assert isinstance(payload.table("x"), Payload)
    assert all(isinstance(one, Payload) for one in payload.tables("x"))
    assert all(isinstance(one, str) for one in payload.texts("x"))
    time_ns = payload.time_ns("x")
    assert time_ns is None or type(time_ns) is int
    assert as_number(value) is None or isinstance(as_number(value), float)
    assert ("x" in payload) is True
    assert payload == Payload({"x": value}) or value != value or "nan" in str(value)  # noqa: PLR0124


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.text(max_size=5))
def test_what_is_not_there_is_nothing(data: dict[str, Any], name: str) -> None:
    data.pop(name, None)
    payload = Payload(data)
    assert payload.text(name) == ""
    assert payload.tables(name) == payload.texts(name) == []
    assert not payload.table(name)
    assert payload.whole(name) is payload.number(name) is payload.flag(name) is payload.time_ns(name) is None


@pytest.mark.parametrize(
    ("value", "whole", "number"),
    [
        (3, 3, 3.0),
        (300.0, 300, 300.0),
        (0.5, None, 0.5),
        (-0.0, 0, 0.0),
        (True, None, None),
        ("3", None, None),
        (None, None, None),
        (1e400, None, None),
        (10**400, 10**400, None),
    ],
)
def test_numbers(value: object, whole: int | None, number: float | None) -> None:
    payload = Payload({"x": value})
    assert payload.whole("x") == whole
    assert payload.number("x") == number


def test_what_is_too_much_is_cut() -> None:
    payload = Payload({"t": "x" * (MAX_TEXT + 1), "l": ["x"] * (MAX_ITEMS + 1), "o": [{}] * (MAX_ITEMS + 1)})
    assert len(payload.text("t")) == MAX_TEXT
    assert len(payload.texts("l")) == len(payload.tables("o")) == MAX_ITEMS


def test_of_an_array_only_what_fits() -> None:
    payload = Payload({"x": [{"a": 1}, "b", 3, None, ["c"], {"d": 4}]})
    assert payload.tables("x") == [Payload({"a": 1}), Payload({"d": 4})]
    assert payload.texts("x") == ["b"]


@given(DATE_TIMES)
def test_date_times_are_exact(when: datetime) -> None:
    expected = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert moment(when.isoformat()) == expected
    assert moment(when.isoformat().replace("+00:00", "Z")) == expected
    assert moment(when.replace(tzinfo=None).isoformat()) == expected


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-22T10:00:00Z" * 4],
)
def test_what_is_no_date_time(text: str) -> None:
    assert moment(text) is None


def message(text: bytes, *, asked: bytes = b'[2,"1","Authorize",{"idTag":"T"}]') -> Message:
    """As a dialogue of 1.6 reads it, after a CALL of the station; from the station if it is a CALL too."""
    dialogue = Dialogue(0, Version.V16, guessed=False)
    dialogue.read(Side.STATION, Text(asked, Origin(0, ()), len(asked)))
    side = Side.STATION if text.startswith(b"[2") else Side.CSMS
    return dialogue.read(side, Text(text, Origin(1, ()), len(text)))


@pytest.mark.parametrize(
    ("text", "data", "code", "description"),
    [
        (b'[2,"2","Heartbeat",{}]', {}, "", ""),
        (b'[2,"2","Heartbeat",{"a":[1]}]', {"a": [1]}, "", ""),
        (b'[3,"1",{"idTagInfo":{"status":"Accepted"}}]', {"idTagInfo": {"status": "Accepted"}}, "", ""),
        (b'[4,"1","InternalError","why",{"a":1}]', {"a": 1}, "InternalError", "why"),
        (b'[4,"1","InternalError"]', {}, "InternalError", ""),
        (b'[2,"2","Heartbeat",[1]]', {}, "", ""),
        (b'[2,"2","Heartbeat",null]', {}, "", ""),
        (b'[2,"2","Heartbeat",{"a":NaN}]', None, "", ""),
        (b'[2,"2","Heartbeat",{"a":"\xff"}]', {"a": "�"}, "", ""),
        (b"hello", {}, "", ""),
        (b"", {}, "", ""),
    ],
)
def test_what_a_message_says(text: bytes, data: dict[str, Any] | None, code: str, description: str) -> None:
    content = said(message(text))
    assert (content.error_code, content.error_text) == (code, description)
    assert data is None or content.payload.data == data


@given(st.lists(JSON, max_size=6), st.integers(2, 6))
def test_any_message_says_something(rest: list[Any], kind: int) -> None:
    text = json.dumps([kind, "1", *rest]).encode()
    content = said(message(text))
    assert isinstance(content.payload, Payload)
    assert isinstance(content.payload.data, dict)


@given(st.binary(max_size=60))
def test_any_bytes_say_something(tail: bytes) -> None:
    for text in (tail, b'[2,"2","Heartbeat",{' + tail, b'[4,"1",' + tail):
        content = said(message(text))
        assert isinstance(content.payload.data, dict)


def test_a_signed_call_is_read_through() -> None:
    """What counts is what is signed (2.1 Part 4 §7)."""
    import base64

    inner = base64.urlsafe_b64encode(b'{"idTag":"T"}').decode().rstrip("=")
    text = json.dumps([2, "2", "Authorize-Signed", {"payload": inner, "protected": "e30", "signature": "x"}]).encode()
    found = message(text)
    assert found.kind is Kind.CALL
    assert said(found).payload.text("idTag") == "T"
