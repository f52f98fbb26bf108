"""The engine that a command uses: ours, or ours beside tshark, which then decrypts TLS."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ocppscope.batch import Batch
from ocppscope.capture.pcapfile import STDIN
from ocppscope.engine import Engine
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.engine import Summary
    from ocppscope.model import Connection, Event, PacketBlock
    from ocppscope.options import Options


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

    def packets(self, block: PacketBlock) -> Batch:
        """See `Engine`."""
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


def engine_of(options: Options, inputs: list[str]) -> Engine | TsharkEngine:
    """The one that was asked for. Raises UsageError."""
    return TsharkEngine(options, inputs) if options.tls_engine == "tshark" else Engine(options)
