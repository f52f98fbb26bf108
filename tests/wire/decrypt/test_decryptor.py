"""The decryptor on sessions of OpenSSL: whole, cut, with losses, from the middle; secrets that are late or wrong."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_decrypt import gaps, plain
from support_openssl import PEM, V10, V12, V13, Record, Session, session

from ocppscope.wire.decrypt import Decryptor, Plain, PlainGap, Secrets, waiting
from ocppscope.wire.decrypt.rsa import ServerKey
from ocppscope.wire.tcp import Assembler, Segment

SUITES = {
    "1.3": (V13, "", {}),
    "gcm": (V12, "ECDHE-RSA-AES128-GCM-SHA256", {}),
    "chacha": (V12, "ECDHE-RSA-CHACHA20-POLY1305", {}),
    "ccm8": (V12, "AES256-CCM8", {}),
    "etm": (V12, "ECDHE-RSA-AES128-SHA256", {}),
    "mte": (V12, "ECDHE-RSA-AES256-SHA384", {"etm": False}),
    "null": (V12, "NULL-SHA256", {}),
    "1.0": (V10, "ECDHE-RSA-AES128-SHA", {"etm": False}),
}
EXACT = {"1.3", "gcm", "chacha", "ccm8", "null"}
every_suite = pytest.mark.parametrize("name", SUITES)


def example(name: str, messages: int = 20, **more: Any) -> Session:
    version, cipher, how = SUITES[name]
    return session(version, cipher, messages, **how, **more)


def secrets(keys: bytes, **how: Any) -> Secrets:
    known = Secrets(**how)
    known.add(keys)
    return known


def run(
    records: list[Record] | tuple[Record, ...], known: Secrets, lost: set[int] | frozenset[int] = frozenset()
) -> tuple[list[Plain | PlainGap], Decryptor]:
    """Feeds records, those in `lost` as gaps; the packet is the record's index."""
    reader = Decryptor(known)
    found: list[Plain | PlainGap] = []
    for at, record in enumerate(records):
        if at in lost:
            found += reader.gap(record.side, len(record.wire), at, "not captured")
        else:
            found += reader.data(record.side, record.wire, at, at)
    return found + reader.finish(len(records)), reader


def texts(records: list[Record] | tuple[Record, ...]) -> list[tuple[int, bytes]]:
    return [(record.side, record.plain) for record in records if record.plain]


def heard(found: list[Plain | PlainGap]) -> list[tuple[int, bytes]]:
    return [(one.direction, one.data) for one in found if isinstance(one, Plain)]


@every_suite
def test_everything_in_order(name):
    talk = example(name)
    found, reader = run(talk.records, secrets(talk.keys))
    joined = [text for record in talk.records if record.plain for text in [(record.side, record.plain)]]
    assert heard(found) == joined
    assert gaps(found) == []
    assert (reader.why, reader.whys, reader.client) == ("", ["", ""], 0)
    assert {(alert.level, alert.description) for alert in reader.alerts} == {(1, 0)}


@every_suite
def test_time_and_packet_are_those_that_complete_a_record(name):
    talk = example(name)
    found, _ = run(talk.records, secrets(talk.keys))
    assert [talk.records[one.packet].plain for one in found] == [one.data for one in found]
    assert all(one.time_ns == one.packet for one in found)


@settings(max_examples=60)
@given(st.data())
@every_suite
def test_every_cut(name, data):
    """However the bytes are cut, the plaintext is the same."""
    talk = example(name)
    reader = Decryptor(secrets(talk.keys))
    found: list[Plain | PlainGap] = []
    runs: list[tuple[int, bytes]] = []
    for record in talk.records:
        if runs and runs[-1][0] == record.side:
            runs[-1] = (record.side, runs[-1][1] + record.wire)
        else:
            runs.append((record.side, record.wire))
    for side, wire in runs:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
        for start, stop in pairwise([0, *cuts, len(wire)]):
            found += reader.data(side, wire[start:stop], 0, 0)
    found += reader.finish(0)
    assert gaps(found) == []
    assert [plain(found, side) for side in (0, 1)] == [talk.plain(side) for side in (0, 1)]


