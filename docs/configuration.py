"""Makes docs/config.md from the tables of the program: `python docs/configuration.py > docs/config.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.registry import load
from ocppscope.analysis.settings import MAX_LIMIT
from ocppscope.query.config import MAX_CONFIG, MAX_FILTERS
from ocppscope.render.times import CLOCKS
from ocppscope.tui.actions import ACTIONS
from ocppscope.tui.columns import COLUMNS
from ocppscope.tui.columns import DEFAULT as USUAL_COLUMNS
from ocppscope.tui.settings import _TYPES, MAX_KEYS, Settings
from ocppscope.tui.theme import LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INTRODUCTION = """\
# The configuration file

`ocppscope/config.toml` in the configuration directory: `$XDG_CONFIG_HOME`, or `~/.config` where that is not set. It
is [TOML](https://toml.io), and may be missing, as may every table and key in it. What is wrong in it is said with its
line, and nothing is guessed. What the command line says counts more.

    [filters]
    slow = "latency > 2s"
    bad-boot = "action == BootNotification and (@slow or status != Accepted)"

    [tui]
    theme = "light"
    time = "ad"
    slow = "1s"
    columns = ["time", "station", "action", "latency", "summary"]

    [keys]
    next_error = "x"
    filter = ["/", "f3"]

    [rules]
    basic-auth-cleartext = false

    [rules.rpc-slow-response]
    warn = 20
"""

_CLOCKS = {
    "a": "time of day", "ad": "with the date", "d": "since the message before", "dd": "since the one shown before",
    "e": "seconds since 1970", "r": "since the first message", "u": "as a", "ud": "as ad",
}  # fmt: skip

_ELSEWHERE = """\
## What else is read

| variable | what it does |
|---|---|
| `XDG_CONFIG_HOME` | where `ocppscope/config.toml` is; `~/.config` |
| `XDG_DATA_HOME` | where the proxy's authority is kept, in `ocppscope/ca`; `~/.local/share` |
| `SSLKEYLOGFILE` | a key log that is read if `--keylog` is not given and the file is there ([TLS](tls.md)) |
| `NO_COLOR` | no colours, as `--color never`; the screens take the theme `mono` |
| `PAGER` | shows a message with `Ctrl+o`; `less` |
| `VISUAL`, `EDITOR` | edits one with `Ctrl+e`; `vi` |
| `OCPPSCOPE_DEBUG` | set, a failure of ocppscope's own shows a traceback, as `--debug` |

Marks and notes on a capture are in a file beside it, `CAPTURE.ocppscope.json`.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_filters(), *_screens(), *_keys(), *_rules(), _ELSEWHERE]
    return "\n".join(parts)


def _filters() -> Iterator[str]:
    yield "## [filters]\n"
    yield "Each key is the name of a filter, each value a [filter](filter.md). `@name` stands for it in filters,"
    yield "those of this table included. Names are letters, digits, `_` and `-`, at most 64."
    yield f"A file has at most {MAX_CONFIG:,} bytes and {MAX_FILTERS:,} filters.\n"


def _screens() -> Iterator[str]:
    usual = Settings()
    rows = {
        "theme": (f"one of {_codes(LOOKS)}", f"`{usual.theme}`"),
        "time": (
            "the time column: "
            + ", ".join(f"`{clock}` {_CLOCKS[clock]}" for clock in CLOCKS)
            + "; `.N` for N decimals",
            f"`{usual.time.clock}.{usual.time.decimals}`",
        ),
        "slow": ("from which latency an exchange is slow for `)` and `(`: `250ms`, `2s`, `1m`", _span(usual.slow_ns)),
        "columns": ("the columns of Messages, as far as they fit", _codes(USUAL_COLUMNS)),
    }
    yield "## [tui]\n"
    yield "| key | value | usual |\n|---|---|---|"
    yield from (f"| `{name}` | {rows[name][0]} | {rows[name][1]} |" for name in _TYPES)
    yield "\nColumns:\n"
    yield "| column | shows |\n|---|---|"
    yield from (f"| `{column.name}` | {_cell(column.help)} |" for column in COLUMNS.values())
    yield ""


def _keys() -> Iterator[str]:
    yield "## [keys]\n"
    yield f"The name of an action, and a key or a list of at most {MAX_KEYS} keys. A key that is given to an action"
    yield "is taken from the others. Keys are characters (`x`, `G`, `/`) or names: `f3`, `ctrl+x`, `enter`, `escape`,"
    yield "`pageup`. [Keys](keys.md) says what each action does:\n"
    yield f"{_codes(ACTIONS)}.\n"


def _rules() -> Iterator[str]:
    yield "## [rules]\n"
    yield "`RULE = false` says never to apply a rule of the [diagnosis](rules.md). `[rules.RULE]` sets its limits,"
    yield "in the units of this table. On the command line `--limit RULE.NAME=N` does the same."
    yield f"Values are numbers from 0 to {MAX_LIMIT:,.0f}.\n"
    yield "| rule | limit | usual | what it is |\n|---|---|---|---|"
    for rule in load().values():
        for name, limit in rule.limits.items():
            link = f"[{rule.id}](rules.md#{rule.id})"
            yield f"| {link} | `{name}` | {limit.value:g} {limit.unit} | {_cell(limit.meaning)} |"
    yield ""


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _span(span_ns: int) -> str:
    return f"`{span_ns / 1e9:g}s`"


if __name__ == "__main__":
    print(page(), end="")
