"""Named filters of the configuration file, `ocppscope/config.toml` in the XDG configuration directory.

    [filters]
    slow = "latency > 2s"
    bad-boot = "action == BootNotification and (@slow or status != Accepted)"

Each is used as `@name` in a filter, other named filters included. Whatever is wrong in the file is said with its
line.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ocppscope.errors import UsageError
from ocppscope.query.check import NAMED, check
from ocppscope.query.lexer import FilterError

MAX_CONFIG = 1 << 20
"""Bytes of a configuration file."""
MAX_FILTERS = 1_000
"""Named filters of a configuration file."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_HINT = 'Named filters are written as: [filters], and below it: slow = "latency > 2s".'


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration file is looked for."""
    base = environment.get("XDG_CONFIG_HOME", "")
    home = Path(base) if os.path.isabs(base) else Path(environment.get("HOME") or "/") / ".config"
    return home / "ocppscope" / "config.toml"


def named_filters(path: Path | None = None) -> Mapping[str, str]:
    """The named filters of a configuration file, none if there is no file; raises `UsageError`."""
    path = path or config_path()
    text, content = _read(path)
    return MappingProxyType(_filters(path, text, content.get("filters", {})))


def config_table(name: str, path: Path | None = None) -> object:
    """What a configuration file says under a name, an empty table if there is nothing; raises `UsageError`."""
    return _read(path or config_path())[1].get(name, {})


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """The text and content of the file, nothing if there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except (FileNotFoundError, NotADirectoryError):
        return "", {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    if len(data) > MAX_CONFIG:
        raise UsageError(f"{path}: larger than {MAX_CONFIG:,} bytes.", "Is this the right file?")
    try:
        text = data.decode("utf-8")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}:{_bad_line(data, error)}: not UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}:{_error_line(error, text)}: {_reason(error)}.", "The file is TOML.") from error
    return text, content


def _filters(path: Path, text: str, table: object) -> dict[str, str]:
    """The table `[filters]`, each filter checked."""
    if not isinstance(table, dict):
        raise UsageError(f"{path}:{_line(text, 'filters')}: “filters” is no table.", _HINT)
    if len(table) > MAX_FILTERS:
        raise UsageError(f"{path}: more than {MAX_FILTERS:,} filters.")
    for name, value in table.items():
        where = f"{path}:{_line(text, name)}"
        if not isinstance(value, str):
            raise UsageError(f"{where}: the filter {name!a:.80} is no text.", _HINT)
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: {name!a:.80} is no name of a filter.", "Use letters, digits, _ and -.")
    for name in table:
        try:
            check(NAMED + name, table)
        except FilterError as error:
            raise UsageError(f"{path}:{_line(text, name)}: {error.message}", error.hint) from error
    return table


def _line(text: str, key: str) -> int:
    """The line on which a key of the table is given; the one of the table if it is not found."""
    spelled = re.escape(key)
    head = re.search(r"^\s*\[\s*filters\s*\]", text, re.MULTILINE)
    begin = head.start() if head else 0
    found = re.compile(rf"""^\s*(?:filters\s*\.\s*)?["']?{spelled}["']?\s*=""", re.MULTILINE).search(text, begin)
    at = text.index(key, found.start()) if found else begin
    return text.count("\n", 0, at) + 1


def _bad_line(data: bytes, error: UnicodeDecodeError) -> int:
    return data.count(b"\n", 0, error.start) + 1


def _error_line(error: Exception, text: str) -> int:
    found = _AT_LINE.search(str(error))
    return int(found[1]) if found else text.count("\n") + 1


def _reason(error: Exception) -> str:
    return _AT_LINE.sub("", str(error)).replace("(at end of document)", "").strip() or "nested too deeply"