def test_byte_by_byte_and_all_at_once():
    talk = example("1.3")
    reader = Decryptor(secrets(talk.keys))
    found: list[Plain | PlainGap] = []
    for record in talk.records:
        for byte in record.wire:
            found += reader.data(record.side, bytes([byte]), 0, 0)
    assert [plain(found, side) for side in (0, 1)] == [talk.plain(side) for side in (0, 1)]
    start = talk.body
    reader, found = Decryptor(secrets(talk.keys)), []
    for record in talk.records[:start]:
        found += reader.data(record.side, record.wire, 0, 0)
    for side in (0, 1):
        wire = b"".join(record.wire for record in talk.records[start:] if record.side == side)
        found += reader.data(side, wire, 7, 9)
    assert found == [Plain(side, talk.plain(side), 7, 9) for side in (0, 1)]


# --- losses ---------------------------------------------------------------------------------------------------------


def unhit(talk: Session, lost: set[int]) -> list[tuple[int, bytes]]:
    """The texts that have to be read. In TLS 1.0 OpenSSL sends an empty record first, and only that needs others."""
    return [(one.side, one.plain) for at, one in enumerate(talk.records) if one.plain and at not in lost]


@settings(max_examples=60)
@given(st.data())
@every_suite
def test_all_but_the_records_hit(name, data):
    """After the handshake, any records may be missing."""
    talk = example(name, messages=30)
    lost = data.draw(st.sets(st.integers(talk.body, len(talk.records) - 1)))
    found, reader = run(talk.records, secrets(talk.keys), lost)
    assert heard(found) == unhit(talk, lost)
    assert reader.why == ""


DAMAGE = ("lost", "its last block", "its MAC", "a part lost", "a record between")


@pytest.mark.parametrize("damage", DAMAGE)
def test_nothing_is_given_out_that_no_mac_vouches_for(damage):
    """In TLS 1.0 a record is read with the end of the one before, which its MAC leaves out where that comes last."""
    talk = session(V10, "ECDHE-RSA-AES128-SHA", 12, empty=False)
    hit = talk.body + 4
    reader = Decryptor(secrets(talk.keys))
    found: list[Plain | PlainGap] = []
    for at, (side, wire, _) in enumerate(talk.records):
        if at != hit:
            found += reader.data(side, wire, at, at)
        elif damage == "lost":
            found += reader.gap(side, len(wire), at, "")
        elif damage == "a part lost":
            found += reader.data(side, wire[:-40], at, at) + reader.gap(side, 40, at, "")
        elif damage == "a record between":
            found += reader.data(side, wire + wire[:5] + bytes(len(wire) - 5), at, at)
        else:
            place = len(wire) - (25 if damage == "its last block" else 1)
            found += reader.data(side, wire[:place] + bytes([wire[place] ^ 1]) + wire[place + 1 :], at, at)
    found += reader.finish(99)
    later = [one for one in found if one.direction == talk.records[hit].side and one.time_ns > hit]
    text = talk.records[hit + 2].plain
    if damage == "a record between":  # which was none of the sender's, and counts for nothing
        assert heard(found) == texts(talk.records)
        assert later[0] == Plain(talk.records[hit].side, text, hit + 2, hit + 2)
    else:
        assert isinstance(later[0], PlainGap)
        assert later[0].lost is None
        assert later[1] == Plain(talk.records[hit].side, text[16:], hit + 2, hit + 2)
        assert heard(later[2:]) == [one for one in texts(talk.records[hit + 3 :]) if one[0] == talk.records[hit].side]


@settings(max_examples=40)
@given(st.data())
@pytest.mark.parametrize("name", sorted(EXACT))
def test_what_is_lost_is_counted(name, data):
    """Between texts that are there, the plaintext that is missing is known to the byte."""
    talk = example(name, messages=30)
    last = {side: max(at for at, one in enumerate(talk.records) if one.side == side and one.plain) for side in (0, 1)}
    first = talk.body + 2
    lost = data.draw(
        st.sets(st.sampled_from([at for at in range(first, len(talk.records)) if at < min(last.values())]))
    )
    found, _ = run(talk.records, secrets(talk.keys), lost)
    for side in (0, 1):
        said = sum(
            one.lost or 0 if isinstance(one, PlainGap) else len(one.data) for one in found if one.direction == side
        )
        assert said == len(talk.plain(side))
    assert all(gap.lost and gap.why == "not captured" for gap in gaps(found))


