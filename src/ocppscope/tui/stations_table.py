"""What is known of stations and their connections, from the columns of a store, and how it is put into lines.

Counts grow with the store: each row is counted once. Of payloads only the last BootNotification of a connection is
read, and only when somebody looks. Knows no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.model import ControlFrame, Kind, Version
from ocppscope.render import eventlines, jsonl, styled, summary, times
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import clip, columns, pad
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocppscope.model import Connection
    from ocppscope.store.store import Piece, Store

    Counts = NDArray[np.int64]

MAX_IDENTITY = 48
"""Characters of a station's identity that are shown."""
MAX_BOOT = 1 << 16
"""Bytes of a BootNotification that is read for the station's make."""
NARROW = 110
"""Columns below which a line has no room for everything."""
BOOT = "BootNotification"


class Tally:
    """What is counted of the rows, by connection."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.boots: dict[int, int] = {}  # connection → row of its last BootNotification
        self._sent = np.zeros(0, np.int64)  # by twice the connection, plus the side
        self._problems = np.zeros(0, np.int64)  # by connection
        self._sizes = np.zeros(1, np.int64)  # problems in each list of problems
        self._row = 0
        self._seen = (-1, -1)
        self._asides = 0  # asides before that row which were looked at
        self._make: dict[int, tuple[str, str, str, str]] = {}  # by row

    @property
    def is_behind(self) -> bool:
        """Whether there is something new."""
        return self._seen != (len(self.store), len(self.store.between))

    def grow(self) -> None:
        """Counts what is new."""
        self._seen = len(self.store), len(self.store.between)
        stop = len(self.store)
        asides = self.store.events(self._row, stop + 1)
        if asides and asides[0].row == self._row:
            asides = asides[self._asides :]
        else:
            self._asides = 0
        here = sum(1 for aside in reversed(asides) if aside.row == stop)
        self._asides = here if stop != self._row else self._asides + here
        for aside in asides:
            event = aside.event
            if isinstance(event, ControlFrame) and event.problems:
                self._problems = _add(self._problems, np.array([event.connection]), np.array([len(event.problems)]))
        for piece in self.store.pieces(self._row, stop):
            self._take(piece)
        self._row = stop

    def _take(self, piece: Piece) -> None:
        chunk, rows = piece.chunk, slice(piece.low, piece.high)
        connection, side = chunk.connection[rows].astype(np.int64), chunk.side[rows]
        self._sent = _add(self._sent, connection * 2 + side, None)
        codes = chunk.problems[rows]
        bad = np.flatnonzero(codes)
        if len(bad):
            sizes = self._sizes_to(int(codes.max()))
            self._problems = _add(self._problems, connection[bad], sizes[codes[bad]])
        boot = self.store.actions.get(BOOT)
        if boot is not None:
            found = np.flatnonzero((chunk.action[rows] == boot) & (chunk.kind[rows] == int(Kind.CALL)))
            self.boots.update(zip(connection[found].tolist(), (found + piece.first).tolist(), strict=True))

    def _sizes_to(self, code: int) -> Counts:
        known = len(self._sizes)
        if code >= known:
            more = [len(problems) for problems in self.store.problem_sets.sets[known:]]
            self._sizes = np.concatenate((self._sizes, np.array(more, np.int64)))
        return self._sizes

    def sent(self, number: int) -> tuple[int, int]:
        """Messages of a connection, by side."""
        at = 2 * number
        sent = (*self._sent[at : at + 2].tolist(), 0, 0)
        return sent[0], sent[1]

    def problems(self, number: int) -> int:
        """Problems of the messages and frames of a connection."""
        return int(self._problems[number]) if number < len(self._problems) else 0

    def make(self, number: int) -> tuple[str, str, str, str]:
        """Vendor, model, firmware and serial number that a connection's station told."""
        row = self.boots.get(number)
        if row is None:
            return ("", "", "", "")
        if row not in self._make:
            self._make[row] = self._read(row)
        return self._make[row]

    def _read(self, row: int) -> tuple[str, str, str, str]:
        try:
            text = self.store.text(row)
        except GoneError:
            return ("", "", "", "")
        parts = jsonl.read(text) if len(text) <= MAX_BOOT else None
        is_call = isinstance(parts, list) and len(parts) > 3 and isinstance(parts[3], dict)
        return summary.identity(parts[3]) if is_call and isinstance(parts, list) else ("", "", "", "")


