"""What a redacted message still is: as valid and as malformed as before, but for what had to go."""

from __future__ import annotations

import json
import random
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.model import Kind, Version
from ocppscope.ocpp import codec, schemas
from ocppscope.redaction.payloads import MAX_NESTED
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.quick import MAX_EXCHANGED
from ocppscope.redaction.redactor import Redactor
from ocppscope.redaction.spans import MAX_SPAN_DEPTH
from support_payloads import SUBJECTS, Leaf, Subject, fill

KEY = b"k" * 32
POLICIES = [
    Policy(KEY),
    Policy(KEY, equipment=False, network=False, signed_metering=False),
    Policy(KEY, free_text=True, shift_ns=-86_400_000_000_000),
]
ALPHABET = 'ABCDEFabcdef0123456789 -:/.@"\\éß漢'
PIECES = [
    "ftp://u:p@h.de/x.zip?t=1",
    "89490200001234567890",
    "a@b.de",
    "10.1.2.3",
    "-----BEGIN X-----\nAA\n-----END X-----",
]


def redact(text: bytes, version: Version, kind: Kind, action: str, policy: Policy = POLICIES[0]) -> bytes:
    return Redactor(policy).message_text(text, version=version, kind=kind, action=action)


def some_text(leaf: Leaf, rng: random.Random) -> str | None:
    """Mostly within the limit, sometimes at it, sometimes beyond."""
    if rng.random() < 0.1 and leaf.path.count("/") == 1:
        return None
    if leaf.schema.get("format") == "date-time":
        return rng.choice(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123+01:00", "2026-01-02 03:04", "yesterday"])
    limit = leaf.schema.get("maxLength", 60)
    size = rng.choice([0, 1, 3, limit - 1, limit, limit, limit + 1, rng.randrange(1, limit + 1)])
    made = rng.choice(["", rng.choice(PIECES)]) + "".join(rng.choice(ALPHABET) for _ in range(min(size, 300)))
    return made.ljust(size, "x")[: max(size, 0)]


def codes(subject: Subject, payload: str) -> list[tuple[str, str]]:
    found = schemas.validator(subject.version, subject.action, subject.response)
    assert found is not None
    return [(one.code, one.path) for one in found.problems(payload.encode())]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_payload_is_as_valid_as_before(subject):
    rng = random.Random(str(subject))
    for _ in range(3):
        payload = json.dumps(
            fill(subject, lambda leaf: some_text(leaf, rng), custom=True), ensure_ascii=rng.random() < 0.5
        )
        text = subject.message(payload)
        for policy in POLICIES:
            shown = redact(text, subject.version, subject.kind, subject.action, policy)
            after = shown.decode()[len(text) - len(payload.encode()) - 1 : -1]
            assert codes(subject, after) == codes(subject, payload)


@pytest.mark.parametrize("subject", SUBJECTS[::7], ids=str)
def test_everything_outside_of_strings_stays(subject):
    rng = random.Random(str(subject))
    value = fill(subject, lambda leaf: some_text(leaf, rng), custom=True)
    text = subject.message(json.dumps(value, indent=rng.choice([None, 1, 4])))
    shown = redact(text, subject.version, subject.kind, subject.action)
    assert skeleton(shown) == skeleton(text)


def skeleton(text: bytes) -> str:
    """A text without what its strings say; of numbers that they are numbers."""
    without = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text.decode("utf-8", "surrogateescape"))
    return re.sub(r"-?\d[\d.eE+-]*", "0", without)


def test_only_the_tokens_concerned_change():
    text = (
        b'[ 2 ,"id" , "StartTransaction",\t{"connectorId":1.0e0,"idTag" :"04A1B2C3", '
        b'"idTag":"\\u0030X","meterStart":NaN} ]  x'
    )
    shown = redact(text, Version.V16, Kind.CALL, "StartTransaction")
    pattern = (
        rb'\[ 2 ,"id" , "StartTransaction",\t\{"connectorId":1\.0e0,"idTag" :"0[0-9][A-F][0-9][A-F][0-9][A-F][0-9]", '
        rb'"idTag":"0[A-Z]","meterStart":NaN\} \]  x'
    )
    assert re.fullmatch(pattern, shown)


