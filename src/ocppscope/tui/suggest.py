"""What a filter that is being typed means: whether it can be understood, where not, and what could stand next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.query.complete import Suggestion, complete
from ocppscope.query.filter import Filter, FilterError, compile_filter

if TYPE_CHECKING:
    from ocppscope.store.store import Store

MAX_SHOWN = 8
"""Suggestions that are shown at once."""
MAX_HISTORY = 200
"""Filters that are remembered."""


class Verdict(NamedTuple):
    """A filter, or what is wrong with it: a sentence, where, and what may help."""

    filter: Filter | None
    message: str = ""
    start: int = 0
    stop: int = 0
    hint: str = ""


def verdict(text: str, named: Mapping[str, str]) -> Verdict:
    """Whether a filter can be understood."""
    try:
        return Verdict(compile_filter(text, named))
    except FilterError as error:
        return Verdict(None, error.message, error.start, max(error.stop, error.start + 1), error.hint)


def suggestions(text: str, cursor: int, store: Store, named: Mapping[str, str]) -> list[Suggestion]:
    """What could stand at the cursor, without what stands there already."""
    found = complete(text, cursor, store, named)
    return [one for one in found if text[one.start : one.stop] != one.text]


def put(text: str, one: Suggestion) -> tuple[str, int]:
    """The filter with a suggestion in its place, and where the cursor is then."""
    space = "" if one.text.endswith(".") or text[one.stop : one.stop + 1] == " " else " "
    return text[: one.start] + one.text + space + text[one.stop :], one.start + len(one.text) + len(space)


class History:
    """Filters that were used, the newest last; a walk through them begins at what is being typed."""

    def __init__(self, texts: list[str] | None = None) -> None:
        self.texts = (texts or [])[-MAX_HISTORY:]
        self._at: int | None = None
        self._typed = ""

    def add(self, text: str) -> None:
        """The newest one."""
        if text.strip():
            self.texts = [*(one for one in self.texts if one != text), text][-MAX_HISTORY:]
        self._at = None

    def older(self, typed: str) -> str:
        """The one before."""
        if self._at is None:
            self._at, self._typed = len(self.texts), typed
        self._at = max(self._at - 1, 0)
        return self.texts[self._at] if self.texts else typed

    def newer(self, typed: str) -> str:
        """The one behind; at last what was being typed."""
        if self._at is None:
            return typed
        self._at += 1
        if self._at >= len(self.texts):
            self._at = None
            return self._typed
        return self.texts[self._at]
