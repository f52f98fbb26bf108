"""Reading a payload that may hold anything: every access names the type that it wants and gets that or nothing.

A peer may send a list where the schema has a number. What is wrong with a payload has been said by the schema's
problems; rules only want to know whether a value of the right type is there.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.json import Decoder

from ocppscope.model import Kind
from ocppscope.ocpp import codec

if TYPE_CHECKING:
    from ocppscope.model import Message

MAX_ITEMS = 4096
"""Elements of one array that rules look at."""
MAX_TEXT = 1 << 16
"""Characters of a string that rules look at."""

decode = Decoder().decode
"""JSON that is known to be valid."""
_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Payload:
    """An object of JSON, read by type."""

    __slots__ = ("data",)

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __contains__(self, name: str) -> bool:
        """Whether there is anything of that name."""
        return name in self.data

    def __bool__(self) -> bool:
        """Whether there is anything at all."""
        return bool(self.data)

    def __eq__(self, other: object) -> bool:
        """By content."""
        return isinstance(other, Payload) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]  # mutable inside

    def text(self, name: str) -> str:
        """A string, "" if there is none."""
        value = self.data.get(name)
        return value[:MAX_TEXT] if isinstance(value, str) else ""

    def whole(self, name: str) -> int | None:
        """An integer, also one written as 300.0."""
        value = self.data.get(name)
        if type(value) is int:
            return value
        return int(value) if type(value) is float and value.is_integer() else None

    def number(self, name: str) -> float | None:
        """A finite number."""
        value = self.data.get(name)
        return as_number(value) if type(value) in (int, float) else None

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.data.get(name)
        return value if isinstance(value, bool) else None

    def table(self, name: str) -> Payload:
        """An object, an empty one if there is none."""
        value = self.data.get(name)
        return Payload(value) if isinstance(value, dict) else _NOTHING

    def tables(self, name: str) -> list[Payload]:
        """The objects of an array."""
        value = self.data.get(name)
        if not isinstance(value, list):
            return []
        return [Payload(item) for item in value[:MAX_ITEMS] if isinstance(item, dict)]

    def texts(self, name: str) -> list[str]:
        """The strings of an array."""
        value = self.data.get(name)
        return [item for item in value[:MAX_ITEMS] if isinstance(item, str)] if isinstance(value, list) else []

    def time_ns(self, name: str) -> int | None:
        """A date-time in ns since the epoch; one without a zone is taken for UTC."""
        value = self.data.get(name)
        return moment(value) if isinstance(value, str) else None


_NOTHING = Payload({})
_HUGE = 1e300


def as_number(value: object) -> float | None:
    """A finite number of a JSON value, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if -_HUGE < value < _HUGE else None


@lru_cache(1 << 12)
def moment(text: str) -> int | None:
    """An RFC 3339 date-time in ns since the epoch, None if it is none; without a zone it is taken for UTC."""
    if not 10 < len(text) < 64:
        return None
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        since = when - _EPOCH
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1000


class Said(NamedTuple):
    """The content of a message; of an error what it says, else empty."""

    payload: Payload
    error_code: str = ""
    error_text: str = ""


def said(message: Message) -> Said:
    """What a message says, as far as it can be read."""
    if message.kind is Kind.UNPARSED:
        return Said(_NOTHING)
    if not message.problems:
        elements = decode(message.text)
        if message.kind is Kind.CALLRESULT:
            return Said(Payload(elements[2]))
        if message.kind is Kind.CALL and elements[2] == message.action:
            return Said(Payload(elements[3]))
    raw = codec.decode(message.text)
    return Said(
        _loaded(raw.payload or raw.error_details), raw.error_code[:MAX_TEXT], raw.error_description[:MAX_TEXT]
    )


def _loaded(text: bytes) -> Payload:
    try:
        value = json.loads(text.decode("utf-8", "replace")) if text else None
    except (ValueError, RecursionError):
        return _NOTHING
    return Payload(value) if isinstance(value, dict) else _NOTHING
