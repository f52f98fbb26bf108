"""`ocppscope timing`, and its page in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support_cli import CAPTURES, run, same_as_golden

TIMING_MD = Path(__file__).parents[2] / "docs" / "timing.md"


def test_the_text_of_a_capture():
    """All times are those of the capture."""
    same_as_golden("timing_remote_start_stop.txt", run("timing", "-q", CAPTURES / "remote_start_stop.pcap").out)


@pytest.mark.parametrize("by", ["action", "station", "hour", "model"])
def test_figures_by_something(by):
    done = run("timing", "-q", "--by", by, CAPTURES / "several_stations.pcap")
    assert (done.code, done.err) == (0, "")
    assert "→ BootNotification" in done.out


def test_one_station():
    done = run("timing", "-q", "--format", "json", "--station", "CP-FLEET-02", CAPTURES / "several_stations.pcap")
    whole = json.loads(done.out)
    assert list(whole["vantages"]) == ["CP-FLEET-02"]
    assert {row["station"] for row in whole["rows"]} == {"CP-FLEET-02"}


def test_a_station_that_is_not_there():
    done = run("timing", "-q", "--station", "CP-FLEET-0", CAPTURES / "several_stations.pcap")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'CP-FLEET-0" in done.err


def test_csv_has_a_line_a_row():
    whole = json.loads(run("timing", "-q", "--format", "json", CAPTURES / "ocpp201.pcap").out)
    lines = run("timing", "-q", "--format", "csv", CAPTURES / "ocpp201.pcap").lines
    assert len(lines) == 1 + len(whole["rows"])


def test_the_place_of_the_capture_can_be_told():
    done = run("timing", "-q", "--vantage", "csms", CAPTURES / "ocpp201.pcap")
    assert "Captured at the CSMS" in done.out


def test_a_capture_without_ocpp_says_what_it_holds(tmp_path):
    from support_captures import pcap_bytes

    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap_bytes([]))
    done = run("timing", path)
    assert done.code == 0
    assert "the capture holds no packets at all" in done.out


def test_the_page_is_what_the_command_prints():
    """After a change of a figure: `ocppscope timing --markdown > docs/timing.md`."""
    assert run("timing", "--markdown").out == TIMING_MD.read_text()
