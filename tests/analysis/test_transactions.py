"""The tracker of transactions: what belongs together, what is sent again, what is late, what is missing."""

from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.happenings import (
    Overtaken,
    SampledToCompare,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdated,
    TransactionUpdatedOddly,
    foreign,
    hollow,
    judged,
    misnamed,
    tried,
    untimely,
)
from ocppscope.analysis.state import transactions as state
from ocppscope.analysis.state.transactions import Transaction, Transactions, id_of, same_tag, tag_of
from ocppscope.analysis.stations import Stations

Line = tuple[str, str, object]
"""Time, "station" or "CSMS", and an (action, payload) or an answer: a payload, or an error code."""


def write(subprotocol: str, *lines: Line | str) -> str:
    """A conversation; answers belong to the oldest CALL that waits, None leaves it without one."""
    numbers, waiting, out = count(1), [], [f"10:00:00 CP-1 → OPEN {subprotocol}"]
    for line in lines:
        if isinstance(line, str):
            out.append(line)
            continue
        time, side, what = line
        arrow = "→" if side == "station" else "←"
        if isinstance(what, tuple):
            waiting.append(str(next(numbers)))
            said = [2, waiting[-1], *what]
        elif what is None:
            waiting.pop(0)
            continue
        else:
            said = [4, waiting.pop(0), what, "", {}] if isinstance(what, str) else [3, waiting.pop(0), what]
        out.append(f"{time} CP-1 {arrow} {json.dumps(said)}")
    return "\n".join(out)


def known_after(text: str) -> Transactions:
    diagnosis = Diagnosis()
    diagnosis.take(play(text))
    return diagnosis.stations.by_identity["CP-1"].transactions


def told_in(text: str) -> list[str]:
    """Which happenings a conversation gives, in order."""
    told: list[str] = []
    diagnosis = Diagnosis()
    for kind in (TransactionStarted, TransactionUpdated, TransactionStopped):
        diagnosis.bus.subscribe(kind, lambda one: told.append(type(one).__name__.removeprefix("Transaction")))
    diagnosis.take(play(text))
    return told


def stamp(time: str) -> str:
    return f"2026-11-22T{time}Z"


def start(time: str, given: object = 7, *, connector: int = 1, at: str = "", **more: object) -> list[Line | str]:
    asked = {"connectorId": connector, "idTag": "T", "meterStart": 1000, "timestamp": stamp(at or time), **more}
    answer = {"transactionId": given, "idTagInfo": {"status": "Accepted"}} if isinstance(given, int) else given
    return [(time, "station", ("StartTransaction", asked)), (f"{time}.5", "CSMS", answer)]


def stop(time: str, id_: object = 7, *, at: str = "", meter: int = 2000) -> list[Line | str]:
    asked = {"transactionId": id_, "meterStop": meter, "timestamp": stamp(at or time)}
    return [(time, "station", ("StopTransaction", asked)), (f"{time}.5", "CSMS", {})]


def meter(time: str, connector: int = 1, wh: int = 1500, **more: object) -> list[Line | str]:
    values = [{"timestamp": stamp(time), "sampledValue": [{"value": str(wh)}]}]
    asked = {"connectorId": connector, "meterValue": values, **more}
    return [(time, "station", ("MeterValues", asked)), (f"{time}.5", "CSMS", {})]


def event(
    time: str, kind: str, seq: int, id_: str = "A", *, at: str = "", answer: object = "", **more: object
) -> list[Line | str]:
    asked = {
        "eventType": kind, "timestamp": stamp(at or time), "triggerReason": "Trigger", "seqNo": seq,
        "transactionInfo": {"transactionId": id_}, **more,
    }  # fmt: skip
    return [(time, "station", ("TransactionEvent", asked)), (f"{time}.5", "CSMS", {} if answer == "" else answer)]


EVSE1 = {"evse": {"id": 1, "connectorId": 1}}
AGAIN = ["10:20:00 CP-1 → CLOSED FIN", "10:30:00 CP-1 → OPEN ocpp1.6"]


