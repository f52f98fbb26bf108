"""Logs of messages as files: opens them, tells which form they have, and reads them line by line.

Knows the forms by their first line and leaves the lines to their readers; a capture of packets is none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.capture.bytesource import open_path
from ocppscope.capture.textlog import read_text_log
from ocppscope.capture.trace import read_trace
from ocppscope.errors import CaptureError

if TYPE_CHECKING:
    from ocppscope.capture.entries import Entry

MAX_LINE = 1 << 25
"""Bytes of a line."""
CHUNK = 1 << 16

HINT = "It should be a log of messages: a text with a line a message, or an Open OCPP Trace."


def read_message_log(path: Path) -> Iterator[Entry]:
    """The entries of a text log or a trace, packed with gzip or zstd or not. Raises CaptureError, AccessError."""
    lines = _lines(path)
    first: list[str] = []
    for line in lines:
        first.append(line)
        if line.strip("\ufeff \t\r\n"):
            break
    form = read_trace if first and first[-1].lstrip("\ufeff \t").startswith("{") else read_text_log
    yield from form(_chained(first, lines))


def _chained(first: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, without their ends. Bytes that are no UTF-8 come as surrogates."""
    opened = open_path(path, threading.Event())
    try:
        source, buffer = opened.source, memoryview(bytearray(CHUNK))
        held: list[bytes] = []  # pieces of a line whose end has not come
        size = 0
        while got := source.readinto(buffer):
            *lines, rest = bytes(buffer[:got]).split(b"\n")
            for line in lines:
                yield b"".join([*held, line]).decode("utf-8", "surrogateescape")
                held, size = [], 0
            held.append(rest)
            size += len(rest)
            if size > MAX_LINE:
                raise CaptureError(f"{path} has a line of more than {MAX_LINE:,} bytes.", HINT)
        if source.trouble:
            raise CaptureError(f"{path} {source.trouble}.", "Copy or record the file again.")
        if size:
            yield b"".join(held).decode("utf-8", "surrogateescape")
    finally:
        opened.close()