ODD = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"[2]",
    b'[2,"a"',
    b'[2,"a","Heartbeat",{}] [3,"b",{}]',
    b'\xef\xbb\xbf[2,"a","Heartbeat",{}]',
    b'[2,"a","Heartbeat",null]',
    b'[2,1,"Heartbeat",{}]',
    b'["2","a","Heartbeat",{}]',
    b'[2.0,"a","Heartbeat",{}]',
    b'[9,"a","Heartbeat",{}]',
    b'[2,"a","Heartbeat",{},1]',
    b'[2,"a",{}]',
    b'[4,"a","GenericError"]',
    b'[4,"a",1,2,3]',
    b'[2,"a","Heartbeat",{"a":1,"a":2}]',
    b'[2,"a","Heartbeat",{"a":"\xff"}]',
    b'[2,"a","Heartbeat",{"a":"\\ud800"}]',
    b'[2,"a","Heartbeat",{"a":"\x01"}]',
    b'[2,"a","Heartbeat","{}"]',
    b'[2,"a","Heartbeat",' + b"[" * 90 + b"]" * 90 + b"]",
    b'[2,"a","Authorize",{"idTag":5}]',
    b'[2,"a","Authorize",{"idtag":"ABC"}]',
    b'[2,"a","authorize",{"idTag":"ABCD1"}]',
    b'[3,"a","x",{}]',
    b'[2,"","Heartbeat",{}]',
    b'[2,"a","Heartbeat",{"a":NaN}]',
    b'[2,"a","Heartbeat",{"a":tru',
    b'[2,"a","Authorize",{"idTag":"ABCDE12345',
    b"Hello",
    b'{"a":1}',
    b"[2,'a','Heartbeat',{}]",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("policy", POLICIES[:2])
def test_what_is_wrong_with_a_text_stays_wrong_with_it(text, policy):
    before, after = codec.decode(text), codec.decode(redact(text, Version.V16, Kind.CALL, "", policy))
    assert [(one.code, one.path) for one in after.problems] == [(one.code, one.path) for one in before.problems]
    assert (after.kind, after.id) == (before.kind, before.id)


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes(data):
    redact(data, Version.V16, Kind.UNPARSED, "")
    redact(b'[2,"a","DataTransfer",' + data, Version.V21, Kind.CALL, "DataTransfer")


@settings(max_examples=200)
@given(st.text(st.sampled_from('[]{},:"\\ 2ab0é'), max_size=60))
def test_redacted_twice_is_redacted(text):
    one = Redactor(POLICIES[0])
    shown = one.message_text(text.encode(), version=Version.UNKNOWN, kind=Kind.UNPARSED, action="")
    assert len(shown.decode()) >= 0
    assert one.message_text(shown, version=Version.UNKNOWN, kind=Kind.UNPARSED, action="") is not None


def test_blanks_fingerprints_and_urls_stay_when_redacted_again():
    text = (
        b'[2,"a","SetNetworkProfile",{"configurationSlot":1,"connectionData":{"ocppCsmsUrl":"wss://user:geheim@x.acme.com/a?t=5",'
        b'"apn":{"apnPassword":"geheim-12345"}},'
        b'"x":"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"}]'
    )
    one = Redactor(Policy(KEY, network=False, equipment=False))
    shown = one.message_text(text, version=Version.V201, kind=Kind.CALL, action="SetNetworkProfile")
    again = Redactor(Policy(KEY, network=False)).message_text(
        shown, version=Version.V201, kind=Kind.CALL, action="SetNetworkProfile"
    )
    first, second = (json.loads(each)[3]["connectionData"] for each in (shown, again))
    assert first["apn"] == second["apn"] == {"apnPassword": "*** (8-15)"}
    assert second["ocppCsmsUrl"].endswith("?***")
    assert second["ocppCsmsUrl"].startswith("wss://***:***@")


def test_one_value_has_one_pseudonym_in_every_place():
    one = Redactor(POLICIES[0])

    def shown(text: str, version: Version, kind: Kind, action: str) -> Any:
        return json.loads(one.message_text(text.encode(), version=version, kind=kind, action=action))

    tag = "04A1B2C3D4"
    first = shown(f'[2,"1","Authorize",{{"idTag":"{tag}"}}]', Version.V16, Kind.CALL, "Authorize")[3]["idTag"]
    second = shown(
        f'[2,"1","StartTransaction",{{"idTag":"{tag.lower()}"}}]', Version.V16, Kind.CALL, "StartTransaction"
    )
    third = shown(f'[3,"1",{{"idTagInfo":{{"parentIdTag":"{tag}"}}}}]', Version.V16, Kind.CALLRESULT, "Authorize")
    fourth = shown(
        f'[2,"1","Authorize",{{"idToken":{{"idToken":"{tag}","type":"ISO14443"}}}}]',
        Version.V201,
        Kind.CALL,
        "Authorize",
    )
    fifth = shown(
        f'[2,"1","DataTransfer",{{"vendorId":"v","data":"swiped {tag} twice"}}]',
        Version.V16,
        Kind.CALL,
        "DataTransfer",
    )
    assert second[3]["idTag"] == first.lower()
    assert third[2]["idTagInfo"]["parentIdTag"] == first
    assert fourth[3]["idToken"]["idToken"] == first
    assert fifth[3]["data"] == f"swiped {first} twice"
    assert one.station(tag) == first


