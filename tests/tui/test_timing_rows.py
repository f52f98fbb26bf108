"""The figures of the diagnosis as a tree: lines, folding, where they lead; and the tab that shows them."""

import pytest
from support_reports import HOSTILE
from support_views import MemorySession, settled, show

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing.figures import Row, load
from ocppscope.render import styled
from ocppscope.tui import timing_rows
from ocppscope.tui.timing import FIGURES, TimingView, filter_of_row
from store.support_store import exchanges, opened

load()
MS = 1_000_000


def row(figure="latency", station="", **changes):
    fields = {
        "figure": figure, "title": "Latency", "station": station,
        "split": (("action", "Heartbeat"), ("from", "station")),
        "n": 120, "unit": "ns", "low": 1 * MS, "p50": 20 * MS, "p95": 80 * MS, "p99": None, "high": 4000 * MS,
        "counts": {"errors": 3, "network_ns": 2 * MS}, "vantage": "csms",
    }  # fmt: skip
    return Row(**(fields | changes))


ROWS = (
    row(), row(split=(("action", "Authorize"), ("from", "station")), severity=Severity.WARNING),
    row("heartbeat-interval", "", title="Heartbeat interval", split=()),
    row("heartbeat-interval", "CP", title="Heartbeat interval", split=()),
    row("heartbeat-interval", HOSTILE, title="Heartbeat interval", split=()),
    row("tcp-rtt", "CP", title="TCP round trip", split=()), row("tcp-rtt", "CP-2", title="TCP round trip", split=()),
    row("availability", "CP", title="Availability", split=(), unit="%", value=99.5, low=None, high=None, p50=None,
        p95=None),
)  # fmt: skip


def text(opened_=frozenset(), width=100, rows=ROWS):
    return styled.text(one.line for one in timing_rows.items(rows, set(opened_), width))


def test_figures_stand_below_their_family():
    lines = text(width=130).splitlines()
    assert lines[0].strip() == "Latency: from a CALL to its answer"
    assert "→ Heartbeat" in lines[2]
    assert "errors 3, network 2.0ms" in lines[2]
    for cell in ("120", "1.0ms", "20ms", "80ms", "4.00s"):
        assert cell in lines[2]
    assert lines[3].lstrip().startswith("! ")
    assert "2 stations" in text()
    assert "99.5%" in text()
    assert "CP-2" not in text()


def test_an_open_figure_says_what_it_means_and_lists_its_stations():
    shown = text({("figure", "latency"), ("figure", "heartbeat-interval"), ("figure", "tcp-rtt")})
    assert "Captured at the CSMS." in shown
    assert load()["latency"].definition.split(",")[0] in shown
    assert "CP-2" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_titles_stand_above_figures(width):
    heading = styled.plain(timing_rows.heading(width))
    for item in timing_rows.items(ROWS, set(), width):
        line = styled.plain(item.line)
        if item.row is not None and item.row.high is not None:
            assert line[: len(heading)].endswith("4.00s")
        assert styled.width(item.line) <= max(width, 70)


def test_keys_name_one_line_each():
    keys = [one.key for one in timing_rows.items(ROWS, {("figure", one.figure) for one in ROWS}, 80)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(3.5e6, "ns", "3.5ms"), (12_345, "B", "12.3K"), (470, "Wh", "470Wh"), (12_000, "W", "12kW"),
     (99.5, "%", "99.5%"), (1e300, "ns", None), (-1e300, "B", None), (1e300, "Wh", None)],
)  # fmt: skip
def test_amounts(value, unit, shown):
    found = timing_rows.amount(value, unit)
    assert shown in (None, found)


def test_rows_lead_to_their_messages():
    assert filter_of_row(row(station="CP")) == 'station == "CP" and action == "Heartbeat"'
    assert filter_of_row(row(split=())) == ""


def tab(check, rows=ROWS, size=(100, 40)):
    session = MemorySession([opened(), *exchanges(4)])
    session.rows, session.done = rows, True
    show(TimingView, session, check, size)


def test_the_tab_shows_figures_and_follows_them():
    async def check(host, pilot):
        view = host.view
        assert "works in Figures" in view.do_fold_figure(None)
        view.do_previous_chart(None)
        await settled(host, pilot)
        assert view.chart == FIGURES
        assert view.target is view.rows
        assert any("Heartbeat interval" in line for line in host.screen_text())
        view.rows.move_to(2)
        view.do_open(None)
        await settled(host, pilot)
        assert host.posted == [("filter", 'action == "Heartbeat"')]
        view.rows.move_to(1)
        view.do_fold_figure(None)
        assert any("last byte" in styled.plain(one.line) for one in view.rows.items)
        view.do_next_chart(None)
        await settled(host, pilot)
        assert not view.rows.display
        assert view.table.display

    tab(check)


def test_no_figures_are_said():
    async def check(host, pilot):
        host.view.do_previous_chart(None)
        await settled(host, pilot)
        assert any("There are no figures." in line for line in host.screen_text())
        assert host.view.do_open(None) == "There is nothing to be opened."

    tab(check, ())
