"""What the configuration file says of the screens: `[keys]` and `[tui]`.

    [tui]
    theme = "light"                      # dark, light or mono
    time = "ad"
    slow = "1s"                          # what counts as a slow exchange
    columns = ["time", "station", "action", "summary"]

    [keys]
    next_error = "x"
    filter = ["/", "f3"]

Whatever is wrong in it is said with the file's name; nothing is guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.keys import _character_to_key

from ocppscope.errors import UsageError
from ocppscope.query import literals
from ocppscope.query.config import config_path, named_filters
from ocppscope.render import times
from ocppscope.tui.actions import ACTIONS
from ocppscope.tui.columns import COLUMNS, DEFAULT
from ocppscope.tui.messages import SLOW_NS
from ocppscope.tui.theme import DEFAULT as DEFAULT_THEME
from ocppscope.tui.theme import LOOKS

if TYPE_CHECKING:
    from pathlib import Path

MAX_KEYS = 8
"""Keys of one action."""
_TYPES = {"theme": str, "time": str, "slow": str, "columns": list}


class Settings(NamedTuple):
    """What a user has settled."""

    theme: str = DEFAULT_THEME
    time: times.ClockFormat = times.ClockFormat("a", 3)
    slow_ns: int = SLOW_NS
    columns: tuple[str, ...] = DEFAULT
    keys: Mapping[str, tuple[str, ...]] = MappingProxyType({})  # of the actions that were rebound
    filters: Mapping[str, str] = MappingProxyType({})


def load(path: Path | None = None) -> Settings:
    """The settings of the configuration file, the usual ones if there is none; raises `UsageError`."""
    path = path or config_path()
    filters = named_filters(path)  # complains of everything that is wrong with the file itself
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError:
        return Settings(filters=filters)
    settings = Settings(filters=filters, keys=MappingProxyType(_keys(path, content.get("keys", {}))))
    return _tui(path, content.get("tui", {}), settings)


def _keys(path: Path, table: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: “keys” is no table.", 'Keys are written as: [keys], and below it: quit = "Q".')
    found = {}
    for name, value in table.items():
        keys = [value] if isinstance(value, str) else value
        if name not in ACTIONS:
            raise UsageError(f"{path}: there is no action {name!a:.60}.", "The key ? in the TUI lists all of them.")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS or not all(isinstance(k, str) and k for k in keys):
            raise UsageError(f"{path}: the keys of {name} are no list of keys.", 'Write "x" or ["x", "ctrl+x"].')
        found[name] = tuple(map(normal, keys))
    return found


def normal(key: str) -> str:
    """A key as actions spell it: characters as themselves, others by name."""
    return key if len(key) == 1 else key.lower().replace("page_", "page").replace("escape", "escape")


def key_name(key: str) -> str:
    """A key of the table as Textual names it."""
    return _character_to_key(key) if len(key) == 1 else key


def _tui(path: Path, table: Any, settings: Settings) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: “tui” is no table.", 'It is written as: [tui], and below it: theme = "light".')
    for name, value in table.items():
        if name not in _TYPES or not isinstance(value, _TYPES[name]):
            raise UsageError(f"{path}: tui.{name!a:.60} is not understood.", f"There are {', '.join(_TYPES)}.")
        settings = _SETTERS[name](path, value, settings)
    return settings


def _theme(path: Path, value: str, settings: Settings) -> Settings:
    if value not in LOOKS:
        raise UsageError(f"{path}: there is no theme {value!a:.60}.", f"There are {', '.join(LOOKS)}.")
    return settings._replace(theme=value)


def _time(path: Path, value: str, settings: Settings) -> Settings:
    form = times.parse_clock(value)
    if form is None:
        raise UsageError(f"{path}: {value!a:.60} is no time format.", f"There are {', '.join(times.CLOCKS)}.")
    return settings._replace(time=form)


def _slow(path: Path, value: str, settings: Settings) -> Settings:
    span = literals.duration(value)
    if span is None or not 0 < span < 1 << 62:
        raise UsageError(f"{path}: {value!a:.60} is no duration.", "Write one like 250ms, 2s or 1m.")
    return settings._replace(slow_ns=int(span))


def _columns(path: Path, value: list[Any], settings: Settings) -> Settings:
    unknown = [name for name in value if not isinstance(name, str) or name not in COLUMNS]
    if unknown or not value:
        named = f"{unknown[0]!a:.60}" if unknown else "none"
        raise UsageError(
            f"{path}: there is no column {named}.", "`ocppscope fields` lists them, and there is summary."
        )
    return settings._replace(columns=tuple(dict.fromkeys(value)))


_SETTERS = {"theme": _theme, "time": _time, "slow": _slow, "columns": _columns}
