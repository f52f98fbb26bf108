"""Figures as short texts: an amount with its unit in at most eight characters, and what belongs to a row in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.timing.figures import Unit
from ocppscope.render import times
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from ocppscope.analysis.timing.figures import Row

NOTHING = "–"  # noqa: RUF001 - there is no figure
ARROWS = {"station": "→", "csms": "←"}
MAX_NAME = 60
_FAR = 1e9
"""Other amounts from here on are only told by their magnitude, unless they are bytes."""
_NEAR = 1e-9
"""Amounts from here on down are nothing."""
_YEAR = 3.156e16


def amount(value: float | None, unit: str) -> str:
    """`44ms`, `12.3kWh`, `98.2%`, `3`; a dash where there is none."""
    if value is None:
        return NOTHING
    if unit == Unit.TIME:
        return times.span(int(value)) if abs(value) < 30 * _YEAR else f"{value / _YEAR:.3g}y"
    if abs(value) < _NEAR:
        value = 0.0
    if value < 0:
        return f"-{amount(-value, unit)}"
    if unit == Unit.BYTES and value < _FAR * 1e6:
        return times.size(int(value))
    if value >= _FAR:
        return f"{value:.0e}"
    if unit in (Unit.ENERGY, Unit.POWER):
        return _power_of_ten(value, unit)
    return f"{_short(value)}{'' if unit == Unit.COUNT else unit}"


def _power_of_ten(value: float, unit: str) -> str:
    if value >= 999_950:
        return f"{value / 1e6:.1f}M{unit}"
    return f"{value / 1e3:.1f}k{unit}" if value >= 999.5 else f"{value:.0f}{unit}"


def _short(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.1f}M" if abs(value) < 1e9 else f"{value:.2g}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    if 99 < value < 100:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def name(row: Row, models: dict[str, str], *, station: bool) -> str:
    """What a row is of: `CP-1 → Heartbeat`, `→ Heartbeat 11-22 10h`; `models` have short names."""
    parts = dict(row.split)
    if "hour" in parts:
        parts["hour"] = parts["hour"][5:].replace(":00", "h")
    if "model" in parts:
        parts["model"] = models.get(parts["model"], "")
    sign = ARROWS.get(parts.pop("from", ""), "")
    action = parts.pop("action", "")
    words = [row.station if station else "", sign, action, *parts.values()]
    return visible(" ".join(one for one in words if one), MAX_NAME)


def details(row: Row, without: tuple[str, ...] = ()) -> str:
    """What belongs to a row: `skipped 3, interval 5m00s`."""
    return ", ".join(
        _detail(name, value, row.unit) for name, value in row.counts.items() if value and name not in without
    )


def _detail(name: str, value: float, unit: str) -> str:
    words = visible(name.removesuffix("_ns").replace("_", " "), MAX_NAME)
    if name.endswith("_ns"):
        return f"{words} {amount(value, Unit.TIME)}"
    if unit == Unit.BYTES:
        return f"{words} {amount(value, unit)}"
    return f"{words} {value:,.6g}"
