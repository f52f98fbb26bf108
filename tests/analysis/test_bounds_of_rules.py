"""Bounds of rules that are reached: what a rule keeps, names or looks through, and what is said of what it leaves out."""

from __future__ import annotations

import json

import pytest
from test_network_rules import UNANSWERED, attempt, certificate

from conversation import play
from ocppscope.analysis.certificate import MAX_PARSED, parse
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import Finding
from ocppscope.analysis.openings import is_2x
from ocppscope.analysis.report import report
from ocppscope.analysis.rules import commands, delivery, framing, liveness, rpc, schema, status, tcp, websocket
from ocppscope.analysis.settings import Settings, settings_of
from ocppscope.analysis.state.connectors import MAX_CHANGES
from ocppscope.analysis.state.registration import MAX_BOOTS
from ocppscope.analysis.station import Station
from ocppscope.errors import UsageError
from ocppscope.model import ConnectionOpened, Endpoint, Event, Version

BOOT = """
10:00:00 CP → OPEN ocpp1.6
10:00:01 CP → [2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]
10:00:01 CP ← [3,"b",{"status":"Accepted","currentTime":"2026-11-22T10:00:01Z","interval":300}]
"""


def clock(seconds: float) -> str:
    """A time of the day, so long after ten."""
    return f"{10 + int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{seconds % 60:06.3f}"


def stamp(seconds: float) -> str:
    return f"2026-11-22T{clock(seconds)}Z"


def call(at: float, id_: str, action: str, payload: object, answer: object = None, *, by: str = "→") -> str:
    """A CALL, and its answer at the same time."""
    back = {"→": "←", "←": "→"}[by]
    text = f"{clock(at)} CP {by} {json.dumps([2, id_, action, payload])}\n"
    return text if answer is None else f"{text}{clock(at)} CP {back} {json.dumps([3, id_, answer])}\n"


def diagnosed(events: str | list[Event], settings: Settings | None = None) -> Diagnosis:
    """A conversation that is over."""
    events = play(events) if isinstance(events, str) else events
    diagnosis = Diagnosis(settings)
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return diagnosis


def found(diagnosis: Diagnosis, rule: str) -> list[Finding]:
    return [one for one in diagnosis.findings() if one.rule == rule]


def station_of(diagnosis: Diagnosis) -> Station:
    return diagnosis.stations.by_identity["CP"]


# --- certificates and upgrades ------------------------------------------------------------------------------------


def test_certificates_that_are_remembered():
    """Of more than MAX_PARSED the first are read anew: the answer is the same, so that nothing is to be said."""
    parse.cache_clear()
    first = parse(certificate())
    for number in range(MAX_PARSED + 50):
        assert parse(b"no certificate %d" % number) is None
    assert parse.cache_info().currsize == MAX_PARSED
    again = parse(certificate())
    assert again == first
    assert again is not first


MANY = ",".join(["ocpp2.0.1"] * 500)


@pytest.mark.parametrize(("last", "newer"), [("ocpp2.0.1", True), ("ocpp1.6", False)])
def test_all_offered_subprotocols_count(last: str, newer: bool):
    """However many there are, the last of them is looked at: a head has no room for so many that it mattered."""
    events = play(f"10:00:00 CP → REFUSED 401 Unauthorized offered={MANY},{last}\n10:00:09 CP -- END\n")
    diagnosis = diagnosed(events)
    assert station_of(diagnosis).connections.offered is (Version.V201 if newer else Version.UNKNOWN)
    assert isinstance(events[0], ConnectionOpened)
    assert (handshake := events[0].connection.handshake) is not None
    assert is_2x(handshake) is newer


def test_a_name_of_ocpp_behind_many_others():
    others = ",".join(f"other{number}" for number in range(500))
    (strange,) = found(
        diagnosed(f"10:00:00 CP → OPEN ocpp1.6 offered={others},ocpp1.7,ocpp1.6\n"), "subprotocol-malformed"
    )
    assert "'ocpp1.7';" in strange.text
    assert "other" not in strange.text


# --- what a sentence names ----------------------------------------------------------------------------------------


def reset_with(running: int) -> str:
    """A Reset in the middle of so many transactions, that are never stopped."""
    text = BOOT
    for number in range(1, running + 1):
        payload = {"connectorId": number, "idTag": "T", "meterStart": 0, "timestamp": stamp(number + 1)}
        answer = {"transactionId": 100 + number, "idTagInfo": {"status": "Accepted"}}
        text += call(number + 1, f"s{number}", "StartTransaction", payload, answer)
    text += call(60, "r", "Reset", {"type": "Soft"}, {"status": "Accepted"}, by="←")
    text += f"{clock(70)} CP → CLOSED FIN\n" + BOOT.replace("10:00", "10:02").replace('"b"', '"c"')
    return text + f"{clock(1000)} CP -- END\n"


