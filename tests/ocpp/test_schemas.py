"""Payload validation, against the schemas themselves and against two independent validators."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.model import Version
from ocppscope.ocpp import conformance, jsontext, overlay, schemas, versions
from ocppscope.ocpp.codec import MAX_SHORT, decode, decode_exactly, heads, match_head
from ocppscope.ocpp.schemas import Validator, validator
from ocppscope.ocpp.typed import MAX_KNOWN, Acceptor, Acceptors
from ocppscope.problems import PROBLEMS

V16, V201, V21 = versions.COVERED

ALL = [
    found
    for version in versions.COVERED
    for action in sorted(versions.ACTIONS[version])
    for response in (False, True)
    if (found := validator(version, action, response)) is not None
]


def the(version: Version, action: str, response: bool = False) -> Validator:
    found = validator(version, action, response)
    assert found is not None
    return found


def found_codes(checked: Validator, payload: bytes) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in checked.problems(payload)]


# -- the files


@pytest.mark.parametrize(
    ("version", "digest"),
    [
        (V16, "9e14640e965056d3f1f38d16a2fb913817a4651c7a4cf64e7bcb870fa885f1c1"),
        (V201, "a5be6655ef5f76a3b0742026df5b24051a711624c241bb5031deaae5c9d42f68"),
        (V21, "0df370a20245167515eeac59705db8e8f60d05fd00180617b9b3b9ad52f0c8f7"),
    ],
)
def test_installed_schemas_are_the_known_ones(version: Version, digest: str) -> None:
    """When this fails the `ocpp` package has other schemas: look at what changed, then at `overlay`."""
    assert schemas.digest(version) == digest


def subschemas(schema: dict[str, Any]) -> list[dict[str, Any]]:
    below = [*schema.get("properties", {}).values(), *schema.get("definitions", {}).values()]
    if "items" in schema:
        below.append(schema["items"])
    return [schema, *(deeper for inner in below for deeper in subschemas(inner))]


@pytest.mark.parametrize("version", versions.COVERED)
def test_every_keyword_is_understood(version: Version) -> None:
    for path in schemas.directory(version).glob("*.json"):
        for schema in subschemas(schemas.load(version, path.stem)):
            assert schema.keys() <= conformance.KEYWORDS | conformance.ANNOTATIONS
            assert schema.get("type", "string") in ("object", "array", "string", "integer", "number", "boolean")
            assert isinstance(schema.get("items", {}), dict)
            assert schema.get("additionalProperties") in (None, False)
            assert schema.get("multipleOf") in (None, 0.1)
            assert schema.get("format") in (None, "date-time", "uri")
            assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()
            if "enum" in schema:
                assert schema["type"] == "string"


def test_the_ocpp_package_is_not_imported() -> None:
    program = (
        "import sys; from ocppscope.ocpp import schemas, guess\n"
        "from ocppscope.model import Version\n"
        "v = schemas.validator(Version.V16, 'Heartbeat'); assert v.acceptors.payload.accepts(b'{}')\n"
        "assert v.problems(b'{\"a\":1}')\n"
        "sys.exit(any(name == 'ocpp' or name.startswith(('ocpp.', 'jsonschema')) for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("version", "action", "response"),
    [
        (V16, "TransactionEvent", False),
        (V16, "heartbeat", False),
        (V16, "", False),
        (V201, "StartTransaction", False),
        (V21, "NotifyPeriodicEventStream", True),
        (Version.V15, "Heartbeat", False),
        (Version.V20, "Heartbeat", True),
        (Version.UNKNOWN, "Heartbeat", False),
        (V16, "../v201/schemas/ResetRequest", False),
    ],
)
def test_no_validator(version: Version, action: str, response: bool) -> None:
    assert validator(version, action, response) is None


# -- single payloads

NOW = b'"2026-11-22T07:52:20Z"'
BOOT = b'"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}'
MONITOR = b'"type":"Delta","severity":1,"component":{"name":"c"},"variable":{"name":"v"}'
TOKEN = b'"idToken":{"idToken":"x","type":"Central","additionalInfo":[{"additionalIdToken":"y","type":5}]}'
UNITS = b'{"value":"50","unit":"Hertz"},{"value":"2","unit":"Celcius"},{"value":"3","unit":"Celsius"}'
EVENT = (
    b'{"eventType":"Started","timestamp":' + NOW + b',"triggerReason":"Authorized","seqNo":0,'
    b'"transactionInfo":{"transactionId":"t"},"numberOfPhasesUsed":%b}'
)
STREAM = b'{"id":1,"pending":0,"basetime":%b,"data":[{"t":%b,"v":"1"}]}'
STOP = b'{"transactionId":%b,"meterStop":%b,"timestamp":' + NOW + b"}"

PAYLOADS = [
    (V16, "Heartbeat", False, b"{}", []),
    (V16, "Heartbeat", False, b"{ }", []),
    (V16, "Heartbeat", False, b"null", []),
    (V16, "Heartbeat", False, b"[]", []),
    (V16, "Heartbeat", False, b"not json", []),
    (V16, "Heartbeat", False, b'{"x":1}', [("additional", "/x")]),
    (V16, "Heartbeat", True, b'{"currentTime":%b}' % NOW, []),
    (V16, "Heartbeat", True, b'{"CurrentTime":%b}' % NOW, [("additional", "/CurrentTime"), ("required", "")]),
    (V16, "Heartbeat", True, b'{"currentTime":"yesterday"}', [("datetime", "/currentTime")]),
    (V16, "Heartbeat", True, b'{"currentTime":"2026-11-22T07:52:20"}', [("datetime-no-zone", "/currentTime")]),
    (V16, "Heartbeat", True, b'{"currentTime":1795333940}', [("type", "/currentTime")]),
    (V16, "Heartbeat", True, b'{"currentTime":null}', [("type", "/currentTime")]),
    (V16, "Heartbeat", True, b"null", [("required", "")]),
    (V16, "Authorize", False, b'{"idTag":"12345678901234567890"}', []),
    (V16, "Authorize", False, b'{"idTag":"123456789012345678901"}', [("max-length", "/idTag")]),
    (V16, "Authorize", False, ('{"idTag":"' + "😀" * 20 + '"}').encode(), []),
    (V16, "StopTransaction", False, STOP % (b"-1", b"100000000000000000000"), []),
    (V16, "StopTransaction", False, STOP % (b"1.0", b"2"), [("integer-as-float", "/transactionId")]),
    (V16, "StopTransaction", False, STOP % (b"1", b"1e2"), [("integer-as-float", "/meterStop")]),
    (V16, "StopTransaction", False, STOP % (b"1.5", b"true"), [("type", "/meterStop"), ("type", "/transactionId")]),
    (V16, "Reset", False, b'{"type":"soft"}', [("enum", "/type")]),
    (V16, "MeterValues", False, b'{"connectorId":1,"meterValue":[]}', []),
    (
        V16,
        "MeterValues",
        False,
        b'{"connectorId":1,"meterValue":[{"timestamp":%b,"sampledValue":[%b]}]}' % (NOW, UNITS),
        [],
    ),
    (
        V16,
        "MeterValues",
        False,
        b'{"connectorId":1,"meterValue":[{"timestamp":%b,"sampledValue":[%b,{"value":1}]}]}' % (NOW, UNITS),
        [("type", "/meterValue/0/sampledValue/3/value")],
    ),
    (V201, "BootNotification", False, b"{%b}" % BOOT, []),
    (V201, "BootNotification", False, b'{%b,"customData":{"vendorId":"v","x":{"y":[1]}}}' % BOOT, []),
    (V201, "BootNotification", False, b'{%b,"customData":{"x":1}}' % BOOT, [("required", "/customData")]),
    (V201, "BootNotification", True, b'{"status":"Accepted","interval":300.0,"currentTime":%b}' % NOW, []),
    (V201, "GetVariables", False, b'{"getVariableData":[]}', [("min-items", "/getVariableData")]),
    (V201, "Get15118EVCertificate", True, b'{"status":"Accepted","exiResponse":"%b"}' % (b"x" * 7500), []),
    (
        V201,
        "Get15118EVCertificate",
        True,
        b'{"status":"Accepted","exiResponse":"%b"}' % (b"x" * 7501),
        [("max-length", "/exiResponse")],
    ),
    (V201, "DataTransfer", False, b'{"vendorId":"v","data":[1,{"a":null}]}', []),
    (
        V201,
        "ReserveNow",
        False,
        b'{"id":1,"expiryDateTime":%b,%b}' % (NOW, TOKEN),
        [("type", "/idToken/additionalInfo/0/type")],
    ),
    (V201, "SetVariableMonitoring", False, b'{"setMonitoringData":[{"value":1e400,%b}]}' % MONITOR, []),
    (V201, "SetMonitoringLevel", False, b'{"severity":-1}', []),
    (V21, "SetMonitoringLevel", False, b'{"severity":-1}', [("minimum", "/severity")]),
    (V21, "TransactionEvent", False, EVENT % b"3", []),
    (V21, "TransactionEvent", False, EVENT % b"4", [("maximum", "/numberOfPhasesUsed")]),
    (V21, "NotifyPeriodicEventStream", False, STREAM % (NOW, b"0.5"), []),
    (V21, "NotifyPeriodicEventStream", False, STREAM % (NOW, NOW), [("type", "/data/0/t")]),
]


@pytest.mark.parametrize(("version", "action", "response", "payload", "expected"), PAYLOADS)
def test_payload(
    version: Version, action: str, response: bool, payload: bytes, expected: list[tuple[str, str]]
) -> None:
    checked = the(version, action, response)
    assert sorted(found_codes(checked, payload)) == [(f"schema.{code}", path) for code, path in expected]
    if expected:
        assert not checked.acceptors.payload.accepts(payload)


def profile(limit: str, more: str = "") -> bytes:
    return (
        '{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":'
        '"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A",'
        f'"chargingSchedulePeriod":[{{"startPeriod":0,"limit":{limit}}}]{more}}}}}}}'
    ).encode()


LIMIT = "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit"


@pytest.mark.parametrize(
    "limit", ["16", "16.0", "0.3", "1.10", "-2.7", "1e1", "12e-1", "0", "0.000", "1e400", "1e-0"]
)
def test_multiple_of_tenth(limit: str) -> None:
    assert the(V16, "SetChargingProfile").problems(profile(limit)) == ()


@pytest.mark.parametrize("limit", ["0.35", "16.01", "1e-2", "0.30000000000000004", "1e-999999999999", "123e-2"])
def test_not_multiple_of_tenth(limit: str) -> None:
    checked = the(V16, "SetChargingProfile")
    assert found_codes(checked, profile(limit)) == [("schema.multiple-of", LIMIT)]
    assert not checked.acceptors.payload.accepts(profile(limit))


def test_usual_profiles_take_the_fast_way() -> None:
    assert the(V16, "SetChargingProfile").acceptors.payload.accepts(profile("16.5"))
    assert the(V16, "SetChargingProfile").acceptors.payload.accepts(profile("16", ',"minChargingRate":8.1'))


SENTENCES = [
    (V16, "StartTransaction", b"{}", "connectorId is missing"),
    (V16, "Authorize", b'{"idTag":"1234567890123456789012345"}', "idTag has 25 characters; at most 20 are allowed"),
    (V16, "Authorize", b'{"idTag":5}', "idTag is an integer; a string is expected"),
    (V16, "Authorize", b'{"idTag":null}', "idTag is null; a string is expected; leave the element out instead"),
    (V16, "Reset", b'{"type":"hard"}', "type must be written Hard; upper and lower case matter"),
    (V16, "Reset", b'{"type":"Now"}', "type is none of: Hard, Soft"),
    (V16, "Reset", b'{"Type":"Hard"}', "the schema has no such element; it is spelled type"),
    (V201, "GetVariables", b'{"getVariableData":[]}', "getVariableData has 0 elements; at least 1 must be there"),
    (V21, "SetMonitoringLevel", b'{"severity":-1}', "severity is less than 0"),
    (V201, "GetVariables", b'{"getVariableData":[7]}', "element 0 is an integer; an object is expected"),
]


@pytest.mark.parametrize(("version", "action", "payload", "sentence"), SENTENCES)
def test_sentence(version: Version, action: str, payload: bytes, sentence: str) -> None:
    assert sentence in [problem.text for problem in the(version, action).problems(payload)]


def test_number_of_problems_is_bounded() -> None:
    many = b'{"key":[' + b"1," * 10_000 + b"1]}"
    found = the(V16, "GetConfiguration").problems(many)
    assert len(found) == conformance.MAX_SCHEMA_PROBLEMS + 1
    assert found[-1].code == "schema.more"
    unknown = json.dumps({f"x{number}": 1 for number in range(10_000)}).encode()
    assert the(V16, "Heartbeat").problems(unknown)[-1].code == "schema.more"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"vendorId":"v","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"vendorId":"v","data":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"vendorId":"v","customData":{"vendorId":"v","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"vendorId":"v","data":' + b"9" * 100_000 + b"}",
    ],
    ids=["deep", "rather deep", "deep in customData", "long number"],
)
def test_bombs(payload: bytes) -> None:
    checked = the(V201, "DataTransfer")
    assert not checked.acceptors.payload.accepts(payload)
    assert checked.problems(payload) == ()


DATE_TIMES = [
    ("2026-11-22T07:52:20Z", ""),
    ("2026-11-22T07:52:20.1Z", ""),
    ("2026-11-22T07:52:20.123456789012Z", ""),
    ("2026-11-22T07:52:20+01:00", ""),
    ("2026-11-22t07:52:20z", ""),
    ("2026-11-22 07:52:20-23:59", ""),
    ("2026-11-22T07:52:20+0100", ""),
    ("2026-11-22T07:52:20+01", ""),
    ("2026-11-22T07:52:20,5Z", ""),
    ("2016-12-31T23:59:60Z", ""),
    ("2024-02-29T00:00:00Z", ""),
    ("2026-11-22T07:52:20", "schema.datetime-no-zone"),
    ("2026-11-22 07:52:20.5", "schema.datetime-no-zone"),
    ("2023-02-29T00:00:00Z", "schema.datetime"),
    ("2026-13-01T00:00:00Z", "schema.datetime"),
    ("2026-11-22T24:00:00Z", "schema.datetime"),
    ("2026-11-22T07:60:20Z", "schema.datetime"),
    ("2026-11-22T07:52:61Z", "schema.datetime"),
    ("2026-11-22T07:52:20+24:00", "schema.datetime"),
    ("2026-11-22T07:52:20.Z", "schema.datetime"),
    ("2026-11-22T07:52Z", "schema.datetime"),
    ("2026-11-22", "schema.datetime"),
    ("0000-01-01T00:00:00Z", "schema.datetime"),
    ("\uff12026-11-22T07:52:20Z", "schema.datetime"),
    ("2026-11-22T07:52:20Z\n", "schema.datetime"),
    ("yesterday", "schema.datetime"),
    ("", "schema.datetime"),
]


@pytest.mark.parametrize(("text", "code"), DATE_TIMES)
def test_date_time(text: str, code: str) -> None:
    problem = conformance.date_time_problem(text)
    assert (problem[0] if problem else "") == code
    if code:
        assert not the(V16, "Heartbeat", True).acceptors.payload.accepts(json.dumps({"currentTime": text}).encode())


date_time_like = st.from_regex(
    r"[0-9]{3,4}-[01]?[0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,12})?"
    r"([Zz]|[+-][0-2][0-9](:?[0-6][0-9])?)?",
    fullmatch=True,
)


@given(date_time_like)
def test_what_the_compiled_decoder_takes_for_a_date_time_is_one(text: str) -> None:
    if the(V201, "Heartbeat", True).acceptors.payload.accepts(b'{"currentTime":"%s"}' % text.encode()):
        assert conformance.date_time_problem(text) is None


# -- tolerated deviations


@pytest.mark.parametrize("row", overlay.TOLERANCES, ids=lambda row: f"{row.name}/{row.path}/{row.keyword}")
def test_tolerance_reaches_its_schema(row: overlay.Tolerance) -> None:
    patched = overlay.apply(row.version, row.name, schemas.load(row.version, row.name))
    element = overlay._element(patched, row.path)
    if row.value is None:
        assert row.keyword not in element
    elif isinstance(row.value, list):
        assert set(row.value) <= set(element[row.keyword])
        assert len(set(element[row.keyword])) == len(element[row.keyword])
    else:
        assert element[row.keyword] == row.value
    assert schemas.load(row.version, row.name) == json.loads(
        (schemas.directory(row.version) / f"{row.name}.json").read_text(encoding="utf-8-sig")
    )


# -- generated payloads, held against two other validators


class Instances:
    """Payloads of a schema out of a random source; every now and then, if asked, one with something wrong in it."""

    def __init__(self, schema: dict[str, Any], dice: random.Random, spoil: float) -> None:
        self.definitions = schema.get("definitions", {})
        self.dice = dice
        self.spoil = spoil
        self.schema = schema

    def text(self) -> bytes:
        return self.of(self.schema).encode("utf-8", "surrogatepass")

    def of(self, schema: dict[str, Any]) -> str:
        """The JSON text of an instance."""
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        if self.dice.random() < self.spoil:
            return self.dice.choice(SPOILERS)
        if "enum" in schema:
            return json.dumps(self.dice.choice(schema["enum"]))
        return str(getattr(self, f"_{schema.get('type', 'any')}")(schema))

    def space(self) -> str:
        return self.dice.choice([" ", "\n", "\t "]) if self.dice.random() < self.spoil else ""

    def _object(self, schema: dict[str, Any]) -> str:
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        names = [name for name in properties if name in required or self.dice.random() < 0.4]
        self.dice.shuffle(names)
        members = [(json.dumps(name), self.of(properties[name])) for name in names]
        if members and self.dice.random() < self.spoil:
            change = self.dice.randrange(4)
            if change == 0:
                members.pop()
            elif change == 1:
                members.append((members[0][0], self.of(properties[names[0]])))
            elif change == 2:
                members.append((self.dice.choice(['"zzz"', '"a:b"', '"\\u0041"', '":"']), '":"'))
            else:
                members[0] = (members[0][0].replace("e", "\\u0065"), members[0][1])
        if "additionalProperties" not in schema and self.dice.random() < 0.3:
            members.append(('"own"', '{"a":[1,"b"]}'))
        body = ",".join(f"{key}{self.space()}:{self.space()}{value}{self.space()}" for key, value in members)
        return f"{{{self.space()}{body}}}"

    def _array(self, schema: dict[str, Any]) -> str:
        least = schema.get("minItems", 0)
        count = self.dice.randint(least, min(schema.get("maxItems", least + 2), least + 2))
        if self.dice.random() < self.spoil:
            count = self.dice.choice([0, schema.get("maxItems", 1) + 1])
        return f"[{','.join(self.of(schema['items']) for _ in range(count))}]"

    def _string(self, schema: dict[str, Any]) -> str:
        if schema.get("format") == "date-time":
            if self.dice.random() < self.spoil:
                return json.dumps(self.dice.choice(DATE_TIMES)[0])
            return self.dice.choice(['"2026-11-22T07:52:20Z"', '"2026-11-22T07:52:20.984+05:30"'])
        most = min(schema.get("maxLength", 20), 30)
        text = "".join(
            self.dice.choices(
                'abc:,{[ ü😀"\\', weights=[9, 9, 9, 2, 2, 1, 1, 2, 1, 1, 0.02, 0.02], k=self.dice.randint(0, most)
            )
        )
        if "maxLength" in schema and self.dice.random() < self.spoil:
            text = "x" * (schema["maxLength"] + self.dice.randint(0, 1))
        return json.dumps(text, ensure_ascii=False)

    def _integer(self, schema: dict[str, Any]) -> str:
        least, most = int(schema.get("minimum", -5)), int(schema.get("maximum", 99999))
        if self.dice.random() < self.spoil:
            return self.dice.choice(
                [str(least - 1), str(most + 1), f"{least}.0", "1e2", "0.5", "9" * 25, "-" + "9" * 25, "-0", "true"]
            )
        return str(self.dice.randint(least, most))

    def _number(self, schema: dict[str, Any]) -> str:
        least, most = schema.get("minimum", -5), schema.get("maximum", 1000)
        if self.dice.random() < self.spoil:
            return self.dice.choice(
                [f"{least}.0000000000000000000001", f"{most}.000000000000000000001", "1e400", "-1e400", "1e-400",
                 f"{least}e0", "0.35", "1e1", "-0.0", str(most + 1), str(least - 1), "9" * 25, "1.5e300"]
            )  # fmt: skip
        return self.dice.choice(
            [str(self.dice.randint(int(least), int(most))), f"{self.dice.randint(int(least), int(most) - 1)}.5"]
        )

    def _boolean(self, _schema: dict[str, Any]) -> str:
        return self.dice.choice(["true", "false"])

    def _any(self, _schema: dict[str, Any]) -> str:
        return self.dice.choice(
            [
                "null",
                '"x"',
                '{"a":1,"b":[2]}',
                "[[[]]]",
                "5",
                '{"a":1,"a":2}',
                '":"',
                "1e6",
                "NaN",
                "[" * 70 + "]" * 70,
            ]
        )


SPOILERS = [
    *("null", "1", "1.0", "true", '"x"', '""', "[]", "{}", "[null]", '{"a":1}', "NaN", "-Infinity", "01", "tru"),
    *('"\\ud800"', '"\\u0041"', '"\\/"', '"a\tb"', '"\ufffd"', '"' + "y" * 600 + '"'),
    *('{"vendorId":"v","vendorId":"v"}', '{"vendorId":"v"}'),
]

OWN_CHECKS = {"schema.datetime", "schema.datetime-no-zone", "schema.multiple-of"}
"""What the other validators do not look at, or do in binary."""


def loads(payload: bytes) -> object:
    """As any lenient JSON parser would; the other validators can take neither lone surrogates nor infinity."""
    text = re.sub(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", b"?", payload).decode("utf-8", "replace")
    return json.loads(text, parse_float=lambda number: min(max(float(number), -1e308), 1e308))


def is_draft4(checked: Validator) -> bool:
    return "draft-04" in checked.schema["$schema"]


def without_steps(checked: Validator) -> Any:
    return json.loads(json.dumps(checked.schema).replace('"multipleOf"', '"comment"'))


def rust(checked: Validator) -> Any:
    if checked not in _RUST:
        kind = jsonschema_rs.Draft4Validator if is_draft4(checked) else jsonschema_rs.Draft6Validator
        _RUST[checked] = kind(without_steps(checked), validate_formats=False)
    return _RUST[checked]


_RUST: dict[Validator, Any] = {}


def check_against_others(checked: Validator, payload: bytes) -> tuple[bool, bool]:
    """Whether the payload is without any problem, and whether the compiled decoder took it."""
    text = b'[2,"a","Heartbeat",%s]' % payload
    message = decode_exactly(text)
    assert decode(text) == message
    found = checked.problems(payload)
    assert all(problem.code in PROBLEMS for problem in found)
    clean = not message.problems and not found
    taken = checked.acceptors.payload.accepts(payload)
    assert clean or not taken, (payload, message.problems, found)
    answer = b'[3,"a",%s]' % payload
    assert checked.acceptors.call.accepts(text) is checked.acceptors.result.accepts(answer) is taken
    assert checked.acceptors.call.declined([text, text]) == ([] if taken else [0, 1])
    try:
        value = loads(payload)
    except (ValueError, RecursionError):
        assert message.problems
        return clean, taken
    if isinstance(value, dict) and message.payload and not any(p.code == "json.nan" for p in message.problems):
        others = {problem.code for problem in found} - OWN_CHECKS
        assert rust(checked).is_valid(value) == (not others), (checked.name, payload, found)
    return clean, taken


@pytest.mark.parametrize("checked", ALL, ids=lambda checked: f"{checked.version}-{checked.name}")
def test_generated_payloads(checked: Validator) -> None:
    dice = random.Random(checked.name)
    for _ in range(8):
        payload = Instances(checked.schema, dice, 0).text()
        odd = any(mark in payload for mark in (b"\\", b'"own"', b"NaN", b'"a":1,"a":2', b"[[[[", b"1e6"))
        clean, fast = check_against_others(checked, payload)
        assert fast or odd, payload
        assert clean or odd, payload
    for spoil in (0.02, 0.05, 0.2) * 6:
        check_against_others(checked, Instances(checked.schema, dice, spoil).text())


@settings(max_examples=300)
@given(st.sampled_from(ALL), st.randoms(use_true_random=False), st.sampled_from([0.01, 0.05, 0.3]))
def test_spoilt_payloads(checked: Validator, dice: random.Random, spoil: float) -> None:
    check_against_others(checked, Instances(checked.schema, dice, spoil).text())


@pytest.mark.parametrize("payload", [b'{"t":1,"t":1e6}', b'{"t" :1,"t":":"}', b'{"t":"\\":","t":1}'])
def test_clean_text_has_no_swallowed_key(payload: bytes) -> None:
    assert not jsontext.is_clean(payload)
    assert "json.duplicate-key" in [p.code for p in decode(b'[2,"a","Heartbeat",%s]' % payload).problems]


@given(st.sampled_from(ALL), st.randoms(use_true_random=False))
def test_problems_never_repeat_a_value(checked: Validator, dice: random.Random) -> None:
    canary = "QzwXkCanary"
    payload = Instances(checked.schema, dice, 0.1).text().replace(b'"x"', b'"%s"' % canary.encode())
    payload = payload.replace(b"abc", canary.encode()).replace(b"2026-11-22T07:52:20Z", canary.encode())
    for problem in checked.problems(payload):
        assert canary.casefold() not in (problem.text + problem.path).casefold()


# -- real peers


def peer_texts(folder: Path) -> list[tuple[str, str]]:
    """(subprotocol, text) of what real stations and CSMSs said they sent."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        agreed: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["kind"] == "open" and record["text"]:
                agreed[record["cp"]] = json.loads(record["text"]).get("subprotocol") or ""
            elif record["kind"] == "msg":
                found.append((agreed.get(record["cp"], ""), record["text"]))
    return found


