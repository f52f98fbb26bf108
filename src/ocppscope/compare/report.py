"""What a comparison comes to, ready to be shown in any form. Frozen; no text is cut or escaped here.

A is the first capture, B the second. Texts may quote a peer: whoever shows them makes them safe.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.model import Connection, Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

VANTAGE, SESSIONS = "vantage", "sessions"
Cell = str | int | float | None
"""Text, or a number in the unit of its column; None where there is none."""


class Capture(Struct, frozen=True):
    """One of the two."""

    name: str
    begins_ns: int
    ends_ns: int
    messages: int
    connections: int
    stations: tuple[str, ...]


class Mark(StrEnum):
    """What is to be said of a line of the two ladders."""

    SAME = ""
    CONTEXT = "context"  # the same, shown for what stands around it
    ONLY_A = "only A"
    ONLY_B = "only B"
    CHANGED = "changed"
    MOVED = "moved"
    UNSEEN = "unseen"  # in one only, since the other capture could not show it


class Half(Struct, frozen=True):
    """What one capture has on a line: a message, and of an exchange its answer, too."""

    row: int
    message: Message
    answer: Message | None = None


class Pairing(Struct, frozen=True):
    """One line of the two ladders."""

    mark: Mark
    a: Half | None
    b: Half | None


class Fact(Struct, frozen=True):
    """One value on either side; "" where there is none."""

    name: str
    a: str
    b: str


class Difference(Struct, frozen=True):
    """Something that is not the same. `code` is stable; the heavier, the more telling, and `why` says why."""

    code: str
    weight: int
    text: str  # a sentence
    why: str
    station: str = ""
    count: int = 1
    facts: tuple[Fact, ...] = ()
    ladder: tuple[Pairing, ...] = ()
    at: int = -1  # its first line in `Lines`, -1 for none


class Column(Struct, frozen=True):
    """A column of a table; `unit` "ns", "B", "%", "ratio" or ""."""

    name: str
    unit: str = ""


class Table(Struct, frozen=True):
    """Figures. `id` is stable."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class ClockLine(Struct, frozen=True):
    """How B's clock went against A's from one time of A to another. All in ns, the drift in parts per million."""

    begins_ns: int
    ends_ns: int
    at_ns: int  # the time of A that `offset_ns` is for
    offset_ns: int  # clock of B less clock of A
    uncertainty_ns: int | None  # None: nothing bounds it from one side
    drift_ppm: float
    drift_low_ppm: float | None
    drift_high_ppm: float | None
    points: int


class ClockReport(Struct, frozen=True):
    """The clocks of the two captures."""

    sentences: tuple[str, ...]
    lines: tuple[ClockLine, ...]
    station_side: str  # "A", "B" or "" where nobody can tell


class Lines(Struct, frozen=True):
    """All lines of the two ladders as columns: rows of either capture, -1 for none, and their marks.

    `mark` is the place in `MARKS`; `difference` the place of a difference, or -1.
    """

    a: Ints
    b: Ints
    mark: Ints
    difference: Ints


MARKS = tuple(Mark)


class Comparison(Struct, frozen=True):
    """Everything. `differences` are in order of weight."""

    mode: str
    reason: str  # a sentence: why this mode
    captures: tuple[Capture, Capture]
    differences: tuple[Difference, ...]
    tables: tuple[Table, ...] = ()
    clock: ClockReport | None = None
    summary: tuple[str, ...] = ()  # sentences before all else
    not_shown: int = 0
    notices: tuple[str, ...] = ()
    lines: Lines | None = None
    connections: tuple[dict[int, Connection], dict[int, Connection]] = ({}, {})
