"""Actions that steer the proxy, and the line that says how it is. What the proxy does, it does elsewhere.

The proxy is asked twice a second; nothing that comes of it moves the focus.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from ocppscope.control import Answered, Cut, Drop, Forward, ForwardAll, Inject, Intercept
from ocppscope.model import Side
from ocppscope.render import styled
from ocppscope.render.wiretext import visible
from ocppscope.tui.actions import shown_key
from ocppscope.tui.filterbar import FilterBar
from ocppscope.tui.injecting import InjectScreen
from ocppscope.tui.intercepting import HeldScreen
from ocppscope.tui.links import LinksScreen
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.proxy_words import Sent, answer_line, named, proxy_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.control import Held, Link, Steering
    from ocppscope.tui.app import Scope

LOOK_EVERY = 0.5
"""Seconds between two looks at the proxy."""
MAX_SENT = 20
"""Injected messages that are remembered."""
MAX_DRAFTS = 20
"""Unfinished texts that are kept for when their message is opened again."""

NO_PROXY = "There is no proxy here: `ocppscope proxy` stands between stations and their CSMS."
PASSIVE = "This proxy passes everything on as it is. Started with --active it can hold, change and inject messages."
NOTHING_HELD = "Nothing is held."


class ProxyLine(OneLine):
    """How the proxy is; hidden where there is none."""

    DEFAULT_CSS = "ProxyLine { height: 1; display: none; background: $panel; } ProxyLine.shown { display: block; }"


class InterceptBar(FilterBar):
    """The filter bar of what is held; hidden until it is asked for."""

    DEFAULT_CSS = "InterceptBar { display: none; } InterceptBar.asking { display: block; }"
    WORD, NAME = "Hold", "intercept"
    EXAMPLE = "action == Authorize and side == station; empty: hold nothing"

    class Applied(FilterBar.Applied):
        """Enter was pressed."""

    class Left(FilterBar.Left):
        """Escape was pressed."""


# --- actions -------------------------------------------------------------------------------------------------------


class Proxying:
    """Does them."""

    def __init__(self, app: Scope, clock: Callable[[], int] = time.time_ns) -> None:
        self._app = app
        self.clock = clock
        self.line = ProxyLine()
        self.bar: InterceptBar | None = None
        self.sent: deque[Sent] = deque(maxlen=MAX_SENT)
        self.drafts: OrderedDict[int, str] = OrderedDict()  # by number of the held message
        self._tickets = 0

    @property
    def steering(self) -> Steering | None:
        """The proxy."""
        return self._app.session.steering

    @property
    def is_passive(self) -> bool:
        """Whether nothing can be held or injected."""
        return self.steering is None or not self.steering.state().active

    @property
    def waiting(self) -> str:
        """What is waited for while nothing came; "" where there is no proxy."""
        if self.steering is None:
            return ""
        listening = self.steering.state().listening
        return f"Waiting for stations at {listening}, with the path that they used before."

    def begin(self) -> None:
        """Looks at the proxy from now on."""
        self.line.set_class(self.steering is not None, "shown")
        if self.steering is not None:
            self._app.set_interval(LOOK_EVERY, self.look)
            self.look()

    def look(self) -> None:
        """How is it?"""
        steering = self.steering
        if steering is None:
            return
        keys = self._app.keys.get("show_held", ())
        key = shown_key(keys[0]) if keys else ""
        width = self._app.size.width
        self.line.say(proxy_line(steering.state(), steering.held(), self.clock(), width, key))
        self._take_answers(steering)

    def _take_answers(self, steering: Steering) -> None:
        """Which injected CALLs have an answer now? The newest is told, unless another screen tells it."""
        waiting = {one.order.ticket: one for one in self.sent if one.answer is None}
        for answer in steering.answers() if waiting else ():
            sent = waiting.get(answer.ticket)
            if sent is not None:
                sent.answer = answer
                if len(self._app.screen_stack) == 1:
                    self._app.say(styled.plain(answer_line(sent)).strip())

    def tell(self, sentence: str) -> None:
        """In the status line."""
        self._app.say(sentence)

    # --- orders -----------------------------------------------------------------------------------------------------

    def forward(self, held: Held, *, text: str | None = None, copies: int = 1) -> str:
        """Sends a held message on; says so."""
        assert self.steering is not None
        self.steering.order(Forward(held.held, text, copies))
        self.drafts.pop(held.held, None)
        how = " was changed and sent on" if text is not None else " is sent on"
        return f"{named(held)}{how}{f' {copies} times' if copies > 1 else ''}."

    def drop(self, held: Held) -> str:
        """Does not send it on; says so."""
        assert self.steering is not None
        self.steering.order(Drop(held.held))
        self.drafts.pop(held.held, None)
        return f"{named(held)} is dropped."

    def forward_all(self) -> str:
        """Sends everything on; says so."""
        assert self.steering is not None
        count = len(self.steering.held())
        self.steering.order(ForwardAll())
        return f"{count:,} message{' is' if count == 1 else 's are'} sent on."

    def inject(self, link: Link, to: Side, action: str, payload: str) -> Sent:
        """Sends a CALL of the user's own."""
        assert self.steering is not None
        self._tickets += 1
        sent = Sent(Inject(link.number, to, action, payload, self._tickets), link.station)
        self.sent.append(sent)
        self.steering.order(sent.order)
        return sent

    def cut(self, link: Link, how: str) -> str:
        """Ends a connection; says so."""
        assert self.steering is not None
        self.steering.order(Cut(link.number, how))
        return f"The connection of {visible(link.station, 40)} is ended by {_HOW[how]}."

    def keep(self, held: int, text: str) -> None:
        """A text that was not sent, for when the message is opened again."""
        self.drafts[held] = text
        while len(self.drafts) > MAX_DRAFTS:
            self.drafts.popitem(last=False)

    def shelve(self, held: Held, call: tuple[str, str]) -> str:
        """A text that came too late, among those that were sent before; says so."""
        order = Inject(held.connection, held.side.other, *call)
        self.sent.append(Sent(order, held.station, Answered(0, "", "not sent: the message went on meanwhile")))
        return "The text is kept: Ctrl+R in the form of a new CALL."

    # --- keys -------------------------------------------------------------------------------------------------------

    def do_intercept(self, count: int | None) -> str:
        """Asks which messages are to be held."""
        del count
        if self.steering is None:
            return NO_PROXY
        if self.is_passive:
            return PASSIVE
        assert self.bar is not None
        self.bar.set_class(True, "asking")
        self.bar.set_text(self.steering.state().intercept)
        self.bar.input.focus()
        return ""

    def use(self, bar: FilterBar.Applied) -> str:
        """Messages that pass this filter are held from now on."""
        assert self.steering is not None
        text = bar.wanted.text.strip()
        self.steering.order(Intercept(text))
        self.shut()
        return f"Held from now on: {visible(text, 200)}" if text else "Nothing more is held."

    def shut(self) -> None:
        """The bar is not needed any more."""
        assert self.bar is not None
        self.bar.set_class(False, "asking")
        self._app.focus_view()

    def _oldest(self) -> Held | str:
        """What the line names, or why there is nothing."""
        if self.steering is None:
            return NO_PROXY
        held = self.steering.held()
        return held[0] if held else PASSIVE if self.is_passive else NOTHING_HELD

    def do_forward(self, count: int | None) -> str:
        """The oldest one goes on."""
        del count
        oldest = self._oldest()
        return oldest if isinstance(oldest, str) else self.forward(oldest)

    def do_forward_all(self, count: int | None) -> str:
        """All go on."""
        del count
        oldest = self._oldest()
        return oldest if isinstance(oldest, str) else self.forward_all()

    def do_drop(self, count: int | None) -> str:
        """The oldest one does not go on."""
        del count
        oldest = self._oldest()
        return oldest if isinstance(oldest, str) else self.drop(oldest)

    def do_show_held(self, count: int | None) -> str:
        """The queue."""
        del count
        if self.steering is None:
            return NO_PROXY
        if self.is_passive:
            return PASSIVE
        self._app.push_screen(HeldScreen(self))
        return ""

    def do_show_links(self, count: int | None) -> str:
        """The connections."""
        del count
        if self.steering is None:
            return NO_PROXY
        self._app.push_screen(LinksScreen(self))
        return ""

    def do_inject(self, count: int | None) -> str:
        """The form."""
        del count
        return self.open_form()

    def open_form(
        self, *, number: int | None = None, to: Side = Side.STATION, call: tuple[str, str] | None = None
    ) -> str:
        """The form, for a connection and with a CALL already if these are known; why not."""
        if self.steering is None:
            return NO_PROXY
        if self.is_passive:
            return PASSIVE
        if not self.steering.links():
            return "No station is connected."
        self._app.push_screen(InjectScreen(self, number=number or self._current_link(), to=to, call=call))
        return ""

    def _current_link(self) -> int | None:
        """The connection of the station of the row under the cursor."""
        row, store = self._app.row, self._app.session.store
        if row is None or self.steering is None:
            return None
        subject = self._app.subject()
        connection = store.connections.get(subject.message.connection) if subject is not None else None
        station = connection.station if connection is not None else None
        return next((one.number for one in reversed(self.steering.links()) if one.station == station), None)


_HOW = {"RST": "RST", "FIN": "FIN", "close": "a Close frame"}
