"""The report of stations: who connected, with what, how often, and how each connection ended.

TLS connections that nobody can look into stand below them, as far as they may concern OCPP. `Stations` is fed with
events and keeps a few words a connection; the functions below turn it into text or jsonl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, Kind, Message, TlsConnection
from ocppscope.plural import counted
from ocppscope.render import eventlines, handshake, jsonl, summary, times, tls
from ocppscope.render.palette import PLAIN, Palette
from ocppscope.render.wiretext import clip, columns, pad, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.batch import Batch
    from ocppscope.model import Connection, Event

MAX_IDENTITY = 48
MAX_TLS = 1024
"""TLS connections that are kept; of more, the first ones."""


class Sieve(Protocol):
    """A filter on messages."""

    def seen(self, connection: Connection) -> None:
        """Learns of a connection."""

    def takes_message(self, message: Message) -> bool:
        """Whether the next message passes."""


class Entry:
    """What is known of one connection."""

    __slots__ = ("connection", "identity", "passed", "problems")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.identity = ("", "", "", "")  # vendor, model, firmware, serial number
        self.problems = 0  # of its messages and frames
        self.passed = 0  # messages, where there is a filter


class Stations:
    """Collects the connections of a capture."""

    def __init__(self, sieve: Sieve | None = None) -> None:
        self._entries: dict[int, Entry] = {}
        self._sieve = sieve
        self._tls: list[TlsConnection] = []
        self._more_tls = 0
        self.messages = 0

    @property
    def entries(self) -> dict[int, Entry]:
        """The connections by number; with a filter those of which a message passed."""
        if self._sieve is None:
            return self._entries
        return {number: entry for number, entry in self._entries.items() if entry.passed}

    @property
    def tls(self) -> list[TlsConnection]:
        """The TLS connections that may concern OCPP, in order of their first packet; with a filter none.

        Beside OCPP in the clear these are the ones of its hosts; where there is none, those of clients that do not
        offer HTTP/2 as browsers do; or all, if there are no others.
        """
        if self._sieve is not None:
            return []
        hosts = {end.address for entry in self._entries.values() for end in entry.connection.flow}
        found = [one for one in self._tls if tls.may_be_ocpp(one, hosts)]
        found = found if found or self._entries else self._tls
        return sorted(found, key=lambda one: (one.opened_ns, one.first_packet))

    @property
    def other_tls(self) -> int:
        """How many TLS connections there were besides."""
        return len(self._tls) + self._more_tls - len(self.tls) if self._sieve is None else 0

    def take(self, batch: Batch) -> None:
        """The next events."""
        for event in batch.others():  # first, since it tells of the connections
            self._other(event)
        self.messages += len(batch.rows)
        for place, row in enumerate(batch.rows):
            if row[4] == "BootNotification" and row[5] is None:
                self._boot(batch.message(place))
        if self._sieve is not None:
            self._filter(self._sieve, batch)
        for message in batch.spoilt():
            self._problems(message.connection, len(message.problems))

    def _filter(self, sieve: Sieve, batch: Batch) -> None:
        for event in batch:
            if isinstance(event, ConnectionOpened | ConnectionClosed):
                sieve.seen(event.connection)
            elif isinstance(event, Message) and sieve.takes_message(event):
                entry = self._entries.get(event.connection)
                if entry is not None:
                    entry.passed += 1

    def _other(self, event: Event) -> None:
        if isinstance(event, Message):
            self.messages += 1
            if event.action == "BootNotification" and event.kind is Kind.CALL:
                self._boot(event)
        if isinstance(event, Message | ControlFrame):
            self._problems(event.connection, len(event.problems))
        elif isinstance(event, ConnectionOpened | ConnectionClosed):
            self._connection(event.connection)
        elif isinstance(event, TlsConnection) and len(self._tls) < MAX_TLS:
            self._tls.append(event)
        elif isinstance(event, TlsConnection):
            self._more_tls += 1

    def _connection(self, connection: Connection) -> None:
        entry = self._entries.get(connection.number)
        if entry is None:
            self._entries[connection.number] = Entry(connection)
        else:
            entry.connection = connection

    def _problems(self, number: int, count: int) -> None:
        entry = self._entries.get(number)
        if entry is not None:
            entry.problems += count

    def _boot(self, message: Message) -> None:
        entry, parts = self._entries.get(message.connection), jsonl.read(message.text)
        if entry is not None and isinstance(parts, list) and len(parts) > 3 and isinstance(parts[3], dict):
            entry.identity = summary.identity(parts[3])

    def by_station(self) -> dict[str, list[Entry]]:
        """The connections of each station, in order of their first."""
        stations: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            stations.setdefault(entry.connection.station, []).append(entry)
        return stations


# --- text -------------------------------------------------------------------------------------------------------


def text(stations: Stations, palette: Palette = PLAIN, width: int = 0) -> Iterator[str]:
    """A line a station, and below it a line a connection; with line ends."""
    named = stations.by_station()
    names = {name: visible(name, MAX_IDENTITY) for name in named}
    column = max(map(columns, names.values()), default=0)
    for station, entries in named.items():
        name, words = pad(names[station], column), _station_words(entries)
        words = clip(words, max(width - columns(name) - 2, 0)) if width else words
        yield f"{palette.bold}{name}{palette.off}  {words}\n"
        for entry in entries:
            yield from _connection_lines(entry, palette, width)
    yield from _tls_lines([one for one in stations.tls if not one.decrypted], stations.other_tls, palette, width)


def _tls_lines(found: list[TlsConnection], others: int, palette: Palette, width: int) -> Iterator[str]:
    if found:
        words = f"{len(found):,} encrypted connection{'s' * (len(found) > 1)}; --handshake shows more of them"
        yield f"{palette.bold}TLS{palette.off}  {clip(words, max(width - 5, 0)) if width else words}\n"
        yield from (tls.line(one, palette, width) for one in found)
        yield from _other_tls(others, palette)


def _other_tls(count: int, palette: Palette) -> Iterator[str]:
    if count:
        yield f"  {palette.dim}and {count:,} TLS connections that seem to be no OCPP{palette.off}\n"


def _station_words(entries: list[Entry]) -> str:
    versions = dict.fromkeys(_version(entry.connection) for entry in entries)
    vendor, model, firmware, serial = next(
        (entry.identity for entry in reversed(entries) if any(entry.identity)), ("",) * 4
    )
    hardware = " ".join(filter(None, (vendor, model, firmware and f"fw {firmware}", serial and f"sn {serial}")))
    sessions = [entry for entry in entries if entry.connection.leg_of is None]
    messages = sum(sum(entry.connection.messages) for entry in sessions)
    count = "1 connection" if len(entries) == 1 else f"{len(entries)} connections"
    return "  ".join(filter(None, (" ".join(filter(None, versions)), hardware, count, f"{messages:,} messages")))


def _version(connection: Connection) -> str:
    if connection.handshake is not None and not connection.handshake.upgraded:
        return ""
    return eventlines.version(connection) if any(connection.messages) else ""


def _connection_lines(entry: Entry, palette: Palette, width: int) -> Iterator[str]:
    connection = entry.connection
    upgrade = connection.handshake
    refused = upgrade is not None and not upgrade.upgraded
    words = []
    if upgrade is None:
        words.append("no upgrade seen")
    elif refused:
        words.append(
            f"refused: {eventlines.upgrade_words(upgrade)}" if upgrade.status else "no answer to its upgrade"
        )
    else:
        words.append(eventlines.upgrade_words(upgrade))
    if not refused:
        words += [*_life(connection), *_counts(connection)]
    if entry.passed:
        words.append(f"{entry.passed:,} pass the filter")
    problems = entry.problems + len(connection.problems)
    if problems:
        words.append(counted(problems, "problem"))
    if connection.leg_of is not None:
        words.append(f"repeats #{connection.leg_of} on another leg")
    colour = palette.bad if refused else palette.odd if problems else ""
    start = f"  #{connection.number:<3} {times.stamp(connection.opened_ns)}  "
    line = f"{'; '.join(words)}; {connection.flow}"
    off = palette.off if colour else ""
    yield f"{start}{colour}{clip(line, width - len(start)) if width else line}{off}\n"


def _life(connection: Connection) -> Iterator[str]:
    if connection.closed_ns is not None:
        lasted = times.span(connection.closed_ns - connection.opened_ns)
        yield f"ended {eventlines.end_words(connection)}, after {lasted}"


def _counts(connection: Connection) -> Iterator[str]:
    yield eventlines.count_words(connection.messages)
    if any(connection.lost_bytes):
        yield f"{sum(connection.lost_bytes):,} bytes missing in the capture"


def negotiations(stations: Stations, palette: Palette = PLAIN, width: int = 0) -> Iterator[str]:
    """The upgrade of each connection, header by header; then the handshakes of TLS."""
    for entry in stations.entries.values():
        yield from handshake.lines(entry.connection, palette, width)
    for one in stations.tls:
        yield from tls.lines(one, palette, width)
    if stations.tls:
        yield from _other_tls(stations.other_tls, palette)


# --- jsonl ------------------------------------------------------------------------------------------------------


def rows(stations: Stations) -> Iterator[str]:
    """A JSON object a connection, then one for each TLS connection; see docs/jsonl.md."""
    for number, entry in stations.entries.items():
        connection = entry.connection
        vendor, model, firmware, serial = entry.identity
        yield jsonl.object_line(
            "connection",
            number,
            jsonl.connection_row(connection, connection.opened_ns),
            vendor=vendor,
            model=model,
            firmware=firmware,
            serial=serial,
            message_problems=entry.problems,
        )
    for one in stations.tls:
        yield jsonl.tls_line(one)
