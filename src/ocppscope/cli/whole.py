"""Reads captures from their beginning to their end into whatever follows stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocppscope.cli.afterwards import holdings, missing, unread
from ocppscope.cli.engines import engine_of
from ocppscope.cli.output import Progress
from ocppscope.cli.run import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.stations import Stations
    from ocppscope.model import Event
    from ocppscope.options import Options


class Follower(Protocol):
    """A `Diagnosis`, or `Stations` alone."""

    def take(self, events: Iterable[Event]) -> None:
        """What the engine found next."""

    def finish(self, now: int) -> None:
        """The capture is over."""


def read_whole(
    names: list[str], options: Options, follower: Follower, stations: Stations, *, quiet: bool
) -> list[str]:
    """Reads captures; gives what is wrong with them. `stations` are those of the follower. Raises OcppscopeError."""
    progress = Progress(wanted=not quiet)
    with reading(names, options) as reader:
        engine = engine_of(options, names, reader)
        try:
            for block in reader.blocks():
                follower.take(engine.packets(block))
                progress.step(*reader.progress, stations.messages)
            follower.take(engine.finish())
            follower.finish(stations.now)
        finally:
            progress.clear()
        unread(engine.summary, stations.unread)
        lossy = [one for one in engine.connections.values() if any(one.lost_bytes)]
        notices = [*reader.notices, *missing(engine.summary, lossy)]
        if not stations.messages:
            notices += holdings(engine.summary, refused=len(engine.connections), secrets=bool(reader.secrets))
    return notices
