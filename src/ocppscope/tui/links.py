"""The connections through the proxy: who, over what, whether they can be changed; the keys that end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from ocppscope.model import Side
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.screens import ListScreen
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.control import Link
    from ocppscope.tui.proxying import Proxying

LOOK_EVERY = 0.5
"""Seconds between two looks at the connections."""
STATION_MOST, ADDRESS_MOST = 20, 21
"""Columns for names and addresses."""

HEADING: Line = (
    Span(
        f"      # {'station':<{STATION_MOST}} version  active {'from':<{ADDRESS_MOST}}      {'to':<{ADDRESS_MOST}}",
        Style.DIM,
    ),
)


def link_line(link: Link) -> Line:
    """One connection."""
    active = Span("active ", Style.GOOD) if link.active else Span("-      ", Style.DIM)
    return (
        Span(f" {link.number:>6,} ", Style.DIM),
        *styled.fit((styled.wire(link.station, Style.STATION, 60),), STATION_MOST),
        Span(" "),
        *styled.fit((styled.wire(link.version or "-", Style.PLAIN, 20),), 8),
        Span(" "),
        active,
        *_end(link.client, link.tls[Side.STATION]),
        Span(" "),
        *_end(link.server, link.tls[Side.CSMS]),
        styled.wire(link.why_passive, Style.DIM, 300),
    )


def _end(address: str, is_tls: bool) -> Line:
    shown = styled.fit((styled.wire(address, Style.PLAIN, 60),), ADDRESS_MOST)
    return (*shown, Span(" TLS " if is_tls else "     ", Style.GOOD))


class LinkList(VirtualList):
    """The open connections, oldest first."""

    def __init__(self, proxying: Proxying) -> None:
        super().__init__()
        self._proxying = proxying
        self.links: tuple[Link, ...] = ()

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        del width
        return link_line(self.links[index])

    @property
    def current(self) -> Link | None:
        """What is under the cursor."""
        return self.links[self.cursor] if self.cursor < len(self.links) else None

    def look(self) -> None:
        """Shows what there is now; the cursor stays on its connection."""
        steering = self._proxying.steering
        now = steering.links() if steering is not None else ()
        if now == self.links:
            return
        current, numbers = self.current, [one.number for one in now]
        self.links = now
        self.forget()
        self.set_count(len(now))
        if current is not None and now:
            at = numbers.index(current.number) if current.number in numbers else min(self.cursor, len(now) - 1)
            self.move_to(at, tell=False)


class LinksScreen(ListScreen):
    """The connections, over the lower part of the screen."""

    DEFAULT_CSS = """
    LinksScreen { align: center bottom; }
    LinksScreen > Vertical { width: 100%; height: 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "cut('RST')", show=False),
        Binding("F", "cut('FIN')", show=False),
        Binding("C", "cut('close')", show=False),
        Binding("n,enter", "inject", show=False),
        Binding("c", "leave", show=False),
    ]

    def __init__(self, proxying: Proxying) -> None:
        self.list = LinkList(proxying)
        super().__init__("Connections", "end by: R RST  F FIN  C Close   n new CALL   Esc back", self.list)
        self.heading, self.foot = OneLine(), OneLine()
        self._proxying = proxying

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield self._title
            yield self.heading
            yield self.list
            yield self.foot

    def on_mount(self) -> None:
        """Looks at the connections from now on."""
        self.heading.say(HEADING)
        self.set_interval(LOOK_EVERY, self.look)
        self.look()

    def look(self) -> None:
        """What is there now?"""
        self.list.look()
        link = self.list.current
        if link is None:
            self._say("No station is connected.")
        elif not link.active and link.why_passive and not self.foot.said:
            self._say(f"#{link.number} cannot be changed: {visible(link.why_passive, 300)}.")

    def on_virtual_list_moved(self) -> None:
        """Another connection: why it cannot be changed."""
        self.foot.say(())
        self.look()

    def _say(self, sentence: str) -> None:
        self.foot.say((Span(f" {sentence}", Style.WARNING),))

    def action_cut(self, how: str) -> None:
        """Ends a connection."""
        link = self.list.current
        if link is None:
            return
        if how == "close" and not link.active:
            self._say("A Close frame can be sent only where the proxy is active: R or F.")
            return
        self._say(self._proxying.cut(link, how))

    def action_inject(self) -> None:
        """A CALL over this one."""
        link = self.list.current
        if link is not None:
            self._say(self._proxying.open_form(number=link.number))
