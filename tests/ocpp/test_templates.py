"""Templates: valid for every schema, as short as it lets them be."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from ocppscope.model import Side, Version
from ocppscope.ocpp.schemas import load, validator
from ocppscope.ocpp.templates import CUSTOM, SOME_TIME, calls_to, options, template, text
from ocppscope.ocpp.versions import ACTIONS, SEND_ACTIONS

COVERED = [
    pytest.param(version, action, response, id=f"{version}-{action}{'-answer' * response}")
    for version, table in ACTIONS.items()
    for action in table
    for response in (False, True)
    if validator(version, action, response)
]
NOW = "2026-11-22T10:00:00Z"


@pytest.mark.parametrize(("version", "action", "response"), COVERED)
def test_a_template_is_valid(version, action, response):
    found = validator(version, action, response)
    for everything in (False, True):
        made = json.dumps(template(version, action, response, everything=everything)).encode()
        assert found.problems(made) == ()
        assert jsonschema_rs.validator_for(load(version, found.name)).is_valid(json.loads(made))


def members(value, path=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}/{name}"
            yield from members(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from members(inner, f"{path}/{at}")


def without(value, pointer):
    """A copy without one member."""
    copy = json.loads(json.dumps(value))
    *way, last = pointer.split("/")[1:]
    inner = copy
    for name in way:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    del inner[last]
    return copy


@pytest.mark.parametrize(("version", "action", "response"), COVERED)
def test_nothing_in_a_template_can_be_left_out(version, action, response):
    found, made = validator(version, action, response), template(version, action, response)
    spare = [one for one in members(made) if not found.problems(json.dumps(without(made, one)).encode())]
    assert spare == []


@pytest.mark.parametrize(("version", "action", "response"), COVERED)
def test_what_is_left_out_is_listed(version, action, response):
    if response:
        return
    listed, least = [one.pointer for one in options(version, action)], set(members(template(version, action)))
    full = set(members(template(version, action, everything=True)))
    assert not least & set(listed)
    assert set(listed) <= full
    assert all(one in least or any(one == way or one.startswith(f"{way}/") for way in listed) for one in full)
    assert not any(CUSTOM in one for one in listed)
    assert not any(one.facts.required for one in options(version, action))


def test_a_template_over_several_lines():
    assert text(Version.V16, "Reset") == '{\n  "type": "Soft"\n}'
    assert json.loads(text(Version.V16, "Heartbeat")) == {}
    assert json.loads(text(Version.V201, "BootNotification")) == {
        "chargingStation": {"model": "Model", "vendorName": "Vendor"},
        "reason": "PowerUp",
    }
    assert json.loads(text(Version.V201, "BootNotification", everything=True))["chargingStation"]["modem"]


def test_the_time_is_the_one_that_is_given():
    assert template(Version.V16, "StartTransaction", time=NOW)["timestamp"] == NOW
    assert template(Version.V16, "StartTransaction")["timestamp"] == SOME_TIME


@pytest.mark.parametrize(
    ("version", "action"), [(Version.UNKNOWN, "Reset"), (Version.V15, "Reset"), (Version.V16, "Rset")]
)
def test_what_no_schema_covers(version, action):
    assert template(version, action) is None
    assert text(version, action) == "{}"
    assert options(version, action) == ()


def test_what_a_setting_is_set_to():
    assert template(Version.V16, "ChangeConfiguration") == {"key": "HeartbeatInterval", "value": "300"}
    assert template(Version.V201, "SetVariables")["setVariableData"] == [
        {
            "attributeValue": "300",
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "HeartbeatInterval"},
        }
    ]


def test_calls_to_a_side():
    station, csms = calls_to(Version.V16, Side.STATION), calls_to(Version.V16, Side.CSMS)
    assert "Reset" in station
    assert "Reset" not in csms
    assert "DataTransfer" in station
    assert "DataTransfer" in csms
    assert list(station) == sorted(station)
    assert set(station) | set(csms) == set(ACTIONS[Version.V16])
    assert not set(calls_to(Version.V21, Side.CSMS)) & SEND_ACTIONS[Version.V21]
    everyones = set(calls_to(Version.UNKNOWN, Side.STATION))
    assert set(station) <= everyones
    assert "SetVariables" in everyones