@pytest.mark.parametrize(
    ("running", "named"),
    [
        (1, "transaction 101, which ran before, was"),
        (commands._MAX_NAMED, "transactions 101, 102, 103, 104, which ran before, were"),
        (commands._MAX_NAMED + 3, "transactions 101, 102, 103, 104 and 3 more, which ran before, were"),
    ],
)
def test_transactions_that_a_reset_lost(running: int, named: str):
    (one,) = found(diagnosed(reset_with(running)), "reset-without-stop")
    assert one.text == f"After a Reset the station booted; {named} not stopped."


def test_a_description_of_an_error_is_cut_and_says_so():
    def described(size: int) -> str:
        talk = call(2, "m", "Heartbeat", {}) + f'{clock(3)} CP ← [4,"m","InternalError","{"d" * size}",{{}}]\n'
        (one,) = found(diagnosed(BOOT + talk), "rpc-callerror")
        return one.measured["description"]

    assert described(rpc.MAX_SHOWN) == "d" * rpc.MAX_SHOWN
    assert described(rpc.MAX_SHOWN + 1) == "d" * rpc.MAX_SHOWN + "…"


@pytest.mark.parametrize("size", [schema.MAX_SHOWN, schema.MAX_SHOWN + 1, 5000])
def test_values_that_findings_keep_are_cut_and_say_so(size: int):
    kept = "v" * schema.MAX_SHOWN + "…" * (size > schema.MAX_SHOWN)
    wrong = {"connectorId": 1, "errorCode": "NoError", "status": "v" * size}
    text = BOOT + call(2, "s", "StatusNotification", wrong, {})
    text += call(3, "g", "GetConfiguration", {"key": ["v" * size]}, {"unknownKey": []}, by="←")
    diagnosis = diagnosed(text)
    assert [one.measured for one in found(diagnosis, "schema-enum")] == [{"value": kept}]
    assert [one.measured for one in found(diagnosis, "config-key-length")] == [{"key": kept}]


def test_a_tag_is_cut_and_says_so():
    (one,) = found(diagnosed(BOOT + call(2, "a", "Authorize", {"idTag": "\x01" * 500}, {})), "idtag-garbage")
    assert len(one.measured["tag"]) < 4 * schema.MAX_SHOWN
    assert one.measured["tag"].endswith("…")


# --- what is looked through ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "cause"), [(0, True), (framing.MAX_CAUSE_BYTES, False)])
def test_the_cause_of_broken_json_is_looked_for_in_the_beginning(before: int, cause: bool):
    """Far behind, the cause is not named; that the text is broken is said in any case."""
    broken = f'[2,"1","DataTransfer",{{"data":"{"x" * before}","vendorId":}}]'
    (one,) = found(diagnosed(f"{BOOT}{clock(2)} CP → TEXT {broken}\n"), "rpc-invalid-json")
    assert ("a key has no value" in one.text) is cause


@pytest.mark.parametrize(("values", "seen"), [(schema.MAX_VALUES - 10, True), (schema.MAX_VALUES + 10, False)])
@pytest.mark.parametrize("behind", [False, True])
def test_date_times_are_looked_for_among_so_many_values(values: int, seen: bool, behind: bool):
    """What is refused is said in any case: this rule only guesses why."""
    at = "2026-11-22T10:00:00.000+00:00"
    data = {"more": ["x"] * values + [at]} if behind else {"at": at, "more": ["x"] * values}
    text = BOOT.replace("1.6", "2.0.1") + call(2, "d", "DataTransfer", {"vendorId": "V", "data": data}, by="←")
    diagnosis = diagnosed(text + f'{clock(2)} CP → [4,"d","FormationViolation","",{{}}]\n')
    assert len(found(diagnosis, "datetime-peer-cannot-parse")) == seen
    assert found(diagnosis, "rpc-callerror")


@pytest.mark.parametrize(("between", "seen"), [(websocket.MAX_OTHERS - 1, True), (websocket.MAX_OTHERS, False)])
@pytest.mark.parametrize("answered_on", ["latest", "old"])
def test_connections_in_which_the_call_of_an_answer_is_looked_for(between: int, seen: bool, answered_on: str):
    """The latest MAX_OTHERS besides its own; an answer to what was asked before those is one that fits no CALL."""
    numbers = list(range(1, between + 3))
    if answered_on == "old":
        numbers = [99, *numbers[:-1]]  # the answer comes on the oldest of all
    lines = [f"{clock(at)} #{number} CP → OPEN ocpp1.6" for at, number in enumerate(numbers)]
    lines += [f'{clock(100)} #1 CP → [2,"abc","Heartbeat",{{}}]']
    on = numbers[0 if answered_on == "old" else -1]
    lines += [f'{clock(101)} #{on} CP ← [3,"abc",{{"currentTime":"{stamp(101)}"}}]']
    diagnosis = diagnosed("\n".join(lines))
    assert len(found(diagnosis, "responses-on-old-socket")) == seen
    assert found(diagnosis, "rpc-orphan-response" if not seen else "responses-on-old-socket")


