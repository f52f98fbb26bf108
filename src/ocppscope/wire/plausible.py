"""Which bytes can stand where in an OCPP text of which some bytes are unknown: a finite automaton with wildcards.

The automaton knows the frame of a message (`[2,"…","Action",{…}]`, OCPP-J 1.6 §4.2, 2.0.1 part 4 §4) and the order of
JSON tokens (RFC 8259), but does not count brackets. It runs over many assumptions at once, as columns, or forward
and backward over one text. It holds no knowledge of any action or element, and it may not decide what is done.
"""

from __future__ import annotations

import re
from functools import lru_cache, reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Column = Callable[[int, NDArray[np.intp]], NDArray[np.uint8] | int]

WILDCARD = 0
"""The byte that stands for an unknown one; JSON has no raw NUL."""

STEPS_KEPT = 1 << 15
"""Results of each step that are kept."""

_WORDS = re.compile(rb'[^"]{0,15}"|[^"]{1,16}')
"""What is read at once of known bytes: names and values come again and again, and what they do is remembered."""
_NO_WORDS: list[bytes] = []

_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(range(0x80, 0x100))
_IN_STRING = _PRINTABLE - frozenset(b'"\\')
_CAPITAL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IN_NAME = _CAPITAL | frozenset(b"abcdefghijklmnopqrstuvwxyz-")  # "-" as in BootNotification-Signed
_NUMBER = frozenset(b"0123456789.eE+-")
_WORD = frozenset(b"aeflnrstu")  # the letters of true, false, null

_Rules = tuple[tuple[str, frozenset[int], str], ...]


def _header(kind: str, digits: bytes) -> _Rules:
    """`[`, the message type, the id, up to the comma after it."""
    return (
        ("type", frozenset(digits), f"{kind} typed"),
        (f"{kind} typed", frozenset(b","), f"{kind} id"),
        (f"{kind} id", frozenset(b" "), f"{kind} id"),
        (f"{kind} id", frozenset(b'"'), f"{kind} id opened"),
        (f"{kind} id opened", _IN_STRING, f"{kind} in id"),
        (f"{kind} in id", _IN_STRING, f"{kind} in id"),
        (f"{kind} in id", frozenset(b'"'), f"{kind} id closed"),
        (f"{kind} id closed", frozenset(b","), f"{kind} rest"),
        (f"{kind} rest", frozenset(b" "), f"{kind} rest"),
    )


def _string(before: str, first: frozenset[int], chars: frozenset[int], after: str) -> _Rules:
    """A string between `before` and the comma that leads to `after`."""
    return (
        (before, frozenset(b'"'), f"first {before}"),
        (f"first {before}", first, f"in {before}"),
        (f"in {before}", chars, f"in {before}"),
        (f"in {before}", frozenset(b'"'), f"end {before}"),
        (f"end {before}", frozenset(b","), after),
        (after, frozenset(b" "), after),
    )


def _value(state: str) -> _Rules:
    return (
        (state, frozenset(b" "), state),
        (state, frozenset(b'"'), "string"),
        (state, frozenset(b"{"), "object"),
        (state, frozenset(b"["), "array"),
        (state, frozenset(b"-0123456789"), "number"),
        (state, frozenset(b"tfn"), "word"),
    )


def _ended(state: str) -> _Rules:
    return (
        (state, frozenset(b","), "next"),
        (state, frozenset(b"}"), "closed"),
        (state, frozenset(b"]"), "after"),
    )