@pytest.mark.shared
def test_real_messages_get_the_verdict_of_the_reference_validator(shared: Path) -> None:
    actions: dict[str, str] = {}
    seen = {True: 0, False: 0}
    taken = 0
    for subprotocol, text in peer_texts(shared / "peers"):
        message = decode(text.encode())
        if message.kind == 2:
            actions[message.id] = message.action
        version = versions.version_of(subprotocol)
        action = actions.get(message.id, "")
        if message.kind not in (2, 3) or not message.payload.startswith(b"{"):
            continue
        checked = validator(version, action, message.kind == 3)
        if checked is None:
            continue
        kind = jsonschema.Draft4Validator if is_draft4(checked) else jsonschema.Draft6Validator
        others = {problem.code for problem in checked.problems(message.payload)} - OWN_CHECKS
        valid = kind(without_steps(checked)).is_valid(json.loads(message.payload))
        assert valid == (not others), (text, others)
        _, fast = check_against_others(checked, message.payload)
        seen[valid] += 1
        taken += fast
    assert seen[True] > 300
    assert seen[False] > 3
    assert taken > 0.9 * seen[True]


@pytest.mark.shared
def test_mutated_real_messages_are_never_accepted_wrongly(shared: Path) -> None:
    dice = random.Random(16)
    accepted = 0
    for _, original in peer_texts(shared / "peers"):
        text = bytearray(original.encode())
        for _ in range(dice.randint(0, 2)):
            at = dice.randrange(len(text) + 1)
            text[at : at + dice.randint(0, 2)] = dice.choice(
                [b"", b'"', b":", b"\\", b"0", b",", b" ", b"\xff", text[:at]]
            )
        head = match_head(bytes(text))
        if head is None:
            continue
        payload = bytes(text[head[3] : -1])
        message = decode_exactly(bytes(text))
        for checked in filter(None, (validator(version, head[2]) for version in versions.COVERED)):
            if checked.acceptors.payload.accepts(payload):
                accepted += 1
                assert not message.problems
                assert not checked.problems(payload)
                assert (message.kind, message.id, message.action, message.payload) == (*head[:3], payload)
    assert accepted > 100