@settings(max_examples=60)
@given(st.data())
@every_suite
def test_gaps_in_any_bytes(name, data):
    """Bytes are missing anywhere behind the handshake: each record that is whole is read, and nothing that is not."""
    talk = example(name, messages=30)
    side = data.draw(st.integers(0, 1))
    wire = b"".join(record.wire for record in talk.records[talk.body :] if record.side == side)
    start = data.draw(st.integers(0, len(wire) - 1))
    stop = data.draw(st.integers(start + 1, len(wire)))
    reader = Decryptor(secrets(talk.keys))
    found: list[Plain | PlainGap] = []
    for record in talk.records[: talk.body]:
        found += reader.data(record.side, record.wire, 0, 0)
    found += reader.data(side, wire[:start], 0, 0)
    found += reader.gap(side, stop - start, 0, "")
    found += reader.data(side, wire[stop:], 0, 0)
    found += reader.finish(0)
    at, whole = 0, []
    for record in talk.records[talk.body :]:
        if record.side == side:
            if record.plain and not (at < stop and at + len(record.wire) > start):
                whole.append(record.plain)
            at += len(record.wire)
    got = b"".join(one.data for one in found if isinstance(one, Plain))
    if name == "1.0":  # what is read is right, and the record behind a gap may be as well
        assert all(text in got for text in whole)
        assert all(one.data in talk.plain(side) for one in found if isinstance(one, Plain))
    else:
        assert got == b"".join(whole)


@every_suite
@pytest.mark.parametrize("at", range(12))
def test_a_record_of_the_handshake_is_missing(name, at):
    """Save the hellos up to TLS 1.2, any one flight of the handshake may be missing."""
    talk = example(name)
    flights = [index for index, record in enumerate(talk.records) if not record.plain and index < talk.body]
    if at >= len(flights):
        at = 0
    found, reader = run(talk.records, secrets(talk.keys), {flights[at]})
    hello_lost = flights[at] == next(i for i, record in enumerate(talk.records) if record.side == 1)
    if name != "1.3" and hello_lost:
        assert heard(found) == []
        assert "ServerHello is not in the capture" in reader.why
    else:
        assert heard(found) == texts(talk.records)


def test_a_long_gap():
    """Thousands of records are missing."""
    for name in ("1.3", "gcm", "chacha", "etm"):
        talk = example(name, messages=6000, size=40)
        middle = set(range(talk.body + 4, len(talk.records) - 10))
        found, _ = run(talk.records, secrets(talk.keys), middle)
        assert heard(found) == unhit(talk, middle)


@settings(max_examples=40)
@given(st.data())
@pytest.mark.parametrize("name", ["1.3", "gcm", "mte"])
def test_through_tcp(name, data):
    """Segments swapped, doubled and lost, put in order by the assembler."""
    talk = example(name)
    seq = [1000, 5000]
    segments = []
    for at, record in enumerate(talk.records):
        for start in range(0, len(record.wire), 300):
            piece = record.wire[start : start + 300]
            segments.append(Segment(record.side, seq[record.side], seq[1 - record.side], 0x10, piece, 0, at, at))
            seq[record.side] += len(piece)
    moves = data.draw(st.lists(st.integers(0, len(segments) - 2), max_size=6))
    for at in moves:
        if segments[at].direction == segments[at + 1].direction:
            segments[at], segments[at + 1] = segments[at + 1], segments[at]
        else:
            segments.insert(at, segments[at])

    class Stream:
        def __init__(self) -> None:
            self.found: list[Plain | PlainGap] = []
            self.reader = Decryptor(secrets(talk.keys))

        def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
            self.found += self.reader.data(direction, data, time_ns, packet)

        def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
            raise AssertionError("nothing is missing")

        def problem(self, *_: object) -> None: ...

        def closed(self, *_: object) -> None: ...

    stream = Stream()
    assembler = Assembler(stream)
    for side in (0, 1):
        assembler.add(Segment(side, (999, 4999)[side], 1000 * side, 0x02 + 0x10 * side, b"", 0, 0, 0))
    for segment in segments:
        assembler.add(segment)
    assembler.finish(1 << 40)
    found = stream.found + stream.reader.finish(0)
    assert [plain(found, side) for side in (0, 1)] == [talk.plain(side) for side in (0, 1)]


