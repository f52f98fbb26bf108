"""Two captures held against each other: one session seen from two places, or two sessions.

Knows no file and no screen: it is given what was decoded, and gives a `Comparison`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.compare.choosing import mode_of
from ocppscope.compare.report import SESSIONS, VANTAGE

if TYPE_CHECKING:
    from ocppscope.compare.recording import Recording
    from ocppscope.compare.report import Comparison

_ASKED = "As was asked for: "


def compare(a: Recording, b: Recording, mode: str = "", stations: tuple[str, str] = ("", "")) -> Comparison:
    """Compares two recordings in a mode, or in the one that fits; `stations` are the ones to compare as sessions.

    Raises UsageError for a station that is not there.
    """
    found, reason = mode_of(a, b)
    if mode and mode != found:
        words = {VANTAGE: "one session seen from two places.", SESSIONS: "two sessions."}
        reason = f"{_ASKED}{words[mode]} ({reason})"
    if (mode or found) == VANTAGE:
        from ocppscope.compare.vantage import Vantage  # noqa: PLC0415

        return Vantage(a, b, reason).compare()
    from ocppscope.compare.sessions import Sessions  # noqa: PLC0415

    return Sessions(a, b, reason, stations).compare()