def v16(*parts: list[Line | str]) -> str:
    return write("ocpp1.6", *(line for part in parts for line in part))


def v201(*parts: list[Line | str]) -> str:
    return write("ocpp2.0.1", *(line for part in parts for line in part))


# --- 1.6 -----------------------------------------------------------------------------------------------------------


def test_a_whole_transaction() -> None:
    text = v16(start("10:00:10"), meter("10:05:00", transactionId=7), stop("10:10:10", meter=4500))
    (one,) = known_after(text).latest
    assert (one.id, one.place, one.tag, one.reason, one.is_open) == ("7", (1, 0), "T", "Local", False)
    assert (one.meter_start, one.meter_stop, one.energy_wh) == (1000, 4500, 3500)
    assert one.duration_ns == 600_000_000_000
    assert told_in(text) == ["Started", "Updated", "Stopped"]


def test_the_start_is_sent_again_until_it_is_answered() -> None:
    text = v16(start("10:00:10", None), AGAIN, start("10:31:00", at="10:00:10"), stop("10:32:00"))
    (one,) = known_after(text).latest
    assert (one.id, len(one.starts), one.is_open) == ("7", 2, False)
    assert told_in(text) == ["Started", "Stopped"]


def test_a_start_that_is_given_two_ids_goes_by_both() -> None:
    known = known_after(v16(start("10:00:10"), start("10:01:00", 8, at="10:00:10"), stop("10:02:00", 7)))
    (one,) = known.latest
    assert (one.id, one.other_ids, one.is_open) == ("8", ("7",), False)
    assert known.get("7") is known.get("8") is one
    assert list(known.issued) == ["7", "8"]


def test_another_start_at_the_same_place_supersedes() -> None:
    known = known_after(v16(start("10:00:10"), start("10:05:00", 8)))
    first, second = known.latest
    assert (first.superseded, first.is_open, second.superseded) == (True, True, False)
    assert known.open_at(1) is second
    assert list(known.all_open()) == [second]


def test_an_old_start_of_a_queue_supersedes_nothing() -> None:
    queue = [*AGAIN, *start("10:30:10", 8), *start("10:30:20", 9, at="10:25:00")]
    known = known_after(v16(start("10:00:10", connector=2), queue, stop("10:30:30", 9, at="10:26:00")))
    _, now, old = known.latest
    assert (now.superseded, old.superseded, old.is_open) == (False, True, False)
    assert known.open_at(1) is now


def test_several_connectors_go_their_own_ways() -> None:
    known = known_after(v16(start("10:00:10"), start("10:00:20", 8, connector=2), stop("10:05:00", 7)))
    assert known.open_at(1) is None
    assert known.open_at(2) is known.get("8")


@pytest.mark.parametrize("id_", [-1, 0, "", None, "-1"])
def test_a_stop_without_an_id_ends_the_one_that_got_none(id_: object) -> None:
    other = start("10:00:05", 6, connector=2)
    known = known_after(v16(other, start("10:00:10", None), AGAIN, stop("10:31:00", id_)))
    assert [one.is_open for one in known.latest] == [True, False]


def test_a_stop_without_an_id_is_known_again() -> None:
    text = v16(start("10:00:10", None), AGAIN, stop("10:31:00", -1), stop("10:32:00", -1, at="10:31:00"))
    assert len(known_after(text).latest) == 1
    assert told_in(text) == ["Started", "Stopped"]


def test_two_offline_transactions_are_stopped_by_minus_one_in_turn() -> None:
    first = [*start("10:00:10", None), *stop("10:05:00", -1, meter=1500)]
    second = [*start("10:06:00", None, meterStart=1500), *stop("10:09:00", -1, meter=1800)]
    known = known_after(v16(first, second))
    assert [(one.energy_wh, one.is_open) for one in known.latest] == [(500, False), (300, False)]


def test_a_stop_is_not_of_one_that_began_later() -> None:
    known = known_after(v16(start("10:10:00", None), AGAIN, stop("10:31:00", -1, at="10:05:00")))
    assert [(one.start is not None, one.is_open) for one in known.latest] == [(True, True), (False, False)]


