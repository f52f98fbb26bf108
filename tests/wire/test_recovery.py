"""A deflate context after a loss: no byte is made up, and what the messages around a loss say is used."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
import uuid
import zlib
from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.wire import plausible, recovery
from ocppscope.wire.history import history_of
from ocppscope.wire.inflate import Contexts, Effort, Inflated, Inflater
from ocppscope.wire.plausible import ANY, WILDCARD, fitting, narrow
from ocppscope.wire.recovery import Recovery
from support_engine import CAPTURES, SIDES, groups, octets, run, truth_of

# --- conversations --------------------------------------------------------------------------------------------------


class Talk:
    """Messages as stations and CSMSs write them, from a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.ids = self.draw.choice(["uuid", "uuid", "count", "letters"])
        self.version = self.draw.choice(["1.6", "2.0.1"])
        self.separators = self.draw.choice([(",", ":"), (",", ":"), (", ", ": ")])
        self.number, self.meter, self.transaction, self.now = 1000, 120_000, 4711, 1_700_000_000

    def id(self) -> str:
        self.number += 1
        if self.ids == "uuid":
            return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))
        if self.ids == "count":
            return str(self.number)
        return "".join(self.draw.choices("ABCdef0123456789", k=self.draw.randrange(8, 20)))

    def stamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.now)) + f".{self.draw.randrange(1000):03d}Z"

    def call(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Action, payload, payload of the answer."""
        draw = self.draw
        self.now += draw.choice([0, 1, 10, 60])
        self.meter += draw.randrange(200)
        connector = draw.randrange(1, 3)
        sample = {"value": str(self.meter), "measurand": "Energy.Active.Import.Register"}
        info = {"idTagInfo": {"status": draw.choice(["Accepted", "Blocked", "Expired"])}}
        values = [{"timestamp": self.stamp(), "sampledValue": [sample] * draw.randrange(1, 4)}]
        status = {"status": draw.choice(["Available", "Preparing", "Charging"]), "timestamp": self.stamp()}
        if self.version == "1.6":
            start = {"connectorId": connector, "idTag": f"TAG{draw.randrange(9)}", "meterStart": self.meter}
            metered = {"connectorId": connector, "transactionId": self.transaction, "meterValue": values}
            return draw.choice(
                [
                    ("Heartbeat", {}, {"currentTime": self.stamp()}),
                    ("StatusNotification", {"connectorId": connector, "errorCode": "NoError", **status}, {}),
                    ("MeterValues", metered, {}),
                    ("MeterValues", metered, {}),
                    ("StartTransaction", start, {"transactionId": self.transaction, **info}),
                ]
            )
        event = {"eventType": draw.choice(["Updated", "Started"]), "timestamp": self.stamp(), "seqNo": self.number}
        attribute = [{"value": str(draw.randrange(99)), "mutability": "ReadOnly"}]
        entry = {"component": {"name": "EVSE"}, "variable": {"name": "Available"}, "variableAttribute": attribute}
        report = {"requestId": 1, "seqNo": self.number, "reportData": [entry] * draw.randrange(1, 20)}
        return draw.choice(
            [
                ("Heartbeat", {}, {"currentTime": self.stamp()}),
                ("TransactionEvent", {**event, "meterValue": values}, draw.choice([{}, info])),
                ("TransactionEvent", {**event, "meterValue": values}, {}),
                ("NotifyReport", report, {}),
            ]
        )

    def messages(self, count: int) -> list[tuple[int, bytes]]:
        """Side (0: station) and text of calls and their answers, some of them the other way round."""
        found = []
        for _ in range(count):
            caller = 0 if self.draw.random() < 0.8 else 1
            id_, (action, payload, answer) = self.id(), self.call()
            if caller:
                action, payload, answer = "GetLog", {"requestId": self.number}, {"status": "Accepted"}
            found.append((caller, self.text([2, id_, action, payload])))
            found.append((1 - caller, self.text([3, id_, answer])))
        return found

    def text(self, parts: list[Any]) -> bytes:
        return json.dumps(parts, separators=self.separators).encode()


class Step(NamedTuple):
    """One message, and what was made of it; None where it was lost."""

    side: int
    text: bytes
    found: Inflated | None


def played(
    seed: int,
    *,
    losses: float,
    midstream: bool = False,
    pairs: bool = True,
    count: int = 60,
    contexts: Contexts | None = None,
) -> list[Step]:
    """A conversation through deflate, a lossy capture and two inflaters."""
    talk = Talk(seed)
    draw = talk.draw
    level, memory = draw.choice([-1, 1, 4, 9]), draw.choice([8, 9])
    deflaters = [zlib.compressobj(level, zlib.DEFLATED, -draw.randrange(9, 16), memory) for _ in range(2)]
    inflaters = [Inflater(takeover=True, midstream=midstream, contexts=contexts) for _ in range(2)]
    if pairs:
        inflaters[0].peer, inflaters[1].peer = inflaters[1], inflaters[0]
    steps = []
    burst = 0
    for number, (side, text) in enumerate(talk.messages(count)):
        payload = deflaters[side].compress(text) + deflaters[side].flush(zlib.Z_SYNC_FLUSH)
        if midstream and number < 10:
            continue
        burst = draw.choice([1, 1, 1, 2, 4]) if not burst and draw.random() < losses else burst
        if burst:
            burst -= 1
            inflaters[side].lose(len(payload) + 2)
            steps.append(Step(side, text, None))
        else:
            steps.append(Step(side, text, inflaters[side].message(payload[:-4])))
    return steps


def judged(steps: list[Step]) -> Counter[str]:
    """How many texts are right and how many lost; fails at the first byte that was made up."""
    score: Counter[str] = Counter()
    for _, text, found in steps:
        if found is None:
            continue
        code = found.problem.code if found.problem else ""
        if found.lost:
            assert code == "ws.context-lost"
            assert len(found.text) == len(text)
            assert all(ours in (0, real) for ours, real in zip(found.text, text, strict=True))
        else:
            assert found.text == text
            assert code in ("", "ws.context-guessed")
        score["lost" if found.lost else code or "sure"] += 1
    return score


@pytest.mark.parametrize("seed", range(48))
def test_no_byte_is_made_up(seed: int) -> None:
    """Holds for these conversations, and for nearly all others: what is solved is not proved (see `recovery`)."""
    midstream, pairs = bool(seed & 1), bool(seed & 2)
    judged(played(seed, losses=(0.01, 0.04, 0.1)[seed % 3], midstream=midstream, pairs=pairs))


def test_much_is_found_again() -> None:
    score = judged([step for seed in range(12) for step in played(seed, losses=0.01, count=80)])
    assert score["ws.context-guessed"] > 0.4 * (score["lost"] + score["ws.context-guessed"]), score


def test_ids_of_the_other_side_help() -> None:
    alone, together = (
        judged([step for seed in range(12) for step in played(seed, losses=0.02, pairs=pairs)])
        for pairs in (False, True)
    )
    assert together["lost"] < 0.95 * alone["lost"], (alone, together)


def test_the_same_input_gives_the_same_texts() -> None:
    assert played(5, losses=0.05) == played(5, losses=0.05)


# --- captures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "station", "right"), [("deflate_gap", "CP-MIRROR-02", 58), ("midstream", "CP-MID-TAKEOVER", 10)]
)
def test_captures(name: str, station: str, right: int) -> None:
    decoded, truth = run(CAPTURES / f"{name}.pcap"), truth_of(CAPTURES / f"{name}.truth.jsonl")
    theirs = groups([event for event in truth.captured if event["cp"] == station], lambda event: event["conn"])
    (flow, events), *_ = theirs.items()
    number = next(n for n, connection in decoded.connections.items() if str(connection.flow.client) == flow)
    found = 0
    for way, side in SIDES.items():
        texts = [octets(event) for event in events if event["dir"] == way]
        for text, message in zip(texts, decoded.of(number, side), strict=True):
            lost = any(problem.code == "ws.context-lost" for problem in message.problems)
            assert lost or message.text == text
            found += not lost
    assert found >= right


# --- the length and the bytes of a lost text ------------------------------------------------------------------------


def sent(texts: list[bytes], lost: set[int]) -> list[Inflated]:
    """What is made of the texts that were not lost."""
    deflater, inflater, found = zlib.compressobj(wbits=-15), Inflater(takeover=True), []
    for number, text in enumerate(texts):
        payload = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
        if number in lost:
            inflater.lose(len(payload))
        else:
            found.append(inflater.message(payload[:-4]))
    return found


def uuids(count: int) -> list[str]:
    draw = random.Random(1)
    return [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(count)]


def test_a_status_is_never_taken_from_where_it_stood_before() -> None:
    texts = [f'[3,"{id_}",{{"status":"Accepted"}}]'.encode() for id_ in uuids(12)]
    texts[9:] = [text.replace(b"Accepted", b"Rejected") for text in texts[9:]]
    *_, first, second = sent(texts, {9})
    for found, text in ((first, texts[10]), (second, texts[11])):
        assert found.lost
        assert b"ccepted" not in found.text
        assert all(ours in (0, real) for ours, real in zip(found.text, text, strict=True))


def test_what_only_the_grammar_can_fill_in_is_filled_in() -> None:
    texts = [f'[3,"{id_}",{{}}]'.encode() for id_ in uuids(20)]
    for ours, real in zip(sent(texts, {8})[8:], texts[9:], strict=True):
        assert ours.text.startswith(b'[3,"')
        assert ours.text.endswith(b'",{}]')
        assert all(byte in (0, other) for byte, other in zip(ours.text, real, strict=True))


def test_after_a_window_of_certain_text_the_doubt_is_over() -> None:
    contexts = Contexts()
    deflater, inflater = zlib.compressobj(wbits=-15), Inflater(takeover=True, contexts=contexts)

    def message(text: bytes) -> Inflated:
        return inflater.message((deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4])

    message(b'[2,"1","Heartbeat",{}]')
    inflater.lose(30)
    noise = bytes(random.Random(2).choices(range(48, 120), k=recovery.WINDOW)).replace(b"Hea", b"hea")
    assert message(noise[: recovery.WINDOW - 1]).problem is None
    assert inflater in contexts.in_doubt
    assert message(b"[2,").problem is None
    assert inflater in contexts.awake
    assert not contexts.in_doubt
    assert message(noise[100:200] + b'"Heartbeat"') == (noise[100:200] + b'"Heartbeat"', None, False)


def test_the_end_of_a_stream_ends_the_doubt() -> None:
    contexts = Contexts()
    inflater = Inflater(takeover=True, contexts=contexts)
    inflater.lose(30)
    assert inflater.message(bytes.fromhex("f3 48 cd c9 c9 07 00 00")).text == b"Hello"
    assert inflater in contexts.awake
    assert inflater.message(bytes.fromhex("f2 48 cd c9 c9 07 00")) == (b"Hello", None, False)


def test_a_contradiction_takes_everything_back() -> None:
    found = Recovery(None, Effort())
    found._allowed = {256: 1 << ord("x")}
    cells = found._bound(found._literal[0]) if found._literal else found._base
    assert cells is not None
    deflater = zlib.compressobj(wbits=-15, zdict=b'[2,"abcdefgh","Heartbeat",{}]' * 1000)
    found.lose(None)
    assert found._base is None
    payload = deflater.compress(b'[2,"abcdefgh","Heartbeat",{}]') + deflater.flush(zlib.Z_SYNC_FLUSH)
    found.message(payload[:-4], 1000)
    found._forget()
    assert found._allowed == {}
    assert all((cells >= 256).any() for cells in found._texts)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 257, 258, 259, 5000, 32767, 32768, 40_000])
def test_the_history_of_an_inflater(size: int) -> None:
    text = random.Random(size).randbytes(size)
    deflater, inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    inflater.decompress(deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))
    assert history_of(inflater) == text[-recovery.WINDOW :]
    assert history_of(inflater) == text[-recovery.WINDOW :]  # asking changes nothing


def test_an_inflater_within_a_block_has_no_history() -> None:
    inflater = zlib.decompressobj(-15)
    assert history_of(inflater) == b""
    inflater.decompress(zlib.compress(b"Hello, hello, hello", wbits=-15)[:-3])
    assert history_of(inflater) is None
    inflater = zlib.decompressobj(-15)
    inflater.decompress(b"\x00\xff\xff\x00\x00Hello")
    assert history_of(inflater) is None


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_trials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_TRIED_CELLS", 400_000)
    monkeypatch.setattr(recovery, "MAX_TRIED_IN_ALL", 700_000)
    tried: list[int] = []

    def counted(length: int, count: int, column: Any) -> Any:
        tried.append(length * count)
        return fitting(length, count, column)

    monkeypatch.setattr(recovery, "fitting", counted)
    for seed in range(4):
        judged(played(seed, losses=0.1))
        assert 0 < sum(tried) <= 2 * 750_000
        tried.clear()


def test_narrowing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_NARROWED_CELLS", 2000)
    found = Recovery(None, Effort())
    for seed in range(40):
        text = Talk(seed).messages(1)[0][1]
        deflater = zlib.compressobj(wbits=-15, zdict=text)
        found.message((deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4], 10_000)
        assert found._narrowed < 2000 + 4000 * recovery.BLIND_PRICE
    assert found._narrowed > 2000
    assert found._allowed == {}


@pytest.mark.parametrize(("bound", "cost"), [("MAX_NARROWED_TOTAL", "narrowed"), ("MAX_TRIED_TOTAL", "tried")])
def test_the_search_is_bounded_on_all_connections_together(
    monkeypatch: pytest.MonkeyPatch, bound: str, cost: str
) -> None:
    """As much as one conversation cost is not enough for six of them."""

    def scored(contexts: Contexts, seed: int) -> Counter[str]:
        return judged(played(seed, losses=0.1, pairs=False, contexts=contexts))

    apart = [Contexts() for _ in range(6)]
    fresh = sum((scored(contexts, seed) for seed, contexts in enumerate(apart)), Counter[str]())
    costs = [getattr(contexts.effort, cost) for contexts in apart]
    monkeypatch.setattr(recovery, bound, max(costs) // 2)
    together = Contexts()
    shared = sum((scored(together, seed) for seed in range(6)), Counter[str]())
    assert shared["lost"] > fresh["lost"]
    assert shared.total() == fresh.total()
    assert max(costs) // 2 < getattr(together.effort, cost) < sum(costs)


def test_half_known_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_NARROWED", 5)
    found = Recovery(None, Effort())
    text = b'[2,"19223201","Heartbeat",{}]'
    deflater = zlib.compressobj(wbits=-15, zdict=text)
    found.message((deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4], 1000)
    assert len(found._allowed) == 5


def test_lengths_of_lost_texts_that_may_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_POSSIBLE: where more are possible, nothing is told of what they agree on; the rest of the text is."""
    agreed: list[int] = []

    class Watched(Recovery):
        agreeing = False

        def _agreed(self, cells: Any) -> list[int]:
            self.agreeing = True
            found = super()._agreed(cells)
            self.agreeing = False
            return found

        def _assumed(self, cells: Any, lengths: Any) -> Any:
            if self.agreeing:
                agreed.append(len(lengths))
            return super()._assumed(cells, lengths)

    monkeypatch.setattr(recovery, "Recovery", Watched)
    known = []
    for bound in (0, 2, recovery.MAX_POSSIBLE):
        monkeypatch.setattr(recovery, "MAX_POSSIBLE", bound)
        agreed.clear()
        found = [step.found for step in played(6, losses=0.03, count=40) if step.found]
        known.append(sum(len(one.text) - one.text.count(WILDCARD) for one in found))
        assert max(agreed, default=0) <= bound
        assert all(one.problem for one in found if one.lost)
    assert max(agreed) == 3
    assert known[0] < known[-1]


def test_lost_texts_are_thought_no_longer_than_the_bound() -> None:
    found = Recovery(b"[]", Effort())
    found.lose(10**9)
    assert found._lengths.tolist() == list(range(1, recovery.MAX_LOST_TEXT + 1))
    found = Recovery(b"[]", Effort())
    found.lose(10)
    assert len(found._lengths) == recovery.MIN_LOST_TEXT + 10 * recovery.MAX_TEXT_PER_WIRE_BYTE
    assert len(found._possible()) == recovery.MIN_LOST_TEXT + 10 * recovery.TEXT_PER_WIRE_BYTE


def test_long_texts_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "narrow", lambda *_: pytest.fail("looked into"))
    monkeypatch.setattr(recovery, "fitting", lambda *_: pytest.fail("looked into"))
    found = Recovery(b"[]" * 100, Effort())
    found.lose(100)
    text = b"()" + random.Random(3).randbytes(recovery.MAX_DOUBTFUL_TEXT)
    deflater = zlib.compressobj(wbits=-15, zdict=b"[]" * 100)
    payload = deflater.compress(b"[]" * 20) + deflater.flush(zlib.Z_SYNC_FLUSH)
    payload += deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
    reading = found.message(payload[:-4], 10**6)
    assert reading.unknown > 0
    assert not reading.whole
    assert reading.text[40:] == text


