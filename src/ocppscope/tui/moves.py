"""Moves of a view by what rows are: to errors, warnings, slow exchanges, and around one exchange.

What a view has to say is which row is its current one and which rows it shows; where the cursor goes is its business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ocppscope.model import Kind, Outcome
from ocppscope.render import times
from ocppscope.store.columns import OUTCOMES
from ocppscope.tui.seek import among, exchange, on_pieces, seek
from ocppscope.tui.severity import ERROR, WARNING, Severities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.store.store import Piece, Store

    Rows = NDArray[np.int64]

MAX_STEPS = 1000
"""Of a number before a key."""
_TIMEOUT = OUTCOMES.index(Outcome.TIMEOUT)
_NOTHING = "There are no messages."


class Moves:
    """A part of a view."""

    def __init__(self, store: Store, slow_ns: int) -> None:
        self._store = store
        self._severities = Severities(store)
        self._slow_ns = slow_ns

    def current_row(self) -> int | None:
        """The row of the store under the cursor, or the last one before it; None where there is nothing."""
        raise NotImplementedError

    def shown_rows(self) -> Rows | None:
        """The rows that the filter left; None: all."""
        raise NotImplementedError

    def visit(self, row: int) -> None:
        """Puts the cursor on a row, and says so."""
        raise NotImplementedError

    def _seek(self, step: int, of_piece: Any, count: int | None, what: str) -> str:
        """Goes to the next row that fits, `count` times; what to tell if there is none."""
        before = row = self.current_row()
        if row is None:
            return _NOTHING
        mask = on_pieces(self._store, of_piece)
        for _ in range(min(count or 1, MAX_STEPS)):
            found = seek(self._store, self.shown_rows(), row, step, mask)
            if found is None:
                break
            row = found
        if row == before:
            return f"No further {what}." if step > 0 else f"No earlier {what}."
        self.visit(row)
        return ""

    def _seek_severity(self, step: int, severity: int, count: int | None, what: str) -> str:
        return self._seek(step, lambda piece: self._severities.piece(piece) == severity, count, what)

    def do_next_error(self, count: int | None) -> str:
        """Down to an error."""
        return self._seek_severity(1, ERROR, count, "error")

    def do_previous_error(self, count: int | None) -> str:
        """Up to an error."""
        return self._seek_severity(-1, ERROR, count, "error")

    def do_next_warning(self, count: int | None) -> str:
        """Down to a warning."""
        return self._seek_severity(1, WARNING, count, "warning")

    def do_previous_warning(self, count: int | None) -> str:
        """Up to a warning."""
        return self._seek_severity(-1, WARNING, count, "warning")

    def _is_slow(self, piece: Piece) -> NDArray[np.bool_]:
        """CALLs that were answered slowly or not at all."""
        chunk, rows = piece.chunk, slice(piece.low, piece.high)
        late = chunk.has_latency[rows] & (chunk.latency_ns[rows] >= self._slow_ns)
        slow: NDArray[np.bool_] = (chunk.kind[rows] == int(Kind.CALL)) & (late | (chunk.outcome[rows] == _TIMEOUT))
        return slow

    def do_next_slow(self, count: int | None) -> str:
        """Down to a slow exchange."""
        return self._seek(1, self._is_slow, count, f"exchange slower than {times.span(self._slow_ns)}")

    def do_previous_slow(self, count: int | None) -> str:
        """Up to a slow exchange."""
        return self._seek(-1, self._is_slow, count, f"exchange slower than {times.span(self._slow_ns)}")

    def do_next_of_exchange(self, count: int | None) -> str:
        """On in the exchange, from its last message to its first."""
        return self._step_in_exchange(count or 1)

    def do_previous_of_exchange(self, count: int | None) -> str:
        """Back in the exchange."""
        return self._step_in_exchange(-(count or 1))

    def _step_in_exchange(self, steps: int) -> str:
        row = self.current_row()
        if row is None:
            return _NOTHING
        rows, shown = exchange(self._store, row), self.shown_rows()
        if shown is not None:
            rows = among(np.array(rows, np.int64), shown).tolist()
        if len(rows) < 2 or row not in rows:
            return "No other message of this exchange is shown."
        self.visit(rows[(rows.index(row) + steps) % len(rows)])
        return ""
