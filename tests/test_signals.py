"""What asks a process to end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ocppscope.signals import endings, wait_until_gone


@contextmanager
def hangup(handler: signal.Handlers) -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_hangup_ends_in_order_unless_it_is_ignored():
    with hangup(signal.SIG_DFL):
        assert endings() == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with hangup(signal.SIG_IGN):
        assert endings() == (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_left_to_the_parent(number: int):
    lines = ("import os; from ocppscope.signals import *", "leave_to_parent()", f"os.kill(os.getpid(), {number})")
    code = "\n".join((*lines, "print('here')"))
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"here\n"


@pytest.mark.parametrize(("opened", "peer"), [(pty.openpty, 0), (os.pipe, 1)], ids=["a terminal", "a pipe"])
def test_the_other_end_is_gone(opened: Callable[[], tuple[int, int]], peer: int):
    ends = opened()
    own = ends[1 - peer]
    try:
        assert not wait_until_gone(own, 0)
        os.close(ends[peer])
        assert wait_until_gone(own)
    finally:
        os.close(own)


def test_nobody_leaves_the_null_device():
    with open(os.devnull, "rb") as file:
        assert not wait_until_gone(file.fileno(), 0.01)
