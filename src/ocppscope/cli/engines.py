"""The engine that a command uses: that of packets, with tshark beside it where that decrypts TLS, or that of logs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ocppscope.batch import Batch
from ocppscope.capture.entries import LogBlock
from ocppscope.capture.pcapfile import STDIN
from ocppscope.engine import Engine
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.cli.logs import Reader
    from ocppscope.model import Connection, Event, PacketBlock
    from ocppscope.options import Options
    from ocppscope.replay import Replay
    from ocppscope.summary import Summary


class TsharkEngine:
    """Decodes as `Engine` does, but for what TLS protects, which tshark opens. Reads the captures once more."""

    def __init__(self, options: Options, inputs: list[str]) -> None:
        """Raises UsageError where tshark is missing or too old, or the captures cannot be read again."""
        from ocppscope.capture.tshark import TsharkStreams  # noqa: PLC0415 - few need it
        from ocppscope.capture.tshark_streams import DecryptedStreams  # noqa: PLC0415

        if STDIN in inputs:
            raise UsageError("tshark cannot read what comes through a pipe once more.", "Save it to a file first.")
        self._engine = Engine(options._replace(secrets=None, expects_secrets=False))
        pieces = TsharkStreams(inputs, options.key_logs, options.server_keys)
        self._streams = DecryptedStreams(self._engine, pieces)

    @property
    def summary(self) -> Summary:
        """See `Engine`."""
        return self._engine.summary

    @property
    def connections(self) -> dict[int, Connection]:
        """See `Engine`."""
        return self._engine.connections

    def packets(self, block: PacketBlock | LogBlock) -> Batch:
        """See `Engine`."""
        assert not isinstance(block, LogBlock)
        last = block.first_packet + len(block.offsets) - 1
        return _batch(chain(self._engine.packets(block), *self._streams.upto(last)))

    def retry(self) -> Batch:
        """See `Engine`; tshark has its own keys."""
        return Batch()

    def finish(self) -> Batch:
        """See `Engine`."""
        rest = list(chain(*self._streams.upto()))
        self._streams.finish()
        return _batch([*rest, *self._engine.finish()])


def _batch(events: Iterable[Event]) -> Batch:
    """Of any events; none of them is a row."""
    batch = Batch()
    for event in events:
        batch.add(event)
    return batch


class EitherEngine:
    """Decodes packets or a log of messages, whatever the first block holds. The same face as `Engine`."""

    def __init__(self, options: Options, reader: Reader | None = None) -> None:
        self._options = options
        self._reader = reader
        self._engine: Engine | Replay | None = None

    @property
    def summary(self) -> Summary | None:
        """See `Engine`; None of a log."""
        return self._decided().summary

    @property
    def connections(self) -> dict[int, Connection]:
        """See `Engine`."""
        return self._decided().connections

    def packets(self, block: PacketBlock | LogBlock) -> Batch:
        """See `Engine`."""
        engine = self._engine
        if engine is None:
            engine = self._engine = self._made(of_log=isinstance(block, LogBlock))
        return engine.packets(block)  # type: ignore[arg-type] # blocks of one reader are of one kind

    def retry(self) -> Batch:
        """See `Engine`."""
        return Batch() if self._engine is None else self._engine.retry()

    def finish(self) -> Batch:
        """See `Engine`."""
        engine = self._engine = self._decided()
        return engine.finish()

    def _decided(self) -> Engine | Replay:
        """The engine; before the first block, which may still turn out to be of a log, one that has read nothing."""
        if self._engine is not None:
            return self._engine
        return self._made(of_log=self._reader is not None and self._reader.is_log)

    def _made(self, *, of_log: bool) -> Engine | Replay:
        if not of_log:
            return Engine(self._options)
        from ocppscope.replay import Replay  # noqa: PLC0415 - few need it

        return Replay(self._options)


def engine_of(options: Options, inputs: list[str], reader: Reader | None = None) -> EitherEngine | TsharkEngine:
    """The one that was asked for. `reader`: of the inputs, if it is open; of a log, tshark is not asked.

    Raises UsageError.
    """
    log = reader is not None and reader.is_log
    if options.tls_engine == "tshark" and not log:
        return TsharkEngine(options, inputs)
    return EitherEngine(options, reader)