def test_a_stop_of_an_unknown_id_ends_no_other() -> None:
    known = known_after(v16(start("10:10:00"), stop("10:31:00", 99)))
    assert [(one.id, one.is_open) for one in known.latest] == [("7", True), ("99", False)]


def test_an_id_that_is_given_again_means_the_open_one() -> None:
    known = known_after(v16(start("10:00:10", 0), stop("10:01:00", 0), start("10:02:00", 0), stop("10:03:00", 0)))
    assert [one.stop_stamp_ns is not None for one in known.latest] == [True, True]


def test_an_unknown_transaction_is_taken_up() -> None:
    known = known_after(v16(meter("10:00:10", transactionId=55), meter("10:01:10", transactionId=55, wh=1600)))
    (one,) = known.latest
    assert (one.id, one.start, one.place, one.energy_wh) == ("55", None, (1, 0), 100)


@pytest.mark.parametrize("named", [{}, {"transactionId": -1}, {"transactionId": 99}])
def test_meter_values_belong_to_what_goes_on_at_their_connector(named: dict[str, object]) -> None:
    known = known_after(v16(start("10:00:10"), meter("10:01:10", **named), meter("10:02:10", connector=2)))
    assert known.get("7").samples == 1  # type: ignore[union-attr]
    assert len(known.latest) == 1


@pytest.mark.parametrize("answer", ["InternalError", None])
def test_a_start_without_an_answer_is_told_of(answer: str | None) -> None:
    text = v16(start("10:00:10", answer), ["10:20:00 CP-1 → CLOSED FIN"])
    (one,) = known_after(text).latest
    assert (one.id, one.is_open) == ("", True)
    assert told_in(text) == ["Started"]


def test_messages_from_the_wrong_side_are_none() -> None:
    text = write(
        "ocpp1.6",
        ("10:00:10", "CSMS", ("StartTransaction", {"connectorId": 1})), ("10:00:11", "station", {"transactionId": 7}),
        ("10:00:20", "station", ("RemoteStartTransaction", {"idTag": "T"})), ("10:00:21", "CSMS", {}),
    )  # fmt: skip
    known = known_after(text)
    assert not known.latest
    assert not known.remote_starts


def test_the_verdict_on_the_token_is_kept() -> None:
    refused = {"transactionId": 7, "idTagInfo": {"status": "Blocked"}}
    assert not known_after(v16(start("10:00:10", refused))).latest[0].was_accepted
    refused2 = {"idTokenInfo": {"status": "Invalid"}}
    assert not known_after(v201(event("10:00:10", "Started", 0, answer=refused2))).latest[0].was_accepted


# --- 2.x -----------------------------------------------------------------------------------------------------------


def test_a_whole_transaction_of_2x() -> None:
    token = {"idToken": {"idToken": "T", "type": "ISO14443"}}
    text = v201(
        event("10:00:10", "Started", 4, **EVSE1, **token),
        event("10:01:10", "Updated", 5),
        event("10:02:10", "Ended", 6),
    )
    (one,) = known_after(text).latest
    assert (one.id, one.place, one.tag, one.is_open) == ("A", (1, 1), "T", False)
    assert (one.first_seq, one.last_seq, one.seqs, one.missing_seqs) == (4, 6, 3, 0)
    assert told_in(text) == ["Started", "Updated", "Stopped"]


@pytest.mark.parametrize(
    ("seqs", "step", "missing"),
    [
        ([0, 1, 2], "next", []),
        ([100, 101], "next", []),
        ([0, 2], "gap", [1]),
        ([0, 5], "gap", [1, 2, 3, 4]),
        ([0, 2, 1], "late", []),
        ([0, 3, 1], "late", [2]),
        ([0, 3, 1, 4], "next", [2]),
        ([5, 3], "late", [4]),
        ([5, 3, 4], "late", []),
        ([0, 1, 1], "clash", []),
        ([0, 2, 2], "clash", [1]),
        ([0, 1 << 70], "", []),
    ],
)
def test_steps(seqs: list[int], step: str, missing: list[int]) -> None:
    events = [event(f"10:0{n}:00", "Updated" if n else "Started", seq) for n, seq in enumerate(seqs)]
    (one,) = known_after(v201(*events)).latest
    assert (one.step, list(one.missing), one.missing_seqs) == (step, missing, len(missing))


