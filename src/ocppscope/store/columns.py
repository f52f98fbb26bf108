"""The columns of some thousand messages: NumPy arrays of fixed length, texts as one blob, texts as small codes.

A chunk never grows and never moves, so that adding a message costs the same at the first row and at the ten
millionth, and a reader may keep looking at an array while the writer fills the rows behind it. Nothing here knows
an event.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

CHUNK_ROWS = 1 << 16
"""Rows of a chunk; retention drops whole chunks."""
MAX_TEXTS = (1 << 16) - 2
"""Distinct texts of a dictionary; the others share the code of `OTHER`."""
MAX_TEXT = 255
"""Characters that are kept of a text in a dictionary, and bytes of a message id."""
OTHER = "…"
"""What a dictionary says of a text that it had no room for, and what ends a text that was cut."""

OUTCOMES = tuple(Outcome)
"""The outcome that a code of the column `outcome` stands for."""
NO_ROW = -1
SPOOL = 0
"""The source of a text that lies in the spool."""
NO_TEXT = (1 << 16) - 1
"""The source of a text that could not be kept."""


class Dictionary(dict[str, int]):
    """Texts and their codes: `dictionary[text]` is its code, `texts[code]` the text. Code 0 is "".

    Bounded in both directions, since a peer chooses the texts.
    """

    def __init__(self, limit: int = MAX_TEXTS) -> None:
        super().__init__({"": 0})
        self.texts = [""]
        self.refused = 0  # texts that found no room
        self._limit = limit

    def __missing__(self, text: str) -> int:
        """Gives a new text a code."""
        key = clipped(text)
        known = self.get(key)
        if known is not None:
            return known
        if len(self.texts) >= self._limit:
            self.refused += 1
            return self._add(OTHER) if OTHER not in self else self[OTHER]
        return self._add(key)

    def _add(self, text: str) -> int:
        code = len(self.texts)
        self.texts.append(text)  # before the code can be seen
        self[text] = code
        return code


def clipped(text: str) -> str:
    """A text as dictionaries keep it."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + OTHER


class Blob:
    """One short byte string a row, all of them in one piece. `ends[i]` is where that of row i - 1 ends."""

    __slots__ = ("data", "ends")

    def __init__(self, rows: int) -> None:
        self.data = bytearray()
        self.ends = np.zeros(rows + 1, np.uint32)

    def write(self, at: int, items: Sequence[bytes]) -> None:
        """The strings of the rows from `at` on, which are the next ones."""
        ends = list(accumulate(map(len, items), initial=len(self.data)))
        self.data += b"".join(items)
        self.ends[at + 1 : at + len(ends)] = ends[1:]

    def get(self, at: int) -> bytes:
        """The string of a row."""
        return bytes(self.data[int(self.ends[at]) : int(self.ends[at + 1])])

    def slice(self, low: int, high: int) -> list[bytes]:
        """The strings of the rows from `low` to before `high`."""
        ends = self.ends[low : high + 1].tolist()
        data = bytes(self.data[ends[0] : ends[-1]])
        base = ends[0]
        return [data[a - base : b - base] for a, b in pairwise(ends)]


class Chunk:
    """The columns of `size` rows from `first` on. The outcome, latency and partner of a CALL are filled in later.

    `partner` is the row of the other message of the exchange, `NO_ROW` if there is none. `latency_ns` counts only
    where `has_latency` is set. `packet` 0 says that no packet is known. A text lies at `place` in `source`.
    """

    __slots__ = (
        "action", "binary", "compressed", "connection", "error", "first", "frames", "has_latency", "ids", "kind",
        "latency_ns", "mask", "ordinal", "outcome", "packet", "packets", "partner", "place", "problems", "side",
        "size", "source", "status", "text_size", "time_ns", "wire_size",
    )  # fmt: skip

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.size = size
        self.time_ns = np.zeros(size, np.int64)
        self.connection = np.zeros(size, np.int32)
        self.ordinal = np.zeros(size, np.uint32)
        self.side = np.zeros(size, np.uint8)
        self.kind = np.zeros(size, np.uint8)
        self.outcome = np.zeros(size, np.uint8)  # index of OUTCOMES
        self.action = np.zeros(size, np.uint16)  # code of Store.actions
        self.status = np.zeros(size, np.uint16)  # code of Store.statuses
        self.error = np.zeros(size, np.uint16)  # code of Store.errors
        self.compressed = np.zeros(size, np.bool_)
        self.binary = np.zeros(size, np.bool_)
        self.text_size = np.zeros(size, np.uint32)
        self.wire_size = np.zeros(size, np.uint32)
        self.frames = np.zeros(size, np.uint16)
        self.packet = np.zeros(size, np.uint32)  # the first one
        self.partner = np.zeros(size, np.int64)
        self.latency_ns = np.zeros(size, np.int64)
        self.has_latency = np.zeros(size, np.bool_)
        self.problems = np.zeros(size, np.uint32)  # code of Store.problem_sets
        self.place = np.zeros(size, np.int64)
        self.source = np.zeros(size, np.uint16)
        self.mask = np.zeros(size, np.uint32)
        self.ids = Blob(size)
        self.packets = Blob(size)  # the packets after the first, 4 bytes each

    @property
    def stop(self) -> int:
        """The row after the last one."""
        return self.first + self.size


def integers(values: Iterable[int], count: int) -> NDArray[np.int64]:
    """A column of integers; what is beyond 64 bits is taken for the nearest that is not."""
    values = values if isinstance(values, (list, tuple)) else list(values)
    try:
        return np.fromiter(values, np.int64, count)
    except OverflowError:
        low, high = -(1 << 63), (1 << 63) - 1
        return np.fromiter((min(max(value, low), high) for value in values), np.int64, count)


def small(values: Iterable[int], count: int, most: int) -> NDArray[np.int64]:
    """A column of counts; larger ones are taken for `most`."""
    return np.clip(integers(values, count), 0, most)
