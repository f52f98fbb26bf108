"""The second net under text from the wire: whatever a widget draws, no character that a terminal obeys gets out.

The first net is `render.wiretext`, which makes such characters visible. What gets past it by mistake is deleted
here, from every line of every widget.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from textual.color import Color

MAX_TOLD = 500
"""Characters of a sentence that is told in a notification or a status line."""

_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control characters, what changes the direction of text, and what is invisible."""
_BROKEN = re.compile("[\ud800-\udfff]")
"""Halves of characters, which no terminal's encoding has."""


def harmless(text: str) -> str:
    """The text without any character that a terminal obeys or cannot be sent."""
    if text.isprintable():  # printable characters are neither control nor format characters
        return text
    return _BROKEN.sub("\ufffd", _OBEYED.sub("", text))


def told(text: str) -> str:
    """A sentence of ours that may quote a peer or a file name."""
    return visible(text, MAX_TOLD)


class ControlFilter(LineFilter):
    """Deletes such characters from every line on its way to the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments where all are harmless."""
        del background
        for text, _, control in segments:
            if not text.isprintable() or control:
                return [Segment(harmless(one.text), one.style) for one in segments if not one.control]
        return segments
