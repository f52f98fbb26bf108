"""Which segments are looked at: flows that are new, living, dead or idle, and what is remembered of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_packets import CSMS, STATION, block, ethernet, ipv4, tcp
from upgrades import PLAIN

from ocppscope.engine import Engine
from ocppscope.wire import flows
from ocppscope.wire.flows import DEAD, IDLE, LIVE, FlowTable
from ocppscope.wire.link import ACK, FIN, PSH, RST, SYN, LinkDecoder, Segments

Piece = tuple[int, int, bytes]
"""A segment: the station's port, flags, payload."""


def segments(*pieces: Piece) -> Segments:
    packets = [
        ethernet(0x0800, ipv4(STATION, CSMS, tcp(port, 9000, flags=flags, data=data)), pad=True)
        for port, flags, data in pieces
    ]
    return LinkDecoder(1).decode(block(packets))


def named(*keys: int) -> Segments:
    """Segments of flows with keys of one's choice."""
    zeros = np.zeros(len(keys), np.int64)
    columns = dict.fromkeys(Segments._fields[4:], zeros)
    return Segments(bytes(128), np.arange(len(keys)), np.array(keys, np.uint64), zeros, **columns)


def wanted(table: FlowTable, *pieces: Piece) -> list[int]:
    return table.sift(segments(*pieces))[1].tolist()


def slot_of(table: FlowTable, port: int) -> int:
    return int(table.sift(segments((port, ACK, b"")))[0][0])


def with_state(state: int) -> FlowTable:
    """A table that knows port 1 in this state, and port 2 living."""
    table = FlowTable()
    one, two = slot_of(table, 1), slot_of(table, 2)
    table.state[one], table.state[two] = state, LIVE
    return table


# --- what is looked at ----------------------------------------------------------------------------------------------

DATA, BARE, GET = (1, ACK, b"data"), (1, ACK, b""), (1, PSH | ACK, PLAIN)
START, ANSWERED = (1, SYN, b""), (1, SYN | ACK, b"")
OTHER = (2, ACK, b"data")

WANTED = [
    (LIVE, [DATA, BARE, (1, FIN | ACK, b""), (1, RST, b"")], [0, 1, 2, 3]),
    (DEAD, [DATA, BARE, (1, FIN | ACK, b""), (1, RST, b"")], []),
    (DEAD, [GET], []),
    (DEAD, [START], [0]),
    (DEAD, [ANSWERED], [0]),
    (DEAD, [(1, SYN | FIN, b"")], [0]),
    (DEAD, [DATA, OTHER, START, BARE, GET], [0, 1, 2, 3, 4]),  # the whole flow, also before its SYN
    (DEAD, [DATA, OTHER, BARE], [1]),
    (DEAD, [DATA, (2, SYN, b""), OTHER], [1, 2]),  # another flow's SYN revives nobody else
    (IDLE, [DATA, BARE, (1, FIN | ACK, b""), (1, RST, b"")], []),
    (IDLE, [GET], [0]),
    (IDLE, [(1, ACK, b"GET ")], [0]),
    (IDLE, [(1, ACK, b"GET")], []),
    (IDLE, [(1, ACK, b"get / HTTP/1.1")], []),
    (IDLE, [(1, ACK, b" GET / HTTP/1.1")], []),
    (IDLE, [(1, ACK, b"POST / HTTP/1.1")], []),
    (IDLE, [DATA, GET, BARE, OTHER], [0, 1, 2, 3]),
    (IDLE, [START], [0]),
    (IDLE, [DATA, (2, ACK, PLAIN)], [1]),  # another flow's GET revives nobody else
]


@pytest.mark.parametrize(("state", "pieces", "expected"), WANTED)
def test_wanted(state: int, pieces: list[Piece], expected: list[int]) -> None:
    assert wanted(with_state(state), *pieces) == expected


def test_a_new_flow_is_wanted_from_its_first_segment_on() -> None:
    assert wanted(FlowTable(), DATA, BARE, OTHER) == [0, 1, 2]


def test_a_get_behind_the_last_captured_byte_is_none() -> None:
    """Four bytes that only the padding of the buffer, or the next packet, completes."""
    table = with_state(IDLE)
    packet = ethernet(0x0800, ipv4(STATION, CSMS, tcp(1, 9000, data=b"GE")))
    cut = LinkDecoder(1).decode(block([packet], around=b"T T T"))
    assert table.sift(cut)[1].tolist() == []


def test_nothing_in_nothing_out() -> None:
    slots, rows, _ = FlowTable().sift(segments())
    assert slots.tolist() == rows.tolist() == []


