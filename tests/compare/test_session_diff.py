"""A good and a bad session: what is told, what is not, and in what order."""

from pathlib import Path

import pytest
from support_compare import codes, compared, of_capture, of_text, recording, the

from ocppscope.compare import dialogue, sessions
from ocppscope.compare.report import SESSIONS, VANTAGE, Mark
from ocppscope.errors import UsageError
from ocppscope.model import ConnectionOpened
from ocppscope.render.compare.text import text
from support_cli import UPDATE
from support_engine import CAPTURES, run

HERE = Path(__file__).parent
GOOD, BAD = ((HERE / "conversations" / f"{name}.txt").read_text() for name in ("good", "bad"))


@pytest.fixture(scope="module")
def report():
    return compared(of_text(GOOD, "good.txt"), of_text(BAD, "bad.txt"))


def test_they_are_two_sessions(report):
    assert report.mode == SESSIONS
    assert "no message" in report.reason


def test_the_refused_start_is_told_first(report):
    first = report.differences[0]
    assert first.code == "answer"
    assert "→ StartTransaction is answered with Accepted in A and with ConcurrentTx in B" in first.text
    weights = [one.weight for one in report.differences]
    assert weights == sorted(weights, reverse=True)
    assert all(one.why for one in report.differences)


def test_payloads(report):
    facts = {fact.name: (fact.a, fact.b) for one in report.differences if one.code == "payload" for fact in one.facts}
    assert facts["meterValue[].sampledValue[].value"] == ("string", "whole number")
    assert facts["timestamp"] == ("time in UTC", "time without a zone")


def test_a_step_that_is_missing(report):
    step = the(report, "step")
    assert "StatusNotification Finishing around a transaction only in A" in step.text
    assert [line.mark for line in step.ladder if line.mark is not Mark.CONTEXT] == [Mark.ONLY_A]


def test_settings_and_equipment(report):
    (fact,) = the(report, "configuration").facts
    assert (fact.name, fact.a, fact.b) == ("MeterValueSampleInterval", "30", "60")
    (firmware,) = the(report, "equipment").facts
    assert (firmware.a, firmware.b) == ("1.0.0", "2.0.0")


def test_timing_names_n_and_the_ratio(report):
    (authorize,) = [one for one in report.differences if one.code == "timing" and "Authorize" in one.text]
    assert "38.5 times longer in B: median 80 ms in A (n=1), 3.08 s in B (n=1)" in authorize.text


def test_findings_of_the_diagnosis(report):
    told = " ".join(one.text for one in report.differences if one.code == "finding")
    assert "Only in B, error schema-wrong-type" in told
    assert "clock-no-zone" in told


def test_the_close_is_told(report):
    assert "Close 1000" in the(report, "end").text
    assert "Close 1002" in the(report, "end").text


def test_ids_tags_and_times_are_not_told(report):
    facts = [f"{fact.name} {fact.a} {fact.b}" for one in report.differences for fact in one.facts]
    words = " ".join([one.text for one in report.differences if one.code != "finding"] + facts)
    for noise in ("TAG-", "x-90", "4711", "2026-11"):
        assert noise not in words


def test_a_session_is_the_same_as_itself():
    found = compared(of_text(GOOD), of_text(GOOD, "B"), SESSIONS)
    assert found.differences == ()
    assert "As was asked for" in found.reason


def test_another_day_with_other_ids_is_no_difference():
    """Ids, tags, times, meter values and transaction ids are chance."""
    other = GOOD.replace("2026-11-22", "2026-12-24").replace('"a', '"other-').replace("TAG-1", "TAG-2")
    other = other.replace('"transactionId":7', '"transactionId":912').replace("1100", "1105").replace("1200", "1203")
    found = compared(of_text(GOOD), of_text(other, "B"))
    assert (found.mode, codes(found)) == (SESSIONS, [])


def without(part):
    return "\n".join(line for line in GOOD.splitlines() if part not in line)


CHANGED = {
    "refusal": GOOD.replace("→ OPEN ocpp1.6", '→ REFUSED 401 Unauthorized\n10:00:00.050 CP-GOOD → OPEN ocpp1.6', 1),
    "negotiation": GOOD.replace("OPEN ocpp1.6", "OPEN ocpp1.6 offered=ocpp2.0.1,ocpp1.6"),
    "answer": GOOD.replace('[3,"a1",{"status":"Accepted"', '[3,"a1",{"status":"Rejected"'),
    "action": without('"b1"'),
    "end": GOOD.replace("→ CLOSE 1000", "→ CLOSE 1008").replace("← CLOSE 1000", "← CLOSE 1008"),
    "configuration": GOOD.replace('"interval":60', '"interval":900'),
}  # fmt: skip


