"""An add-on may decide anything and break anything: messages pass all the same, and the user is told once."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playbook import (
    CSMS,
    STATION,
    Playbook,
    closed,
    finished,
    noted,
    passed,
    received,
    sent,
    told,
    was_reset,
)

from ocppscope.control import Held, Said
from ocppscope.errors import UsageError
from ocppscope.proxy.addon import MAX_COMPLAINTS, SLOW_NS, AddOn, load_addon
from ocppscope.proxy.policy import Policy

BEAT = '[2,"h1","Heartbeat",{}]'
BEATEN = '[3,"h1",{"currentTime":"2026-11-22T10:00:00Z"}]'


def playbook(function, intercept: str = "", **options) -> Playbook:
    policy = Policy((AddOn("addon.py", function, **options),), chance=random.Random(3))
    policy.intercept(intercept)
    return Playbook(policy)


def test_what_an_add_on_sees():
    seen = []
    playbook(seen.append).play(
        received(STATION, BEAT), sent(CSMS, BEAT), passed(0.5), received(CSMS, BEATEN), sent(STATION, BEATEN),
        received(STATION, "garbage"), sent(CSMS, "garbage"), received(STATION, b"\xff"), sent(CSMS, b"\xff"),
    )  # fmt: skip
    call, answer, garbage, binary = seen
    assert (call.station, call.connection, call.version) == ("CP-1", 3, "1.6")
    assert (call.side, call.kind, call.action, call.id, call.text) == ("station", "CALL", "Heartbeat", "h1", BEAT)
    assert (call.payload, call.latency, call.problems) == ({}, None, ())
    assert (answer.side, answer.kind, answer.action, answer.latency) == ("csms", "CALLRESULT", "Heartbeat", 0.5)
    assert answer.payload == {"currentTime": "2026-11-22T10:00:00Z"}
    assert answer.payload is answer.payload
    assert (garbage.kind, garbage.payload) == ("UNPARSED", None)
    assert garbage.problems
    assert binary.text == "\ufffd"


def test_forward_passes_by_the_intercept_filter():
    playbook(lambda seen: seen.forward(), "Heartbeat").play(received(STATION, BEAT), sent(CSMS, BEAT))
    playbook(lambda seen: None, "Heartbeat").play(received(STATION, BEAT), noted(STATION, "held"), told(Held))


def test_decisions():
    playbook(lambda seen: seen.drop()).play(received(STATION, BEAT), noted(STATION, "dropped"))
    playbook(lambda seen: seen.answer({"a": 1})).play(
        received(STATION, BEAT), noted(STATION, "dropped"), sent(STATION, '[3,"h1",{"a":1}]', "injected")
    )
    playbook(lambda seen: seen.error("GenericError", "no", {"b": 2})).play(
        received(STATION, BEAT),
        noted(STATION, "dropped"),
        sent(STATION, '[4,"h1","GenericError","no",{"b":2}]', "injected"),
    )
    playbook(lambda seen: seen.edit(seen.payload | {"x": [1]})).play(
        received(STATION, BEAT), sent(CSMS, '[2,"h1","Heartbeat",{"x":[1]}]', "edited")
    )
    playbook(lambda seen: seen.edit(text="é\ud800")).play(received(STATION, BEAT), sent(CSMS, "é?", "edited"))
    playbook(lambda seen: seen.hold()).play(received(STATION, BEAT), noted(STATION, "held"), told(Held))
    playbook(lambda seen: seen.delay(1.5)).play(
        received(STATION, BEAT), passed(1.4), passed(0.2), sent(CSMS, BEAT, "delayed")
    )
    playbook(lambda seen: seen.duplicate()).play(
        received(STATION, BEAT), sent(CSMS, BEAT), sent(CSMS, BEAT, "duplicated")
    )
    playbook(lambda seen: seen.cut()).play(
        received(STATION, BEAT), noted(STATION, "cut-off"), was_reset(STATION), was_reset(CSMS)
    )
    playbook(lambda seen: seen.cut("close")).play(
        received(STATION, BEAT), noted(STATION, "cut-off"), closed(STATION, 1001), closed(CSMS, 1001),
        finished(STATION), finished(CSMS),
    )  # fmt: skip


def leave(seen):
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda seen: 1 / 0, "ZeroDivisionError"),
        (leave, "SystemExit"),
        (lambda seen: "drop", "returned str"),
        (lambda seen: seen.edit({"a": object()}), "nothing that JSON can hold"),
        (lambda seen: seen.cut("softly"), "RST, FIN or close"),
        (lambda seen: seen.delay("long"), "ValueError"),
        (lambda seen: seen.delay(float("nan")), "ValueError"),
        (lambda seen: seen.nothing, "AttributeError"),
        (lambda: None, "TypeError"),
    ],
)
def test_whatever_goes_wrong_messages_pass(function, words):
    book = playbook(function).play(
        received(STATION, BEAT), sent(CSMS, BEAT), told(Said), received(STATION, BEAT), sent(CSMS, BEAT)
    )
    (said,) = book.tidings
    assert words in said.text


def test_only_a_call_is_answered():
    book = playbook(lambda seen: seen.answer({})).play(received(CSMS, "x"), sent(STATION, "x"), told(Said))
    assert "only a CALL" in book.tidings[0].text


def test_complaints_have_a_bound():
    numbers = iter(range(1000))

    def message(seen):
        raise type(f"Error{next(numbers)}", (Exception,), {})

    book = playbook(message)
    for _ in range(MAX_COMPLAINTS + 5):
        book.say(STATION, BEAT)
    assert len(book.tidings) == MAX_COMPLAINTS


def test_a_slow_add_on_is_said():
    times = iter([0, SLOW_NS, 0, SLOW_NS + 1])
    book = playbook(lambda seen: None, clock=lambda: next(times))
    book.play(received(STATION, BEAT), sent(CSMS, BEAT), received(STATION, BEAT), sent(CSMS, BEAT), told(Said))
    assert "50 ms" in book.tidings[0].text


# --- files ----------------------------------------------------------------------------------------------------------


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "addon.py"
    path.write_text(text)
    return path


def test_a_file_is_loaded(tmp_path):
    path = write(
        tmp_path,
        "import dataclasses\n"
        "@dataclasses.dataclass\n"
        "class Memory:\n    count: int = 0\n"
        "memory = Memory()\n"
        "def message(seen):\n"
        "    memory.count += 1\n"
        "    if memory.count > 1:\n"
        "        raise ValueError(seen.text)\n"
        "    return seen.drop()\n",
    )
    book = Playbook(Policy((load_addon(path),)))
    book.play(
        received(STATION, BEAT), noted(STATION, "dropped"), received(STATION, BEAT), sent(CSMS, BEAT), told(Said)
    )
    assert "line 9: ValueError" in book.tidings[0].text
    assert "Heartbeat" not in book.tidings[0].text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("def message(seen:\n", "addon.py:1: "),
        ("x = 1\nraise ValueError('x')\n", "addon.py:2: ValueError"),
        ("import sys\nsys.exit(3)\n", "addon.py:2: SystemExit"),
        ("import no_such_module_anywhere\n", "addon.py:1: ModuleNotFoundError"),
        ("x = 1\n", "no function “message”"),
        ("message = 3\n", "no function “message”"),
    ],
)
def test_a_file_that_is_no_add_on(tmp_path, text, what):
    with pytest.raises(UsageError) as error:
        load_addon(write(tmp_path, text))
    assert what in error.value.what
    assert "message(seen)" in error.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_addon(tmp_path / "none.py")
    with pytest.raises(UsageError, match="no Python file"):
        load_addon(tmp_path / "none.txt")


def test_the_examples_of_the_manual(tmp_path):
    manual = (Path(__file__).parents[2] / "docs" / "proxy-active.md").read_text()
    boots, strict = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    boot = '[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
    booted = '[3,"b",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]'
    pending = booted.replace("Accepted", "Pending").replace("300", "10")
    book = Playbook(Policy((load_addon(write(tmp_path, boots)),)))
    for after in (booted, pending, booted):
        act = "edited" if after == pending else ""
        book.play(received(STATION, boot), sent(CSMS, boot), received(CSMS, booted), sent(STATION, after, act))
    path = tmp_path / "strict.py"
    path.write_text(strict)
    bad = '[2,"b","BootNotification",{}]'
    Playbook(Policy((load_addon(path),))).play(
        received(STATION, boot), sent(CSMS, boot), received(STATION, bad), noted(STATION, "dropped"),
        sent(STATION, '[4,"b","FormationViolation","refused by the proxy",{}]', "injected"),
    )  # fmt: skip