def test_an_event_that_is_sent_again_is_a_retry_and_measures_nothing() -> None:
    values = {"meterValue": [{"timestamp": stamp("10:01:00"), "sampledValue": [{"value": 5.0}]}]}
    (one,) = known_after(
        v201(
            event("10:00:10", "Started", 0), event("10:01:00", "Updated", 1, **values),
            event("10:01:40", "Updated", 1, at="10:01:00", **values),
        )
    ).latest  # fmt: skip
    assert (one.step, one.samples, one.seqs) == ("retry", 1, 3)


def test_missing_bytes_explain_missing_events() -> None:
    gap = ["10:00:30 CP-1 → GAP 500"]
    (one,) = known_after(v201(event("10:00:10", "Started", 0), gap, event("10:05:00", "Updated", 9))).latest
    assert (one.step, one.missing_seqs, one.last_seq) == ("", 0, 9)


def test_missing_events_are_counted_beyond_what_is_remembered() -> None:
    (one,) = known_after(v201(event("10:00:10", "Started", 0), event("10:01:00", "Updated", 1_000_000))).latest
    assert (len(one.missing), one.missing_seqs) == (state.MAX_MISSING, 999_999)


def test_started_again() -> None:
    again = [event("10:00:10", "Started", 0), event("10:00:50", "Started", 0, at="10:00:10")]
    assert [len(one.starts) for one in known_after(v201(*again)).latest] == [2]
    restamped = [event("10:00:10", "Started", 0, answer=None), event("10:00:50", "Started", 0)]
    assert [len(one.starts) for one in known_after(v201(*restamped)).latest] == [2]
    other = [event("10:00:10", "Started", 0), event("10:00:30", "Ended", 1), event("10:00:50", "Started", 0)]
    assert [one.is_open for one in known_after(v201(*other)).latest] == [False, True]


def test_started_late() -> None:
    late = [event("10:01:00", "Updated", 1), event("10:01:10", "Started", 0, at="10:00:50", **EVSE1)]
    text = v201(*late)
    (one,) = known_after(text).latest
    assert (one.first_seq, one.missing_seqs, one.start is not None, one.place) == (0, 0, True, (1, 1))
    assert told_in(text) == ["Updated", "Started"]


def test_an_evse_that_is_named_later() -> None:
    first = [event("10:00:00", "Started", 0, "A", **EVSE1)]
    second = [event("10:01:00", "Started", 0, "B"), event("10:02:00", "Updated", 1, "B", evse={"id": 1})]
    known = known_after(v201(*first, *second, event("10:03:00", "Updated", 2, "B", **EVSE1)))
    a, b = known.latest
    assert (a.superseded, b.place) == (True, (1, 1))
    assert known.open_at(1) is b


def test_ended_again_ends_nothing() -> None:
    text = v201(
        event("10:00:10", "Started", 0), event("10:01:00", "Ended", 1), event("10:01:40", "Ended", 1, at="10:01:00")
    )
    assert told_in(text) == ["Started", "Stopped", "Updated"]


# --- what is told of besides ----------------------------------------------------------------------------------------

VALUES = {"meterValue": [{"timestamp": stamp("10:05:00"), "sampledValue": [{"value": "1500"}]}]}
EMPTY = {"meterValue": [{"timestamp": stamp("10:05:00"), "sampledValue": []}]}
ACCEPTED = {"idTokenInfo": {"status": "Accepted"}}
PHASES = {
    "untimely": untimely,
    "misnamed": misnamed,
    "hollow": hollow,
    "judged": judged,
    "tried": tried,
    "foreign": foreign,
}


