"""Completion: what is offered where, and what it replaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.query.complete import MAX_SUGGESTIONS, complete
from ocppscope.query.fields import FIELDS
from ocppscope.query.filter import FilterError, compile_filter
from ocppscope.store.store import Store
from store.support_store import call, opened, result

NAMED = {"slow": "latency > 2s"}


@pytest.fixture(scope="module")
def store():
    with Store() as store:
        station = 'DE*1 "x"'
        store.take([opened(0), opened(1, station=station), call(0, "BootNotification"), call(1, "Heartbeat")])
        store.take([result(2, 0, '{"status":"Pending"}'), call(3, "x" * 200)])
        yield store


CASES = [
    # before the cursor, what is offered first, what is offered too
    ("", "row", {"action", "payload.", "@slow", "not"}),
    ("lat", "latency", set()),
    ("ocpp.lat", "ocpp.latency", set()),
    ("error and si", "side", {"size"}),
    ("not (", "row", {"action"}),
    ("@", "@slow", set()),
    ("uniq", "unique_id", set()),
    ("latency ", "==", {">", "<=", "in", "and"}),
    ("action ", "==", {"contains", "matches"}),
    ("action con", "contains", set()),
    ("payload.x ", "==", {"contains", ">"}),
    ("action == ", "BootNotification", {"Heartbeat"}),
    ("action == hea", "Heartbeat", set()),
    ("action == no", "BootNotification", set()),
    ('action == "Boo', "BootNotification", set()),
    ("station == ", "CP000", {'"DE*1 \\"x\\""'}),
    ('station == "DE', '"DE*1 \\"x\\""', set()),
    ("status == ", "Pending", set()),
    ("kind == c", "CALL", {"CALLRESULT", "CALLERROR"}),
    ("kind in ", "{", set()),
    ("kind in {", "UNPARSED", {"CALL", "}"}),
    ("kind in {CALL, S", "SEND", set()),
    ("compressed == ", "true", {"false"}),
    ("latency > ", "100ms", set()),
    ("kind == CALL ", "and", {"or"}),
    ("kind in {CALL} ", "and", {"or"}),
    ("problem == schema.req", "schema.required", set()),
]


@pytest.mark.parametrize(("text", "first", "others"), CASES)
def test_what_is_offered(store, text, first, others):
    offered = complete(text, store=store, named=NAMED)
    assert offered[0].text == first
    assert others <= {one.text for one in offered}
    started = text[offered[0].start : offered[0].stop]
    assert text.endswith(started)
    assert started.strip("\"'").lower() in first.lower()


def test_no_order_is_offered_where_there_is_none(store):
    assert not {"<", ">"} & {one.text for one in complete("action ")}
    assert not {"contains"} & {one.text for one in complete("latency ")}
    assert not any("x" * 100 in one.text for one in complete("action == ", store=store))


def test_the_cursor_may_be_in_the_middle():
    offered = complete("la and error", 2)
    assert (offered[0].text, offered[0].start, offered[0].stop) == ("latency", 0, 2)
    assert complete("la and error", 999) == complete("la and error")


def test_every_value_that_is_offered_is_understood(store):
    for field in FIELDS.values():
        for one in complete(f"{field.name} == ", store=store)[:50]:
            assert not compile_filter(f"{field.name} == {one.text}").is_empty


@given(st.text(max_size=30) | st.lists(st.sampled_from(["kind", " in ", "{", "}", '"', "==", "a", " "])).map("".join))
def test_no_text_makes_it_fail(text):
    offered = complete(text, named=NAMED)
    assert len(offered) <= MAX_SUGGESTIONS
    for one in offered:
        assert 0 <= one.start <= one.stop == len(text)


def test_offers_are_bounded():
    with Store() as store:
        store.take([call(n, f"Action{n}") for n in range(1000)])
        assert len(complete("action == ", store=store)) == MAX_SUGGESTIONS


def test_wrong_ends_offer_nothing():
    with pytest.raises(FilterError):
        compile_filter("a = ")
    assert complete("a = ") == []