_RULES: _Rules = (
    ("start", frozenset(b"["), "type"),
    *_header("call", b"26"),
    *_header("result", b"3"),
    *_header("error", b"45"),
    *_string("call rest", _CAPITAL, _IN_NAME, "payload"),
    *_string("error rest", _CAPITAL, _IN_NAME, "description"),
    *_string("description", _IN_STRING, _IN_STRING, "payload"),
    ("first description", frozenset(b'"'), "end description"),
    ("result rest", frozenset(b"{"), "object"),
    ("payload", frozenset(b"{"), "object"),
    ("object", frozenset(b" "), "object"),
    ("object", frozenset(b'"'), "key"),
    ("object", frozenset(b"}"), "closed"),
    ("key", _IN_STRING, "key"),
    ("key", frozenset(b'"'), "colon"),
    ("colon", frozenset(b":"), "value"),
    *_value("value"),
    *_value("array"),
    ("array", frozenset(b"]"), "after"),
    *_value("next"),
    ("next", frozenset(b'"'), "key"),
    ("string", _IN_STRING, "string"),
    ("string", frozenset(b"\\"), "escape"),
    ("escape", frozenset(b'"\\/bfnrtu'), "string"),
    ("string", frozenset(b'"'), "after"),
    ("number", _NUMBER, "number"),
    *_ended("number"),
    ("word", _WORD, "word"),
    *_ended("word"),
    *_ended("after"),
    *_ended("closed"),
    ("closed", frozenset(b"]"), "end"),  # the last element is an object
)
_STATES = tuple(dict.fromkeys(state for source, _, target in _RULES for state in (source, target)))
_BIT = {state: 1 << index for index, state in enumerate(_STATES)}
_START, _END = _BIT["start"], _BIT["end"]


def _classes() -> tuple[tuple[int, ...], ...]:
    """The bytes in groups that no rule tells apart."""
    groups: dict[tuple[bool, ...], list[int]] = {}
    for byte in range(256):
        groups.setdefault(tuple(byte in chars for _, chars, _ in _RULES), []).append(byte)
    return tuple(tuple(group) for signature, group in groups.items() if any(signature))


CLASSES = _classes()
"""Groups of bytes that the automaton does not tell apart, without those that can stand nowhere."""
_CLASS_OF = {byte: index for index, group in enumerate(CLASSES) for byte in group}
_MASKS = tuple(sum(1 << byte for byte in group) for group in CLASSES)
ANY = sum(_MASKS)
"""All bytes that can stand somewhere, as a set of bits."""


_AFTER = tuple(
    tuple(sum({_BIT[to] for at, chars, to in _RULES if at == state and group[0] in chars}) for state in _STATES)
    for group in CLASSES
)
_BEFORE = tuple(
    tuple(sum({_BIT[at] for at, chars, to in _RULES if to == state and group[0] in chars}) for state in _STATES)
    for group in CLASSES
)


def _union(table: tuple[int, ...], states: int) -> int:
    found = 0
    while states:
        lowest = states & -states
        found |= table[lowest.bit_length() - 1]
        states ^= lowest
    return found


@lru_cache(STEPS_KEPT)
def _step(states: int, group: int) -> int:
    """The states after a byte of a class."""
    return _union(_AFTER[group], states)


@lru_cache(STEPS_KEPT)
def _back(states: int, group: int) -> int:
    """The states before a byte of a class."""
    return _union(_BEFORE[group], states)


@lru_cache(STEPS_KEPT)
def _groups(allowed: int) -> tuple[int, ...]:
    return tuple(index for index, mask in enumerate(_MASKS) if mask & allowed)


@lru_cache(STEPS_KEPT)
def _after(states: int, allowed: int) -> int:
    """The states after a byte that is one of those."""
    after = 0
    for group in _groups(allowed):
        after |= _step(states, group)
    return after


@lru_cache(STEPS_KEPT)
def _between(before: int, after: int, allowed: int) -> tuple[int, int]:
    """Of the states `before`, those from which one of the bytes leads to a state `after`; and those bytes."""
    sources, kept = 0, 0
    for group in _groups(allowed):
        found = _back(after, group) & before
        if found:
            sources |= found
            kept |= _MASKS[group]
    return sources, kept


@lru_cache(STEPS_KEPT)
def _read(states: int, word: bytes) -> int:
    """The states after a word."""
    for byte in word:
        states = _step(states, _CLASS_OF[byte]) if byte in _CLASS_OF else 0
    return states


