"""The detail tree: shape, verdicts, units, texts that break off, bounds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_goldens import same_as_golden

from ocppscope.model import Kind, Problem, Version
from ocppscope.ocpp import jsontext
from ocppscope.ocpp.codec import decode
from ocppscope.ocpp.describe import describe
from ocppscope.ocpp.schemas import validator
from ocppscope.render import styled, tree, treelines
from ocppscope.render.tree import MAX_CHILDREN, MAX_NODE_PROBLEMS, MAX_TREE_SIZE, Tree, Type
from support_engine import CAPTURES, run

V16, V201 = Version.V16, Version.V201
START = {
    "connectorId": "1",
    "idTag": "X" * 27,
    "meterStart": 12540,
    "timestamp": "2026-01-01T10:00:00",
    "odd": {"a": 1},
}
PROFILE = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
            "chargingRateUnit": "A",
            "duration": 3600,
        },
    },
}
METER = {
    "connectorId": 1,
    "meterValue": [
        {
            "timestamp": "2026-01-01T10:00:00Z",
            "sampledValue": [
                {"value": "12"},
                {"value": "3.50", "measurand": "Power.Active.Import", "unit": "kW", "context": "Sometimes"},
                {"value": "abc", "format": "SignedData"},
            ],
        }
    ],
}


def call(action, payload, version=V16):
    """The tree of a CALL as the detail pane makes it."""
    checks = validator(version, action)
    problems = checks.problems(json.dumps(payload).encode())
    text = json.dumps([2, "id-1", action, payload]).encode()
    return Tree(text, Kind.CALL, problems, describe(version, action))


def nodes(shown, most=5000):
    return list(shown.rows(most))


def at(shown, pointer):
    (found,) = [node for node in nodes(shown) if node.pointer == pointer]
    return found


@pytest.mark.parametrize(
    ("name", "action", "payload"),
    [
        ("start", "StartTransaction", START),
        ("profile", "SetChargingProfile", PROFILE),
        ("meter", "MeterValues", METER),
    ],
)
def test_goldens(name, action, payload):
    same_as_golden(f"tree_{name}.txt", treelines.text(call(action, payload), 110))


def test_a_node_carries_type_schema_and_verdict():
    shown = call("StartTransaction", START)
    node = at(shown, "/connectorId")
    assert (node.type, node.value, node.facts.type, node.facts.required) == (Type.STRING, '"1"', "integer", True)
    assert [problem.code for problem in node.problems] == ["schema.type"]
    assert at(shown, "/odd").problems[0].code == "schema.additional"
    assert at(shown, "/odd").facts is None
    assert at(shown, "").below == 4
    assert nodes(shown)[0].below == 4


def test_what_is_missing_is_said_at_the_payload():
    shown = call("StartTransaction", {})
    assert [problem.text for problem in at(shown, "").problems] == [
        "connectorId is missing", "idTag is missing", "meterStart is missing", "timestamp is missing"
    ]  # fmt: skip
    assert nodes(shown)[0].problems == ()


def test_problems_of_the_message_stand_at_its_root():
    odd = Problem("ocpp.id-length", "x")
    root, *_ = Tree(b'[2,"id","Heartbeat",{}]', Kind.CALL, (odd,)).roots()
    assert (root.problems, root.below) == ((odd,), 0)


@pytest.mark.parametrize(
    ("action", "payload", "pointer", "unit"),
    [
        ("StartTransaction", START, "/meterStart", "Wh"),
        ("SetChargingProfile", PROFILE, "/csChargingProfiles/chargingSchedule/duration", "s"),
        ("SetChargingProfile", PROFILE, "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit", "A"),
        ("MeterValues", METER, "/meterValue/0/sampledValue/0/value", "Wh"),
        ("MeterValues", METER, "/meterValue/0/sampledValue/1/value", "kW"),
        ("MeterValues", METER, "/meterValue/0/sampledValue/2/value", ""),
        ("MeterValues", METER, "/connectorId", ""),
    ],
)
def test_units(action, payload, pointer, unit):
    assert at(call(action, payload), pointer).unit == unit


def test_unit_of_measure_of_2x():
    sampled = {"value": 5.5, "unitOfMeasure": {"unit": "W", "multiplier": 3}}
    payload = {"evseId": 1, "meterValue": [{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [sampled]}]}
    assert at(call("MeterValues", payload, V201), "/meterValue/0/sampledValue/0/value").unit == "e3 W"


@pytest.mark.parametrize(
    ("kind", "text", "names"),
    [
        (Kind.CALL, b'[2,"i","A",{}]', ["message type", "id", "action", "payload"]),
        (Kind.SEND, b'[6,"i","A",{},9]', ["message type", "id", "action", "payload", "4"]),
        (Kind.CALLRESULT, b'[3,"i",{}]', ["message type", "id", "payload"]),
        (Kind.CALLERROR, b'[4,"i","c","d",{}]', ["message type", "id", "error code", "description", "details"]),
        (Kind.UNPARSED, b'["a",[1]]', ["0", "1"]),
    ],
)
def test_the_outer_array_is_named(kind, text, names):
    shown = Tree(text, kind)
    assert [node.key for node in shown.children(shown.roots()[0])] == names


# --- reading ----------------------------------------------------------------------------------------------------


def outline(shown, most=60):
    return [(node.depth, node.type.value, node.key, node.value, node.whole) for node in nodes(shown, most)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'[2,"i",{"a":[1,{"k":"v', [
            (0, "array", "", "", False), (1, "number", "0", "2", True), (1, "string", "1", '"i"', True),
            (1, "object", "2", "", False), (2, "array", "a", "", False), (3, "number", "0", "1", True),
            (3, "object", "1", "", False), (4, "unreadable", "", '"k":"v', False)]),
        (b"", [(0, "unreadable", "", "(the text ends here)", False)]),
        (b"hello", [(0, "unreadable", "", "hello", False)]),
        (b"\xff", [(0, "unreadable", "", "\\udcff", False)]),
        (b"[1]x", [(0, "array", "", "", True), (1, "number", "0", "1", True), (0, "unreadable", "", "x", False)]),
        (b"[1 2]", [
            (0, "array", "", "", False), (1, "number", "0", "1", True), (1, "unreadable", "", "2]", False)]),
        (b"[1,]", [(0, "array", "", "", False), (1, "number", "0", "1", True), (1, "unreadable", "", "]", False)]),
        (b"{1:2}", [(0, "object", "", "", False), (1, "unreadable", "", "1:2}", False)]),
        (b'{"a" 2}', [(0, "object", "", "", False), (1, "unreadable", "", '"a" 2}', False)]),
        (b"[", [(0, "array", "", "", False), (1, "unreadable", "", "(the text ends here)", False)]),
        (b"\xef\xbb\xbf [ ] ", [(0, "array", "", "", True)]),
        (b'{"a":1,"a":2}', [
            (0, "object", "", "a=2", True), (1, "number", "a", "1", True), (1, "number", "a", "2", True)]),
        (b'{"":null}', [(0, "object", "", "", True), (1, "null", '""', "null", True)]),
        (b"[1.10,1e999,true,NaN]", [
            (0, "array", "", "", True), (1, "number", "0", "1.10", True), (1, "number", "1", "1e999", True),
            (1, "boolean", "2", "true", True), (1, "number", "3", "NaN", True)]),
    ],
)  # fmt: skip
def test_texts_are_read_as_far_as_they_go(text, expected):
    assert outline(Tree(text)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


def rebuilt(shown, node):
    """The value of a node, made of the texts of its leaves."""
    if node.type is Type.OBJECT:
        keys = json.loads(shown.text[node.start : node.end])
        return dict(zip(keys, (rebuilt(shown, child) for child in shown.children(node)), strict=True))
    if node.type is Type.ARRAY:
        return [rebuilt(shown, child) for child in shown.children(node)]
    return json.loads(shown.text[node.start : node.end])


@given(JSON, st.booleans())
def test_the_tree_is_the_value(value, ascii_text):
    shown = Tree(json.dumps(value, ensure_ascii=ascii_text, indent=1).encode("utf-8", "surrogatepass"))
    (root,) = shown.roots()
    assert rebuilt(shown, root) == value


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), st.integers(0, 60))
def test_any_text_can_be_shown_and_none_of_it_is_obeyed(text, cut):
    shown = Tree(text[:cut], Kind.CALL, (Problem("json.syntax", "x"),))
    for line in treelines.lines(shown, 60, 200):
        assert styled.plain(line).isprintable()
        assert styled.width(line) <= 60
    assert any(node.problems for node in shown.roots())


@given(st.text(), st.text(max_size=5) | st.integers(0, 99))
def test_pointers_are_those_of_problems(path, name):
    assert tree.pointer(path, name) == jsontext.pointer(path, name)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_problem_with_a_path_has_its_node(path):
    """Of every message of every capture: a verdict that no node shows would be lost."""
    for message in run(path).messages:
        shown = Tree(message.text, message.kind, message.problems)
        told = {problem for node in nodes(shown) for problem in node.problems}
        assert told == set(message.problems) or not shown.roots()[0].whole


def test_duplicate_keys_of_a_hostile_message_have_their_verdict():
    key = "a/~\x1b" + "x" * 100
    text = f'[2,"1","DataTransfer",{{"vendorId":"x",{json.dumps(key)}:1,{json.dumps(key)}:2}}]'.encode()
    problems = decode(text).problems
    told = [node for node in nodes(Tree(text, Kind.CALL, problems)) if node.problems]
    assert [node.value for node in told if node.pointer] == ["1", "2"]


# --- bounds -----------------------------------------------------------------------------------------------------


def test_many_children_come_in_portions():
    text = json.dumps(list(range(2 * MAX_CHILDREN + 3))).encode()
    shown = Tree(text)
    node, values = shown.roots()[0], []
    while node is not None:
        *found, last = shown.children(node)
        values += [int(child.value) for child in found]
        node = last if last.type is Type.MORE else values.append(int(last.value))
    assert values == list(range(2 * MAX_CHILDREN + 3))
    rest = shown.children(shown.roots()[0])[-1]
    assert shown.children(rest)[0].key == str(MAX_CHILDREN)


def test_a_huge_text_is_cut_and_says_so():
    shown = Tree(b'["' + b"x" * MAX_TREE_SIZE + b'"]')
    root, *_ = shown.roots()
    (rest,) = shown.children(root)
    assert (rest.type, rest.size) == (Type.UNREADABLE, MAX_TREE_SIZE + 3)
    assert len(rest.value) < 300
    whole = Tree(b"[1]" + b" " * MAX_TREE_SIZE + b"x").roots()
    assert whole[1].size == 4


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" + b"9" * 200_000 + b"]",
        b"[1e" + b"9" * 200_000 + b"]",
        json.dumps({"k" * 1_000_000: "v"}).encode(),
        json.dumps(["\x1b]52;c;\x07" * 100_000]).encode(),
        b'{"' + b"\xff" * 500_000 + b'":"\\ud800"}',
    ],
    ids=["arrays", "objects", "integer", "exponent", "key", "escapes", "no utf-8"],
)
def test_hostile_texts_are_shown_in_bounded_lines(text):
    lines = list(treelines.lines(Tree(text), 100, 50))
    assert lines
    for line in lines:
        assert styled.width(line) <= 100
        assert styled.plain(line).isprintable()


def test_problems_of_one_node_are_bounded():
    problems = tuple(Problem("schema.required", str(number)) for number in range(99))
    payload = Tree(b'[3,"1",{}]', Kind.CALLRESULT, problems)
    assert len(at(payload, "").problems) == MAX_NODE_PROBLEMS


@pytest.mark.parametrize("unit", ["\x1b[2J", "x" * 1000, ["a"], {"unit": "\u202e"}])
def test_units_from_the_wire_are_only_text(unit):
    for sampled in ({"value": "1", "unit": unit}, {"value": 1, "unitOfMeasure": unit}):
        for line in treelines.lines(Tree(json.dumps({"sampledValue": [sampled]}).encode()), 2000):
            assert styled.plain(line).isprintable()
    schedule = json.dumps({"chargingRateUnit": unit, "limit": 1}).encode()
    assert all(len(node.rate) < 60 for node in nodes(Tree(schedule)))


# --- lines ------------------------------------------------------------------------------------------------------


def test_a_shut_node_tells_what_is_inside():
    shown = call("StartTransaction", START)
    payload = at(shown, "")
    shut, opened = (styled.plain(treelines.line(payload, 120, is_open=state)) for state in (False, True))
    assert shut.startswith("  ▸ payload      {5} connectorId=1 idTag=XXX")
    assert "! 4 inside" in styled.plain(treelines.line(payload, 400))
    assert opened == "  ▾ payload      {5}"


def test_notes_tell_everything():
    shown = call("StartTransaction", START)
    told = styled.text(treelines.notes(at(shown, "/idTag"), 100))
    assert told == (
        "element   /idTag\n"
        "holds     string, 27 characters\n"
        "schema    string, at most 20 characters, required\n"
        "problem   schema.max-length: idTag has 27 characters; at most 20 are allowed\n"
    )
    fine = styled.text(treelines.notes(at(shown, "/meterStart"), 100))
    assert "unit      Wh" in fine
    assert "as the schema wants it" in fine


def test_rows_are_bounded_and_say_so():
    lines = list(treelines.lines(Tree(b"[1,2,3,4]"), 80, 3))
    assert [styled.plain(line) for line in lines] == [
        "▾ [4]",
        "    0 1",
        "    1 2",
        "… only the first 3 rows are shown",
    ]
