"""The parts of a transaction's page as lines: sizes, signs of what is too high, figures of any size."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.analysis.pages import Curve, LimitStep
from ocppscope.render import styled, transaction
from ocppscope.render.styled import Style
from ocppscope.render.transaction_charts import energy_chart, power_chart
from store.support_store import START
from tui.support_reports import SECOND, curve, page

CHARTS = [power_chart, energy_chart]
TIMES = st.integers(-(2**63), 2**63 - 1)
VALUES = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("wh", "shown"),
    [(None, "-"), (0.0, "0 Wh"), (28.4, "28 Wh"), (-5.0, "-5 Wh"), (12_345.0, "12.35 kWh"), (5e6, "5,000 kWh"),
     (1e15, "1e+12 kWh")],
)  # fmt: skip
def test_energy(wh, shown):
    assert transaction.energy(wh) == shown
    assert len(shown) <= 9


@pytest.mark.parametrize(
    ("watts", "shown"), [(None, "-"), (230.0, "230 W"), (11_020.0, "11.0 kW"), (2e6, "2,000 kW"), (1e15, "1e+12 kW")]
)
def test_power(watts, shown):
    assert transaction.power(watts) == shown
    assert len(shown) <= 8


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("width", [24, 80, 200])
def test_a_chart_is_as_large_as_was_asked(chart, width):
    lines = chart(page(), width=width, height=12)
    assert len(lines) == 12
    assert all(styled.width(line) <= width for line in lines)


def dots(line, style):
    return sum(len(span.text) for span in line if span.style is style and span.text.strip())


def test_readings_above_the_limit_are_marked():
    limits = (LimitStep(START, 8000.0, "8000 W", True),)
    high = page(power=curve((0, 7000.0), (60, 7500.0), (120, 11_000.0)), limits=limits)
    assert sum(dots(line, Style.ERROR) for line in power_chart(high, width=80, height=12)) == 1
    low = page(power=curve((0, 7000.0), (60, 8300.0)), limits=limits)  # within what a meter may be wrong
    assert not sum(dots(line, Style.ERROR) for line in power_chart(low, width=80, height=12))
    later = page(power=curve((0, 9000.0), (60, 7000.0)), limits=(limits[0]._replace(time_ns=START + 30 * SECOND),))
    assert not sum(dots(line, Style.ERROR) for line in power_chart(later, width=80, height=12))


def test_a_limit_that_ends_is_drawn_until_then():
    ends = (LimitStep(START, 8000.0, "8000 W", False), LimitStep(START + 60 * SECOND, None, "", True))
    lines = power_chart(page(power=curve((0, 10.0), (120, 10.0)), limits=ends), width=89, height=12)
    dashes = [styled.plain(line).count("╌") for line in lines[2:]]
    assert 35 <= max(dashes) <= 45
    assert "as far as is known" in styled.plain(lines[1])


def test_nothing_is_said_to_be_nothing():
    for chart in CHARTS:
        text = styled.text(chart(page(power=curve(), energy=curve()), width=80, height=12))
        assert "nothing to show" in text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TIMES, VALUES), max_size=30), st.lists(st.tuples(TIMES, st.none() | VALUES), max_size=5))
def test_any_figures_can_be_drawn(points, limits):
    points.sort(key=lambda point: point[0])
    drawn = Curve(array("q", [at for at, _ in points]), array("d", [value for _, value in points]))
    steps = tuple(LimitStep(at, watts, "x", True) for at, watts in sorted(limits, key=lambda one: one[0]))
    for chart in CHARTS:
        lines = chart(page(power=drawn, energy=drawn, limits=steps), width=60, height=10)
        assert all(styled.width(line) <= 60 for line in lines)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"place": (2, 0), "is_2x": True}, "EVSE 2"),
        ({"place": (2, 1), "is_2x": True}, "EVSE 2, connector 1"),
        ({"is_open": True, "verdict": "Blocked"}, "open, tag Blocked"),
        ({"is_open": True, "superseded": True}, "never stopped"),
        ({"started_ns": None}, "before the capture"),
        ({"replayed": True}, "offline queue"),
        ({"id": "", "tag": ""}, "(no id)"),
        ({"duration_ns": 0}, "peak 11.0 kW"),
    ],
)
def test_heads(changes, words):
    assert words in styled.text(transaction.head(page(**changes)))
