"""The command line (`:`) and the palette (ctrl+p): actions by name, made of the table of actions."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.command import DiscoveryHit, Hit, Provider

from ocppscope.tui.actions import ACTIONS, shown_key

if TYPE_CHECKING:
    from textual.command import Hits

    from ocppscope.tui.app import Scope

SHORT = {"q": "quit", "h": "help", "w": "save", "noh": "clear_filter"}
"""What fingers type by themselves."""
MAX_ROW_DIGITS = 18


class Command(NamedTuple):
    """What was meant: a row to go to, a filter to use, an action to do, or a sentence on why nothing was."""

    row: int | None = None
    filter: str | None = None
    action: str | None = None
    trouble: str = ""


def interpret(text: str, named: Mapping[str, str]) -> Command:
    """What a command line means."""
    text = text.strip()
    if text.replace(",", "").isdecimal() and text.isascii():
        return Command(row=int(text.replace(",", "")[:MAX_ROW_DIGITS]))
    if text.startswith("/"):
        return Command(filter=text[1:])
    if text.startswith("@"):
        if text[1:] in named:
            return Command(filter=text)
        return Command(trouble=f"There is no filter named “{text[1:]}”.{_nearest(text[1:], named)}")
    name = SHORT.get(text, text.replace("-", "_").replace(" ", "_"))
    if name in ACTIONS:
        return Command(action=name)
    if not text:
        return Command()
    return Command(trouble=f"“{text}” is no command.{_nearest(name, ACTIONS)}")


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name[:50], list(known), n=1)
    return f" Did you mean “{close[0]}”?" if close else ""


class ActionCommands(Provider):
    """The actions, for the palette."""

    @property
    def _scope(self) -> Scope:
        app = self.app
        assert hasattr(app, "perform")
        return app  # type: ignore[return-value]

    def _entries(self) -> list[tuple[str, str, str]]:
        """Id, what is looked through, and the sentence."""
        scope = self._scope
        return [
            (one.id, f"{one.label}: {one.sentence}", " ".join(map(shown_key, scope.keys.get(one.id, ()))))
            for one in ACTIONS.values()
            if one.id != "palette" and (not one.views or scope.view in one.views)
        ]

    async def discover(self) -> Hits:
        """All of them."""
        for name, words, keys in self._entries():
            yield DiscoveryHit(words, partial(self._scope.perform, name), text=words, help=keys or None)

    async def search(self, query: str) -> Hits:
        """Those that fit what was typed."""
        matcher = self.matcher(query)
        for name, words, keys in self._entries():
            score = matcher.match(words)
            if score > 0:
                yield Hit(score, matcher.highlight(words), partial(self._scope.perform, name), text=words, help=keys)
