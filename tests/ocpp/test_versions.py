"""The tables of versions against the schema files, and what they say about a message."""

import pytest

from ocppscope.model import Kind, Side, Version
from ocppscope.ocpp import schemas, versions
from ocppscope.ocpp.versions import ACTIONS, EITHER, action_problems, error_code_problems, guess

V16, V201, V21 = versions.COVERED
STATION, CSMS = Side


@pytest.mark.parametrize(("version", "actions", "files"), [(V16, 39, 78), (V201, 64, 128), (V21, 91, 181)])
def test_actions_are_those_of_the_schema_files(version: Version, actions: int, files: int) -> None:
    names = {path.stem for path in schemas.directory(version).glob("*.json")}
    assert len(ACTIONS[version]) == actions
    assert len(names) == files
    used = {
        found.name
        for action in ACTIONS[version]
        for response in (False, True)
        if (found := schemas.validator(version, action, response)) is not None
    }
    assert used == names


def test_later_version_keeps_the_senders() -> None:
    assert ACTIONS[V201].items() <= ACTIONS[V21].items()


@pytest.mark.parametrize(
    ("version", "action", "senders"),
    [
        (V16, "Heartbeat", {STATION}),
        (V16, "SignCertificate", {STATION}),
        (V16, "CertificateSigned", {CSMS}),
        (V16, "RemoteStartTransaction", {CSMS}),
        (V16, "DataTransfer", EITHER),
        (V201, "TransactionEvent", {STATION}),
        (V201, "GetVariables", {CSMS}),
        (V201, "DataTransfer", EITHER),
        (V21, "NotifyPeriodicEventStream", {STATION}),
        (V21, "VatNumberValidation", {STATION}),
        (V21, "AFRRSignal", {CSMS}),
    ],
)
def test_senders(version: Version, action: str, senders: set[Side]) -> None:
    assert ACTIONS[version][action] == senders


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("ocpp1.2", Version.V12),
        ("ocpp1.5", Version.V15),
        ("ocpp1.6", V16),
        ("ocpp2.0", Version.V20),
        ("ocpp2.0.1", V201),
        ("ocpp2.1", V21),
    ],
)
def test_subprotocols(name: str, version: Version) -> None:
    assert versions.version_of(name) is version


@pytest.mark.parametrize("name", [None, "", "OCPP1.6", "ocpp2", "ocpp2.0.1 ", "mqtt"])
def test_other_subprotocols(name: str | None) -> None:
    assert versions.version_of(name) is Version.UNKNOWN


ERROR_CODES = [
    (V16, "FormationViolation", []),
    (V16, "OccurenceConstraintViolation", []),
    (V16, "GenericError", []),
    (V16, "FormatViolation", ["ocpp.error-code-spelling"]),
    (V16, "OccurrenceConstraintViolation", ["ocpp.error-code-spelling"]),
    (V16, "RpcFrameworkError", ["ocpp.error-code-version"]),
    (V16, "genericerror", ["ocpp.error-code"]),
    (V16, "", ["ocpp.error-code"]),
    (V201, "FormatViolation", []),
    (V201, "OccurrenceConstraintViolation", []),
    (V21, "MessageTypeNotSupported", []),
    (V201, "FormationViolation", ["ocpp.error-code-spelling"]),
    (V21, "OccurenceConstraintViolation", ["ocpp.error-code-spelling"]),
    (V21, "Teapot", ["ocpp.error-code"]),
    (Version.V15, "FormationViolation", []),
    (Version.UNKNOWN, "FormatViolation", []),
    (Version.UNKNOWN, "Teapot", ["ocpp.error-code"]),
]


@pytest.mark.parametrize(("version", "code", "expected"), ERROR_CODES)
def test_error_codes(version: Version, code: str, expected: list[str]) -> None:
    found = error_code_problems(version, code)
    assert [problem.code for problem in found] == expected
    assert all("Teapot" not in problem.text for problem in found)


def test_both_spellings_are_explained() -> None:
    assert versions.explain_error("FormatViolation") == versions.explain_error("FormationViolation") != ""
    assert versions.explain_error("Teapot") == ""


MESSAGES = [
    (V16, STATION, Kind.CALL, "Heartbeat", []),
    (V16, CSMS, Kind.CALL, "Heartbeat", ["ocpp.wrong-sender"]),
    (V16, STATION, Kind.CALL, "heartbeat", ["ocpp.action-case"]),
    (V16, STATION, Kind.CALL, "TransactionEvent", ["ocpp.unknown-action"]),
    (V16, STATION, Kind.CALL, "transactionevent", ["ocpp.unknown-action"]),
    (V16, STATION, Kind.CALL, "Teapot", ["ocpp.unknown-action"]),
    (V16, STATION, Kind.CALL, "", []),
    (V16, STATION, Kind.SEND, "Heartbeat", ["ocpp.message-type-version"]),
    (V201, STATION, Kind.CALLRESULTERROR, "", ["ocpp.message-type-version"]),
    (V21, STATION, Kind.CALLRESULTERROR, "", []),
    (V21, STATION, Kind.SEND, "NotifyPeriodicEventStream", []),
    (V21, STATION, Kind.CALL, "NotifyPeriodicEventStream", ["ocpp.action-kind"]),
    (V21, CSMS, Kind.SEND, "Heartbeat", ["ocpp.action-kind", "ocpp.wrong-sender"]),
    (V201, CSMS, Kind.CALLRESULT, "Heartbeat", []),
    (Version.V15, CSMS, Kind.CALL, "Heartbeat", []),
    (Version.UNKNOWN, CSMS, Kind.CALL, "Teapot", []),
]


@pytest.mark.parametrize(("version", "side", "kind", "action", "expected"), MESSAGES)
def test_actions(version: Version, side: Side, kind: Kind, action: str, expected: list[str]) -> None:
    found = action_problems(version, side, kind, action)
    assert [problem.code for problem in found] == expected
    assert all("eapot" not in problem.text for problem in found)


def test_unknown_action_names_the_versions_that_have_it() -> None:
    (problem,) = action_problems(V16, STATION, Kind.CALL, "TransactionEvent")
    assert "OCPP 2.0.1 and 2.1" in problem.text


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("StartTransaction", {V16}),
        ("TransactionEvent", {V201, V21}),
        ("BatterySwap", {V21}),
        ("Heartbeat", {V16, V201, V21}),
        ("Teapot", set()),
    ],
)
def test_guess(action: str, expected: set[Version]) -> None:
    assert guess(action) == expected
