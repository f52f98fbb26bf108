"""Lines to stdout in large pieces, and the progress line on stderr."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from ocppscope.render.palette import COLOURED, PLAIN

if TYPE_CHECKING:
    from io import TextIOWrapper
    from typing import TextIO

    from ocppscope.render.palette import Palette

BATCH_LINES = 512
"""Lines that are gathered before they are written, unless somebody watches."""
BATCH_CHARACTERS = 1 << 17
PROGRESS_AFTER = 1.0
PROGRESS_EVERY = 0.2

_PLAIN = str.maketrans({"→": ">", "←": "<", "✓": "+", "✗": "x", "\N{EN DASH}": "-", "…": "~", "µ": "u", "·": "."})
"""What stands for our own signs where the terminal has no Unicode."""


class Writer:
    """Writes text to a stream as the stream's encoding allows. With `live`, at every `rest`."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._binary = getattr(stream, "buffer", None)
        self._encoding = stream.encoding or "utf-8"
        self._unicode = self._encoding.lower().replace("-", "").startswith("utf")
        self._live = live
        self._lines: list[str] = []
        self._began = False
        self.add = self._lines.append

    def rest(self) -> None:
        """A block of input is done. The first lines are not kept waiting."""
        if not self._began and self._lines:
            self._began = True
            self.flush()
        elif self._live or len(self._lines) >= BATCH_LINES or sum(map(len, self._lines)) >= BATCH_CHARACTERS:
            self.flush(through=self._live)

    def flush(self, *, through: bool = True) -> None:
        """Writes what was gathered; with `through`, nothing stays in the stream's buffer either."""
        text = "".join(self._lines)
        self._lines.clear()
        if self._binary is None:
            self._stream.write(text)
        elif text:
            if not self._unicode:
                text = text.translate(_PLAIN)
            self._binary.write(text.encode(self._encoding, "backslashreplace"))
        if through:
            self._stream.flush()


class Progress:
    """How far reading has come, on one line of stderr, if that is a terminal and nobody reads stdout there."""

    def __init__(self, *, wanted: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._wanted = wanted and self._stream.isatty()
        self._began = time.monotonic()
        self._shown = self._began + PROGRESS_AFTER - PROGRESS_EVERY
        self._visible = False

    def step(self, read: int, of: int | None, messages: int) -> None:
        """`read` of `of` bytes (None: unknown) have given `messages`."""
        if not self._wanted:
            return
        now = time.monotonic()
        if now - self._shown < PROGRESS_EVERY:
            return
        self._shown = now
        self._visible = True
        elapsed = max(now - self._began, 1e-9)
        share = f"{100 * read // max(of, 1):3d} %  " if of is not None else ""
        self._stream.write(f"\r\x1b[K{share}{read / 1e6:,.0f} MB  {messages:,} messages  {messages / elapsed:,.0f}/s")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._visible = False


def palette_of(choice: str) -> Palette:
    """How standard output is coloured; `choice` as for `wants_colour`."""
    return COLOURED if wants_colour(choice, sys.stdout, dict(os.environ)) else PLAIN


def wants_colour(choice: str, stream: TextIO | TextIOWrapper, environment: dict[str, str]) -> bool:
    """Whether to colour what goes to `stream` (see https://no-color.org)."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
