"""Counts of connections against the messages themselves, lines, sorting, and the tab that shows them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_views import MemorySession, recorded, settled, show

from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, Handshake, Message, Problem, Side
from ocppscope.query.filter import compile_filter
from ocppscope.render import styled
from ocppscope.store.store import Store
from ocppscope.tui import stations_table as table
from ocppscope.tui.stations import StationsView, negotiation
from ocppscope.tui.stations_table import Item, Layout, Tally
from store.support_store import START, call, closed, connection, opened, result
from support_engine import CAPTURES

OWN = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
FLEET = recorded("several_stations")
MIXED = [event for name in ("malformed", "capture_loss") for event in recorded(name)]


def counted(store):
    tally = Tally(store)
    tally.grow()
    return tally


@pytest.mark.parametrize("name", OWN)
def test_counts_are_those_of_the_events(name):
    events = recorded(name)
    messages = [event for event in events if isinstance(event, Message)]
    sent = Counter((one.connection, one.side) for one in messages)
    problems = Counter()
    for one in events:
        if isinstance(one, Message | ControlFrame):
            problems[one.connection] += len(one.problems)
    with Store(chunk_rows=32) as store:
        store.take(events)
        tally = counted(store)
        assert store.connections
        for number, one in store.connections.items():
            assert tally.sent(number) == (sent[number, Side.STATION], sent[number, Side.CSMS]) == one.messages
            assert tally.problems(number) == problems[number]


@settings(max_examples=20)
@given(st.integers(1, 50))
def test_counts_do_not_depend_on_when_one_looks(step):
    with Store(chunk_rows=32) as store:
        tally = Tally(store)
        for at in range(0, len(MIXED), step):
            store.take(MIXED[at : at + step])
            assert tally.is_behind
            tally.grow()
            assert not tally.is_behind
        whole = counted(store)
        assert tally.boots == whole.boots
        for number in store.connections:
            assert tally.sent(number) == whole.sent(number)
            assert tally.problems(number) == whole.problems(number)


BOOTS = [
    ('{"chargePointVendor":"V","chargePointModel":"M","firmwareVersion":"1"}', ("V", "M", "1", "")),
    ('{"chargingStation":{"vendorName":"V","model":"M","serialNumber":"9"},"reason":"x"}', ("V", "M", "", "9")),
    ("[]", ("", "", "", "")),
    ("7", ("", "", "", "")),
    ("{", ("", "", "", "")),
    ('{"chargePointVendor":[{}]}', None),  # whatever it is, it does no harm
]


@pytest.mark.parametrize(("payload", "make"), BOOTS)
def test_the_make_is_what_the_last_boot_notification_says(payload, make):
    with Store() as store:
        store.take([opened(), call(0, "BootNotification"), result(1, 0, action="BootNotification")])
        store.take([call(2, "BootNotification", payload)])
        found = counted(store).make(0)
        assert len(found) == 4
        assert make is None or found == make


def test_only_boot_notifications_are_read(monkeypatch):
    with Store() as store:
        store.take(FLEET)
        read = []
        text = store.text
        monkeypatch.setattr(store, "text", lambda row: read.append(row) or text(row))
        tally = counted(store)
        for one in table.stations(tally):
            table.station_line(one, tally, Layout.of(80), shut=False, most=9)
        assert read
        assert {store.message(row).action for row in set(read)} == {"BootNotification"}
        assert len(set(read)) <= len(store.connections)


def test_a_huge_boot_notification_is_not_read(monkeypatch):
    monkeypatch.setattr(table, "MAX_BOOT", 20)
    with Store() as store:
        store.take([opened(), call(0, "BootNotification", BOOTS[0][0])])
        assert counted(store).make(0) == ("", "", "", "")


def lines(store, width):
    tally, layout = counted(store), Layout.of(width)
    for item in table.items(table.stations(tally), set()):
        if item.connection is None:
            yield table.station_line(item.station, tally, layout, shut=False, most=9)
        else:
            yield table.connection_line(store.connections[item.connection], tally, layout)


def test_lines_say_who_ended_it_and_how():
    upgrade = Handshake("GET", "/CP", "CP", "", (), "", "", ("ocpp1.6",), (), START, status=401, reason="No")
    events = [
        closed(0, closed_by=Side.CSMS, close_how="RST", version_guessed=True, lost_bytes=(7, 0)),
        closed(1, closed_by=Side.STATION, close_how="close frame", close_code=1000),
        opened(2, handshake=upgrade),
        opened(3, leg_of=1),
        closed(4, close_how="end of capture"),
        call(0),
    ]
    with Store() as store:
        store.take(events)
        for width in (80, 200):
            text = [styled.plain(line) for line in lines(store, width)]
            for number, words in enumerate(
                ["by the CSMS, RST", "Close 1000 (normal)", "refused: 401", "repeats #1", "still open"]
            ):
                assert words in text[2 * number + 1], text
            assert "~1.6" in text[1]
            assert "7B" in text[1]


@pytest.mark.parametrize("width", [80, 110, 200])
def test_columns_stand_below_their_titles(width):
    with Store() as store:
        store.take(FLEET)
        layout = Layout.of(width)
        heading = styled.plain(layout.heading())
        start = heading.index("OCPP")
        for line in lines(store, width):
            assert styled.plain(line)[start : start + 3] == "1.6"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (99_999, "99,999"), (100_000, "100k"), (9_999_999, "9,999k"), (10**7, "10M"), (10**9, "1,000M")],
)
def test_counts_are_short(number, shown):
    assert table.count(number) == shown
    assert len(shown) <= 6


@pytest.mark.parametrize("name", ["CP-1", 'a"b', "a\\", "a'b", "é x", "", "\x1b[31m", "x" * 200, "a\nb"])
def test_filters_find_their_station_and_connection(name):
    with Store() as store:
        store.take([opened(0, station=name), opened(1, station="other"), call(0), call(0, connection=1)])
        station = next(one for one in table.stations(counted(store)) if one.name == name)
        for item in (Item(station), Item(station, 0)):
            text = table.filter_of(item)
            assert text.isprintable()
            assert compile_filter(text).mask(store).tolist() == [True, False]


def test_orders():
    with Store() as store:
        store.take(FLEET)
        found = table.stations(counted(store))
        for key in table.ORDERS.values():
            assert len(sorted(found, key=key)) == 5
        by_lost = sorted(found, key=table.ORDERS["problems"])
        assert by_lost[0].numbers.problems == max(one.numbers.problems for one in found) > 0


def test_negotiations_keep_their_words():
    for one in (connection(), *(event.connection for event in FLEET if isinstance(event, ConnectionOpened))):
        assert len(negotiation(one)) > 1


# --- the tab --------------------------------------------------------------------------------------------------------


def tab(check, events=FLEET, size=(80, 24)):
    show(StationsView, MemorySession(events), check, size)


def test_it_lists_stations_and_how_the_chosen_one_was_negotiated():
    async def check(host, pilot):
        text = host.screen_text()
        assert any("CP-FLEET-01" in line for line in text)
        assert any("Sec-WebSocket-Accept" in line and "✓" in line for line in text)

    tab(check)


def test_the_negotiation_follows_the_cursor():
    async def check(host, pilot):
        view = host.view
        for at, item in enumerate(view.list.items):
            view.list.move_to(at)
            await pilot.pause()
            number = item.connection if item.connection is not None else item.station.connections[-1]
            assert styled.plain(view.negotiation.lines[0]).startswith(f"#{number} ")

    tab(check)


def test_enter_filters():
    async def check(host, pilot):
        view = host.view
        view.do_open(None)
        view.list.move_to(1)
        view.do_open(None)
        await settled(host, pilot)
        assert host.posted == [("filter", 'station == "CP-FLEET-01"'), ("filter", "connection == 0")]
        view.do_switch_focus(None)
        await pilot.pause()
        assert view.target is view.negotiation
        assert view.do_open(None)
        view.do_switch_focus(None)
        await pilot.pause()
        assert view.target is view.list

    tab(check)


def test_sorting_and_folding_keep_the_cursor_on_its_station():
    async def check(host, pilot):
        view = host.view
        view.list.move_to(7)
        name = view.list.item.station.name
        said = set()
        for _ in range(len(table.ORDERS)):
            said.add(view.do_sort_stations(None))
            assert view.list.item.station.name == name
            view.do_reverse_stations(None)
            assert view.list.item.station.name == name
        assert len(said) == len(table.ORDERS)
        view.do_fold_station(None)
        assert view.list.item == Item(view.list.item.station)
        view.do_fold_stations(None)
        assert view.list.count == 5
        view.do_fold_stations(None)
        assert view.list.count == 5 + len(view.session.store.connections)

    tab(check)


def test_a_row_leads_to_its_connection():
    async def check(host, pilot):
        view = host.view
        view.go_to(140)
        assert view.list.item.connection == view.session.store.message(140).connection
        view.go_to(10**9)

    tab(check)


def test_it_grows_and_says_when_there_is_nothing():
    async def check(host, pilot):
        assert any("No connection" in line for line in host.screen_text())
        host.view.do_open(None)
        host.view.do_fold_station(None)
        host.view.session.store.take(FLEET)
        host.view.session.done = True
        host.view.grown()
        await settled(host, pilot)
        assert any("CP-FLEET-01" in line for line in host.screen_text())

    tab(check, [])


HOSTILE = "\x1b]52;c;cm0=\x07\x9b2J\u202e[/nope]\r\n\0"


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (20, 5)])
def test_hostile_text_is_shown_as_text(size):
    async def check(host, pilot):
        assert "".join(host.screen_text()).isprintable()

    upgrade = Handshake(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,), START,
        status=401, reason=HOSTILE, body=HOSTILE, response_headers=((HOSTILE, HOSTILE),),
        problems=(Problem("http.target", HOSTILE),),
    )  # fmt: skip
    facts = {"station": HOSTILE, "handshake": upgrade, "close_how": "close frame", "close_reason": HOSTILE}
    boot = call(0, "BootNotification", '{"chargePointVendor":"\\u001b]52;c;x\\u0007","chargePointModel":"\\u202e"}')
    tab(check, [opened(**facts), boot, ConnectionClosed(START, connection(**facts, closed_ns=START))], size)
