"""A plan run over the columns of a store: NumPy masks, each distinct text judged once, payloads last and least.

`among` says which rows of a piece still matter; what a mask holds elsewhere means nothing. Terms of an `and` are
run from the cheapest to the dearest, so that payloads are read for the rows that the others left only.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import reduce
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ocppscope.query.check import AllOf, AnyOf, Anywhere, Negation, Plan, Test, folded
from ocppscope.query.fields import FIELDS, Coded, Ids, Judgement, Noted, Numbers, Payload
from ocppscope.query.payload import ESCAPE
from ocppscope.query.values import ORDER, Judge, Range, Value
from ocppscope.store.search import Pace, search, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.query.fields import Field, Subject
    from ocppscope.store.columns import Blob, Chunk
    from ocppscope.store.store import Piece, Store

    Mask = NDArray[np.bool_]

MAX_CACHE_WEIGHT = 1 << 20
"""Values of payload paths that are remembered of a store; a text of 64 characters counts as one more."""
MAX_CHUNK_WEIGHT = MAX_CACHE_WEIGHT // 4
"""The same for one path in one chunk of rows."""
_COSTS = {Numbers: 0, Coded: 0, Noted: 0, Judgement: 0, Ids: 1, Payload: 2}


class Run:
    """One evaluation. What is learnt about distinct values is kept while it lasts."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace
        self._verdicts: dict[int, NDArray[np.int8]] = {}  # by test: of each code -1 unknown, 0 no, 1 yes

    def mask(self, plan: Plan, piece: Piece, among: Mask) -> Mask:
        """Which of the rows of a piece pass."""
        match plan:
            case AllOf(terms):
                return self._all(terms, piece, among)
            case AnyOf(terms):
                return self._any(terms, piece, among)
            case Negation(term):
                return ~self.mask(term, piece, among)
            case Anywhere(needle):
                return self._anywhere(plan, needle, piece, among)
            case Test(field, judge):
                return self._test(plan, field, judge, piece, among)

    def _all(self, terms: tuple[Plan, ...], piece: Piece, among: Mask) -> Mask:
        for term in sorted(terms, key=cost):
            if not among.any():
                break
            among = among & self.mask(term, piece, among)
        return among

    def _any(self, terms: tuple[Plan, ...], piece: Piece, among: Mask) -> Mask:
        result = np.zeros(len(among), np.bool_)
        for term in sorted(terms, key=cost):
            rest = among & ~result
            if not rest.any():
                break
            result |= self.mask(term, piece, rest)
        return result

    # --- one field ----------------------------------------------------------------------------------------------

    def _test(self, test: Test, field: Field, judge: Judge, piece: Piece, among: Mask) -> Mask:
        column = field.column
        if isinstance(column, Numbers):
            values, valid = column.get(self._store, piece)
            found = numbers(values, judge)
            return found if valid is None else found & valid
        if isinstance(column, Coded):
            codes = column.codes(piece)
            return self._coded(id(test), codes, lambda code: judge.accepts(column.value(self._store, code)))
        if isinstance(column, Ids):
            return _ids(judge, piece, among)
        if isinstance(column, Noted):
            return self._noted(column, judge, piece)
        if isinstance(column, Judgement):
            return self._judged(column, judge, piece)
        return self._payload(column, judge, piece, among)

    def _coded(self, key: int, codes: NDArray[Any], accepts: Callable[[int], bool]) -> Mask:
        """Each code is judged when it is met first."""
        if not len(codes):
            return np.zeros(0, np.bool_)
        verdicts = self._verdicts.get(key)
        most = int(codes.max())
        if verdicts is None or most >= len(verdicts):
            known = np.zeros(0, np.int8) if verdicts is None else verdicts
            verdicts = np.full(max(2 * len(known), most + 1), -1, np.int8)
            verdicts[: len(known)] = known
            self._verdicts[key] = verdicts
        found = verdicts[codes]
        if found.min() < 0:
            for code in np.unique(codes[found < 0]).tolist():
                verdicts[code] = accepts(code)
            found = verdicts[codes]
        passed: Mask = found.view(np.bool_)
        return passed

    def _noted(self, column: Noted, judge: Judge, piece: Piece) -> Mask:
        result = np.zeros(piece.high - piece.low, np.bool_)
        if self._store.notes is not None:
            for row, note in self._store.notes.rows(self._store, piece.first, piece.first + len(result)):
                result[row - piece.first] = judge.accepts(column.get(note) or None)
        return result

    def _judged(self, column: Judgement, judge: Judge, piece: Piece) -> Mask:
        result = np.zeros(piece.high - piece.low, np.bool_)
        for row, verdicts in self._store.judged.rows(piece.first, piece.first + len(result)):
            result[row - piece.first] = judge.accepts(column.get(verdicts))
        return result

    # --- texts --------------------------------------------------------------------------------------------------

    def _anywhere(self, plan: Anywhere, needle: bytes, piece: Piece, among: Mask) -> Mask:
        chunk, store = piece.chunk, self._store
        rows = slice(piece.low, piece.high)
        result = self._coded(id(plan), chunk.action[rows], lambda code: _has(needle, store.actions.texts[code]))
        station = FIELDS["station"].column
        assert isinstance(station, Coded)
        result = result | self._coded(
            id(needle), station.codes(piece), lambda code: _has(needle, station.value(store, code))
        )
        rest = np.flatnonzero(among & ~result)
        result[search(store, chunk, rest + piece.low, needle, self._pace) - piece.low] = True
        return result

    def _payload(self, column: Payload, judge: Judge, piece: Piece, among: Mask) -> Mask:
        cache = cache_of(self._store)
        with cache.lock:
            found = cache.found(column, piece.chunk)
            codes = found.codes[piece.low : piece.high]
            result = np.zeros(len(among), np.bool_)
            known = among & (codes >= 0)
            if known.any():
                distinct, inverse = np.unique(codes[known], return_inverse=True)
                verdicts = np.array([judge.accepts(found.values[code]) for code in distinct.tolist()], np.bool_)
                result[known] = verdicts[inverse]
            unknown = np.flatnonzero(among & (codes < 0)) + piece.low
            self._read(column, judge, piece, unknown, found, result)
            cache.settle()
        return result

    def _read(
        self, column: Payload, judge: Judge, piece: Piece, rows: NDArray[np.int64], found: Found, result: Mask
    ) -> None:
        chunk, read, accepts, keep = piece.chunk, column.read, judge.accepts, found.keep
        kinds = chunk.kind.tobytes()
        for window in windows(self._store, chunk, rows):
            self._pace.check(chunk.first + int(window.rows[0]))
            if column.needles:
                if column.cached:
                    found.codes[window.rows] = 0
                window = window.part(window.holding((*column.needles, ESCAPE)))  # noqa: PLW2901
            for row, text in window.texts():
                value = read(kinds[row], text) or None
                if column.cached:
                    keep(row, value)
                if value is not None and accepts(value):
                    result[row - piece.low] = True


