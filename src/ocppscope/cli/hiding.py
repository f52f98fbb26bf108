"""The options of commands that write what is to be shared. Nothing is imported here that decodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    _Parameter = click.ParamType[Any]
else:
    _Parameter = click.ParamType

F = TypeVar("F", bound="Callable[..., Any]")

MAX_SHIFT_DAYS = 36_500
_SPAN = re.compile(r"([+-]?)(\d{1,9}(?:\.\d{1,9})?)([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class ShiftType(_Parameter):
    """`-30d`, `+2h`, `90s` → nanoseconds."""

    name = "SPAN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads a span."""
        if isinstance(value, int):
            return value
        found = _SPAN.fullmatch(value.strip())
        seconds = float(found[2]) * _UNITS[found[3]] if found else 0.0
        if found is None or seconds > MAX_SHIFT_DAYS * 86_400:
            self.fail(f"{value!r} is no span of time such as -30d, +2h or 90s.", param, ctx)
        return round(seconds * 1e9) * (-1 if found[1] == "-" else 1)


def hiding(function: F) -> F:
    """The options of every command that redacts."""
    for option in reversed(
        (
            click.option("--show-secrets", is_flag=True, help="Redact nothing: for your own eyes, not for sharing."),
            click.option(
                "--redact-key",
                metavar="FILE",
                type=click.Path(dir_okay=False),
                help="Key of the pseudonyms, made if it is not there: the same in every export that uses it.",
            ),
            click.option(
                "--shift",
                type=ShiftType(),
                default="0s",
                help="Move all times, also inside messages, by this: -30d, +2h.",
            ),
            click.option("--keep-equipment", is_flag=True, help="Leave station identities and serial numbers."),
            click.option("--keep-network", is_flag=True, help="Leave addresses and host names."),
            click.option("--blank-free-text", is_flag=True, help="Blank free texts wholly, not only what is found."),
        )
    ):
        function = option(function)
    return function
