"""Colours of text output. With colours off every colour is the empty string."""

from __future__ import annotations

from typing import NamedTuple


class Palette(NamedTuple):
    """SGR sequences by purpose, and `off` to end each of them."""

    dim: str = ""
    bold: str = ""
    station: str = ""
    csms: str = ""
    good: str = ""
    bad: str = ""
    odd: str = ""
    off: str = ""


PLAIN = Palette()
COLOURED = Palette(
    dim="\x1b[2m",
    bold="\x1b[1m",
    station="\x1b[36m",
    csms="\x1b[35m",
    good="\x1b[32m",
    bad="\x1b[31m",
    odd="\x1b[33m",
    off="\x1b[0m",
)
