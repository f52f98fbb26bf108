"""What asks a process to end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
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


def test_a_terminal_that_is_gone():
    here, there = pty.openpty()
    try:
        assert not wait_until_gone(there, 0)
        os.close(here)
        assert wait_until_gone(there)
    finally:
        os.close(there)


def test_a_pipe_whose_writer_is_gone():
    reader, writer = os.pipe()
    try:
        assert not wait_until_gone(reader, 0)
        os.close(writer)
        assert wait_until_gone(reader)
    finally:
        os.close(reader)


def test_nobody_leaves_the_null_device():
    with open(os.devnull, "rb") as file:
        assert not wait_until_gone(file.fileno(), 0.01)
