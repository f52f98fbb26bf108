"""Three looks of one screen: dark, light, and one without colours. Where a colour says something, a sign does, too.

A style of `render.styled` names what a text is; a `Look` says how that is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.strip import Strip
from textual.theme import Theme

from ocppscope.render import styled
from ocppscope.render.styled import Style

if TYPE_CHECKING:
    from ocppscope.render.styled import Line


class Look(NamedTuple):
    """How styles are drawn. `cursor` lies over the row of the cursor, `resting` too where the list has no focus."""

    theme: Theme
    styles: Mapping[Style, RichStyle]
    base: RichStyle
    cursor: RichStyle
    resting: RichStyle
    found: RichStyle


class _Colours(NamedTuple):
    """The colours of a look, by what they say."""

    foreground: str
    background: str
    dim: str
    station: str
    csms: str
    good: str
    bad: str
    odd: str
    cursor: str
    resting: str


_DARK = _Colours(
    "#d8dee4", "#11151a", "#7d8894", "#56c8d8", "#d08ce0", "#7cc46f", "#ff6b6b", "#e5b454", "#264a6e", "#22303d"
)
_LIGHT = _Colours(
    "#1c2430", "#fbfbf9", "#697483", "#00687a", "#8a2f9c", "#24762b", "#c01c28", "#8f5a00", "#bcd9f5", "#e0e6ec"
)


def _styles(colours: _Colours) -> dict[Style, RichStyle]:
    plain = {
        Style.PLAIN: colours.foreground,
        Style.DIM: colours.dim,
        Style.BOLD: f"bold {colours.foreground}",
        Style.TIME: colours.dim,
        Style.STATION: colours.station,
        Style.CSMS: colours.csms,
        Style.PROXY: colours.dim,
        Style.CALL: f"bold {colours.foreground}",
        Style.RESULT: colours.foreground,
        Style.ERROR: f"bold {colours.bad}",
        Style.WARNING: colours.odd,
        Style.GOOD: colours.good,
        Style.ID: colours.dim,
        Style.KEY: colours.station,
        Style.STRING: colours.good,
        Style.NUMBER: colours.csms,
        Style.LITERAL: colours.odd,
        Style.UNIT: colours.dim,
        Style.MARK: f"bold {colours.odd}",
        Style.SELECTED: f"bold {colours.foreground} on {colours.cursor}",
        Style.AXIS: colours.dim,
        Style.BAR: colours.station,
        Style.MEDIAN: colours.good,
        Style.P95: colours.odd,
    }
    return {name: RichStyle.parse(text) for name, text in plain.items()}


def _colourful(name: str, colours: _Colours, *, dark: bool, panel: str, surface: str) -> Look:
    theme = Theme(
        name, primary=colours.station, secondary=colours.csms, warning=colours.odd, error=colours.bad,
        success=colours.good, accent=colours.station, foreground=colours.foreground, background=colours.background,
        surface=surface, panel=panel, dark=dark, variables={"dim": colours.dim, "bar": panel},
    )  # fmt: skip
    return Look(
        theme,
        MappingProxyType(_styles(colours)),
        RichStyle.parse(f"{colours.foreground} on {colours.background}"),
        RichStyle.parse(f"on {colours.cursor}"),
        RichStyle.parse(f"on {colours.resting}"),
        RichStyle.parse(f"bold {colours.background} on {colours.odd}"),
    )


def _monochrome() -> Look:
    """Bold, dim, underlined and reversed text only."""
    plain = dict.fromkeys(Style, "")
    dim = (Style.DIM, Style.TIME, Style.PROXY, Style.ID, Style.UNIT, Style.AXIS)
    bold = (Style.BOLD, Style.CALL, Style.KEY, Style.MARK, Style.MEDIAN)
    plain |= dict.fromkeys(dim, "#a0a0a0") | dict.fromkeys(bold, "bold")
    plain |= {Style.ERROR: "bold underline", Style.WARNING: "underline", Style.SELECTED: "reverse"}
    theme = Theme(
        "mono", primary="#ffffff", secondary="#ffffff", warning="#ffffff", error="#ffffff", success="#ffffff",
        accent="#ffffff", foreground="#ffffff", background="#000000", surface="#000000", panel="#303030", dark=True,
        variables={"dim": "#a0a0a0", "bar": "#303030"},
    )  # fmt: skip
    return Look(
        theme,
        MappingProxyType({name: RichStyle.parse(text or "none") for name, text in plain.items()}),
        RichStyle.parse("#ffffff on #000000"),
        RichStyle.parse("reverse"),
        RichStyle.parse("on #303030"),
        RichStyle.parse("reverse bold"),
    )


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "dark": _colourful("dark", _DARK, dark=True, panel="#1d252d", surface="#161b21"),
        "light": _colourful("light", _LIGHT, dark=False, panel="#e3e7ea", surface="#f1f2f0"),
        "mono": _monochrome(),
    }
)
"""Looks by the name of their theme."""
DEFAULT = "dark"


def look(theme: str) -> Look:
    """The look of a theme; the usual one where the theme is none of ours."""
    return LOOKS.get(theme) or LOOKS[DEFAULT]


def strip(line: Line, width: int, drawn: Look, over: RichStyle | None = None) -> Strip:
    """A styled line as a strip of just so many columns; `over` is laid over all of it."""
    shades = _shades(drawn.theme.name, over)
    return Strip([Segment(text, shades[style]) for text, style in styled.fit(line, width) if text], width)


@cache
def _shades(theme: str, over: RichStyle | None) -> dict[Style, RichStyle]:
    """The styles of a look on its background."""
    drawn = LOOKS[theme]
    return {style: drawn.base + own + over if over else drawn.base + own for style, own in drawn.styles.items()}
