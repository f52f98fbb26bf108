"""Bounds of what the proxy is told, holds and says, reached one by one."""

from __future__ import annotations

import asyncio
import random

import pytest
from playbook import CSMS, STATION, Playbook, noted, received, sent, told

from ocppscope.control import Held, Said, Tiding
from ocppscope.model import Kind
from ocppscope.proxy import relay
from ocppscope.proxy.editing import MAX_POINTER_DEPTH, Change, EditError, changed, steps
from ocppscope.proxy.hello import MAX_NAME, host_name
from ocppscope.proxy.policy import MAX_HELD, MAX_HELD_BYTES, Policy, Room

BEAT = '[2,"h1","Heartbeat",{}]'


# --- what is held ---------------------------------------------------------------------------------------------------


def taken(size: int) -> int:
    """How many messages of a size find room, and as many again once they went."""
    room, count = Room(), 0
    while count <= MAX_HELD and room.take(size):
        count += 1
    for _ in range(count):
        room.give_back(size)
    assert all(room.take(size) for _ in range(count))
    assert not room.take(size)
    return count


def test_messages_that_wait():
    """MAX_HELD messages, MAX_HELD_BYTES of them."""
    assert taken(1) == taken(MAX_HELD_BYTES // MAX_HELD) == MAX_HELD
    assert taken(MAX_HELD_BYTES // 4) == 4
    assert taken(MAX_HELD_BYTES // 4 + 1) == 3
    assert taken(MAX_HELD_BYTES + 1) == 0


@pytest.mark.parametrize(
    ("count", "size", "is_held"),
    [(MAX_HELD - 1, 1, True), (MAX_HELD, 1, False), (1, MAX_HELD_BYTES - 1, False), (1, MAX_HELD_BYTES - 1000, True)],
)
def test_a_message_for_which_there_is_no_room_passes_and_that_is_recorded(count: int, size: int, is_held: bool):
    policy = Policy(chance=random.Random(1))
    policy.intercept("Heartbeat")
    assert all(policy.room.take(size) for _ in range(count))
    seen = (noted(STATION, "held"), told(Held)) if is_held else (sent(CSMS, BEAT, "expired"),)
    Playbook(policy).play(received(STATION, BEAT), *seen)


# --- what is edited -------------------------------------------------------------------------------------------------


def test_steps_of_a_pointer():
    """MAX_POINTER_DEPTH; a longer one is refused in words."""
    longest = "/a" * MAX_POINTER_DEPTH
    value = '{"a":' * MAX_POINTER_DEPTH + "1" + "}" * MAX_POINTER_DEPTH
    text = f'[2,"1","X",{value}]'
    assert changed(text, Kind.CALL, [Change(steps(longest), 2)]) == text.replace(":1}", ":2}")
    with pytest.raises(EditError, match="no JSON pointer that can be used"):
        steps(longest + "/a")


# --- names ----------------------------------------------------------------------------------------------------------


def test_characters_of_a_name():
    """MAX_NAME: a longer one is none, so that the station is shown the usual certificate."""
    longest = ".".join(["a" * 63] * 4)[:MAX_NAME]
    assert host_name(longest) == longest
    assert host_name(longest + ".") == longest
    assert host_name(longest + "b") is None


# --- trouble --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [3, relay.MAX_COMPLAINTS - 1, relay.MAX_COMPLAINTS, 500])
def test_kinds_of_trouble_that_are_told(kinds: int):
    """MAX_COMPLAINTS, each once; of more it is told that there are none told."""
    heard: list[Tiding] = []

    async def complain() -> None:
        relay.complain_to(heard.append)
        for _ in range(3):
            for number in range(kinds):
                asyncio.get_running_loop().call_exception_handler({"message": f"trouble {number}"})

    asyncio.run(complain())
    most = relay.MAX_COMPLAINTS
    expected = [f"The proxy had trouble: trouble {number}." for number in range(min(kinds, most))]
    expected += ["Trouble of further kinds is not told."] * (kinds >= most)
    assert [one.text for one in heard if isinstance(one, Said)] == expected
