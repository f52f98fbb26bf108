"""Timing figures as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing.figures import FIGURES, Row, Unit, load
from ocppscope.analysis.timing.report import TimingReport
from ocppscope.render.palette import COLOURED
from ocppscope.render.timing.amounts import NOTHING, amount, details
from ocppscope.render.timing.csvform import COLUMNS
from ocppscope.render.timing.csvform import csv as csv_form
from ocppscope.render.timing.document import document
from ocppscope.render.timing.jsonform import json as json_form
from ocppscope.render.timing.text import WIDTH, text
from ocppscope.render.wiretext import columns

load()
EVIL = "=cmd()\x1b[31m\u202eX"


def latency(action: str = "Heartbeat", station: str = "", **more: object) -> Row:
    fields = {"low": 1e6, "p50": 2e6, "p95": None, "p99": None, "high": 3e6, "vantage": "station", **more}
    return Row("latency", "Latency", station, (("action", action), ("from", "station")), 7, "ns", **fields)


def report(*rows: Row, by: str = "action", stations: tuple[str, ...] = ("CP-1",)) -> TimingReport:
    return TimingReport(("x.pcap",), by, "", 0, 10**9, 42, dict.fromkeys(stations, "station"), rows)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, Unit.TIME, NOTHING), (1_500_000, Unit.TIME, "1.5ms"), (-2_000_000_000, Unit.TIME, "-2.00s"),
        (3, Unit.COUNT, "3"), (0.25, Unit.COUNT, "0.25"), (5e6, Unit.COUNT, "5.0M"), (99.973, Unit.PERCENT, "99.97%"),
        (100, Unit.PERCENT, "100%"), (12.34, Unit.PERCENT, "12.3%"), (11_040, Unit.POWER, "11.0kW"),
        (28, Unit.ENERGY, "28Wh"), (12_300, Unit.BYTES, "12.3K"), (40.0, Unit.PPM, "40ppm"),
        (-1.4e-104, Unit.PER_MINUTE, "0/min"),
    ],
)  # fmt: skip
def test_amounts(value, unit, shown):
    assert amount(value, unit) == shown


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e40, max_value=1e40), st.sampled_from(Unit))
def test_amounts_are_short(value, unit):
    assert len(amount(value, unit)) <= 12


def test_details():
    row = latency(counts={"late": 2, "network_ns": 5e6, "errors": 0})
    assert details(row) == "late 2, network 5.0ms"
    assert details(row, without=("network_ns",)) == "late 2"


def rows_of_every_kind(station: str, name: str) -> list[Row]:
    found = []
    for one in FIGURES.values():
        split = tuple((part, name) for part in one.split)
        values = (
            {"low": -1e18, "p50": 0, "p95": 5e9, "p99": 1e12, "high": 1e18}
            if one.kind == "spread"
            else {"value": 1e9}
        )
        counts = {"beyond": 12_345, "interval_ns": 6e10, name: 3}
        found.append(
            Row(
                one.id,
                one.title,
                station,
                split,
                1_000_000,
                one.unit.value,
                counts=counts,
                severity=Severity.WARNING,
                **values,
            )
        )
    return found


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["short", "a" * 300, EVIL, "漢字" * 40])
def test_no_line_is_too_long_and_nothing_unprintable_passes(name, full):
    made = report(*rows_of_every_kind("", name), *rows_of_every_kind(name, name), stations=("a", name))
    for line in text(made, full=full):
        assert columns(line.rstrip("\n")) <= WIDTH, line
        assert line.rstrip("\n").isprintable()


def test_what_is_remarkable_is_marked():
    lines = list(text(report(latency(), latency("Authorize", severity=Severity.ERROR)), COLOURED))
    marked = next(line for line in lines if "Authorize" in line)
    assert marked.startswith(f"{COLOURED.bad}✗ → Authorize")
    assert next(line for line in lines if "Heartbeat" in line).startswith("  → Heartbeat")


def test_the_vantage_is_stated():
    assert any("Captured at the station" in line for line in text(report(latency())))


def test_figures_without_a_case_are_counted_and_listed_on_request():
    made = report(latency())
    assert f"{len(FIGURES) - 1} of {len(FIGURES)} figures have no case here" in "".join(text(made))
    listed = " ".join("".join(text(made, full=True)).split())
    assert "Without a case:" in listed
    assert all(one in listed for one in FIGURES if one != "latency")


def test_many_stations_show_the_marked_ones_first():
    def gap(station: str, high: float, severity: Severity | None = None) -> Row:
        return Row(
            "reconnect-gap", "Reconnect gap", station, (), 1, "ns", high, high, None, None, high, severity=severity
        )

    rows = [
        gap("", 9e9),
        *(gap(f"CP-{at}", at * 1e9, Severity.WARNING if at % 10 == 0 else None) for at in range(1, 90)),
    ]
    lines = "".join(text(report(*rows, stations=tuple(row.station for row in rows[1:]))))
    assert re.findall(r"CP-\d+", lines) == ["CP-80", "CP-70", "CP-60", "CP-50", "CP-40"]
    assert "84 more with --all, 3 of them marked" in lines


def test_models_get_numbers():
    split = (("action", "Heartbeat"), ("from", "station"), ("model", "Vendor Model 1.2"))
    row = Row("latency", "Latency", "", split, 1, "ns", 1e6, 1e6, None, None, 1e6)
    lines = list(text(report(row, by="model")))
    assert any(line.startswith("  → Heartbeat [1]") for line in lines)
    assert "[1] Vendor Model 1.2\n" in lines


def test_json_holds_all():
    made = report(latency(severity=Severity.NOTE, counts={"late": 1}), *rows_of_every_kind("CP-1", EVIL))
    whole = json.loads("".join(json_form(made)))
    assert whole["rows"][0] == {
        "figure": "latency", "family": "latency", "station": None, "of": {"action": "Heartbeat", "from": "station"},
        "n": 7, "unit": "ns", "min": 1e6, "p50": 2e6, "p95": None, "p99": None, "max": 3e6, "value": None,
        "severity": "note", "counts": {"late": 1}, "vantage": "station",
    }  # fmt: skip
    assert len(whole["rows"]) == 1 + len(FIGURES)
    assert "\x1b" not in "".join(json_form(made))


@pytest.mark.parametrize("name", [EVIL, "+1", "-1", "@x", 'a"b,c', "\r\n"])
def test_csv_is_harmless(name):
    made = report(*rows_of_every_kind(name, name))
    found = list(csv.reader(io.StringIO("".join(csv_form(made)), newline="")))
    assert tuple(found[0]) == COLUMNS
    assert len(found) == 1 + len(FIGURES)
    for cells in found[1:]:
        assert len(cells) == len(COLUMNS)
        for column, cell in zip(COLUMNS, cells, strict=True):
            assert cell.isprintable()
            if column not in ("min", "p50", "p95", "p99", "max", "value", "n"):
                assert not cell.startswith(("=", "+", "-", "@"))


def test_the_document_defines_every_figure():
    page = document()
    for one in FIGURES.values():
        assert f"### {one.id}\n\n**{one.title}** " in page
        assert one.definition in page
