"""TLS with its keys, from packets to messages: as if there had been none."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from conftest import SHARED
from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.model import ConnectionOpened, Message, PacketBlock, StreamGap, TlsConnection
from ocppscope.options import Options
from ocppscope.wire.decrypt import Secrets
from support_engine import cut

TLS = SHARED / "tls"
FORTY = {"t12_resume_ticket": 120, "t13_resume": 120}
NAMES = [
    "t12_ecdhe_rsa_cbc128_sha1_mte", "t12_ecdhe_rsa_chacha", "t12_ecdhe_rsa_gcm128", "t12_mtls", "t12_resume_ticket",
    "t12_rsa_gcm128", "t13_aes128gcm", "t13_mtls", "t13_resume",
]  # fmt: skip

pytestmark = pytest.mark.shared


def secrets_of(name: str) -> Secrets:
    secrets = Secrets()
    secrets.add((TLS / f"{name}.keys").read_bytes())
    return secrets


@cache
def blocks_of(path: Path) -> tuple[PacketBlock, ...]:
    with open_captures([path]) as reader:
        return tuple(reader.blocks())


def decode(blocks, secrets: Secrets | None) -> list:
    engine = Engine(Options(secrets=secrets))
    found = [event for block in blocks for event in engine.packets(block)]
    return [*found, *engine.finish()]


def messages(events) -> list[tuple]:
    return [(one.side, one.text, one.outcome, one.packets) for one in events if isinstance(one, Message)]


@pytest.mark.parametrize("name", NAMES)
def test_every_message_is_read(name):
    found = decode(blocks_of(TLS / f"{name}.pcap"), secrets_of(name))
    assert len(messages(found)) == FORTY.get(name, 80)
    assert not [one for one in found if isinstance(one, StreamGap)]
    assert {one.outcome.value for one in found if isinstance(one, Message)} == {"pending", "answered"}
    opened = [one.connection for one in found if isinstance(one, ConnectionOpened)]
    assert all(one.tls is not None and one.tls.suite and not one.tls.trouble for one in opened)
    assert all(one.decrypted for one in found if isinstance(one, TlsConnection))


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_however_the_packets_are_cut(name, size):
    blocks = blocks_of(TLS / f"{name}.pcap")
    assert messages(decode(cut(blocks, size), secrets_of(name))) == messages(decode(blocks, secrets_of(name)))


@pytest.mark.parametrize("name", ["t12_resume_ticket_dsb", "t13_aes128gcm_dsb"])
def test_keys_inside_the_capture(name):
    secrets = Secrets()
    engine, found = Engine(Options(secrets=secrets)), []
    with open_captures([TLS / f"{name}.pcapng"], keep_secrets=secrets.add) as reader:
        for block in reader.blocks():
            found += engine.packets(block)
    found += engine.finish()
    plain = name.removesuffix("_dsb")
    assert [one[:3] for one in messages(found)] == [
        one[:3] for one in messages(decode(blocks_of(TLS / f"{plain}.pcap"), secrets_of(plain)))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_without_keys_or_with_others_nothing_is_claimed(name):
    blocks = blocks_of(TLS / f"{name}.pcap")
    other = secrets_of("t13_mtls" if name != "t13_mtls" else "t13_resume")
    for secrets in (None, Secrets(), other):
        found = decode(blocks, secrets)
        assert messages(found) == []
        told = [one for one in found if isinstance(one, TlsConnection)]
        assert told
        assert not any(one.decrypted for one in told)
        assert all(one.client_hello is not None and one.server_hello is not None for one in told)


def without(block: PacketBlock, packets: list[int]) -> PacketBlock:
    kept = np.setdiff1d(np.arange(len(block.offsets)), packets)
    columns = {name: getattr(block, name)[kept] for name in ("offsets", "caplen", "origlen", "time_ns", "linktype")}
    return block._replace(**columns)


GAPPED = ["t12_ecdhe_rsa_gcm128", "t12_ecdhe_rsa_cbc128_sha1_mte", "t12_ecdhe_rsa_chacha", "t13_aes128gcm"]


@pytest.mark.parametrize("name", GAPPED)
def test_after_a_lost_packet_only_what_it_held_is_missing(name):
    (block,) = blocks_of(TLS / f"{name}.pcap")
    whole = decode([block], secrets_of(name))
    lost = [one for one in whole if isinstance(one, Message)][40]
    (packet,) = lost.packets
    found = decode([without(block, [packet - 1])], secrets_of(name))
    expected = [one[1] for one in messages(whole)]
    expected.remove(lost.text)
    assert [one[1] for one in messages(found)] == expected
    assert [one for one in found if isinstance(one, StreamGap)]


@pytest.mark.parametrize("name", ["t13_aes128gcm", "t13_mtls"])
def test_tls_13_from_the_middle(name):
    (block,) = blocks_of(TLS / f"{name}.pcap")
    whole = [one for one in decode([block], secrets_of(name)) if isinstance(one, Message)]
    first = whole[40].packets[0]
    found = decode([without(block, list(range(first - 1)))], secrets_of(name))
    assert [one[1] for one in messages(found)] == [one.text for one in whole[40:]]


@pytest.mark.parametrize("name", ["t12_ecdhe_rsa_gcm128", "t13_aes128gcm"])
def test_keys_that_come_late(name):
    blocks, secrets = blocks_of(TLS / f"{name}.pcap"), Secrets(may_grow=True)
    engine = Engine(Options(secrets=secrets, expects_secrets=True))
    early, late = list(cut(blocks, 50))[:1], list(cut(blocks, 50))[1:]
    before = [event for block in early for event in engine.packets(block)]
    assert messages(before) == []
    secrets.add((TLS / f"{name}.keys").read_bytes())
    found = list(engine.retry())
    assert messages(found)
    found += [event for block in late for event in engine.packets(block)]
    assert [one[:2] for one in messages(found)] == [one[:2] for one in messages(decode(blocks, secrets_of(name)))]
