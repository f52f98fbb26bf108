"""The words that rules share: who did it, what a message is called, and how text from the wire may be quoted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Blame
from ocppscope.model import Kind, Side

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.station import Station

MAX_PLACE = 1_000_000
"""Numbers of connectors from which they are not printed."""
MAX_QUOTED = 40
"""Characters of a name from the wire that a sentence quotes."""

_INDEX = re.compile(r"/\d+(?=/|$)")
_BLAMES = Blame.STATION, Blame.CSMS


def blamed(side: Side | int) -> Blame:
    """The side as the one to blame."""
    return _BLAMES[side]


def who(side: Side | int) -> str:
    """The side within a sentence."""
    return "the station" if side == Side.STATION else "the CSMS"


def subject(side: Side | int) -> str:
    """The side at the beginning of a sentence."""
    return "The station" if side == Side.STATION else "The CSMS"


def quoted(text: str) -> str:
    """A name from the wire: in quotes, cut, and without anything but printable ASCII."""
    return ascii(text[:MAX_QUOTED]) if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]!a}…"


def cut(text: str, most: int) -> str:
    """The beginning of a text, with a sign where it goes on."""
    return text if len(text) <= most else f"{text[:most]}…"


def named(text: str) -> str:
    """A status, reason or code for a sentence: as it is if it looks like one, else quoted."""
    return text if len(text) <= MAX_QUOTED and text.isascii() and text.isalnum() else quoted(text)


def figure(value: float, unit: str) -> str:
    """A quantity for a sentence: "0 Wh", "9,999 W", "12.3 kWh", "1.2e+20 W"."""
    if abs(value) >= 1e12:
        return f"{value:.1e} {unit}"
    return f"{value:,.0f} {unit}" if abs(value) < 10_000 else f"{value / 1000:,.1f} k{unit}"


def span(ns: float) -> str:
    """A duration for a sentence: "0.4 ms", "12 ms", "0.3 s", "45 s", "12 min", "5.0 h"."""
    seconds = ns / 1e9
    if abs(ns) < 100e6:
        return f"{ns / 1e6:.1f} ms" if 50e3 <= abs(ns) < 950e3 else f"{ns / 1e6:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def element(path: str) -> str:
    """A JSON pointer without the positions in arrays: what occurrences of one fault have in common."""
    return _INDEX.sub("", path)


def message_name(what: Objected) -> str:
    """What a message with a problem is called in a sentence: "a CALL MeterValues", "an answer to Authorize"."""
    message = what.message
    if message is None or message.kind is Kind.UNPARSED:
        return "a message"
    action = message.action[:MAX_QUOTED] if message.action.isalnum() and message.action.isascii() else ""
    if message.kind in (Kind.CALL, Kind.SEND):
        return f"a {message.kind.name} {action}".rstrip()
    name = "an answer" if message.kind is Kind.CALLRESULT else f"a {message.kind.name}"
    return f"{name} to {action}" if action else name


def sender(what: Objected) -> Side:
    """Who sent the message that has a problem."""
    return Side.STATION if what.side is None else what.side


def spot(station: Station, number: int) -> str:
    """Where on a station, within a sentence: "connector 1", of 2.x "EVSE 1"."""
    word = "EVSE" if station.is_2x else "connector"
    return f"{word} {number}" if 0 <= number < MAX_PLACE else f"a {word} of an impossible number"
