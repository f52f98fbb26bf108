"""Meter samples as numbers, and what the meter of a transaction notices about them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.happenings import Happening
from ocppscope.analysis.payload import Payload
from ocppscope.analysis.state import metering, meters
from ocppscope.analysis.state.metering import MAX_KINDS, MAX_SAMPLES, MAX_VALUE, REGISTER, Role, Sample, samples_of
from ocppscope.analysis.stations import Stations

START = """
10:00:00 CP-1 → OPEN ocpp1.6
10:00:01 CP-1 → [2,"s","StartTransaction",
    {"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-11-22T10:00:01Z"}]
10:00:01 CP-1 ← [3,"s",{"transactionId":7,"idTagInfo":{"status":"Accepted"}}]
"""


def one(sampled: dict[str, Any]) -> Sample:
    return samples_of([Payload({"timestamp": "2026-11-22T10:00:00Z", "sampledValue": [sampled]})])[0]


@pytest.mark.parametrize(
    ("sampled", "value", "unit"),
    [
        ({"value": "12"}, 12.0, "Wh"),
        ({"value": "1.5", "unit": "kWh"}, 1500.0, "Wh"),
        ({"value": "-2", "measurand": "Power.Active.Import", "unit": "kW"}, -2000.0, "W"),
        ({"value": "3", "measurand": "Power.Reactive.Import", "unit": "kvar"}, 3000.0, "var"),
        ({"value": "230", "measurand": "Voltage"}, 230.0, ""),
        ({"value": 7.5, "unitOfMeasure": {"unit": "kWh"}}, 7500.0, "Wh"),
        ({"value": 75, "unitOfMeasure": {"multiplier": 2}}, 7500.0, "Wh"),
        ({"value": 75, "unitOfMeasure": {"unit": "kWh", "multiplier": -1}}, 7500.0, "Wh"),
        ({"value": 75, "unitOfMeasure": {"unit": "Wh", "multiplier": 13}}, None, "Wh"),
        ({"value": 75, "unitOfMeasure": {"unit": ["Wh"], "multiplier": "2"}}, 75.0, "Wh"),
        ({"value": "2e+01"}, 20.0, "Wh"),
        ({"value": "nan"}, None, "Wh"),
        ({"value": "1e400"}, None, "Wh"),
        ({"value": "1,5"}, None, "Wh"),
        ({"value": True}, None, "Wh"),
        ({"value": MAX_VALUE * 2}, None, "Wh"),
        ({"value": 10**400}, None, "Wh"),
        ({"value": "12", "format": "SignedData"}, None, "Wh"),
        ({}, None, "Wh"),
    ],
)
def test_value_in_base_unit(sampled: dict[str, Any], value: float | None, unit: str) -> None:
    sample = one(sampled)
    assert (sample.value, sample.unit) == (value, unit)


@pytest.mark.parametrize(
    ("value", "plain"),
    [("12", True), ("-1.50", True), ("+3", True), (".5", True), ("2e1", False), (" 1", False), ("1_0", False),
     ("", False), ("nan", False), ("0x10", False), (12, True), (1.5, True), (None, False)],
)  # fmt: skip
def test_plain_decimals(value: object, plain: bool) -> None:
    assert one({"value": value}).plain is plain


@pytest.mark.parametrize(
    ("sampled", "resolution"),
    [
        ({"value": "12"}, 1.0),
        ({"value": "12.50"}, 0.01),
        ({"value": "12", "unit": "kWh"}, 1000.0),
        ({"value": "12.345", "unit": "kWh"}, 1.0),
        ({"value": 3, "unitOfMeasure": {"unit": "Wh", "multiplier": 2}}, 100.0),
        ({"value": "1e3"}, 1.0),
    ],
)
def test_resolution(sampled: dict[str, Any], resolution: float) -> None:
    assert one(sampled).resolution == pytest.approx(resolution)


@pytest.mark.parametrize(
    ("sampled", "role"),
    [
        ({}, Role.MAIN),
        ({"location": "Inlet"}, Role.REGISTER),
        ({"phase": "L1"}, Role.REGISTER),
        ({"measurand": "Energy.Active.Export.Register"}, Role.REGISTER),
        ({"measurand": "Energy.Active.Import.Interval"}, Role.OTHER),
        ({"measurand": "Power.Active.Import"}, Role.POWER),
        ({"measurand": "Power.Active.Import", "phase": "L2"}, Role.PHASE_POWER),
        ({"measurand": "Power.Active.Import", "location": "EV"}, Role.OTHER),
        ({"measurand": "Current.Import", "phase": "L1-N"}, Role.PHASE_CURRENT),
        ({"measurand": "Power.Offered"}, Role.OFFERED),
    ],
)
def test_role(sampled: dict[str, Any], role: Role) -> None:
    assert one(sampled).kind.role is role


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(["value", "unit", "measurand", "phase", "location", "context", "format", "unitOfMeasure"])


@given(st.lists(st.dictionaries(_NAMES, _JSON, max_size=8), max_size=4), _JSON)
def test_anything_can_be_read(sampled: list[dict[str, Any]], timestamp: object) -> None:
    for sample in samples_of([Payload({"timestamp": timestamp, "sampledValue": sampled})]):
        assert sample.value is None or abs(sample.value) <= MAX_VALUE
        assert sample.resolution > 0


def test_samples_are_bounded() -> None:
    assert len(samples_of([Payload({"sampledValue": [{"value": "1"}] * 3000})] * 2)) == MAX_SAMPLES


def test_kinds_are_bounded() -> None:
    for number in range(MAX_KINDS + 10):
        one({"value": "1", "context": str(number)})
    one({"value": "1", "context": "x" * 1000})
    assert len(metering._KINDS) <= MAX_KINDS


# --- the meter of a transaction ---


def happenings(text: str) -> tuple[Stations, list[Happening]]:
    bus = Bus()
    found: list[Happening] = []
    stations = Stations(bus)
    for kind in meters.Metered.__subclasses__():
        bus.subscribe(kind, found.append)
    stations.take(play(START + text))
    return stations, found


def values(*samples: str, at: str = "10:01:00", stamp: str = "", transaction: str = '"transactionId":7,') -> str:
    stamp = stamp or at
    inner = ",".join("{" + sample + "}" for sample in samples)
    return (
        f'{at} CP-1 → [2,"{at}","MeterValues",{{"connectorId":1,{transaction}"meterValue":[{{"timestamp":'
        f'"2026-11-22T{stamp}Z","sampledValue":[{inner}]}}]}}]\n{at} CP-1 ← [3,"{at}",{{}}]\n'
    )


def energy(wh: object) -> str:
    return f'"value":"{wh}"'


def power(w: object) -> str:
    return f'"value":"{w}","measurand":"Power.Active.Import","unit":"W"'


def kinds(text: str) -> list[str]:
    return [type(one).__name__ for one in happenings(text)[1]]


def test_ordinary_samples_make_no_happening() -> None:
    text = values(energy(100), power(6000)) + values(energy(200), power(6000), at="10:02:00")
    assert kinds(text) == ["RegisterBegan"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (values(energy(100)) + values(energy(90), at="10:02:00"), "RegisterFell"),
        (values(energy(0)) + values(energy(90), at="10:02:00"), "RegisterBegan"),
        (values(energy(100)) + values('"value":"0.2","unit":"kWh"', at="10:02:00"), "UnitChanged"),
        (values(energy(100), energy(100)), "Repeated"),
        (values(energy("x")), "Unreadable"),
        (values(energy(1), transaction=""), "Unassigned"),
        (values(energy(1), transaction='"transactionId":8,'), "Unassigned"),
        (values(energy(1), stamp="09:59:00"), "Astray"),
        (values(energy(1) + ',"context":"Sample.Clock"'), "ClockAligned"),
        (values(energy(1), power(100)) + values(energy(900), power(100), at="10:02:00"), "Surged"),
        (values(energy(1), power(9000)) + values(energy(1), power(9000), at="10:02:00"), "Stood"),
    ],
    ids=lambda one: one if one.isalpha() else "",
)
def test_odd_samples_are_told_of(text: str, expected: str) -> None:
    assert expected in kinds(text)


def test_late_samples_of_the_past_are_left_out() -> None:
    history = (
        '10:03:00 CP-1 → [2,"e","StopTransaction",{"transactionId":7,"meterStop":150,'
        '"timestamp":"2026-11-22T10:03:00Z","transactionData":[{"timestamp":"2026-11-22T10:03:00Z","sampledValue":[{"value":"150"}]},'
        '{"timestamp":"2026-11-22T10:00:30Z","sampledValue":[{"value":"10"}]}]}]\n'
    )
    stations, found = happenings(values(energy(100)) + history)
    assert [type(one).__name__ for one in found] == ["RegisterBegan", "Surged"]
    last = stations.by_identity["CP-1"].transactions.latest[0].meter.last_register
    assert last is not None
    assert last.last.value == 150


def test_power_over_time() -> None:
    text = "".join(values(energy(100), power(6000), at=f"10:{minute:02}:00") for minute in range(1, 7))
    stations, _ = happenings(text)
    meter = stations.by_identity["CP-1"].transactions.latest[0].meter
    assert meter.power_wh == pytest.approx(500)  # 6 kW for 5 minutes
    assert meter.still_n == 6


def test_series_are_bounded() -> None:
    text = values(*(f'"value":"1","measurand":"M{number}"' for number in range(100)))
    stations, _ = happenings(text)
    assert len(stations.by_identity["CP-1"].transactions.latest[0].meter.series) == meters.MAX_SERIES


# --- the short way comes to the same ---

_NUMBERS = st.integers(0, 5000).map(str) | st.sampled_from(
    ["0", "7.50", "-3", "1e3", "x", "", "2e99", "9" * 70, "0.0", ".5", "12.", "1.2.3", "\u0663", "\u00b2"]
)
_KINDS_SENT = st.sampled_from(
    ["", ',"measurand":"Power.Active.Import","unit":"W"', ',"measurand":"Power.Active.Import","unit":"kW"',
     ',"measurand":"Current.Import","phase":"L1","unit":"A"', ',"measurand":"Current.Import","phase":"L2","unit":"A"',
     ',"measurand":"Current.Import","phase":"L3","unit":"A"', ',"measurand":"Voltage","phase":"L1-N"', ',"unit":"kWh"',
     ',"measurand":"Power.Active.Import","phase":"L1"', ',"measurand":"Power.Offered"', ',"location":"Inlet"',
     ',"measurand":"Energy.Active.Export.Register"', ',"context":"Transaction.Begin"', ',"context":"Sample.Clock"',
     ',"format":"SignedData"', ',"vendor":"x"', ',"unitOfMeasure":{"unit":"kWh","multiplier":0}']
)  # fmt: skip
_LAYOUTS = st.lists(_KINDS_SENT, min_size=1, max_size=5)


@st.composite
def courses(draw: st.DrawFn) -> str:
    """MeterValues of a transaction: mostly of one layout and in order, with values and times of all sorts."""
    usual, lines, number = draw(_LAYOUTS), [], draw(st.sampled_from([0, 1000]))
    for minute in range(1, draw(st.integers(2, 9))):
        kinds_ = usual if draw(st.integers(0, 4)) else draw(_LAYOUTS)
        odd, number = draw(st.integers(0, 3)) == 0, number + draw(st.sampled_from([0, 0, 1, 200]))
        raw = [draw(_NUMBERS) if odd else str(number + at) for at in range(len(kinds_))]
        quoted = [one if draw(st.integers(0, 9)) == 0 and one.isdecimal() and one.isascii() and one[:1] != "0"
                  else f'"{one}"' for one in raw]  # fmt: skip
        stamp = "" if draw(st.integers(0, 5)) else f"09:{draw(st.integers(50, 59))}:00"
        samples = [f'"value":{value}{kind}' for value, kind in zip(quoted, kinds_, strict=True)]
        lines.append(values(*samples, at=f"10:{minute:02}:00", stamp=stamp))
    return "".join(lines)


def outcome(text: str) -> tuple[list[str], dict[str, object]]:
    """What is told of, and what is known of the transaction afterwards."""
    stations, found = happenings(text)
    told = []
    for happening in found:
        fields = (getattr(happening, name) for name in type(happening).__struct_fields__[5:])
        told.append(f"{type(happening).__name__} {happening.time_ns} {[one for one in fields if not _is_state(one)]}")
    transaction = stations.by_identity["CP-1"].transactions.latest[0]
    meter = {name: getattr(transaction.meter, name) for name in meters.Meter.__slots__}
    del meter["steady"]
    meter["series"] = {name: (series.at_ns, series.last) for name, series in transaction.meter.series.items()}
    register = transaction.meter.last_register
    meter["resolution"] = None if register is None else register.resolution
    of = "energy", "power", "samples", "meter_start", "last_ns"
    return told, meter | {f"transaction {name}": getattr(transaction, name) for name in of}


def _is_state(value: object) -> bool:
    return type(value).__name__ in ("Transaction", "Exchange")


@settings(max_examples=300, deadline=None)
@given(courses())
def test_the_short_way_comes_to_the_same(text: str) -> None:
    short = outcome(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(meters.MeterTracker, "follow_plainly", lambda *_: False)
        assert outcome(text) == short


@pytest.mark.parametrize("raw", ["1500", "1500.5"])
def test_the_short_way_is_taken(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    short = meters.MeterTracker.follow_plainly

    def follow_plainly(*args: Any) -> bool:
        taken.append(short(*args))
        return taken[-1]

    monkeypatch.setattr(meters.MeterTracker, "follow_plainly", follow_plainly)
    stations, _ = happenings(values(energy(1000), power(5)) + values(energy(raw), power(5), at="10:02:00"))
    assert taken == [False, True]
    register = stations.by_identity["CP-1"].transactions.latest[0].meter.last_register
    assert register is not None
    assert (register.value, register.last.raw) == (float(raw), raw)


def test_layouts_are_bounded() -> None:
    for number in range(metering.MAX_LAYOUTS + 10):
        data = [{"value": "1", "measurand": f"M{number}"}]
        found = samples_of([Payload({"sampledValue": data})])
        assert metering.layout_of([sample.kind for sample in found], data) is not None
    assert len(metering._LAYOUTS) <= metering.MAX_LAYOUTS


def test_long_samples_have_no_layout() -> None:
    data = [{"value": "1", "vendor": "x" * 1000}]
    found = samples_of([Payload({"sampledValue": data})])
    assert metering.layout_of([sample.kind for sample in found], data) is None


def test_registers_keep_their_names() -> None:
    assert meters.TOTAL == (REGISTER, "", "Outlet")
