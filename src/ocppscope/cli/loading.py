"""A feed as a session for the screens: a thread that reads, decodes, fills the store and diagnoses; can be stopped.

What is wrong with a capture is a sentence: an exception before the thread starts, `Progress.trouble` after.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING

from ocppscope.capture.pcapfile import STDIN
from ocppscope.capture.tshark_packet import PacketTrees
from ocppscope.cli.afterwards import holdings, missing, unread
from ocppscope.cli.engines import engine_of
from ocppscope.cli.feeds import CaptureFeed
from ocppscope.cli.keys import poll
from ocppscope.cli.run import GC_EVERY
from ocppscope.cli.studying import Study, configured
from ocppscope.errors import OcppscopeError, UsageError
from ocppscope.export.evidence import Source
from ocppscope.ocpp.describe import describe
from ocppscope.ocpp.schemas import prepare
from ocppscope.store.columns import SPOOL
from ocppscope.store.notes import load_notes
from ocppscope.store.places import CaptureTexts, RecordedTexts
from ocppscope.store.store import Store
from ocppscope.tui.packet import LogLines
from ocppscope.tui.session import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from ocppscope.analysis.pages import Transactions
    from ocppscope.analysis.report import Report
    from ocppscope.analysis.timing.figures import Row
    from ocppscope.cli.feeds import Feed
    from ocppscope.control import Steering
    from ocppscope.model import Connection, Version
    from ocppscope.ocpp.describe import Description
    from ocppscope.options import Options
    from ocppscope.store.notes import Notes
    from ocppscope.tui.packet import Dissector

CHANGED_EVERY = 0.1
"""Seconds between two tellings that the store has grown; the first is told at once."""
LIVE_CHANGED_EVERY = 0.03
"""The same while something is recorded: few rows, and somebody waits for them."""
LIVE_ROWS = 1_000_000
"""The newest messages that are kept of what has no end: a recording, or what comes through a pipe; and few more."""
BLOCK_BYTES = 1 << 18
"""Bytes of a capture that are decoded at once: little enough that the screen gets its turn in between."""
SWITCH_INTERVAL = 0.001
"""Seconds after which the decoding thread makes room for the one that draws."""


class CaptureSession:
    """What a feed gives, read to its end. Implements `tui.session.Session`."""

    def __init__(
        self,
        feed: Feed,
        options: Options,
        *,
        names: list[str] | None = None,
        notes: Notes | None = None,
        steering: Steering | None = None,
        dissector: Dissector | None = None,
        source: Source | None = None,
    ) -> None:
        """`names` is what is looked at, for reports; raises OcppscopeError for a wrong configuration."""
        wanted = configured()
        self._feed = feed
        self._engine = engine_of(options, names or [])
        self.title = feed.title
        self.store = Store(retain=LIVE_ROWS if feed.is_live else None)
        self.notes = notes
        self.steering = steering
        self.dissector = dissector
        self.source = source
        self.store.notes = notes
        self.study = Study(self.store, names or [feed.title], wanted)
        self._sources: dict[str, int] = {}
        self._thread: Thread | None = None
        self._stopped = Flag()
        self._done = False
        self._trouble = notes.trouble if notes is not None else ""
        self._ending: tuple[str, ...] = ()
        self._told = 0.0
        self._is_untold = False

    def describe(self, version: Version, action: str, response: bool) -> Description | None:
        """What the schema says of a payload."""
        return describe(version, action, response)

    def report(self) -> Report | None:
        """What the diagnosis has found."""
        return self.study.report

    def transactions(self) -> Transactions:
        """The pages of the transactions."""
        return self.study.transactions

    def figures(self) -> tuple[Row, ...]:
        """The timing figures; while the capture is read, made for those who asked lately."""
        self.study.is_timed = True
        return self.study.figures

    def progress(self) -> Progress:
        """How far the thread is."""
        read, total = self._feed.progress
        notices = (*self._feed.notices, *self._ending)
        return Progress(read, total, self._done, self._trouble, notices, self._feed.status)

    def start(self, changed: Callable[[], None]) -> None:
        """Begins to read. Raises OcppscopeError where there is nothing to begin with."""
        self._feed.begin()
        self._thread = Thread(target=self._work, args=(changed,), name="reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and gives back the files."""
        self._stopped.set()
        self._feed.close()
        if self._thread is not None:
            self._thread.join(5)  # a pipe that says nothing may hold it for ever
        self.store.close()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _work(self, changed: Callable[[], None]) -> None:
        interval, threshold = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.set_threshold(GC_EVERY, *threshold[1:])
        try:
            self._read(changed)
        except OcppscopeError as error:
            self._trouble = f"{error.what} {error.hint}".strip()
        except Exception as error:  # said on the screen, which goes on with what was read
            what = f"{type(error).__name__}: {str(error)[:200]!a}"
            self._trouble = f"Reading failed: {what}. This is a bug of ocppscope."
        finally:
            self._done = True
            sys.setswitchinterval(interval)
            gc.set_threshold(*threshold)
            self._feed.close()
            changed()

    def _read(self, changed: Callable[[], None]) -> None:
        if self._feed.is_live:
            prepare()
        for block, path in self._feed.blocks(lambda: self._idle(changed)):
            events = self._engine.packets(block)
            self.store.take(events, self._source_of(path))
            self.study.take(events)
            if self._stopped.is_set():
                return
            self._is_untold = True
            self._idle(changed)
        events = self._engine.finish()
        self.store.take(events)
        self.study.take(events)
        lost: list[Connection] = [one for one in self.store.connections.values() if any(one.lost_bytes)]
        self._ending = (*missing(self._engine.summary, lost), *self._holdings())
        unread(self._engine.summary, self.study.unread)
        self.study.finish((*self._feed.notices, *self._ending))

    def _idle(self, changed: Callable[[], None]) -> None:
        """Between two blocks, and while a live feed has none: snapshots of the study, and the screen is told."""
        if poll():
            events = self._engine.retry()
            self.store.take(events)
            self.study.take(events)
        self.study.publish_sometimes(self._feed.notices)
        now = time.monotonic()
        every = LIVE_CHANGED_EVERY if self._feed.is_live else CHANGED_EVERY
        if self._is_untold and now - self._told >= every and len(self.store):
            self._told, self._is_untold = now, False
            changed()

    def _source_of(self, path: str | None) -> int:
        """The number of a file among the store's sources of texts."""
        if path is None:
            return SPOOL
        number = self._sources.get(path)
        if number is None:
            texts = RecordedTexts(path) if self._feed.is_live else CaptureTexts(path)
            number = self._sources[path] = self.store.add_source(texts)
        return number

    def _holdings(self) -> list[str]:
        """What a capture without messages did hold."""
        if len(self.store):
            return []
        refused, secrets = len(self.store.connections), self._feed.has_secrets
        return list(holdings(self._engine.summary, refused=refused, secrets=secrets))


