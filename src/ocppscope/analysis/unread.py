"""What of the traffic nobody could look at, counted as it is told: no report may sound cleaner than its capture was.

It counts and says; whether that spoils a verdict is for the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.model import Problem, StreamGap

KINDS = {
    "large": ("message too large or too deeply nested to be read whole", "messages too large or too deeply nested "
              "to be read whole"),
    "damaged": ("message of which a part is missing or damaged", "messages of which a part is missing or damaged"),
    "missing": ("byte that the capture does not hold", "bytes that the capture does not hold"),
    "gaps": ("gap of unknown length in the capture", "gaps of unknown length in the capture"),
    "unrecognised": ("byte in which no frame could be recognised", "bytes in which no frame could be recognised"),
    "cut": ("packet cut or broken in its headers", "packets cut or broken in their headers"),
    "links": ("packet of a link type that is not understood", "packets of a link type that is not understood"),
    "heads": ("HTTP connection with a head that has no end", "HTTP connections with a head that has no end"),
    "tls": ("TLS connection to a CSMS without its keys", "TLS connections to a CSMS without their keys"),
    "connections": ("connection too many to be followed", "connections too many to be followed"),
    "given-up": ("time that an unfinished message was given up", "times that an unfinished message was given up"),
    "stations": ("station too many to be followed to the end", "stations too many to be followed to the end"),
    "findings": ("finding or waiting rule too many to be kept", "findings and waiting rules too many to be kept"),
    "rules": ("rule that failed", "rules that failed"),
}  # fmt: skip
"""What one and what several are called, in the order in which they are told."""
_LARGE = frozenset({"ws.too-large", "ws.inflated-too-large", "json.oversize", "json.depth"})
_DAMAGED = frozenset({"ws.lost-bytes", "ws.context-lost", "ws.unfinished-message", "ws.deflate-corrupt"})


class Unread(Struct, frozen=True):
    """So much of one kind; `text` says both."""

    kind: str  # a key of `KINDS`
    count: int
    text: str


class UnreadCounts:
    """Counts by kind."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, kind: str, count: int = 1) -> None:
        """So many more of a kind."""
        if count:
            self._counts[kind] = self._counts.get(kind, 0) + count

    def message(self, problems: Iterable[Problem]) -> None:
        """A message, by what is wrong with it."""
        codes = {one.code for one in problems}
        if codes & _LARGE:
            self.note("large")
        elif codes & _DAMAGED:
            self.note("damaged")

    def gap(self, gap: StreamGap) -> None:
        """Bytes that are missing, or were captured and cannot be read."""
        if gap.lost_bytes is None:
            self.note("gaps")
        else:
            self.note("unrecognised" if gap.why.startswith("captured") else "missing", gap.lost_bytes)

    def told(self, **more: int) -> tuple[Unread, ...]:
        """What was counted, and `more` of some kinds."""
        counts = self._counts | more
        return tuple(
            Unread(kind, counts[kind], f"{counts[kind]:,} {KINDS[kind][counts[kind] != 1]}")
            for kind in KINDS if counts.get(kind)
        )  # fmt: skip


def reservation(unread: Iterable[Unread]) -> str:
    """A sentence on what a report leaves out, "" if it is nothing."""
    told = ", ".join(one.text for one in unread)
    return f"Not looked at: {told}." if told else ""
