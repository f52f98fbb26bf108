"""What an input may cost: processor time, and memory of the whole process. Memory is limited on Linux only."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

MAX_SECONDS = 1.0
"""Processor time that an input may take."""
MAX_MEMORY = 500 << 20
"""Bytes by which the process may grow over what it has when all is imported."""
LINUX = sys.platform.startswith("linux")
HANG_SECONDS = 10.0
"""Processor time after which an input is broken off."""


class TooSlowError(AssertionError):
    """An input took more than its time."""


class TooLargeError(AssertionError):
    """An input took more than its memory."""


class HangError(BaseException):
    """An input was broken off. No `except Exception` of what is tested may swallow this."""


def limit_memory(more: int = 4 * MAX_MEMORY) -> None:
    """From here on the process gets no more than this; the fuzzer itself needs some. More is a MemoryError."""
    if LINUX:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


@contextmanager
def weighed(most: int = MAX_MEMORY) -> Iterator[None]:
    """What runs inside raises `TooLargeError` if the process grew by more, even for a moment."""
    before = _resident(b"VmRSS:")
    if LINUX:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest value so far: proc(5)
    yield
    grown = _resident(b"VmHWM:") - before
    if grown > most:
        raise TooLargeError(f"{grown >> 20} MB")


def _resident(name: bytes) -> int:
    if not LINUX:
        return 0
    said = Path("/proc/self/status").read_bytes()
    return int(said[said.index(name) + len(name) :].split(maxsplit=1)[0]) << 10


@contextmanager
def broken_off(seconds: float = HANG_SECONDS) -> Iterator[None]:
    """What runs inside raises `HangError` once it has taken this much processor time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError(f"broken off after {seconds:.0f} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def timed(
    target: Callable[[bytes], None], data: bytes, seconds: float = MAX_SECONDS, hang: float = HANG_SECONDS
) -> float:
    """The processor time that an input took. Raises what the target raises, and `TooSlowError`."""
    begun = time.thread_time()
    with broken_off(hang):
        target(data)
    taken = time.thread_time() - begun
    if taken > seconds:
        raise TooSlowError(f"{taken:.2f} s of processor time")
    return taken
