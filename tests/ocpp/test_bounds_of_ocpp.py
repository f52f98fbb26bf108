"""How much a problem repeats of what a peer or a schema says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from conversation import play
from ocppscope.model import Kind, Message, Problem, Version
from ocppscope.ocpp import codec
from ocppscope.ocpp.conformance import MAX_VALUES_LISTED, Checker
from ocppscope.ocpp.jsontext import MAX_NAME_SHOWN
from ocppscope.ocpp.schemas import directory, load


def problems(action: str, payload: str) -> list[Problem]:
    """Those of a CALL of a station."""
    events = play(f'10:00:00 CP-1 -> OPEN ocpp1.6\n10:00:01 CP-1 -> [2,"1","{action}",{payload}]')
    (message,) = (event for event in events if isinstance(event, Message))
    return list(message.problems)


def test_values_that_are_listed():
    """MAX_VALUES_LISTED: the values of a longer list are counted."""
    found = problems("StatusNotification", '{"connectorId":1,"errorCode":"No","status":"Faulted"}')
    assert found[0].text.count(",") == 15
    sampled = '{"value":"1","measurand":"No"}'
    stamp = '"timestamp":"2026-11-22T10:00:00Z"'
    found = problems("MeterValues", f'{{"connectorId":1,"meterValue":[{{{stamp},"sampledValue":[{sampled}]}}]}}')
    assert [problem.text for problem in found] == ["measurand is none of the 22 allowed values"]


def enums(schema: object) -> Iterator[list[str]]:
    """The lists of allowed values anywhere in a schema."""
    members = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
        yield schema["enum"]
    for member in members:
        yield from enums(member)


def test_no_list_of_any_schema_is_repeated_that_is_longer():
    sizes = set()
    for version in (Version.V16, Version.V201, Version.V21):
        for file in directory(version).glob("*.json"):
            for allowed in enums(load(version, file.stem)):
                (found,) = Checker({"type": "string", "enum": allowed}).problems("\0")
                counts = f"is none of the {len(allowed)} allowed values" in found.text
                assert counts == (len(allowed) > MAX_VALUES_LISTED)
                assert counts or all(value in found.text for value in allowed)
                sizes.add(len(allowed))
    assert min(sizes) <= MAX_VALUES_LISTED < max(sizes)
    assert MAX_VALUES_LISTED in sizes


def test_names_that_are_shown():
    """MAX_NAME_SHOWN: a longer name of an element is cut in the path of a problem, and marked."""
    for size in (MAX_NAME_SHOWN, MAX_NAME_SHOWN + 1, 1 << 17):
        name = "n" * size
        shown = "/" + "n" * MAX_NAME_SHOWN + ("…" if size > MAX_NAME_SHOWN else "")
        assert [problem.path for problem in problems("Heartbeat", json.dumps({name: 1}))] == [shown]
        twice = problems("Heartbeat", f'{{"{name}":1,"{name}":2}}')
        assert [problem.code for problem in twice] == ["json.duplicate-key", "schema.additional"]
        assert {problem.path for problem in twice} == {shown}


@pytest.mark.parametrize(
    ("count", "said"), [(5, "5 elements; "), (15, "15 elements; "), (16, "16 elements or more; ")]
)
@pytest.mark.parametrize("more", [0, 1, 100_000])
def test_elements_of_the_outer_array(count: int, said: str, more: int):
    """MAX_PARTS: further ones are not read, whatever they are; that there are is said, and the message is there."""
    assert codec.MAX_PARTS == 16
    more = more if count == codec.MAX_PARTS else 0
    found = codec.decode(b'[2,"a","Heartbeat",{}' + b",1" * (count - 4) + b",?" * more + b"]")
    assert (found.kind, found.id, found.action) == (Kind.CALL, "a", "Heartbeat")
    assert [one.text for one in found.problems if one.code == "ocpp.arity"] == [f"{said}a CALL has 4"]
    assert [one.code for one in found.problems] == ["ocpp.arity"]
