"""The form "pcapng": the packets of what is shown, with findings and notes as comments on them.

Captures give their own packets, redacted or not; what has none (logs, what was inside TLS) gets packets that are made
up, and says so. The parts are in `export.rewriting`; here they are put into one file, in order of time.
"""

from __future__ import annotations

from contextlib import ExitStack
from heapq import merge
from typing import TYPE_CHECKING

from ocppscope.capture.inputs import is_log
from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.export.hidden import RedactedEvidence
from ocppscope.export.rewriting.attempts import Attempts
from ocppscope.export.rewriting.blocks import Sheet
from ocppscope.export.rewriting.chosen import Chosen
from ocppscope.export.rewriting.copying import copied
from ocppscope.export.rewriting.invented import invented
from ocppscope.export.rewriting.remaking import Remaking
from ocppscope.export.rewriting.written import texts_in
from ocppscope.options import Options
from ocppscope.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence, Source
    from ocppscope.export.rewriting.blocks import Made, Packet
    from ocppscope.export.writing import Job

APPLICATION = "ocppscope"


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """See `export.registry.FormModule`. The scratch file of a redacted capture holds redacted bytes only."""
    chosen = Chosen.of(evidence, job)
    source = evidence.source
    paths = source.paths if source is not None and not _are_logs(source) else ()
    if not paths:
        chosen.invent_all()
    judged = evidence.report is not None
    with ExitStack() as stack:
        own: Iterator[Packet] = iter(())
        said = [_headline(evidence, chosen), missing_words(chosen)]
        if chosen.talks and all(talk.whole for talk in chosen.talks.values()):
            with open_captures(paths) as reader:
                Attempts(chosen).choose(reader.blocks(), job)
        if chosen.talks and isinstance(evidence, RedactedEvidence):
            remaking = stack.enter_context(Remaking(paths, chosen, evidence.redactor, job))
            own = remaking.packets(judged=judged)
            said += _losses(remaking)
        elif chosen.talks:
            own = copied(stack.enter_context(open_captures(paths)).blocks(), chosen, job, judged=judged)
        sheet = Sheet(
            out, APPLICATION, "\n".join(filter(None, [*said, *chosen.general])), made_up=bool(chosen.invented)
        )
        made: Iterator[Made] = invented(evidence.items(), chosen, job) if chosen.invented else iter(())
        sheet.add(merge(own, made, key=_time_of))
        sheet.finish()


def texts(path: str) -> Iterator[str]:
    """See `export.registry.ScanningModule`."""
    yield from texts_in(path, Engine(Options(every_websocket=True)))


def _time_of(one: Packet | Made) -> int:
    return one.time_ns


def _are_logs(source: Source) -> bool:
    return bool(source.options.dialect) or any(is_log(path) for path in source.paths)


def _headline(evidence: Evidence, chosen: Chosen) -> str:
    """What the file is, for its reader."""
    names, many = ", ".join(evidence.captures), len(chosen.connections)
    connections = counted(many, "connection")
    return f"ocppscope export: {chosen.rows:,} messages of {connections} from {names or 'what was shown'}."


def missing_words(chosen: Chosen) -> str:
    """What there was no room for."""
    return f"{chosen.unsaid:,} comments were left out, since there are too many." if chosen.unsaid else ""


def _losses(remaking: Remaking) -> list[str]:
    """What a redacted capture does not hold any more."""
    said = ["Redacted: payloads, heads and addresses are not those of the wire; times between packets are."]
    if remaking.blanked:
        said.append(f"{remaking.blanked:,} bytes could not be judged and were blanked.")
    return said
