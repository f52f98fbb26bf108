"""The tab Findings: who did what wrong, the worst roots first, each with what it explains, advice and evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span
from ocppscope.tui import findings_table as table
from ocppscope.tui.events import FilterWanted, RowOpened
from ocppscope.tui.findings_table import Choice, Item, Layout
from ocppscope.tui.items import ItemList
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.seek import row_of
from ocppscope.tui.tab import TabView

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.analysis.report import Report
    from ocppscope.tui.findings_table import Key
    from ocppscope.tui.session import Session
    from ocppscope.tui.virtual import VirtualList


class FindingList(ItemList[Item]):
    """The lines of the tree."""

    def __init__(self) -> None:
        super().__init__(id="finding-list")
        self.opened: set[Key] = set()
        self.columns: Layout | None = None

    def key_of(self, item: Item) -> Key:
        """Its own."""
        return item.key

    def line(self, index: int, width: int) -> Line:
        """A finding or a fact."""
        item = self.items[index]
        if item.finding is None or self.columns is None:
            return item.line
        is_open = item.key in self.opened
        return styled.clip(self.columns.head(item.finding, item.depth, item.explains, is_open=is_open), width)

    def show(self, items: list[Item]) -> None:
        """Other lines; the cursor stays on its line, or goes to the finding that this belonged to."""
        before = self.item
        if not self.set_items(items) and before is not None and not self.put_on(before.parent):
            self.move_to(self.cursor, tell=False)


class FindingsView(TabView):
    """The summary, the titles, the tree."""

    def __init__(self, session: Session) -> None:
        self.list = FindingList()
        super().__init__(session, self.list, id="findings")
        self.summary, self.heading = OneLine(), OneLine()
        self.choice = Choice()
        self._report: Report | None = None

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.summary
        yield self.heading
        yield self.list

    # --- what every view does ---------------------------------------------------------------------------------------

    def grown(self) -> None:
        """There may be another report."""
        report = self.session.report()
        if report is not self._report:
            self._report = report
            self._list()
        self._summarise()

    def on_resize(self) -> None:
        """Lines are wrapped anew."""
        self.call_after_refresh(self._list)

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the line of the cursor."""
        self.do_open(None)

    # --- the tree ---------------------------------------------------------------------------------------------------

    def _list(self) -> None:
        report = self._report
        width = max(self.list.scrollable_content_region.width, 20)
        if report is None:
            self.list.show([])
        else:
            self.list.columns = Layout.of(report, width)
            self.list.show(table.items(report, self.list.opened, self.choice, width))
        self.heading.say(self.list.columns.heading() if report is not None and report.findings and self.list.columns
                         else (Span(" "),))  # fmt: skip
        self._summarise()

    def _summarise(self) -> None:
        progress = self.session.progress()
        percent = 100 * progress.read // progress.total if progress.total else None
        line = table.summary(self._report, done=progress.done, percent=percent, choice=self.choice)
        self.summary.say(styled.clip(line, max(self.size.width, 20)))

    def show_finding(self, number: int) -> bool:
        """Opens a finding and puts the cursor on it; False if there is none of that number."""
        self.grown()
        by_number = {one.number: one for one in self._report.findings} if self._report is not None else {}
        if number not in by_number:
            return False
        self.choice = Choice()
        step = by_number[number]
        self.list.opened.add(("finding", number))
        while step.root is not None and step.root in by_number:
            step = by_number[step.root]
            self.list.opened.add(("finding", step.number))
        self._list()
        self.list.put_on(("finding", number))
        return True

    # --- actions ----------------------------------------------------------------------------------------------------

    def do_open(self, count: int | None) -> str:
        """Enter: of evidence the message, of a finding what is known of it."""
        item = self.list.item
        if item is None:
            return "There is nothing to be opened."
        if item.filter:
            self.post_message(FilterWanted(item.filter))
            return ""
        if item.ref is None:
            return self.do_fold_finding(count)
        row, said = row_of(self.session.store, item.ref)
        if row is not None:
            self.post_message(RowOpened(row))
        return said

    def do_fold_finding(self, count: int | None) -> str:
        """Opens what is under the cursor, or shuts it; of a fact its finding."""
        del count
        item = self.list.item
        key = () if item is None else item.key if item.opens else item.parent
        if not key:
            return ""
        self.list.opened ^= {key}
        self._list()
        self.list.put_on(key)
        return ""

    def do_fold_findings(self, count: int | None) -> str:
        """Shuts all, or opens all roots."""
        del count
        opened = self.list.opened
        self.list.opened = set() if opened else {one.key for one in self.list.items if one.opens}
        self._list()
        return ""

    def do_choose_severity(self, count: int | None) -> str:
        """All, warnings and errors, errors."""
        del count
        least = Severity(self.choice.least % len(Severity) + 1)
        self.choice = self.choice._replace(least=least)
        self._list()
        return f"Shown: {self.choice.words() or 'all findings'}."

    def do_choose_station(self, count: int | None) -> str:
        """Only the findings of the station under the cursor, or all again."""
        del count
        station = None if self.choice.station is not None else self._station()
        if station is None and self.choice.station is None:
            return "There is no finding under the cursor."
        self.choice = self.choice._replace(station=station)
        self._list()
        return f"Shown: {self.choice.words() or 'all findings'}."

    def _station(self) -> str | None:
        item = self.list.item
        if item is None or self._report is None:
            return None
        key = item.key if item.opens else item.parent
        if key[:1] == ("station",):
            return str(key[1])
        return next((one.station for one in self._report.findings if ("finding", one.number) == key), None)