# --- from the middle ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 20), st.integers(0, 30), st.booleans())
def test_tls13_from_the_middle(skip, cut, other):
    """Whichever record comes first, wherever in it the capture begins; the log has other connections' secrets."""
    talk = example("1.3", messages=30)
    rest = list(talk.records[talk.body + skip :])
    rest[0] = rest[0]._replace(wire=rest[0].wire[cut:], plain=rest[0].plain if not cut else b"")
    keys = example("1.3", messages=7).keys + talk.keys + example("1.3", messages=8).keys
    found, reader = run(rest, secrets(keys if other else talk.keys))
    assert heard(found) == texts(rest)
    assert reader.client == 0
    assert gaps(found) == []


def test_tls13_far_in_the_middle():
    """After some ten thousand records; the log holds a hundred connections."""
    talk = session(V13, "", 20000, size=24)
    others = b"".join(
        line.replace(line.split()[1], b"%064x" % number)
        for number in range(50)
        for line in example("1.3", messages=9).keys.splitlines(keepends=True)
        if len(line.split()) == 3
    )
    rest = talk.records[-40:]
    found, reader = run(rest, secrets(others + talk.keys))
    assert heard(found) == texts(rest)
    assert reader.suite == "TLS_AES_256_GCM_SHA384"


def test_tls12_from_the_middle_is_named():
    talk = example("gcm")
    found, reader = run(talk.records[talk.body :], secrets(talk.keys))
    assert found == []
    assert "begins in the middle" in reader.why


@pytest.mark.parametrize("name", ["gcm", "mte", "1.3"])
def test_only_the_client_hello_is_missing(name):
    talk = example(name)
    keys = example(name, messages=5).keys + talk.keys
    found, reader = run(talk.records[1:], secrets(keys))
    assert heard(found) == texts(talk.records)
    assert reader.client == 0


def test_what_is_not_tls():
    reader = Decryptor(secrets(example("gcm").keys))
    for _ in range(70):
        assert reader.data(0, bytes(range(7, 20)) * 2000, 0, 0) == []
        assert reader.data(1, b"x" * 26000, 0, 0) == []
    assert "No TLS records" in reader.why


# --- secrets --------------------------------------------------------------------------------------------------------


@every_suite
def test_no_secrets(name):
    talk = example(name)
    found, reader = run(talk.records, Secrets())
    assert found == []
    assert reader.why == "There are no secrets for this connection in the key log."


@every_suite
def test_wrong_secrets(name):
    """Secrets that have the connection's name and are others."""
    talk, other = example(name), example(name, messages=5)
    random = next(line.split()[1] for line in talk.keys.splitlines() if len(line.split()) == 3)
    wrong = b"\n".join(
        b" ".join([words[0], random, words[2]])
        for words in map(bytes.split, other.keys.splitlines())
        if len(words) == 3
    )
    found, reader = run(talk.records, secrets(wrong))
    assert heard(found) == []
    assert "do not fit" in reader.why or "do not fit" in reader.whys[0] + reader.whys[1]


LABELS = (
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
)


@pytest.mark.parametrize("missing", range(16))
def test_a_part_of_the_secrets(missing):
    """In TLS 1.3, a direction needs its traffic secret and nothing else."""
    talk = example("1.3")
    without = {label for bit, label in enumerate(LABELS) if missing >> bit & 1}
    keys = b"\n".join(line for line in talk.keys.splitlines() if line.split()[0].decode() not in without)
    found, reader = run(talk.records, secrets(keys))
    sides = [side for side in (0, 1) if LABELS[2 + side] not in without]
    assert heard(found) == [one for one in texts(talk.records) if one[0] in sides]
    assert gaps(found) == []
    if len(sides) == 1:
        assert "no traffic secret" in reader.whys[1 - sides[0]]
    assert bool(reader.why) == (not sides)


