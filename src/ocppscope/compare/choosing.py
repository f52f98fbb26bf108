"""Which of the two ways of comparing fits: whether both captures are of one session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.compare import matching
from ocppscope.compare.report import SESSIONS, VANTAGE

if TYPE_CHECKING:
    from ocppscope.compare.recording import Recording

MAX_LOOKED = 2000
"""Messages in common that are looked at."""
ENOUGH = 2
"""Messages with a time of day that both have, from which they are the same: times do not come again."""
MOST = 0.8
"""The part of the messages that has to be the same where none of them tells a time."""
_ONE = "One session seen from two places"
_TIME = re.compile(rb"\d\d:\d\d:\d\d")


def mode_of(a: Recording, b: Recording) -> tuple[str, str]:
    """The mode, and a sentence why."""
    keys = [{matching.key_of(one) for one in part.connections.values()} - {""} for part in (a, b)]
    rows_a, _ = matching.shared_texts(a, b)
    dated = sum(_TIME.search(a.message(row).text) is not None for row in rows_a[:MAX_LOOKED].tolist())
    same = len(keys[0] & keys[1])
    least = min(a.messages, b.messages)
    if dated >= ENOUGH or (dated and same):
        more = f" and {same:,} of their connections the same key" if same else ""
        many = "at least " if len(rows_a) > MAX_LOOKED else ""
        return VANTAGE, f"{_ONE}: both have {many}{dated:,} messages with the same times in them{more}."
    if same and (not least or len(rows_a)):
        return VANTAGE, f"{_ONE}: {same:,} of their connections have the same Sec-WebSocket-Key."
    if least and len(np.unique(a.rows.text[rows_a])) >= MOST * least:
        return VANTAGE, f"{_ONE}: {len(rows_a):,} of {least:,} messages are the same."
    if len(rows_a) > MAX_LOOKED:
        few = f"hardly one of {MAX_LOOKED:,} equal messages that were looked at has a time in it"
        return SESSIONS, f"Two sessions: {few}, and no connection is in both."
    return SESSIONS, "Two sessions: no message with a time in it, and no connection, is in both."
