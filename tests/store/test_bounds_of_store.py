"""Bounds of the index, reached one by one: what it has no room for is marked as such, and the rest is kept."""

from __future__ import annotations

from itertools import islice, product

from conversation import play
from ocppscope.model import ControlFrame, Message, Problem, Side, StreamGap
from ocppscope.problems import PROBLEMS
from ocppscope.store import reading
from ocppscope.store.between import MAX_EVENTS, MAX_PINGS
from ocppscope.store.columns import MAX_TEXTS, NO_ROW, OTHER, Dictionary
from ocppscope.store.problemsets import MAX_BARE_SETS, MAX_SETS, MORE, ProblemSets
from ocppscope.store.reading import MAX_STATUS_CHARS
from ocppscope.store.spool import CACHE_BYTES, MAX_CACHED, Cache
from ocppscope.store.store import Store
from ocppscope.store.threads import MAX_HOLE, Threads
from store.support_store import START, call, columns_of, result


def test_texts_of_a_dictionary():
    """MAX_TEXTS: further ones are called `…`, are counted, and all codes fit the column."""
    last = f"A{MAX_TEXTS - 2}"
    with Store() as store:
        codes = [store.actions[f"A{number}"] for number in range(MAX_TEXTS - 1)]
        assert codes == list(range(1, MAX_TEXTS))
        store.take([call(0, last), call(1, "One"), call(2, "More"), call(3, "A7")])
        assert [store.message(row).action for row in range(4)] == [last, OTHER, OTHER, "A7"]
        assert store.text(1) == b'[2,"m1","One",{}]'
        assert store.actions.refused == 2
        assert len(store.actions.texts) == MAX_TEXTS + 1 <= 1 << 16


def test_a_dictionary_does_not_grow_by_what_it_refuses():
    few = Dictionary(limit=3)
    codes = {few[text] for text in ["", "a", "b", *map(str, range(1000)), OTHER]}
    assert codes == {0, 1, 2, 3}
    assert len(few) == len(few.texts) == 4
    assert few.refused == 1001 - 1


def test_lists_of_problems():
    """MAX_BARE_SETS lists of codes without words; a message with any other one still has a problem that says so."""
    sets = ProblemSets()
    for number in range(MAX_SETS - 1):
        sets.code((Problem("json.syntax", f"at {number}"),))
    assert len(sets.sets) == MAX_SETS
    many = islice(product(sorted(PROBLEMS)[:80], repeat=3), MAX_BARE_SETS + 100)
    found = [sets.sets[sets.code(tuple(Problem(code, "x") for code in codes))] for codes in many]
    assert all(problem.text == "" for problem in found[0])
    assert MORE not in found[:MAX_BARE_SETS]
    assert found[MAX_BARE_SETS:] == [MORE] * 100
    assert len(sets.sets) == MAX_SETS + MAX_BARE_SETS + 1
    assert MORE[0].code in PROBLEMS


def test_the_length_of_a_status():
    """MAX_STATUS_CHARS: a longer text counts as none; the message stays whole, and has a problem."""
    for size, expected in ((MAX_STATUS_CHARS, "S" * MAX_STATUS_CHARS), (MAX_STATUS_CHARS + 1, "")):
        text = f'[3,"m0",{{"status":"{"S" * size}"}}]'.encode()
        assert reading.status(3, text) == expected
        with Store() as store:
            store.take([call(0), result(1, 0, text=text)])
            assert store.statuses.texts[store.column("status")[1]] == expected
            assert store.text(1) == text
    error = f'[4,"1","{"E" * (MAX_STATUS_CHARS + 9)}","",{{}}]'
    assert reading.error(4, error.encode()) == "E" * MAX_STATUS_CHARS
    told = play(f'10:00:00 CP-1 -> OPEN ocpp1.6\n10:00:01 CP-1 -> [2,"1","Heartbeat",{{}}]\n10:00:02 CP-1 <- {error}')
    problems = [problem.code for event in told if isinstance(event, Message) for problem in event.problems]
    assert problems == ["ocpp.error-code"]


def test_texts_that_are_kept_at_hand():
    """MAX_CACHED: a longer text is read from its file each time, and pushes nothing out."""
    cache = Cache()
    cache.put(1, b"a")
    cache.put(2, bytes(MAX_CACHED))
    cache.put(3, bytes(MAX_CACHED + 1))
    assert cache.get(3) is None
    assert (cache.get(1), len(cache.get(2) or b"")) == (b"a", MAX_CACHED)
    for row in range(4, 40):
        cache.put(row, bytes(MAX_CACHED))
        assert cache.held <= CACHE_BYTES
    long = call(0, text=b'[2,"m0","DataTransfer",{"data":"' + b"x" * MAX_CACHED + b'"}]')
    with Store() as store:
        store.take([long])
        assert store.text(0) == store.text(0) == long.text
        assert store._cache.held == 0


def test_ordinals_that_are_missing():
    """MAX_HOLE: a row keeps its place behind so many that are missing; behind more, the connection is listed anew."""
    threads = Threads()
    threads.add(0, [1, 1], [0, MAX_HOLE + 1])
    assert threads.rows(1) == [0, 1]
    assert [threads.row(1, ordinal) for ordinal in (0, 1, MAX_HOLE, MAX_HOLE + 1)] == [0, NO_ROW, NO_ROW, 1]
    threads.add(2, [1], [2 * MAX_HOLE + 3])
    assert threads.rows(1) == [2]
    assert [threads.row(1, ordinal) for ordinal in (0, MAX_HOLE + 1, 2 * MAX_HOLE + 3)] == [NO_ROW, NO_ROW, 2]
    threads.add(3, [1], [(1 << 32) - 1])
    assert len(threads._threads[1].rows) == 1


def test_rows_before_a_hole_stay_rows():
    """A connection that is listed anew loses no row of the store."""
    with Store() as store:
        store.append(columns_of([call(0), call(MAX_HOLE + 2), result(MAX_HOLE + 3, MAX_HOLE + 2)]))
        assert len(store) == 3
        assert store.message(0).ordinal == 0
        assert store.rows_of(0) == [1, 2]
        assert store.partner(2) == 1


def test_events_between_the_rows():
    """MAX_EVENTS and MAX_PINGS, the first ones; further ones are counted, and the screens say how many."""
    ping = ControlFrame(START, 0, Side.CSMS, 9, b"", (1,))
    gap = StreamGap(START, 0, Side.CSMS, 5, "lost")
    with Store() as store:
        for event, most in ((ping, MAX_PINGS), (gap, MAX_EVENTS)):
            before = len(store.between)
            store.take([event] * most)
            assert len(store.between) == before + most
            assert store.unkept() == (() if event is ping else ("7 events between messages",))
            store.take([event] * 7)
            assert len(store.between) == before + most
        assert store.between.dropped == 14
        assert store.unkept() == ("14 events between messages",)


def test_what_there_was_no_room_for_is_counted_in_words():
    with Store(retain=10, chunk_rows=5) as store:
        assert store.unkept() == ()
        store.actions.refused, store.errors.refused = 1, 2
        store.judged.refused, store.between.dropped, store.forgotten = 1, 1, 1234
        assert store.unkept() == (
            "1,234 connections", "1 event between messages", "1 mark of a finding",
            "3 names of an action, a status or an error",
        )  # fmt: skip
