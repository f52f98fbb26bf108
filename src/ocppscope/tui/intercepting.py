"""The queue of held messages: what waits for a decision, for how long it still can, and the keys that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from ocppscope.model import Side
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.editor import Editor
from ocppscope.tui.items import ItemList
from ocppscope.tui.proxy_words import SECOND, kind_name, named, seconds, text_lines
from ocppscope.tui.screens import Lines, ListScreen
from ocppscope.tui.watching import WatchScreen

if TYPE_CHECKING:
    from ocppscope.control import Held
    from ocppscope.tui.items import Key
    from ocppscope.tui.proxying import Proxying

SOON_NS = 5 * SECOND
"""From when on a countdown is shown as a warning."""
WIDE = 100
"""Columns from which on names have more room."""


def _room(width: int) -> tuple[int, int]:
    """Columns for the name of a station and for that of an action."""
    return (20, 26) if width >= WIDE else (12, 18)


def heading(width: int) -> Line:
    """The titles over `held_line`."""
    station, action = _room(width)
    words = f"{'station':<{station}}   kind   {'action':<{action}} {'held':>6} {'goes on':>8} {'gives up':>9}"
    return (Span(f"      # {words}  says", Style.DIM),)


def held_line(held: Held, now_ns: int, width: int) -> Line:
    """One held message."""
    is_station = held.side is Side.STATION
    station_room, action_room = _room(width)
    station = styled.fit((styled.wire(held.station, Style.STATION if is_station else Style.CSMS, 60),), station_room)
    action = styled.fit((styled.wire(held.action, Style.CALL, 60),), action_room)
    left = held.expires_ns - now_ns
    return (
        Span(f" {held.held:>6,} ", Style.DIM),
        *station,
        Span(f" {'→' if is_station else '←'} "),
        Span(f"{kind_name(held.kind):<6.6} "),
        *action,
        Span(f" {seconds(now_ns - held.time_ns):>6}", Style.DIM),
        Span(f" {seconds(left):>8}", Style.WARNING if left < SOON_NS else Style.PLAIN),
        *_patience(held, now_ns),
        Span("  "),
        styled.wire(held.text, Style.DIM, 300),
    )


def _patience(held: Held, now_ns: int) -> Line:
    """Until when its sender waits for the answer."""
    if held.gives_up_ns is None:
        return (Span(f" {'-':>9}", Style.DIM),)
    left = held.gives_up_ns - now_ns
    return (Span(f" {seconds(left) if left > 0 else 'gave up':>9}", Style.ERROR if left < SOON_NS else Style.PLAIN),)


class HeldList(ItemList["Held"]):
    """What is held, oldest first."""

    def __init__(self, proxying: Proxying) -> None:
        super().__init__()
        self._proxying = proxying

    def key_of(self, item: Held) -> Key:
        """Its number."""
        return (item.held,)

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        return held_line(self.items[index], self._proxying.clock(), width)

    def look(self) -> tuple[Held, ...]:
        """Shows what is held now; gives what is not held any more."""
        steering = self._proxying.steering
        now = steering.held() if steering is not None else ()
        before, numbers = self.items, {one.held for one in now}
        self.set_items(now)
        self.move_to(self.cursor, tell=False)  # what keys decide on stays in sight
        return tuple(one for one in before if one.held not in numbers)


_NOTHING_WANTED = "Nothing is held. Esc, and I sets what is to be held."


class HeldScreen(WatchScreen):
    """The queue."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "forward", show=False),
        Binding("A", "forward_all", show=False),
        Binding("X", "drop", show=False),
        Binding("D", "duplicate", show=False),
        Binding("e", "edit", show=False),
        Binding("enter,v", "view", show=False),
        Binding("i", "leave", show=False),
    ]

    def __init__(self, proxying: Proxying) -> None:
        self.queue = HeldList(proxying)
        keys = "a on  A all on  X drop  e edit  D twice  Enter view  Esc back"
        super().__init__("Held", keys, self.queue, proxying)
        self._decided: set[int] = set()

    def titles(self) -> Line:
        """Those of the queue."""
        return heading(self.size.width)

    def on_screen_resume(self) -> None:
        """Back from the editor: it may have decided."""
        self.look()

    def look(self) -> None:
        """What is held now?"""
        gone = [one for one in self.queue.look() if one.held not in self._decided]
        if gone:
            self._say(self._fate(gone[-1]))
        elif not self.queue.items and not self.foot.said:
            steering = self._proxying.steering
            wanted = steering.state().intercept if steering is not None else ""
            said = f"Nothing is held now. Held is what passes: {visible(wanted, 200)}" if wanted else _NOTHING_WANTED
            self._say(said)

    def _fate(self, held: Held) -> str:
        if self._proxying.clock() >= held.expires_ns - SECOND:
            return f"{named(held)} was sent on as it was: its time was up."
        return f"{named(held)} is not held any more."

    # --- keys -------------------------------------------------------------------------------------------------------

    def _decide(self, held: Held | None, sentence: str) -> None:
        if held is not None:
            self._decided.add(held.held)
        self._say(sentence)
        self.look()

    def action_forward(self) -> None:
        """On with it."""
        held = self.queue.item
        if held is not None:
            self._decide(held, self._proxying.forward(held))

    def action_duplicate(self) -> None:
        """On with it, twice."""
        held = self.queue.item
        if held is not None:
            self._decide(held, self._proxying.forward(held, copies=2))

    def action_drop(self) -> None:
        """Away with it."""
        held = self.queue.item
        if held is not None:
            self._decide(held, self._proxying.drop(held))

    def action_forward_all(self) -> None:
        """On with all."""
        if self.queue.items:
            self._decided |= {one.held for one in self.queue.items}
            self._decide(None, self._proxying.forward_all())

    def action_edit(self) -> None:
        """Into the editor."""
        held = self.queue.item
        if held is None:
            return
        self._decided.add(held.held)  # what becomes of it, the editor says

        def edited(sentence: str | None) -> None:
            if sentence is None:
                self._decided.discard(held.held)
            else:
                self._say(sentence)

        self.app.push_screen(Editor(self._proxying, held), edited)

    def action_view(self) -> None:
        """All of it."""
        held = self.queue.item
        if held is not None:
            self.app.push_screen(ListScreen(named(held), "Esc closes, j and k scroll", Lines(text_lines(held.text))))
