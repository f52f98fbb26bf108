"""TLS on the short cut: the same events as on the long way, whatever its records and segments hold."""

from __future__ import annotations

import ssl
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope import engine as engine_module
from ocppscope import shortcut
from ocppscope.engine import Engine
from ocppscope.model import Event, Message, PacketBlock
from ocppscope.options import Options
from ocppscope.wire.decrypt import Secrets
from ocppscope.wire.tcp import STALL_PACKETS
from support_engine import cut
from support_sealed import ALERT, CBC, DEFLATE, GCM, OpenSsl, Own13, Talk, answer, call, squeezed, text

sys.path.insert(0, str(Path(__file__).parent / "wire"))
from support_frames import CLOSE, PING, Deflater, frame, masked
from support_packets import block

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CHACHA, MTE = "ECDHE-RSA-CHACHA20-POLY1305", "AES128-SHA256"
JUNK = bytes([23, 3, 3, 0, 80]) + bytes(80)
SIZES = (1, 3, 16, 1000)


class Seen:
    """How many segments were opened on the short cut."""

    def __init__(self) -> None:
        self.opened = 0

    def unsealed(self, *arguments) -> shortcut.Payloads:
        held = shortcut.unsealed(*arguments)
        self.opened += int((held.opened > 0).sum()) if not isinstance(held.opened, int) else 0
        return held


def events(blocks, keys: bytes, unsealed) -> list[Event]:
    secrets = Secrets()
    secrets.add(keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "unsealed", unsealed)
        engine = Engine(Options(secrets=secrets, every_websocket=True, hash_key=1))
        found = [event for one in blocks for event in engine.packets(one)]
        return [*found, *engine.finish()]


def both_ways(packets: PacketBlock, keys: bytes, *, sizes=SIZES) -> tuple[list[Event], int]:
    """The events, which are the same on both ways and in blocks of any size; how many segments were opened ahead."""
    expected, seen = events([packets], keys, lambda held, *_: held), Seen()
    for size in sizes:
        found = events(cut([packets], size), keys, seen.unsealed)
        assert [str(one) for one in found] == [str(one) for one in expected]
        assert found == expected
    return expected, seen.opened


def texts(found: list[Event]) -> list[bytes]:
    return [one.text for one in found if isinstance(one, Message)]


def peer(name: str) -> OpenSsl | Own13:
    if name == "own":
        return Own13()
    return OpenSsl(V13) if name == "1.3" else OpenSsl(V12, name)


def exchange(talk: Talk, number: int, padding: int = 0) -> None:
    """A CALL and its answer, each in a record and a segment of its own."""
    talk.say(0, *talk.peer.seal(0, text(0, call(number, padding))))
    talk.say(1, *talk.peer.seal(1, text(1, answer(number, padding))))


@pytest.mark.parametrize("name", ["own", "1.3", GCM, CBC, CHACHA, MTE])
def test_ordinary_messages_take_the_short_cut(name):
    talk = Talk(peer(name))
    for number in range(40):
        exchange(talk, number, padding=number % 5 * 60)
    talk.say(0, talk.peer.close(0))
    talk.session.close()
    found, opened = both_ways(talk.packets(), talk.peer.keys, sizes=(1, 7))
    assert len(texts(found)) == 80
    assert {str(one.outcome.value) for one in found if isinstance(one, Message)} == {"pending", "answered"}
    assert opened > 80


def test_compressed_messages():
    talk, deflaters = Talk(Own13(), DEFLATE), (Deflater(), Deflater())
    for number in range(30):
        for side, said in enumerate((call(number, 70), answer(number, 70))):
            plain = squeezed(side, said, deflaters[side]) if number % 3 else text(side, said)
            talk.say(side, *talk.peer.seal(side, plain))
    found, opened = both_ways(talk.packets(), talk.peer.keys, sizes=(1, 7))
    assert sum(one.compressed for one in found if isinstance(one, Message)) == 40
    assert opened > 40


def other_protocol(talk: Talk) -> None:
    """Records whose content is no frame at all."""
    talk.say(1, *talk.peer.seal(1, bytes(300)))


def in_pieces(talk: Talk) -> None:
    plain = text(0, call(100, 300))
    talk.say(0, *talk.peer.seal(0, plain[:2], plain[2:100], plain[100:]))


def in_one_segment(talk: Talk) -> None:
    plain = text(0, call(100, 300))
    talk.say(0, b"".join(talk.peer.seal(0, plain[:2], plain[2:100], plain[100:])))


def several_messages(talk: Talk) -> None:
    talk.say(0, b"".join(talk.peer.seal(0, text(0, call(100)), text(0, call(101)))))


def several_in_a_record(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, call(100)) + text(0, call(101)) + masked(b"?", PING)))


def cut_record(talk: Talk) -> None:
    (wire,) = talk.peer.seal(0, text(0, call(100, 400)))
    talk.say(0, wire[:3], wire[3:5], wire[5:200], wire[200:])


def cut_in_other_places(talk: Talk) -> None:
    wire = b"".join(talk.peer.seal(0, text(0, call(100)), text(0, call(101))))
    talk.say(0, wire[:40], wire[40:])


def fragments(talk: Talk) -> None:
    said = call(100, 40)
    first, rest = frame(said[:20], fin=False, mask=b"abcd"), frame(said[20:], 0, mask=b"abcd")
    talk.say(0, *talk.peer.seal(0, first, masked(b"", PING), rest))


def not_json(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, b"hello"), text(0, b"\xff"), text(0, b"")))


def not_masked(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(1, call(100))))


