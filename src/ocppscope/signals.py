"""What asks a process to end: the keyboard, the system, a terminal that goes away."""

from __future__ import annotations

import select
import signal


def endings() -> tuple[signal.Signals, ...]:
    """The signals that ask for an orderly end. SIGHUP, of a terminal that is gone, unless `nohup` has it ignored."""
    hangup = (signal.SIGHUP,) if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else ()
    return (signal.SIGINT, signal.SIGTERM, *hangup)


def leave_to_parent() -> None:
    """Ignores what a terminal sends to all its processes: the parent, which gets it as well, tells this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def wait_until_gone(file: int, seconds: float | None = None) -> bool:
    """Waits until nobody is at the other end of a terminal or pipe any more (poll(2), POLLHUP); False if in vain."""
    watched = select.poll()
    watched.register(file, 0)
    return bool(watched.poll(None if seconds is None else seconds * 1000))
