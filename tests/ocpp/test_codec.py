"""Texts of any shape into messages: what is kept, what is stated, what is never done."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocppscope.model import Kind
from ocppscope.ocpp import codec, jsontext
from ocppscope.ocpp.codec import MAX_SHORT, RawMessage, decode, decode_exactly, heads, match_head
from ocppscope.ocpp.jsontext import MAX_JSON_DEPTH, MAX_JSON_SIZE
from ocppscope.problems import PROBLEMS


def codes(message: RawMessage) -> list[str]:
    return [problem.code for problem in message.problems]


WELL_FORMED = [
    (b'[2,"a","Heartbeat",{}]', RawMessage(Kind.CALL, "a", "Heartbeat", b"{}")),
    (b'[3,"a",{"x":1}]', RawMessage(Kind.CALLRESULT, "a", "", b'{"x":1}')),
    (b'[6,"a","NotifyPeriodicEventStream",{}]', RawMessage(Kind.SEND, "a", "NotifyPeriodicEventStream", b"{}")),
    (
        b'[4,"a","GenericError","why",{"d":1}]',
        RawMessage(Kind.CALLERROR, "a", error_code="GenericError", error_description="why", error_details=b'{"d":1}'),
    ),
    (
        b'[5,"a","FormatViolation","",{}]',
        RawMessage(Kind.CALLRESULTERROR, "a", error_code="FormatViolation", error_details=b"{}"),
    ),
    (b'  [ 2 ,\n"a"\t,"Heartbeat", { } ]\r\n', RawMessage(Kind.CALL, "a", "Heartbeat", b"{ }")),
    (b'[2,"\\u0061","Heart\\u0062eat",{}]', RawMessage(Kind.CALL, "a", "Heartbeat", b"{}")),
    ('[2,"ä","Heartbeat",{"k":"ü€😀"}]'.encode(), RawMessage(Kind.CALL, "ä", "Heartbeat", '{"k":"ü€😀"}'.encode())),
]


@pytest.mark.parametrize(("text", "message"), WELL_FORMED)
def test_well_formed(text: bytes, message: RawMessage) -> None:
    assert decode(text) == decode_exactly(text) == message


# text, kind, id, action, payload, codes
MALFORMED = [
    (b"", 0, "", "", b"", ["json.empty"]),
    (b" \n ", 0, "", "", b"", ["json.empty"]),
    (b"hello", 0, "", "", b"", ["json.syntax"]),
    (b"\x00\x01", 0, "", "", b"", ["json.syntax"]),
    (b"{}", 0, "", "", b"", ["ocpp.not-array"]),
    (b'"[2]"', 0, "", "", b"", ["ocpp.not-array"]),
    (b"tru", 0, "", "", b"", ["json.truncated"]),
    (b"[]", 0, "", "", b"", ["ocpp.arity"]),
    (b"[", 0, "", "", b"", ["json.truncated"]),
    (b"[2", 2, "", "", b"", ["json.truncated"]),
    (b'[2,"a', 2, "", "", b"", ["json.truncated"]),
    (b'[2,"a"', 2, "a", "", b"", ["json.truncated"]),
    (b'[2,"a\\', 2, "", "", b"", ["json.truncated"]),
    (b'[2,"a\\u00', 2, "", "", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":1', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":1.', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":-', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":fal', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":"x', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k"', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{"k":1,', 2, "a", "Heartbeat", b"", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{}', 2, "a", "Heartbeat", b"{}", ["json.truncated"]),
    (b'[2,"a","Heartbeat",{k:1}]', 2, "a", "Heartbeat", b"", ["json.syntax"]),
    (b'[2,"a","Heartbeat",{"k":01}]', 2, "a", "Heartbeat", b"", ["json.syntax"]),
    (b'[2,"a","Heartbeat",{"k":1,}]', 2, "a", "Heartbeat", b"", ["json.syntax"]),
    (b'[2,"a","Heartbeat",{"k":xyz}]', 2, "a", "Heartbeat", b"", ["json.syntax"]),
    (b"[2,'a','Heartbeat',{}]", 2, "", "", b"", ["json.syntax"]),
    (b'[2 "a"]', 2, "", "", b"", ["json.syntax"]),
    (b'[2,"a","Heartbeat",{}}', 2, "a", "Heartbeat", b"{}", ["json.syntax"]),
    (b'\xef\xbb\xbf[2,"a","Heartbeat",{}]', 2, "a", "Heartbeat", b"{}", ["json.bom"]),
    (b'[2,"a","Heartbeat",{}]x', 2, "a", "Heartbeat", b"{}", ["json.trailing"]),
    (b'[2,"a","Heartbeat",{}]\x00', 2, "a", "Heartbeat", b"{}", ["json.trailing"]),
    (b'[2,"a","Heartbeat",{}]]', 2, "a", "Heartbeat", b"{}", ["json.trailing"]),
    (b'[2,"a","Heartbeat",{}][3,"a",{}]', 2, "a", "Heartbeat", b"{}", ["json.several-values"]),
    (b'[2,"a","Heartbeat",{}]\n[3,"a",{}]', 2, "a", "Heartbeat", b"{}", ["json.several-values"]),
    (b'[2,"a","Heartbeat",{"k":"\xff"}]', 2, "a", "Heartbeat", b'{"k":"\xff"}', ["json.encoding"]),
    (b'[2,"\xff","Heartbeat",{}]', 2, "\ufffd", "Heartbeat", b"{}", ["json.encoding"]),
    (b'[2,"a","Heartbeat",{"k":"\x01"}]', 2, "a", "Heartbeat", b'{"k":"\x01"}', ["json.control-character"]),
    (b'[2,"a\n","Heartbeat",{}]', 2, "a\n", "Heartbeat", b"{}", ["json.control-character"]),
    (b'[2,"a","Heartbeat",{"k":NaN}]', 2, "a", "Heartbeat", b'{"k":NaN}', ["json.nan"]),
    (b'[2,"a","Heartbeat",{"k":-Infinity}]', 2, "a", "Heartbeat", b'{"k":-Infinity}', ["json.nan"]),
    (b'[2,"a","Heartbeat",{"k":1,"k":1}]', 2, "a", "Heartbeat", b'{"k":1,"k":1}', ["json.duplicate-key"]),
    (b'[2,"a","Heartbeat",{"k":1,"\\u006b":2}]', 2, "a", "Heartbeat", b'{"k":1,"\\u006b":2}', ["json.duplicate-key"]),
    (b'[2,"a","Heartbeat",{"k":"\\ud800"}]', 2, "a", "Heartbeat", b'{"k":"\\ud800"}', ["json.surrogate"]),
    (b'[2,"a","Heartbeat",{"\\udc00":1}]', 2, "a", "Heartbeat", b'{"\\udc00":1}', ["json.surrogate"]),
    (b'[2,"a","Heartbeat",{"k":"\\ud83d\\ude00"}]', 2, "a", "Heartbeat", b'{"k":"\\ud83d\\ude00"}', []),
    (b'[2,"\\ud800","Heartbeat",{}]', 2, "\ufffd", "Heartbeat", b"{}", ["json.surrogate"]),
    (b'["2","a","Heartbeat",{}]', 2, "a", "Heartbeat", b"{}", ["ocpp.message-type-form"]),
    (b'[2.0,"a","Heartbeat",{}]', 2, "a", "Heartbeat", b"{}", ["ocpp.message-type-form"]),
    (b'[3.0,"a",{}]', 3, "a", "", b"{}", ["ocpp.message-type-form"]),
    (b'[1,"a","Heartbeat",{}]', 0, "a", "Heartbeat", b"", ["ocpp.message-type"]),
    (b'[7,"a",{}]', 0, "a", "", b"", ["ocpp.message-type"]),
    (b'[-2,"a",{}]', 0, "a", "", b"", ["ocpp.message-type"]),
    (b'[true,"a",{}]', 0, "a", "", b"", ["ocpp.message-type"]),
    (b'[null,"a",{}]', 0, "a", "", b"", ["ocpp.message-type"]),
    (b'[2.5,"a",{}]', 0, "a", "", b"", ["ocpp.message-type"]),
    (b"[" + b"9" * 9000 + b"]", 0, "", "", b"", ["ocpp.message-type"]),
    (b"[[[]]]", 0, "", "", b"", ["ocpp.message-type"]),
    (b'["Heartbeat"]', 0, "", "", b"", ["ocpp.message-type"]),
    (b"[2]", 2, "", "", b"", ["ocpp.id-empty", "ocpp.action-type", "ocpp.payload-type", "ocpp.arity"]),
    (b'[2,"a"]', 2, "a", "", b"", ["ocpp.action-type", "ocpp.payload-type", "ocpp.arity"]),
    (b'[2,"a","Heartbeat"]', 2, "a", "Heartbeat", b"", ["ocpp.payload-type", "ocpp.arity"]),
    (b'[2,"a",{"k":1}]', 2, "a", "", b'{"k":1}', ["ocpp.action-type", "ocpp.arity"]),
    (b'[2,"a","Heartbeat",{},{}]', 2, "a", "Heartbeat", b"{}", ["ocpp.arity"]),
    (b'[2,"a","Heartbeat",{}' + b",1" * 99 + b"]", 2, "a", "Heartbeat", b"{}", ["ocpp.arity"]),
    (b'[3,"a"]', 3, "a", "", b"", ["ocpp.payload-type", "ocpp.arity"]),
    (b'[3,"a","Heartbeat",{"k":1}]', 3, "a", "Heartbeat", b'{"k":1}', ["ocpp.arity"]),
    (b'[3,"a",{"k":1},{}]', 3, "a", "", b'{"k":1}', ["ocpp.arity"]),
    (b'[2,5,"Heartbeat",{}]', 2, "5", "Heartbeat", b"{}", ["ocpp.id-type"]),
    (b'[2,1.50,"Heartbeat",{}]', 2, "1.50", "Heartbeat", b"{}", ["ocpp.id-type"]),
    (b'[2,null,"Heartbeat",{}]', 2, "", "Heartbeat", b"{}", ["ocpp.id-type"]),
    (b'[2,{},"Heartbeat",{}]', 2, "", "Heartbeat", b"{}", ["ocpp.id-type"]),
    (b'[2,"","Heartbeat",{}]', 2, "", "Heartbeat", b"{}", ["ocpp.id-empty"]),
    (b'[2,"' + b"x" * 36 + b'","Heartbeat",{}]', 2, "x" * 36, "Heartbeat", b"{}", []),
    (b'[2,"' + b"x" * 37 + b'","Heartbeat",{}]', 2, "x" * 37, "Heartbeat", b"{}", ["ocpp.id-length"]),
    (b'[2,"' + b"x" * 9999 + b'","Heartbeat",{}]', 2, "x" * 1024, "Heartbeat", b"{}", ["ocpp.id-length"]),
    (b'[3,"-1",{}]', 3, "-1", "", b"{}", ["ocpp.id-unreadable"]),
    (b'[2,"a",5,{}]', 2, "a", "", b"{}", ["ocpp.action-type"]),
    (b'[2,"a",null,{}]', 2, "a", "", b"{}", ["ocpp.action-type"]),
    (b'[2,"a","",{}]', 2, "a", "", b"{}", ["ocpp.action-type"]),
    (b'[2,"a","bootnotification",{}]', 2, "a", "bootnotification", b"{}", []),
    (b'[2,"a","Heartbeat",null]', 2, "a", "Heartbeat", b"null", ["ocpp.null-payload"]),
    (b'[3,"a",null]', 3, "a", "", b"null", ["ocpp.null-payload"]),
    (b'[2,"a","Heartbeat",[]]', 2, "a", "Heartbeat", b"[]", ["ocpp.payload-type"]),
    (b'[2,"a","Heartbeat",7]', 2, "a", "Heartbeat", b"7", ["ocpp.payload-type"]),
    (b'[2,"a","Heartbeat","{\\"k\\":1}"]', 2, "a", "Heartbeat", b'"{\\"k\\":1}"', ["ocpp.payload-string"]),
    (b'[2,"a","Heartbeat","text"]', 2, "a", "Heartbeat", b'"text"', ["ocpp.payload-type"]),
    (b'[3,"a","text"]', 3, "a", "", b'"text"', ["ocpp.payload-type"]),
]


@pytest.mark.parametrize(("text", "kind", "id_", "action", "payload", "expected"), MALFORMED)
def test_malformed(text: bytes, kind: int, id_: str, action: str, payload: bytes, expected: list[str]) -> None:
    message = decode(text)
    assert (message.kind, message.id, message.action, message.payload) == (kind, id_, action, payload)
    assert codes(message) == expected


# text, id, code, description, details, codes
ERRORS = [
    (b'[4,"a","X","d"]', "a", "X", "d", b"", ["ocpp.arity"]),
    (b'[4,"a","X",{"k":1}]', "a", "X", "", b'{"k":1}', ["ocpp.arity"]),
    (b'[4,"a","X"]', "a", "X", "", b"", ["ocpp.arity"]),
    (b'[4,"a"]', "a", "", "", b"", ["ocpp.error-code", "ocpp.arity"]),
    (b'[4,"a",7,"d",{}]', "a", "", "d", b"{}", ["ocpp.error-code"]),
    (b'[4,"a","X",null,{}]', "a", "X", "", b"{}", ["ocpp.error-description"]),
    (b'[4,"a","X","d",null]', "a", "X", "d", b"null", ["ocpp.error-details"]),
    (b'[4,"a","X","d",[1]]', "a", "X", "d", b"[1]", ["ocpp.error-details"]),
    (b'[4,"a","X","d",{},{}]', "a", "X", "d", b"{}", ["ocpp.arity"]),
    (b'[4,"-1","RpcFrameworkError","",{}]', "-1", "RpcFrameworkError", "", b"{}", ["ocpp.id-unreadable"]),
    (b'[4,"a","X","' + b"y" * 255 + b'",{}]', "a", "X", "y" * 255, b"{}", []),
    (b'[4,"a","X","' + b"y" * 256 + b'",{}]', "a", "X", "y" * 256, b"{}", ["ocpp.error-description"]),
    (b'[4,"a","X","\\ud800",{}]', "a", "X", "\ufffd", b"{}", ["json.surrogate"]),
    (b'[4,"a","X","",{"k":1,"k":2}]', "a", "X", "", b'{"k":1,"k":2}', ["json.duplicate-key"]),
    (b'[4,"a","X","d', "a", "X", "", b"", ["json.truncated"]),
]


@pytest.mark.parametrize(("text", "id_", "code", "description", "details", "expected"), ERRORS)
def test_errors(text: bytes, id_: str, code: str, description: str, details: bytes, expected: list[str]) -> None:
    message = decode(text)
    seen = (message.id, message.error_code, message.error_description, message.error_details)
    assert seen == (id_, code, description, details)
    assert message.kind is Kind.CALLERROR
    assert codes(message) == expected


def test_paths_point_into_the_payload() -> None:
    text = b'[2,"a","X",{"p":[{"k":1,"k":2},{"~/":NaN}],"s":"\\udfff","d":1,"d":1}]'
    assert {(p.code, p.path) for p in decode(text).problems} == {
        ("json.duplicate-key", "/p/0/k"),
        ("json.nan", "/p/1/~0~1"),
        ("json.surrogate", "/s"),
        ("json.duplicate-key", "/d"),
    }


def test_hostile_names_are_cut_and_made_printable() -> None:
    name = "\\u001b[31m\\u202e" + "x" * 500
    path = decode(f'[2,"a","X",{{"{name}":NaN}}]'.encode()).problems[0].path
    assert path.isprintable()
    assert len(path) < 100


# -- bounds


def nested(levels: int) -> bytes:
    return b'[2,"a","Heartbeat",' + b'{"k":' * (levels - 1) + b"1" + b"}" * (levels - 1) + b"]"


def test_depth_bound() -> None:
    assert decode(nested(MAX_JSON_DEPTH)).problems == ()
    message = decode(nested(MAX_JSON_DEPTH + 1))
    assert codes(message) == ["json.depth"]
    assert (message.id, message.action, message.payload) == ("a", "Heartbeat", b"")
    assert decode(nested(MAX_JSON_DEPTH)) == decode_exactly(nested(MAX_JSON_DEPTH))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'[2,"a","X",' + b"[" * 1_000_000,
        b'[2,"a","X",{}]' + b"[" * 1_000_000,
        b'"' + b'\\"' * 1_000_000,
        b'[2,"' + b'\\"' * 1_000_000 + b"\\",
        b'[2,"a","X",{"k":' + b"1" * 1_000_000 + b"}]",
        b'[2,"a","X",{"k":1e' + b"9" * 1_000_000 + b"}]",
        b'[2,"a","X",{"k":1e-' + b"9" * 30 + b"}]",
        b"[2," + b" " * 1_000_000,
        b'[2,"a","X",{' + b'"k":1,' * 100_000 + b'"k":1}]',
        b'[2,"a","X",[' + b"NaN," * 100_000 + b"NaN]]",
        b"[" + b"1," * 500_000 + b"1]",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_bombs_are_read_in_bounded_work(text: bytes) -> None:
    message = decode(text)
    assert len(message.problems) <= jsontext.MAX_JSON_PROBLEMS + 10
    assert len(message.id) <= codec.MAX_NAME_KEPT


def test_problem_bound() -> None:
    message = decode(b'[2,"a","X",{"l":[' + b"NaN," * 999 + b"1]}]")
    assert codes(message) == ["json.nan"] * jsontext.MAX_JSON_PROBLEMS


def test_size_bound() -> None:
    filler = MAX_JSON_SIZE - len(b'[2,"a","Heartbeat",{"k":""}]')
    fits = b'[2,"a","Heartbeat",{"k":"' + b"x" * filler + b'"}]'
    assert decode(fits).problems == ()
    over = fits[:-3] + b'x"}]'
    message = decode(over)
    assert codes(message) == ["json.oversize"]
    assert (message.kind, message.id, message.action) == (Kind.CALL, "a", "Heartbeat")
    assert match_head(over) is None


# -- signed messages


def b64(data: bytes, *, padded: bool = False) -> str:
    text = base64.urlsafe_b64encode(data).decode()
    return text if padded else text.rstrip("=")


HEADER = b'{"alg":"ES256","OCPPAction":"X","OCPPMessageTypeId":2}'


def jws(payload: str, **more: object) -> bytes:
    members = {"payload": payload, "protected": b64(HEADER), "signature": "c2ln", **more}
    return json.dumps(members).encode()


@pytest.mark.parametrize("padded", [False, True])
def test_signed_call(padded: bool) -> None:
    inner = b'{"reason":"PowerUp?>"}'
    message = decode(b'[2,"a","BootNotification-Signed",' + jws(b64(inner, padded=padded)) + b"]")
    assert message == RawMessage(Kind.CALL, "a", "BootNotification", inner, signed=True)


def test_signed_result_is_known_by_its_looks() -> None:
    assert decode(b'[3,"a",' + jws(b64(b"{}")) + b"]") == RawMessage(Kind.CALLRESULT, "a", "", b"{}", signed=True)


@pytest.mark.parametrize(
    "text",
    [b'[3,"a",{"payload":"e30","signature":"c2ln","protected":"e30"}]', b'[2,"a","X",' + jws(b64(b"{}")) + b"]"],
)
def test_what_only_resembles_a_signature_is_not_opened(text: bytes) -> None:
    message = decode(text)
    assert not message.signed
    assert message.payload.startswith(b"{")
    assert message.payload != b"{}"


BAD_SIGNED = [
    (b"{}", [("ocpp.signed", "/payload"), ("ocpp.signed", "/protected"), ("ocpp.signed", "/signature")]),
    (jws(b64(b"{}"), signature=None), [("ocpp.signed", "/signature")]),
    (jws("a+/="), [("ocpp.signed", "/payload")]),
    (jws("ä"), [("ocpp.signed", "/payload")]),
    (jws(b64(b"not json")), [("ocpp.signed", "/payload")]),
    (jws(b64(b"[" * 2000)), [("ocpp.signed", "/payload")]),
    (jws(b64(b"[1]")), [("ocpp.payload-type", "")]),
    (jws(b64(b'{"k":1,"k":2}')), [("json.duplicate-key", "/k")]),
]


@pytest.mark.parametrize(("payload", "expected"), BAD_SIGNED)
def test_signed_call_that_cannot_be_opened(payload: bytes, expected: list[tuple[str, str]]) -> None:
    message = decode(b'[2,"a","BootNotification-Signed",' + payload + b"]")
    assert (message.action, message.signed) == ("BootNotification", True)
    assert [(p.code, p.path) for p in message.problems] == expected


# -- the quick match

ORDINARY = [
    (b'[2,"a","Heartbeat",{}]', (Kind.CALL, "a", "Heartbeat")),
    (b'[2, "a", "Heartbeat", {}]', (Kind.CALL, "a", "Heartbeat")),
    (b'[3,"a b",{"currentTime":"x"}]', (Kind.CALLRESULT, "a b", "")),
    (b'[3, "a", {}]', (Kind.CALLRESULT, "a", "")),
    (b'[6,"a","NotifyPeriodicEventStream",{}]', (Kind.SEND, "a", "NotifyPeriodicEventStream")),
    (b'[2,"a","Get15118EVCertificate",{}]', (Kind.CALL, "a", "Get15118EVCertificate")),
]


@pytest.mark.parametrize(("text", "expected"), ORDINARY)
def test_head_of_ordinary_texts(text: bytes, expected: tuple[Kind, str, str]) -> None:
    head = match_head(text)
    assert head is not None
    assert head[:3] == expected
    assert decode(text) == decode_exactly(text)
    assert text[head[3] : -1] == decode_exactly(text).payload


@pytest.mark.parametrize(
    "text",
    [
        b'[2,"a","bootnotification",{}]',
        b'[2,"a","BootNotification-Signed",{}]',
        b'[2,"-1","Heartbeat",{}]',
        b'[3,"a",' + jws("e30") + b"]",
        b'[3,"a",{ "signature":"x"}]',
        b'[2,"a\\u0062","Heartbeat",{}]',
        b'[2,"\xc3\xa4","Heartbeat",{}]',
        b'[2,"a","Heartbeat",{}',
        b'[2,"a","Heartbeat",{}] ',
    ],
)
def test_head_declines(text: bytes) -> None:
    assert match_head(text) is None


@pytest.mark.parametrize("text", [row[0] for row in MALFORMED + ERRORS if row[-1]])
def test_no_quick_acceptance_of_what_has_a_problem(text: bytes) -> None:
    head = match_head(text)
    assert head is None or not jsontext.is_clean(text[head[3] : -1])


# -- heads, whatever comes after them

HEADS = [b'[2,"a","Heartbeat",', b'[2, "a b", "Get15118EVCertificate", ', b'[3,"a",', b'[3, "x-1", ']
REST = st.one_of(
    st.binary(max_size=60),
    st.text('{}[],:"\\\\ \n0aeE+-.tfnul', max_size=40).map(str.encode),
    st.sampled_from(
        [b"}", b"},", b"},{}", b'"payload":1}', b'"a":NaN}', b'"signature":"","payload":""}', b"[" * 600]
    ),
)


@given(st.sampled_from(HEADS), REST)
def test_nothing_after_a_head_changes_what_it_says(start: bytes, rest: bytes) -> None:
    """So that a message can be paired before its payload is looked at."""
    text = start + b"{" + rest + b"]"
    ((called, action, answered, short),) = heads([text])
    message = decode(text)
    assert message.kind is (Kind.CALL if text[1:2] == b"2" else Kind.CALLRESULT)
    assert message.id == called + answered != ""
    assert message.action == action
    assert not (called and answered)
    payload = b"{" + rest + b"]"
    assert short == ("" if len(payload) > MAX_SHORT else payload.replace(b"\n", b"\0").decode("latin-1"))


LONGEST = b'[2, "%s", "%s", ' % (b"i" * 36, b"A" * 50)
LINES = st.one_of(
    st.builds(lambda start, rest: start + b"{" + rest + b"]", st.sampled_from([*HEADS, LONGEST]), REST),
    REST,
    st.builds(lambda size: LONGEST + b"{" + b" " * size + b"}]", st.integers(0, 80)),
)


@given(st.lists(LINES, max_size=8))
def test_heads_of_texts_are_their_own(texts: list[bytes]) -> None:
    """Whatever stands beside them, and however they are broken into lines."""
    found = heads(texts)
    assert found == [head for text in texts for head in heads([text])]
    for text, (called, action, answered, short) in zip(texts, found, strict=True):
        assert text.replace(b"\n", b"\0").endswith(short.encode("latin-1"))
        assert bool(called) == bool(action)
        assert text[:2] == b"[2" if called else text[:2] == b"[3" or not answered


# -- properties

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ids = st.text(max_size=40) | st.integers() | st.none()
actions = st.sampled_from(["Heartbeat", "BootNotification-Signed", "heartbeat", "NotifyPeriodicEventStream", ""])
messages = (
    st.tuples(st.integers(0, 8), ids, actions | st.text(), json_values)
    | st.tuples(st.just(3), ids, json_values)
    | st.tuples(st.sampled_from([4, 5]), ids, st.text(), st.text(), json_values)
    | st.lists(json_values, max_size=6)
)
texts = st.builds(
    lambda value, compact, ascii_: json.dumps(
        value, separators=(",", ":") if compact else None, ensure_ascii=ascii_
    ).encode("utf-8", "surrogatepass"),
    messages,
    st.booleans(),
    st.booleans(),
)
mangled = st.builds(
    lambda text, at, junk: text[: at % (len(text) + 1)] + junk, texts, st.integers(0), st.binary(max_size=4)
)


def check_sane(text: bytes) -> RawMessage:
    message = decode(text)
    assert message == decode_exactly(text)
    assert all(problem.code in PROBLEMS for problem in message.problems)
    assert message.payload == b"" or message.signed or message.payload in text
    for name in (message.id, message.action, message.error_code, message.error_description):
        name.encode()
    for problem in message.problems:
        (problem.text + problem.path).encode()
    return message


@given(st.binary() | mangled | texts)
@example(b'"')
def test_any_bytes_are_decoded_without_raising(text: bytes) -> None:
    message = check_sane(text)
    try:
        value = json.loads(text.decode("utf-8"))
    except ValueError:
        assert message.problems
    else:
        assert not {"json.syntax", "json.truncated", "json.empty"} & set(codes(message)), value


@given(mangled | texts)
def test_the_short_cut_gives_what_the_exact_reading_gives(text: bytes) -> None:
    assert decode(text) == decode_exactly(text)


@given(st.text("ABCDEFGH", min_size=12, max_size=12), st.data())
def test_problems_never_repeat_a_value(canary: str, data: st.DataObject) -> None:
    shapes = [
        [2, canary, canary, {"k": canary}],
        [2, "a", "Heartbeat", canary],
        [2, "a", "Heartbeat", [canary]],
        [2, [canary], {canary: canary}, json.dumps({"k": canary})],
        [3, "a", canary, {"k": canary}],
        [4, canary * 9, canary, canary * 30, [canary]],
        [9, canary, canary],
        [canary, canary, canary],
        {"k": canary},
        canary,
    ]
    text = json.dumps(data.draw(st.sampled_from(shapes))).encode()
    text = text[: data.draw(st.integers(0, len(text)))] + data.draw(
        st.sampled_from([b"", b"\xff", b"]", b'"' + canary.encode()])
    )
    for problem in decode(text).problems:
        assert canary not in problem.text + problem.path
