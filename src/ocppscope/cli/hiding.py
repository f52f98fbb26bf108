"""The options of commands that write what is to be shared. Nothing is imported here that decodes."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.export.hidden import Hiding

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


class Hidden(NamedTuple):
    """What the options of `hiding` say."""

    show_secrets: bool
    redact_key: str | None
    shift: int  # ns
    keep_equipment: bool
    keep_network: bool
    blank_free_text: bool

    def hiding(self, *, redact: bool) -> Hiding:
        """The same for whoever writes; `redact`: also what is not made to be shared."""
        from ocppscope.export.hidden import Hiding  # noqa: PLC0415 - so that --help stays quick

        return Hiding(
            show_secrets=self.show_secrets,
            redact=redact,
            key_file=self.redact_key or "",
            shift_ns=self.shift,
            equipment=not self.keep_equipment,
            network=not self.keep_network,
            free_text=self.blank_free_text,
        )


def hiding(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that redacts; the command is given a `Hidden` as `hide`."""

    @wraps(function)
    def hide(*read: Any, **given: Any) -> Any:
        return function(*read, hide=Hidden(*(given.pop(name) for name in Hidden._fields)), **given)

    return _hiding_options(hide)


def _hiding_options(function: F) -> F:
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