def test_the_other_side_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_ASKED", 3)
    asked = 0

    def ids() -> set[bytes]:
        nonlocal asked
        asked += 1
        return set()

    texts = [f'[3,"{id_}",{{}}]'.encode() for id_ in uuids(60)]
    deflater, found = zlib.compressobj(wbits=-15), None
    for number, text in enumerate(texts):
        payload = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if number == 8:
            found = Recovery(b"".join(texts[:8]), Effort())
            found.lose(len(payload))
        elif found is not None:
            found.message(payload, 1000, ids)
    assert asked <= 4


def test_ids_are_looked_for_in_the_last_texts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_AWAITED", 0)
    score = judged([step for seed in range(4) for step in played(seed, losses=0.05)])
    monkeypatch.undo()
    assert judged([step for seed in range(4) for step in played(seed, losses=0.05)])["lost"] < score["lost"]


def test_memory_of_a_direction_is_bounded() -> None:
    history = b"".join(text for _, text in Talk(3).messages(200))[-recovery.WINDOW :]
    tracemalloc.start()
    try:
        found = Recovery(history, Effort())
        deflater = zlib.compressobj(wbits=-15, zdict=history)
        for number, (_, text) in enumerate(Talk(4).messages(200)):
            payload = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            if number % 20 == 0:
                found.lose(len(payload))
            else:
                found.message(payload, 10**6)
        traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, recovery.__file__)])
    finally:
        tracemalloc.stop()
    assert 0 < sum(trace.size for trace in traces.traces) < 1_000_000


