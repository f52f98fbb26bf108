"""Runs a filter over a store in a thread of its own: at once, again over what comes later, and until it is cancelled.

Tells what it found by calling `tell` from that thread; touches no widget.
"""

from __future__ import annotations

import time
from threading import Condition, Thread
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.query.filter import CancelledError, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.query.filter import Filter
    from ocppscope.store.store import Store

STEP = 1 << 16
"""Rows that are looked at between two reports."""
AMENDED_STEP = 1 << 12
"""Rows around a changed one that are looked at again."""
REPORT_EVERY = 0.1
"""Seconds between two reports of one run."""


class Found(NamedTuple):
    """What a filter has found so far: `rows` of the first `looked`. `of` is how many there are to look at."""

    serial: int  # of the filter, counted up with each
    rows: NDArray[np.int64]
    looked: int
    of: int
    done: bool
    cancelled: bool = False
    trouble: str = ""


class Filtering:
    """The thread and what it works on."""

    def __init__(self, store: Store, tell: Callable[[Found], object]) -> None:
        self._store = store
        self._tell = tell
        self._wake = Condition()
        self._filter: Filter | None = None
        self._serial = 0
        self._again = False  # look at everything once more: reading has ended
        self._fresh = False
        self._stopped = False
        self._cancelled = False
        self._thread: Thread | None = None
        self._mask = np.zeros(0, np.bool_)
        self._base = 0  # the row of the first place in it; those before are gone from the store
        self._told = 0.0

    # --- from the app's thread --------------------------------------------------------------------------------------

    def run(self, wanted: Filter | None) -> int:
        """Looks for what passes this filter from now on, None to rest; gives the serial of its reports."""
        with self._wake:
            self._filter, self._serial = wanted, self._serial + 1
            self._fresh, self._cancelled, self._again = True, False, False
            if self._thread is None and wanted is not None:
                self._thread = Thread(target=self._work, name="filter", daemon=True)
                self._thread.start()
            self._wake.notify()
            return self._serial

    def grown(self, *, finished: bool) -> None:
        """The store has more rows; once reading has ended, all of them are looked at again."""
        with self._wake:
            self._again = self._again or finished
            self._fresh = True
            self._wake.notify()

    def cancel(self) -> None:
        """Ends the run; what was found stays, and nothing more is looked for."""
        with self._wake:
            self._cancelled = True
            self._wake.notify()

    def stop(self) -> None:
        """Ends the thread."""
        with self._wake:
            self._stopped = self._cancelled = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        serial, looked, since = 0, 0, 0
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or (self._fresh and not self._cancelled))
                if self._stopped:
                    return
                self._fresh = False
                wanted, again = self._filter, self._again
                if self._serial != serial or again:
                    serial, looked = self._serial, 0
                    _, since = self._store.amended(1 << 62)
                    self._again = False
            if wanted is not None:
                looked, since = self._run(wanted, serial, looked, since, again=again)

    def _run(self, wanted: Filter, serial: int, looked: int, since: int, *, again: bool) -> tuple[int, int]:
        """Looks at the rows from `looked` on, and at those that changed."""
        pace = Pace(lambda: self._is_over(serial))
        length = len(self._store)
        try:
            amended, since = self._store.amended(since)
            if looked and amended is None:
                looked = 0
            elif looked and amended is not None and len(amended):
                self._look_again(wanted, amended[amended < looked], looked, pace)
            while (looked := max(looked, self._store.first)) < length:
                stop = min(looked + STEP, length)
                part = wanted.mask(self._store, looked, stop, pace)
                self._room(looked, stop)
                self._mask[looked - self._base : stop - self._base] = part
                looked = stop
                if not again:
                    self._report(serial, looked, length)
        except CancelledError:
            self._report(serial, looked, length, cancelled=True)
            return looked, since
        except Exception as error:
            self._report(serial, looked, length, trouble=f"The filter failed: {type(error).__name__}: {error}")
            return length, since
        self._report(serial, looked, length, done=True)
        return looked, since

    def _look_again(self, wanted: Filter, rows: NDArray[np.int64], looked: int, pace: Pace) -> None:
        for block in np.unique(rows // AMENDED_STEP).tolist():
            start = max(block * AMENDED_STEP, self._store.first)
            stop = min((block + 1) * AMENDED_STEP, looked)
            if start < stop:
                self._mask[start - self._base : stop - self._base] = wanted.mask(self._store, start, stop, pace)

    def _room(self, looked: int, stop: int) -> None:
        """Makes places for the rows before `stop`, in place of those that are gone; `looked` are known."""
        if stop - self._base > len(self._mask):
            base = min(self._store.first, looked)
            known = self._mask[base - self._base : looked - self._base]
            self._mask = np.zeros(max(stop - base, 2 * len(known)), np.bool_)
            self._mask[: len(known)] = known
            self._base = base

    def _is_over(self, serial: int) -> bool:
        return self._stopped or self._cancelled or self._serial != serial

    def _report(
        self, serial: int, looked: int, of: int, *, done: bool = False, cancelled: bool = False, trouble: str = ""
    ) -> None:
        now = time.monotonic()
        ends = done or cancelled or trouble
        if self._serial != serial or (not ends and now - self._told < REPORT_EVERY):
            return
        self._told = now
        first = self._store.first  # never before the base
        rows = np.flatnonzero(self._mask[first - self._base : max(looked, first) - self._base]) + first
        self._tell(Found(serial, rows, looked, of, done, cancelled, trouble))
