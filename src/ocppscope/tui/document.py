"""The reference of keys as Markdown, made from the table of actions: docs/keys.md is this text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.tui.actions import ACTIONS, shown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.tui.actions import Action

_INTRODUCTION = """\
# Keys

A number before a key of *Move* or *Find* repeats it: `5j`, `3e`. Every action can be found by its name in the palette
(`Ctrl+p`) and typed as a command (`:next-error`). Keys are changed in `ocppscope/config.toml` in the configuration
directory (`$XDG_CONFIG_HOME`, `~/.config`); a key that is given to an action is taken from the others:

    [keys]
    next_error = "x"
    filter = ["/", "f3"]
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_tables()]) + "\n"


def _tables() -> Iterator[str]:
    for group in dict.fromkeys(action.group for action in ACTIONS.values()):
        yield f"## {group}\n"
        yield "| key | does | in | name |\n|---|---|---|---|"
        yield from (_row(action) for action in ACTIONS.values() if action.group == group)
        yield ""


def _row(action: Action) -> str:
    keys = " ".join(f"`{shown_key(key)}`" for key in action.keys)
    views = ", ".join(view.capitalize() for view in action.views) or "all tabs"
    return f"| {keys} | {action.sentence} | {views} | `{action.id}` |"
