"""How bad a row is: an error, a warning, or neither, on columns; by what it is, its problems, and the diagnosis.

Problems are facts, and those that count as warnings are listed here; all others are errors. What the diagnosis found
in a row can only make it worse; its notes do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocppscope.model import Kind, Outcome
from ocppscope.store.columns import OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.model import Problem
    from ocppscope.store.columns import Chunk
    from ocppscope.store.store import Piece, Store
    from ocppscope.store.verdicts import Verdicts

NOTHING, WARNING, ERROR = 0, 1, 2
SIGNS = (" ", "!", "✗")
"""What stands for each in the list."""

WARNINGS = frozenset(
    {
        "json.bom",
        "json.duplicate-key",
        "json.oversize",
        "ocpp.action-case",
        "ocpp.error-code",
        "ocpp.error-code-spelling",
        "ocpp.error-code-version",
        "ocpp.error-description",
        "ocpp.error-details",
        "ocpp.id-length",
        "ocpp.message-type-form",
        "ocpp.null-payload",
        "schema.additional",
        "schema.datetime",
        "schema.datetime-no-zone",
        "schema.integer-as-float",
        "schema.max-length",
        "schema.multiple-of",
        "ws.context-guessed",
        "ws.length-encoding",
    }
)
"""Problems that most implementations live with."""

_BAD_KINDS = frozenset({Kind.CALLERROR, Kind.CALLRESULTERROR, Kind.UNPARSED})
_BAD_OUTCOMES = frozenset({Outcome.ERROR, Outcome.TIMEOUT})
_ODD_OUTCOMES = frozenset(
    {Outcome.LATE, Outcome.ORPHAN, Outcome.DUPLICATE, Outcome.RESENT, Outcome.REUSED_ID, Outcome.OPEN}
)
_OF_KIND = np.array([ERROR if kind in _BAD_KINDS else NOTHING for kind in range(8)], np.uint8)
_OF_OUTCOME = np.array(
    [ERROR if one in _BAD_OUTCOMES else WARNING if one in _ODD_OUTCOMES else NOTHING for one in OUTCOMES], np.uint8
)


def of_problems(problems: tuple[Problem, ...]) -> int:
    """The worst of some problems."""
    return max((WARNING if one.code in WARNINGS else ERROR for one in problems), default=NOTHING)


_OF_VERDICT = {"note": NOTHING, "warning": WARNING, "error": ERROR}


def of_verdicts(verdicts: Verdicts) -> int:
    """The worst of what the diagnosis found in a row."""
    return max((_OF_VERDICT.get(one.severity, NOTHING) for one in verdicts), default=NOTHING)


class Severities:
    """Looks rows of a store up; remembers what each list of problems is worth."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_set = np.zeros(1, np.uint8)

    def piece(self, piece: Piece) -> NDArray[np.uint8]:
        """One value a row."""
        chunk, rows = piece.chunk, slice(piece.low, piece.high)
        worst = np.maximum(_OF_KIND[chunk.kind[rows]], _OF_OUTCOME[chunk.outcome[rows]])
        codes = chunk.problems[rows]
        if codes.any():
            worst = np.maximum(worst, self._sets(int(codes.max()))[codes])
        if len(self._store.judged):
            for row, verdicts in self._store.judged.rows(piece.first, piece.first + len(worst)):
                at = row - piece.first
                worst[at] = max(int(worst[at]), of_verdicts(verdicts))
        return worst

    def row(self, chunk: Chunk, at: int) -> int:
        """The value of one row."""
        code = int(chunk.problems[at])
        own = int(self._sets(code)[code]) if code else NOTHING
        found = of_verdicts(self._store.judged.at(chunk.first + at))
        return max(int(_OF_KIND[int(chunk.kind[at])]), int(_OF_OUTCOME[int(chunk.outcome[at])]), own, found)

    def _sets(self, code: int) -> NDArray[np.uint8]:
        known = len(self._of_set)
        if code >= known:
            more = [of_problems(problems) for problems in self._store.problem_sets.sets[known:]]
            self._of_set = np.concatenate([self._of_set, np.array(more, np.uint8)])
        return self._of_set
