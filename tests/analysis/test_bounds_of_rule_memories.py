"""Bounds of what rules remember or compare, reached: nothing wrong is said, and what was let go is counted."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from test_bounds_of_rules import BOOT, call, clock, diagnosed, found, reset_with, stamp, station_of
from test_diagnosis import BEATS, rule, run
from test_network_rules import certificate, tls

from ocppscope.analysis import certificate as certificates
from ocppscope.analysis import diagnosis as machine
from ocppscope.analysis.happenings import asked
from ocppscope.analysis.payload import Payload
from ocppscope.analysis.report import report
from ocppscope.analysis.rules import authorization, commands, configuration, rpc, schema, status, transactions
from ocppscope.analysis.rules import clock as clock_rules
from ocppscope.model import Kind
from ocppscope.tui.findings_table import _when

# --- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "place", "told"),
    [
        (certificates.MAX_NAMES, certificates.MAX_NAMES - 1, False),
        (certificates.MAX_NAMES, None, True),
        (certificates.MAX_NAMES + 1, certificates.MAX_NAMES, False),
    ],
)
def test_names_of_a_certificate_that_are_looked_at(count: int, place: int | None, told: bool):
    """Of one with more nobody says that it is for another: the name may be among those not looked at."""
    names = [f"name{at}.example" for at in range(count)]
    if place is not None:
        names[place] = "csms.example"
    der = certificate(names=tuple(names))
    parsed = certificates.parse(der)
    assert parsed is not None
    assert len(parsed.names) == min(count, certificates.MAX_NAMES)
    assert bool(found(diagnosed([tls(server=(der,))]), "tls-name-mismatch")) is told


def test_names_of_a_certificate_are_cut_and_say_so():
    most = certificates.MAX_NAME
    parsed = certificates.parse(certificate(names=("A" * most, "b" * 5000)))
    assert parsed is not None
    assert parsed.names == ("a" * most, "b" * most + "…")
    assert not parsed.is_for("b" * most)


# --- findings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 1, 5])
def test_connections_that_a_finding_names(more: int):
    """The first ones; whether there are others is said."""
    text = "".join(
        f'{clock(at)} #{at + 1} CP → OPEN ocpp1.6\n{clock(at)} #{at + 1} CP → [2,"{at}","Frob",{{}}]\n'
        for at in range(machine.MAX_CONNECTIONS + more)
    )
    (one,) = found(diagnosed(text), "rpc-unknown-action")
    assert one.connections == tuple(range(machine.MAX_CONNECTIONS))
    assert one.has_more_connections is bool(more)
    assert _when(one).endswith(f"#{machine.MAX_CONNECTIONS - 1}" + " and others" * bool(more))


@pytest.mark.parametrize("char", ["x", "\x1b"])
def test_sentences_are_cut_and_say_so(char: str):
    def said(size: int) -> str:
        ((one,), _) = run(BEATS, rule(lambda x, case: case.find(char * size, x), asked("Heartbeat")))
        return one.text

    shown = "x" if char == "x" else "\ufffd"
    assert said(machine.MAX_TEXT) == shown * machine.MAX_TEXT
    assert said(machine.MAX_TEXT + 1) == said(9000) == shown * machine.MAX_TEXT + "…"


def let_go(diagnosis: machine.Diagnosis) -> int:
    """How much of it was let go; the report says so if anything was."""
    said = [one for one in report(diagnosis, []).notices if "were let go" in one]
    assert len(said) == (diagnosis.not_kept > 0)
    return diagnosis.not_kept


# --- tokens -------------------------------------------------------------------------------------------------------


def authorized_then_started(others: int, *, apart: float) -> str:
    text = BOOT + call(10, "a", "Authorize", {"idTag": "MINE"}, {"idTagInfo": {"status": "Accepted"}})
    at = 10.0
    for number in range(others):
        at += apart
        text += call(at, f"o{number}", "Authorize", {"idTag": f"T{number}"}, {"idTagInfo": {"status": "Accepted"}})
    payload = {"connectorId": 1, "idTag": "MINE", "meterStart": 0, "timestamp": stamp(at + 1)}
    return text + call(
        at + 1, "s", "StartTransaction", payload, {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
    )


@pytest.mark.parametrize(
    ("others", "apart", "told", "gone"),
    [
        (authorization.MAX_TAGS - 1, 1, 0, 0),
        (authorization.MAX_TAGS, 1, 0, 1),  # nobody knows any more whether it was authorized
        (authorization.MAX_TAGS, 11, 1, 0),  # all that were forgotten were too old to count
    ],
)
def test_tokens_that_are_remembered(others: int, apart: float, told: int, gone: int):
    """The latest. What was forgotten is not held against a start, which is counted."""
    diagnosis = diagnosed(authorized_then_started(others, apart=apart))
    assert len(found(diagnosis, "tx-without-authorization")) == told
    assert let_go(diagnosis) == gone
    memory = station_of(diagnosis).memories["tx-without-authorization"]
    assert len(memory["tags"]) == min(others + 1, authorization.MAX_TAGS)


# --- what a sentence names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 1, 2])
def test_messages_without_a_zone_that_are_named(others: int):
    """MAX_NAMES of them; that there are others is said, and they are not remembered."""
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-11-22T10:00:01"}
    value = {"timestamp": "2026-11-22T10:00:01", "sampledValue": [{"value": "1"}]}
    dated = [
        ("StatusNotification", payload),
        ("MeterValues", {"connectorId": 1, "meterValue": [value]}),
        ("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": value["timestamp"]}),
        ("StopTransaction", {"transactionId": 1, "meterStop": 0, "timestamp": value["timestamp"]}),
        ("SecurityEventNotification", {"type": "SettingSystemTime", "timestamp": value["timestamp"]}),
    ]
    text = BOOT + "".join(call(2 + at, f"n{at}", action, one) for at, (action, one) in enumerate(dated[: 3 + others]))
    (one,) = found(diagnosed(text), "clock-no-zone")
    names = [f"a CALL {action}" for action, _ in dated[: clock_rules.MAX_NAMES]]
    last = " and others" if others else ""
    said = f"{', '.join(names)}{last}" if others else f"{', '.join(names[:-1])} and {names[-1]}"
    assert one.text == f"The station sent {said} with a time that has no zone."
    memory = station_of(diagnosed(text)).memories["clock-no-zone"]
    assert all(len(names) <= clock_rules.MAX_NAMES + 1 for names in memory.values())


@pytest.mark.parametrize("more", [0, 3])
def test_connectors_that_a_sentence_names(more: int):
    """Of more than MAX_NAMED it says how many."""
    count = status.MAX_NAMED + more

    def reports(at: int, numbers: range) -> str:
        return "".join(
            call(at, f"{at}-{one}", "StatusNotification",
                 {"connectorId": one, "errorCode": "NoError", "status": "Available"}, {})
            for one in numbers
        )  # fmt: skip

    again = BOOT.replace("10:00", "10:05").replace('"b"', '"c"').replace("OPEN", "OPEN", 1)
    text = BOOT + reports(2, range(count + 1)) + reports(3, range(count + 1, count + 2))
    text += f"{clock(200)} CP → CLOSED FIN\n" + again
    text += reports(302, range(1)) + reports(303, range(count + 1, count + 2)) + f"{clock(900)} CP -- END\n"
    (one,) = found(diagnosed(text), "status-missing-after-boot")
    named = ", ".join(f"connector {number}" for number in range(1, status.MAX_NAMED + 1))
    assert one.text.endswith(f"no status came of {named}{f' and {more} more' if more else ''}.")


# --- commands and settings ----------------------------------------------------------------------------------------


def triggers(kinds: int, rounds: int, *, apart: int = 10) -> str:
    """Kinds of triggers that come in turn, each ten seconds after it came last."""
    text = BOOT
    for number in range(rounds):
        for kind in range(kinds):
            at = 10 + number * apart + kind / kinds
            ask = {"requestedMessage": f"Kind{kind}"}
            text += call(at, f"{number}-{kind}", "TriggerMessage", ask, {"status": "NotImplemented"}, by="←")
    return text


@pytest.mark.parametrize(("more", "told"), [(0, True), (1, False)])
def test_kinds_of_triggers_that_are_counted(monkeypatch: pytest.MonkeyPatch, more: int, told: bool):
    """The latest; if one had to go that would still count, that is said."""
    monkeypatch.setattr(commands, "MAX_KINDS", 3)
    diagnosis = diagnosed(triggers(3 + more, 70))
    assert len(found(diagnosis, "trigger-storm")) == 3 * told
    assert bool(let_go(diagnosis)) is not told
    assert len(station_of(diagnosis).memories["trigger-storm"]) == 3


def test_kinds_of_triggers_that_came_long_ago_make_room():
    """A storm is noticed however many kinds there were before, and nothing was let go."""
    kinds = [f"Kind{at}" for at in range(commands.MAX_KINDS + 5)]
    text = BOOT
    for at, kind in [*enumerate(kinds), *((len(kinds) + at / 2, "Storm") for at in range(1, 70))]:
        ask = {"requestedMessage": kind}
        text += call(20 * at + 10, f"{at}", "TriggerMessage", ask, {"status": "NotImplemented"}, by="←")
    diagnosis = diagnosed(text)
    assert [one.text.split()[4] for one in found(diagnosis, "trigger-storm")] == ["Storm"]
    assert let_go(diagnosis) == 0


def changes(*keys: str, at: float, apart: float = 1) -> str:
    return "".join(
        call(at + apart * number, f"{at}-{number}", "ChangeConfiguration", {"key": key, "value": str(number)},
             {"status": "Accepted"}, by="←")
        for number, key in enumerate(keys)
    )  # fmt: skip


def test_settings_whose_changes_are_counted():
    """The latest, however many there were before; what still counted and had to go is said."""
    keys = [f"K{number}" for number in range(configuration.MAX_KEYS + 20)]
    storm = changes(*["Stormy"] * 7, at=9000, apart=5)
    diagnosis = diagnosed(BOOT + changes(*keys, at=10, apart=30) + storm)
    assert [one.text for one in found(diagnosis, "config-storm")] == [
        "The CSMS changed Stormy more than 5 times in 10 min."
    ]
    assert let_go(diagnosis) == 0
    assert len(station_of(diagnosis).memories["config-storm"]) == configuration.MAX_KEYS
    at_once = diagnosed(BOOT + changes(*keys, at=10))
    assert let_go(at_once) == 21  # besides these, the memory holds the number of messages


def test_all_settings_of_a_message_count():
    keys = [f"V{number}" for number in range(configuration.MAX_KEYS + 2)]
    ask = {
        "setVariableData": [
            {"attributeValue": "1", "component": {"name": "C"}, "variable": {"name": key}} for key in keys
        ]
    }
    results = [
        {"attributeStatus": "Accepted" if key != keys[-1] else "Rejected", "component": {"name": "C"},
         "variable": {"name": key}}
        for key in keys
    ]  # fmt: skip
    text = BOOT.replace("1.6", "2.0.1") + call(5, "v", "SetVariables", ask, {"setVariableResult": results}, by="←")
    (one,) = found(diagnosed(text), "config-rejected")
    assert keys[-1] in one.text


def test_reports_that_go_on(monkeypatch: pytest.MonkeyPatch):
    """Of more than MAX_KEYS at the same time, the newest are not waited for, which is said."""
    monkeypatch.setattr(configuration, "MAX_KEYS", 2)

    def parts(count: int) -> str:
        return BOOT.replace("1.6", "2.0.1") + "".join(
            call(10 + at, f"r{at}", "NotifyReport",
                 {"requestId": at, "generatedAt": stamp(10), "seqNo": 0, "tbc": True}, {})
            for at in range(count)
        ) + f"{clock(200)} CP → [2,\"h\",\"Heartbeat\",{{}}]\n"  # fmt: skip

    for count, gone in ((2, 0), (3, 1)):
        diagnosis = diagnosed(parts(count))
        assert [one.count for one in found(diagnosis, "report-incomplete")] == [2]
        assert let_go(diagnosis) == gone


@pytest.mark.parametrize("room", [1, 2])
def test_places_whose_samples_are_compared_with_the_setting(monkeypatch: pytest.MonkeyPatch, room: int):
    monkeypatch.setattr(configuration, "MAX_KEYS", 2 + room)  # the setting stands there too
    key = {"key": "MeterValuesSampledData", "value": "Energy.Active.Import.Register,Voltage"}
    text = BOOT + call(3, "c", "ChangeConfiguration", key, {"status": "Accepted"}, by="←")
    for number in (1, 2):
        payload = {"connectorId": number, "idTag": "T", "meterStart": 0, "timestamp": stamp(4)}
        answer = {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
        text += call(4, f"s{number}", "StartTransaction", payload, answer)
    for at in range(10, 60, 10):
        for number in (1, 2):
            value = {"timestamp": stamp(at), "sampledValue": [{"value": str(at), "context": "Sample.Periodic"}]}
            payload = {"connectorId": number, "transactionId": number, "meterValue": [value]}
            text += call(at, f"m{at}-{number}", "MeterValues", payload, {})
    diagnosis = diagnosed(text)
    assert sum(one.count for one in found(diagnosis, "config-accepted-but-ignored")) == room
    assert let_go(diagnosis) == (0 if room == 2 else 5)


# --- messages -----------------------------------------------------------------------------------------------------


def test_actions_whose_refusals_are_counted(monkeypatch: pytest.MonkeyPatch):
    """A refusal of one beyond is told, but not how often it was tried: that is said."""
    monkeypatch.setattr(rpc, "MAX_ACTIONS", 2)
    text = BOOT
    for number in range(6):
        for action in ("GetLog", "GetReport", "ClearCache")[: 3 if number < 5 else 2]:
            at = 10 + number
            text += f"{clock(at)} CP ← {json.dumps([2, f'{action}{number}', action, {}])}\n"
            text += f"{clock(at)} CP → {json.dumps([4, f'{action}{number}', 'NotSupported', '', {}])}\n"
    diagnosis = diagnosed(text)
    told = {one.text.split()[3]: (one.severity.label, one.count) for one in found(diagnosis, "rpc-not-implemented")}
    assert told == {"GetLog": ("warning", 6), "GetReport": ("warning", 6), "ClearCache": ("note", 5)}
    assert let_go(diagnosis) == 5
    assert len(station_of(diagnosis).memories["rpc-not-implemented"]) == 2


@pytest.mark.parametrize(("between", "seen"), [(rpc.MAX_WAITING - 2, True), (rpc.MAX_WAITING - 1, False)])
def test_waiting_calls_that_one_is_compared_with(between: int, seen: bool):
    """The latest MAX_WAITING, itself among them; that so many wait is told in any case."""
    same = {"vendorId": "V", "data": "same"}
    text = BOOT + call(10, "first", "DataTransfer", same)
    text += "".join(call(11, f"o{at}", "DataTransfer", {"vendorId": f"V{at}"}) for at in range(between))
    text += call(12, "again", "DataTransfer", same)
    diagnosis = diagnosed(text)
    assert len(found(diagnosis, "rpc-retry-too-fast")) == seen
    assert [one.count for one in found(diagnosis, "rpc-concurrent-calls")] == [between + 1]


@pytest.mark.parametrize(("between", "seen"), [(rpc.MAX_WAITING - 1, True), (rpc.MAX_WAITING, False)])
def test_waiting_commands_that_a_message_may_come_of(between: int, seen: bool):
    text = BOOT + call(10, "t", "TriggerMessage", {"requestedMessage": "Heartbeat"}, by="←")
    text += "".join(call(11, f"o{at}", "DataTransfer", {"vendorId": f"V{at}"}, by="←") for at in range(between))
    diagnosis = diagnosed(text + call(12, "h", "Heartbeat", {}, {"currentTime": stamp(12)}))
    assert len(found(diagnosis, "rpc-result-before-side-effects")) == seen
    assert found(diagnosis, "rpc-concurrent-calls")


@pytest.mark.parametrize("between", [0, rpc.MAX_WAITING + 5])
def test_what_is_said_of_an_id_does_not_depend_on_how_many_wait(between: int):
    """Neither that its first CALL was answered, nor that there was none."""
    others = "".join(call(11, f"o{at}", "DataTransfer", {"vendorId": f"V{at}"}) for at in range(between))
    text = BOOT + call(10, "same", "DataTransfer", {"vendorId": "V"}) + others
    (one,) = found(diagnosed(text + call(12, "same", "DataTransfer", {"vendorId": "V"})), "rpc-message-id-reused")
    assert "before the first was answered" in one.text
    later = f'{clock(20)} CP → CLOSED FIN\n{clock(30)} CP → OPEN ocpp1.6\n{clock(31)} CP ← [3,"same",{{}}]\n'
    (one,) = found(diagnosed(text + later), "rpc-orphan-response")
    assert "DataTransfer on a later connection" in one.text


@pytest.mark.parametrize(("depth", "seen"), [(schema.MAX_DEPTH, True), (schema.MAX_DEPTH + 1, False)])
def test_paths_that_are_followed_to_a_value(depth: int, seen: bool):
    """A longer one has no value, whatever is at a part of it. No schema of OCPP is as deep: it is `customData`."""
    value: Any = "here"
    for _ in range(depth):
        value = {"a": value}
    what: Any = SimpleNamespace(
        problem=SimpleNamespace(path="/a" * depth), exchange=SimpleNamespace(asked=Payload(value)),
        message=SimpleNamespace(kind=Kind.CALL),
    )  # fmt: skip
    assert schema._value(what) == ("here" if seen else None)


# --- transactions -------------------------------------------------------------------------------------------------


def session(at: float, number: int, *, lasts: float | None = None) -> str:
    payload = {"connectorId": number, "idTag": f"T{number}", "meterStart": 0, "timestamp": stamp(at)}
    answer = {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
    text = call(at, f"start{number}-{at}", "StartTransaction", payload, answer)
    if lasts is not None:
        payload = {"transactionId": number, "meterStop": 500, "timestamp": stamp(at + lasts)}
        text += call(at + lasts, f"stop{number}-{at}", "StopTransaction", payload, {})
    return text


def test_connectors_whose_very_short_transactions_are_counted(monkeypatch: pytest.MonkeyPatch):
    """A very short one on a connector beyond is told, but not how many there were in a row: that is said."""
    monkeypatch.setattr(transactions, "MAX_PLACES", 2)
    text = BOOT + "".join(
        session(100 * turn + 10 * number, number, lasts=5) for turn in (1, 2, 3) for number in (1, 2, 3)
    )
    diagnosis = diagnosed(text)
    told = sorted((one.severity.label, one.count) for one in found(diagnosis, "tx-very-short"))
    assert told == [("note", 3), ("warning", 3), ("warning", 3)]
    assert let_go(diagnosis) == 3
    assert len(station_of(diagnosis).memories["tx-very-short"]) == 2


def test_connectors_whose_register_is_watched_after_a_stop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transactions, "MAX_PLACES", 1)
    text = BOOT + session(10, 1, lasts=400) + session(12, 2, lasts=400)
    for at in (600, 700):
        for number in (1, 2):
            value = {"timestamp": stamp(at), "sampledValue": [{"value": str(at * 10)}]}
            text += call(at, f"m{at}-{number}", "MeterValues", {"connectorId": number, "meterValue": [value]}, {})
    diagnosis = diagnosed(text)
    (one,) = found(diagnosis, "tx-energy-after-stop")
    assert one.text.startswith("1,000 Wh flowed on connector 1,")
    assert let_go(diagnosis) == 2


def test_connectors_whose_lost_stop_was_told_of(monkeypatch: pytest.MonkeyPatch):
    """The latest: a lost stop is told of in any case, once for all that shows it."""
    monkeypatch.setattr(transactions, "MAX_PLACES", 2)
    text = BOOT + "".join(session(10 + number, number) for number in (1, 2, 3))
    for at in (100, 300):
        for number in (1, 2, 3):
            for status_, later in (("Available", 0), ("Preparing", 90)):
                payload = {"connectorId": number, "errorCode": "NoError", "status": status_}
                text += call(at + later + number, f"{at}{status_}{number}", "StatusNotification", payload, {})
    diagnosis = diagnosed(text + f'{clock(900)} CP → [2,"h","Heartbeat",{{}}]\n')
    assert {one.text[:13] for one in found(diagnosis, "tx-never-stopped")} == {
        "Transaction 1", "Transaction 2", "Transaction 3",
    }  # fmt: skip
    assert len(station_of(diagnosis).memories["tx-never-stopped"]) == 2
    assert let_go(diagnosis) == 0
    monkeypatch.undo()
    assert [one.count for one in found(diagnosed(text), "tx-never-stopped")] == [1, 1, 1]


def test_a_reset_with_more_transactions_than_places():
    """None of these memories stands in the way of another rule."""
    assert found(diagnosed(reset_with(transactions.MAX_PLACES + 1)), "reset-without-stop")
