"""The machine that runs the rules: what it tells them, when it keeps them quiet, how it counts what they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conversation import play
from ocppscope.analysis import diagnosis as machine
from ocppscope.analysis.diagnosis import MAX_EVIDENCE, MAX_KEYS, Diagnosis
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Finding
from ocppscope.analysis.happenings import Closed, answered, asked, objected, unanswered
from ocppscope.analysis.registry import ANY, V2X, Group, Limit, Mute, Rule, seconds
from ocppscope.analysis.settings import Settings, settings_of
from ocppscope.analysis.station import Exchange
from ocppscope.errors import UsageError

DAY = "-- 2026-11-22 (UTC)\n"
BEATS = DAY + "10:00:00.000 CP-1 → OPEN ocpp1.6\n" + "".join(
    f'10:0{n}:01.000 CP-1 → [2,"h{n}","Heartbeat",{{}}]\n'
    f'10:0{n}:01.100 CP-1 ← [3,"h{n}",{{"currentTime":"2026-11-22T10:0{n}:01Z"}}]\n'
    for n in range(1, 6)
)  # fmt: skip


def rule(check, on, *, limits=None, mute=Mute.NEVER, versions=ANY) -> dict[str, Rule]:
    return {
        "toy": Rule(
            "toy", Group.RPC, WARNING, "Toy", "None.", check, on, versions=versions, limits=limits or {}, mute=mute
        )
    }


def run(
    text: str, rules: dict[str, Rule], settings: Settings | None = None, **more
) -> tuple[list[Finding], Diagnosis]:
    events = play(text)
    diagnosis = Diagnosis(settings, rules=rules, **more)
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    return diagnosis.findings(), diagnosis


def says(x, case) -> None:
    case.find("It happened.", x)


@pytest.mark.parametrize(
    ("on", "count"),
    [
        (asked(), 5), (asked("Heartbeat"), 5), (asked("Authorize"), 0), (answered("Heartbeat", "Authorize"), 5),
        (unanswered(), 0), ((asked("Heartbeat"), answered("Heartbeat")), 10), (objected("ws."), 0), (Closed, 0),
    ],
)  # fmt: skip
def test_told_of(on, count):
    found, _ = run(BEATS, rule(says, on))
    assert sum(one.count for one in found) == count


def test_counted_as_one_with_the_first_evidence():
    (one,), _ = run(BEATS, rule(says, answered("Heartbeat")))
    assert (one.rule, one.severity, one.station, one.count, one.connections) == ("toy", WARNING, "CP-1", 5, (0,))
    assert one.last_ns - one.first_ns == 240_000_000_000
    assert [ref.ordinal for ref in one.evidence] == list(range(MAX_EVIDENCE))
    assert one.evidence[0].what == "→ CALL Heartbeat"
    assert one.evidence[1].what == "← CALLRESULT Heartbeat"


def test_the_worst_speaks():
    def check(x: Exchange, case) -> None:
        n = int(x.id[1:])
        case.find(f"Beat {n}.", x, severity=(NOTE, ERROR)[n in (3, 4)], measured={"n": str(n)})

    (one,), _ = run(BEATS, rule(check, answered("Heartbeat")))
    assert (one.severity, one.text, one.measured, one.count) == (ERROR, "Beat 3.", {"n": "3"}, 5)


def beats(x: Exchange, case, **more) -> None:
    """The third is worse, the others are alike."""
    n = int(x.id[1:])
    case.find(f"Beat {n}.", x, severity=(NOTE, ERROR)[n == 3], measured={"n": str(n)}, **more)


def test_the_latest_of_the_worst_speaks():
    (one,), _ = run(BEATS, rule(lambda x, case: case.find(f"{x.id}.", x, latest=True), answered("Heartbeat")))
    assert (one.text, one.count) == ("h5.", 5)
    (one,), _ = run(BEATS, rule(lambda x, case: beats(x, case, latest=True), answered("Heartbeat")))
    assert (one.severity, one.text, one.measured, one.count) == (ERROR, "Beat 3.", {"n": "3"}, 5)


def test_what_goes_on_counts_once_and_ends_with_the_latest_place(monkeypatch):
    monkeypatch.setattr(machine, "MAX_EVIDENCE", 3)
    (one,), _ = run(BEATS, rule(lambda x, case: case.find(f"{x.id}.", x, once=True), asked("Heartbeat")))
    assert (one.text, one.count) == ("h5.", 1)
    assert [ref.ordinal for ref in one.evidence] == [0, 2, 8]
    assert one.last_ns - one.first_ns == 240_000_000_000
    (one,), _ = run(BEATS, rule(lambda x, case: beats(x, case, once=True), asked("Heartbeat")))
    assert (one.text, one.count) == ("Beat 3.", 1)


def test_a_finding_begins_when_it_is_said_to_have_begun():
    def check(x: Exchange, case) -> Iterator[int]:
        yield 10_000_000_000
        case.find("Late.", x, since_ns=x.asked_ns)

    (one,), _ = run(BEATS, rule(check, asked("Heartbeat")))
    assert one.first_ns == one.evidence[0].time_ns
    assert one.last_ns - one.first_ns == 3 * 60_000_000_000 + 10_000_000_000  # the fourth one was the last to wake


def test_keys_tell_apart_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(machine, "MAX_KEYS", 3)
    found, _ = run(BEATS, rule(lambda x, case: case.find("It.", x, key=x.id), answered("Heartbeat")))
    assert sorted(one.count for one in found) == [1, 1, 1, 2]
    assert MAX_KEYS > 3


def test_findings_are_bounded(monkeypatch):
    monkeypatch.setattr(machine, "MAX_FINDINGS", 2)
    found, diagnosis = run(BEATS, rule(lambda x, case: case.find("It.", x, key=x.id), answered("Heartbeat")))
    assert len(found) == 2
    assert diagnosis.not_kept == 3


def test_sleeping_until_later():
    woken = []

    def check(x: Exchange, case) -> Iterator[int]:
        begun = case.now
        yield case["wait"]
        woken.append((case.now - begun) / 1e9)
        yield 1_000_000_000
        case.find("Late.", x)

    limits = {"wait": seconds(90, "toy")}
    found, _ = run(BEATS, rule(check, answered("Heartbeat"), limits=limits))
    assert woken == [90.0] * 3  # the capture ends before the others wake
    assert found[0].count == 3
    assert found[0].first_ns - found[0].evidence[0].time_ns == 91_100_000_000


def test_sleepers_are_bounded(monkeypatch):
    def check(x: Exchange, case) -> Iterator[int]:
        yield 10**12

    monkeypatch.setattr(machine, "MAX_WAITING", 2)
    _, diagnosis = run(BEATS, rule(check, answered("Heartbeat")))
    assert diagnosis.not_kept == 3

    def never_ends(x: Exchange, case) -> Iterator[int]:
        while True:
            yield 0

    monkeypatch.setattr(machine, "MAX_SLEEPS", 100)
    _, diagnosis = run(BEATS, rule(never_ends, answered("Heartbeat")))
    assert diagnosis.not_kept == 5


def test_muted_around_missing_bytes():
    text = BEATS.replace("10:03:01.000", "10:02:30.000 CP-1 → GAP 100\n10:03:01.000")
    (one,), _ = run(text, rule(says, answered("Heartbeat"), mute=Mute.GAP))
    assert one.count == 4  # the one half a minute after the gap is not told of

    def check(x: Exchange, case) -> Iterator[int]:
        yield 100_000_000_000
        case.find("Late.", x)

    assert not run(text, rule(check, answered("Heartbeat"), mute=Mute.GAP))[0]  # all slept through it
    assert run(BEATS, rule(check, answered("Heartbeat"), mute=Mute.GAP))[0][0].count == 3


def test_muted_midstream_until_the_station_is_known():
    text = BEATS.replace("10:00:00.000 CP-1 → OPEN ocpp1.6\n", "")
    assert not run(text, rule(says, answered("Heartbeat"), mute=Mute.MIDSTREAM))[0]
    boot = '10:02:00.000 CP-1 → [2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]\n'
    text = text.replace("10:02:01.000", boot + "10:02:01.000")
    assert run(text, rule(says, answered("Heartbeat"), mute=Mute.MIDSTREAM))[0][0].count == 4


def test_only_the_versions_that_a_rule_is_about():
    assert not run(BEATS, rule(says, answered("Heartbeat"), versions=V2X))[0]
    assert run(BEATS.replace("1.6", "2.0.1"), rule(says, answered("Heartbeat"), versions=V2X))[0]


def test_a_rule_that_fails_ends_nothing():
    def check(x: Exchange, case) -> None:
        if x.id == "h2":
            raise KeyError("oh")
        case.find("It.", x)

    (one,), diagnosis = run(BEATS, rule(check, answered("Heartbeat")))
    assert one.count == 4
    assert diagnosis.failures == {"toy": "KeyError: \"'oh'\""}


def test_marks_are_told_of_each():
    marked = []
    run(BEATS, rule(says, answered("Heartbeat")), marks=lambda *what: marked.append(what))
    assert len(marked) == 5
    assert marked[4][0].id == "toy"
    assert marked[4][1:3] == (WARNING, "It happened.")
    assert [ref.ordinal for ref in marked[4][3]] == [8, 9]


# --- settings ------------------------------------------------------------------------------------------------------


def test_settings():
    settings = settings_of(
        {"rpc-slow-response": {"warn": 20}, "remote-stop-no-stop": False}, limits=["rpc-slow-response.note=7.5"]
    )
    assert settings.limits == {"rpc-slow-response": {"warn": 20.0, "note": 7.5}}
    assert settings.disabled == {"remote-stop-no-stop"}
    assert not settings_of({"remote-stop-no-stop": False}, only=["remote-stop-no-stop"]).disabled


@pytest.mark.parametrize(
    ("table", "limits", "what"),
    [
        ({"rpc-slow-respons": False}, [], "no rule 'rpc-slow-respons'"),
        ({"rpc-slow-response": 5}, [], "neither true, false"),
        ({"rpc-slow-response": {"warm": 5}}, [], "no limit 'warm'"),
        ({"rpc-slow-response": {"warn": "x"}}, [], "no number of s"),
        ({"rpc-slow-response": {"warn": True}}, [], "no number of s"),
        ({"rpc-slow-response": {"warn": float("nan")}}, [], "no number of s"),
        ({}, ["rpc-slow-response.warn"], "sets no limit"),
        ({}, ["rpc-slow-response=5"], "no rule 'rpc-slow-response=5'"),
        ("x", [], "no table"),
    ],
)  # fmt: skip
def test_wrong_settings(table, limits, what):
    with pytest.raises(UsageError, match=what):
        settings_of(table, limits=limits)


def test_limits_are_given_in_their_unit_and_used_in_ns():
    def check(x: Exchange, case) -> None:
        case.find(f"{case['wait']} {case['n']}.", x)

    limits = {"wait": seconds(1, "toy"), "n": Limit(3, "calls", "toy")}
    (one,), _ = run(BEATS, rule(check, asked("Heartbeat"), limits=limits), Settings({"toy": {"wait": 2.5}}))
    assert one.text == "2500000000 3."