def test_the_states_of_the_automaton_are_few() -> None:
    known, waiting = {plausible._START}, [plausible._START]
    while waiting:
        states = waiting.pop()
        reached = [plausible._step(states, group) for group in range(len(plausible.CLASSES))]
        wild = 0
        for after in reached:
            wild |= after
        for after in {*reached, wild} - known:
            known.add(after)
            waiting.append(after)
    assert 100 < len(known) < plausible._UNMADE // 2


@given(st.lists(st.binary(max_size=60) | st.none() | st.integers(0, 10**7), max_size=12), st.booleans())
@settings(deadline=None)
def test_any_bytes_are_survived(steps: list[bytes | int | None], midstream: bool) -> None:
    one, other = Inflater(takeover=True, midstream=midstream), Inflater(takeover=True, midstream=True)
    one.peer, other.peer = other, one
    for step in steps:
        for inflater in (one, other):
            if isinstance(step, bytes):
                inflater.message(step)
            else:
                inflater.lose(step)


# --- the automaton --------------------------------------------------------------------------------------------------


def filled(pattern: bytes) -> bytes | None:
    """A pattern with `?` for any byte, with what must stand there."""
    narrowed = narrow(pattern, {place: ANY for place, byte in enumerate(pattern) if byte == ord("?")})
    if narrowed is None:
        return None
    filled = bytearray(pattern)
    for place, mask in narrowed.items():
        filled[place] = mask.bit_length() - 1 if mask.bit_count() == 1 else ord("?")
    return bytes(filled)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (b'????abc",{}]', b'[3,"abc",{}]'),
        (b'[3,"abc?????', b'[3,"abc",{}]'),
        (b'[?,"abc"?{}]', b'[3,"abc",{}]'),
        (b'[?,"abc","Heartbeat",{}]', b'[?,"abc","Heartbeat",{}]'),
        (b'[2,"abc"?"Heartbeat"?{?]', b'[2,"abc","Heartbeat",{}]'),
        (b'[3,"abc",{"status":"Accepted"?]', b'[3,"abc",{"status":"Accepted"}]'),
        (b'[3,"abc",{"status"?"Accepted"??', b'[3,"abc",{"status":"Accepted"}]'),
        (b'[3,"abc",{"status":"?ccepted"}]', b'[3,"abc",{"status":"?ccepted"}]'),
        (b'[3, "abc"??{}]', b'[3, "abc", {}]'),
        (b'[?,"05b6e6e3???d4-4ed???143",{}]', b'[3,"05b6e6e3???d4-4ed???143",{}]'),
        (b'[4,"abc","InternalError","",{?]', b'[4,"abc","InternalError","",{}]'),
        (b'[7,"abc",{}]', None),
        (b'[3,"abc",{}', None),
        (b'[3,"abc",{"a"}', None),
        (b'[3,"abc",{"a":"\x01"}]', None),
        (b"", None),
    ],
)
def test_what_can_stand_where(pattern: bytes, text: bytes | None) -> None:
    assert filled(pattern) == text