# --- many messages at once ------------------------------------------------------------------------------------------

BEATS = [b'[3,"%d",{"currentTime":"2026-11-22T12:00:%02dZ"}]' % (n, n % 60) for n in range(150)]
STATUS = b'[3,"x",{"status":"Accepted"}]'


def test_declined_names_the_right_ones_of_many() -> None:
    accepts = the(V16, "Heartbeat", True).acceptors.result
    assert accepts.declined(BEATS) == []
    assert accepts.declined([]) == []
    spoilt = list(BEATS)
    for place in (0, 63, 64, 149):
        spoilt[place] = STATUS
    assert accepts.declined(spoilt) == [0, 63, 64, 149]


TOGETHER = [
    # texts of which none is valid alone, but which read as JSON when they are put together
    [b'[3,"a",{"currentTime":"2026-11-22T12:00:00Z"}],[3,"b",{"currentTime":"2026-11-22T12:00:00Z"}]', b"[]"],
    [b'[3,"a",{"currentTime":"2026]', b'[-11-22T12:00:00Z"}]'],
    [b'[3,"a",{"currentTime":"2026-11-22T12:00:00Z"}]\n[3,"b",{"currentTime":"2026-11-22T12:00:00Z"}]', b"[]"],
    [b'[3,"a",{"status":"Accepted","currentTime":"2026-11-22T12:00:00Z"}]', STATUS],
    [b'[3,"a",{"currentTime":"2026-11-22T12:00:00Z","currentTime":"2026-11-22T12:00:00Z"}]', BEATS[0]],
    [b'[3,"a",{"currentTime":"2026-11-22T12:00:0\\u0030Z"}]', BEATS[0]],
    [b'[3,"a",{"currentTime":"2026-11-22T12:00:00Z"},7]', BEATS[0]],
]