def _add(counts: Counts, places: NDArray[np.integer], weights: Counts | None) -> Counts:
    """Counts with more counted. Connections are numbered in order, so that the array stays small."""
    more = np.bincount(places, weights, len(counts)).astype(np.int64)
    more[: len(counts)] += counts
    return more


# --- lines of the list ----------------------------------------------------------------------------------------------


class Numbers(NamedTuple):
    """What stands in the columns of a station or a connection."""

    opened_ns: int
    lasted_ns: int
    version: str
    sent: tuple[int, int]
    problems: int
    lost: int
    connections: int = 1


class Station(NamedTuple):
    """A station and its connections, in the order in which they were opened."""

    name: str
    numbers: Numbers
    connections: tuple[int, ...]


def numbers_of(connection: Connection, tally: Tally) -> Numbers:
    """The columns of a connection."""
    upgrade = connection.handshake
    refused = upgrade is not None and not upgrade.upgraded
    sent = tally.sent(connection.number)
    last = connection.closed_ns
    return Numbers(
        connection.opened_ns,
        -1 if last is None or refused else last - connection.opened_ns,
        version(connection) if any(sent) or connection.handshake else "",
        sent,
        tally.problems(connection.number) + len(connection.problems),
        sum(connection.lost_bytes),
    )


def version(connection: Connection) -> str:
    """`1.6`, or `~1.6` where it is a guess; nothing where it is not known."""
    if connection.subject != "ocpp" or connection.version is Version.UNKNOWN:
        return ""
    return f"{'~' if connection.version_guessed else ''}{connection.version.value}"


def stations(tally: Tally) -> list[Station]:
    """All stations in the order of their first connection."""
    by_name: dict[str, list[Connection]] = {}
    for connection in list(tally.store.connections.values()):
        by_name.setdefault(connection.station, []).append(connection)
    return [_station(name, connections, tally) for name, connections in by_name.items()]


def _station(name: str, connections: list[Connection], tally: Tally) -> Station:
    parts = [numbers_of(connection, tally) for connection in connections]
    sessions = [part for part, one in zip(parts, connections, strict=True) if one.leg_of is None]
    versions = dict.fromkeys(part.version for part in parts if part.version)
    total = Numbers(
        min(part.opened_ns for part in parts),
        sum(part.lasted_ns for part in sessions if part.lasted_ns > 0),
        next(iter(versions), "") if len(versions) < 2 else "mixed",
        (sum(part.sent[0] for part in sessions), sum(part.sent[1] for part in sessions)),
        sum(part.problems for part in parts),
        sum(part.lost for part in parts),
        len(parts),
    )
    ordered = sorted(connections, key=lambda one: (one.opened_ns, one.number))
    return Station(name, total, tuple(one.number for one in ordered))


ORDERS: Mapping[str, Callable[[Station], int | str]] = MappingProxyType(
    {
        "first connection": lambda station: station.numbers.opened_ns,
        "name": lambda station: station.name.casefold(),
        "connections": lambda station: -station.numbers.connections,
        "messages": lambda station: -sum(station.numbers.sent),
        "problems": lambda station: -station.numbers.problems,
        "lost bytes": lambda station: -station.numbers.lost,
    }
)
"""How stations may be sorted; largest numbers first."""


class Item(NamedTuple):
    """A line of the list: a station, or with a number one of its connections."""

    station: Station
    connection: int | None = None


def items(found: Iterable[Station], shut: set[str]) -> list[Item]:
    """The lines; stations that are shut hide their connections."""
    listed: list[Item] = []
    for station in found:
        listed.append(Item(station))
        if station.name not in shut:
            listed += [Item(station, number) for number in station.connections]
    return listed


