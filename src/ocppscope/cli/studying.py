"""The diagnosis beside a store: rules, transactions and timing figures of the same events, published as snapshots.

One thread calls `take`, `publish_sometimes` and `finish`; what others read is replaced as a whole.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ocppscope.analysis.autopsy import Autopsy
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.pages import NO_TRANSACTIONS, Pages
from ocppscope.analysis.report import report
from ocppscope.analysis.settings import settings_of
from ocppscope.analysis.timing import Timing
from ocppscope.query.config import config_path, config_table
from ocppscope.store.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.finding import Ref, Severity
    from ocppscope.analysis.registry import Rule
    from ocppscope.analysis.report import Report
    from ocppscope.analysis.settings import Settings
    from ocppscope.analysis.timing.figures import Row
    from ocppscope.analysis.unread import UnreadCounts
    from ocppscope.model import Event
    from ocppscope.store.store import Store

PUBLISH_EVERY = 1.0
"""Seconds between two snapshots, at least."""
REST = 10
"""A snapshot waits so many times as long as the last one took, so that it costs a tenth of the reading at most."""


def configured() -> Settings:
    """What the table `[rules]` of the configuration file wants; raises UsageError."""
    return settings_of(config_table("rules"), where=str(config_path()))


class Study:
    """What the events of a session come to."""

    def __init__(self, store: Store, names: Iterable[str], settings: Settings) -> None:
        self.report: Report | None = None
        self.transactions = NO_TRANSACTIONS
        self.figures: tuple[Row, ...] = ()
        self.is_timed = False  # set by whoever wants figures while the capture is read
        self._store = store
        self._names = tuple(names)
        self._diagnosis = Diagnosis(settings, marks=self._mark)
        self._autopsy = Autopsy(self._diagnosis.bus)
        self._pages = Pages(self._diagnosis.bus)
        self._timing = Timing(self._diagnosis.bus)
        self._verdicts: dict[tuple[str, Severity], Verdict] = {}
        self._failure = ""
        self._next = 0.0
        self._is_stale = True  # more was taken since the last snapshot

    @property
    def unread(self) -> UnreadCounts:
        """What of the capture is not looked at."""
        return self._diagnosis.stations.unread

    def take(self, events: Iterable[Event]) -> None:
        """The next events, which the store has taken. What fails here does not stop the reading."""
        self._is_stale = True
        if not self._failure:
            try:
                self._diagnosis.take(events)
            except Exception as error:
                self._failed(error)

    def publish_sometimes(self, notices: Iterable[str]) -> None:
        """Snapshots, if it is time."""
        now = time.monotonic()
        if now >= self._next and (self._is_stale or self.is_timed):
            self._is_stale = False
            self._publish(notices, ended=False)
            done = time.monotonic()
            self._next = done + max(PUBLISH_EVERY, REST * (done - now))

    def finish(self, notices: Iterable[str]) -> None:
        """The capture is over."""
        try:
            if not self._failure:
                self._diagnosis.finish(self._diagnosis.stations.now)
        except Exception as error:
            self._failed(error)
        self._publish(notices, ended=True)

    def _publish(self, notices: Iterable[str], *, ended: bool) -> None:
        told = (*notices, self._failure) if self._failure else tuple(notices)
        try:
            autopsy = self._autopsy if ended else None
            self.transactions = self._pages.snapshot()
            if ended or self.is_timed:
                self.is_timed = False
                self.figures = tuple(self._timing.rows(now=self._diagnosis.stations.now))
            self.report = report(self._diagnosis, self._names, autopsy, told)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {str(error)[:200]!a}"
        self._failure = f"The diagnosis failed and is not complete ({what}). This is a bug of ocppscope."

    def _mark(self, rule: Rule, severity: Severity, text: str, refs: tuple[Ref, ...]) -> None:
        """A rule found something: the rows that show it are told."""
        del text
        key = rule.id, severity
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = Verdict(rule.id, severity.label, rule.layer)
        for ref in refs:
            if ref.ordinal >= 0:
                self._store.judge(ref.connection, ref.ordinal, verdict)
