"""Compiled filters: one language for lists, intercepts, exports and fail conditions.

    action == "BootNotification" and latency > 2s
    station contains "CP" && !problem
    payload.meterValue[0].sampledValue[*].value > 100
    kind in {CALLERROR, SEND} or @slow

Missing values: a comparison with a value that a message does not have is false (`!=` too), and `not` of it is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocppscope.query.check import AllOf, AnyOf, Negation, Test, check
from ocppscope.query.evaluate import Run, accepts
from ocppscope.query.fields import NOWHERE, Around, Subject
from ocppscope.query.lexer import FilterError
from ocppscope.store.search import CancelledError, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from ocppscope.model import Connection, Message
    from ocppscope.query.check import Plan
    from ocppscope.query.fields import Field
    from ocppscope.store.store import Store

__all__ = ["Around", "CancelledError", "Filter", "FilterError", "Pace", "compile_filter"]

NO_PACE = Pace()


class Filter:
    """A filter that was understood; `text` as the user wrote it. The empty filter lets everything pass."""

    __slots__ = ("_plan", "text")

    def __init__(self, text: str, plan: Plan | None) -> None:
        self.text = text
        self._plan = plan

    @property
    def is_empty(self) -> bool:
        """Whether everything passes."""
        return self._plan is None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that it asks; free text is none."""
        return tuple(_fields(self._plan))

    def mask(self, store: Store, start: int = 0, stop: int | None = None, pace: Pace = NO_PACE) -> NDArray[np.bool_]:
        """Which rows from `start` to before `stop` pass; rows that are evicted do not.

        The answer is about what is known now: a CALL that is answered later, or a connection whose version is
        found out, may pass then (`Store.amended` tells). `pace` reports and can cancel: raises `CancelledError`.
        """
        stop = len(store) if stop is None else min(stop, len(store))
        result = np.zeros(max(stop - start, 0), np.bool_)
        run = Run(store, pace)
        for piece in store.pieces(start, stop):
            pace.check(piece.first)
            among = np.ones(piece.high - piece.low, np.bool_)
            at = piece.first - start
            result[at : at + len(among)] = among if self._plan is None else run.mask(self._plan, piece, among) & among
        return result

    def matches(self, message: Message, connection: Connection | None, around: Around = NOWHERE) -> bool:
        """Whether one message passes; `around` is what it does not know itself (row, delta, note)."""
        return self._plan is None or accepts(self._plan, Subject(message, connection, around))


def compile_filter(text: str, named: Mapping[str, str] | None = None) -> Filter:
    """Understands a filter; `named` are the filters that `@name` stands for. Raises `FilterError`."""
    return Filter(text, check(text, named))


def _fields(plan: Plan | None) -> Iterator[Field]:
    match plan:
        case AnyOf(terms) | AllOf(terms):
            for term in terms:
                yield from _fields(term)
        case Negation(term):
            yield from _fields(term)
        case Test(field, _):
            yield field
