"""What an inflater remembers: the text that the next compressed message can refer back to (RFC 1951 §3.2.5).

zlib does not give its window away, so that a copy of the inflater is asked for it, by references to all of it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress

WINDOW = 32768
"""Bytes of text that deflate can refer back to."""
TAIL = b"\x00\x00\xff\xff"
"""What permessage-deflate leaves out at the end of each message (RFC 7692 §7.2.1)."""
_LONGEST = 258  # bytes that one reference can repeat


def history_of(inflater: _Decompress) -> bytes | None:
    """The text that an inflater can refer back to, asked of a copy by references to it (RFC 1951 §3.2.5).

    None if it is not between two blocks: after corrupt data, or a message that ended too early.
    """
    low, high = 0, WINDOW
    if _asked(inflater, WINDOW, 1) is not None:
        low = WINDOW  # as soon as so much was said
    while low < high:
        middle = (low + high + 1) // 2
        if _asked(inflater, middle, 1) is not None:
            low = middle
        else:
            high = middle - 1
    if not low:
        return b"" if is_between_blocks(inflater) else None
    found = _asked(inflater, low, -(-low // _LONGEST))
    return found[:low] if found is not None else None


def _asked(inflater: _Decompress, distance: int, times: int) -> bytes | None:
    try:
        found = inflater.copy().decompress(_repeat(distance, times))
    except (zlib.error, ValueError):
        return None
    return found if len(found) == times * _LONGEST else None


def is_between_blocks(inflater: _Decompress) -> bool:
    """Whether an inflater expects a block next: it takes a stored one for what it is."""
    try:
        return inflater.copy().decompress(b"\x00\x01\x00\xfe\xffx") == b"x"
    except (zlib.error, ValueError):
        return False


def _repeat(distance: int, times: int) -> bytes:
    """A block of fixed codes that repeats 258 bytes from `distance` back so many times."""
    base, extra, code = next(row for row in _DISTANCE_CODES if row[0] <= distance)
    bits, count = 0b010, 3
    one = (0b10100011, 8), (_reversed(code, 5), 5), (distance - base, extra)
    for value, width in one * times:
        bits |= value << count
        count += width
    count += 7
    count += -(count + 3) % 8 + 3
    return bits.to_bytes(count // 8, "little") + TAIL


def _reversed(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


def _distance_codes() -> tuple[tuple[int, int, int], ...]:
    rows, base = [], 1
    for code in range(30):
        extra = max(0, code // 2 - 1)
        rows.append((base, extra, code))
        base += 1 << extra
    return tuple(reversed(rows))


_DISTANCE_CODES = _distance_codes()