@every_suite
@pytest.mark.parametrize("when", [1, 3, 8, 14])
def test_secrets_that_come_later(name, when):
    """Records wait for their secrets, and keep their order."""
    talk = example(name)
    known = Secrets(may_grow=True)
    reader = Decryptor(known)
    found: list[Plain | PlainGap] = []
    for at, record in enumerate(talk.records):
        if at == when:
            assert known.add(talk.keys) > 0
            found += reader.retry()
            assert not reader.waits
        found += reader.data(record.side, record.wire, at, at)
    found += reader.finish(99)
    assert heard(found) == texts(talk.records)
    assert known.waiting == 0


def test_secrets_that_come_line_by_line():
    talk = example("1.3")
    known = Secrets(may_grow=True)
    reader = Decryptor(known)
    found: list[Plain | PlainGap] = []
    lines = talk.keys.splitlines()
    for at, record in enumerate(talk.records):
        if at > 4 and lines:
            known.add(lines.pop())
        found += reader.data(record.side, record.wire, at, at)
    found += reader.finish(99)
    assert heard(found) == texts(talk.records)


@pytest.mark.parametrize("name", ["1.3", "gcm", "chacha", "etm", "mte"])
def test_what_waits_is_bounded(name, monkeypatch):
    """Of more, the oldest records are let go; the rest is read when the secrets come."""
    monkeypatch.setattr(waiting, "MAX_WAITING", 4000)
    talk = example(name, messages=60)
    known = Secrets(may_grow=True)
    reader = Decryptor(known)
    for at, record in enumerate(talk.records):
        assert reader.data(record.side, record.wire, at, at) == []
        assert known.waiting <= 4000
    known.add(talk.keys)
    found = reader.finish(99)
    got = heard(found)
    assert 5 <= len(got) < 60
    assert got == texts(talk.records)[-len(got) :]
    assert "until there are secrets" in gaps(found)[0].why
    assert known.waiting == 0


def test_what_all_connections_keep_is_bounded(monkeypatch):
    monkeypatch.setattr(waiting, "MAX_WAITING_TOTAL", 10_000)
    talk = example("gcm")
    known = Secrets(may_grow=True)
    readers = [Decryptor(known) for _ in range(5)]
    for record in talk.records:
        for reader in readers:
            reader.data(record.side, record.wire, 0, 0)
            assert known.waiting <= 10_000
    for reader in readers:
        reader.finish(0)
    assert known.waiting == 0


# --- a server's key -------------------------------------------------------------------------------------------------


@cache
def server_key() -> ServerKey:
    return ServerKey((PEM / "rsa.pem").read_bytes())


def with_server_key(keys: bytes = b"") -> Secrets:
    known = secrets(keys)
    known.server_keys.append(server_key())
    return known


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-SHA", "AES256-CCM8", "NULL-MD5"])
@pytest.mark.parametrize("version", [V12, V10])
def test_a_servers_key(cipher, version):
    if version == V10 and cipher not in ("AES256-SHA", "NULL-MD5"):
        cipher = "AES128-SHA"
    talk = session(version, cipher)
    found, reader = run(talk.records, with_server_key())
    assert heard(found) == texts(talk.records)
    assert reader.why == ""


def test_a_servers_key_does_not_open_forward_secrecy():
    talk = example("gcm")
    _, reader = run(talk.records, with_server_key())
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 has forward secrecy" in reader.why


def test_a_premaster_secret_in_the_key_log():
    """OpenSSL writes it as well, in a line of its own."""
    talk = session(V12, "AES128-GCM-SHA256")
    keys = b"\n".join(line for line in talk.keys.splitlines() if line.startswith(b"RSA "))
    assert keys
    found, _ = run(talk.records, secrets(keys))
    assert heard(found) == texts(talk.records)