# --- what a rule keeps --------------------------------------------------------------------------------------------


def test_messages_that_rules_remember_to_show_them():
    """The first MAX_REFS are shown; how many there were is said."""
    text, count = BOOT, 3 * delivery.MAX_REFS
    for number in range(3):  # its clock is right
        now = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": stamp(1)}
        text += call(1 + number / 10, f"n{number}", "StatusNotification", now, {})
    for number in range(count):
        payload = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": f"2026-11-22T08:{number:02}:00Z"}
        answer = {"transactionId": number + 1, "idTagInfo": {"status": "Accepted"}}
        text += call(2 + number, f"s{number}", "StartTransaction", payload, answer)
    for number in range(count):
        payload = {"connectorId": 1, "transactionId": 1, "meterValue": []}
        text += call(40 + number, f"m{number}", "MeterValues", payload)
        text += f'{clock(40 + number)} CP ← [4,"m{number}","InternalError","",{{}}]\n'
    *events, closed = play(text + f"{clock(99)} CP → CLOSED FIN\n")
    diagnosis = Diagnosis()
    diagnosis.take(events)
    memories = station_of(diagnosis).memories
    kept = [
        memories["tx-message-rejected"]["MeterValues"],
        memories["tx-offline-replay"],
        memories["tx-retry-exhausted"],
    ]
    assert [len(one["refs"]) for one in kept] == [delivery.MAX_REFS] * 3
    assert kept[1]["count"] == count
    diagnosis.take([closed])
    (replayed,) = found(diagnosis, "tx-offline-replay")
    assert replayed.text.startswith(f"{count} old messages were delivered")
    (rejected,) = found(diagnosis, "tx-message-rejected")
    assert rejected.count == count - 1


def beats(*gaps: float) -> str:
    text, at = BOOT, 10.0
    for number, gap in enumerate((0.0, *gaps)):
        at += gap
        text += call(at, f"h{number}", "Heartbeat", {}, {"currentTime": stamp(at)})
    return text


