"""The heart: something unique in each field that must be redacted, and none of it survives, wherever it stands."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re

import pytest

from ocppscope.model import Kind, Message, Side, Version
from ocppscope.ocpp.versions import COVERED
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor
from support_canaries import Canaries, canaries, survivors
from support_payloads import SUBJECTS, Leaf, Subject, fill

KEY = b"k" * 32


def redacted(text: bytes, version: Version, kind: Kind, action: str) -> bytes:
    return Redactor(Policy(KEY)).message_text(text, version=version, kind=kind, action=action)


@pytest.mark.parametrize("version", COVERED)
def test_there_are_canaries(version):
    """If nothing were planted, every test below would pass."""
    planted = [len(canaries(one)[1]) for one in SUBJECTS if one.version is version]
    assert sum(planted) > {Version.V16: 50, Version.V201: 150, Version.V21: 250}[version]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_in_a_message(subject):
    payload, planted = canaries(subject)
    text = subject.message(payload)
    shown = redacted(text, subject.version, subject.kind, subject.action)
    assert survivors(shown, planted) == []
    assert json.loads(shown)[0] == int(subject.kind)


def as_signed(payload: str) -> str:
    encoded = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    return json.dumps({"payload": encoded, "protected": "e30", "signature": "c2ln"})


WRAPPED = {
    "of another version": lambda s, p: (s.message(p), Version.V15, s.kind, s.action),
    "of no version": lambda s, p: (s.message(p), Version.UNKNOWN, s.kind, s.action),
    "of an unknown call": lambda s, p: (s.message(p), s.version, s.kind, "" if s.response else s.action),
    "indented": lambda s, p: (s.message(json.dumps(json.loads(p), indent=2)), s.version, s.kind, s.action),
    "with escapes": lambda s, p: (s.message(escaped(p)), s.version, s.kind, s.action),
    "as a string": lambda s, p: (s.message(json.dumps(p)), s.version, s.kind, s.action),
    "in DataTransfer": lambda s, p: (
        f'[2,"m","DataTransfer",{{"vendorId":"v","data":{json.dumps(p)}}}]'.encode(),
        s.version,
        Kind.CALL,
        "DataTransfer",
    ),
    "as data of an answer": lambda s, p: (
        f'[3,"m",{{"status":"Accepted","data":{json.dumps(json.dumps([p]))}}}]'.encode(),
        s.version,
        Kind.CALLRESULT,
        "DataTransfer",
    ),
    "in error details": lambda s, p: (
        f'[4,"m","InternalError","",{{"request":{p}}}]'.encode(),
        s.version,
        Kind.CALLERROR,
        s.action,
    ),
    "in an error description": lambda s, p: (
        f'[4,"m","InternalError",{json.dumps(p)},{{}}]'.encode(),
        s.version,
        Kind.CALLERROR,
        s.action,
    ),
    "twice": lambda s, p: (s.message(p) + s.message(p), s.version, s.kind, s.action),
    "in no array": lambda s, p: (p.encode(), s.version, Kind.UNPARSED, ""),
    "not closed": lambda s, p: (s.message(p)[:-3], s.version, s.kind, s.action),
    "with garbage before": lambda s, p: (b"[2," + s.message(p)[1:], s.version, s.kind, s.action),
}
"""Where a payload may stand besides."""


def escaped(payload: str) -> str:
    """Every third letter of the strings as an escape."""
    return re.sub(r'(?<=[A-Za-z])([A-Za-z])(?=[A-Za-z]*[^"]*")', lambda m: f"\\u{ord(m[1]):04x}", payload)


PLAIN = [one for one in SUBJECTS if canaries(one)[1]]


@pytest.mark.parametrize("wrap", WRAPPED)
def test_wherever_it_stands(wrap):
    for subject in PLAIN:
        payload, planted = canaries(subject)
        text, version, kind, action = WRAPPED[wrap](subject, payload)
        left = survivors(plain(redacted(text, version, kind, action)), planted)
        if wrap in OWNERLESS:
            left = [one for one in left if one not in known_by_type(subject)]
        assert left == [], (str(subject), left)


def plain(text: bytes) -> bytes:
    """With the escapes of JSON undone, so that nothing hides in them."""
    return re.sub(rb"\\+u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)).encode(), text)


OWNERLESS = set(WRAPPED) - {"indented", "with escapes", "as a string", "twice", "not closed"}


def known_by_type(subject: Subject) -> set[str]:
    """What only the types of the schema tell: the texts of customers whose element is called `data`."""
    found = Canaries(str(subject))
    kept: set[str] = set()

    def text(leaf: Leaf) -> str:
        before = len(found.planted)
        made = found.text(leaf)
        if (leaf.owner, leaf.name) == ("NotifyCustomerInformation", "data"):
            kept.update(found.planted[before:])
        return made

    fill(subject, text, number=73_519)
    return kept


@pytest.mark.parametrize("at", [0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
def test_in_a_cut_text(at):
    """A canary that is cut is looked for as far as it goes."""
    for subject in PLAIN:
        payload, planted = canaries(subject)
        text = subject.message(payload)
        text = text[: int(len(text) * at)]
        shown = redacted(text, subject.version, subject.kind, subject.action)
        assert survivors(shown, planted) == []
        tail = text[-6:].decode("utf-8", "replace")
        if any(one.find(tail) > 0 for one in planted):
            assert tail.encode() not in shown, str(subject)


BROKEN = {
    "a quote is missing": lambda text, rng: remove(text, rng, b'"'),
    "a colon is missing": lambda text, rng: remove(text, rng, b":"),
    "a comma is missing": lambda text, rng: remove(text, rng, b","),
    "a brace is missing": lambda text, rng: remove(text, rng, b"{"),
    "a brace too many": lambda text, rng: remove(text, rng, b"}"),
    "single quotes": lambda text, _: text.replace(b'"', b"'"),
    "no quotes": lambda text, _: text.replace(b'"', b""),
    "a control character": lambda text, rng: insert(text, rng, b"\x01"),
    "an odd byte": lambda text, rng: insert(text, rng, b"\xff"),
}


def remove(text: bytes, rng: random.Random, what: bytes) -> bytes:
    places = [at for at in range(len(text)) if text[at : at + 1] == what]
    at = rng.choice(places)
    return text[:at] + text[at + 1 :]


def insert(text: bytes, rng: random.Random, what: bytes) -> bytes:
    at = rng.randrange(12, len(text))
    return text[:at] + what + text[at:]


@pytest.mark.parametrize("how", BROKEN)
def test_in_a_malformed_text(how):
    rng = random.Random(how)
    for subject in PLAIN:
        payload, planted = canaries(subject)
        text = BROKEN[how](subject.message(payload), rng)
        shown = redacted(text, subject.version, subject.kind, subject.action)
        assert survivors(shown, planted) == [], (str(subject), text)


SETTINGS = [
    (Version.V16, '[2,"m","ChangeConfiguration",{"key":"NAME","value":"VALUE"}]', Kind.CALL, "ChangeConfiguration"),
    (Version.V16, '[2,"m","ChangeConfiguration",{"value":"VALUE","key":"NAME"}]', Kind.CALL, "ChangeConfiguration"),
    (
        Version.V16,
        '[3,"m",{"configurationKey":[{"key":"NAME","readonly":false,"value":"VALUE"}]}]',
        Kind.CALLRESULT,
        "GetConfiguration",
    ),
    (
        Version.V201,
        '[2,"m","SetVariables",{"setVariableData":[{"component":{"name":"SecurityCtrlr"},"variable":{"name":"NAME"},'
        '"attributeValue":"VALUE"}]}]',
        Kind.CALL,
        "SetVariables",
    ),
    (
        Version.V21,
        '[3,"m",{"getVariableResult":[{"attributeStatus":"Accepted","attributeValue":"VALUE","component":{"name":"X"},'
        '"variable":{"name":"NAME"}}]}]',
        Kind.CALLRESULT,
        "GetVariables",
    ),
    (
        Version.V201,
        '[2,"m","NotifyReport",{"requestId":1,"generatedAt":"2026-01-01T00:00:00Z","seqNo":0,"reportData":[{"component":'
        '{"name":"X"},"variable":{"name":"NAME"},"variableAttribute":[{"value":"VALUE"}]}]}]',
        Kind.CALL,
        "NotifyReport",
    ),
    (
        Version.V201,
        '[2,"m","NotifyEvent",{"generatedAt":"2026-01-01T00:00:00Z","seqNo":0,"eventData":[{"eventId":1,"timestamp":'
        '"2026-01-01T00:00:00Z","trigger":"Delta","actualValue":"VALUE","eventNotificationType":"HardWiredNotification",'
        '"component":{"name":"X"},"variable":{"name":"NAME"}}]}]',
        Kind.CALL,
        "NotifyEvent",
    ),
    (Version.UNKNOWN, '[3,"m",{"configurationKey":[{"key":"NAME","value":"VALUE"}]}]', Kind.CALLRESULT, ""),
    (
        Version.V16,
        '[2,"m","DataTransfer",{"vendorId":"v","data":{"settings":[{"name":"NAME","value":"VALUE"}]}}]',
        Kind.CALL,
        "DataTransfer",
    ),
]
SETTING_NAMES = [
    "AuthorizationKey", "BasicAuthPassword", "SIM_PIN", "SimPin", "ApnPassword", "VpnPassword", "WifiPsk", "apiToken",
    "ClientSecret", "SIM_ICCID", "MSISDN", "Latitude", "MasterPassGroupId", "GpsAddress",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
@pytest.mark.parametrize("name", SETTING_NAMES)
def test_values_of_keys_and_variables(setting, name):
    version, form, kind, action = setting
    canary = "Zq7xW9pK2mL4vB8n"
    text = form.replace("NAME", name).replace("VALUE", canary)
    shown = redacted(text.encode(), version, kind, action)
    assert canary.encode() not in shown
    assert name.encode() in shown
    json.loads(shown)


def test_signed_messages_are_opened():
    inner = '{"idTag":"04A1B2C3D4E5F6"}'
    text = f'[2,"m","Authorize-Signed",{as_signed(inner)}]'.encode()
    shown = redacted(text, Version.V16, Kind.CALL, "Authorize")
    body = json.loads(shown)[3]
    signed = json.loads(base64.urlsafe_b64decode(body["payload"] + "=="))
    assert signed["idTag"] != "04A1B2C3D4E5F6"
    assert len(signed["idTag"]) == 14
    assert body["protected"] == "e30"
    assert body["signature"] == "sha256:" + hashlib.sha256(b"sig").hexdigest()


def test_sim_pin_is_a_number_and_blank():
    text = b'[2,"m","SetNetworkProfile",{"connectionData":{"apn":{"simPin":73519}}}]'
    shown = json.loads(redacted(text, Version.V201, Kind.CALL, "SetNetworkProfile"))
    assert shown[3]["connectionData"]["apn"]["simPin"] == 0


def test_in_events():
    payload = b'[2,"m","Authorize",{"idTag":"04A1B2C3D4E5F6"}]'
    event = Message(1, 0, 0, Side.STATION, Kind.CALL, "m", "Authorize", payload, 99, (1,))
    shown = Redactor(Policy(KEY)).event(event)
    assert isinstance(shown, Message)
    assert b"04A1B2C3D4E5F6" not in shown.text
    assert (shown.id, shown.action, shown.packets, len(shown.text)) == ("m", "Authorize", (1,), len(payload))


def test_binary_is_blind():
    text = b"\x00\x01secret 04A1B2C3\xff"
    shown = redacted(text, Version.V16, Kind.UNPARSED, "")
    assert b"04A1" not in shown
    assert b"secret" not in shown
    assert len(shown) == len(text)
