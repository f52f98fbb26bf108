"""The tab Transactions: a list of all charging transactions, and the page of one with its charts and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.pages import NO_TRANSACTIONS, concerning
from ocppscope.render import styled
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.tui import transactions_table as table
from ocppscope.tui.events import FindingWanted, RowOpened
from ocppscope.tui.items import ItemList
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.seek import row_of
from ocppscope.tui.tab import TabView
from ocppscope.tui.transactions_table import Layout, PageItem
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.analysis.finding import Finding
    from ocppscope.analysis.pages import TransactionPage, Transactions
    from ocppscope.analysis.report import Report
    from ocppscope.tui.items import Key
    from ocppscope.tui.session import Session


class TransactionList(ItemList["TransactionPage"]):
    """A line a transaction."""

    def __init__(self) -> None:
        super().__init__(id="transaction-list")
        self.concerns: table.Concerns = {}
        self.columns: Layout | None = None

    def key_of(self, item: TransactionPage) -> Key:
        """Its number."""
        return (item.number,)

    def line(self, index: int, width: int) -> Line:
        """One transaction."""
        page = self.items[index]
        if self.columns is None:
            return EMPTY
        return styled.clip(self.columns.line(page, self.concerns.get(page.number, ())), width)

    def show(self, pages: list[TransactionPage], columns: Layout) -> None:
        """Other transactions."""
        self.columns = columns
        self.set_items(pages)


class PageLines(VirtualList):
    """The page of one transaction."""

    def __init__(self) -> None:
        super().__init__(id="transaction-page")
        self.items: list[PageItem] = []

    @property
    def item(self) -> PageItem:
        """What is under the cursor."""
        return self.items[self.cursor] if self.cursor < len(self.items) else PageItem()

    def line(self, index: int, width: int) -> Line:
        """One line."""
        return styled.clip(self.items[index].line, width)

    def show(self, items: list[PageItem]) -> None:
        """Another page, or the same with more."""
        self.items = items
        self.forget()
        self.set_count(len(items))


class TransactionsView(TabView):
    """The list, or the page of one of them."""

    def __init__(self, session: Session) -> None:
        self.list = TransactionList()
        super().__init__(session, self.list, id="transactions")
        self.heading = OneLine()
        self.page = PageLines()
        self.page.display = False
        self.shown: int | None = None  # the number of the transaction whose page is shown
        self._order = next(iter(table.ORDERS))
        self._reverse = False
        self._found: Transactions = NO_TRANSACTIONS
        self._report: Report | None = None

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.heading
        yield self.list
        yield self.page

    # --- what every view does ---------------------------------------------------------------------------------------

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        return self.list if self.shown is None else self.page

    def grown(self) -> None:
        """There may be more transactions, or findings."""
        found, report = self.session.transactions(), self.session.report()
        if found is not self._found or report is not self._report:
            self._found, self._report = found, report
            self.list.concerns = concerning(found.pages, () if report is None else report.findings)
            self._list()
            self._show_page()
        self._head()

    def on_resize(self) -> None:
        """Other columns fit, and other charts."""
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        self._list()
        self._show_page()
        self._head()

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the line of the cursor."""
        self.do_open(None)

    # --- list and page ----------------------------------------------------------------------------------------------

    def _list(self) -> None:
        order, concerns = table.ORDERS[self._order], self.list.concerns
        pages = sorted(
            self._found.pages, key=lambda page: order(page, concerns.get(page.number, ())), reverse=self._reverse
        )
        self.list.show(pages, Layout.of(pages, max(self.list.size.width - 1, self.page.size.width - 1, 20)))

    def _head(self) -> None:
        """The titles, or what there is to say instead."""
        if self.shown is not None:
            self.heading.say(
                (
                    Span(
                        " Esc: back to the list   Enter: the message   ← →: the transactions before and after",
                        Style.DIM,
                    ),
                )
            )
        elif not self._found.pages:
            words = "No transaction was seen." if self.session.progress().done else "No transaction was seen so far."
            self.heading.say((Span(f" {words}", Style.DIM),))
        elif self.list.columns is not None:
            more = f"   {self._found.not_kept:,} older ones are not shown" if self._found.not_kept else ""
            line = (*self.list.columns.heading(), Span(more, Style.WARNING))
            self.heading.say(styled.clip(line, max(self.size.width, 20)))

    def _show_page(self) -> None:
        page = next((one for one in self.list.items if one.number == self.shown), None)
        if page is None:
            if self.shown is not None:
                self._close()
            return
        width = max(self.page.scrollable_content_region.width, self.list.scrollable_content_region.width, 20)
        self.page.show(table.page_items(page, self._findings(page), width))

    def _findings(self, page: TransactionPage) -> tuple[Finding, ...]:
        return self.list.concerns.get(page.number, ())

    def _open(self, page: TransactionPage) -> None:
        self.shown = page.number
        self.list.display, self.page.display = False, True
        self._show_page()
        self.page.move_to(0, tell=False)
        self._head()
        self.page.focus()
        self.call_after_refresh(self._show_page)  # now its width is known

    def _close(self) -> None:
        self.shown = None
        self.page.display, self.list.display = False, True
        self._head()
        self.list.focus()

    # --- actions ----------------------------------------------------------------------------------------------------

    def do_open(self, count: int | None) -> str:
        """Enter: the page of a transaction; there, the message or finding under the cursor."""
        del count
        if self.shown is None:
            page = self.list.item
            if page is None:
                return "There is nothing to be opened."
            self._open(page)
            return ""
        item = self.page.item
        if item.finding is not None:
            self.post_message(FindingWanted(item.finding))
            return ""
        if item.ref is None:
            return "This line leads nowhere."
        row, said = row_of(self.session.store, item.ref)
        if row is not None:
            self.post_message(RowOpened(row))
        return said

    def leave(self) -> bool:
        """Escape: from the page to the list; False if the list is shown."""
        if self.shown is None:
            return False
        self._close()
        return True

    def do_next_transaction(self, count: int | None) -> str:
        """The page of the next one in the list."""
        return self._step(count or 1)

    def do_previous_transaction(self, count: int | None) -> str:
        """The page of the one before."""
        return self._step(-(count or 1))

    def _step(self, steps: int) -> str:
        if not self.list.items:
            return "There are no transactions."
        if self.shown is not None:
            self.list.move_by(steps)
        page = self.list.item
        if page is not None:
            self._open(page)
        return ""

    def do_sort_transactions(self, count: int | None) -> str:
        """By something else."""
        del count
        names = list(table.ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        return self._sorted()

    def do_reverse_transactions(self, count: int | None) -> str:
        """The other way round."""
        del count
        self._reverse = not self._reverse
        return self._sorted()

    def _sorted(self) -> str:
        self._list()
        return f"Sorted by {self._order}{', the other way round' if self._reverse else ''}."
