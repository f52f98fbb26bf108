"""A process whose terminal is gone ends: nobody sees its screens, and Textual would read its end again and again.

Most are told by SIGHUP and end by it. This is for those whom it does not reach, under `nohup` or in a job of a shell
that is gone; for them it is the same.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from ocppscope.signals import wait_until_gone


def end_with_terminal() -> None:
    """From now on. What waits for the screens to end, such as the process of a recording, ends in order by itself."""
    if sys.__stdin__ is not None and sys.__stdin__.isatty():
        Thread(target=_end_after, args=(sys.__stdin__.fileno(),), name="terminal", daemon=True).start()


def _end_after(file: int) -> None:
    wait_until_gone(file)
    os._exit(128 + signal.SIGHUP)  # whoever has to say something still would wait for the terminal