def session_of(inputs: list[str], options: Options) -> CaptureSession:
    """The session of captures; of one on standard input, keys are read from the terminal instead."""
    stdin = _stdin_for_capture() if STDIN in inputs else None
    feed = CaptureFeed(inputs, stdin=stdin, chunk_bytes=BLOCK_BYTES, options=options)
    files = [name for name in inputs if name != STDIN and os.path.isfile(name)]
    dissector = _dissector(inputs, options, feed) if len(files) == len(inputs) else None
    source = Source(tuple(inputs), options) if len(files) == len(inputs) else None
    try:
        notes = load_notes(files[0]) if files else None
        return CaptureSession(feed, options, names=inputs, notes=notes, dissector=dissector, source=source)
    except OcppscopeError:
        feed.close()
        raise


def _dissector(inputs: list[str], options: Options, feed: CaptureFeed) -> Dissector:
    """Who knows what is in the packets of files."""
    return LogLines() if feed.is_log else PacketTrees(inputs, options.key_logs)


def _stdin_for_capture() -> BinaryIO:
    """What is on standard input, which becomes the terminal; raises UsageError where there is none."""
    if sys.stdin.isatty():
        raise UsageError("Standard input is the terminal.", "Send a capture there, or name a file.")
    capture = os.dup(0)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        os.close(capture)
        raise UsageError(
            "There is no terminal to read keys from.", "`ocppscope log -` prints the messages instead."
        ) from error
    os.dup2(terminal, 0)
    os.close(terminal)
    return os.fdopen(capture, "rb")