@lru_cache(STEPS_KEPT)
def _read_back(states: int, word: bytes) -> int:
    """The states before a word."""
    for byte in reversed(word):
        states = _back(states, _CLASS_OF[byte]) if byte in _CLASS_OF else 0
    return states


def narrow(text: bytes, unknown: Mapping[int, int]) -> dict[int, int] | None:
    """For each unknown place the set of its bytes (bits) with which the whole can be a text; None if it cannot.

    `unknown` holds the places in their order, each with the set of bytes that are thought of; what `text` has there
    does not matter.
    """
    steps: list[tuple[int, int, list[bytes]]] = []
    states, at = _START, 0
    for place, allowed in unknown.items():
        words = _WORDS.findall(text, at, place) if at < place else _NO_WORDS
        if words:
            states = reduce(_read, words, states)
        steps.append((states, allowed, words))
        states, at = _after(states, allowed), place + 1
    words = _WORDS.findall(text, at)
    if not reduce(_read, words, states) & _END:
        return None
    states = reduce(_read_back, reversed(words), _END)
    narrowed = []
    for before, allowed, words in reversed(steps):
        states, kept = _between(before, states, allowed)
        narrowed.append(kept & allowed)
        if words:
            states = reduce(_read_back, reversed(words), states)
    return dict(zip(unknown, reversed(narrowed), strict=True))


_COLUMN = np.array([_CLASS_OF.get(byte, len(CLASSES)) for byte in range(256)])
_COLUMN[WILDCARD] = len(CLASSES) + 1


_UNMADE = 0x8000  # marks a transition to a state whose own row may not be there yet
_SIFT = 16  # places after which the texts that have failed are left out


class _Automaton:
    """Sets of states that texts have led to, as rows of a table that are filled in when they are first needed."""

    def __init__(self) -> None:
        self._numbers = {0: 0, _START: 1}
        self._sets = [0, _START]
        self._moves = np.zeros((64, 256), np.uint16)
        self._made = {0}
        self._make(1)

    def _make(self, number: int) -> None:
        if number in self._made:
            return
        self._made.add(number)
        while number >= len(self._moves):
            self._moves = np.concatenate([self._moves, np.zeros_like(self._moves)])
        states = self._sets[number]
        reached = [_step(states, group) for group in range(len(CLASSES))]
        wild = 0
        for after in reached:
            wild |= after
        self._moves[number] = np.array([self._number(after) for after in (*reached, 0, wild)], np.uint16)[_COLUMN]

    def _number(self, states: int) -> int:
        number = self._numbers.setdefault(states, len(self._sets))
        if number == len(self._sets):
            self._sets.append(states)
        return number | _UNMADE if number else 0

    def _move(self, states: NDArray[np.uint16], column: NDArray[np.uint8] | int) -> NDArray[np.uint16]:
        moved: NDArray[np.uint16] = self._moves[states, column]
        if len(moved) and int(moved.max()) >= _UNMADE:
            moved &= _UNMADE - 1
            for number in np.unique(moved).tolist():
                self._make(number)
            self._moves[states, column] = moved
        return moved

    def run(self, length: int, count: int, column: Column) -> NDArray[np.intp]:
        """Which of `count` texts of `length` bytes are OCPP's."""
        alive = np.arange(count)
        states = np.ones(count, np.uint16)
        for place in range(length):
            states = self._move(states, column(place, alive))
            if place % _SIFT == 0:
                alive, states = alive[states != 0], states[states != 0]
                if not len(alive):
                    break
        return alive[[bool(self._sets[state] & _END) for state in states.tolist()]]


_automaton = _Automaton()


def fitting(length: int, count: int, column: Column) -> NDArray[np.intp]:
    """Which of `count` texts of `length` bytes can be OCPP's.

    `column(place, which)` is the byte at a place of those texts, or of all of them; `WILDCARD` if it is not known.
    """
    return _automaton.run(length, count, column)