def cost(plan: Plan) -> int:
    """How dear a term is: 0 columns, 1 ids, 2 payloads, 3 free text."""
    match plan:
        case AllOf(terms) | AnyOf(terms):
            return max(map(cost, terms))
        case Negation(term):
            return cost(term)
        case Anywhere():
            return 3
        case Test(field, _):
            return _COSTS[type(field.column)]


def accepts(plan: Plan, subject: Subject) -> bool:
    """The same for one message."""
    match plan:
        case AllOf(terms):
            return all(accepts(term, subject) for term in terms)
        case AnyOf(terms):
            return any(accepts(term, subject) for term in terms)
        case Negation(term):
            return not accepts(term, subject)
        case Anywhere(needle):
            message, connection = subject.message, subject.connection
            return (
                needle in message.text.lower()
                or _has(needle, FIELDS["action"].of(subject))
                or (connection is not None and _has(needle, connection.station))
            )
        case Test(field, judge):
            return judge.accepts(field.of(subject))


def _has(needle: bytes, text: Value) -> bool:
    return isinstance(text, str) and needle in folded(text)


# --- columns -------------------------------------------------------------------------------------------------------


def numbers(values: NDArray[Any], judge: Judge) -> Mask:
    """A judgement of a whole column of numbers."""
    sign, operands = judge.operator, judge.operands
    if sign == "exists":
        return np.ones(len(values), np.bool_)
    if sign == "true":
        return values.astype(np.bool_, copy=False)
    if sign == "!=":
        return ~_fit(values, operands[0])
    if sign == "in":
        return reduce(np.logical_or, (_fit(values, operand) for operand in operands))
    return ORDER[sign](values, operands[0])  # type: ignore[no-any-return]