def test_meters_and_what_they_sign():
    sample = '{"value":"%s","format":"%s","location":"Outlet"}'
    value = '{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[%s,%s]}'
    form = f'[2,"1","MeterValues",{{"connectorId":1,"meterValue":[{value}]}}]'
    text = form % (sample % ("OCMF|{}|ab", "SignedData"), sample % ("1234.5", "Raw"))
    shown = json.loads(redact(text.encode(), Version.V16, Kind.CALL, "MeterValues"))
    signed, raw = shown[3]["meterValue"][0]["sampledValue"]
    assert (signed["value"], signed["location"]) == ("*** (8-15)", "Outlet")
    assert raw == {"value": "1234.5", "format": "Raw", "location": "Outlet"}


def test_times_are_shifted_in_every_place():
    one = Policy(KEY, shift_ns=3_600_000_000_000)
    text = b'[2,"1","DataTransfer",{"vendorId":"v","data":"{\\"at\\":\\"2026-01-01T23:30:00.50+01:00\\"} "}]'
    shown = json.loads(redact(text, Version.V16, Kind.CALL, "DataTransfer", one))
    assert shown[3]["data"] == '{"at":"2026-01-02T00:30:00.50+01:00"} '


@pytest.mark.parametrize("depth", [MAX_NESTED - 1, MAX_NESTED + 2])
def test_json_in_json_is_bounded(depth):
    inner = '{"idTag":"QWERTZUIOP12"}'
    for _ in range(depth):
        inner = json.dumps({"data": inner})[:20_000]
    shown = redact(
        f'[2,"1","DataTransfer",{{"data":{json.dumps(inner)}}}]'.encode(), Version.V16, Kind.CALL, "DataTransfer"
    )
    assert b"QWERTZUIOP12" not in shown


def test_deep_nesting_is_bounded():
    deep = '{"a":' * (MAX_SPAN_DEPTH * 3) + '{"idTag":"QWERTZUIOP12"}' + "}" * (MAX_SPAN_DEPTH * 3)
    shown = redact(f'[2,"1","DataTransfer",{{"data":{deep}}}]'.encode(), Version.V16, Kind.CALL, "DataTransfer")
    assert b"QWERTZUIOP12" not in shown


HOSTILE = {
    "brackets": b"[" * 500_000,
    "braces": b'{"a":' * 100_000,
    "quotes": b'"' * 500_000,
    "backslashes": b'["' + b"\\" * 500_000,
    "commas": b"[" + b"," * 500_000,
    "colons": b'{"a"' + b":" * 500_000,
    "keys": b"{" + b'"idTag":' * 60_000,
    "long tag": b'[2,"a","Authorize",{"idTag":"' + b"A1" * 250_000 + b'"}]',
    "long url": b'[2,"a","UpdateFirmware",{"location":"ftp://' + b"a/" * 250_000 + b'"}]',
    "userinfo": b'[2,"a","UpdateFirmware",{"location":"ftp://' + b"a@" * 250_000 + b'"}]',
    "certificate": b'[2,"a","CertificateSigned",{"certificateChain":"' + b"-----BEGIN X-----" * 30_000 + b'"}]',
    "names": b'[2,"a","DataTransfer",{"data":{' + b",".join(b'"k%d":"v"' % n for n in range(30_000)) + b"}}]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_come_to_an_end(name):
    shown = redact(HOSTILE[name], Version.V16, Kind.CALL, "")
    assert len(shown) < 2 * len(HOSTILE[name])


def test_names_of_unknown_elements_are_searched():
    text = b'[2,"1","DataTransfer",{"vendorId":"v","data":{"joe@acme.de":1,"ok":2}}]'
    shown = redact(text, Version.V201, Kind.CALL, "DataTransfer")
    assert json.loads(shown)[3]["data"] == {"***": 1, "ok": 2}


def test_what_stays_as_it_is_is_the_same_object():
    text = b'[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
    assert redact(text, Version.V16, Kind.CALL, "StatusNotification") is text


def test_the_quick_look_agrees_with_the_long_one():
    for subject in SUBJECTS:
        rng = random.Random(str(subject))
        text = subject.message(json.dumps(fill(subject, partial(some_text, rng=rng))))
        quick = redact(text, subject.version, subject.kind, subject.action)
        assert redact(text + b" []", subject.version, subject.kind, subject.action) == quick + b" []"


def test_many_values_are_exchanged_the_long_way():
    tags = [f"TAG{number:05}" for number in range(MAX_EXCHANGED + 5)]
    entries = ",".join(f'{{"idTag":"{tag}"}}' for tag in tags)
    text = f'[2,"1","SendLocalList",{{"listVersion":1,"updateType":"Full","localAuthorizationList":[{entries}]}}]'
    shown = redact(text.encode(), Version.V16, Kind.CALL, "SendLocalList")
    assert [tag for tag in tags if tag.encode() in shown] == []
    assert len(shown) == len(text)
