"""Text charts: goldens, axes, and numbers that no chart was made for."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_goldens import same_as_golden

from ocppscope.render import axes, charts, styled
from ocppscope.render.axes import MAX_NUMBER, Scale, Tick
from ocppscope.render.canvas import MAX_SIDE, Canvas
from ocppscope.render.charts import MAX_POINTS, Stay, Track
from ocppscope.render.styled import Span, Style
from ocppscope.render.times import DAY, HOUR, MINUTE, SECOND

START = 1_795_348_800 * SECOND  # 2026-11-22 12:00:00 UTC
MS = 1_000_000
CHOICE = random.Random(22)
POINTS = [(START + 7 * SECOND * at, int(10 ** CHOICE.gauss(7, 0.5))) for at in range(400)]
POINTS += [(START + 1500 * SECOND, 5 * SECOND), (START + 2000 * SECOND, 22 * SECOND)]
LOST = [START + 900 * SECOND, START + 905 * SECOND, START + 2100 * SECOND]
LATENCIES = [latency for _, latency in POINTS]
BEATS = [START + 300 * SECOND * at + int(CHOICE.gauss(0, 2) * SECOND) + 40 * SECOND * (at > 30) for at in range(60)]
TRACKS = [
    Track("CP-FLEET-01", [Stay(START, START + 5 * HOUR), Stay(START + 5 * HOUR + SECOND)]),
    Track(
        "CP-FLEET-02",
        [
            Stay(START, START + 2 * HOUR),
            Stay(START + 3 * HOUR, START + 3 * HOUR, True),
            Stay(START + 4 * HOUR, START + 4 * HOUR, True),
            Stay(START + 6 * HOUR, START + 9 * HOUR),
        ],
    ),
    Track("CP-\x1b]52;c;\x07-with-a-long-name-indeed", [Stay(START + 10 * HOUR)]),
]
CHARTS = {
    "latency_log": lambda **size: charts.latency(POINTS, LOST, **size),
    "latency_linear": lambda **size: charts.latency(POINTS, log=False, **size),
    "histogram": lambda **size: charts.histogram(LATENCIES, **size),
    "jitter": lambda **size: charts.jitter(BEATS, 300 * SECOND, **size),
    "timeline": lambda **size: charts.timeline(TRACKS, START, START + 12 * HOUR, **size),
}
SIZES = [(80, 20), (200, 40)]


def checked(lines, width, height):
    """The text of a chart that is as large as it should be."""
    assert len(lines) == height
    for line in lines:
        assert styled.width(line) <= width
        assert "".join(span.text for span in line).isprintable()
    return styled.text(lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", CHARTS)
def test_goldens(name, width, height):
    lines = CHARTS[name](width=width, height=height)
    same_as_golden(f"chart_{name}_{width}x{height}.txt", checked(lines, width, height))


@pytest.mark.parametrize("name", CHARTS)
def test_ascii(name):
    shown = checked(CHARTS[name](width=80, height=20, ascii_only=True), 80, 20)
    assert shown.isascii()
    assert len(set(shown)) > 10


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("width", [0, 1, 7, 8, 23, 24, 31, 500])
@pytest.mark.parametrize("height", [0, 1, 3, 5, 6, 7, 70])
def test_any_size(name, width, height):
    checked(CHARTS[name](width=width, height=height), width, height)


NUMBER = st.integers(-(10**30), 10**30)
NUMBERS = st.lists(
    st.integers(-(10**40), 10**40) | st.integers(0, 10**10) | st.sampled_from([0, 1, -1, START]), max_size=9
)
WHATEVER = {"width": 60, "height": 12}


@given(NUMBERS, NUMBERS, st.booleans())
def test_any_numbers(first, second, log):
    pairs = list(zip(first, second, strict=False))
    checked(charts.latency(pairs, second, log=log, **WHATEVER), 60, 12)
    checked(charts.histogram(first, **WHATEVER), 60, 12)
    checked(charts.jitter(first, second[0] if second else None, **WHATEVER), 60, 12)
    stays = [Stay(opened, None if log else closed, opened % 3 == 0) for opened, closed in pairs]
    checked(charts.timeline([Track("a", stays), Track("b", [])], **WHATEVER), 60, 12)
    checked(charts.timeline([Track("a", stays)], *first[:2], **WHATEVER), 60, 12)


@pytest.mark.parametrize(
    "lines",
    [
        charts.latency([]),
        charts.histogram([]),
        charts.jitter([START]),
        charts.timeline([]),
    ],
)
def test_nothing_to_show_says_so(lines):
    assert "(nothing to show)" in checked(lines, 80, 20)


@pytest.mark.parametrize("minutes", [14, 90, 36 * 60, 20 * 24 * 60])
def test_labels_of_the_vertical_axis_are_whole(minutes):
    beats = [START + minutes * MINUTE * at + at % 3 * SECOND * minutes for at in range(20)]
    shown = checked(charts.jitter(beats, minutes * MINUTE, width=80, height=20), 80, 20).splitlines()
    labels = [line[: line.index("┤")].strip() for line in shown if "┤" in line]
    assert len(labels) > 2
    assert not any("…" in label for label in labels)


def test_one_value_is_a_chart():
    assert "median 5.0ms" in checked(charts.latency([(START, 5 * MS)]), 80, 20)
    assert "median 5.0ms" in checked(charts.histogram([5 * MS] * 3), 80, 20)


def test_the_legend_tells_the_percentiles():
    shown = styled.text(charts.histogram([at * MS for at in range(1, 101)]))
    assert "median 50ms" in shown
    assert "p95 95ms" in shown


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_the_median_is_the_low_one(values):
    assert axes.percentile(sorted(values), 50) == statistics.median_low(values)


def test_outliers_survive_thinning():
    many = [(START + at, MS) for at in range(5 * MAX_POINTS)]
    many[777] = (START + 777, 9 * SECOND)
    thinned = charts._thinned(many)
    assert len(thinned) <= MAX_POINTS
    assert (START + 777, 9 * SECOND) in thinned


def test_every_value_of_a_histogram_is_counted():
    scale = axes.span_scale(LATENCIES, log=True)
    assert sum(axes.log_counts(LATENCIES, axes.log_edges(scale, 17))) == len(LATENCIES)


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([Stay(0, 100)], "┣━━━━━━━━┫"),
        ([Stay(0)], "┣━━━━━━━━━"),
        ([Stay(30, 61)], "··┣━━┫····"),
        ([Stay(0, 50), Stay(51)], "┣━━━╋━━━━━"),
        ([Stay(0, 50), Stay(51), Stay(90, 90, True)], "┣━━━╋━━━✗━"),
        ([Stay(30, 31)], "··╋·······"),
        ([], "··········"),
        ([Stay(-50, 500)], "┣━━━━━━━━┫"),
    ],
)
def test_bars(stays, expected):
    assert "".join(charts._bars(stays, Scale(0, 100), 10)) == expected


@pytest.mark.parametrize(
    ("stays", "share"),
    [([Stay(0, 50)], 50), ([Stay(0, 50), Stay(25, 75)], 75), ([Stay(90)], 10), ([Stay(0, 9, True)], 0), ([], 0)],
)
def test_share_of_the_time(stays, share):
    assert charts._connected_share(stays, Scale(0, 100)) == share


def test_stations_that_do_not_fit_are_counted():
    tracks = [Track(f"CP-{number}", [Stay(START, START + HOUR)]) for number in range(40)]
    shown = checked(charts.timeline(tracks, width=80, height=20), 80, 20)
    assert "… and 25 more" in shown


# --- axes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "most", "expected"),
    [
        (5 * MS, 5, ["12:00:00.000", "12:00:00.001", "12:00:00.002"]),
        (40 * SECOND, 5, ["12:00:00", "12:00:10", "12:00:20"]),
        (50 * MINUTE, 4, ["12:00", "12:15", "12:30"]),
        (10 * HOUR, 4, ["12:00", "15:00", "18:00"]),
        (20 * HOUR, 4, ["12:00", "18:00", "11-23"]),
        (4 * DAY, 5, ["2026-11-23", "2026-11-24", "2026-11-25"]),
    ],
)
def test_time_ticks_are_round(span, most, expected):
    assert [tick.text for tick in axes.time_ticks(axes.time_scale(START, START + span), most)][:3] == expected


@pytest.mark.parametrize(
    ("values", "most", "expected"),
    [
        ([3 * MS, 800 * MS], 6, ["1ms", "10ms", "100ms", "1s"]),
        ([3 * MS, 40 * MS], 9, ["1ms", "2ms", "5ms", "10ms", "20ms", "50ms"]),
        ([1, 100 * SECOND], 5, ["1µs", "100µs", "10ms", "1s", "100s"]),
    ],
)
def test_logarithmic_ticks(values, most, expected):
    assert [tick.text for tick in axes.span_ticks(axes.span_scale(values, log=True), most)] == expected


def test_linear_ticks():
    ticks = axes.span_ticks(axes.span_scale([10 * SECOND], log=False), 5)
    assert ticks == [Tick(at * SECOND, f"{at}s" if at else "0") for at in range(0, 11, 2)]


@pytest.mark.parametrize(
    ("span", "text"),
    [(0, "0"), (1500, "2µs"), (2 * MS, "2ms"), (1500 * MS, "1.50s"), (5 * SECOND, "5s"), (320 * SECOND, "5m20s")],
)
def test_short_spans(span, text):
    assert axes.short(span) == text


@given(
    st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30), st.integers(1, 99)
)
def test_scales_keep_to_their_line(first, last, value, length):
    for scale in (axes.time_scale(first, last), axes.span_scale([first, last], log=True)):
        assert 0 <= scale.at(value, length) < length
        assert scale.low < scale.high
        assert len(axes.time_ticks(scale, length)) <= axes.MAX_TICKS + 1


def test_numbers_are_bounded():
    assert axes.bounded([10**99, -(10**99), 5]) == [MAX_NUMBER, -MAX_NUMBER, 5]


# --- canvas -----------------------------------------------------------------------------------------------------


def test_braille():
    sheet = Canvas(2, 1)
    for x, y in ((0, 0), (0, 3), (1, 3), (3, 1)):
        sheet.dot(x, y, Style.BAR)
    assert list(sheet.lines()) == [(Span("⡉⠠", Style.BAR),)]


def test_text_stays_on_the_sheet():
    sheet = Canvas(3, 1)
    sheet.put(-1, 0, "abcdef", Style.BOLD)
    sheet.put(0, 7, "x")
    sheet.dot(-1, 0)
    sheet.dot(0, 99)
    assert list(sheet.lines()) == [(Span("bcd", Style.BOLD),)]
    wide = Canvas(3, 1)
    wide.put(0, 0, "充电")
    assert [styled.plain(line) for line in wide.lines()] == ["充"]


def test_sheets_are_bounded():
    assert len(list(Canvas(10**9, 10**9).lines())) == MAX_SIDE
