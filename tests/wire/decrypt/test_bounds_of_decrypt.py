"""Bounds of decryption, reached one by one: what is let go is said, and what is left is read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support_decrypt import decrypted, gaps, plain
from support_openssl import PEM, V12, V13, Record, Session, session

from ocppscope.capture.pcapfile import open_captures
from ocppscope.cli.keys import Keys
from ocppscope.errors import UsageError
from ocppscope.wire import tls
from ocppscope.wire.decrypt import Decryptor, Plain, PlainGap, Secrets, decryptor, half, keylog, midway, negotiation
from ocppscope.wire.decrypt.ciphers import Aead13
from ocppscope.wire.tcp import Segment
from support_sealed import ALERT, Own13

GCM = "ECDHE-RSA-AES128-GCM-SHA256"
SPECIAL = PEM / "tls13_special.pcapng"


def talk13(messages: int = 20) -> Session:
    return session(V13, "", messages)


def talk12(messages: int = 20) -> Session:
    return session(V12, GCM, messages)


def knowing(keys: bytes) -> Secrets:
    known = Secrets()
    known.add(keys)
    return known


def run(
    records: Iterable[Record], known: Secrets, lost: Iterable[int] = ()
) -> tuple[list[Plain | PlainGap], Decryptor]:
    """Feeds records, those in `lost` as gaps."""
    reader, found, gone = Decryptor(known), list[Plain | PlainGap](), set(lost)
    for at, record in enumerate(records):
        if at in gone:
            found += reader.gap(record.side, len(record.wire), at, "not captured")
        else:
            found += reader.data(record.side, record.wire, at, at)
    return found + reader.finish(1 << 20), reader


def heard(found: Iterable[Plain | PlainGap]) -> list[bytes]:
    return [one.data for one in found if isinstance(one, Plain)]


def texts(records: Iterable[Record]) -> list[bytes]:
    return [record.plain for record in records if record.plain]


def named(keys: bytes, number: int) -> bytes:
    """A key log as that of another connection: the secrets stay, the name does not."""
    lines = (line.split() for line in keys.splitlines() if len(line.split()) == 3)
    return b"".join(b"%s %064x %s\n" % (label, number, secret) for label, _, secret in lines)


def junk(side: int, size: int = 60, first: int = 0) -> Record:
    """A record that nobody sealed."""
    body = bytes((first + at * 7) & 0xFF for at in range(size))
    return Record(side, bytes([23, 3, 3]) + size.to_bytes(2, "big") + body, b"")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each search for a record's number cost, in trials."""
    costs: list[int] = []
    real = Aead13.find

    def find(self: Aead13, first: int, count: int, header: bytes, body: bytes) -> object:
        costs.append(count // self.price)
        return real(self, first, count, header, body)

    monkeypatch.setattr(Aead13, "find", find)
    return costs


# --- sequence numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "is_found"), [(4, False), (30, True)])
def test_numbers_among_which_a_record_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, bound: int, *, is_found: bool
) -> None:
    """MAX_SLACK: behind a gap of more records nothing fits, and the gap is told without an end."""
    monkeypatch.setattr(half, "MAX_SLACK", bound)
    talk = talk13(40)
    kept = talk.body + 4
    lost = range(kept, kept + 24)
    found, _ = run(talk.records, knowing(talk.keys), lost)
    before, behind = texts(talk.records[:kept]), texts(talk.records[kept + 24 :])
    assert heard(found) == (before + behind if is_found else before)
    assert {gap.direction for gap in gaps(found)} == {0, 1}
    assert is_found or all(gap.lost is None for gap in gaps(found))


def test_trials_while_nothing_fits(monkeypatch: pytest.MonkeyPatch, tried: list[int]) -> None:
    """MAX_TRIALS: hostile records behind a long gap cost no more, however many come; the gap is told."""
    monkeypatch.setattr(half, "MAX_TRIALS", 200)
    talk = talk13()
    reader = Decryptor(knowing(talk.keys))
    for record in talk.records[: talk.body + 4]:
        reader.data(record.side, record.wire, 0, 0)
    tried.clear()
    reader.gap(0, 1 << 16, 0, "not captured")
    for number in range(300):
        assert reader.data(0, junk(0, first=number).wire, 0, 0) == []
    assert sum(tried) > 100
    assert sum(tried) <= 200
    (gap,) = gaps(reader.finish(0))
    assert (gap.direction, gap.lost, gap.why) == (0, None, "not captured")