@given(st.integers(0, 10**6), st.sets(st.integers(0, 2000)))
@settings(deadline=None)
def test_what_is_there_is_never_ruled_out(seed: int, unknown: set[int]) -> None:
    _, text = Talk(seed).messages(1)[seed % 2]
    narrowed = narrow(text, {place: ANY for place in sorted(unknown) if place < len(text)})
    assert narrowed is not None
    assert all(mask >> text[place] & 1 for place, mask in narrowed.items())


@given(st.integers(0, 10**6), st.sets(st.integers(0, 150), max_size=20), st.data())
@settings(deadline=None)
def test_only_what_can_stand_there_is_left(seed: int, unknown: set[int], data: st.DataObject) -> None:
    """Each byte that is left makes a text together with some of the others; each that was ruled out makes none."""
    _, text = Talk(seed).messages(1)[seed % 2]
    thought_of = {place: ANY for place in sorted(unknown) if place < len(text)}
    narrowed = narrow(text, thought_of)
    assert narrowed is not None
    if narrowed:
        place = data.draw(st.sampled_from(list(narrowed)))
        for byte in data.draw(st.lists(st.integers(0, 255), max_size=5)):
            possible = narrow(text, thought_of | {place: 1 << byte & ANY}) is not None
            assert possible == bool(narrowed[place] >> byte & 1)


@given(st.lists(st.binary(max_size=3) | st.sampled_from([b'[3,"', b'[2,"', b'","', b'",{', b'"a":1', b"}]", b"\0"])))
def test_columns_are_judged_as_texts_are(parts: list[bytes]) -> None:
    text = b"".join(parts)
    one = narrow(text, {place: ANY for place, byte in enumerate(text) if byte == WILDCARD}) is not None
    assert len(fitting(len(text), 1, lambda place, _: text[place])) == one
