"""ChaCha20 key streams of many nonces at once: what tells sequence numbers apart without a trial of each.

One word of one block for each nonce (RFC 8439 §2.3), as columns; nothing is encrypted or authenticated with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

CHUNK = 1 << 12
"""Nonces whose state fits the processor's cache."""
_CONSTANTS = np.frombuffer(b"expand 32-byte k", "<u4")
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def words(key: bytes, counter: int, nonces: NDArray[np.uint8], which: int) -> Words:
    """Word `which` (0 to 15) of block `counter` for each nonce, a row of 12 bytes."""
    parts = [_words(key, counter, nonces[at : at + CHUNK], which) for at in range(0, len(nonces), CHUNK)]
    return np.concatenate(parts)


def _words(key: bytes, counter: int, nonces: NDArray[np.uint8], which: int) -> Words:
    count = len(nonces)
    fixed = [*_CONSTANTS.tolist(), *np.frombuffer(key, "<u4").tolist(), counter]
    varying = np.ascontiguousarray(nonces).view("<u4").T
    state = [np.full(count, word, np.uint32) for word in fixed] + [column.astype(np.uint32) for column in varying]
    first = state[which].copy()
    spare = np.empty(count, np.uint32)
    for _ in range(10):
        for quarter in (*_COLUMNS, *_DIAGONALS):
            a, b, c, d = (state[at] for at in quarter)
            _mix(a, b, d, 16, spare)
            _mix(c, d, b, 12, spare)
            _mix(a, b, d, 8, spare)
            _mix(c, d, b, 7, spare)
    result: Words = state[which] + first
    return result


def _mix(a: Words, b: Words, d: Words, by: int, spare: Words) -> None:
    """a += b; d = (d ^ a) rotated left (RFC 8439 §2.1)."""
    np.add(a, b, out=a)
    np.bitwise_xor(d, a, out=d)
    np.left_shift(d, by, out=spare)
    np.right_shift(d, 32 - by, out=d)
    np.bitwise_or(d, spare, out=d)
