"""Rules about what is not encrypted: they need TCP, which no conversation written as text has."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import Finding, Severity
from ocppscope.model import ConnectionClosed, ConnectionOpened, Event, Transport, TransportSide

PRIVATE, PUBLIC, LOCAL = (
    "10.0.0.5:40000 -> 10.0.0.9:80",
    "10.0.0.5:40000 -> 93.184.216.34:80",
    "127.0.0.1:40000 -> 127.0.0.1:80",
)
SET_KEY = """
10:01:00.000 CP-1 ← [2,"1","ChangeConfiguration",{"key":"AuthorizationKey",
    "value":"3031323334353637383961626364656667686970"}]
10:01:00.050 CP-1 → [3,"1",{"status":"Accepted"}]
"""
SET_PASSWORD = (
    """
10:01:00.000 CP-1 ← [2,"1","SetVariables",{"setVariableData":[{"attributeValue":"abcdefghijklmnop","""
    """"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]
10:01:00.050 CP-1 → [3,"1",{"setVariableResult":[{"attributeStatus":"Accepted","""
    """"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]
"""
)
INSTALL = """
10:01:00.000 CP-1 ← [2,"1","InstallCertificate",{"certificateType":"CentralSystemRootCertificate","certificate":"x"}]
10:01:00.050 CP-1 → [3,"1",{"status":"Accepted"}]
"""


def over_tcp(events: Iterable[Event]) -> list[Event]:
    """As if the connections had been captured as packets."""
    transport = Transport((TransportSide(), TransportSide()))
    return [
        replace(event, connection=replace(event.connection, transport=transport))
        if isinstance(event, ConnectionOpened | ConnectionClosed)
        else event
        for event in events
    ]


def findings(text: str, rule: str, *, tcp: bool = True) -> list[Finding]:
    events = play(text)
    diagnosis = Diagnosis()
    diagnosis.take(over_tcp(events) if tcp else events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return [one for one in diagnosis.findings() if one.rule == rule]


def opened(way: str, version: str = "ocpp1.6") -> str:
    return f"10:00:00.000 CP-1 → OPEN {version} {way}"


def behind_proxy(header: str) -> str:
    """An upgrade that a proxy passes on."""
    return f"""10:00:00.000 CP-1 → GET /ocpp/CP-1 HTTP/1.1
    ...
    Sec-WebSocket-Protocol: ocpp1.6
    {header}
10:00:00.010 CP-1 ← HTTP/1.1 101 Switching Protocols
    ...
    Sec-WebSocket-Protocol: ocpp1.6"""


def test_fires_plaintext_public() -> None:
    (found,) = findings(opened(PUBLIC) + INSTALL, "plaintext-public")
    assert found.severity is Severity.WARNING
    assert "CSMS" in found.text
    assert "93.184" not in found.text


@pytest.mark.parametrize(
    "way", [PRIVATE, LOCAL, "[fd00::1]:40000 -> [fd00::2]:80", "100.64.3.4:40000 -> 10.0.0.9:80"]
)
def test_silent_plaintext_public(way: str) -> None:
    assert not findings(opened(way) + INSTALL, "plaintext-public")


def test_silent_plaintext_public_of_a_log() -> None:
    assert not findings(opened(PUBLIC) + INSTALL, "plaintext-public", tcp=False)


@pytest.mark.parametrize(("version", "said"), [("ocpp1.6", SET_KEY), ("ocpp2.0.1", SET_PASSWORD)])
def test_fires_authkey_cleartext(version: str, said: str) -> None:
    (found,) = findings(opened(PRIVATE, version) + said, "authkey-cleartext")
    assert found.severity is Severity.ERROR
    assert "3031" not in repr(found)
    assert "abcdef" not in repr(found)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (opened(LOCAL), SET_KEY),
        (behind_proxy("X-Forwarded-Proto: https"), SET_KEY),
        (behind_proxy('Forwarded: for="1.2.3.4";proto=https;by=10.0.0.1'), SET_KEY),
        (opened(PRIVATE), SET_KEY.replace("AuthorizationKey", "HeartbeatInterval")),
    ],
)
def test_silent_authkey_cleartext(start: str, said: str) -> None:
    assert not findings(start + said, "authkey-cleartext")


def test_forwarded_plain_is_in_the_clear() -> None:
    assert findings(behind_proxy("X-Forwarded-Proto: http") + SET_KEY, "authkey-cleartext")


def test_fires_cert_ops_unsecured() -> None:
    (found,) = findings(opened(PRIVATE) + INSTALL, "cert-ops-unsecured")
    assert found.severity is Severity.WARNING


def test_silent_cert_ops_unsecured() -> None:
    assert not findings(opened(LOCAL) + INSTALL, "cert-ops-unsecured")
    assert not findings(opened(PRIVATE) + INSTALL, "cert-ops-unsecured", tcp=False)


def upgrade(time: str, password: str) -> str:
    return f"""{time}.000 CP-1 → GET /ocpp/CP-1 HTTP/1.1
    ...
    Sec-WebSocket-Protocol: ocpp1.6
    Authorization: Basic {password}
{time}.010 CP-1 ← HTTP/1.1 101 Switching Protocols
    ...
    Sec-WebSocket-Protocol: ocpp1.6"""


OLD = "Q1AtMTphYmNkZWZnaGlqa2xtbm9w"  # CP-1:abcdefghijklmnop, 16 bytes
NEW = "Q1AtMTowMTIzNDU2Nzg5YWJjZGVmZ2hpcA=="  # 20 bytes, as SET_KEY says in hex
AGAIN = "\n10:01:05.000 CP-1 → CLOSE 1000\n10:01:05.000 CP-1 → CLOSED FIN\n"


def test_fires_authkey_not_applied_by_its_length() -> None:
    (found,) = findings(upgrade("10:00:00", OLD) + SET_KEY + AGAIN + upgrade("10:01:10", OLD), "authkey-not-applied")
    assert "16 bytes" in found.text


def test_silent_authkey_not_applied_with_the_new_length() -> None:
    text = upgrade("10:00:00", OLD) + SET_KEY + AGAIN + upgrade("10:01:10", NEW)
    assert not findings(text, "authkey-not-applied")


def test_silent_authkey_not_applied_in_a_log() -> None:
    text = upgrade("10:00:00", OLD) + SET_KEY + AGAIN + upgrade("10:01:10", OLD)
    assert not findings(text, "authkey-not-applied", tcp=False)