def besides(text: str) -> list[str]:
    """The phases and happenings for what is out of the ordinary, in order."""
    told: list[str] = []
    bus = Bus()
    for name, phase in PHASES.items():
        bus.subscribe(phase(), lambda _, name=name: told.append(name))
    for kind in (Overtaken, SampledToCompare, TransactionUpdatedOddly):
        bus.subscribe(kind, lambda one: told.append(type(one).__name__))
    Stations(bus).take(play(text))
    return told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (v16(start("10:00:10"), meter("10:05:00", transactionId=7), stop("10:10:10")), []),
        (v201(event("10:00:10", "Started", 0, **EVSE1), event("10:01:10", "Updated", 1, **VALUES)), []),
        (v16(start("10:00:10"), meter("10:05:00", transactionId=8)), ["misnamed"]),
        (v16(start("10:00:10"), meter("10:05:00", transactionId=-1)), ["TransactionUpdatedOddly", "misnamed"]),
        (v16(start("10:00:10"), stop("10:05:00", -1)), ["misnamed"]),
        (v16(meter("10:05:00")), ["SampledToCompare"]),
        (v16(start("10:00:10"), meter("10:05:00", transactionId=7, **EMPTY)), ["hollow"]),
        (v16(start("10:00:10"), meter("10:05:00", transactionId=7, meterValue=[])), ["hollow"]),
        (v16(start("10:00:10", "InternalError"), meter("10:05:00"), meter("10:05:10")), ["tried", "tried"]),
        (v16(start("10:00:10"), stop("10:05:00", at="10:00:00")), ["untimely", "Overtaken"]),
        (v16(start("10:05:10"), meter("10:05:20", transactionId=7), stop("10:05:30", at="10:05:15")),
         ["untimely", "Overtaken"]),
        (v201(event("10:00:10", "Started", 0), event("10:01:10", "Updated", 2)), ["TransactionUpdatedOddly"]),
        (v201(event("10:00:10", "Started", 0, **EVSE1), event("10:01:10", "Updated", 1, **EVSE1),
              event("10:02:10", "Updated", 2, **EVSE1)), ["TransactionUpdatedOddly"]),
        (v201(event("10:00:10", "Updated", 1), event("10:01:10", "Updated", 2)), ["TransactionUpdatedOddly"]),
        (v201(event("10:00:10", "Started", 0, answer=ACCEPTED)), ["judged"]),
        (v201(event("10:00:10", "Started", 0, offline=True)), ["untimely"]),
        (v16(event("10:00:10", "Started", 0)), ["foreign"]),
    ],
)  # fmt: skip
def test_only_what_is_out_of_the_ordinary_is_told_of(text: str, expected: list[str]) -> None:
    assert besides(text) == expected


def test_places_are_bounded() -> None:
    values = [meter(f"10:{n // 60:02}:{n % 60:02}", connector=n) for n in range(state.MAX_PLACES + 10)]
    known = known_after(v16(*values))
    assert len(known.stamped) == state.MAX_PLACES
    assert len(known._at) <= state.MAX_PLACES


# --- bounds and odd values -----------------------------------------------------------------------------------------


IDS = [
    (7, "7"), (7.0, "7"), (-1, "-1"), ("abc", "abc"), ("x" * 999, "x" * state.MAX_ID), (None, ""), (True, ""), (1.5, ""),
    ([], ""), (1 << 70, ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "id_"), IDS)
def test_ids(value: object, id_: str) -> None:
    assert id_of(value) == id_


def test_tokens() -> None:
    assert same_tag("Abc", "aBC")
    assert not same_tag("Abc", "Abd")
    known = known_after(v16(start("10:00:10", idTag="x" * 500)))
    assert known.latest[0].tag == "x" * state.MAX_ID
    assert tag_of(known.latest[0].start.asked) == "x" * state.MAX_ID  # type: ignore[union-attr]