# --- what is not decrypted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"suite": 0xC05C}, "The cipher suite TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256 is not decrypted."),
        ({"suite": 0xFEFE}, "The cipher suite 0xFEFE is not decrypted."),
        (
            {"suite": 0x1301},
            "The cipher suite TLS_AES_128_GCM_SHA256 does not belong to the version that was chosen.",
        ),
        ({"version": 0x0300}, "Version 0x0300 of TLS is not decrypted."),
        ({"version": 0x0305}, "Version 0x0305 of TLS is not decrypted."),
        ({"compression": 1}, "The connection is compressed by TLS, which is not decrypted."),
    ],
)
def test_what_is_not_decrypted_is_named(what, why):
    """A ServerHello of OpenSSL, changed."""
    talk = example("gcm")
    records = list(talk.records)
    wire = bytearray(records[1].wire)
    suite = 5 + 4 + 34 + 1 + wire[5 + 4 + 34]
    if "version" in what:
        wire[9:11] = what["version"].to_bytes(2, "big")
    if "suite" in what:
        wire[suite : suite + 2] = what["suite"].to_bytes(2, "big")
    wire[suite + 2] = what.get("compression", 0)
    records[1] = records[1]._replace(wire=bytes(wire))
    found, reader = run(records, secrets(talk.keys))
    assert found == []
    assert reader.why == why


# --- hostile --------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(st.data())
def test_hostile_bytes(data):
    """Anything may be sent by either side, at any time, in records or not."""
    talk = example(data.draw(st.sampled_from(sorted(SUITES))))
    reader = Decryptor(with_server_key(talk.keys) if data.draw(st.booleans()) else secrets(talk.keys, may_grow=True))
    junk = st.binary(max_size=60)
    header = st.builds(
        lambda kind, low, body: bytes([kind, 3, low]) + len(body).to_bytes(2, "big") + body,
        st.integers(19, 25), st.integers(0, 4), junk,
    )  # fmt: skip
    for record in talk.records:
        what = data.draw(st.sampled_from(["right", "right", "right", "junk", "record", "gap", "flip", "twice"]))
        wire = record.wire
        if what == "junk":
            wire = data.draw(junk)
        elif what == "record":
            wire = data.draw(header) + (wire if data.draw(st.booleans()) else b"")
        elif what == "flip":
            at = data.draw(st.integers(0, len(wire) - 1))
            wire = wire[:at] + bytes([wire[at] ^ data.draw(st.integers(1, 255))]) + wire[at + 1 :]
        elif what == "twice":
            wire += wire
        if what == "gap":
            found = reader.gap(record.side, data.draw(st.integers(1, 1 << 20)), 0, "")
        else:
            found = reader.data(record.side, wire, 0, 0)
        everything = talk.plain(0) + talk.plain(1)
        for one in found:
            assert isinstance(one, PlainGap) or one.data in everything or len(one.data) > 40
    reader.finish(0)


@settings(max_examples=150)
@given(st.binary(max_size=400), st.booleans(), st.integers(0, 60))
def test_hostile_handshakes(body, server, cut):
    """Handshake messages with anything in them."""
    talk = example("gcm")
    first, second = talk.records[:2]
    reader = Decryptor(with_server_key(talk.keys))
    if server:
        reader.data(0, first.wire, 0, 0)
    kept = (second if server else first).wire[5 : 5 + cut]
    message = kept + body
    reader.data(int(server), b"\x16\3\3" + len(message).to_bytes(2, "big") + message, 0, 0)
    for record in talk.records[1 + server :]:
        reader.data(record.side, record.wire, 0, 0)
    reader.finish(0)


@every_suite
def test_a_record_that_was_changed_is_not_given_out(name):
    """One record with a flipped bit: it is named, the others are read."""
    talk = example(name)
    at = talk.body + 6
    records = list(talk.records)
    wire = records[at].wire
    records[at] = records[at]._replace(wire=wire[:-1] + bytes([wire[-1] ^ 1]))
    found, _ = run(records, secrets(talk.keys))
    wanted = [one for one in texts(talk.records) if one[1] != records[at].plain]
    assert heard(found) == wanted
    assert [gap.direction for gap in gaps(found)] == [records[at].side]
