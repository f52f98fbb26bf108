"""The list of transactions, the page of one, where it leads; hostile texts; how it looks."""

import pytest
from support_reports import HOSTILE, SHOWN, finding, page, pages, ref, report, tree
from support_scope import ScopeSession, drive
from support_views import MemorySession, settled, show
from test_goldens import same_as_golden

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.pages import concerning
from ocppscope.render import styled
from ocppscope.tui import transactions_table as table
from ocppscope.tui.transactions import TransactionsView
from ocppscope.tui.transactions_table import Layout
from store.support_store import START, closed, exchanges, opened

SECOND = 1_000_000_000
OPEN = {"is_open": True, "stopped_ns": None, "duration_ns": None, "reason": ""}


def several():
    return (
        page(0),
        page(1, station="CP-2", place=(2, 1), is_2x=True, energy_wh=120.0, peak_w=3700.0, duration_ns=60 * SECOND),
        page(2, **OPEN, energy_wh=None, peak_w=None, last_ns=START + 90 * SECOND),
        page(3, **OPEN, superseded=True, started_ns=None, replayed=True),
        page(4, station=HOSTILE, id=HOSTILE, tag=HOSTILE, reason=HOSTILE, verdict=HOSTILE),
    )


def texts(found, width=120):
    layout = Layout.of(found, width)
    return [styled.plain(layout.line(one, ())) for one in found]


# --- lines ---------------------------------------------------------------------------------------------------------


def test_lines_say_how_it_stands():
    first, second, third, fourth, _ = texts(several())
    for words in ("4711", "CP", "1h00m", "9.00 kWh", "11.0 kW", "Remote"):
        assert words in first
    for words in ("2/1", "1m00s", "120 Wh", "3.7 kW"):
        assert words in second
    assert "open" in third
    assert "1m30s" in third
    assert "never stopped: another began here" in fourth
    assert "replayed" in fourth
    assert "before" in fourth


@pytest.mark.parametrize("width", [80, 110, 200])
def test_columns_stand_below_their_titles(width):
    found = several()
    layout = Layout.of(found, width)
    heading = styled.plain(layout.heading())
    for one in found:
        line = layout.line(one, ())
        assert styled.columns(styled.plain(line)[: heading.index("ended")]) >= heading.index("ended") - 1
        assert styled.width(styled.clip(line, width)) <= width
    at = heading.index("energy") + len("energy")
    assert styled.plain(layout.line(found[0], ()))[:at].endswith("9.00 kWh")


def test_the_worst_finding_is_a_sign():
    layout = Layout.of(several(), 100)
    notes = [finding(0, severity=Severity.NOTE), finding(1, severity=Severity.ERROR)]
    assert styled.plain(layout.line(page(), notes)).startswith(" ✗ ")
    assert styled.plain(layout.line(page(), notes[:1])).startswith(" · ")


@pytest.mark.parametrize(
    ("order", "first"),
    [("start", 0), ("station", 4), ("duration", 0), ("energy", 0), ("peak power", 0), ("findings", 2)],
)
def test_orders(order, first):
    concerns = {2: (finding(0),), 3: (finding(1, severity=Severity.NOTE),)}
    key = table.ORDERS[order]
    assert min(several(), key=lambda one: key(one, concerns.get(one.number, ()))).number == first


# --- the page ------------------------------------------------------------------------------------------------------


def test_a_page_has_a_timeline_charts_messages_and_findings():
    items = table.page_items(page(), [finding(4, "tx-zero-energy")], 100)
    text = styled.text(one.line for one in items)
    for words in ("Transaction 4711  CP  connector 1", "one finding concerns it", "tx-zero-energy", "Timeline",
                  "Preparing", "CSMS", "TxProfile: Accepted", "limit 10 A", "Power, 5 readings", "Energy, 3 readings",
                  "9.00 kWh in all", "Messages", "replayed"):  # fmt: skip
        assert words in text, words
    assert [one.finding for one in items if one.finding is not None] == [4]
    assert [one.ref.ordinal for one in items if one.ref] == [0, 2, 4, 6, 2, 6]


def test_what_is_left_out_is_said():
    text = styled.text(one.line for one in table.page_items(page(steps_left_out=7, messages_left_out=1200), (), 100))
    assert "… 7 more that are not kept …" in text
    assert "… 1,200 more that are not kept …" in text


def test_nothing_from_the_wire_gets_through():
    from ocppscope.analysis.pages import Step

    odd = page(
        4, station=HOSTILE, id=HOSTILE, tag=HOSTILE, reason=HOSTILE, verdict=HOSTILE,
        steps=(Step(ref(0, what=HOSTILE), "status", HOSTILE),),
        messages=(Step(ref(1, what=HOSTILE), "message", HOSTILE),),
    )  # fmt: skip
    for width in (80, 200):
        lines = [one.line for one in table.page_items(odd, [finding(0, text=HOSTILE, rule="x")], width)]
        lines.append(Layout.of([odd], width).line(odd, ()))
        text = styled.text(lines)
        assert SHOWN in text
        assert all(char == "\n" or char.isprintable() for char in text)


