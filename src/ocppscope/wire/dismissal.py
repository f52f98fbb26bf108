"""Flows that are none of ours, told from the columns of one block, before anything is made of them.

Most flows of a real capture begin with a SYN and say at once that they are TLS, another protocol, or HTTP without an
upgrade. Where the block shows a flow's SYN and then its first bytes, whole and in their place, a `ConnectionObserver`
could only come to the same conclusion. Whatever is less plain is left to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.connection import Phase, is_tls
from ocppscope.wire.heads import MAY_BE_HTTP, is_plain_request
from ocppscope.wire.link import ACK, FIN, RST, SYN
from ocppscope.wire.tcp import MODULUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.wire.link import Ints, Segments

    Booleans = NDArray[np.bool_]

MIN_FIRST_BYTES = 5
"""What a flow must say for it to be judged here."""


class Dismissed(NamedTuple):
    """A flow that is none of ours."""

    slot: int
    phase: Phase | None  # TLS, OTHER, or IDLE_HTTP for one that may ask for an upgrade later; None: that as before
    ip: int  # where the IP header of a segment with SYN, or any, starts
    answered: bool  # that one is the server's
    rows: Ints  # all of the flow's segments, in order


def dismissed(segments: Segments, slot: Ints, rows: Ints, idle: Booleans) -> list[Dismissed]:
    """The flows to dismiss.

    `rows` are segments of flows that nobody looks at yet, in order; `slot` theirs; `idle`, by slot, says which are
    known to be HTTP that has asked for no upgrade so far.
    """
    order = np.argsort(slot, kind="stable")
    slot, rows = slot[order], rows[order]
    begins = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
    here, direction = np.arange(len(rows)), segments.direction[rows]
    synchronises, speaks = (segments.flags[rows] & SYN) != 0, segments.length[rows] > 0
    speech = np.minimum.reduceat(np.where(speaks, here, len(rows)), begins)
    last_syn = [
        np.maximum.reduceat(np.where(synchronises & (direction == side), here, -1), begins) for side in (0, 1)
    ]
    syns = np.add.reduceat(synchronises.astype(np.int64), begins)
    opened_once = synchronises[begins] & (syns == (last_syn[0] >= 0).astype(np.int64) + (last_syn[1] >= 0))
    over = np.minimum.reduceat(np.where(segments.flags[rows] & (FIN | RST), here, len(rows)), begins)
    cut = np.minimum.reduceat(np.where(segments.missing[rows] > 0, here, len(rows)), begins)
    plain = opened_once & (speech <= over) & (speech < cut) & (np.maximum(*last_syn) < speech)
    judged = np.flatnonzero(plain & (speech < len(rows)))
    first = speech[judged]
    own_syn = np.where(direction[first] == 0, last_syn[0][judged], last_syn[1][judged])
    other_syn = np.where(direction[first] == 0, last_syn[1][judged], last_syn[0][judged])
    told = segments.seq[rows[first]] == (segments.seq[rows[own_syn]] + 1) & MODULUS
    heard = segments.ack[rows[first]] == (segments.seq[rows[other_syn]] + 1) & MODULUS
    judged = judged[
        told & (own_syn >= 0) & (heard | (other_syn < 0)) & (segments.length[rows[first]] >= MIN_FIRST_BYTES)
    ]
    ends = np.append(begins[1:], len(rows))
    quiet = np.flatnonzero(idle[slot[begins]] & (np.maximum(*last_syn) < 0))
    found = []
    for group in [*judged.tolist(), *quiet.tolist()]:
        start = rows[begins[group]]
        said = rows[speech[group] : ends[group]]
        places, lengths = segments.payload[said].tolist(), segments.length[said].tolist()
        phase = None
        if segments.flags[start] & SYN:
            phase = _phase(segments.data, places, lengths)
            if phase is None:
                continue
        elif not _asks_for_nothing(segments.data, places, lengths):
            continue
        answered = bool(segments.flags[start] & ACK)
        own = rows[begins[group] : ends[group]]
        found.append(Dismissed(int(slot[begins[group]]), phase, int(segments.ip[start]), answered, own))
    return found


def _asks_for_nothing(data: bytes | bytearray, starts: list[int], lengths: list[int]) -> bool:
    """Whether no segment of a flow that is HTTP begins a request but for plain ones."""
    gets = ((at, length) for at, length in zip(starts, lengths, strict=True) if data.startswith(b"GET ", at))
    return all(is_plain_request(data[at : at + length]) for at, length in gets)


def _phase(data: bytes | bytearray, starts: list[int], lengths: list[int]) -> Phase | None:
    """What a flow is that says this, from its first bytes on; None if it has to be looked at."""
    first = data[starts[0] : starts[0] + MIN_FIRST_BYTES]
    if first[0] not in MAY_BE_HTTP:
        return Phase.TLS if is_tls(first) else Phase.OTHER
    if not first.startswith(b"GET "):
        return None
    return Phase.IDLE_HTTP if _asks_for_nothing(data, starts, lengths) else None