def _fit(values: NDArray[Any], operand: Any) -> Mask:
    is_range = isinstance(operand, Range)
    found: Mask = (values >= operand.low) & (values <= operand.high) if is_range else values == operand
    return found


def _ids(judge: Judge, piece: Piece, among: Mask) -> Mask:
    blob = piece.chunk.ids
    ends = blob.ends[piece.low : piece.high + 1]
    exists = ends[1:] > ends[:-1]
    if judge.operator == "exists":
        return exists
    if judge.operator in ("==", "!=", "in", "contains"):
        whole = judge.operator != "contains"
        found = np.zeros(len(among), np.bool_)
        for operand in judge.operands:
            needle = str(operand).encode("utf-8", "surrogatepass")
            if needle:
                found[_places(blob, piece, needle, whole)] = True
            elif not whole:
                found |= exists
        return exists & ~found if judge.operator == "!=" else found
    result = np.zeros(len(among), np.bool_)
    for at in np.flatnonzero(among & exists).tolist():
        result[at] = judge.accepts(blob.get(piece.low + at).decode("utf-8", "surrogatepass"))
    return result


def _places(blob: Blob, piece: Piece, needle: bytes, whole: bool) -> list[int]:
    """Which ids of a piece are, or contain, some bytes; one search over all of them."""
    ends = blob.ends[piece.low : piece.high + 1]
    first, stop = int(ends[0]), int(ends[-1])
    data, starts, found = blob.data, ends[:-1], []
    at = data.find(needle, first, stop)
    while at >= 0:
        index = int(np.searchsorted(starts, at, "right")) - 1
        low, high = int(ends[index]), int(ends[index + 1])
        fits = at + len(needle) <= high and (not whole or (at == low and at + len(needle) == high))
        if fits:
            found.append(index)
        at = data.find(needle, high if fits else at + 1, stop)
    return found


# --- values of payload paths that were read ------------------------------------------------------------------------


class Found:
    """What a path finds in the rows of a chunk: a code a row, -1 where nobody looked yet."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, -1, np.int32)
        self.values: list[Value] = [None]
        self.weight = 1
        self._codes: dict[Any, int] = {}

    def keep(self, row: int, value: tuple[Any, ...] | None) -> None:
        """Remembers the value of a row, while there is room."""
        if value is None:
            self.codes[row] = 0
            return
        single = len(value) == 1
        key = (value[0], value[0].__class__) if single else None  # 1, 1.0 and true are equal, but not the same
        code = self._codes.get(key) if single else None
        if code is None:
            weight = len(value)
            for one in value:
                if one.__class__ is str:
                    weight += len(one) // 64
            if self.weight + weight > MAX_CHUNK_WEIGHT:
                self.codes[row] = -1
                return
            self.weight += weight
            code = len(self.values)
            self.values.append(value)
            if single:
                self._codes[key] = code
        self.codes[row] = code


class Cache:
    """What was found in the payloads of a store, by path and chunk."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._found: OrderedDict[tuple[Payload, int], Found] = OrderedDict()

    def found(self, column: Payload, chunk: Chunk) -> Found:
        """What is known of a path in a chunk."""
        key = (column, chunk.first)
        found = self._found.get(key)
        if found is None:
            found = Found(chunk.size)
            if column.cached:
                self._found[key] = found
        else:
            self._found.move_to_end(key)
        return found

    def settle(self) -> None:
        """Forgets what was asked for longest ago, until the rest fits the bound."""
        weight = sum(found.weight + len(found.codes) // 16 for found in self._found.values())
        while weight > MAX_CACHE_WEIGHT and self._found:
            _, found = self._found.popitem(last=False)
            weight -= found.weight + len(found.codes) // 16


_caches: WeakKeyDictionary[Store, Cache] = WeakKeyDictionary()
_caches_lock = Lock()


def cache_of(store: Store) -> Cache:
    """The cache of a store, which goes with it."""
    with _caches_lock:
        return _caches.setdefault(store, Cache())
