"""The records of one direction, opened at a stretch: the everyday case of TLS, where all is application data.

Who calls this vouches that the segments follow on each other, and that nobody else reads them. What is no application
data under the present key is left to the `Decryptor`, with all that comes behind it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.wire.decrypt.records import HEADER
from ocppscope.wire.link import windows
from ocppscope.wire.tls import APPLICATION_DATA, MAX_RECORD, is_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.wire.decrypt.half import Half
    from ocppscope.wire.link import Ints


class Sealed:
    """Segments of several directions, those of one after those of another."""

    def __init__(self, data: bytes, start: Ints, length: Ints, first: Ints) -> None:
        """Where they begin in `data`, their lengths, and the first of each direction."""
        self._data = data
        self._headers = windows(data, np.dtype(f"V{HEADER}"))[start]
        single = _are_records(self._headers, length)
        self._are_single = np.logical_and.reduceat(single, first).tolist() if len(first) else []
        self._spans = list(zip(start.tolist(), (start + length).tolist(), strict=True))
        self._bounds = list(pairwise([*first.tolist(), len(start)]))

    def open(self, half: Half, number: int) -> list[bytes]:
        """What the segments of a direction that `is_steady` bring: the plaintext of the records that each completes.

        As many as hold nothing but application data, or parts of it. `number` says which direction it is.
        """
        low, high = self._bounds[number]
        if half.reader.rest or not self._are_single[number]:
            return self._several(half, self._spans[low:high])
        data = self._data
        bodies = [data[start + HEADER : stop] for start, stop in self._spans[low:high]]
        plains = half.protection.run(half.low, self._headers[low:high].tolist(), bodies)
        if plains:
            half.advance(len(plains), bodies[len(plains) - 1])
        return plains

    def _several(self, half: Half, spans: list[tuple[int, int]]) -> list[bytes]:
        """The same where segments hold several records, or parts of them."""
        found: list[bytes] = []
        for start, stop in spans:
            records = _cut(half.reader.rest + self._data[start:stop])
            if records is None:
                break
            headers, bodies, rest = records
            plains = half.protection.run(half.low, headers, bodies)
            if len(plains) < len(bodies):
                break
            found.append(b"".join(plains))
            half.reader.rest = rest
            if plains:
                half.advance(len(plains), bodies[-1])
        return found


def _are_records(headers: NDArray[np.void], length: Ints) -> NDArray[np.bool_]:
    """Which segments are exactly one record of application data, by their first bytes and their lengths."""
    kind, major, minor, high, low = headers.view(np.uint8).reshape(-1, HEADER).T
    size = (high.astype(np.int64) << 8) | low
    head = (kind == APPLICATION_DATA) & (major == 3) & (minor <= 4)
    found: NDArray[np.bool_] = head & (size + HEADER == length) & (size <= MAX_RECORD)
    return found


def _cut(octets: bytes) -> tuple[list[bytes], list[bytes], bytes] | None:
    """Headers and bodies of records, and the beginning of one more; None if they hold no application data."""
    headers: list[bytes] = []
    bodies: list[bytes] = []
    at, size = 0, len(octets)
    while at < size:
        if octets[at] != APPLICATION_DATA or not is_header(octets, at):
            return None
        body = at + HEADER
        stop = body + (octets[at + 3] << 8 | octets[at + 4]) if body <= size else body
        if stop > size:
            break
        headers.append(octets[at:body])
        bodies.append(octets[body:stop])
        at = stop
    return headers, bodies, octets[at:]
