"""The detail pane: the pages of one message, the tree among them opens node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.widget import Widget

from ocppscope.render import styled
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.store.places import GoneError
from ocppscope.tui import packet, pages
from ocppscope.tui.pages import PAGES, Branch, Item
from ocppscope.tui.theme import look, strip
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.strip import Strip

    from ocppscope.tui.session import Session

FACT_LINES = 6
"""Lines below the pages for what the schema says of the element under the cursor."""


class PageTitles(Widget):
    """The names of the pages on one line; a click chooses one."""

    DEFAULT_CSS = "PageTitles { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.chosen = next(iter(PAGES))

    def _parts(self) -> list[tuple[str, str]]:
        return [(name, f" {name} " if name != self.chosen else f"[{name}]") for name in PAGES]

    def render_line(self, y: int) -> Strip:
        """The one line."""
        drawn = look(self.app.theme)
        spans = [Span(text, Style.BOLD if name == self.chosen else Style.DIM) for name, text in self._parts()]
        return strip((*spans, Span("   v: next page", Style.DIM)), self.size.width, drawn, drawn.resting)

    def on_click(self, event: events.Click) -> None:
        """Chooses the page that was hit."""
        at = 0
        for name, text in self._parts():
            at += len(text)
            if event.x < at:
                pane = self.parent
                assert isinstance(pane, DetailPane)
                pane.choose(name)
                return


class PageList(VirtualList):
    """The lines of a page."""

    def __init__(self) -> None:
        super().__init__(id="detail-list")
        self.items: list[Item] = []

    def line(self, index: int, width: int) -> Line:
        """One item."""
        return pages.item_line(self.items[index], width)

    def set_items(self, items: list[Item]) -> None:
        """Another page, or another message."""
        self.items = items
        self.forget()
        self.set_count(len(items))
        self.cursor = 0
        self.scroll_to(y=0, animate=False, force=True)

    @property
    def item(self) -> Item:
        """What is under the cursor."""
        return self.items[self.cursor] if self.cursor < len(self.items) else EMPTY

    def toggle(self, index: int) -> None:
        """Opens or shuts a node."""
        item = self.items[index]
        if not isinstance(item, Branch) or not item.node.expandable:
            return
        if item.is_open:
            self._shut(index, item)
        else:
            inner: list[Item] = [Branch(item.tree, node, False) for node in item.tree.children(item.node)]
            if item.node.type.value == "more":
                self.items[index : index + 1] = inner  # the further children stand in its place
            else:
                self.items[index : index + 1] = [item._replace(is_open=True), *inner]
        self.forget()
        self.set_count(len(self.items))

    def _shut(self, index: int, item: Branch) -> None:
        end = index + 1
        while end < len(self.items):
            other = self.items[end]
            if not isinstance(other, Branch) or other.node.depth <= item.node.depth:
                break
            end += 1
        self.items[index:end] = [item._replace(is_open=False)]


class Facts(Widget):
    """What is known of the element under the cursor."""

    DEFAULT_CSS = "Facts { height: auto; border-top: solid $dim; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def render_line(self, y: int) -> Strip:
        """One fact."""
        line = self.lines[y] if y < len(self.lines) else EMPTY
        return strip(line, self.content_size.width, look(self.app.theme))


class DetailPane(Vertical):
    """The pane beside or below the list."""

    DEFAULT_CSS = """
    DetailPane { height: 1fr; }
    DetailPane:focus-within Facts.known { display: block; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(id="detail")
        self.session = session
        self.row: int | None = None
        self.titles = PageTitles()
        self.list = PageList()
        self.facts = Facts()
        self.packets = packet.Packets(
            session.dissector, lambda work: self.run_worker(work, thread=True, group="packet", exit_on_error=False)
        )

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.titles
        yield self.list
        yield self.facts

    @property
    def page(self) -> str:
        """The title of the page that is shown."""
        return self.titles.chosen

    def choose(self, page: str) -> None:
        """Shows another page."""
        self.titles.chosen = page
        self.titles.refresh()
        self.show(self.row)

    def next_page(self, steps: int = 1) -> None:
        """The page behind this one."""
        names = list(PAGES)
        self.choose(names[(names.index(self.page) + steps) % len(names)])

    def show(self, row: int | None) -> None:
        """The details of a row."""
        self.row = row
        if row is None:
            self.list.set_items([(Span("No message is chosen.", Style.DIM),)])
            return
        width = max(self.list.scrollable_content_region.width, 20)
        store = self.session.store
        try:
            message = store.message(row)
            self.packets.look(message if self.page == packet.TITLE else None, self.post_message)
            connection = store.connections.get(message.connection)
            subject = pages.Subject(self.session, row, message, connection, self.packets)
            self.list.set_items(PAGES[self.page](subject, width))
        except GoneError as gone:
            self.list.set_items([(styled.wire(str(gone), Style.DIM),)])
        self._tell()

    def on_resize(self) -> None:
        """Lines are wrapped anew."""
        if self.page in ("Raw", "Connection", "Frames", packet.TITLE):
            self.call_after_refresh(lambda: self.show(self.row))

    def on_virtual_list_moved(self, event: VirtualList.Moved) -> None:
        """Another element is under the cursor."""
        event.stop()
        self._tell()

    def on_virtual_list_opened(self, event: VirtualList.Opened) -> None:
        """A click on the line of the cursor."""
        event.stop()
        self.toggle()

    def toggle(self) -> None:
        """Opens or shuts what is under the cursor; reads a packet that was not."""
        if self.page == packet.TITLE:
            self._read_packet()
        elif self.list.items:
            self.list.toggle(self.list.cursor)

    def _read_packet(self) -> None:
        if self.row is None:
            return
        try:
            numbers = self.session.store.message(self.row).packets
        except GoneError:
            return
        if numbers and self.packets.ask(numbers[-1], self.post_message):
            self.show(self.row)

    def on_packet_read(self, event: packet.PacketRead) -> None:
        """Wireshark's word on a packet is there."""
        event.stop()
        if self.page == packet.TITLE:
            self.show(self.row)

    def cancel(self) -> bool:
        """Ends the reading of a packet; False if there is none."""
        if not self.packets.cancel(by_user=True):
            return False
        self.show(self.row)
        return True

    def on_unmount(self) -> None:
        """Nobody waits for an answer any more."""
        self.packets.cancel()

    def _tell(self) -> None:
        known = pages.facts(self.list.item, max(self.size.width, 20))
        room = max(min(FACT_LINES, self.size.height // 3), 2)  # the tree needs more
        self.facts.lines = known[: room - 1]
        self.facts.styles.height = min(len(known) + 1, room)
        self.facts.set_class(bool(known), "known")
        self.facts.refresh()
