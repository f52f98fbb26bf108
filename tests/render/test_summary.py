"""What messages say in a few words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Kind, Message, Side
from ocppscope.render import jsonl, summary

REQUESTS = [
    (
        "BootNotification",
        {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.4", "chargePointSerialNumber": "S"},
        "V M fw 1.4 sn S",
    ),
    (
        "BootNotification",
        {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V", "firmwareVersion": "2"}},
        "V M fw 2 PowerUp",
    ),
    ("Heartbeat", {}, ""),
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}, "connector 1 Charging"),
    (
        "StatusNotification",
        {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted", "info": "i"},
        "connector 1 Faulted GroundFailure i",
    ),
    ("StatusNotification", {"evseId": 2, "connectorId": 1, "connectorStatus": "Occupied"}, "evse 2/1 Occupied"),
    ("Authorize", {"idTag": "T"}, "tag T"),
    ("Authorize", {"idToken": {"idToken": "T", "type": "ISO14443"}}, "token T (ISO14443)"),
    (
        "StartTransaction",
        {"connectorId": 1, "idTag": "T", "meterStart": 120, "timestamp": "x"},
        "connector 1 tag T meter 120 Wh",
    ),
    (
        "StopTransaction",
        {"transactionId": 7, "meterStop": 900, "reason": "Local", "idTag": "T"},
        "tx 7 meter 900 Wh Local tag T",
    ),
    (
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 7,
            "meterValue": [
                {
                    "sampledValue": [
                        {"value": "120", "unit": "Wh", "measurand": "Energy.Active.Import.Register"},
                        {"value": "11", "unit": "kW", "measurand": "Power.Active.Import", "phase": "L1"},
                        {"value": "3", "measurand": "Energy.Active.Export.Register", "unit": "Wh"},
                        {"value": "55"},
                        {"value": "5"},
                    ]
                }
            ],
        },
        "connector 1 tx 7 120 Wh, Power L1 11 kW, Energy export 3 Wh, 55 Wh, +1 more",
    ),
    (
        "TransactionEvent",
        {
            "eventType": "Updated",
            "seqNo": 3,
            "triggerReason": "MeterValuePeriodic",
            "transactionInfo": {"transactionId": "TX", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 2},
            "offline": True,
            "meterValue": [{"sampledValue": [{"value": 5.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}]}],
        },
        "Updated seq 3 MeterValuePeriodic Charging tx TX evse 1/2 offline 5.5e3 Wh",
    ),
    ("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"}, "connector 1 tag T"),
    ("RemoteStopTransaction", {"transactionId": 7}, "tx 7"),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "300"}, "HeartbeatInterval=300"),
    ("ChangeConfiguration", {"key": "AuthorizationKey", "value": "secret"}, "AuthorizationKey=***"),
    ("GetConfiguration", {"key": ["A", "B"]}, "A,B"),
    (
        "SetVariables",
        {
            "setVariableData": [
                {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                    "attributeValue": "secret",
                }
            ]
        },
        "SecurityCtrlr.BasicAuthPassword=***",
    ),
    ("TriggerMessage", {"requestedMessage": "Heartbeat"}, "Heartbeat"),
    ("DataTransfer", {"vendorId": "v", "data": "d"}, "vendorId=v data=d"),
    (
        "Nonsense",
        {"a": {"b": 1}, "c": [1, 2], "d": None, "e": True, "password": "secret"},
        "a={…} c=[2] e=true password=***",
    ),
]


@pytest.mark.parametrize(("action", "payload", "expected"), REQUESTS)
def test_requests(action, payload, expected):
    assert summary.request(action, payload) == expected


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("Heartbeat", {}, ""),
        ("BootNotification", {"interval": 300, "status": "Accepted"}, "Accepted interval=300"),
        ("Authorize", {"idTagInfo": {"status": "Blocked"}}, "Blocked"),
        ("Authorize", {"idTokenInfo": {"status": "Invalid"}}, "Invalid"),
        ("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}, "Accepted transactionId=7"),
        (
            "GetConfiguration",
            {
                "configurationKey": [{"key": "A", "value": "1"}, {"key": "AuthorizationKey", "value": "x"}],
                "unknownKey": ["B"],
            },
            "A=1, AuthorizationKey=*** unknown: B",
        ),
        (
            "GetVariables",
            {
                "getVariableResult": [
                    {
                        "component": {"name": "C"},
                        "variable": {"name": "V"},
                        "attributeStatus": "Accepted",
                        "attributeValue": "1",
                    }
                ]
            },
            "C.V=1 Accepted",
        ),
        ("Anything", [1], "[1]"),
    ],
)
def test_answers(action, payload, expected):
    assert summary.answer(action, payload) == expected


def test_errors():
    assert summary.error("NotImplemented", "no such thing\x1b") == "NotImplemented: no such thing\\x1b"
    assert summary.error("", "") == "(no error code)"
    assert summary.error(5, {"x": 1}) == "5"


CALL, RESULT, FAULT = Kind.CALL, Kind.CALLRESULT, Kind.CALLERROR


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (CALL, b'[2,"1","Authorize",{"idTag":"T"}]', "tag T"),
        (Kind.SEND, b'[6,"1","Authorize",{"idTag":"T"}]', "tag T"),
        (RESULT, b'[3,"1",{"idTagInfo":{"status":"Blocked"}}]', "Blocked"),
        (FAULT, b'[4,"1","GenericError","why",{}]', "GenericError: why"),
        (FAULT, b'[4,"1","GenericError"]', "GenericError"),
        (Kind.CALLRESULTERROR, b'[5,"1","","",{}]', "(no error code)"),
        (CALL, b'[2,"1","Authorize"]', '[2,"1","Authorize"]'),
        (RESULT, b"[3]", "[3]"),
        (FAULT, b"[4]", "[4]"),
        (Kind.UNPARSED, b"[2,\x1b", "[2,\\x1b"),
        (CALL, b'{"a":1}', '{"a":1}'),
        (CALL, b"", "(empty)"),
    ],
)
def test_said(kind, text, expected):
    message = Message(0, 0, 0, Side.STATION, kind, "1", "Authorize", text, 9, ())
    assert summary.said(message) == expected


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("AuthorizationKey", "***"),
        ("basicAuthPASSWORD", "***"),
        ("x" * (summary.MAX_KEY - 8) + "password", "***"),
        ("x" * summary.MAX_KEY + "password", "1"),  # no more of a key is looked at
    ],
)
def test_secrets(key, shown):
    assert summary.generic({key: 1}).endswith(f"={shown}")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner)
)
KEYS = sorted(
    {"chargingStation", "evse", "evseId", "connectorId", "idTag", "idToken", "transactionInfo", "meterValue"}
    | {"transactionData", "sampledValue", "value", "measurand", "unitOfMeasure", "unit", "multiplier", "phase"}
    | {"getVariableData", "component", "variable", "name", "key", "status", "idTagInfo", "csChargingProfiles"}
    | {"configurationKey", "setVariableResult"}
)
LIKELY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner)
)


@given(st.sampled_from(sorted(summary.REQUESTS)), LIKELY | ANYTHING)
def test_any_json_can_be_summed_up(action, payload):
    for text in (summary.request(action, payload), summary.answer(action, payload)):
        assert text.isprintable()
        assert len(text) < 6000


def test_a_deep_message_is_left_to_its_beginning():
    assert jsonl.read(b"[" * 100_000 + b"]" * 100_000) is None
    assert jsonl.indented(b"[" * 100_000 + b"]" * 100_000) is None
    assert jsonl.read(json.dumps(["x" * jsonl.MAX_READ]).encode()) is None
    assert jsonl.read(b"[" + b"9" * 5000 + b"]") is None or summary.value(jsonl.read(b"[" + b"9" * 5000 + b"]")[0])
