"""What filters pass: a table of single cases, and column by column = message by message."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ocppscope.model import Kind, Outcome, Problem, Side, Version
from ocppscope.query import evaluate
from ocppscope.query.fields import ALIASES, FIELDS, REPLAYED, Around
from ocppscope.query.filter import CancelledError, Pace, compile_filter
from ocppscope.query.values import Type
from ocppscope.store.notes import Note, Notes
from ocppscope.store.store import Store
from ocppscope.store.verdicts import Verdict
from query.support_subjects import CONNECTIONS, WORDS, arounds, messages, store_of
from store.support_store import START, call, connection, opened, result

METER = (
    '{"connectorId":2,"transactionId":17,"meterValue":[{"timestamp":"2026-11-22T10:00:00Z","sampledValue":'
    '[{"value":"16.5"},{"value":"230"}]}]}'
)
EVENT = (
    '{"eventType":"Started","offline":true,"seqNo":0,"evse":{"id":3,"connectorId":1},'
    '"transactionInfo":{"transactionId":"ab-1"},"idToken":{"idToken":"DEADBEEF","type":"ISO14443"},"none":null}'
)
BOOT = replace(call(4, "BootNotification", id="boot-1"), latency_ns=2_500_000_000, outcome=Outcome.ANSWERED)
PROBLEMS = (Problem("schema.required", ""), Problem("schema.maximum", ""))
MESSAGES = {
    "meter": call(0, "MeterValues", METER, compressed=True, frames=2),
    "event": call(1, "TransactionEvent", EVENT, connection=1),
    "refusal": result(2, 0, '{"status":"Rejected"}', problems=PROBLEMS),
    "error": replace(result(3, 1, text=b'[4,"m1","GenericError","no way",{}]'), kind=Kind.CALLERROR),
    "boot": BOOT,
    "junk": replace(call(5, "", text=b"Hello \xc3\xa9"), kind=Kind.UNPARSED, id="", outcome=Outcome.NONE, packets=()),
    "ipv6": call(6, connection=3, packets=(80, 81)),
    "nobody": call(7, connection=4),
}  # fmt: skip
ALL = set(MESSAGES)

CASES = {
    "": ALL,
    'action == "BootNotification"': {"boot"},
    "action == BootNotification && latency > 2s": {"boot"},
    "action eq BootNotification AND latency GT 2.4s": {"boot"},
    "action == bootnotification": set(),
    "action != Heartbeat": {"meter", "event", "boot"},
    "!(action == Heartbeat)": {"meter", "event", "boot", "junk"},
    "not action": {"junk"},
    "action contains Not": {"boot"},
    "action contains not": set(),
    'action matches "^(boot|meter)"': {"boot", "meter"},
    'action ~ "S$"': {"meter"},
    "action in {MeterValues, BootNotification}": {"meter", "boot"},
    "action in {MeterValues BootNotification}": {"meter", "boot"},
    "action not in {MeterValues, Heartbeat}": {"event", "boot", "junk"},
    "latency": {"refusal", "error", "boot"},
    "latency <= 5ms": {"refusal", "error"},
    "latency > 5000us or latency < 0": {"boot"},
    "latency in {5ms, 1s..3s}": {"refusal", "error", "boot"},
    "latency != 5ms": {"boot"},
    "kind == callerror": {"error"},
    "kind in {CALLERROR, 3}": {"refusal", "error"},
    "ocpp.message_type_id == 2": {"meter", "event", "boot", "ipv6", "nobody"},
    "side == csms": {"refusal", "error"},
    "from == CP": {"meter", "event", "boot", "junk", "ipv6", "nobody"},
    "station == CP000": {"meter", "refusal", "error", "boot", "junk"},
    "not station": {"nobody"},
    "station contains CP": ALL - {"nobody"},
    "version > 1.6": {"event", "ipv6"},
    "version == ocpp2.1": {"ipv6"},
    "version in {1.6, 2.1}": {"meter", "refusal", "error", "boot", "junk", "ipv6"},
    "status == Rejected": {"refusal"},
    "error": {"error"},
    "ocpp.error_code == GenericError": {"error"},
    "error_description contains way": {"error"},
    "id == boot-1": {"boot"},
    "ocpp.unique_id matches ^boot": {"boot"},
    "message_id contains boot or id == m6": {"boot", "ipv6"},
    "id != boot-1": ALL - {"boot", "junk"},
    "not id": {"junk"},
    "outcome == answered": {"refusal", "error", "boot"},
    "problem": {"refusal"},
    "problem == schema.required": {"refusal"},
    "problem != json.syntax": {"refusal"},
    "problem != schema.maximum": set(),
    "problem contains schema": {"refusal"},
    "not problem": ALL - {"refusal"},
    "ocpp.valid == false": {"refusal"},
    "valid": ALL - {"refusal"},
    "compressed": {"meter"},
    "compressed == no": ALL - {"meter"},
    "frames >= 2": {"meter"},
    "packet == 80": {"ipv6"},
    "not packet": {"junk"},
    "src == 10.0.1.1": {"refusal", "error"},
    "ip.dst == 10.0.0.0": {"refusal", "error"},
    "port == 9000": {"meter", "event", "refusal", "error", "boot", "junk"},
    "port in {9001..9100}": {"ipv6"},
    "ipv6": {"ipv6"},
    "connector == 2": {"meter"},
    "connector == 1": {"event"},
    "evse > 2": {"event"},
    "transaction == 17": {"meter"},
    "transaction == ab-1": {"event"},
    "tag contains BEEF": {"event"},
    "offline": {"event"},
    "size < 12": {"junk"},
    "size >= 1KiB": set(),
    "row in {0..1, 5}": {"meter", "event", "junk"},
    "delta": ALL - {"meter"},
    "delta > 1ms": set(),
    "time >= 2026-09-21T14:13:20Z": ALL,
    "time < 2026-09-21": set(),
    'time == "2026-09-21 14:13:20.001"': {"event"},
    "time < 1790000000.001": {"meter"},
    "payload.meterValue[0].sampledValue[*].value > 100": {"meter"},
    "payload.meterValue[0].sampledValue[0].value > 100": set(),
    "payload.meterValue.sampledValue.value == 16.50": {"meter"},
    'payload.meterValue[*].sampledValue[1].value == "230"': {"meter"},
    'payload.meterValue[*].sampledValue[1].value == "230.0"': set(),
    "payload.connectorId == 2": {"meter"},
    'payload.connectorId == "2"': {"meter"},
    "payload.connectorId in {1, 2}": {"meter"},
    "payload.evse.id": {"event"},
    "payload.evse": {"event"},
    "payload.evse == 3": set(),
    "payload.evse != 3": {"event"},
    "payload.none": set(),
    "payload.offline == true": {"event"},
    'payload.offline == "true"': {"event"},
    "payload.offline != false": {"event"},
    "payload.meterValue[1]": set(),
    "payload.eventType matches start": {"event"},
    'payload.meterValue[0].timestamp > "2026-11-22"': {"meter"},
    "payload contains Hello": {"junk"},
    "ocpp.payload contains hello": set(),
    "hello": {"junk"},
    "HEARTBEAT": {"refusal", "error", "ipv6", "nobody"},
    '"m1"': {"event", "error"},
    "cp001": {"event"},
    '"HELLO é"': {"junk"},
    "'\"Started\"'": {"event"},
    '"\\"Started\\""': {"event"},
    "mark": {"boot"},
    "mark == a and note contains why": {"boot"},
    "not note or hello": ALL - {"boot"},
    "finding": {"boot", "event"},
    "finding == tx2-offline-flag": {"event"},
    "finding.id contains slow": {"boot", "event"},
    "finding != rpc-slow-response": set(),
    "finding.severity >= warning": {"event"},
    "finding.severity == note": {"boot"},
    "finding.layer == application and replay": {"event"},
    "not finding and not replay and connector": {"meter"},
    "@slow": {"boot"},
    "not @slow and @both": {"event"},
    "error or latency > 1s and side == csms": {"error"},
    "(error or latency > 1s) and side == station": {"boot"},
    "not error and not latency and connector": {"meter", "event"},
    "not (error or latency)": ALL - {"refusal", "error", "boot"},
}
SLOW = Verdict("rpc-slow-response", "note", "rpc")
VERDICTS = {
    "boot": (SLOW,),
    "event": (SLOW, Verdict("tx2-offline-flag", "warning", "application"), Verdict(REPLAYED, "note", "application")),
}
NAMED = {"slow": "latency > 2s", "both": "@slow or connector == 1"}
KNOWN = {0: connection(0), 1: connection(1, version=Version.V201), 3: replace(CONNECTIONS[3], station="CP003")}


@pytest.fixture
def notes(tmp_path):
    notes = Notes(tmp_path / "x")
    notes.set(BOOT, mark="a", note="why?")
    return notes


@pytest.mark.parametrize("text", CASES)
def test_what_passes(text, notes):
    compiled = compile_filter(text, NAMED)
    with Store() as store:
        store.notes = notes
        store.take(
            [opened(1, version=Version.V201), *[replace(opened(n), connection=one) for n, one in KNOWN.items()]]
        )
        store.take([replace(m, reply_to=None) for m in MESSAGES.values()])
        for name, verdicts in VERDICTS.items():
            for verdict in verdicts:
                store.judge(MESSAGES[name].connection, MESSAGES[name].ordinal, verdict)
        mask = compiled.mask(store)
        assert {name for name, passes in zip(MESSAGES, mask, strict=True) if passes} == CASES[text]
    for (name, one), around in zip(MESSAGES.items(), arounds(list(MESSAGES.values()), notes), strict=True):
        judged = around._replace(verdicts=VERDICTS.get(name, ()))
        assert compiled.matches(one, KNOWN.get(one.connection), judged) is (name in CASES[text])


# --- column by column = message by message -------------------------------------------------------------------------

VALUES = {
    Type.INTEGER: st.sampled_from(["0", "1", "2", "7", "17", "40000", "-1", "1.5"]),
    Type.TEXT: st.sampled_from(
        [f'"{word[:30]}"' for word in WORDS] + ["Accepted", "GenericError", "17", "1", "10.0.1.1"]
    ),
    Type.TIME: st.sampled_from([f"{START // 10**9 + n}" for n in range(-5, 6)]),
    Type.DURATION: st.sampled_from(["0", "1s", "-2s", "3s"]),
    Type.SIZE: st.sampled_from(["0", "40", "1KiB"]),
    Type.YES_NO: st.sampled_from(["true", "no"]),
    Type.ANY: st.sampled_from(["1", "17", "10.5", '"17"', '"é"', "true", "false", "Accepted", "1000"]),
}
PATTERNS = ["a", "^H", "[0-9]+$", "é", '"t|p"']
PATHS = [
    "payload.status",
    "payload.list[0]",
    "payload[*]",
    "payload.evse.id",
    "payload.k.value",
    "payload.list[*].value",
]


@st.composite
def comparisons(draw):
    name = draw(st.sampled_from([*FIELDS, *FIELDS, *ALIASES, *PATHS]))
    if draw(st.integers(0, 4)) == 0:
        return name
    field = FIELDS.get(ALIASES.get(name, name))
    kind = field.type if field else Type.ANY
    value = st.sampled_from(field.choices) if kind is Type.CHOICE else VALUES[kind]
    texts = kind in (Type.TEXT, Type.CHOICE, Type.ANY)
    ordered = kind not in (Type.TEXT, Type.CHOICE, Type.YES_NO) or (field is not None and field.ordered)
    signs = ["==", "!=", "in", *(["contains", "matches"] * texts), *(["<", "<=", ">", ">="] * ordered)]
    sign = draw(st.sampled_from(signs))
    if sign == "in":
        return f"{name} in {{{', '.join(draw(st.lists(value, min_size=1, max_size=3)))}}}"
    if sign == "matches":
        return f"{name} matches {draw(st.sampled_from(PATTERNS))}"
    if kind is Type.ANY and draw(st.booleans()) and sign in ("<", ">="):
        return f"{name} {sign} 10"
    if kind is Type.ANY and sign in ("<", "<=", ">", ">="):
        value = value.filter(lambda text: text not in ("true", "false"))
    return f"{name} {sign} {draw(value)}"


FREE = st.sampled_from(["heart", "CP", '"é"', '"[2,"', "17", '"],["', "@odd"])
FILTERS = st.recursive(
    comparisons() | FREE,
    lambda inner: (
        st.builds("not ({})".format, inner)
        | st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages(), max_size=12), st.lists(FILTERS, min_size=1, max_size=4), st.integers(1, 7), st.data())
def test_column_by_column_is_message_by_message(rows, filters, chunk_rows, data):
    rows = [replace(one, ordinal=at, reply_to=None) for at, one in enumerate(rows)]
    notes = Notes(Path("nowhere"))
    for one in rows[::3]:
        notes.set(one, mark="a", note="Heartbeat é")
    known = {one.number: one for one in CONNECTIONS}
    with store_of(rows, notes, chunk_rows) as store:
        for text in filters:
            compiled = compile_filter(text, {"odd": "connection in {1, 3}"})
            one_by_one = [
                compiled.matches(one, known.get(one.connection), around)
                for one, around in zip(rows, arounds(rows, notes), strict=True)
            ]
            assert compiled.mask(store).tolist() == one_by_one, text
            start = data.draw(st.integers(0, len(rows)))
            stop = data.draw(st.integers(0, len(rows)))
            assert compiled.mask(store, start, stop).tolist() == one_by_one[start:stop], text


# --- pieces, pace, caches ------------------------------------------------------------------------------------------


def test_evicted_rows_do_not_pass():
    with Store(retain=8, chunk_rows=4) as store:
        store.take([call(n) for n in range(30)])
        for text in ("action", "id", "payload contains m", "heartbeat", "delta", ""):
            mask = compile_filter(text).mask(store)
            assert len(mask) == 30
            delta = text == "delta"  # the row before the first kept one is gone
            assert np.flatnonzero(mask).tolist() == list(range(store.first + delta, 30))


@pytest.mark.parametrize("text", ["payload.x == 1", "needle", "action"])
def test_a_long_look_can_be_given_up(text):
    with Store() as store:
        store.take([call(n, payload='{"x":2}') for n in range(10)])
        with pytest.raises(CancelledError):
            compile_filter(text).mask(store, pace=Pace(cancelled=lambda: True))
        assert not compile_filter("payload.x == 1").mask(store).any()


def test_payloads_are_read_for_candidates_only_and_once(monkeypatch):
    with Store() as store:
        store.take([call(n, "A" if n % 10 else "B", f'{{"x":{n}}}') for n in range(100)])
        reads = []
        original = store.read
        monkeypatch.setattr(store, "read", lambda place: reads.append(place) or original(place))
        compiled = compile_filter("payload.x > 50 and action == B and row >= 50")
        assert np.flatnonzero(compiled.mask(store)).tolist() == [60, 70, 80, 90]
        assert sum(place.length for place in reads) < sum(store.column("text_size"))
        reads.clear()
        assert compile_filter("payload.x < 80 and action == B and row >= 50").mask(store).sum() == 3
        assert reads == []


def test_what_is_remembered_of_payloads_is_bounded(monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_CACHE_WEIGHT", 60)
    monkeypatch.setattr(evaluate, "MAX_CHUNK_WEIGHT", 20)
    with Store(chunk_rows=64) as store:
        store.take([call(n, payload=f'{{"x":{n},"y":[{n},"{"z" * 500}"]}}') for n in range(300)])
        for text, count in [("payload.x > 250", 49), ("payload.y[*] > 250", 49), ("payload.x <= 250", 251)] * 2:
            assert compile_filter(text).mask(store).sum() == count
            found = evaluate.cache_of(store)._found.values()
            assert all(one.weight <= 20 for one in found)
            assert sum(one.weight for one in found) <= 60


def test_what_does_not_fit_is_read_again(monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_CHUNK_WEIGHT", 20)
    with Store() as store:
        store.take([call(n, payload=f'{{"x":{n}}}') for n in range(100)])
        for _ in range(2):
            assert compile_filter("payload.x >= 10").mask(store).sum() == 90


def test_rows_without_the_key_are_remembered(monkeypatch):
    with Store() as store:
        store.take([call(n, payload=f'{{"{"xy"[n % 2]}":{n}}}') for n in range(100)])
        assert compile_filter("payload.x >= 50").mask(store).sum() == 25
        monkeypatch.setattr(store, "read", None)
        assert compile_filter("payload.x < 50").mask(store).sum() == 25


def test_equal_values_of_different_types_stay_apart():
    values = ["1", "1.0", "true", '"1"', '["1",1]', '["1",true]', "[1,1]"]
    cases = {"payload.x == 1": "1101000", 'payload.x == "1"': "1001000", "payload.x == true": "0010000"}
    cases |= {"payload.x[*] == true": "0000010", "payload.x[1] == 1": "0000101"}
    with Store() as store:
        store.take([call(n, payload=f'{{"x":{value}}}') for n, value in enumerate(values)])
        for text, passes in [*cases.items()] * 2:
            assert "".join("01"[one] for one in compile_filter(text).mask(store).tolist()) == passes, text


def test_masks_follow_what_becomes_known():
    with Store() as store:
        store.take([opened(version=Version.UNKNOWN), call(0)])
        slow, new = compile_filter("latency > 1ms"), compile_filter("version == 2.0.1")
        assert not slow.mask(store).any()
        assert not new.mask(store).any()
        store.take([opened(version=Version.V201), result(1, 0)])
        assert slow.mask(store).tolist() == [True, True]
        assert new.mask(store).tolist() == [True, True]


def test_dictionaries_may_grow_while_a_filter_is_used():
    compiled = compile_filter("action contains 7")
    with Store() as store:
        for n in range(0, 300, 3):
            store.take([call(at, f"A{at}") for at in range(n, n + 3)])
            expected = ["7" in f"A{at}" for at in range(n + 3)]
            assert compiled.mask(store).tolist() == expected


def test_a_message_without_a_connection_or_place():
    compiled = compile_filter("station or row or delta or note or src")
    assert not compiled.matches(call(0), None)
    assert compiled.matches(call(0), None, Around(row=0))
    assert compiled.matches(call(0), None, Around(note=Note(0, "", "x")))
    assert compile_filter("side == station").matches(call(0, side=Side.STATION), None)
