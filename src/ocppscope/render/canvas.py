"""A sheet of character cells for text charts, with braille dots, two by four a cell. Knows no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

DOTS_ACROSS, DOTS_DOWN = 2, 4
_BRAILLE = 0x2800
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot, by column and row of the cell (Unicode block Braille Patterns)."""
MAX_SIDE = 1000
"""Cells of a side; a larger sheet is cut."""


class Canvas:
    """Cells that hold a character or dots, each in a style."""

    def __init__(self, width: int, height: int, *, ascii_only: bool = False) -> None:
        self.width = min(max(width, 0), MAX_SIDE)
        self.height = min(max(height, 0), MAX_SIDE)
        self._ascii = ascii_only
        self._text = [[" "] * self.width for _ in range(self.height)]
        self._style = [[Style.PLAIN] * self.width for _ in range(self.height)]
        self._dots: dict[tuple[int, int], int] = {}

    def put(self, column: int, row: int, text: str, style: Style = Style.PLAIN) -> None:
        """Text from a cell on, row 0 at the top; what lies outside is left out."""
        if not 0 <= row < self.height:
            return
        for char in text:
            size = columns(char)
            if column >= 0 and column + size <= self.width and size:
                self._text[row][column] = char
                self._style[row][column] = style
                if size == 2:
                    self._text[row][column + 1] = ""
            column += size

    def dot(self, x: int, y: int, style: Style = Style.PLAIN) -> None:
        """One dot; x from the left, y from the bottom, in dots. A dot hides the text of its cell."""
        column, row = x // DOTS_ACROSS, self.height - 1 - y // DOTS_DOWN
        if not (0 <= column < self.width and 0 <= row < self.height):
            return
        bit = _BITS[x % DOTS_ACROSS][DOTS_DOWN - 1 - y % DOTS_DOWN]
        dots = self._dots[column, row] = self._dots.get((column, row), 0) | bit
        self._text[row][column] = "*" if self._ascii else chr(_BRAILLE | dots)
        self._style[row][column] = style

    def lines(self) -> Iterator[Line]:
        """The sheet, row by row from the top; neighbouring cells of one style are one span."""
        for texts, styles in zip(self._text, self._style, strict=True):
            spans: list[Span] = []
            start = 0
            for at in range(1, self.width + 1):
                if at == self.width or styles[at] != styles[start]:
                    spans.append(Span("".join(texts[start:at]), styles[start]))
                    start = at
            yield tuple(spans)