@pytest.mark.parametrize("code", CHANGED)
def test_each_kind_of_difference(code):
    other = CHANGED[code].replace("2026-11-22", "2026-12-24")
    found = compared(of_text(GOOD), of_text(other, "B"), SESSIONS)
    assert code in codes(found)


def test_a_station_that_never_charges():
    lines = [line for line in GOOD.splitlines() if not "10:02:05" < line[:8] < "10:03:30"]
    found = compared(of_text(GOOD), of_text("\n".join(lines).replace("-11-22", "-12-24"), "B"))
    assert "Transactions: 1 in A, 0 in B" in the(found, "phase").text
    assert {one.text for one in found.differences if one.code == "action"} >= {
        "The station uses StartTransaction only in A.",
        "The station uses StopTransaction only in A.",
    }


def test_another_order():
    lines = GOOD.splitlines()
    boot = [place for place, line in enumerate(lines) if '"a2"' in line]
    asked = [place for place, line in enumerate(lines) if '"b1"' in line]
    for one, other in zip(boot, asked, strict=True):
        time_a, time_b = lines[one][:12], lines[other][:12]
        lines[one], lines[other] = time_a + lines[other][12:], time_b + lines[one][12:]
    found = compared(of_text(GOOD), of_text("\n".join(lines).replace("-11-22", "-12-24"), "B"))
    assert "In another order while booting" in the(found, "order").text
    assert "step" not in codes(found)


def test_phases_with_too_little_in_common_are_counted(monkeypatch):
    monkeypatch.setattr(dialogue, "MAX_PHASE", 3)
    found = compared(of_text(GOOD), of_text(BAD, "B"))
    assert any("by how often each exchange comes" in one for one in found.notices)
    assert "step" in codes(found)


def test_stations_are_paired_by_name_or_chosen():
    events = run(CAPTURES / "several_stations.pcap").events
    opened = [one.connection for one in events if isinstance(one, ConnectionOpened)]
    names = sorted({one.station for one in opened})
    found = compared(recording(events), recording(events, "B"), SESSIONS)
    assert len(found.summary) == len(names) > 3
    chosen = compared(recording(events), recording(events, "B"), SESSIONS, stations=(names[0], names[1]))
    assert chosen.summary[0].startswith(f"{names[0]} and {names[1]}")
    a, b = recording(events), recording(events, "B")
    with pytest.raises(UsageError, match="no station 'NOBODY'"):
        compared(a, b, SESSIONS, stations=("NOBODY", ""))


def test_only_so_many_stations_are_compared(monkeypatch):
    monkeypatch.setattr(sessions, "MAX_STATIONS", 2)
    events = run(CAPTURES / "several_stations.pcap").events
    found = compared(recording(events), recording(events, "B"), SESSIONS)
    assert len(found.summary) == 2
    assert any("busiest 2" in one for one in found.notices)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("clean16", "clean201"),
        ("malformed", "clean16"),
        ("refused_handshakes", "midstream"),
        ("clean21", "broken201"),
    ],
)
def test_any_two_captures_can_be_compared(a, b):
    found = compared(of_capture(a), of_capture(b))
    assert found.mode == SESSIONS
    assert found.differences
    "".join(text(found, full=True))


def test_nothing_to_compare():
    found = compared(recording([]), of_text(GOOD, "B"))
    assert found.differences == ()
    assert any("nothing to compare" in one for one in found.notices)


def test_a_capture_longer_than_the_bound_says_so():
    found = compared(recording(run(CAPTURES / "clean16.pcap").events, max_rows=40), of_capture("clean16"))
    assert found.mode == VANTAGE
    assert any("82 messages after the first 40" in one for one in found.notices)


@pytest.mark.parametrize("name", ["good-bad", "pair"])
def test_goldens(name):
    pair = CAPTURES / "compare"
    if name == "pair":
        found = compared(of_capture(pair / "station.pcap"), of_capture(pair / "csms.pcap"))
    else:
        found = compared(of_text(GOOD, "good.txt"), of_text(BAD, "bad.txt"))
    path = HERE / "goldens" / f"{name}.txt"
    written = "".join(text(found))
    if UPDATE:
        path.write_text(written)
    assert written == path.read_text()
