"""Filters that are meant to hurt: long, deep, and regular expressions that backtrack for ever elsewhere.

The bound on CPU time is the promise itself: a filter is typed, and the screen waits for it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from support_bombs import measure, ordinary, write_session

from ocppscope.query.lexer import FilterError
from ocppscope.query.patterns import compile_pattern
from support_cli import Session

CPU_SECONDS = 1.0
TEXT = "a" * 100_000 + "!"

EVIL = [
    "(a+)+b", "(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*a){20}b", "(a?){50}a{50}b", "(a+){10}b", "((a+)+)+b", "^(a+)+$",
    "(a*)*$", "([a-z]+)*!!", "(x+x+)+y", "a*a*a*a*a*a*b", ".*.*.*.*.*b", "(.*)(.*)(.*)(.*)b", "a{0,1000}a{0,1000}b",
    "(a{1,1000}){1,1000}b", "(?:a|b|ab)*c", "(?=(a+))a*b", "(a+)\\1+b", "(?<=a)(a+)+b", "(?:a+|a+)+b",
    "(a|b|c|d)*e*f",
    "((a{0,100}){0,100}){0,100}b", "a++b", "(?>a+)b", "(?i)(a+)+b", "\\w+\\w+\\w+\\w+!!", "[ab]*[ab]*[ab]*[ab]*c",
    "(?:(?:(?:a?)?)?)*b", "a" * 499, "a?" * 249, "(" * 200 + "a" + ")" * 200, "[^b]*" * 30 + "b", "(a|ab|abc)*$",
    "(?:.*?){20}b", "^.*a.*a.*a.*a.*a.*$b", "a{99999}", "(a{999}){999}", "(?:a{0,9}){0,9}" * 5 + "b",
]  # fmt: skip


def cost(pattern: str, text: str) -> tuple[float, bool]:
    """CPU seconds of compiling and searching, and whether it was refused."""
    begun = time.process_time()
    try:
        compile_pattern.__wrapped__(pattern).found_in(text)
    except FilterError:
        return time.process_time() - begun, True
    return time.process_time() - begun, False


@pytest.mark.parametrize("pattern", EVIL, ids=range(len(EVIL)))
def test_an_evil_pattern_is_refused_or_bounded(pattern: str):
    for text in (TEXT, "ab" * 50_000, "x" * 100_000, "a b" * 1000):
        assert cost(pattern, text)[0] < CPU_SECONDS


def test_some_are_refused_and_some_are_not():
    refused = [pattern for pattern in EVIL if cost(pattern, "")[1]]
    assert "(a+)+b" in refused
    assert "a++b" not in refused
    assert "(?>a+)b" not in refused


def test_a_pattern_has_a_length():
    with pytest.raises(FilterError, match="too long"):
        compile_pattern("a" * 501)


FILTERS = {
    "a megabyte": "action == 'x' or " * 60_000 + "action",
    "many terms": "error or " * 5_000 + "error",
    "many brackets": "(" * 10_000 + "error" + ")" * 10_000,
    "many nots": "not " * 10_000 + "error",
    "many exclamation marks": "!" * 9_000 + "error",
    "a long set": "action in {" + ", ".join(f'"A{n}"' for n in range(900)) + "}",
    "a long path": "payload" + ".a" * 3_000 + " == 1",
    "a long path of stars": "payload" + "[*]" * 3_000 + " == 1",
    "a large number": "latency > " + "9" * 9_000 + "s",
    "a number of the smallest": "latency > 1e-999999999",
    "a long word": "x" * 9_000,
    "an open text": '"' + "x" * 9_000,
    "an evil pattern": 'action matches "(a+)+b"',
    "control characters": "\x1b[2J\x00 == \x07",
    "a time out of range": 'time > "999999999-01-01T00:00"',
}


def test_filters(tmp_path: Path):
    path = write_session(tmp_path / "c.pcap", ordinary(Session().upgrade()))
    taken = {name: text for name, text in FILTERS.items() if len(text) < 100_000 and "\0" not in text}
    found = measure(tmp_path, *(("log", path, "-Y", text) for text in taken.values()))
    for name, ran in zip(taken, found, strict=True):
        assert ran.code in (0, 2), (name, ran.err)
        assert ran.cpu < CPU_SECONDS, (name, ran.cpu)
        assert all(ord(letter) >= 32 or letter == "\n" for letter in ran.err), name
        assert len(ran.err) < 5000, name


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_fails_otherwise_than_with_a_sentence(name: str):
    from ocppscope.query.filter import compile_filter

    begun = time.process_time()
    with suppress(FilterError):
        compile_filter(FILTERS[name])
    assert time.process_time() - begun < CPU_SECONDS
