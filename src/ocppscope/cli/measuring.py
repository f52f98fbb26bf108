"""Wires source, engine, timing figures and their report together."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.bus import Bus
from ocppscope.analysis.stations import Stations
from ocppscope.analysis.timing import Timing
from ocppscope.analysis.timing.report import TimingReport, timing_report
from ocppscope.analysis.unread import reservation
from ocppscope.cli.output import Writer, palette_of
from ocppscope.cli.whole import read_whole
from ocppscope.errors import UsageError
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.options import Options


MAX_NOTE = 500
"""Characters of a note that are shown."""


MAX_LIKENED = 2000
"""Stations of which the one is named that is most like one that is not there; it takes a second for these."""
MAX_NAME = 100
"""Characters by which they are compared."""


class TimingRequest(NamedTuple):
    """What `timing` was asked for."""

    inputs: list[str]
    options: Options
    form: str
    color: str
    quiet: bool = False
    by: str = "action"
    station: str = ""
    full: bool = False
    vantage: str = ""


def run_timing(request: TimingRequest) -> None:
    """Prints the figures. Raises OcppscopeError."""
    found = measured(request)
    writer = Writer(sys.stdout, live=sys.stdout.isatty())
    for line in _lines(found, request):
        writer.add(line)
        writer.rest()
    writer.flush()
    if request.form == "csv" and not request.quiet:  # rows have no place for it
        for sentence in (*((reservation(found.unread),) if found.unread else ()), *found.notices):
            sys.stderr.write(f"note: {visible(sentence, MAX_NOTE)}\n")


def measured(request: TimingRequest) -> TimingReport:
    """The figures of captures. Raises OcppscopeError."""
    bus = Bus()
    stations = Stations(bus, vantage=request.vantage)
    timing = Timing(bus)
    notices = read_whole(request.inputs, request.options, stations, stations, quiet=request.quiet)
    if request.station and request.station not in stations.by_identity:
        raise _no_station(request.station, stations.by_identity)
    return timing_report(timing, stations, request.inputs, request.by, request.station, notices)


def _no_station(name: str, known: Iterable[str]) -> UsageError:
    close = get_close_matches(name[:MAX_NAME], [one[:MAX_NAME] for one in islice(known, MAX_LIKENED)], n=1)
    hint = f"Did you mean {close[0]!a}?" if close else "`ocppscope stations` lists those that there are."
    return UsageError(f"There is no station {name[:60]!a} in it.", hint)


def _lines(found: TimingReport, request: TimingRequest) -> Iterator[str]:
    if request.form == "json":
        from ocppscope.render.timing.jsonform import json  # noqa: PLC0415

        return json(found)
    if request.form == "csv":
        from ocppscope.render.timing.csvform import csv  # noqa: PLC0415

        return csv(found)
    from ocppscope.render.timing.text import text  # noqa: PLC0415

    palette = palette_of(request.color)
    return text(found, palette, full=request.full)