class Layout(NamedTuple):
    """Widths of the columns."""

    name: int
    dated: bool

    @classmethod
    def of(cls, width: int) -> Layout:
        """The one for a width."""
        return cls(26, True) if width >= NARROW else cls(22, False)

    def heading(self) -> Line:
        """The titles."""
        opened = f"{'opened (UTC)':<20}" if self.dated else ""
        lost = f"{'lost':>7}" if self.dated else ""
        text = (
            f"{'station, connections':<{self.name}} {opened}{'lasted':>6} {'OCPP':<6}{'from':>7}{'to':>7}{'probl':>6}"
        )
        return (Span(f"{text}{lost}  ended by, how; make", Style.DIM),)

    def cells(self, name: str, style: Style, numbers: Numbers) -> list[Span]:
        """All but the last column."""
        text = pad(clip(name, self.name), self.name)
        lasted = times.span(numbers.lasted_ns) if numbers.lasted_ns >= 0 else ""
        opened = f"{times.stamp(numbers.opened_ns)[:19]:<20}" if self.dated else ""
        problem_style = Style.WARNING if numbers.problems else Style.DIM
        spans = [
            Span(f"{text} ", style),
            Span(opened, Style.TIME),
            Span(f"{lasted:>6} ", Style.DIM),
            Span(f"{numbers.version:<6}", Style.PLAIN),
            Span(f"{count(numbers.sent[0]):>7}", Style.STATION),
            Span(f"{count(numbers.sent[1]):>7}", Style.CSMS),
            Span(f"{'!' + count(numbers.problems) if numbers.problems else '-':>6}", problem_style),
        ]
        if self.dated:
            lost = times.size(numbers.lost) if numbers.lost else "-"
            spans.append(Span(f"{lost:>7}", Style.WARNING if numbers.lost else Style.DIM))
        return [*spans, Span("  ")]


def count(number: int) -> str:
    """A count in at most six characters."""
    return (
        f"{number:,}" if number < 100_000 else f"{number // 1000:,}k" if number < 10**7 else f"{number // 10**6:,}M"
    )


def station_line(station: Station, tally: Tally, layout: Layout, *, shut: bool, most: int) -> Line:
    """A station: its sums and its make."""
    identity = styled.wire(station.name, Style.STATION, MAX_IDENTITY).text or "(no identity)"
    spans = layout.cells(f"{'▸' if shut else '▾'} {identity}", Style.STATION, station.numbers)
    words = [f"{station.numbers.connections:,} connections"] if station.numbers.connections > 1 else []
    made = next((make for make in map(tally.make, reversed(station.connections[-most:])) if any(make)), None)
    if made is not None:
        vendor, model, firmware, serial = made
        words.append(
            " ".join(filter(None, (vendor, model, firmware and f"fw {firmware}", serial and f"sn {serial}")))
        )
    spans.append(styled.wire(", ".join(words), Style.BOLD, 300))
    return tuple(spans)


def connection_line(connection: Connection, tally: Tally, layout: Layout) -> Line:
    """A connection: its numbers, and how it ended."""
    when = "" if layout.dated else f" {times.stamp(connection.opened_ns)[5:19]}"
    name = f"  #{connection.number}"
    name = f"{name:<6}{when}" if columns(name) <= 6 else f"{name}{when}"
    spans = layout.cells(name, Style.PLAIN, numbers_of(connection, tally))
    lost = sum(connection.lost_bytes)
    if lost and not layout.dated:
        spans.append(Span(f"{times.size(lost)} lost, ", Style.WARNING))
    words, style = ending(connection)
    spans.append(styled.wire(words, style, 300))
    return tuple(spans)


def ending(connection: Connection) -> tuple[str, Style]:
    """Who ended it and how; or that it was refused, or is open; and which leg it is."""
    upgrade = connection.handshake
    leg = "" if connection.leg_of is None else f"; repeats #{connection.leg_of} on another leg"
    if upgrade is not None and not upgrade.upgraded:
        if upgrade.status is None:
            return f"no answer to its upgrade{leg}", Style.ERROR
        return f"refused: {eventlines.upgrade_words(upgrade)}{leg}", Style.ERROR
    unseen = "" if upgrade is not None else "; upgrade not seen"
    if connection.closed_ns is None:
        return f"open{unseen}{leg}", Style.GOOD
    normal = connection.close_code in (1000, 1001) or connection.close_how == eventlines.END_OF_CAPTURE
    return f"{eventlines.end_words(connection)}{unseen}{leg}", Style.PLAIN if normal else Style.WARNING


def filter_of(item: Item) -> str:
    """The filter that leaves the messages of a station or a connection."""
    if item.connection is not None:
        return f"connection == {item.connection}"
    name = item.station.name
    if name.isprintable() and 0 < len(name) <= MAX_IDENTITY:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'station == "{quoted}"'
    numbers = ", ".join(map(str, item.station.connections[:100]))
    return f"connection in {{{numbers}}}"
