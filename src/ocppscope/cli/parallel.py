"""`log --jobs N`: N processes read the same files, each decodes its share of the flows, the parent prints in order.

A worker makes the bodies of message lines, which is most of the work, and hands over other events as they are; rows
and connections get their numbers here. Legs of one session are told by their upgrade only: two of them that begin
before the capture, and are decoded by different workers, both show. Standard input and growing files cannot be
shared.
"""

from __future__ import annotations

import signal
from array import array
from bisect import bisect_left
from contextlib import suppress
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec.structs import replace

from ocppscope.capture.entries import LogBlock
from ocppscope.capture.pcapfile import STDIN
from ocppscope.engine import Engine
from ocppscope.errors import CaptureError, OcppscopeError, UsageError
from ocppscope.legs import Legs
from ocppscope.model import (
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Message,
    PacketComment,
    SessionEvent,
    TlsConnection,
)
from ocppscope.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.context import SpawnProcess

    from ocppscope.batch import Batch as Events
    from ocppscope.cli.run import LogRequest
    from ocppscope.cli.session import Log
    from ocppscope.render.formats import LogFormat

CLOSE = 8
THE_END = 1 << 40
"""Above every packet number."""
PIPE_BYTES = 1 << 20
WORKER_EXIT_SECONDS = 5


class Batch(NamedTuple):
    """What a worker found in one block. Later batches hold nothing with a key below `until_ns`."""

    until_ns: int
    first_ns: int  # time of the first packet of all
    progress: tuple[int, int | None]
    keys: array[int]  # what the events are ordered by: the latest time so far, then
    packets: array[int]  # the latest packet of that time
    times: array[int]
    connections: array[int]
    bodies: list[
        str | SessionEvent | TlsConnection | None
    ]  # of messages: their line's body, None if they are not to be shown


class Ending(NamedTuple):
    """A worker has read everything."""

    summary: Summary
    notices: list[str]
    secrets: bool


class Failure(NamedTuple):
    """A worker gave up; `exit_code` is None if that is our own fault."""

    what: str
    hint: str
    exit_code: int | None


# --- a worker ---------------------------------------------------------------------------------------------------


def work(pipe: Pipe, request: LogRequest, form: LogFormat, share: tuple[int, int], hash_key: int) -> None:
    """Runs in a process of its own; sends batches, then an `Ending` or a `Failure`."""
    try:
        _work(pipe, request, form, share, hash_key)
    except OcppscopeError as error:
        pipe.send(Failure(error.what, error.hint, error.exit_code))
    except BrokenPipeError:
        pass  # nobody wants to know any more
    except Exception as error:
        pipe.send(Failure(f"{type(error).__name__}: {error}", "", None))


def _work(pipe: Pipe, request: LogRequest, form: LogFormat, share: tuple[int, int], hash_key: int) -> None:
    from ocppscope.cli.run import reading  # noqa: PLC0415 (run imports this module)

    engine = Engine(request.options._replace(share=share, hash_key=hash_key))
    packer = _Packer(form, request)
    with reading(request.inputs, request.options) as reader:
        for block in reader.blocks():
            assert not isinstance(block, LogBlock)
            events = engine.packets(block)
            if len(block.time_ns):
                packer.passed(int(block.time_ns[0]), int(block.time_ns[-1]), events)
            pipe.send(packer.pack(events, reader.progress))
        pipe.send(packer.pack(engine.finish(), reader.progress, ending=True))
        pipe.send(Ending(engine.summary, reader.notices, bool(reader.secrets)))


