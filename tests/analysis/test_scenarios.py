"""What the rules say of whole sessions: of real peers with nothing wrong or with one fault each, and of traces.

The expectations of a broken capture stand beside it, in `NAME.expected.json`, by station: the `root` that has to come
first; `also`: what is true too; `explains`: what has to stand below another finding; `notes`: what has to be noted.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from conversation import play_trace
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import NOTE, Finding
from ocppscope.analysis.registry import load
from ocppscope.model import Event
from support_engine import CAPTURES, SHARED, groups, run

RULES = load()
NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
CLEAN = [name for name in NAMES if name.startswith("clean")]
EXPECTED: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".expected.json"): json.loads(path.read_text("utf-8"))
    for path in sorted(CAPTURES.glob("*.expected.json"))
}
STATIONS = [(name, station) for name, stations in EXPECTED.items() for station in stations]


def diagnosed(events: list[Event]) -> list[Finding]:
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(diagnosis.stations.now)
    assert not diagnosis.failures
    return diagnosis.findings()


@cache
def findings(name: str) -> dict[str, list[Finding]]:
    """The findings of a capture by station, in the order of the report."""
    return groups(diagnosed(run(CAPTURES / f"{name}.pcap").events), lambda one: one.station)


def bad(found: list[Finding]) -> set[str]:
    """The rules that found something above note."""
    return {one.rule for one in found if one.severity > NOTE}


# --- nothing wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_said_of_a_session_with_nothing_wrong(name: str) -> None:
    assert {station: bad(found) for station, found in findings(name).items() if bad(found)} == {}


# --- one fault each -------------------------------------------------------------------------------------------------


def test_expectations_name_rules_and_stations() -> None:
    assert {name for name in NAMES if name.startswith("broken")} == set(EXPECTED)
    for name, stations in EXPECTED.items():
        meta = json.loads((CAPTURES / f"{name}.truth.jsonl").read_text("utf-8").splitlines()[0])
        assert set(stations) == set(meta["ids"])
        for one in stations.values():
            assert set(one) <= {"root", "also", "explains", "notes"}
            assert {one["root"], *one["also"], *one.get("explains", ()), *one.get("notes", ())} <= set(RULES)


@pytest.mark.parametrize(("name", "station"), STATIONS)
def test_the_fault_comes_first_and_all_else_is_explained(name: str, station: str) -> None:
    found, expected = findings(name)[station], EXPECTED[name][station]
    assert (found[0].rule, found[0].root) == (expected["root"], None)
    unexplained = [one for one in found if one.severity > NOTE and one.root is None]
    assert {one.rule for one in unexplained} - {expected["root"], *expected["also"]} == set()
    assert set(expected.get("explains", ())) <= {one.rule for one in found if one.root is not None}
    assert set(expected.get("notes", ())) <= {one.rule for one in found if one.severity is NOTE}


# --- the other captures ---------------------------------------------------------------------------------------------

OTHERS: dict[str, dict[str, set[str]]] = {
    "fragmented": {"CP-FRAG-03": {"ws-close-abnormal"}, "CP-FRAG-04": {"ws-close-abnormal"}},
    "malformed": {
        "CP-MALFORMED-01": {
            "idtag-length", "rpc-bad-arity", "rpc-bad-message-type", "rpc-callerror", "rpc-concurrent-calls",
            "rpc-error-code-invalid", "rpc-invalid-json", "rpc-json-duplicate-key", "rpc-message-id-length",
            "rpc-message-id-type", "rpc-not-array", "rpc-orphan-response", "rpc-unknown-action", "schema-empty-array",
            "schema-enum", "schema-extra-property", "schema-missing-required", "schema-wrong-type",
            "ws-close-with-call-pending", "ws-non-ocpp-text",
        }
    },
    "ocpp21_send": {
        "CS-21-01": {"schema-datetime", "rpc-callerror"},
        "CS-21-02": {"schema-datetime", "rpc-callerror"},
    },
    "refused_handshakes": {
        "CP-KNOWN-01": {
            "http-auth-failed", "http-upgrade-refused", "reconnect-storm", "subprotocol-missing",
            "subprotocol-not-agreed", "ws-close-abnormal",
        },
        "CP-STRANGER": {"http-404-unknown-station"},
    },
    "several_stations": {f"CP-FLEET-0{number}": {"ws-drop-without-close"} for number in (2, 3, 4, 5)},
    "slow_and_missing": {
        "CP-SLOW-01": {
            "rpc-concurrent-calls", "rpc-duplicate-response", "rpc-message-id-reused", "rpc-orphan-response",
            "ws-close-with-call-pending",
        }
    },
}  # fmt: skip
"""What is wrong in the captures that were recorded for other reasons: above note, explained or not. Of those that are
not named here nothing is wrong, whatever the sniffer lost."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EXPECTED and name not in CLEAN])
def test_what_is_said_of_the_other_captures(name: str) -> None:
    said = {station: bad(found) for station, found in findings(name).items() if bad(found)}
    assert said == OTHERS.get(name, {})


# --- traces of another tool -----------------------------------------------------------------------------------------

FIXTURES = SHARED / "logs" / "open-ocpp-trace" / "fixtures"
"""Open OCPP Trace. Their `expected.json` say how messages pair; what is wrong is in their names alone."""
TRACES: dict[str, tuple[set[str], set[str]]] = {
    # name: above note, and noted
    "diagnostics-failure": ({"schema-enum"}, set()),  # its status is none of 1.6: a failed upload is UploadFailed
    "invalid-stop-reason": ({"schema-enum"}, set()),
    "meter-value-gap": ({"meter-missing", "tx-zero-energy"}, set()),
    "normal-session": (set(), set()),
    "short-session": ({"schema-missing-required"}, {"tx-very-short"}),  # without timestamps; short is no fault
    "status-transition-violation": ({"status-illegal-transition"}, set()),
    "unexpected-stop-reason": ({"tx-abnormal-stop", "meter-missing"}, set()),  # 17 minutes without a meter value
    "unresponsive-csms": (set(), set()),  # it ends 5.5 s after the BootNotification: an answer may yet come
}


@pytest.mark.shared
def test_no_trace_is_forgotten() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(TRACES)


@pytest.mark.shared
@pytest.mark.parametrize("name", TRACES)
def test_what_is_said_of_a_trace(name: str) -> None:
    found = diagnosed(play_trace(FIXTURES / name / "trace.jsonl"))
    wrong, noted = TRACES[name]
    assert bad(found) == wrong
    assert noted <= {one.rule for one in found if one.severity is NOTE}
