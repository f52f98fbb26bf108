"""What the schemas say about elements, for all of them and for some that are known."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Version
from ocppscope.ocpp import versions
from ocppscope.ocpp.describe import MAX_POINTER_DEPTH, RATE_UNIT, Facts, describe
from ocppscope.ocpp.schemas import load, validator

V16, V201, V21 = versions.COVERED
SAMPLED = "/meterValue/0/sampledValue/3"


def facts(version, action, pointer, response=False):
    found = describe(version, action, response)
    assert found is not None
    return found(pointer)


@pytest.mark.parametrize(
    ("version", "action", "pointer", "response", "expected"),
    [
        (V16, "BootNotification", "/chargePointVendor", False, {"type": "string", "max_length": 20}),
        (V16, "BootNotification", "/iccid", False, {"required": False, "max_length": 20}),
        (V16, "BootNotification", "/status", True, {"enum": ("Accepted", "Pending", "Rejected")}),
        (V16, "BootNotification", "/interval", True, {"type": "integer", "unit": "s"}),
        (V16, "StartTransaction", "/meterStart", False, {"unit": "Wh", "required": True}),
        (V16, "StartTransaction", "/timestamp", False, {"type": "string", "format": "date-time"}),
        (V16, "StartTransaction", "", False, {"type": "object", "required": True}),
        (V16, "MeterValues", "/meterValue", False, {"type": "array", "required": True}),
        (V16, "MeterValues", "/meterValue/17", False, {"type": "object", "required": False}),
        (V16, "MeterValues", f"{SAMPLED}/value", False, {"type": "string", "required": True, "unit": ""}),
        (V16, "SetChargingProfile", "/csChargingProfiles/chargingSchedule/duration", False, {"unit": "s"}),
        (V201, "TransactionEvent", "/transactionInfo/timeSpentCharging", False, {"unit": "s", "type": "integer"}),
        (V201, "TransactionEvent", f"{SAMPLED}/value", False, {"type": "number", "required": True, "unit": ""}),
        (V201, "TransactionEvent", f"{SAMPLED}/unitOfMeasure/multiplier", False, {"type": "integer", "unit": ""}),
        (V201, "TransactionEvent", "/transactionInfo/transactionId", False, {"max_length": 36, "required": True}),
        (V201, "TransactionEvent", "/cableMaxCurrent", False, {"unit": "A"}),
        (V201, "NotifyEVChargingNeeds", "/chargingNeeds/acChargingParameters/energyAmount", False, {"unit": "Wh"}),
        (V201, "NotifyEVChargingNeeds", "/chargingNeeds/dcChargingParameters/evMaxVoltage", False, {"unit": "V"}),
        (V201, "NotifyEVChargingNeeds", "/chargingNeeds/dcChargingParameters/evMaxPower", False, {"unit": "W"}),
        (V201, "NotifyEVChargingNeeds", "/chargingNeeds/dcChargingParameters/fullSoC", False, {"unit": "%"}),
        (V21, "TransactionEvent", "/eventType", False, {"enum": ("Ended", "Started", "Updated")}),
        (V21, "NotifyPeriodicEventStream", "/pending", False, {"type": "integer"}),
        (V21, "SetChargingProfile", "/chargingProfile/chargingSchedule/0/signatureId", False, {"unit": ""}),
        (V201, "NotifyMonitoringReport", "/monitor/0/variableMonitoring/0/value", False, {"unit": ""}),
    ],
)  # fmt: skip
def test_known_elements(version, action, pointer, response, expected):
    found = facts(version, action, pointer, response)
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("version", "action", "pointer"),
    [
        (V16, "SetChargingProfile", "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit"),
        (V16, "SetChargingProfile", "/csChargingProfiles/chargingSchedule/minChargingRate"),
        (V201, "SetChargingProfile", "/chargingProfile/chargingSchedule/0/minChargingRate"),
        (V21, "SetChargingProfile", "/chargingProfile/chargingSchedule/0/chargingSchedulePeriod/0/limit"),
    ],
)
def test_a_unit_that_another_element_says(version, action, pointer):
    assert facts(version, action, pointer).unit == RATE_UNIT


@pytest.mark.parametrize(
    "pointer",
    ["/nothing", "/meterValue/x", "/meterValue/0/0", "/connectorId/0", "/meterValue//value", "/" * 100, "/a~1b"],
)
def test_what_the_schema_does_not_have(pointer):
    assert facts(V16, "MeterValues", pointer) is None


def test_what_no_schema_covers():
    assert describe(Version.V15, "Heartbeat") is None
    assert describe(V16, "FlyToTheMoon") is None
    assert describe(V21, "NotifyPeriodicEventStream", response=True) is None


def elements(schema, element, pointer=""):
    """All elements of a schema with the name of the property that they are."""
    if "$ref" in element:
        element = schema["definitions"][element["$ref"].rpartition("/")[2]]
    yield pointer, element
    if pointer.count("/") > 6:
        return
    for name, inner in element.get("properties", {}).items():
        yield from elements(schema, inner, f"{pointer}/{name}")
    if "items" in element:
        yield from elements(schema, element["items"], f"{pointer}/0")


@pytest.mark.parametrize("version", versions.COVERED)
def test_every_element_of_every_schema(version):
    """Walks the installed files, which the lookup finds by pointer."""
    units = Counter()
    for action in versions.ACTIONS[version]:
        for response in (False, True):
            found = validator(version, action, response)
            if found is None:
                continue
            schema = load(version, found.name)
            for pointer, element in elements(schema, schema):
                said = facts(version, action, pointer, response)
                assert said.type == element.get("type", "")
                assert set(said.enum) >= set(element.get("enum", ()))
                units[said.unit] += bool(said.unit)
    known = {"s", "Wh", RATE_UNIT} if version is V16 else {"s", "Wh", "W", "A", "V", "%", RATE_UNIT}
    assert known <= set(+units) <= known | {"VA", "var", "Hz", "kWh"}


@given(st.text("abc/~01 \x00", max_size=80), st.integers(0, 2 * MAX_POINTER_DEPTH))
def test_any_pointer(token, depth):
    found = facts(V201, "TransactionEvent", f"/{token}" * depth)
    assert found is None or isinstance(found, Facts)


def test_enums_of_tolerances_are_shown_too():
    assert "Celcius" in facts(V16, "MeterValues", f"{SAMPLED}/unit").enum