class _Packer:
    """Makes batches of events."""

    def __init__(self, form: LogFormat, request: LogRequest) -> None:
        from ocppscope.cli.run import sieve  # noqa: PLC0415 (as above)

        self._form = form
        self._sieve = sieve(request.wanted)
        self._pings = request.pings or (request.events and request.form != "text")
        self._key = 0
        self._until = 0
        self._first: int | None = None
        self._firsts: dict[int, int] = {}  # first packet of each connection

    def passed(self, first_ns: int, last_ns: int, events: Events) -> None:
        """The packets of a block were of these times."""
        if self._first is None:
            self._first = first_ns
        self._until = max(self._until, last_ns)

    def pack(self, events: Events, progress: tuple[int, int | None], *, ending: bool = False) -> Batch:
        """The next events; with `ending` those of the end of the capture, connection by connection."""
        keys, packets, times, connections = array("q"), array("q"), array("q"), array("q")
        bodies: list[str | SessionEvent | TlsConnection | None] = []
        key, packet, message_of, sieve = self._key, 0, self._form.message, self._sieve
        for event in events:
            body: str | SessionEvent | TlsConnection | None
            if type(event) is Message:
                body = message_of(event) if sieve is None or sieve.takes_message(event) else None
                number, last = event.connection, event.packets[-1]
            elif isinstance(event, ConnectionOpened | ConnectionClosed):
                body, number = event, event.connection.number
                self._firsts[number] = event.connection.first_packet
                self._form.seen(event.connection)
                if sieve is not None:
                    sieve.seen(event.connection)
            elif isinstance(event, ConnectAttempt):
                continue  # the log tells of sessions
            elif isinstance(event, TlsConnection):
                body, number = event, -1
            elif isinstance(event, PacketComment) and event.connection < 0:
                continue  # every worker sees it
            elif isinstance(event, ControlFrame) and event.opcode != CLOSE and not self._pings and not event.problems:
                continue
            else:
                body, number = event, event.connection
            time_ns = event.time_ns
            if time_ns > key:
                key, packet = time_ns, 0
            if ending:
                last = self._place_at_end(event, number)
            elif type(event) is not Message:
                last = _last_packet(event)
            packet = max(packet, last)
            keys.append(key)
            packets.append(packet)
            times.append(time_ns)
            connections.append(number)
            bodies.append(body)
        self._key = self._until = max(key, self._until)
        return Batch(self._until, self._first or 0, progress, keys, packets, times, connections, bodies)

    def _place_at_end(self, event: SessionEvent | TlsConnection, number: int) -> int:
        """In place of a packet: the end is told connection by connection, and then of those in TLS."""
        if isinstance(event, TlsConnection):
            return 2 * THE_END + event.first_packet
        return THE_END + self._firsts.get(number, 0)


def _last_packet(event: SessionEvent | TlsConnection) -> int:
    """The packet that an event came with, as far as it says so."""
    if isinstance(event, PacketComment):
        return event.packet
    if isinstance(event, Message | ControlFrame):
        return event.packets[-1]
    if isinstance(event, ConnectionOpened):
        handshake = event.connection.handshake
        return handshake.response_packets[-1] if handshake and handshake.response_packets else 0
    return 0


# --- the parent -------------------------------------------------------------------------------------------------