def test_bounds() -> None:
    starts = [start(f"10:{n // 60:02}:{n % 60:02}", n + 1) for n in range(1, state.MAX_TRANSACTIONS + 20)]
    known = known_after(v16(*starts))
    assert len(known.latest) == state.MAX_TRANSACTIONS == len(known.issued)
    again = [start(f"10:01:{n:02}", n + 1, at="10:01:00") for n in range(state.MAX_STARTS + 5)]
    (one,) = known_after(v16(*again)).latest
    assert len(one.starts) == len(one.other_ids) == state.MAX_STARTS
    events = [event(f"10:01:{n:02}", "Updated", n) for n in range(state.MAX_RECENT + 5)]
    (one,) = known_after(v201(*events)).latest
    assert len(one.recent) == state.MAX_RECENT
    remote = [("10:00:10", "CSMS", ("RemoteStartTransaction", {"idTag": "T"})), ("10:00:11", "station", {})]
    stops = [("10:00:10", "CSMS", ("RemoteStopTransaction", {"transactionId": 1})), ("10:00:11", "station", {})]
    known = known_after(v16([*remote, *stops] * (state.MAX_REMOTE + 5)))
    assert len(known.remote_starts) == len(known.remote_stops) == state.MAX_REMOTE
    values = {"meterValue": [{"timestamp": stamp("10:01:00"), "sampledValue": [{"value": "1"}] * 300}]}
    known = known_after(v16(start("10:00:10"), *[meter("10:01:00", **values) for _ in range(3)]))
    assert len(known.latest[0].energy) == state.MAX_READINGS


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=14, unique=True))
def test_what_is_missing_is_what_did_not_come(seqs: list[int]) -> None:
    events = [event(f"10:{n:02}:00", "Updated", seq, at=f"10:00:{seq:02}") for n, seq in enumerate(seqs)]
    (one,) = known_after(v201(*events)).latest
    expected = set(range(min(seqs), max(seqs))) - set(seqs)
    assert set(one.missing) == expected
    assert one.missing_seqs == len(expected)


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3),
    st.just([]), st.just({}), st.sampled_from([-1, 0, 7, "7", "A", 1e300, 10**25]),
)  # fmt: skip
NAMES = [
    "transactionId", "connectorId", "idTag", "meterStart", "meterStop", "timestamp", "reason", "eventType",
    "seqNo", "idTagInfo", "idTokenInfo", "status", "evse", "id", "idToken", "meterValue", "offline",
    "triggerReason",
]  # fmt: skip
ACTIONS = [
    "StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent", "RemoteStopTransaction",
    "RemoteStartTransaction", "RequestStartTransaction", "RequestStopTransaction", "StatusNotification", "Reset",
    "Authorize", "BootNotification",
]  # fmt: skip
times = st.sampled_from(
    [stamp("10:00:00"), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "Started", "Ended", "Accepted"]
)
table = st.dictionaries(st.sampled_from(NAMES), odd | times)
payload = table | st.builds(lambda outer, inner: {**outer, "transactionInfo": inner, "evse": inner}, table, table)
answer = payload | st.just("InternalError") | st.just({"status": "Accepted"})
exchange = st.tuples(st.sampled_from(["station", "CSMS"]), st.sampled_from(ACTIONS), payload, answer)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["ocpp1.6", "ocpp2.0.1"]), st.lists(exchange, max_size=12))
def test_any_payload_is_survived(
    subprotocol: str, exchanges: list[tuple[str, str, dict[str, object], object]]
) -> None:
    lines: list[Line | str] = []
    for n, (side, name, asked, answer) in enumerate(exchanges):
        other = "CSMS" if side == "station" else "station"
        lines += [(f"10:{n:02}:10", side, (name, asked)), (f"10:{n:02}:20", other, answer)]
    events = play(write(subprotocol, *lines, "10:50:00 CP-1 → CLOSED FIN"))
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns + 10**15)
    assert not diagnosis.failures
    for one in diagnosis.findings():
        assert len(one.text) < 600
    assert all(isinstance(one, Transaction) for one in diagnosis.stations.by_identity["CP-1"].transactions.latest)