def own(client: Own13) -> tuple[Decryptor, list[Plain | PlainGap]]:
    reader, found = Decryptor(knowing(client.keys)), list[Plain | PlainGap]()
    for side, wire in client.handshake:
        found += reader.data(side, wire, 0, 0)
    return reader, found + reader.data(0, client.one(0, b"first"), 0, 0)


@pytest.mark.parametrize("behind", [3, 10])
def test_numbers_under_keys_whose_update_was_lost(monkeypatch: pytest.MonkeyPatch, behind: int) -> None:
    """MAX_UPDATED of them; a record further behind a KeyUpdate that was lost is not read, which is said."""
    monkeypatch.setattr(half, "MAX_UPDATED", 4)
    client = Own13()
    reader, found = own(client)
    lost = [client.update(0), *(client.one(0, b"x" * 40) for _ in range(behind))]
    found += reader.gap(0, sum(map(len, lost)), 0, "not captured")
    found += reader.data(0, client.one(0, b"last"), 0, 0) + reader.finish(0)
    assert heard(found) == ([b"first", b"last"] if behind < 4 else [b"first"])
    assert [gap.why for gap in gaps(found)] == ["not captured"]


@pytest.mark.parametrize("updates", [half.MAX_GENERATIONS, half.MAX_GENERATIONS + 1])
def test_updates_that_are_lost(updates: int) -> None:
    client = Own13()
    reader, found = own(client)
    lost = sum(len(client.update(0)) for _ in range(updates))
    found += reader.gap(0, lost, 0, "not captured")
    found += reader.data(0, client.one(0, b"last"), 0, 0) + reader.finish(0)
    assert heard(found) == ([b"first", b"last"] if updates <= half.MAX_GENERATIONS else [b"first"])
    assert [gap.why for gap in gaps(found)] == ["not captured"]


# --- records that do not fit ----------------------------------------------------------------------------------------


def until_given_up(talk: Session, keys: bytes, side: int = 0) -> int:
    """How many encrypted records of a side come before its keys are called wrong."""
    reader, count = Decryptor(knowing(keys)), 0
    for record in talk.records:
        reader.data(record.side, record.wire, 0, 0)
        if record.side == side:
            wire, at = record.wire, 0
            while at < len(wire):
                count += wire[at] == 23
                at += 5 + int.from_bytes(wire[at + 3 : at + 5], "big")
        if reader.whys[side]:
            assert "do not fit" in reader.whys[side]
            return count
    return -1


def wrong(talk: Session, *labels: bytes) -> bytes:
    """A key log with other secrets, under the connection's name."""
    lines = (line.split() for line in talk.keys.splitlines() if len(line.split()) == 3)
    return b"".join(
        b"%s %s %s\n" % (label, name, secret[::-1]) for label, name, secret in lines if not labels or label in labels
    )