class Workers:
    """The processes. A context manager; iterating gives runs of entries in time order."""

    def __init__(self, request: LogRequest, form: LogFormat) -> None:
        _check_inputs(request)
        self._feeds = [_Feed(index) for index in range(request.jobs)]
        self.endings: list[Ending] = []
        self.progress: tuple[int, int | None] = (0, None)
        self.first_ns = 0
        context, hash_key = get_context("spawn"), randbits(64)
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; children inherit this
        try:
            for feed in self._feeds:
                feed.pipe, end = context.Pipe(duplex=False)
                _widen(feed.pipe)
                arguments = (end, request, form, (feed.index, request.jobs), hash_key)
                feed.process = context.Process(target=work, args=arguments, daemon=True)
                feed.process.start()
                end.close()
        finally:
            signal.signal(signal.SIGINT, handler)

    def __enter__(self) -> Workers:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the processes, whatever they are doing."""
        for feed in self._feeds:
            feed.pipe.close()
            feed.process.terminate()
        for feed in self._feeds:
            feed.process.join(WORKER_EXIT_SECONDS)

    def __iter__(self) -> Iterator[list[Entry]]:
        """Entries in order of time, as soon as no worker can have an earlier one."""
        live = list(self._feeds)
        while live:
            self._receive(min(live, key=lambda feed: feed.until_ns))
            live = [feed for feed in live if not feed.ended]
            until = min((feed.until_ns for feed in live), default=None)
            runs = [feed.release(until) for feed in self._feeds]
            yield sorted(chain.from_iterable(runs))

    def _receive(self, feed: _Feed) -> None:
        try:
            sent = feed.pipe.recv()
        except (EOFError, OSError):
            sent = Failure("A worker process was killed.", "Memory may be short; try without --jobs.", 3)
        if isinstance(sent, Batch):
            self.first_ns, self.progress = sent.first_ns, sent.progress
            feed.take(sent)
        elif isinstance(sent, Ending):
            feed.ended = True
            self.endings.append(sent)
        elif sent.exit_code is None:
            raise RuntimeError(sent.what)
        else:
            raise _raised(sent)

    def summary(self) -> Summary:
        """What all of them saw."""
        whole = self.endings[0].summary
        for other in (ending.summary for ending in self.endings[1:]):
            whole.segments += other.segments
            whole.unfollowed_tls += other.unfollowed_tls
            whole.forgotten += other.forgotten
            whole.forgotten_sessions += other.forgotten_sessions
            whole.given_up += other.given_up
            whole.out_of_context += other.out_of_context
            for phase, count in other.flows.items():
                whole.flows[phase] += count
                whole.examples[phase] += other.examples[phase]
        return whole


Entry = tuple[int, int, int, int, int, "str | SessionEvent | TlsConnection | None"]
"""Key, packet, ordinal, connection, time, and body or event. Ordinal and connection are those of the worker, and
`WORKER` times its index."""
WORKER = 1 << 40


class _Feed:
    """What came from one worker and was not released yet."""

    pipe: Pipe
    process: SpawnProcess

    def __init__(self, index: int) -> None:
        self.index = index
        self.until_ns = -1
        self.ended = False
        self._ordinal = 0
        self._keys: list[int] = []
        self._entries: list[Entry] = []

    def take(self, batch: Batch) -> None:
        """Keeps what came."""
        self.until_ns = batch.until_ns
        self._keys.extend(batch.keys)
        count, base = len(batch.keys), WORKER * self.index
        ordinals = range(base + self._ordinal, base + self._ordinal + count)
        self._ordinal += count
        connections = map(base.__add__, batch.connections)
        self._entries.extend(
            zip(batch.keys, batch.packets, ordinals, connections, batch.times, batch.bodies, strict=True)
        )

    def release(self, until_ns: int | None) -> list[Entry]:
        """Hands out what is earlier than `until_ns`, or everything."""
        count = len(self._keys) if until_ns is None else bisect_left(self._keys, until_ns)
        run = self._entries[:count]
        del self._entries[:count], self._keys[:count]
        return run


def _widen(pipe: Pipe) -> None:
    """Room for half a batch in the pipe, where the system can: fewer switches between the processes."""
    with suppress(ImportError, AttributeError, OSError):
        from fcntl import F_SETPIPE_SZ, fcntl  # noqa: PLC0415 (Linux only)

        fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)


def _check_inputs(request: LogRequest) -> None:
    if request.follow or any(name == STDIN or not Path(name).is_file() for name in request.inputs):
        missing = [name for name in request.inputs if name != STDIN and not Path(name).exists()]
        if missing:
            raise CaptureError(f"There is no file {missing[0]}.", "Check the name and the directory.")
        raise UsageError("--jobs needs ordinary files.", "Standard input, pipes and growing files: without --jobs.")


def _raised(failure: Failure) -> OcppscopeError:
    error = OcppscopeError(failure.what, failure.hint)
    error.exit_code = failure.exit_code or OcppscopeError.exit_code
    return error


class _Numbers(dict[int, int]):
    def __missing__(self, name: int) -> int:
        self[name] = number = len(self)
        return number


class Numbering:
    """Gives connections their numbers across workers, and finds legs that different workers decoded."""

    def __init__(self) -> None:
        self._numbers = _Numbers()  # by the name that an entry has for its connection
        self._number = self._numbers.__getitem__
        self._legs = Legs()

    def apply(self, entries: list[Entry], log: Log) -> None:
        """Hands entries to the log: lines of messages as they lie together, everything else one by one."""
        start = 0
        for index, entry in enumerate(entries):
            if type(entry[5]) is not str:
                self._lines(entries[start:index], log)
                self._single(entry, log)
                start = index + 1
        self._lines(entries[start:], log)

    def _lines(self, entries: list[Entry], log: Log) -> None:
        if entries and not log.done:
            _, _, _, names, times, bodies = zip(*entries, strict=True)
            log.messages(list(map(self._number, names)), times, cast("tuple[str, ...]", bodies))

    def _single(self, entry: Entry, log: Log) -> None:
        _, _, _, name, time_ns, body = entry
        if isinstance(body, TlsConnection):
            if not log.done:
                log.other(body)
            return
        number = self._number(name)
        if log.done:
            return
        if body is None or isinstance(body, str):
            log.message(number, time_ns, body)
        else:
            log.other(self._renumbered(body, name // WORKER, number))

    def _renumbered(self, event: SessionEvent, worker: int, number: int) -> SessionEvent:
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            return replace(event, connection=self._connection(event.connection, worker, number))
        return replace(event, connection=number)

    def _connection(self, connection: Connection, worker: int, number: int) -> Connection:
        leg = connection.leg_of
        known = None if leg is None else self._numbers.get(worker * WORKER + leg)
        connection = replace(connection, number=number, leg_of=known)
        return connection if known is not None else replace(connection, leg_of=self._leg(connection))

    def _leg(self, connection: Connection) -> int | None:
        """What no worker can see by itself: a leg that another one has."""
        handshake = connection.handshake
        if handshake is None or not handshake.upgraded or not handshake.key:
            return None
        clue = (handshake.key, handshake.target)
        return self._legs.of(clue, connection.number, connection.flow, handshake.requested_ns)
