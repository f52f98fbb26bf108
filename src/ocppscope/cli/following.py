"""A live capture or the proxy, as it goes on: on the screens, or as a log.

Both are recorders: they write files in a process of their own, and here these files are read like any other.
"""

# ruff: noqa: PLC0415 (the screens are imported for a terminal)

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.cli.afterwards import Afterwards
from ocppscope.cli.feeds import RecorderFeed
from ocppscope.cli.keys import poll
from ocppscope.cli.output import Writer
from ocppscope.cli.run import log_format, sieve
from ocppscope.cli.session import Log
from ocppscope.engine import Engine
from ocppscope.ocpp.schemas import prepare
from ocppscope.render.textlog import TextFormat
from ocppscope.render.wiretext import visible
from ocppscope.signals import endings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.capture.recorder import Recorder
    from ocppscope.cli.run import LogRequest
    from ocppscope.control import Steering

ONE_LEG = 'not leg or finding == "proxy-interfered"'
"""What the screens show of an active proxy, whose recording has both sides: each message once, and what was done."""
MAX_SENTENCES = 10_000
"""Sentences that are printed; that there are further ones is the last."""
FULL = "there is more to say than is said here; further notes are not shown"
BLOCK_BYTES = 1 << 18
"""Bytes that are decoded at once, at most."""


class Follow(NamedTuple):
    """What is followed, and how it is shown: `log` in a pipe (its inputs are empty), the screens on a terminal."""

    recorder: Recorder
    log: LogRequest
    steering: Steering | None = None
    theme: str | None = None
    is_kept: bool = True  # what is recorded is there afterwards, too


def run_follow(request: Follow, *, on_screen: bool) -> None:
    """Records and shows until it ends or the user leaves. Raises OcppscopeError."""
    if on_screen:
        _show(request)
    else:
        _print(request)


def _show(request: Follow) -> None:
    from ocppscope.cli.loading import CaptureSession
    from ocppscope.cli.screens import ViewRequest, check, settled
    from ocppscope.store.notes import load_notes
    from ocppscope.tui.app import Scope

    log = request.log
    view = ViewRequest([], log.options, log.color, log.wanted, None, request.theme)
    wanted = settled(view, dict(os.environ))
    check(log.wanted, wanted)
    feed = RecorderFeed(request.recorder, chunk_bytes=BLOCK_BYTES)
    feed.begin()  # before the screen opens: what is wrong can be said on the terminal
    active = request.steering is not None and request.steering.state().active
    text = log.wanted or (ONE_LEG if active else "")
    files = request.recorder.files() if request.is_kept else ()
    notes = load_notes(files[0]) if files else None
    session = CaptureSession(feed, log.options, notes=notes, steering=request.steering)
    try:
        Scope(session, wanted, filter_text=text).run()
    finally:
        session.stop()


def _print(request: Follow) -> None:
    wanted = request.log
    feed = RecorderFeed(request.recorder, chunk_bytes=BLOCK_BYTES)
    writer = Writer(sys.stdout, live=True)
    log = Log(
        log_format(wanted),
        writer.add,
        sieve=sieve(wanted.wanted),
        events=wanted.form == "text" or wanted.events,
        legs=wanted.legs,
        count=wanted.limit,
    )
    log.forgets = True
    engine, told = Engine(wanted.options), _Told(quiet=wanted.quiet)
    feed.begin()
    writer.add(log.form.header())
    writer.rest()
    prepare()
    try:
        with _stopping(feed):
            for block, _ in feed.blocks(lambda: _idle(feed, told, engine, log, writer)):
                if isinstance(log.form, TextFormat) and not log.form.started and len(block.time_ns):
                    log.form.start_at(int(block.time_ns[0]))
                log.take(engine.packets(block))
                writer.rest()
                if log.done:
                    break
        log.take(engine.finish())
    finally:
        feed.close()
        told.tell(feed)
        writer.flush()
    if not wanted.quiet:
        Afterwards(sys.stderr).tell(engine.summary, log, [], secrets=False)


def _idle(feed: RecorderFeed, told: _Told, engine: Engine, log: Log, writer: Writer) -> None:
    if poll():
        log.take(engine.retry())
        writer.rest()
    told.tell(feed)


@contextmanager
def _stopping(feed: RecorderFeed) -> Iterator[None]:
    """The first Ctrl-C (or its like) ends the recording, and what it wrote is still shown; the next one ends us.

    A thread of its own does it: what a signal interrupts may hold the very lock that ending it needs.
    """
    asked: SimpleQueue[bool] = SimpleQueue()  # may be put into wherever a signal comes

    def stop(number: int, frame: object) -> None:
        del frame
        signal.signal(number, before[number])
        asked.put(True)

    def wait() -> None:
        if asked.get():
            feed.stop()

    waiter = Thread(target=wait, name="stopping", daemon=True)
    waiter.start()
    before: dict[int, Any] = {number: signal.signal(number, stop) for number in endings()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(False)
        waiter.join()


class _Told:
    """What was said on stderr; each sentence once."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._said: set[str] = set()

    def tell(self, feed: RecorderFeed) -> None:
        """Says what is new."""
        for sentence in feed.notices:
            if sentence in self._said or len(self._said) > MAX_SENTENCES:
                continue
            self._said.add(sentence)
            if not self._quiet:
                full = len(self._said) > MAX_SENTENCES
                sys.stderr.write(f"note: {FULL if full else visible(sentence, 500)}\n")
