"""The store: rows, exchanges, what is between the rows, retention, and what threads may rely on."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.model import ControlFrame, ExchangeEnd, Kind, Message, Outcome, Problem, Side
from ocppscope.store import store as store_module
from ocppscope.store import verdicts
from ocppscope.store.columns import MAX_TEXT, OTHER, SPOOL, Blob, Chunk, Dictionary
from ocppscope.store.places import CaptureTexts, GoneError, Place, RecordedTexts
from ocppscope.store.store import Store
from ocppscope.store.verdicts import Verdict
from store.support_store import START, call, closed, columns_of, connection, exchanges, opened, result

CAPTURES = Path(__file__).parents[2] / "captures"
ANSWERED = {Outcome.ANSWERED, Outcome.ERROR, Outcome.LATE}


def events_of(name):
    engine = Engine()
    with open_captures([CAPTURES / name]) as reader:
        for block in reader.blocks():
            yield from engine.packets(block)
    yield from engine.finish()


def as_first_seen(message, events):
    """What the store adds to a CALL later, taken back."""
    original = next(one for one in events if (one.connection, one.ordinal) == (message.connection, message.ordinal))
    if message.kind is Kind.CALL:
        message = replace(message, outcome=original.outcome, latency_ns=original.latency_ns)
    return message


@pytest.mark.parametrize("name", ["several_stations.pcap", "malformed.pcap", "fragmented.pcap", "ocpp21_send.pcap"])
def test_each_message_comes_back(name):
    events = list(events_of(name))
    messages = [event for event in events if isinstance(event, Message)]
    with Store() as store:
        store.take(events)
        assert len(store) == len(messages) > 0
        again = [as_first_seen(store.message(row), messages) for row in range(len(store))]
        assert again == messages
        assert store.connections == {
            e.connection.number: e.connection for e in events if hasattr(e.connection, "flow")
        }
        asides = store.events(0, len(store) + 1)
        assert [aside.event for aside in asides] == [event for event in events if not isinstance(event, Message)]
        for aside in asides:
            before = events[: events.index(aside.event)]
            assert aside.row == sum(isinstance(event, Message) for event in before)


@pytest.mark.parametrize("name", ["slow_and_missing.pcap", "several_stations.pcap"])
def test_calls_learn_what_became_of_them(name):
    events = list(events_of(name))
    answers = {
        (m.connection, m.reply_to): m
        for m in reversed(events)
        if isinstance(m, Message) and m.reply_to is not None and m.outcome in ANSWERED
    }
    ends = {(e.connection, e.ordinal): e for e in events if isinstance(e, ExchangeEnd)}
    with Store() as store:
        store.take(events)
        seen = set()
        for row in range(len(store)):
            message = store.message(row)
            if message.kind is not Kind.CALL:
                continue
            name = (message.connection, message.ordinal)
            answer, end = answers.get(name), ends.get(name)
            if answer is not None:
                assert message.latency_ns == answer.latency_ns
                other = store.partner(row)
                assert store.message(other).ordinal == answer.ordinal
                assert store.partner(other) == row
            if end is not None:
                assert message.outcome is end.outcome
            seen.add(message.outcome)
    assert Outcome.ANSWERED in seen


def test_however_events_are_cut_the_store_is_the_same():
    events = list(events_of("slow_and_missing.pcap"))
    stores = [Store(chunk_rows=rows) for rows in (7, 1 << 16)]
    stores[0].take(events[:1])
    for event in events[1:]:
        stores[0].take([event])
    stores[1].take(events)
    small, large = ([store.message(row) for row in range(len(store))] for store in stores)
    assert small == large
    assert stores[0].column("partner").tolist() == stores[1].column("partner").tolist()
    assert stores[0].events(0, 99_999) == stores[1].events(0, 99_999)
    for store in stores:
        store.close()


def test_columns_of_any_length_are_taken_as_messages_are():
    messages = exchanges(50)
    columns = columns_of(messages)
    with Store(chunk_rows=16) as one, Store(chunk_rows=16) as other:
        one.append(columns)
        other.take(messages)
        assert [one.message(row) for row in range(100)] == [other.message(row) for row in range(100)]


def test_a_duplicate_answer_knows_its_call_but_the_call_keeps_its_first():
    with Store() as store:
        store.take([call(0), result(1, 0), result(2, 0, outcome=Outcome.DUPLICATE, latency_ns=9)])
        assert [store.partner(row) for row in range(3)] == [1, 0, 0]
        assert store.message(0).latency_ns == 5_000_000


def test_a_repeated_call_stays_marked_as_one():
    with Store() as store:
        store.take([call(0, outcome=Outcome.RESENT), result(1, 0)])
        assert store.message(0).outcome is Outcome.RESENT
        assert store.message(0).latency_ns == 5_000_000


def test_a_result_error_is_not_what_a_call_waited_for():
    with Store() as store:
        wrong = replace(result(2, 0, outcome=Outcome.ERROR, latency_ns=9), kind=Kind.CALLRESULTERROR)
        store.take([call(0), result(1, 0), wrong])
        assert [store.partner(row) for row in range(3)] == [1, 0, 0]
        assert store.message(0).outcome is Outcome.ANSWERED
        assert store.message(0).latency_ns == 5_000_000


def test_an_answer_to_what_is_not_there_has_no_partner():
    with Store() as store:
        store.take([result(5, 2), result(6, None, outcome=Outcome.ORPHAN)])
        assert [store.partner(0), store.partner(1)] == [None, None]


def test_amended_rows_are_told_once():
    with Store() as store:
        store.take([call(0), call(1)])
        rows, now = store.amended()
        assert rows.tolist() == []
        store.take([result(2, 1)])
        rows, now = store.amended(now)
        assert rows.tolist() == [1]
        store.take([ExchangeEnd(START, 0, 0, Side.STATION, "m0", "Heartbeat", Outcome.TIMEOUT, 9)])
        rows, now = store.amended(now)
        assert rows.tolist() == [0]
        assert store.message(0).outcome is Outcome.TIMEOUT
        assert store.amended(now)[0].tolist() == []
        store.take([call(3), result(4, 3)])
        assert store.amended(now)[0].tolist() == []  # was never seen otherwise


def test_the_list_of_amended_rows_is_bounded(monkeypatch):
    monkeypatch.setattr(store_module, "MAX_AMENDED", 4)
    with Store() as store:
        for n in range(20):
            store.take([call(2 * n)])
            store.take([result(2 * n + 1, 2 * n)])
        rows, now = store.amended(0)
        assert rows is None
        assert now == 20
        assert store.amended(18)[0].tolist() == [36, 38]
        assert len(store._amended[1]) <= 8


STATUSES = [
    ('{"status":"Accepted"}', "Accepted"),
    ('{"idTagInfo":{"status":"Blocked"}}', "Blocked"),
    ('{"idTokenInfo":{"status":"Invalid","x":1},"y":[1,{}]}', "Invalid"),
    ('{"status":"Rejected","idTagInfo":{"status":"Accepted"}}', "Rejected"),
    ('{"status":5}', ""),
    ('{"idTagInfo":["status"]}', ""),
    ('{"data":{"status":"Accepted"}}', ""),
    ('["status"]', ""),
    ("{}", ""),
    ('{"status":"' + "x" * 256 + '"}', ""),
]


@pytest.mark.parametrize(("payload", "status"), STATUSES)
def test_the_status_of_answers_and_calls(payload, status):
    with Store() as store:
        store.take([call(0, payload=payload), result(1, 0, payload)])
        assert [store.statuses.texts[code] for code in store.column("status").tolist()] == [status, status]


def test_the_error_code():
    with Store() as store:
        texts = [b'[4,"m0","GenericError","","{}"]', b'[4,"m0"]', b"[4,", b'[4,"m0",7]']
        store.take([replace(result(n, None, text=text), kind=Kind.CALLERROR) for n, text in enumerate(texts)])
        assert [store.errors.texts[code] for code in store.column("error").tolist()] == ["GenericError", "", "", ""]


HOSTILE = [
    {"id": "\ud800"}, {"id": "\0"}, {"id": "ü" * 5000}, {"id": ""}, {"action": "A" * 100_000},
    {"latency_ns": -(1 << 70)}, {"latency_ns": 1 << 70}, {"frames": 1 << 40}, {"wire_size": 1 << 40},
    {"packets": ()}, {"packets": tuple(range(1, 100_000))}, {"text": b""}, {"text": b"\xff" * 100},
    {"text": b"[" * 200_000}, {"text": b'[3,"a",{"status":' + b"[" * 100_000},
    {"problems": tuple(Problem("json.syntax", str(n)) for n in range(10_000))},
]  # fmt: skip


@pytest.mark.parametrize("odd", HOSTILE, ids=[next(iter(one)) + str(n) for n, one in enumerate(HOSTILE)])
def test_whatever_a_peer_sends_is_a_row(odd):
    with Store() as store:
        store.take([replace(result(0, None), **odd), call(1)])
        message = store.message(0)
        assert len(message.id) <= MAX_TEXT
        assert len(message.action) <= MAX_TEXT + 1
        assert len(message.problems) <= 16
        assert len(message.packets) <= store_module.MAX_PACKETS
        assert store.message(1) == call(1)
        if "text" in odd:
            assert message.text == odd["text"]


@given(st.lists(st.text(max_size=300), max_size=30))
def test_a_dictionary_gives_texts_back_until_it_is_full(texts):
    dictionary = Dictionary(limit=8)
    codes = [dictionary[text] for text in texts]
    for text, code in zip(texts, codes, strict=True):
        assert dictionary.texts[code] in (text, text[:MAX_TEXT] + OTHER, OTHER)
    assert len(dictionary.texts) <= 9
    assert len(dictionary) <= 9


@given(st.lists(st.binary(max_size=20), max_size=40))
def test_a_blob_gives_strings_back(items):
    blob = Blob(40)
    blob.write(0, items[:7])
    blob.write(min(7, len(items)), items[7:])
    assert [blob.get(at) for at in range(len(items))] == items
    assert blob.slice(0, len(items)) == items


# --- names ---------------------------------------------------------------------------------------------------------


def test_rows_are_found_by_their_names():
    with Store() as store:
        store.take([call(3), call(4, connection=1), call(4), call(5), call(9), call(1, connection=2)])
        names = [(0, 3), (1, 4), (0, 4), (0, 5), (0, 9), (2, 1)]
        assert [store.find(*name) for name in names] == list(range(6))
        assert [store.find(0, n) for n in (0, 2, 6, 8, 10)] == [None] * 5
        assert store.find(7, 0) is None
        assert store.rows_of(0) == [0, 2, 3, 4]
        assert store.rows_of(7) == []


@pytest.mark.parametrize("ordinals", [(0, 1 << 31), (5, 4, 3), (7, 7)])
def test_ordinals_that_make_no_sense_cost_nothing(ordinals):
    with Store() as store:
        store.take([call(n) for n in ordinals])
        assert store.find(0, ordinals[-1]) == len(ordinals) - 1


# --- retention -----------------------------------------------------------------------------------------------------


def test_old_rows_are_evicted_by_chunks_and_the_others_keep_their_numbers():
    with Store(retain=20, chunk_rows=8) as store:
        store.take([opened(0)])
        for n in range(50):
            store.take([call(2 * n), result(2 * n + 1, 2 * n), ControlFrame(START, 0, Side.CSMS, 9, b"", (1,))])
            assert min(len(store), 20) <= len(store) - store.first <= 28
        assert len(store) == 100
        assert store.first == store.evicted == 80 - 80 % 8
        assert store.message(99).ordinal == 99
        assert store.find(0, 99) == 99
        assert store.find(0, 3) is None
        assert store.rows_of(0) == list(range(store.first, 100))
        for ask in (store.message, store.text, store.partner, store.connection):
            with pytest.raises(GoneError, match="Row 3 is not kept"):
                ask(3)
        assert len(store.column("time_ns")) == 100 - store.first
        assert {aside.row for aside in store.events(0, 200)} <= set(range(store.first, 101))


def test_rows_that_never_were():
    with Store() as store:
        store.take([call(0)])
        for row in (-1, 1):
            with pytest.raises(GoneError, match="no row"):
                store.message(row)


def test_evicted_texts_give_their_disk_space_back():
    with Store(retain=4, chunk_rows=4) as store:
        store.spool._segment_bytes = 1000
        for n in range(100):
            store.take([call(n, text=b"x" * 500)])
        assert len(store.spool._segments) <= 6
        assert store.text(99) == b"x" * 500


def test_what_the_diagnosis_said_of_evicted_rows_makes_room(monkeypatch):
    monkeypatch.setattr(verdicts, "MAX_MARKED", 24)
    with Store(retain=8, chunk_rows=4) as store:
        for n in range(100):
            store.take([call(n)])
            store.judge(0, n, Verdict("a-rule", "note", "rpc"))
        assert store.judged.refused == 0
        assert [row for row, _ in store.judged.rows(0, 100)] == list(range(store.first, 100))


def test_connections_go_with_their_last_row():
    """Those that are closed; one that is open or has a row that is kept stays."""
    with Store(retain=8, chunk_rows=4) as store:
        store.take([opened(0), call(0), opened(1), call(0, connection=1)])
        for n in range(2, 40):
            store.take([opened(n), call(0, connection=n), closed(n)])
        assert 0 in store.connections
        assert 1 in store.connections
        rows = range(store.first, len(store))
        assert set(store.connections) == {0, 1, *(store.message(row).connection for row in rows)}
        assert store.forgotten == 40 - len(store.connections)
        store.take([closed(0), *[call(n, connection=39) for n in range(1, 40)]])
        assert set(store.connections) == {1, 39}


def test_eviction_in_a_connection_with_holes():
    with Store(retain=4, chunk_rows=4) as store:
        store.take([call(3 * n) for n in range(20)])
        assert store.rows_of(0) == list(range(store.first, 20))
        assert [store.find(0, 3 * n) for n in range(20)] == [None] * store.first + list(range(store.first, 20))
        store.take([closed(0), *[call(n, connection=1) for n in range(20)]])
        assert store.rows_of(0) == []


def test_an_answer_to_an_evicted_call():
    with Store(retain=4, chunk_rows=4) as store:
        store.take([call(n) for n in range(20)])
        store.take([result(20, 0), ExchangeEnd(START, 0, 1, Side.STATION, "", "", Outcome.TIMEOUT, 1)])
        assert store.partner(20) is None


# --- texts elsewhere -----------------------------------------------------------------------------------------------


def test_files_of_a_recording_are_not_held(tmp_path):
    """Neither their descriptors nor, once they are removed, their space on the disk."""
    with Store() as store:
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for n in range(50):
            path = tmp_path / f"ring{n}"
            path.write_bytes(b"text %02d" % n)
            place = Place(store.add_source(RecordedTexts(path)), 0, 7)
            store.append(columns_of([call(n, text=b"text %02d" % n)])._replace(places=[place]))
        assert store.text(49) == b"text 49"
        assert before in (0, len(os.listdir("/proc/self/fd")))
        (tmp_path / "ring3").unlink()
        with pytest.raises(GoneError, match="ring3 can no longer be read"):
            store.text(3)
        (tmp_path / "ring4").write_bytes(b"")
        with pytest.raises(GoneError, match="shorter"):
            store.text(4)


def test_of_too_many_files_the_texts_are_spooled(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "NO_TEXT", 3)
    (tmp_path / "file").write_bytes(b"text")
    with Store() as store:
        numbers = [store.add_source(RecordedTexts(tmp_path / "file")) for _ in range(4)]
        assert numbers == [1, 2, SPOOL, SPOOL]


def test_texts_that_lie_in_a_capture_are_read_again(tmp_path):
    path = tmp_path / "capture"
    masked = bytes(byte ^ (0x12, 0x34, 0x56, 0x78)[at % 4] for at, byte in enumerate(b"masked text"))
    path.write_bytes(b"...plain text..." + masked)
    with Store() as store:
        source = store.add_source(CaptureTexts(path))
        messages = [call(0, text=b"plain text"), call(1), call(2, text=b"masked text")]
        columns = columns_of(messages)
        places = [Place(source, 3, 10), None, Place(source, 16, 11, 0x12345678)]
        store.append(columns._replace(places=places))
        assert [store.message(row) for row in range(3)] == messages
        assert store.spool.size == len(messages[1].text)
        path.write_bytes(b"...")
        store._cache._texts.clear()
        with pytest.raises(GoneError, match="shorter"):
            store.text(2)


def test_a_full_disk_costs_the_texts_only(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Store() as store:
        store.take([call(0)])
        monkeypatch.setattr("ocppscope.store.spool.os.pwrite", full)
        store.take([call(1)])
        assert store.text(0) == call(0).text
        assert store.column("text_size").tolist()[1] == len(call(1).text)
        with pytest.raises(GoneError, match="No space left"):
            store.text(1)


def test_a_closed_store_has_no_texts():
    store = Store()
    store.take([call(0)])
    store.close()
    with pytest.raises(GoneError):
        store.text(0)


# --- bounds, memory, threads ---------------------------------------------------------------------------------------


def test_snapshots_of_closed_connections_are_bounded(monkeypatch):
    monkeypatch.setattr(store_module, "MAX_CONNECTIONS", 10)
    with Store() as store:
        store.take([opened(0)])
        store.take([closed(n) for n in range(1, 40)])
        assert len(store.connections) <= 10
        assert store.connections[0] == connection(0)
        assert store.connections[39].closed_ns == START
        assert store.forgotten == 40 - len(store.connections)


def test_so_are_those_of_open_ones(monkeypatch):
    monkeypatch.setattr(store_module, "MAX_CONNECTIONS", 10)
    with Store() as store:
        store.take([opened(n) for n in range(40)])
        assert len(store.connections) <= 10
        assert 39 in store.connections


def test_a_store_that_is_there_for_days_knows_fewer_and_nothing_of_others(monkeypatch):
    monkeypatch.setattr(store_module, "MAX_RETAINED_CONNECTIONS", 10)
    with Store(retain=16, chunk_rows=8) as store:
        for n in range(200):
            store.take([opened(n), call(0, connection=n), closed(n)])
            assert len(store.connections) <= 10
        assert 199 in store.connections
        assert len(store._threads._threads) <= 24


def test_a_row_takes_at_most_120_bytes_without_its_id():
    chunk = Chunk(0, 1000)
    arrays = [getattr(chunk, name) for name in Chunk.__slots__ if isinstance(getattr(chunk, name), np.ndarray)]
    threads = 8
    assert sum(array.nbytes for array in (*arrays, chunk.ids.ends, chunk.packets.ends)) / 1000 + threads <= 120


def test_readers_see_whole_rows_while_the_writer_writes():
    """Each text names its row; a reader that sees a length finds every row below it complete."""
    store = Store(chunk_rows=64, retain=2000)
    over, wrong, looked = threading.Event(), [], [0]

    def read():
        while not over.is_set():
            length = len(store)
            for row in range(max(length - 5, 0), length):
                try:
                    message = store.message(row)
                except GoneError:
                    if row >= store.first:
                        wrong.append((row, "gone"))
                    continue
                looked[0] += 1
                if not message.text.startswith(b'[2,"m%d"' % row) or message.id != f"m{row}" or not message.time_ns:
                    wrong.append((row, message))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for row in range(0, 6000, 3):
        store.take([call(row), call(row + 1), call(row + 2)])
    over.set()
    for reader in readers:
        reader.join()
    store.close()
    assert wrong == []
    assert looked[0] > 0


def test_the_length_is_published_after_everything_else(monkeypatch):
    """At every step of writing a batch, the length that a reader sees covers whole rows only."""
    store = Store(chunk_rows=8)
    store.take([call(0)])
    lengths = []
    for name in ("_write_heads", "_write_texts", "_link"):
        original = getattr(store, name)

        def spy(*arguments, original=original):
            original(*arguments)
            lengths.append(len(store))

        monkeypatch.setattr(store, name, spy)
    store.take([call(1), call(2)])
    assert lengths == [1, 1, 1]
    assert len(store) == 3
    store.close()
