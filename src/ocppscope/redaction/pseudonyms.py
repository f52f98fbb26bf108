"""Pseudonyms that keep their shape: an identifier becomes another of its length, with its kinds of characters.

One value has one pseudonym, wherever it stands and in whichever case it is written; different values have different
ones where there are enough. Which pseudonym it is, is up to a key (HMAC-SHA256). What was replaced, and by what, is
remembered for as long as the redactor lives, in the memory of this process only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from ocppscope.errors import UsageError
from ocppscope.redaction.detectors import Sign, hits

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KNOWN = 200_000
"""Different identifiers and secrets of one export."""
MAX_KNOWN_CHARS = 256
"""Longest identifier, in characters, that is looked for in other texts; of a longer one its beginning is."""
MAX_TRIES = 64
"""Pseudonyms that are tried until one is free; where none is, two values share one, which is counted."""
MAX_TRIES_SHORT = 4096
"""Likewise of a short value, of which there are not many; the last of these may be another value's original."""
_SHORT = 4
_DIGEST_BYTES = 32

_SURROGATES = re.compile("[\ud800-\udfff]")
_HEX_ONLY = re.compile(r"[0-9A-Fa-f\W_]+", re.ASCII)
_LATIN = "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþ"


def folded(text: str) -> str:
    """Lower case, character by character."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(low if len(low := one.lower()) == 1 else one for one in text)


class Pseudonyms:
    """The pseudonyms of one run."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._shapes: dict[str, str] = {}  # folded original → folded pseudonym
        self._taken: set[str] = set()
        self.shared = 0  # values whose pseudonym another value had already

    def __len__(self) -> int:
        """How many there are."""
        return len(self._shapes)

    def __iter__(self) -> Iterator[str]:
        """The originals, folded."""
        return iter(self._shapes)

    def digest(self, what: str, data: bytes) -> bytes:
        """32 bytes that only the key explains; `what` keeps uses apart."""
        return hmac.digest(self._key, what.encode() + b"\0" + data, "sha256")

    def knows(self, text: str) -> bool:
        """Whether it has a pseudonym."""
        return folded(text) in self._shapes

    def is_pseudonym(self, text: str) -> bool:
        """Whether it was given out as a pseudonym."""
        return folded(text) in self._taken or folded(_SURROGATES.sub("\ufffd", text)) in self._taken

    def of(self, text: str) -> str:
        """The pseudonym of an identifier, in its case. What holds neither letter nor digit stays."""
        low = folded(text)
        shape = self._shapes.get(low)
        if shape is None:
            shape = self._shapes[low] = self._new(low)
            self._taken |= {shape, _SURROGATES.sub("\ufffd", shape)}  # as it reads where bytes are no text
        if low == text:
            return shape
        return "".join(new.upper() if old != plain else new for old, plain, new in zip(text, low, shape, strict=True))

    def _new(self, low: str) -> str:
        if len(self._shapes) >= MAX_KNOWN:
            raise too_many()
        data = low.encode("utf-8", "surrogatepass")
        first = ""
        for attempt in range(MAX_TRIES_SHORT if len(low) <= _SHORT else MAX_TRIES):
            shape = _shaped(low, self._stream(data, attempt))
            if shape == low or (attempt < MAX_TRIES - 1 and _holds_another(shape)):
                continue
            if shape not in self._taken and (attempt >= MAX_TRIES or shape not in self._shapes):
                return shape
            first = first or shape
        self.shared += first in self._taken
        return first or low

    def _stream(self, data: bytes, attempt: int) -> Iterator[int]:
        """As many numbers below 65536 as are asked for."""
        seed = self.digest(f"text {attempt}", data)
        block = 0
        while True:
            for at in range(0, _DIGEST_BYTES, 2):
                yield seed[at] << 8 | seed[at + 1]
            block += 1
            seed = hashlib.sha256(seed + block.to_bytes(4, "big")).digest()


def _holds_another(shape: str) -> bool:
    """Whether a part of a pseudonym looks like an identifier by itself: the search for leaks would find it."""
    return any(hit.end - hit.start < len(shape) for hit in hits(shape.upper()) if hit.sign is Sign.EMAID)


def too_many() -> UsageError:
    """More than can be remembered, and what is not remembered cannot be looked for."""
    what = f"There are more than {MAX_KNOWN:,} different identifiers and secrets to redact."
    return UsageError(what, "Export a part: a filter, a time range or some of the stations.")


def _shaped(low: str, stream: Iterator[int]) -> str:
    """The first digit stays a zero or becomes none, so that numbers and serial numbers stay well-formed."""
    letters = 6 if _HEX_ONLY.fullmatch(low) else 26
    shape = []
    for at, char in enumerate(low):
        if "0" <= char <= "9":
            first = at == 0
            shape.append(char if first and char == "0" else chr(48 + first + next(stream) % (10 - first)))
        elif "a" <= char <= "z":
            shape.append(chr(97 + next(stream) % letters))
        else:
            shape.append(_other(char, stream))
    return "".join(shape)


def _other(char: str, stream: Iterator[int]) -> str:
    """Another letter that takes as many bytes, where the character is a letter beyond ASCII."""
    if char < "\x80" or not char.isalnum():
        return char
    if char < "\u0800":
        return _LATIN[next(stream) % len(_LATIN)]
    return chr((0x4E00 if char < "\U00010000" else 0x20000) + next(stream) % 0x5000)
