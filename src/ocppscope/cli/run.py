"""Wires source, engine and output together: the only place that does."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.bytesource import Growth
from ocppscope.capture.inputs import is_log
from ocppscope.capture.pcapfile import STDIN
from ocppscope.cli.afterwards import Afterwards
from ocppscope.cli.engines import engine_of
from ocppscope.cli.keys import poll
from ocppscope.cli.logs import log_options, opened
from ocppscope.cli.output import Progress, Writer, palette_of
from ocppscope.cli.session import Log
from ocppscope.errors import UsageError
from ocppscope.render import stations as report
from ocppscope.render.csvtext import CsvFormat
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import Style, TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.cli.diagnosing import FindingsByMessage
    from ocppscope.cli.engines import EitherEngine, TsharkEngine
    from ocppscope.cli.logs import Reader
    from ocppscope.cli.sieve import Sieve
    from ocppscope.options import Options
    from ocppscope.render.formats import LogFormat
    from ocppscope.render.times import ClockFormat

GC_EVERY = 100_000
"""Objects after which the cyclic collector looks at the youngest ones: decoding makes no cycles, and looking costs
15 % of the time at Python's own setting."""


KEPT_BYTES = 32 << 20
"""Free memory that is not given back to the system."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
atexit.register(gc.freeze)  # whoever ends need not look for garbage among all that he has: 30 ms


class LogRequest(NamedTuple):
    """What `log` was asked for."""

    inputs: list[str]
    options: Options
    form: str
    color: str
    clock: ClockFormat
    quiet: bool = False
    full: bool = False
    wanted: str = ""
    limit: int | None = None
    events: bool = False
    pings: bool = False
    legs: bool = False
    follow: bool = False
    jobs: int = 1
    findings: bool = False


class StationsRequest(NamedTuple):
    """What `stations` was asked for."""

    inputs: list[str]
    options: Options
    form: str
    color: str
    quiet: bool = False
    handshake: bool = False
    wanted: str = ""


def run_log(request: LogRequest) -> None:
    """Prints the log. Raises OcppscopeError."""
    if request.events and request.form == "csv":
        raise UsageError("--events has no csv form.", "Take --format jsonl.")
    live = request.follow or STDIN in request.inputs or sys.stdout.isatty()
    wanted = sieve(request.wanted)
    found = _findings_first(request) if request.findings or (wanted is not None and wanted.asks_findings) else None
    if wanted is not None and found is not None:
        wanted.verdicts = found.verdicts
    writer = Writer(sys.stdout, live=live)
    form = log_format(request)
    log = Log(
        form,
        writer.add,
        sieve=wanted,
        annotate=found.below if found is not None and request.findings else None,
        events=request.form == "text" or request.events,
        legs=request.legs,
        count=request.limit,
    )
    writer.add(form.header())
    if (
        request.jobs > 1
        and found is None
        and request.options.tls_engine == "own"
        and (log.sieve is None or log.sieve.works_in_parallel)
        and not _are_logs(request)
    ):
        _log_in_parallel(request, log, writer)
        return
    with reading(request.inputs, request.options, follow=request.follow) as reader:
        engine = engine_of(request.options, request.inputs, reader)
        progress = Progress(wanted=not request.quiet and not sys.stdout.isatty())
        try:
            _decode(reader, engine, log, writer, progress)
        except KeyboardInterrupt:
            if live:
                log.take(engine.finish())
            raise
        finally:
            progress.clear()
            writer.flush()
        if not request.quiet:
            Afterwards(sys.stderr).tell(engine.summary, log, reader.notices, secrets=bool(reader.secrets))


def _findings_first(request: LogRequest) -> FindingsByMessage:
    """What the rules say of each message: known only when all is read, so the captures are read twice."""
    if request.follow or STDIN in request.inputs:
        raise UsageError(
            "Findings are known at the end of a capture, and this one cannot be read twice.",
            "Save it to a file first.",
        )
    if request.findings and request.form != "text":
        raise UsageError(
            "--findings is for the text form.", "Take `diagnose --format json`, or a filter on findings."
        )
    from ocppscope.cli.diagnosing import findings_by_message  # noqa: PLC0415 - only where somebody asks for findings

    return findings_by_message(request.inputs, request.options, quiet=request.quiet)


def _log_in_parallel(request: LogRequest, log: Log, writer: Writer) -> None:
    from ocppscope.cli.parallel import Numbering, Workers  # noqa: PLC0415 - 20 ms that only --jobs needs

    numbering = Numbering()
    progress = Progress(wanted=not request.quiet and not sys.stdout.isatty())
    with Workers(request, log.form) as workers:
        try:
            for entries in workers:
                if isinstance(log.form, TextFormat) and not log.form.started:
                    log.form.start_at(workers.first_ns)
                numbering.apply(entries, log)
                if log.done:
                    return
                writer.rest()
                progress.step(*workers.progress, log.rows)
        finally:
            progress.clear()
            writer.flush()
        if not request.quiet:
            ending = workers.endings[0]
            Afterwards(sys.stderr).tell(workers.summary(), log, ending.notices, secrets=ending.secrets)


def _are_logs(request: LogRequest) -> bool:
    """Whether the inputs are logs of messages, which one process reads."""
    logs = log_options(request.options)
    return all(name != STDIN and os.path.isfile(name) and is_log(name, logs) for name in request.inputs)


def _decode(
    reader: Reader, engine: EitherEngine | TsharkEngine, log: Log, writer: Writer, progress: Progress
) -> None:
    for block in reader.blocks():
        if isinstance(log.form, TextFormat) and not log.form.started and len(block.time_ns):
            log.form.start_at(int(block.time_ns[0]))
        log.take(engine.packets(block))
        if log.done:
            return
        writer.rest()
        progress.step(*reader.progress, log.rows)
    log.take(engine.finish())


def run_stations(request: StationsRequest) -> None:
    """Prints the report of stations. Raises OcppscopeError."""
    writer = Writer(sys.stdout, live=sys.stdout.isatty())
    stations = report.Stations(sieve(request.wanted))
    with reading(request.inputs, request.options) as reader:
        engine = engine_of(request.options, request.inputs, reader)
        progress = Progress(wanted=not request.quiet)
        try:
            for block in reader.blocks():
                stations.take(engine.packets(block))
                progress.step(*reader.progress, stations.messages)
            stations.take(engine.finish())
        finally:
            progress.clear()
        palette = palette_of(request.color)
        if request.form == "jsonl":
            lines = report.rows(stations)
        elif request.handshake:
            lines = report.negotiations(stations, palette, terminal_width())
        else:
            lines = report.text(stations, palette, terminal_width())
        for line in lines:
            writer.add(line)
            writer.rest()
        writer.flush()
        if not request.quiet:
            Afterwards(sys.stderr).tell_of_stations(engine.summary, reader.notices, bool(stations.entries))


def sieve(text: str) -> Sieve | None:
    """The filter that was asked for; None for none. Raises UsageError."""
    if not text.strip():
        return None
    from ocppscope.cli.sieve import Sieve, understood  # noqa: PLC0415 - 30 ms that only a filter needs

    return Sieve(understood(text))


def log_format(request: LogRequest) -> LogFormat:
    """The format that was asked for, with the look that the terminal allows."""
    if request.form == "jsonl":
        return JsonlFormat()
    if request.form == "csv":
        return CsvFormat()
    return TextFormat(
        Style(
            clock=request.clock,
            palette=palette_of(request.color),
            width=terminal_width(),
            full=request.full,
            pings=request.pings,
        )
    )


def terminal_width() -> int:
    """Columns of the terminal; 0 where stdout is none."""
    if not sys.stdout.isatty():
        return 0
    from shutil import get_terminal_size  # noqa: PLC0415 - 10 ms that only a terminal is worth

    return get_terminal_size((120, 24)).columns


@contextmanager
def reading(inputs: list[str], options: Options, *, follow: bool = False) -> Iterator[Reader]:
    """The captures or logs, opened; and a garbage collector and an allocator that keep out of the way."""
    threshold = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GC_EVERY, *threshold[1:])
    _keep_memory()
    try:
        with opened(inputs, options, follow=_growth(follow), stdin=sys.stdin.buffer) as reader:
            yield reader
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def _growth(follow: bool) -> Growth | bool:
    """Key logs that grow are read while a file is waited for."""
    return Growth(poll) if follow else False


def _keep_memory() -> None:
    """Lets the C library keep the memory of a block for the next one; giving it back costs a tenth of the time."""
    import ctypes  # noqa: PLC0415 - NumPy has it loaded by now

    with suppress(OSError, AttributeError):  # not the GNU C library
        tune = ctypes.CDLL(None).mallopt
        tune(_M_MMAP_THRESHOLD, KEPT_BYTES)
        tune(_M_TRIM_THRESHOLD, KEPT_BYTES)
