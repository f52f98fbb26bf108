"""Figures against the messages themselves, charts against a slower way to count, and the tab that shows them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_views import MemorySession, recorded, settled, show

from ocppscope.model import ConnectionClosed, ConnectionOpened, ExchangeEnd, Kind, Message, Outcome, Side
from ocppscope.options import Options
from ocppscope.query.filter import compile_filter
from ocppscope.render import axes, styled
from ocppscope.render.axes import Scale
from ocppscope.store.store import Store
from ocppscope.tui import timing, timing_charts, timing_figures
from ocppscope.tui.timing import CHARTS, CONNECTIONS, FIGURES, HEARTBEATS, TimingView, filter_of
from ocppscope.tui.timing_figures import ALL, NOTHING, Latencies, figures
from store.support_store import START, call, closed, connection, exchanges, opened, result
from support_engine import CAPTURES, run

OWN = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
FLEET = recorded("several_stations")
IMPATIENT = run(CAPTURES / "slow_and_missing.pcap", Options(timeout_ns=10**9)).events
FIRST = (Outcome.ANSWERED, Outcome.ERROR, Outcome.LATE)
SECOND = 10**9


def expected(events):
    """Latencies, errors and timeouts by action and asker, counted one by one."""
    asked = [one for one in events if isinstance(one, Message) and one.kind is Kind.CALL]
    calls = {(one.connection, one.ordinal): one for one in asked}
    found = {(one.action, one.side): ([], 0, 0) for one in calls.values()}
    for one in events:
        if isinstance(one, Message) and one.reply_to is not None and one.outcome in FIRST:
            if one.kind is Kind.CALLRESULTERROR:
                continue
            its_call = calls[one.connection, one.reply_to]
            values, errors, lost = found[its_call.action, its_call.side]
            errors += one.outcome is Outcome.ERROR
            found[its_call.action, its_call.side] = ([*values, one.latency_ns], errors, lost)
        elif isinstance(one, ExchangeEnd) and one.outcome is Outcome.TIMEOUT:
            values, errors, lost = found[one.action, one.side]
            found[one.action, one.side] = (values, errors, lost + 1)
    return found


@pytest.mark.parametrize("name", OWN)
def test_figures_are_those_of_the_events(name):
    events = IMPATIENT if name == "slow_and_missing" else recorded(name)
    with Store(chunk_rows=32) as store:
        store.take(events)
        found = figures(store, None)
        told = {(one.action, one.side): one for one in found.actions[1:]}
        wanted = expected(events)
        assert told.keys() == wanted.keys()
        for key, (values, errors, lost) in wanted.items():
            assert told[key].ordered.tolist() == sorted(values)
            assert (told[key].errors, len(told[key].lost)) == (errors, lost)
        if wanted:
            assert len(found.actions[0].values) == sum(len(one.values) for one in found.actions[1:])


def test_no_capture_is_without_errors_and_timeouts():
    """If these did not occur above, nothing would be tested of them."""
    both = [expected(events).values() for events in (IMPATIENT, *map(recorded, OWN))]
    assert sum(errors for found in both for _, errors, _ in found) > 0
    assert sum(lost for found in both for _, _, lost in found) > 0


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60), st.integers(0, 100))
def test_percentiles(values, percent):
    ordered = np.sort(np.array(values, np.int64))
    found = Latencies("x", None, ordered, ordered, ordered, ordered[:0], 0)
    assert found.percentile(percent) == axes.percentile(sorted(values), percent)


@pytest.mark.parametrize(
    "text",
    ['action == "Heartbeat"', "side == csms", "kind == CALLRESULT", "latency > 1ms", "connection == 2", "row < 0"],
)
def test_an_exchange_counts_where_one_of_its_messages_passes(text):
    with Store(chunk_rows=16) as store:
        store.take(FLEET)
        rows = np.flatnonzero(compile_filter(text).mask(store))
        wanted = set()
        for row in rows.tolist():
            one = store.message(row)
            asked = row if one.kind is Kind.CALL else store.partner(row)
            if asked is not None:
                wanted.add(asked)
        found = figures(store, rows)
        assert len(found.actions[0].values) == sum(store.message(row).latency_ns is not None for row in wanted)
        numbers = {store.message(row).connection for row in wanted}
        assert {one.station for one in found.tracks} == {store.connections[number].station for number in numbers}


def test_heartbeats_and_the_interval_that_was_granted():
    def beats(number, *seconds):
        return [call(n + 5, connection=number, time_ns=START + s * SECOND) for n, s in enumerate(seconds)]

    answer = '{"status":"Accepted","interval":60}'
    events = [
        opened(0, station="A"),
        opened(1, station="B"),
        opened(2, station="A"),
        opened(3, station="A", leg_of=2),
        call(0, "BootNotification"),
        result(1, 0, '{"interval":5}', "BootNotification"),
        call(2, "BootNotification"),
        result(3, 2, answer, "BootNotification"),
        *beats(0, 10, 70),
        *beats(1, 1),
        *beats(2, 200, 130),
        *beats(3, 99),
    ]
    with Store() as store:
        store.take(events)
        first, second = figures(store, None).beats
        assert (first.station, first.expected_ns) == ("A", 60 * SECOND)
        assert ((first.moments - START) // SECOND).tolist() == [10, 70, 130, 200]
        assert (second.station, second.expected_ns, len(second.gaps)) == ("B", None, 0)


@pytest.mark.parametrize(
    "interval", ["true", '"60"', "0", "-5", "1e999", "99999999999999999999", "null", "[]", "6.5"]
)
def test_an_interval_that_is_none(interval):
    events = [opened(), call(0, "BootNotification"), result(1, 0, f'{{"interval":{interval}}}', "BootNotification")]
    with Store() as store:
        store.take([*events, call(2)])
        assert figures(store, None).beats[0].expected_ns is None


def test_bounds(monkeypatch):
    monkeypatch.setattr(timing_figures, "MAX_BEATS", 3)
    monkeypatch.setattr(timing_figures, "MAX_STATIONS", 2)
    monkeypatch.setattr(timing_figures, "MAX_ANSWER", 10)
    with Store() as store:
        store.take([opened(number) for number in range(5)])
        store.take([call(0, "BootNotification"), result(1, 0, '{"interval":60}', "BootNotification")])
        store.take([call(n, connection=number) for number in range(5) for n in range(2, 12)])
        found = figures(store, None)
        assert (len(found.beats), len(found.tracks), found.more_stations) == (2, 2, 3)
        assert [len(one.moments) for one in found.beats] == [3, 3]
        assert found.beats[0].expected_ns is None
        lines = timing_charts.timeline(found, 80, 20)
        assert "3 more" in styled.plain(lines[-1])


def test_tracks():
    with Store() as store:
        events = [closed(0, station="A"), opened(1, station="A"), opened(2, station="A", leg_of=1), call(0)]
        store.take([*events, ConnectionClosed(START, connection(3, close_how="end of capture", closed_ns=START))])
        first, second = figures(store, None).tracks
        assert [stay.closed_ns for stay in first.stays] == [START, None]
        assert [stay.closed_ns for stay in second.stays] == [None]


def test_nothing_and_giving_up():
    with Store() as store:
        assert figures(store, None) == NOTHING
        assert figures(store, np.zeros(0, np.int64)) == NOTHING
        store.take(exchanges(3))
        assert figures(store, None, lambda: True) == NOTHING
        empty = figures(store, np.zeros(0, np.int64))
        assert len(empty.actions) == 1
        assert len(empty.actions[0].values) == 0


def test_rows_that_are_gone_do_not_count():
    with Store(retain=64, chunk_rows=32) as store:
        store.take(exchanges(200))
        found = figures(store, None)
        assert len(found.actions[0].values) == (len(store) - store.first) // 2
        figures(store, np.arange(len(store)))


# --- charts ---------------------------------------------------------------------------------------------------------

SPANS = st.integers(-(10**18), 9 * 10**18)


@given(st.lists(SPANS, min_size=1, max_size=30), st.integers(1, 300))
def test_places_are_those_of_the_scale(values, length):
    array = np.array(values, np.int64)
    for scale in (axes.span_scale(values, log=True), Scale(1000, 10**9, True), Scale(7, 7)):
        found = timing_charts.places(array, scale, length)
        assert ((found >= 0) & (found < max(length, 1))).all()
        assert all(abs(a - scale.at(b, length)) <= 1 for a, b in zip(found.tolist(), values, strict=True))


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=60), st.integers(1, 60))
def test_counts_are_those_of_a_slower_way(values, bins):
    values = sorted(values)
    scale = axes.span_scale(values, log=True)
    found = timing_charts.log_counts(np.array(values, np.int64), scale, bins)
    assert found.tolist() == axes.log_counts(values, axes.log_edges(scale, bins))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-(2**62), 2**62), SPANS), max_size=20),
    st.lists(st.integers(-(2**62), 2**62), max_size=3),
    st.integers(0, 120),
    st.integers(0, 40),
)
def test_charts_fit_whatever_the_numbers_are(points, lost, width, height):
    moments, values = (np.array([point[at] for point in points], np.int64) for at in (0, 1))
    found = Latencies("x", None, moments, values, np.sort(values), np.array(lost, np.int64), 0)
    for make in (timing_charts.latency, timing_charts.histogram):
        lines = make(found, width, height)
        assert len(lines) == height
        assert all(styled.width(line) <= width for line in lines)


def test_a_chart_says_how_many_and_which():
    with Store() as store:
        store.take(IMPATIENT)
        text = styled.text(timing_charts.latency(figures(store, None).actions[0], 100, 20))
        count = len(figures(store, None).actions[0].values)
        assert f"{count} answers" in text.splitlines()[0]
        assert "timeouts" in text
        assert "✗" in text.splitlines()[2]


def test_many_answers_are_shaded_and_have_percentiles_by_column():
    moments = np.repeat(np.arange(1000) * SECOND + START, 100)
    values = np.tile(np.arange(1, 101) * 1_000_000, 1000)  # each second 1 to 100 ms
    found = Latencies("x", None, moments, values, np.sort(values), moments[:0], 0)
    lines = [styled.plain(line) for line in timing_charts.latency(found, 100, 20)]
    plot = [line.partition("│")[2] or line.partition("┤")[2] for line in lines[2:-2]]
    medians = [line for line in plot if "─" in line]
    assert len(medians) == 1  # the same in each column
    assert medians[0] == "─" * 92
    assert sum("╌" in line for line in plot) == 1
    assert any(set(line) & set(timing_charts.SHADES[1:]) for line in plot)
    assert not any("⣿" in line for line in plot)


@pytest.mark.parametrize(("most", "ticks"), [(1, 5), (7, 3), (100, 10), (5500, 12), (123_456, 4), (1, 0)])
def test_ticks_of_counts_are_few_and_round(most, ticks):
    found = timing_charts._count_ticks(most, ticks)
    assert len(found) <= max(ticks, 1) + 1
    assert found[0].value == 0
    assert all(len(tick.text) <= 5 for tick in found)


@pytest.mark.parametrize(("count", "shown"), [(0, "0"), (999, "999"), (5500, "5.5k"), (2_000_000, "2M")])
def test_short_counts(count, shown):
    assert timing_charts._short(count) == shown


# --- the tab --------------------------------------------------------------------------------------------------------


def tab(check, events=FLEET, size=(80, 24), **options):
    show(TimingView, MemorySession(events, **options), check, size)


def test_it_shows_figures_and_a_chart():
    async def check(host, pilot):
        text = "\n".join(host.screen_text())
        assert ALL in text
        assert "StatusNotification" in text
        assert "Latency of all actions, 80 answers" in text
        assert "error  lost" in text

    tab(check)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (20, 8)])
def test_every_chart_can_be_reached(size):
    async def check(host, pilot):
        view = host.view
        for name in CHARTS:
            assert view.chart == name
            assert view.target is {CONNECTIONS: view.chart_lines, FIGURES: view.rows}.get(name, view.table)
            assert view.chart_lines.count or size[0] == 20
            view.do_next_chart(None)
            await settled(host, pilot)
        view.do_previous_chart(1)
        await settled(host, pilot)
        assert view.chart == CHARTS[-1]

    tab(check, size=size)


def test_the_chart_follows_the_cursor():
    async def check(host, pilot):
        view = host.view
        view.table.move_to(2)
        await settled(host, pilot)
        action = view.found.actions[2].action
        assert f"Latency of {action}," in styled.plain(view.chart_lines.lines[0])
        view.do_open(None)
        view.table.move_to(0)
        await settled(host, pilot)
        assert view.do_open(None)  # all messages are no filter
        view.do_next_chart(2)
        await settled(host, pilot)
        assert view.chart == HEARTBEATS
        view.do_open(None)
        await settled(host, pilot)
        station = view.found.beats[0].station
        assert host.posted == [
            ("filter", f'action == "{action}"'), ("filter", f'action == "Heartbeat" and station == "{station}"')
        ]  # fmt: skip

    tab(check)


def test_it_follows_the_filter_and_growth():
    async def check(host, pilot):
        view = host.view
        assert len(view.found.actions[0].values) == sum(
            one.kind is Kind.CALLRESULT for one in FLEET[:80] if isinstance(one, Message)
        )
        view.session.store.take(FLEET[80:])
        view.session.done = True
        view.grown()
        await settled(host, pilot)
        assert len(view.found.actions[0].values) == 80
        view.show_rows(np.array([0, 1]))
        await settled(host, pilot)
        assert len(view.found.actions[0].values) == 1
        view.show_rows(None)
        await settled(host, pilot)
        assert len(view.found.actions[0].values) == 80

    tab(check, FLEET[:80])


def test_the_cursor_stays_on_its_action():
    async def check(host, pilot):
        view = host.view
        view.table.move_to(3)
        action = view.table.found[3].action
        view.show_rows(np.arange(40))
        await settled(host, pilot)
        assert view.table.found[view.table.cursor].action == action

    tab(check)


def test_what_is_there_is_not_counted_again(monkeypatch):
    counted = []
    plain = timing.figures
    monkeypatch.setattr(timing, "figures", lambda *given: counted.append(1) or plain(*given))

    async def check(host, pilot):
        before = len(counted)
        assert before
        for _ in range(3):
            host.view.grown()
            await settled(host, pilot)
        assert len(counted) == before

    tab(check)


def test_nothing_to_show():
    async def check(host, pilot):
        for _ in CHARTS:
            assert host.view.do_open(None)
            host.view.do_next_chart(None)
            await settled(host, pilot)

    tab(check, [])


HOSTILE = "\x1b]52;c;cm0=\x07\x9b2J\u202e[/nope]\r\n\0"


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_hostile_text_is_shown_as_text(size):
    async def check(host, pilot):
        for _ in CHARTS:
            assert "".join(host.screen_text()).isprintable()
            host.view.do_next_chart(None)
            await settled(host, pilot)
        for found in (*host.view.found.actions, *host.view.found.beats):
            assert filter_of(found).isprintable()
            compile_filter(filter_of(found))

    asked = [call(0, HOSTILE), result(1, 0, action=HOSTILE), call(2, side=Side.STATION), call(3), call(4)]
    tab(check, [ConnectionOpened(START, connection(0, station=HOSTILE)), *asked], size)
