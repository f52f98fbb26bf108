"""HTTP heads as a log shows them, a line after another: the request and the answer of an upgrade.

A log that leaves out the headers which every upgrade has is taken to leave them out, not the station or the CSMS.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.capture import upgrades
from ocppscope.capture.dialects.dialect import Way
from ocppscope.capture.dialects.naming import last_segment
from ocppscope.capture.entries import Answered, Asked, Entry

MAX_HEADERS = 128
"""Lines of an HTTP head."""


class _Heading(NamedTuple):
    """A head that goes on."""

    head: Entry
    way: Way
    lines: list[str]


class Heads:
    """The heads of one log."""

    def __init__(self) -> None:
        self._heading: _Heading | None = None
        self._key = upgrades.key_of(0)
        self._offered: list[str] = []  # the header of the one subprotocol that was offered

    @property
    def goes_on(self) -> bool:
        """Whether a head may have further lines."""
        return self._heading is not None

    def begin(self, head: Entry, way: Way, line: str) -> None:
        """The first line of one."""
        self._heading = _Heading(head, way, [line])

    def add(self, way: Way, line: str) -> bool:
        """A header; False if it belongs to no head."""
        heading = self._heading
        if heading is None or heading.way is not way or len(heading.lines) >= MAX_HEADERS:
            return False
        heading.lines.append(line)
        return True

    def finish(self) -> Entry | None:
        """The head has ended; a request names the station."""
        heading, self._heading = self._heading, None
        if heading is None:
            return None
        names = {_name(line) for line in heading.lines[1:]}
        if heading.lines[0].startswith("HTTP/"):
            return heading.head._replace(what=Answered(upgrades.head(self._answer(heading.lines, names))))
        words = heading.lines[0].split(" ")
        station = last_segment(words[1]) if len(words) > 1 else ""
        asked = Asked(upgrades.head(self._request(heading.head.line, heading.lines, names)))
        return heading.head._replace(station=station or heading.head.station, what=asked)

    def _request(self, number: int, lines: list[str], names: set[str]) -> list[str]:
        keys = [line.partition(":")[2].strip() for line in lines if _name(line) == "sec-websocket-key"]
        offered = [line for line in lines if _name(line) == "sec-websocket-protocol"]
        self._offered = offered if len(offered) == 1 and "," not in offered[0] else []
        self._key = keys[0] if keys else upgrades.key_of(number)
        if keys:
            return lines
        return lines + [one for one in upgrades.usual_request_headers(self._key) if _name(one) not in names]

    def _answer(self, lines: list[str], names: set[str]) -> list[str]:
        if " 101" not in lines[0] or "sec-websocket-accept" in names:
            return lines
        usual = [*upgrades.usual_answer_headers(self._key), *self._offered]
        return lines + [one for one in usual if _name(one) not in names]


def _name(header: str) -> str:
    return header.partition(":")[0].strip().lower()