def test_state_belongs_to_the_flow_in_both_directions() -> None:
    table = with_state(DEAD)
    packet = ethernet(0x0800, ipv4(CSMS, STATION, tcp(9000, 1, data=b"x")))
    assert table.sift(LinkDecoder(1).decode(block([packet])))[1].tolist() == []


def test_many_flows_at_once() -> None:
    table = FlowTable()
    slots, rows, _ = table.sift(named(*range(1 << 40, (1 << 40) + 5000)))
    assert sorted(slots.tolist()) == list(range(5000))
    assert len(rows) == 5000
    assert table.seen == 5000
    again, rows, _ = table.sift(named(*range(1 << 40, (1 << 40) + 5000)))
    assert again.tolist() == slots.tolist()
    assert len(rows) == 5000


def test_slots_are_given_in_order_of_appearance() -> None:
    high, low = (1 << 63) + 5, 7
    assert FlowTable().sift(named(high, low, high, 0))[0].tolist() == [0, 1, 0, 2]


# --- the cache ------------------------------------------------------------------------------------------------------


def test_flows_with_one_place_in_the_cache_keep_their_slots() -> None:
    table = FlowTable()
    keys = [(0xABCD << 48) + i for i in range(4)]
    first = table.sift(named(*keys))[0].tolist()
    assert len(set(first)) == 4
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 3, 3], [2, 1, 2, 1]):
        assert table.sift(named(*(keys[i] for i in order)))[0].tolist() == [first[i] for i in order]
    assert table.seen == 4


def test_the_key_0_is_a_flow_as_any_other() -> None:
    table = FlowTable()
    slots = [table.sift(named(key))[0].tolist()[0] for key in (5, 0, 5, 0)]
    assert slots == [0, 1, 0, 1]


keys = st.integers(0, 6).map(lambda i: [0, 1, 2, 1 << 48, (1 << 48) + 1, 5 << 48, (1 << 64) - 1][i])


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.lists(keys, min_size=1, max_size=6), st.lists(st.sampled_from([DEAD, LIVE, IDLE]), max_size=3)),
        max_size=12,
    )
)
def test_a_flow_keeps_its_slot_while_it_lives(blocks: list[tuple[list[int], list[int]]]) -> None:
    """Whatever dies, is forgotten and comes again: a living flow keeps its slot and shares it with nobody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows, "MAX_FLOWS", 3)
        table = FlowTable()
        living: dict[int, int] = {}
        for mentioned, states in blocks:
            slots = table.sift(named(*mentioned))[0].tolist()
            now = dict(zip(mentioned, slots, strict=True))
            assert [now[key] for key in mentioned] == slots
            assert len(set(now.values())) == len(now)
            for key, slot in now.items():
                assert living.get(key, slot) == slot
                assert slot not in {other for name, other in living.items() if name != key}
                if table.state[slot] not in (DEAD, IDLE):
                    table.state[slot] = LIVE  # as who looks at it does
                    living[key] = slot
            for (key, slot), state in zip(now.items(), states, strict=False):
                table.state[slot] = state
                if state != LIVE:
                    living.pop(key, None)


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [DEAD, IDLE])
def test_flows_that_nobody_looks_at_are_forgotten(state: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 16)
    table = FlowTable()
    living = slot_of(table, 60_000)
    table.state[living] = LIVE
    for first in range(1, 1000, 10):
        slots, _, _ = table.sift(segments(*((port, ACK, b"x") for port in range(first, first + 10))))
        table.state[slots] = state
    assert len(table._slots) <= 16 + 10
    assert len(table.state) <= 1024
    assert slot_of(table, 60_000) == living


def test_a_forgotten_flow_is_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 2)
    table = with_state(DEAD)
    assert wanted(table, DATA) == [0]
    monkeypatch.setattr(flows, "MAX_FLOWS", 3)
    assert wanted(with_state(DEAD), DATA) == []


def test_living_flows_are_not_forgotten_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 4)
    table = FlowTable()
    slots = []
    for port in range(1, 101):
        slots.append(slot_of(table, port))
        table.state[slots[-1]] = LIVE
    assert slots == list(range(100))
    assert [slot_of(table, port) for port in range(1, 101)] == slots


def test_flows_of_bare_acks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments without data decide nothing, so that their flows stay as they were: these must not pile up."""
    monkeypatch.setattr(flows, "MAX_FLOWS", 16)
    engine = Engine()
    for port in range(1, 500):
        engine.packets(block([ethernet(0x0800, ipv4(STATION, CSMS, tcp(port, 9000)))]))
    assert not engine._tracks
    assert len(engine._flows._slots) <= 32
