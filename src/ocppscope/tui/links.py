"""The connections through the proxy: who, over what, whether they can be changed; the keys that end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from ocppscope.model import Side
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.items import ItemList
from ocppscope.tui.watching import WatchScreen

if TYPE_CHECKING:
    from ocppscope.control import Link
    from ocppscope.tui.items import Key
    from ocppscope.tui.proxying import Proxying

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


class LinkList(ItemList["Link"]):
    """The open connections, oldest first."""

    def __init__(self, proxying: Proxying) -> None:
        super().__init__()
        self._proxying = proxying

    def key_of(self, item: Link) -> Key:
        """Its number."""
        return (item.number,)

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        del width
        return link_line(self.items[index])

    def look(self) -> None:
        """Shows what there is now."""
        steering = self._proxying.steering
        now = steering.links() if steering is not None else ()
        if now != self.items:
            self.set_items(now)
            self.move_to(self.cursor, tell=False)  # what keys end stays in sight


class LinksScreen(WatchScreen):
    """The connections."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "cut('RST')", show=False),
        Binding("F", "cut('FIN')", show=False),
        Binding("C", "cut('close')", show=False),
        Binding("n,enter", "inject", show=False),
        Binding("c", "leave", show=False),
    ]

    def __init__(self, proxying: Proxying) -> None:
        self.list = LinkList(proxying)
        keys = "end by: R RST  F FIN  C Close   n new CALL   Esc back"
        super().__init__("Connections", keys, self.list, proxying)

    def titles(self) -> Line:
        """Those of the list."""
        return HEADING

    def look(self) -> None:
        """What is there now?"""
        self.list.look()
        link = self.list.item
        if link is None:
            self._say("No station is connected.")
        elif not link.active and link.why_passive and not self.foot.said:
            self._say(f"#{link.number} cannot be changed: {visible(link.why_passive, 300)}.")

    def on_virtual_list_moved(self) -> None:
        """Another connection: why it cannot be changed."""
        self.foot.say(())
        self.look()

    def action_cut(self, how: str) -> None:
        """Ends a connection."""
        link = self.list.item
        if link is None:
            return
        if how == "close" and not link.active:
            self._say("A Close frame can be sent only where the proxy is active: R or F.")
            return
        self._say(self._proxying.cut(link, how))

    def action_inject(self) -> None:
        """A CALL over this one."""
        link = self.list.item
        if link is not None:
            self._say(self._proxying.open_form(number=link.number))