def test_the_latest_intervals_between_heartbeats_count():
    """A history of which the newest are compared: the sentence says of how many the median is."""
    early, late = [300.0] * 20, [40.0] * (liveness.MAX_GAPS // 2 + 1)
    assert not found(diagnosed(beats(*early, *late[1:])), "heartbeat-interval-ignored")
    (one,) = found(diagnosed(beats(*early, *late)), "heartbeat-interval-ignored")
    assert f"each 40 s (median of {liveness.MAX_GAPS})" in one.text


def test_as_many_intervals_as_are_asked_for():
    """A limit beyond MAX_GAPS does not silence the rule."""
    most = liveness.MAX_GAPS + 4
    settings = Settings(limits={"heartbeat-interval-ignored": {"least": most}})
    assert not found(diagnosed(beats(*[40.0] * (most - 1)), settings), "heartbeat-interval-ignored")
    (one,) = found(diagnosed(beats(*[40.0] * most), settings), "heartbeat-interval-ignored")
    assert f"(median of {most})" in one.text


def reconnects(*ids: str) -> str:
    """Each id is that of the first CALL of a connection."""
    text = ""
    for number, id_ in enumerate(ids):
        text += f"{clock(10 * number)} CP → OPEN ocpp2.0.1\n"
        text += call(10 * number + 1, id_, "Heartbeat", {}, {"currentTime": stamp(10 * number + 1)})
        text += f"{clock(10 * number + 2)} CP → CLOSED FIN\n"
    return text


def test_ids_of_beginnings_that_are_remembered():
    """The latest: one that was used before those is not known again."""
    ids = [f"{number:03}" + "x" * 5000 for number in range(rpc.MAX_OPENING_IDS)]
    again = diagnosed(reconnects(*ids, ids[0]))
    assert [one.count for one in found(again, "rpc-message-id-reused")] == [1]
    forgotten = diagnosed(reconnects(*ids, "other", ids[0]))
    assert not found(forgotten, "rpc-message-id-reused")
    memory = station_of(forgotten).memories["rpc-message-id-reused"]
    assert len(memory) == rpc.MAX_OPENING_IDS
    assert len(repr(memory)) < 300 * len(memory)  # however long the ids are


def reserved(*connectors: int, ends_s: int = 3600) -> str:
    text = BOOT
    for at, number in enumerate(connectors, 2):
        payload = {"connectorId": number, "expiryDate": stamp(100), "idTag": "T", "reservationId": at}
        text += call(at, f"r{at}", "ReserveNow", payload, {"status": "Accepted"}, by="←")
        report = {"connectorId": number, "errorCode": "NoError", "status": "Reserved"}
        text += call(at, f"s{at}", "StatusNotification", report, {})
    return text + f"{clock(ends_s)} CP -- END\n"


def test_reservations_that_are_followed(monkeypatch: pytest.MonkeyPatch):
    """Of too many the oldest is let go, which is said. What is over makes room."""
    monkeypatch.setattr(status, "MAX_RESERVATIONS", 2)
    diagnosis = diagnosed(reserved(1, 2, 3))
    told = {one.text[:11] for one in found(diagnosis, "connector-stuck") if "Reserved" in one.text}
    assert told == {"Connector 2", "Connector 3"}
    assert diagnosis.not_kept == 1
    assert report(diagnosis, []).notices
    assert not station_of(diagnosis).memories["connector-stuck"]
    fewer = diagnosed(reserved(1, 2))
    assert len([one for one in found(fewer, "connector-stuck") if "Reserved" in one.text]) == 2
    assert not report(fewer, []).notices


def test_a_reservation_that_follows_another_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(status, "MAX_RESERVATIONS", 2)
    diagnosis = diagnosed(reserved(1, 2, 1, 2, 1))
    assert len([one for one in found(diagnosis, "connector-stuck") if "Reserved" in one.text]) == 2
    assert not report(diagnosis, []).notices


def test_servers_whose_attempts_are_counted():
    """Beyond, the attempts at all others count together, and the sentence says so."""
    count = tcp._MAX_SERVERS + 8
    servers = [Endpoint(f"192.0.2.{number}", 9000) for number in range(1, count + 1)]
    diagnosis = diagnosed([attempt(UNANSWERED, syns=2, server=one) for one in servers for _ in range(2)])
    told = [one.text for one in found(diagnosis, "tcp-connect-timeout")]
    assert len(told) == tcp._MAX_SERVERS + 1
    assert told.count("4 SYNs to the server had no answer.") == tcp._MAX_SERVERS
    assert sum(f"servers other than the first {tcp._MAX_SERVERS} had no answer" in one for one in told) == 1
    (memory,) = [one.memories["tcp-connect-timeout"] for one in diagnosis.stations.by_identity.values()]
    assert memory[None] == 8 * 4
    assert len(memory) == tcp._MAX_SERVERS + 1


# --- what a limit can be set to -----------------------------------------------------------------------------------


def boots(count: int, status: str, current: str) -> str:
    text = BOOT.split("\n")[1] + "\n"
    for at in range(1, count + 1):
        answer = {"status": status, "currentTime": current, "interval": 1}
        text += call(at, f"b{at}", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}, answer)
    return text


def statuses(count: int, *names: str) -> str:
    """One each half second, in turn."""
    text = BOOT
    for at in range(count):
        payload = {"connectorId": 1, "errorCode": "NoError", "status": names[at % len(names)]}
        text += call(10 + at / 2, f"s{at}", "StatusNotification", payload, {})
    return text


ODD_TIME = "2026-11-22T10:00:00.0000000+00:00"
AT_MOST = [
    ("boot-loop", "boots", MAX_BOOTS, boots(MAX_BOOTS, "Accepted", stamp(0))),
    ("boot-pending-long", "answers", MAX_BOOTS, boots(MAX_BOOTS, "Pending", stamp(0))),
    ("datetime-peer-cannot-parse", "boots", MAX_BOOTS, boots(MAX_BOOTS + 1, "Accepted", ODD_TIME)),
    ("status-flapping", "changes", MAX_CHANGES - 1, statuses(MAX_CHANGES, "Available", "Faulted")),
    ("status-flapping", "cycles", MAX_CHANGES // 2 - 1, statuses(MAX_CHANGES, "Available", "Faulted")),
    ("status-repeated", "times", MAX_CHANGES, statuses(MAX_CHANGES, "Available")),
]


@pytest.mark.parametrize(("rule", "limit", "most", "text"), AT_MOST, ids=[f"{one[0]}.{one[1]}" for one in AT_MOST])
def test_limits_beyond_what_is_remembered(rule: str, limit: str, most: int, text: str):
    """A rule whose limit is as high as its history is long speaks; it cannot be set higher, when it would be silent."""
    others = {"cycles": {"changes": MAX_CHANGES - 1}, "changes": {"cycles": MAX_CHANGES // 2 - 1}}.get(limit, {})
    settings = settings_of({rule: {**others, limit: most}})
    assert found(diagnosed(text, settings), rule)
    shorter = text[: text.rindex("\n", 0, text.rindex("→"))]  # all but the last report
    assert not [one for one in found(diagnosed(shorter, settings), rule) if "is pending for" not in one.text]
    with pytest.raises(UsageError, match=f"no more than {most} "):
        settings_of({rule: {limit: most + 1}})
