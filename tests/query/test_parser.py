"""The grammar: precedence, spellings, and every way to get it wrong with the place and the advice."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.query import parser
from ocppscope.query.filter import FilterError, compile_filter
from ocppscope.query.lexer import MAX_FILTER, tokens
from ocppscope.query.parser import Alone, Both, Comparison, Either, Inverse, parse
from query.support_subjects import WORDS
from store.support_store import call


def shown(node):
    match node:
        case Either(terms):
            return "(" + " | ".join(map(shown, terms)) + ")"
        case Both(terms):
            return "(" + " & ".join(map(shown, terms)) + ")"
        case Inverse(term):
            return f"-{shown(term)}"
        case Comparison(field, sign, values):
            return f"{field.text}{sign}{','.join(value.text for value in values)}"
        case Alone(token):
            return token.text


TREES = [
    ("a", "a"),
    ("a or b and c", "(a | (b & c))"),
    ("a and b or c", "((a & b) | c)"),
    ("a or b or c and d and e", "(a | b | (c & d & e))"),
    ("(a or b) and c", "((a | b) & c)"),
    ("not a and b", "(-a & b)"),
    ("not not a", "--a"),
    ("!a==1", "-a==1"),
    ("!(a)", "-a"),
    ("a==1&&b!=2||c<3", "((a==1 & b!=2) | c<3)"),
    ("a in{1,2,}", "ain1,2"),
    ("a in {x y, 'z z'}", "ainx,y,z z"),
    ("a not in {1} and b", "(-ain1 & b)"),
    ("a not contains b", "-acontainsb"),
    ("a contains and", "acontainsand"),
    ("a ~ b", "amatchesb"),
    ("a GE 5 Or b", "(a>=5 | b)"),
    ("DE*VOL*E000007", "DE*VOL*E000007"),
    ("fe80::1", "fe80::1"),
    ("a == 'it\\'s'", "a==it's"),
    ('a == "\\\\d"', "a==\\d"),
    ('a == "\\d"', "a==\\d"),
    ("payload.a[*].b[0]>1", "payload.a[*].b[0]>1"),
]


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_trees(text, tree):
    assert shown(parse(text)) == tree


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_empty(text):
    assert parse(text) is None
    assert compile_filter(text).is_empty


WRONG = [
    # the filter, the part that is wrong, what the message and the hint say
    ("actoin == x", "actoin", "no field “actoin”", "“action”"),
    ("ocpp.latancy > 2s", "ocpp.latancy", "no field “latancy”", "“latency”"),
    ("zzzz == 1", "zzzz", "no field", "ocppscope fields"),
    ("latency > 2", "2", "no value of “latency”", "2s or 2ms"),
    ("latency > 2 parsecs", "parsecs", "without an operator", ""),
    ("latency > 2sec", "2sec", "no value", "ms, s, m"),
    ("size > 4kb", "4kb", "no value", "KiB"),
    ("time > yesterday", "yesterday", "no value", "2026-11-22T10:00"),
    ("time > 2026-13-01", "2026-13-01", "no value", ""),
    ("frames > many", "many", "no value", "whole number"),
    ("row == 99999999999999999999", "99999999999999999999", "too large", ""),
    ("compressed == maybe", "maybe", "no value", "true or false"),
    ("kind == CALLRESLT", "CALLRESLT", "never “CALLRESLT”", "“callresult”"),
    ("side == backend", "backend", "never", "station, csms"),
    ("problem == schema.requird", "schema.requird", "never", "schema.required"),
    ("outcome in {answered, foo}", "foo", "never", "pending"),
    ("action > x", "action > x", "no order", "contains"),
    ("kind < CALL", "kind < CALL", "no order", ""),
    ("latency contains 5", "5", "no text", "duration"),
    ("payload.x > 2s", "2s", "no unit", "quotes"),
    ("payload.x > true", "true", "no order", ""),
    ("payload..x == 1", "..x", "cannot be read", "payload.key"),
    ("payload.a[x]", "[x]", "cannot be read", ""),
    ("ocpp.payload.a[", "[", "cannot be read", ""),
    ('action matches "a(b"', "(b", "wrong: missing )", ""),
    ('action matches "(a+)+b"', "(a+)+b", "take for ever", "contains"),
    ("action = x", "=", "no operator", "=="),
    ("a & b", "&", "no operator", "&&"),
    ('action == "x', '"x', "no end", '"'),
    ("action ==", "==", "value is missing", ""),
    ("action == and", None, None, None),
    ("action == )", "== )", "value is missing", ""),
    ("a and", "", "ends too early", ""),
    ("a or or b", "or", "cannot stand here", ""),
    ("(a or b", "(", "never closed", ")"),
    ("a in {1", "{", "never closed", "}"),
    ("a)", ")", "cannot stand", ""),
    ("kind in CALL", "CALL", "list of values", "{CALL, SEND}"),
    ("kind in {}", "{}", "empty", ""),
    ("kind in {CALL == SEND}", "{CALL ==", "value is missing", ""),
    ("a b", "b", "without an operator", "“and”"),
    ('"action" == x', '"action"', "on the left", "without quotes"),
    ('error or ""', '""', "every message", ""),
    ("@nope", "@nope", "no filter named “nope”", "configuration"),
    ("@slwo", "@slwo", "no filter named", "“slow”"),
    ("error and @broken", "@broken", "In @broken: There is no field “actoin”", "action"),
    ("@loop", "@loop", "leads back", ""),
    ("@empty", "@empty", "empty", ""),
    ("@bomb9", "@bomb9", "too many", ""),
]
NAMED = {
    "slow": "latency > 2s", "broken": "actoin == x", "loop": "a or @loop2", "loop2": "@loop", "empty": " ",
    "bomb0": "a", **{f"bomb{n}": f"@bomb{n - 1} or @bomb{n - 1}" for n in range(1, 10)},
}  # fmt: skip


@pytest.mark.parametrize(("text", "part", "message", "hint"), WRONG, ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_said_with_its_place(text, part, message, hint):
    if part is None:
        compile_filter(text, NAMED)
        return
    with pytest.raises(FilterError) as caught:
        compile_filter(text, NAMED)
    error = caught.value
    assert text[error.start : error.stop] == part
    assert message in error.message
    assert hint in error.hint


def test_named_filters_may_be_nested():
    compiled = compile_filter("@a", {"a": "@b and @b", "b": "@c", "c": "action"})
    assert compiled.matches(call(0), None)


BOUNDS = [
    ("(" * (parser.MAX_DEPTH + 1) + "a" + ")" * (parser.MAX_DEPTH + 1), "nested too deeply"),
    ("not " * 2000 + "a", "nested too deeply"),
    ("!" * 5000 + "a", "nested too deeply"),
    (" or ".join("a" * (parser.MAX_TERMS + 1)), "too many terms"),
    ("a" * (MAX_FILTER + 1), "too long"),
    ("payload" + ".a" * 33, "too long"),
    ("action matches " + "a" * 501, "too long"),
]


@pytest.mark.parametrize(("text", "message"), BOUNDS, ids=[message for _, message in BOUNDS])
def test_bounds(text, message):
    with pytest.raises(FilterError, match=message):
        compile_filter(text)


def test_just_below_the_bounds():
    deep = parser.MAX_DEPTH - 1
    assert compile_filter("(" * deep + "action" + ")" * deep).matches(call(0), None)
    assert compile_filter(" or ".join(["zz"] * (parser.MAX_TERMS - 1) + ["action"])).matches(call(0), None)


PIECES = st.sampled_from(
    ["action", "latency", "payload.a", "==", "in", "{", "}", "(", ")", "not", "and", "or", '"', "'", "2s", "x",
     "@slow", "!", "&", "matches", "[", "*", "\\", "..", ",", "~", "ocpp.", *WORDS]
)  # fmt: skip


@given(
    st.text(max_size=40) | st.lists(PIECES, max_size=10).map(" ".join) | st.lists(PIECES, max_size=10).map("".join)
)
def test_any_text_is_a_filter_or_an_error_with_a_place(text):
    try:
        compiled = compile_filter(text, NAMED)
    except FilterError as error:
        wrong = error
    else:
        compiled.matches(call(0), None)
        return
    assert 0 <= wrong.start <= wrong.stop <= len(text) + 1
    assert wrong.message.endswith(".")


@given(st.text(max_size=30))
def test_tokens_cover_what_they_say(text):
    try:
        found = tokens(text)
    except FilterError:
        return
    for token in found:
        assert token.kind in ("text", "end") or text[token.start : token.stop] == token.text
    assert not "".join(text[a.stop : b.start] for a, b in pairwise(found)).strip()
