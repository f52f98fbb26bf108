"""Drafts: what is wrong with a text, and that laying it out and pressing it together change nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Side, Version
from ocppscope.tui.drafts import MAX_DRAFT, Setting, call_of, compact, judge, judge_payload, laid_out

STATION = Setting(Version.V16, Side.STATION)
AUTHORIZE = '[2,"1","Authorize",{"idTag":"A"}]'

MESSAGES = [
    (AUTHORIZE, STATION, []),
    ('[2,"1","Authorize",{}]', STATION, [("missing", "")]),
    ('[2,"1","Authorize",{"idTag":5}]', STATION, [("string", "/idTag")]),
    ('[2,"1","Reset",{"type":"Soft"}]', STATION, [("only the CSMS", "")]),
    ('[2,"1","Reset",{"type":"Soft"}]', STATION._replace(side=Side.CSMS), []),
    ('[3,"1",{"idTagInfo":{"status":"Accepted"}}]', Setting(Version.V16, Side.CSMS, "Authorize"), []),
    (
        '[3,"1",{"idTagInfo":{"status":"Fine"}}]',
        Setting(Version.V16, Side.CSMS, "Authorize"),
        [("", "/idTagInfo/status")],
    ),
    ('[3,"1",{}]', Setting(Version.V16, Side.CSMS), []),
    ('[4,"1","Nope","",{}]', STATION, [("error code", "")]),
    ('[2,"1","Anything",{}]', Setting(Version.UNKNOWN, Side.STATION), []),
    ("{}", STATION, [("array", "")]),
]


@pytest.mark.parametrize(("text", "setting", "expected"), MESSAGES)
def test_what_is_wrong_with_a_message(text, setting, expected):
    found = judge(text, setting)
    assert found.is_json
    assert len(found.objections) == len(expected), found
    for objection, (words, where) in zip(found.objections, expected, strict=True):
        assert words in objection.text
        assert objection.where == where


BROKEN = [
    ("", "there is nothing", ""),
    ("  \n", "there is nothing", ""),
    ('[2,\n "1",\n]', "", "line 3, column 1"),
    ('{"a" 1}', "colon is missing", "line 1, column 6"),
    ('["a" 1]', "comma is missing", "line 1, column 6"),
    ('["a', "no closing quote", "line 1, column 2"),
    ("[] []", "more after the end", "line 1, column 4"),
    ("[" * 5000, "nested", ""),
    (f'["{"x" * MAX_DRAFT}"]', "at most", ""),
]


@pytest.mark.parametrize(("text", "words", "where"), BROKEN)
def test_what_is_no_json(text, words, where):
    found = judge(text, STATION)
    assert not found.is_json
    (objection,) = found.objections
    assert words in objection.text
    assert objection.where == where
    assert compact(text) == text


def test_a_number_of_any_length_is_judged():
    assert judge(f'[2,"1","Heartbeat",{{"x":{"9" * 10_000}}}]', STATION).is_json


def test_what_is_wrong_with_a_payload():
    assert judge_payload('{"type":"Soft"}', "Reset", Setting(Version.V16, Side.CSMS)).objections == ()
    (wrong,) = judge_payload('{"type":"Mild"}', "Reset", Setting(Version.V16, Side.CSMS)).objections
    assert wrong.where == "/type"
    broken = judge_payload('{"type":}', "Reset", Setting(Version.V16, Side.CSMS))
    assert broken.objections[0].where == "line 1, column 9"
    assert judge_payload("[1]", "Reset", STATION).objections
    assert judge_payload("{}],[{}", "Reset", STATION).objections, "a payload cannot end its message"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(values, st.sampled_from([None, 1, 4]), st.booleans())
def test_layout_changes_no_value(value, indent, is_ascii):
    text = json.dumps([value], indent=indent, ensure_ascii=is_ascii)
    shown = laid_out(text)
    assert all(one.isprintable() or one == "\n" for one in shown)
    assert json.loads(shown) == [value]
    pressed = compact(shown)
    assert json.loads(pressed) == [value]
    assert "\n" not in pressed
    assert compact(pressed) == pressed


@pytest.mark.parametrize("text", ["[1.0, 1e5, 100000000000000000000000001]", '{"a": 1, "a": 2}', '["\\u0041\\/"]'])
def test_what_a_reader_would_lose_is_kept(text):
    assert compact(laid_out(text)) == text.replace(" ", "")


def test_what_is_no_json_is_laid_out_as_it_is():
    assert laid_out("[1,\x1b") == "[1,\x1b"


def test_the_call_in_a_text():
    assert call_of(AUTHORIZE) == ("Authorize", '{"idTag":"A"}')
    assert call_of('[6,"1","NotifyPeriodicEventStream",{}]') == ("NotifyPeriodicEventStream", "{}")
    for text in ('[3,"1",{}]', "", "{", '[2,"1","Authorize"]'):
        assert call_of(text) is None
