"""What a user wants of the rules otherwise: from the table `[rules]` of the configuration file, and from options.

[rules]
basic-auth-cleartext = false         # never say this

[rules.rpc-slow-response]
warn = 20                            # its limit, in the unit that `ocppscope rules rpc-slow-response` names
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ocppscope.analysis.registry import load
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.registry import Rule

MAX_LIMIT = 1e12
"""A threshold beyond this is a mistake."""


class Settings(Struct, frozen=True):
    """Limits by rule and name, in their own units; rules switched on or off; where the capture was taken."""

    limits: dict[str, dict[str, float]] = {}
    disabled: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()  # if there are any, no others run
    vantage: str = ""  # a value of `vantage.WORDS`; "": worked out


def known_rule(name: str) -> Rule:
    """A rule by its id; raises UsageError."""
    rules = load()
    if name in rules:
        return rules[name]
    close = get_close_matches(name, rules, n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}?" if close else "`ocppscope rules` lists all of them."
    raise UsageError(f"There is no rule {name[:60]!a}.", hint)


def settings_of(
    table: object, *, limits: Iterable[str] = (), disabled: Iterable[str] = (), only: Iterable[str] = (),
    vantage: str = "", where: str = "[rules]",
) -> Settings:  # fmt: skip
    """Settings from the configuration's table and from options, which count more; raises UsageError.

    `limits` are written `rpc-slow-response.warn=20`.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where}: “rules” is no table.", "Write: [rules], and below it: rpc-slow-response = false.")
    chosen: dict[str, dict[str, float]] = {}
    off = set(disabled)
    enabled = frozenset(only)
    for name in (*off, *enabled):
        known_rule(name)
    for name, value in table.items():
        rule = known_rule(name)
        if value is False:
            if name not in enabled:
                off.add(name)
        elif isinstance(value, dict):
            chosen[name] = {limit: _limit(rule, limit, figure) for limit, figure in value.items()}
        elif value is not True:
            raise UsageError(f"{where}: {name} is neither true, false nor a table of limits.")
    for text in limits:
        name, _, rest = text.partition(".")
        limit, equals, figure = rest.partition("=")
        rule = known_rule(name.strip())
        if not equals:
            raise UsageError(f"{text[:80]!a} sets no limit.", "Write it like rpc-slow-response.warn=20.")
        chosen.setdefault(rule.id, {})[limit.strip()] = _limit(rule, limit.strip(), figure.strip())
    return Settings(chosen, frozenset(off), enabled, vantage)


def _limit(rule: Rule, name: str, figure: Any) -> float:
    if name not in rule.limits:
        there = ", ".join(rule.limits) or "no limits at all"
        raise UsageError(f"The rule {rule.id} has no limit {name[:40]!a}.", f"It has {there}.")
    try:
        value = float(figure)
    except (TypeError, ValueError):
        value = -1.0
    if isinstance(figure, bool) or not 0 <= value <= MAX_LIMIT:
        raise UsageError(
            f"{rule.id}.{name}: {str(figure)[:40]!a} is no number of {rule.limits[name].unit} above zero."
        )
    most, unit = rule.limits[name].most, rule.limits[name].unit
    if value > most:
        raise UsageError(
            f"{rule.id}.{name}: no more than {most:g} {unit} are remembered.", f"Set it to {most:g} or less."
        )
    return value