def padded(talk: Talk) -> None:
    if isinstance(talk.peer, Own13):
        talk.say(0, talk.peer.one(0, text(0, call(100)), padding=50), talk.peer.one(0, b"", padding=9))


def key_update(talk: Talk) -> None:
    if isinstance(talk.peer, Own13):
        talk.say(1, talk.peer.update(1))
        talk.say(1, talk.peer.update(1) + talk.peer.one(1, text(1, answer(9))))


def alert(talk: Talk) -> None:
    if isinstance(talk.peer, Own13):
        talk.say(0, talk.peer.one(0, bytes([1, 90]), ALERT))


def odd_version(talk: Talk) -> None:
    """A header that is none, with a tag that fits."""
    if isinstance(talk.peer, Own13):
        talk.say(0, talk.peer.one(0, text(0, call(100)), version=9))


def wrong_tag(talk: Talk) -> None:
    (wire,) = talk.peer.seal(0, text(0, call(100)))
    talk.say(0, wire[:-1] + bytes([wire[-1] ^ 1]))


def not_tls(talk: Talk) -> None:
    talk.say(0, text(0, call(100)))


def lost(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, call(100)), text(0, call(101, 300))))
    del talk.session.packets[-2]


def lost_and_acknowledged(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, call(100))))
    talk.say(1, *talk.peer.seal(1, text(1, answer(100))))
    del talk.session.packets[-2]


def sent_again(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, call(100)), text(0, call(101))))
    talk.session.packets.append(talk.session.packets[-2])


def swapped(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, text(0, call(100)), text(0, call(101))))
    talk.session.packets[-2:] = talk.session.packets[-1], talk.session.packets[-2]


def junk_record(talk: Talk) -> None:
    """One that its sender does not count."""
    talk.say(0, JUNK)


def junk_lost(talk: Talk) -> None:
    """The loss is known before the next record comes."""
    talk.say(0, JUNK)
    lost = len(talk.session.packets) - 1
    talk.say(1, *talk.peer.seal(1, *[text(1, answer(100))] * (STALL_PACKETS + 2)))
    del talk.session.packets[lost]


def record_in_a_record(talk: Talk) -> None:
    """The rest of a record reads as one, with a tag that fits."""
    (inner,) = talk.peer.seal(0, text(0, call(100)))
    talk.say(0, bytes([23, 3, 3]) + (len(inner) + 7).to_bytes(2, "big") + bytes(7), inner)


def closed(talk: Talk) -> None:
    talk.say(0, *talk.peer.seal(0, masked(b"\x03\xe8", CLOSE)))
    talk.say(0, talk.peer.close(0))


STEPS = [
    other_protocol, in_pieces, in_one_segment, several_messages, several_in_a_record, cut_record, cut_in_other_places,
    fragments, not_json, not_masked, padded, key_update, alert, odd_version, wrong_tag, not_tls, lost,
    lost_and_acknowledged, sent_again, swapped, junk_record, junk_lost, record_in_a_record, closed,
]  # fmt: skip


@pytest.mark.parametrize("name", ["own", GCM, CBC])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_what_is_not_ordinary(step, name):
    talk = Talk(peer(name))
    for number in range(12):
        exchange(talk, number)
    step(talk)
    if step is not closed:
        for number in range(12, 24):
            exchange(talk, number)
    _, opened = both_ways(talk.packets(), talk.peer.keys)
    assert opened > 20


@settings(max_examples=60)
@given(data=st.data())
def test_one_thing_after_another(data):
    talk = Talk(Own13())
    exchange(talk, 0)
    usual = st.none() | st.sampled_from(STEPS[:-1])
    for number, step in enumerate(data.draw(st.lists(usual, min_size=3, max_size=12)), 1):
        if step is None:
            exchange(talk, number, padding=data.draw(st.integers(0, 300)))
        else:
            step(talk)
    sizes = data.draw(st.tuples(st.integers(1, 4), st.integers(5, 40)))
    both_ways(talk.packets(), talk.peer.keys, sizes=sizes)


def test_several_connections_keep_apart():
    talks = [Talk(peer(name)) for name in ("own", GCM, "own")]
    for talk in talks:
        for number in range(20):
            exchange(talk, number)
    rows = zip_longest(*(moved(talk, 50_000 + at) for at, talk in enumerate(talks)))
    packets = [packet for row in rows for packet in row if packet is not None]
    found, opened = both_ways(block(packets), b"".join(talk.peer.keys for talk in talks), sizes=(4, 60))
    assert len(texts(found)) == 120
    assert opened > 80


def moved(talk: Talk, port: int) -> list[bytes]:
    """The packets as if they came from and went to another port of the station."""
    own, other = (50_000).to_bytes(2, "big"), port.to_bytes(2, "big")
    return [packet[:34] + packet[34:38].replace(own, other, 1) + packet[38:] for packet in talk.session.packets]


def test_a_segment_that_only_looks_like_a_frame():
    """What is sent behind a cut in a record may read as a whole text frame, and is none."""
    talk = Talk(Own13())
    for number in range(8):
        exchange(talk, number)
    talk.session.send(0, bytes([23, 3, 3, 0, 60]))
    talk.session.send(0, text(0, call(100)))
    found, _ = both_ways(talk.packets(), talk.peer.keys)
    assert call(100) not in texts(found)


@pytest.mark.parametrize("count", [1, 3])
def test_texts_taken_out_in_other_numbers(count, monkeypatch):
    talk = Talk(Own13())
    for number in range(20):
        exchange(talk, number)
    whole, _ = both_ways(talk.packets(), talk.peer.keys)
    monkeypatch.setattr(shortcut, "TEXTS_AT_ONCE", count)
    assert both_ways(talk.packets(), talk.peer.keys)[0] == whole
