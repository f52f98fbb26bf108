"""Pages of transactions, from conversations with figures that were worked out by hand; bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import play
from ocppscope.analysis import pages
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.pages import Pages, _Both, _Points, concerning
from ocppscope.analysis.state.transactions import MAX_ID
from ocppscope.analysis.stations import Stations
from support_engine import CAPTURES, run

SECOND = 1_000_000_000


def followed(events):
    bus = Bus()
    stations = Stations(bus)
    found = Pages(bus)
    stations.take(events)
    stations.finish(stations.now)
    return found


def one_page(events):
    (page,) = followed(events).snapshot().pages
    return page


def kinds(page):
    return [(step.kind, step.text) for step in page.steps]


def test_a_transaction_of_1_6_from_remote_start_to_available():
    page = one_page(run(CAPTURES / "remote_start_stop.pcap").events)
    assert (page.station, page.place, page.id, page.tag) == ("CP-DEMO-01", (1, 0), "48213", "DEMO-APP-7731")
    assert (page.energy_wh, page.peak_w, page.reason, page.is_open) == (28.0, 11_020.0, "Remote", False)
    assert kinds(page) == [
        ("status", "Available"), ("remote", "start: Accepted"), ("status", "Preparing"),
        ("start", "tag DEMO-APP-7731, 1,254,310 Wh, Accepted"), ("status", "Charging"),
        ("remote", "stop: Accepted"), ("stop", "Remote, 1,254,338 Wh"), ("status", "Finishing"),
        ("status", "Available"),
    ]  # fmt: skip
    assert len(page.messages) == 8
    assert page.messages[1].text == "1,254,311 Wh, 2,100 W"
    assert [*page.power.values] == [2100.0, 6900.0, 10_950.0, 11_020.0, 11_010.0, 10_980.0]
    assert page.mean_w == pytest.approx(28.0 * 3600 / 12.898)


def test_a_transaction_of_2_0_1():
    page = one_page(run(CAPTURES / "ocpp201.pcap").events)
    assert page.is_2x
    assert page.energy_wh == 1503.0
    states = [text for kind, text in kinds(page) if kind == "charging"]
    assert states[:2] == ["EVConnected", "Charging"]
    assert len(page.messages) == 9


def conversation(*lines):
    """A station that says so; each line `seconds direction JSON`."""
    said = ["-- 2026-11-22", "10:00:00.000 CP-1 → OPEN ocpp1.6"]
    for line in lines:
        seconds, rest = line.split(" ", 1)
        minute, second = divmod(int(seconds), 60)
        said.append(f"10:{minute:02}:{second:02}.000 CP-1 {rest}")
    return play("\n".join(said))


START = (
    '1 → [2,"1","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":1000,"timestamp":"2026-11-22T10:00:01Z"}]',
    '2 ← [3,"1",{"transactionId":7,"idTagInfo":{"status":"Accepted"}}]',
)


def meter(second, wh, *watts, phases=()):
    sampled = [f'{{"value":"{wh}"}}']
    sampled += [f'{{"value":"{value}","measurand":"Power.Active.Import","unit":"W"}}' for value in watts]
    sampled += [
        f'{{"value":"{value}","measurand":"Power.Active.Import","unit":"W","phase":"L{at}"}}'
        for at, value in enumerate(phases, 1)
    ]
    when = f"2026-11-22T10:{second // 60:02}:{second % 60:02}Z"
    values = f'[{{"timestamp":"{when}","sampledValue":[{",".join(sampled)}]}}]'
    return f'{second} → [2,"m{second}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":{values}}}]'


PROFILE = (
    '20 ← [2,"p","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"transactionId":7,'
    '"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":'
    '{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0}]}}}]',
    '21 → [3,"p",{"status":"Accepted"}]',
)


def test_power_and_the_limit_in_force():
    page = one_page(
        conversation(
            *START,
            meter(10, 1010, 9000),
            *PROFILE,
            meter(30, 1050, phases=(3000, 4000, 4500)),
            meter(40, 1100, 11_500),
        )
    )
    assert [*page.power.values] == [9000.0, 11_500.0, 11_500.0]
    assert [*page.energy.values] == [1010.0, 1050.0, 1100.0]
    assert page.is_open
    assert (page.energy_wh, page.samples) == (100.0, 3)
    (limit,) = page.limits
    assert (limit.text, limit.watts) == ("16 A", 16 * 230 * 3)
    assert ("profile", "TxProfile: Accepted") in kinds(page)


def test_a_transaction_from_before_the_capture_and_one_in_its_place():
    first, second = (
        followed(conversation(meter(10, 1010), *(f"{10 + int(line[0])}{line[1:]}" for line in START)))
        .snapshot()
        .pages
    )
    assert (first.started_ns, first.id) == (None, "7")
    assert second.started_ns is not None


def test_statuses_of_another_connector_are_not_its_own():
    status = '"errorCode":"NoError"'
    page = one_page(
        conversation(
            *START, f'3 → [2,"s","StatusNotification",{{"connectorId":1,"status":"Charging",{status}}}]',
            f'4 → [2,"t","StatusNotification",{{"connectorId":2,"status":"Faulted",{status}}}]',
            f'5 → [2,"u","StatusNotification",{{"connectorId":1,"status":"Charging",{status}}}]',
        )
    )  # fmt: skip
    assert [text for kind, text in kinds(page) if kind == "status"] == ["Charging"]


BEGIN = '"idTag":"T","timestamp":"2026-11-22T10:00:00Z"'


def transactions(count):
    """So many, one after the other, each stopped."""
    lines = []
    for at in range(count):
        second = at % 3500
        lines += [
            f'{second} → [2,"a{at}","StartTransaction",{{{BEGIN},"connectorId":1,"meterStart":{at}}}]',
            f'{second} ← [3,"a{at}",{{"transactionId":{at + 1},"idTagInfo":{{"status":"Accepted"}}}}]',
            f'{second} → [2,"b{at}","StopTransaction",{{"transactionId":{at + 1},"meterStop":{at + 5}}}]',
            f'{second} ← [3,"b{at}",{{}}]',
        ]
    return conversation(*lines)


def test_pages_are_bounded_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(pages, "MAX_PAGES", 10)
    monkeypatch.setattr(pages, "MAX_SETTLING", 3)
    found = followed(transactions(25))
    snapshot = found.snapshot()
    assert [int(page.id) for page in snapshot.pages] == list(range(16, 26))
    assert snapshot.not_kept == 15
    assert len(found._drafts) <= 4
    assert all(page.energy_wh == 5.0 for page in snapshot.pages)


def test_of_open_ones_the_oldest_go_too(monkeypatch):
    monkeypatch.setattr(pages, "MAX_PAGES", 3)
    starts = [
        f'{at} → [2,"a{at}","StartTransaction",{{{BEGIN},"connectorId":{at},"meterStart":0}}]' for at in range(1, 8)
    ]
    answers = [
        f'{at + 10} ← [3,"a{at}",{{"transactionId":{at},"idTagInfo":{{"status":"Accepted"}}}}]' for at in range(1, 8)
    ]
    snapshot = followed(conversation(*starts, *answers)).snapshot()
    assert (len(snapshot.pages), snapshot.not_kept) == (3, 4)


def test_an_unchanged_page_is_the_same_object():
    found = followed(transactions(3))
    for one, other in zip(found.snapshot().pages, found.snapshot().pages, strict=True):
        assert one is other


def test_limits_names_and_places_are_bounded(monkeypatch):
    monkeypatch.setattr(pages, "MAX_NAMES", 4)
    monkeypatch.setattr(pages, "MAX_LIMITS", 0)
    monkeypatch.setattr(pages, "MAX_PLACES", 1)
    found = followed(conversation(*START, *PROFILE, *(meter(30 + at, 1000 + at) for at in range(20))))
    (page,) = found.snapshot().pages
    assert len(page.names) == 4
    assert page.limits == ()
    assert len(found._at) <= 1


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "no time at all"])
def test_a_wild_clock_does_not_spoil_the_chart(stamp):
    wild = meter(10, 1010, 5000).replace("2026-11-22T10:00:10Z", stamp)
    page = one_page(conversation(*START, wild))
    assert abs(page.power.times[0] - page.begins_ns) < pages.BELIEVED_NS


EVERY = st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e12, 1e12)), max_size=300)


@given(EVERY, st.booleans())
def test_a_curve_stays_in_order_and_bounded(points, high):
    limit, pages.MAX_POINTS = pages.MAX_POINTS, 16
    try:
        curve = _Points(high=high)
        for at, value in points:
            curve.add(at, value)
        found = curve.frozen()
    finally:
        pages.MAX_POINTS = limit
    assert len(found.times) == len(found.values) <= 16
    assert [*found.times] == sorted(found.times)
    assert set(zip(found.times, found.values, strict=True)) <= set(points)
    assert curve.most == max((value for _, value in points), default=None)


def test_the_highest_point_of_a_power_curve_stays():
    curve = _Points(high=True)
    for at in range(10 * pages.MAX_POINTS):
        curve.add(at, 9000.0 if at == 77 else 1.0)
    assert max(curve.values) == 9000.0


@given(st.integers(0, 400))
def test_the_first_and_the_last_steps_are_kept(count):
    from ocppscope.analysis.finding import Ref
    from ocppscope.analysis.pages import MAX_STEPS, Step

    both = _Both()
    for at in range(count):
        both.add(Step(Ref(at, 0, at), "message", ""))
    kept = [step.ref.ordinal for step in both.all()]
    assert len(kept) + both.left_out == count
    assert kept == [*range(min(count, MAX_STEPS)), *range(max(MAX_STEPS, count - MAX_STEPS), count)]


def test_nobody_is_told_of_what_concerns_nothing():
    assert concerning((), ()) == {}


def test_what_came_before_and_what_is_said_is_bounded():
    status = '"errorCode":"NoError"'
    before = [
        f'{at} → [2,"s{at}","StatusNotification",{{"connectorId":1,"status":"{"AB"[at % 2]}{"x" * 40}",{status}}}]'
        for at in range(1, 30)
    ]
    start = [f"{30 + int(line[0])}{line[1:]}".replace('"T"', f'"{"T" * 500}"') for line in START]
    page = one_page(conversation(*before, *start))
    assert len([text for kind, text in kinds(page) if kind == "status"]) == pages.MAX_BEFORE
    assert all(len(text) <= pages.MAX_WORDS for _, text in kinds(page))
    assert len(page.tag) <= MAX_ID