@pytest.mark.parametrize("texts", TOGETHER)
def test_texts_are_judged_one_by_one(texts: list[bytes]) -> None:
    accepts = the(V16, "Heartbeat", True).acceptors.result
    assert accepts.declined(texts) == [place for place, text in enumerate(texts) if not accepts.accepts(text)]
    assert 0 in accepts.declined(texts)


def test_payloads_are_known_within_bounds() -> None:
    accepts = Acceptors(the(V16, "ChangeAvailability", True).schema).result
    assert accepts.learns('{"status":"Accepted"}]')
    assert accepts.known == {'{"status":"Accepted"}]'}
    assert not accepts.learns('{"status":"Perhaps"}]')
    for spaces in range(2 * MAX_SHORT):
        text = b'[3,"a",{%s"status":"Accepted"}]' % (b" " * spaces)
        assert _learns(accepts, text) == (len(text) - 7 <= MAX_SHORT)
    assert all(len(short) <= MAX_SHORT for short in accepts.known)


def _learns(accepts: Acceptor, text: bytes) -> bool:
    ((_, _, _, short),) = heads([text])
    return short != "" and accepts.learns(short)


def test_only_so_many_payloads_are_known() -> None:
    accepts = Acceptors(the(V16, "StartTransaction", True).schema).result
    known = 0
    for number in range(2 * MAX_KNOWN):
        known += _learns(accepts, b'[3,"a",{"transactionId":%d,"idTagInfo":{"status":"Blocked"}}]' % number)
    assert known == 0  # too long
    accepts = Acceptors(the(V201, "GetTransactionStatus", True).schema).result
    texts = [b'[3,"a",{"messagesInQueue":%s}]' % (b" " * spaces + b"true") for spaces in range(MAX_SHORT)]
    assert sum(_learns(accepts, text) for text in texts) < MAX_KNOWN
