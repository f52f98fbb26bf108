"""What has been redacted, so that it is known again wherever else it stands: in notes, error texts, file names.

An identifier is looked for as a whole token, in any case. Words that stand in every message, and short numbers, are
looked for only where they are the whole text or in quotes: an idTag may be "Test", a connector is not a driver.
Linear: a text is walked once, whatever is known.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.ocpp.schemas import directory
from ocppscope.ocpp.versions import ALL_ACTIONS, COVERED
from ocppscope.redaction.pseudonyms import MAX_KNOWN, MAX_KNOWN_CHARS, folded, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTHS = 64
"""Different lengths of what is known with the same first run of letters and digits; of more, the rest is not bare."""
_RUN = re.compile(r"[^\W_]+")
_QUOTED = re.compile(
    "[\"'\u201c\u2018\u00ab`]([^\"'\u201c\u201d\u2018\u2019\u00ab\u00bb`\n]{1,256})[\"'\u201d\u2019\u00bb`]"
)
EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_FEW = 3


class Entry(NamedTuple):
    """Something known: what it is, and what stands for it."""

    kind: str
    shown: str
    cased: bool  # the pseudonym takes the case of what it stands for

    def standing_for(self, text: str) -> str:
        """What is written instead of a text."""
        if not self.cased or text == folded(text):
            return self.shown
        pairs = zip(text, folded(text), self.shown, strict=True)
        return "".join(new.upper() if old != low else new for old, low, new in pairs)


class Place(NamedTuple):
    """Characters [start, end) of a text."""

    start: int
    end: int
    entry: Entry


class Known:
    """All that was redacted in one run."""

    def __init__(self) -> None:
        self._bare: dict[str, Entry] = {}
        self._whole: dict[str, Entry] = {}
        self._lengths: dict[str, set[int]] = {}  # by the first run
        self.generation = 0  # changes whenever something is learned

    def __len__(self) -> int:
        """How many texts are known."""
        return len(self._whole)

    def learn(self, text: str, shown: str, kind: str, *, cased: bool, sure: bool = False) -> None:
        """Remembers what stands for a text. A `sure` one counts bare although it is short. Raises UsageError."""
        low = folded(text[:MAX_KNOWN_CHARS])
        if low in self._whole and not sure:
            return
        shown = folded(shown[: len(low)]) if cased else shown
        self._learn_whole(low, Entry(kind, shown, cased))
        core = EDGES.sub("", low)
        if core and (is_distinctive(core) or (sure and len(core) >= _FEW and core not in common_words())):
            lead = low.index(core)
            self._learn_bare(core, Entry(kind, shown[lead : lead + len(core)] if cased else shown, cased))

    def _learn_whole(self, low: str, entry: Entry) -> None:
        if low in self._whole:
            return
        if len(self._whole) >= MAX_KNOWN:
            raise too_many()
        self.generation += 1
        self._whole[low] = entry

    def _learn_bare(self, core: str, entry: Entry) -> None:
        lengths = self._lengths.setdefault(_RUN.match(core)[0], set())  # type: ignore[index]
        if core not in self._bare and (len(lengths) < MAX_LENGTHS or len(core) in lengths):
            lengths.add(len(core))
            self._bare[core] = entry
            self.generation += 1

    def whole(self, text: str) -> Entry | None:
        """What stands for a text as a whole."""
        return self._whole.get(folded(text))

    def bare(self, text: str) -> Iterator[Place]:
        """The tokens of a text that are known, in order."""
        if not self._lengths:
            return
        low = folded(text)
        if self._lengths.keys().isdisjoint(_RUN.findall(low)):
            return
        done = 0
        for match in _RUN.finditer(low):
            start = match.start()
            lengths = self._lengths.get(match[0])
            if lengths is None or start < done:
                continue
            for length in sorted(lengths, reverse=True):
                entry = self._bare.get(low[start : start + length])
                if entry is not None and _ends(low, start + length, length):
                    done = start + length
                    yield Place(start, done, entry)
                    break

    def quoted(self, text: str) -> Iterator[Place]:
        """What stands in quotes and is known."""
        for match in _QUOTED.finditer(text):
            entry = self._whole.get(folded(match[1]))
            if entry is not None:
                yield Place(*match.span(1), entry)


def _ends(low: str, end: int, length: int) -> bool:
    return length >= MAX_KNOWN_CHARS or end >= len(low) or not (low[end].isalnum() and low[end - 1].isalnum())


def is_distinctive(core: str) -> bool:
    """Whether a token, in lower case, hardly stands for anything else."""
    digits = sum(char.isdecimal() for char in core)
    if digits == len(core):
        return digits >= 6
    if digits:
        return len(core) >= 4
    odd = any(not char.isalnum() for char in core)
    return len(core) >= (4 if odd else 8) and core not in common_words()


@cache
def common_words() -> frozenset[str]:
    """Names and choices of all schemas, in lower case."""
    words = {action.lower() for action in ALL_ACTIONS} | {"ocppscope", "station", "unknown", "localhost", "message"}
    for version in COVERED:
        for path in directory(version).glob("*.json"):
            _collect(json.loads(path.read_bytes().decode("utf-8-sig")), words)
    return frozenset(words)


def _collect(schema: object, words: set[str]) -> None:
    if isinstance(schema, dict):
        words.update(name.lower() for name in schema.get("properties", ()))
        words.update(name.lower() for name in schema.get("definitions", ()))
        words.update(one.lower() for one in schema.get("enum", ()) if isinstance(one, str))
        for inner in schema.values():
            _collect(inner, words)
