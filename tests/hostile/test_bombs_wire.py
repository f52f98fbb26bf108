"""Bombs on the wire, through the whole tool: log, diagnosis and screens stay small, end, and say what was bounded.

Each case is a process of its own. What is asserted of its cost is memory, and that it ends within a number of CPU
seconds that only a hang needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from bombs import BOMBS
from support_bombs import through

SMALL_MB = 250
"""What a bomb may take at the size that it has here; an idle run takes 45 to 60."""


class Case(NamedTuple):
    """How large a bomb is, what must be said of it, and by whom."""

    bomb: str
    size: int
    said: tuple[str, ...] = ()  # by the log, all of them
    after: bool = True  # an ordinary exchange at the end is still read


CASES = [
    Case("deflate-one", 1024, ("ws.inflated-too-large", "json.oversize")),
    Case("deflate-many", 8, ("ws.inflated-too-large",)),
    Case("deflate-fragments", 64, ("ws.inflated-too-large",)),
    Case("deflate-after-loss", 20, ("not in the capture",), after=False),
    Case("json-depth", 100_000, ("json.depth",)),
    Case("json-size", 15, ("json.oversize",)),
    Case("json-size", 30, ("ws.too-large", "more than 16777216")),
    Case("json-keys", 50_000, ("schema.",)),
    Case("json-duplicates", 30_000, ("json.duplicate-key",)),
    Case("json-numbers", 20_000, ("schema.", "ocpp.message-type")),
    Case("json-samples", 3_000, ("schema.enum",)),
    Case("fragments-tiny", 20_000, ()),
    Case("message-endless", 20, ("ws.too-large", "ws.unfinished-message"), after=False),
    Case("frame-endless", 100_000, ("UNREAD", "no frame could be recognised")),
    Case("frames-of-noise", 30, ("ws.",), after=False),
    Case("frames-of-noise-midstream", 30, (), after=False),
    Case("pings", 10_000),
    Case("closes", 5_000, (), after=False),
    Case("calls-unanswered", 2_000, ("UNANSWERED",), after=False),
    Case("ids-reused", 1_000),
    Case("actions-unknown", 1_000, ("ocpp.unknown-action",)),
    Case("transactions", 300),
    Case("header-endless", 200, ("no end within 65,536 bytes",), after=False),
    Case("requests-on-one", 5_000),
    Case("chunks-endless", 20_000, (), after=False),
    Case("hole-never-filled", 9_000, ("not in the capture",), after=False),
    Case("hole-backwards", 9_000, ("not in the capture",), after=False),
    Case("segments-overlapping", 5_000, ("tcp.overlap-conflict",), after=False),
    Case("segments-of-a-byte", 30_000, (), after=False),
    Case("acks-of-the-unseen", 3_000, ("not in the capture",), after=False),
    Case("ports-reused", 500, (), after=False),
    Case("flows-of-syns", 10_000, ("10,000 other TCP connections",), after=False),
    Case("flows-of-requests", 500, ("NO REPLY",), after=False),
    Case("flows-of-tls", 1_000, ("TLS connection",), after=False),
    Case("flows-midstream", 10_000, ("10,000 other TCP connections",), after=False),
    Case("stations-open", 200, (), after=False),
    Case("stations-closing", 200, (), after=False),
    Case("contexts", 20, (), after=False),
    Case("contexts-in-doubt", 20, ("ws.context-lost",), after=False),
    Case("frames-unfinished", 10, ("not captured",), after=False),
    Case("holes-everywhere", 10, (), after=False),
    Case("ip-fragments", 10_000, (), after=False),
    Case("tags-stacked", 500, ("not IP",), after=False),
    Case("headers-that-lie", 10_000, (), after=False),
]


def name_of(case: Case) -> str:
    return f"{case.bomb}-{case.size}"


def test_every_bomb_is_thrown():
    assert {case.bomb for case in CASES} == BOMBS.keys()


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_bomb_on_the_wire(tmp_path: Path, case: Case):
    log, diagnosis, store = through(tmp_path, BOMBS[case.bomb](tmp_path / "bomb.pcap", case.size))
    assert [ran.code for ran in (log, diagnosis, store)] == [0, 0, 0]
    assert store.peak_mb < SMALL_MB
    for words in case.said:
        assert words in log.said, log.said[-1000:]
    if case.after:
        assert "after-0" in log.out
    assert "itself failed" not in diagnosis.said
    assert "internal" not in diagnosis.err