def test_records_that_do_not_fit() -> None:
    """MAX_MISFITS where all keys are there, MAX_UNKNOWN where the handshake has to be passed over."""
    talk = talk13(300)
    assert until_given_up(talk, wrong(talk)) == decryptor.MAX_MISFITS + 1
    traffic = (b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0")
    assert until_given_up(talk, wrong(talk, *traffic)) == decryptor.MAX_UNKNOWN + 1
    _, reader = run(talk.records, knowing(wrong(talk)))
    assert reader.why == "The secrets do not fit this connection: its records cannot be opened."


def test_bytes_in_which_a_record_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_UNALIGNED: a direction that goes on in something else than TLS is let go, and that is said."""
    monkeypatch.setattr(decryptor, "MAX_UNALIGNED", 5000)
    talk = talk12()
    reader, found = Decryptor(knowing(talk.keys)), list[Plain | PlainGap]()
    for record in talk.records[: talk.body + 4]:
        found += reader.data(record.side, record.wire, 0, 0)
    fed = 0
    while not reader.whys[1] and fed < 50_000:
        found += reader.data(1, b"no TLS. " * 10, 0, 0)
        fed += 80
    assert 5000 <= fed <= 5200
    assert heard(found) == texts(talk.records[: talk.body + 4])
    assert [(gap.direction, gap.why) for gap in gaps(found)] == [(1, reader.whys[1])]
    assert "No TLS records" in reader.whys[1]


# --- early data -----------------------------------------------------------------------------------------------------


def early(known: Secrets | None = None) -> list[Plain | PlainGap]:
    """What is read of the one connection of which early data was taken."""
    streams = decrypted(SPECIAL, known or Secrets(), inside=known is None)
    return [stream for stream in streams if min(stream.ports) == 20006][1].found


def test_early_data_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_EARLY bytes wait for the server to take them; that there were more is said where they are missing."""
    whole = early()
    assert gaps(whole) == []
    first = heard(whole)[0]
    monkeypatch.setattr(decryptor, "MAX_EARLY", len(first))
    assert early() == whole
    monkeypatch.setattr(decryptor, "MAX_EARLY", len(first) - 1)
    found = early()
    (gap,) = gaps(found)
    assert gap.why == "more early data than is kept"
    assert heard(found) == heard(whole)[1:]


def test_records_of_early_data_that_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_EARLY_RECORDS where their secret is missing; of more, what comes behind them is not looked at, either."""
    log: list[bytes] = []
    with open_captures([SPECIAL], keep_secrets=log.append) as reader:
        for _ in reader.blocks():
            pass
    lines = b"".join(log).splitlines(keepends=True)
    without = b"".join(line for line in lines if b"EARLY" not in line)
    client = gaps(early(knowing(without)))[0].direction
    assert plain(early(knowing(without)), client)
    monkeypatch.setattr(decryptor, "MAX_EARLY_RECORDS", 0)
    streams = [one for one in decrypted(SPECIAL, knowing(without), inside=False) if min(one.ports) == 20006]
    assert streams[1].plain(client) == b""
    assert "do not fit" in streams[1].decryptor.whys[client]
    assert streams[1].plain(1 - client) == plain(early(knowing(without)), 1 - client)


# --- from the middle ------------------------------------------------------------------------------------------------

UNTRIED = "Not all that the key log holds was tried on it."


def many(count: int) -> bytes:
    """Secrets of so many other connections."""
    return b"".join(named(talk13(7).keys, number) for number in range(count))


def test_trials_of_one_connection(monkeypatch: pytest.MonkeyPatch, tried: list[int]) -> None:
    """MAX_TRIALS_EACH, and the sentence says that not everything was tried."""
    talk = talk13(30)
    rest = talk.records[talk.body :]
    monkeypatch.setattr(midway, "MAX_TRIALS_EACH", 1000)
    found, reader = run(rest, knowing(many(40)))
    assert found == []
    assert 500 < sum(tried) <= 1000
    assert reader.why.endswith(UNTRIED)
    tried.clear()
    found, reader = run(rest, knowing(talk.keys))
    assert heard(found) == texts(rest)


def test_trials_of_all_connections(monkeypatch: pytest.MonkeyPatch, tried: list[int]) -> None:
    """MAX_TRIALS_TOTAL: what is left then is little for each; who is found gives the others their trials back."""
    monkeypatch.setattr(keylog, "MAX_TRIALS_TOTAL", 3000)
    talk = talk13(30)
    rest = talk.records[talk.body :]
    known = knowing(talk.keys + many(40))
    strangers = session(V13, "", 12).records[talk.body :]
    for _ in range(8):
        _, reader = run(strangers, known)
        assert reader.why.endswith(UNTRIED)
    assert known.trials < 200
    assert 8 * midway.FREE_TRIALS // 2 < sum(tried) <= 3000 + 8 * midway.FREE_TRIALS
    own_log = knowing(many(40) + talk.keys)
    own_log.trials = 0
    found, _ = run(rest, own_log)
    assert heard(found) == texts(rest)
    assert own_log.trials == 3000


def test_records_with_which_a_place_is_looked_for() -> None:
    """MAX_ATTEMPTS: with none of so many records the log's secrets fit, and then the reason is given."""
    reader = Decryptor(knowing(talk13(7).keys))
    for record in session(V13, "", 12).records[talk13().body :][: decryptor.MAX_ATTEMPTS]:
        assert reader.why == ""
        reader.data(record.side, record.wire, 0, 0)
    assert reader.why.startswith("The capture begins in the middle of the connection")


@pytest.mark.parametrize("later", [1, 2])
def test_keys_that_are_tried(monkeypatch: pytest.MonkeyPatch, later: int) -> None:
    """MAX_CANDIDATES, those of the latest connections; two a connection here. Their keys are not all kept."""
    monkeypatch.setattr(midway, "MAX_CANDIDATES", 4)
    monkeypatch.setattr(midway, "ROUNDS", dict.fromkeys(midway.ROUNDS, (1 << 10, 1 << 11, 1 << 12)))
    talk = talk13(30)
    rest = talk.records[talk.body :]
    known = knowing(talk.keys + many(later))
    found, reader = run(rest, known)
    assert heard(found) == (texts(rest) if later < 2 else [])
    assert reader.why.endswith(UNTRIED) == (later >= 2)
    for number in range(20):
        known.add(b"CLIENT_TRAFFIC_SECRET_0 %064x %096x" % (1000 + number, number))
        run(rest, known)
        assert 0 < len(known.epochs) <= 2 * 4


@pytest.mark.parametrize("talk", [talk12(), talk13()], ids=["1.2", "1.3"])
@pytest.mark.parametrize("later", [2, 3])
def test_connections_that_are_tried_without_a_hello(
    monkeypatch: pytest.MonkeyPatch, talk: Session, later: int
) -> None:
    """MAX_GUESSES, the latest ones."""
    monkeypatch.setattr(midway, "MAX_GUESSES", 3)
    monkeypatch.setattr(midway, "MAX_CANDIDATES", 0)  # the other search
    others = session(V12, GCM, 7).keys if talk is talk12() else talk13(7).keys
    log = talk.keys + b"".join(named(others, number) for number in range(later))
    found, reader = run(talk.records[1:], knowing(log))
    assert heard(found) == (texts(talk.records) if later < 3 else [])
    if later == 3:
        assert reader.why.startswith("The ClientHello is not in the capture")
        assert reader.why.endswith(UNTRIED)


@pytest.mark.parametrize("bound", [1, 2])
def test_records_among_which_the_first_one_is_looked_for(monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    """MAX_FIRST: without the ClientHello and the client's Finished message, its next record is the second one."""
    monkeypatch.setattr(midway, "MAX_FIRST", bound)
    talk = talk12()
    finished = next(at for at, record in enumerate(talk.records) if record.side == 0 and at > 0)
    others = [at for at in range(finished, talk.body) if talk.records[at].side == 1]
    found, reader = run(talk.records[1:], knowing(talk.keys), {finished - 1, *(at - 1 for at in others)})
    assert (heard(found) == texts(talk.records)) == (bound > 1)
    assert bound > 1 or reader.why.startswith("The ClientHello is not in the capture, and no secrets of the key log")


# --- keys of servers ------------------------------------------------------------------------------------------------


def test_keys_of_servers(tmp_path: Path) -> None:
    """MAX_SERVER_KEYS are taken; one more is refused in words."""
    key = rsa.generate_private_key(65537, 1024)
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    most = keylog.MAX_SERVER_KEYS
    assert len(Keys(server_keys=[str(file)] * most).secrets.server_keys) == most
    with pytest.raises(UsageError, match=f"more than {most} private keys"):
        Keys(server_keys=[str(file)] * (most + 1))


def test_a_long_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_TRANSCRIPT: with an extended master secret, the server's key opens nothing of it, and that is why."""
    talk = session(V12, "AES128-GCM-SHA256")
    known = Secrets()
    known.add_rsa((PEM / "rsa.pem").read_bytes())
    found, reader = run(talk.records, known)
    assert heard(found) == texts(talk.records)
    monkeypatch.setattr(negotiation, "MAX_TRANSCRIPT", 600)
    found, reader = run(talk.records, known)
    assert found == []
    assert reader.why == "The handshake is longer than is kept, and the server's key alone does not open it."


def test_a_handshake_without_end() -> None:
    """No more of it is kept, whatever is sent."""
    one = negotiation.Negotiation()
    for kind, body in itertools.islice(
        itertools.cycle([(99, bytes(4000)), (98, b""), (tls.CERTIFICATE, b"x")]), 60_000
    ):
        one.message(0, kind, body)
    assert 20_000 < len(one._transcript) <= negotiation.MAX_TRANSCRIPT


# --- alerts ---------------------------------------------------------------------------------------------------------


def test_alerts_that_are_kept() -> None:
    """MAX_ALERTS, the first ones; what is said behind them is read."""
    client = Own13()
    reader, found = own(client)
    for number in range(40):
        found += reader.data(0, client.one(0, bytes([1, number]), ALERT), number, 0)
    found += reader.data(0, client.one(0, b"last"), 0, 0)
    assert [alert.description for alert in reader.alerts] == list(range(decryptor.MAX_ALERTS))
    assert heard(found) == [b"first", b"last"]


# --- early data at the end of a capture -----------------------------------------------------------------------------


def cut_early(change: Callable[[list[Segment]], list[Segment]]) -> list[Plain | PlainGap]:
    """The same connection, of which the capture has less."""
    streams = [one for one in decrypted(SPECIAL, Secrets(), change) if min(one.ports) == 20006]
    return streams[1].found


def of_server(segments: list[Segment], only: slice) -> list[Segment]:
    """Up to the server's first segment with data, and of that only a part."""
    client = next(one.direction for one in segments if one.data)
    at = next(at for at, one in enumerate(segments) if one.data and one.direction != client)
    return [*segments[:at], segments[at]._replace(data=segments[at].data[only])]


def test_early_data_that_the_server_took_although_the_capture_ends_before_its_end() -> None:
    found = cut_early(lambda segments: of_server(segments, slice(None)))
    assert heard(found) == heard(early())[:1]
    assert gaps(found) == []


def test_early_data_of_which_the_capture_does_not_show_what_became() -> None:
    """Behind the ServerHello nothing is captured: it may have been taken or refused, and that is said."""

    def change(segments: list[Segment]) -> list[Segment]:
        hello = of_server(segments, slice(None))[-1].data
        return of_server(segments, slice(0, 5 + int.from_bytes(hello[3:5], "big")))

    found = cut_early(change)
    assert heard(found) == []
    (gap,) = gaps(found)
    assert "does not show whether the server took it" in gap.why


@pytest.mark.parametrize("at", range(3))
def test_early_data_whose_end_is_lost_comes_before_what_follows(at: int) -> None:
    """A packet of the client behind it is missing: what was taken is read, in order."""
    whole, lost = early(), list[Segment]()

    def change(segments: list[Segment]) -> list[Segment]:
        spoken = [one for one in segments if one.data]
        client = spoken[0].direction
        answered = next(place for place, one in enumerate(spoken) if one.direction != client)
        behind = [one for one in spoken[answered:] if one.direction == client]
        lost.extend(behind[at : at + 1])
        return [one for one in segments if one not in lost]

    found = cut_early(change)
    assert heard(found)[:1] == heard(whole)[:1]
    assert [one for one in heard(whole) if one in heard(found)] == heard(found)
    assert len(heard(found)) >= 2


# --- the key log ----------------------------------------------------------------------------------------------------


def key_line(length: int) -> bytes:
    """A line that says something new, in so many bytes."""
    line = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48
    return line + b" " * (length - len(line))


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_lines_of_a_key_log(beyond: int, size: int) -> None:
    """MAX_LINE: a longer one is passed over, however it comes, and the next one is read. No secret is so long."""
    other = b"CLIENT_RANDOM " + b"ef" * 32 + b" " + b"01" * 48
    text = key_line(keylog.MAX_LINE + beyond) + b"\n" + other + b"\n"
    known = Secrets()
    reader = keylog.KeyLogReader(known)
    kept = 0
    for at in range(0, len(text), size):
        reader.feed(text[at : at + size])
        kept = max(kept, len(reader._rest))
    assert bool(known.of(bytes.fromhex("ab" * 32))) == (not beyond)
    assert known.of(bytes.fromhex("ef" * 32))
    assert kept <= keylog.MAX_LINE
    whole = Secrets()
    assert whole.add(text) == 2 - beyond


def test_what_waits_for_keys_on_all_connections() -> None:
    """MAX_WAITING_TOTAL: where little room is left, records are let go, and that is said once their keys come."""
    talk = talk13(40)
    known = Secrets(may_grow=True)
    known.waiting = taken = keylog.MAX_WAITING_TOTAL - 4000  # by others
    reader, found = Decryptor(known), list[Plain | PlainGap]()
    for at, record in enumerate(talk.records):
        found += reader.data(record.side, record.wire, at, at)
        assert known.waiting <= keylog.MAX_WAITING_TOTAL
    known.add(talk.keys)
    found += reader.retry() + reader.finish(0)
    assert 0 < len(heard(found)) < len(texts(talk.records))
    assert any("more was sent than is kept" in gap.why for gap in gaps(found))
    assert known.waiting == taken
