"""Records opened at a stretch: what a decryptor would have given, and only where nothing is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_openssl import V10, V12, V13, Session, session

from ocppscope.wire.decrypt import Decryptor, Plain, Secrets
from ocppscope.wire.decrypt.ahead import Sealed

SUITES = {
    "1.3": (V13, ""),
    "gcm": (V12, "ECDHE-RSA-AES128-GCM-SHA256"),
    "chacha": (V12, "ECDHE-RSA-CHACHA20-POLY1305"),
    "cbc": (V12, "ECDHE-RSA-AES128-SHA"),
}
EXTRA = bytes(16)


def talk(name: str) -> Session:
    version, cipher = SUITES[name]
    return session(version, cipher)


def begun(one: Session) -> Decryptor:
    """A decryptor that has read the handshake and a message of each side."""
    secrets = Secrets()
    secrets.add(one.keys)
    reader = Decryptor(secrets)
    for at, record in enumerate(one.records[: one.body + 2]):
        reader.data(record.side, record.wire, at, at)
    return reader


def opened(reader: Decryptor, side: int, segments: list[bytes]) -> list[bytes]:
    half = reader.steady(side)
    assert half is not None
    length = np.array([len(one) for one in segments], np.int64)
    sealed = Sealed(b"".join(segments) + EXTRA, np.cumsum(length) - length, length, np.zeros(1, np.int64))
    return sealed.open(half, 0)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", SUITES)
@given(data=st.data())
def test_as_much_as_the_decryptor_gives(name, side, data):
    one = talk(name)
    wire = b"".join(record.wire for record in one.records[one.body + 2 :] if record.side == side and record.plain)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=12)))
    segments = [wire[at:stop] for at, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    reader, other = begun(one), begun(one)
    found = opened(reader, side, segments)
    expected = [b"".join(piece.data for piece in other.data(side, segment, 0, 0)) for segment in segments]
    assert found == expected
    assert reader.records == other.records


@pytest.mark.parametrize("name", SUITES)
def test_what_is_read_behind_it_goes_on(name):
    one = talk(name)
    reader = begun(one)
    said = [record for record in one.records[one.body + 2 :] if record.plain]
    for side in (0, 1):
        own = [record for record in said if record.side == side]
        assert opened(reader, side, [record.wire for record in own[:3]]) == [record.plain for record in own[:3]]
        assert reader.data(side, own[3].wire, 5, 6) == [Plain(side, own[3].plain, 5, 6)]
        assert opened(reader, side, [record.wire for record in own[4:6]]) == [record.plain for record in own[4:6]]


def test_not_while_anything_is_missing():
    one = talk("1.3")
    reader, side = begun(one), one.records[one.body].side
    first, second = [record.wire for record in one.records[one.body + 2 :] if record.side == side][:2]
    assert reader.steady(side) is not None
    reader.gap(side, 10, 0)
    assert reader.steady(side) is None
    assert reader.steady(1 - side) is not None
    reader.data(side, first, 0, 0)
    assert reader.steady(side) is not None
    reader.data(side, second[:-1] + b"?", 0, 0)
    assert reader.steady(side) is None


def test_not_before_there_are_keys():
    one = talk("1.3")
    reader = Decryptor(Secrets(may_grow=True))
    assert reader.steady(0) is None
    for record in one.records[: one.body + 2]:
        reader.data(record.side, record.wire, 0, 0)
    assert reader.waits
    assert reader.steady(0) is reader.steady(1) is None


def test_not_where_each_record_needs_the_one_before():
    """In TLS 1.0 a record's IV is the end of the one before it."""
    one = session(V10, "AES128-SHA")
    reader = begun(one)
    assert reader.records > 0
    assert reader.steady(0) is reader.steady(1) is None
