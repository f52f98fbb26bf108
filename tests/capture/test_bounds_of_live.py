"""Bounds of the raw socket, reached: a packet that is cut says how long it was."""

from __future__ import annotations

import errno
import time

import pytest

from ocppscope.capture import live, live_ring
from support_live import FAR, frame, namespace, send

pytestmark = pytest.mark.netns
KEPT = 200


def test_bytes_of_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_PACKET_BYTES: of a longer one so many are kept, and its length on the wire is told; the next is whole."""

    def none(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    assert live.MAX_PACKET_BYTES <= live_ring.BLOCK_BYTES  # which must hold the largest packet
    monkeypatch.setattr(live, "Ring", none)
    monkeypatch.setattr(live, "MAX_PACKET_BYTES", KEPT)
    frames = [frame(1), frame(2, size=1000), frame(3)]
    with namespace():
        tap = live.Tap(FAR, snaplen=1 << 16)
        try:
            send(frames)
            found: list[live.Packet] = []
            deadline = time.monotonic() + 10
            while len(found) < len(frames) and time.monotonic() < deadline:
                found += tap.drain()
                time.sleep(0.005)
        finally:
            tap.close()
    assert [one.data for one in found] == [one[:KEPT] for one in frames]
    assert [one.length for one in found] == [len(one) for one in frames]
