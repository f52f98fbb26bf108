"""The version of a connection without a handshake, message by message."""

import pytest

from ocppscope.model import Kind, Version
from ocppscope.ocpp import guess
from ocppscope.ocpp.guess import VersionGuess

UNKNOWN, V16, V201, V21 = Version.UNKNOWN, Version.V16, Version.V201, Version.V21
CALL, RESULT = Kind.CALL, Kind.CALLRESULT

BOOT_16 = b'{"chargePointVendor":"v","chargePointModel":"m"}'
BOOT_2 = b'{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}'
STATUS_16 = b'{"connectorId":1,"errorCode":"NoError","status":"Available"}'
TIME = b'{"currentTime":"2026-11-22T07:52:20Z"}'

CONVERSATIONS = [
    ([], UNKNOWN),
    ([(CALL, "Heartbeat", b"{}")], UNKNOWN),
    ([(RESULT, "", TIME)], UNKNOWN),
    ([(RESULT, "Heartbeat", TIME)], UNKNOWN),
    ([(Kind.UNPARSED, "", b"")], UNKNOWN),
    ([(Kind.CALLERROR, "Heartbeat", b"")], UNKNOWN),
    ([(CALL, "Teapot", b"{}")], UNKNOWN),
    ([(CALL, "StartTransaction", b"{}")], V16),
    ([(CALL, "TransactionEvent", b"{}")], V201),
    ([(CALL, "BootNotification", BOOT_16)], V16),
    ([(CALL, "BootNotification", BOOT_2)], V201),
    ([(CALL, "BootNotification", BOOT_16[:-1] + b',"extra":1}')], V16),
    ([(CALL, "BootNotification", BOOT_2[:-1] + b',"extra":1}')], V201),
    ([(CALL, "BootNotification", b"not json")], UNKNOWN),
    ([(CALL, "StatusNotification", STATUS_16)], V16),
    ([(RESULT, "Authorize", b'{"idTagInfo":{"status":"Accepted"}}')], V16),
    ([(CALL, "Heartbeat", b"{}"), (CALL, "BootNotification", BOOT_2), (CALL, "BatterySwap", b"{}")], V21),
    ([(Kind.SEND, "NotifyPeriodicEventStream", b"{}")], V21),
    ([(Kind.CALLRESULTERROR, "", b"")], V21),
    (
        [(CALL, "BootNotification", BOOT_2), (CALL, "Authorize", b'{"idToken":{"idToken":"x","type":"MyOwnType"}}')],
        V21,
    ),
    ([(CALL, "StartTransaction", b"{}"), (CALL, "TransactionEvent", b"{}")], V16),
]


@pytest.mark.parametrize(("conversation", "expected"), CONVERSATIONS)
def test_guess(conversation: list[tuple[Kind, str, bytes]], expected: Version) -> None:
    guessed = VersionGuess()
    for kind, action, payload in conversation:
        guessed.feed(kind, action, payload)
    assert guessed.version is expected


def test_a_faulty_message_of_2_does_not_choose_between_2_0_1_and_2_1() -> None:
    guessed = VersionGuess()
    guessed.feed(CALL, "BootNotification", b'{"reason":"Boredom","chargingStation":{"model":"m"}}')
    assert guessed.candidates == {V201, V21}


def test_work_is_bounded_and_then_only_actions_count() -> None:
    guessed = VersionGuess()
    for _ in range(guess.MAX_CHECKS):
        guessed.feed(CALL, "Heartbeat", b"{}")
    assert guessed.feed(CALL, "BootNotification", BOOT_16) is UNKNOWN
    assert guessed.feed(CALL, "StopTransaction", b"{}") is V16
    assert guessed.settled
