"""The tab Stations: who connected, with what, how often, how each connection ended, and how it was negotiated."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from ocppscope.render import handshake, styled
from ocppscope.render.palette import PLAIN
from ocppscope.render.styled import Line, Span, Style
from ocppscope.tui import stations_table as table
from ocppscope.tui.events import FilterWanted
from ocppscope.tui.items import ItemList
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.tab import TabView
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.model import Connection
    from ocppscope.tui.items import Key
    from ocppscope.tui.session import Session
    from ocppscope.tui.stations_table import Item

REST = 10
"""A new list waits so many times as long as the last one took, so that many connections do not eat the keys."""
LEAST_REST_S = 0.2
MAKES = 50
"""Connections of a station, the last ones, among which a BootNotification is looked for."""
_SIGNS = {handshake.GOOD: Style.GOOD, handshake.BAD: Style.ERROR, "!": Style.WARNING}


class StationList(ItemList["Item"]):
    """Stations, and below each its connections."""

    def __init__(self, session: Session) -> None:
        super().__init__(id="station-list")
        self.tally = table.Tally(session.store)
        self.shut: set[str] = set()

    def key_of(self, item: Item) -> Key:
        """Of a station its name, of a connection also its number."""
        return item.station.name, item.connection

    def line(self, index: int, width: int) -> Line:
        """A station or a connection."""
        item, layout = self.items[index], table.Layout.of(width)
        if item.connection is None:
            is_shut = item.station.name in self.shut
            return table.station_line(item.station, self.tally, layout, shut=is_shut, most=MAKES)
        connection = self.tally.store.connections.get(item.connection)
        if connection is None:
            return (Span(f"  #{item.connection}  not kept any more", Style.DIM),)
        return table.connection_line(connection, self.tally, layout)

    def show(self, items: list[Item]) -> None:
        """Other lines; where a connection is gone, the cursor goes to its station."""
        before = self.item
        if not self.set_items(items) and before is not None and not self.put_on((before.station.name, None)):
            self.move_to(0, tell=False)


class Negotiation(VirtualList):
    """The upgrade of one connection, header by header."""

    DEFAULT_CSS = "Negotiation { height: 50%; max-height: 22; }"

    def __init__(self) -> None:
        super().__init__(id="negotiation", has_cursor=False)
        self.lines: list[Line] = []
        self._of: Connection | None = None

    def show(self, connection: Connection | None) -> None:
        """Another connection."""
        if connection is self._of:
            return
        self._of = connection
        self.lines = [] if connection is None else negotiation(connection)
        self.forget()
        self.set_count(len(self.lines))
        self.scroll_to(y=0, animate=False, force=True)

    def line(self, index: int, width: int) -> Line:
        """One line."""
        return styled.clip(self.lines[index], width)


def negotiation(connection: Connection) -> list[Line]:
    """The lines of the upgrade, in styles; the verdicts keep their signs."""
    texts = "".join(handshake.lines(connection, PLAIN)).splitlines()
    lines: list[Line] = []
    for at, text in enumerate(texts):
        sign = text.strip()[:1]
        if not at:
            lines.append((Span(text, Style.BOLD),))
        elif sign in _SIGNS and text.strip():
            lines.append((Span(text[:4], _SIGNS[sign]), Span(text[4:], _SIGNS[sign] if sign == "!" else Style.PLAIN)))
        elif text.strip():
            lines.append((Span(text[:12], Style.DIM), Span(text[12:])))
    return lines


class StationsView(TabView):
    """The list, and below it how the connection under the cursor was negotiated."""

    def __init__(self, session: Session) -> None:
        self.list = StationList(session)
        super().__init__(session, self.list, id="stations")
        self.heading = OneLine()
        self.between = OneLine()
        self.negotiation = Negotiation()
        self._order = next(iter(table.ORDERS))
        self._reverse = False
        self._waits = False

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.heading
        yield self.list
        yield self.between
        yield self.negotiation

    # --- what every view does ---------------------------------------------------------------------------------------

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        return self.negotiation if self.negotiation.has_focus else self.list

    def grown(self) -> None:
        """There may be more stations or connections."""
        self.is_seen = True
        self._waits = self._waits and not self.session.progress().done
        self._go_on()

    def go_to(self, row: int) -> None:
        """Puts the cursor on the connection of a row."""
        connection = self.session.store.connection(row) if row < len(self.session.store) else None
        if connection is not None:
            for at, item in enumerate(self.list.items):
                if item.connection == connection.number:
                    self.list.move_to(at, centre=True, tell=False)
                    self._look()
                    return

    def seen(self) -> None:
        """From now on it is kept up to date."""
        self._go_on()

    def on_resize(self) -> None:
        """Other columns fit."""
        self.heading.say(table.Layout.of(self.size.width - 1).heading())

    def moved(self, index: int) -> None:
        """How another connection was negotiated stands below."""
        self._look()

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the line of the cursor."""
        self.do_open(None)

    # --- the list ---------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._waits or not self.is_seen:
            return
        started = perf_counter()
        self.list.tally.grow()
        self._list()
        self._waits = True
        self.set_timer(max(REST * (perf_counter() - started), LEAST_REST_S), self._rested)

    def _rested(self) -> None:
        self._waits = False
        if self.list.tally.is_behind:
            self._go_on()

    def _list(self) -> None:
        found = sorted(table.stations(self.list.tally), key=table.ORDERS[self._order], reverse=self._reverse)
        self.list.show(table.items(found, self.list.shut))
        self._look()

    def _look(self) -> None:
        """Shows the negotiation of the connection under the cursor, of a station the one of its last connection."""
        item = self.list.item
        if item is None:
            self.between.say((Span(" No connection was seen so far.", Style.DIM),))
            return
        number = item.station.connections[-1] if item.connection is None else item.connection
        connection = self.session.store.connections.get(number)
        self.negotiation.show(connection)
        which = "the last connection of this station" if item.connection is None else "this connection"
        self.between.say((Span(f" How {which} was negotiated", Style.DIM),))

    # --- actions ----------------------------------------------------------------------------------------------------

    def do_open(self, count: int | None) -> str:
        """Enter: the messages of this station or connection only."""
        del count
        item = self.list.item
        if item is None or self.negotiation.has_focus:
            return "There is nothing to be opened."
        self.post_message(FilterWanted(table.filter_of(item)))
        return ""

    def do_switch_focus(self, count: int | None) -> str:
        """From the list to the negotiation, and back."""
        del count
        (self.list if self.negotiation.has_focus else self.negotiation).focus()
        return ""

    def do_sort_stations(self, count: int | None) -> str:
        """By something else."""
        del count
        names = list(table.ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self._list()
        return f"Sorted by {self._order}."

    def do_reverse_stations(self, count: int | None) -> str:
        """The other way round."""
        del count
        self._reverse = not self._reverse
        self._list()
        return f"Sorted by {self._order}{', the other way round' if self._reverse else ''}."

    def do_fold_station(self, count: int | None) -> str:
        """Hides or shows the connections of a station."""
        del count
        item = self.list.item
        if item is not None:
            self.list.shut ^= {item.station.name}
            self._list()
        return ""

    def do_fold_stations(self, count: int | None) -> str:
        """Hides or shows all connections."""
        del count
        names = {item.station.name for item in self.list.items}
        self.list.shut = set() if names <= self.list.shut else names
        self._list()
        return ""
