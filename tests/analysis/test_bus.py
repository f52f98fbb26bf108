"""Who is told of what: by phase and action, by problem code or its beginning, by type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ocppscope.analysis import bus as bus_module
from ocppscope.analysis.bus import MAX_NAMES, Bus
from ocppscope.analysis.finding import Ref
from ocppscope.analysis.happenings import (
    Closed,
    LeftOpen,
    Objected,
    Trigger,
    answered,
    asked,
    erred,
    objected,
    slow,
    unanswered,
)
from ocppscope.model import Problem


def exchange(action: str) -> Any:
    return SimpleNamespace(action=action)


def problem(code: str) -> Objected:
    station: Any = None
    return Objected(station, None, 0, Ref(0), Problem(code, "…"), None, None, None)


def ending(kind: type[Closed | LeftOpen]) -> Closed | LeftOpen:
    station: Any = None
    return kind(station, None, 0, Ref(0))


@pytest.mark.parametrize(
    ("trigger", "phase", "action", "told"),
    [
        (asked("Heartbeat"), "asked", "Heartbeat", True),
        (asked("Heartbeat"), "asked", "heartbeat", False),
        (asked("Heartbeat"), "asked", "Heartbeats", False),
        (asked("Heartbeat", "Authorize"), "asked", "Authorize", True),
        (asked("Heartbeat"), "answered", "Heartbeat", False),
        (asked(), "asked", "whatever it is", True),
        (asked(), "asked", "", True),
        (asked(), "unanswered", "Heartbeat", False),
        (answered("Reset"), "answered", "Reset", True),
        (unanswered(), "unanswered", "Reset", True),
        (erred("Reset"), "erred", "Reset", True),
        (slow(), "erred", "Reset", False),
    ],
)
def test_exchanges_by_phase_and_action(trigger: Trigger, phase: str, action: str, told: bool) -> None:
    bus, heard = Bus(), []
    bus.subscribe(trigger, heard.append)
    x = exchange(action)
    bus.exchange(phase, x)
    assert heard == ([x] if told else [])


@pytest.mark.parametrize(
    ("trigger", "code", "told"),
    [
        (objected("json.syntax"), "json.syntax", True),
        (objected("json.syntax"), "json.syntaxes", False),
        (objected("json."), "json.syntax", True),
        (objected("json."), "jsonx", False),
        (objected("json"), "json.syntax", False),
        (objected("ws.", "json.nan"), "json.nan", True),
        (objected("ws.", "json.nan"), "json.bom", False),
        (objected(), "anything.at-all", True),
        (asked("json.syntax"), "json.syntax", False),
    ],
)
def test_problems_by_code_or_its_beginning(trigger: Trigger, code: str, told: bool) -> None:
    bus, heard = Bus(), []
    bus.subscribe(trigger, heard.append)
    bus.objection(problem(code))
    assert len(heard) == told


def test_a_problem_is_also_told_by_its_type() -> None:
    bus, heard = Bus(), []
    bus.subscribe(Objected, heard.append)
    bus.objection(problem("tcp.overlap-conflict"))
    assert [one.problem.code for one in heard] == ["tcp.overlap-conflict"]


def test_happenings_by_their_very_type() -> None:
    bus, closed, both = Bus(), [], []
    bus.subscribe(Closed, closed.append)
    bus.subscribe((Closed, LeftOpen), both.append)
    one, other = ending(Closed), ending(LeftOpen)
    bus.happens(one)
    bus.happens(other)
    assert closed == [one]
    assert both == [one, other]


def test_in_the_order_of_subscription() -> None:
    bus, heard = Bus(), []
    for name in "abc":
        bus.subscribe(asked() if name == "b" else asked("Heartbeat"), lambda _, name=name: heard.append(name))
    bus.exchange("asked", exchange("Heartbeat"))
    assert heard == ["a", "b", "c"]


def test_whoever_subscribes_late_is_told_from_then_on() -> None:
    bus, early, late = Bus(), [], []
    bus.subscribe(asked("Heartbeat"), early.append)
    bus.exchange("asked", exchange("Heartbeat"))
    bus.subscribe(asked("Heartbeat"), late.append)
    bus.exchange("asked", exchange("Heartbeat"))
    assert (len(early), len(late)) == (2, 1)


def test_names_that_the_wire_invents_are_told_but_not_all_remembered() -> None:
    bus, heard = Bus(), []
    bus.subscribe(asked(), heard.append)
    for number in range(MAX_NAMES + 50):
        bus.exchange("asked", exchange(f"Invented{number}"))
    bus.exchange("asked", exchange("Heartbeat"))
    assert len(heard) == MAX_NAMES + 51
    assert len(bus._plans["asked"]) == bus_module.MAX_NAMES