# --- findings that concern it --------------------------------------------------------------------------------------


def test_findings_concern_the_transactions_whose_messages_they_name():
    found = [finding(0, evidence=(ref(6),)), finding(1, evidence=(ref(5),)), finding(2, evidence=(ref(2), ref(6)))]
    elsewhere = finding(3, evidence=(ref(6, connection=1),))
    concerns = concerning([page(0), page(1, names=page().names[:0])], [*found, elsewhere])
    assert {number: [one.number for one in mine] for number, mine in concerns.items()} == {0: [0, 2]}


# --- the tab -------------------------------------------------------------------------------------------------------


def tab(check, found=None, size=(100, 40), told=None):
    session = MemorySession([opened(), *exchanges(8)])
    session.pages, session.told, session.done = found or pages(*several()), told, True
    show(TransactionsView, session, check, size)


def test_enter_opens_a_page_and_follows_its_messages():
    async def check(host, pilot):
        view = host.view
        view.do_open(None)
        await settled(host, pilot)
        assert view.shown == 0
        assert not view.list.display
        assert any("Timeline" in styled.plain(one.line) for one in view.page.items)
        at = [at for at, one in enumerate(view.page.items) if one.ref is not None]
        view.page.move_to(at[1])
        assert view.do_open(None) == ""
        view.page.move_to(0)
        assert view.do_open(None) == "This line leads nowhere."
        await settled(host, pilot)
        assert host.posted == [("opened", 2)]
        assert view.leave()
        assert not view.leave()
        assert view.list.display

    tab(check)


def test_a_finding_of_a_page_leads_to_the_findings():
    async def check(host, pilot):
        view = host.view
        view.do_open(None)
        await settled(host, pilot)
        view.page.move_to(next(at for at, one in enumerate(view.page.items) if one.finding is not None))
        view.do_open(None)
        await settled(host, pilot)
        assert host.posted == [("finding", 3)]

    tab(check, told=tree())


def test_one_page_after_the_other():
    async def check(host, pilot):
        view = host.view
        view.do_next_transaction(None)
        assert view.shown == 3  # the first in the list: its start was not seen
        view.do_next_transaction(2)
        assert view.shown == view.list.items[2].number
        view.do_previous_transaction(None)
        assert view.shown == view.list.items[1].number

    tab(check, pages(*(several()[at] for at in (3, 0, 1, 2))))


def test_sorting_keeps_the_cursor_on_its_transaction():
    async def check(host, pilot):
        view = host.view
        before = view.list.item.number
        for name in [*list(table.ORDERS)[1:], "start"]:
            assert view.do_sort_transactions(None) == f"Sorted by {name}."
            assert view.list.item.number == before
        assert "the other way round" in view.do_reverse_transactions(None)
        assert view.list.item.number == before

    tab(check)


def test_pages_follow_while_more_is_read():
    async def check(host, pilot):
        view = host.view
        view.do_open(None)
        await settled(host, pilot)
        host.view.session.pages = pages(page(0, reason="EVDisconnected"), not_kept=3)
        view.grown()
        await settled(host, pilot)
        assert any("EVDisconnected" in line for line in host.screen_text())
        host.view.session.pages = pages(page(7), not_kept=4)  # its own is not kept any more
        view.grown()
        await settled(host, pilot)
        assert view.shown is None
        assert any("4 older ones are not shown" in line for line in host.screen_text())

    tab(check, size=(120, 40))


def test_no_transaction_is_said():
    async def check(host, pilot):
        assert "No transaction was seen." in host.screen_text()[0]
        assert host.view.do_open(None) == "There is nothing to be opened."
        assert host.view.do_next_transaction(None) == "There are no transactions."
        host.view.session.done = False
        host.view.grown()
        await settled(host, pilot)
        assert "so far" in host.screen_text()[0]

    tab(check, pages())


# --- in the application --------------------------------------------------------------------------------------------


def application():
    session = ScopeSession([opened(0, station="CP"), *exchanges(20), closed(0, station="CP")])
    session.pages, session.told = pages(*several()), tree()
    return session


def test_keys_in_the_application():
    async def check(d):
        await d.press("f9", "enter")
        assert d.scope.show.shown == 0
        await d.press("escape")
        assert d.scope.show.shown is None
        assert d.scope.view == "transactions"
        await d.press("enter")
        view = d.scope.show
        view.page.move_to(next(at for at, one in enumerate(view.page.items) if one.finding is not None))
        await d.press("enter")
        assert d.scope.view == "findings"
        assert d.scope.show.list.item.finding.number == 3
        await d.press("f9", "escape", "escape")
        assert d.scope.view == "messages"

    drive(check, application())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80", "120"])
def test_screen(size):
    async def check(d):
        await d.press("f9")
        text = d.lines
        await d.press("enter")
        text += d.lines
        same_as_golden(f"transactions-{size[0]}.txt", "".join(f"{line}\n" for line in text))

    drive(check, application(), size=size)


def test_reports_of_nothing_concern_nothing():
    assert concerning([page()], report().findings) == {}
