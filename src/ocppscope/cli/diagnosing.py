"""Wires source, engine, diagnosis and report together."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.autopsy import Autopsy
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.report import Report, report
from ocppscope.analysis.settings import settings_of
from ocppscope.cli.output import Writer, palette_of
from ocppscope.cli.run import terminal_width
from ocppscope.cli.whole import read_whole
from ocppscope.export.hidden import redacted_report
from ocppscope.query.config import config_path, config_table
from ocppscope.redaction.policy import Policy, new_key
from ocppscope.redaction.redactor import Redactor
from ocppscope.render.wiretext import visible
from ocppscope.store.verdicts import MAX_MARKED, MAX_VERDICTS, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.analysis.diagnosis import Marks
    from ocppscope.analysis.finding import Ref, Severity
    from ocppscope.analysis.registry import Rule
    from ocppscope.analysis.settings import Settings
    from ocppscope.model import Event, Message
    from ocppscope.options import Options
    from ocppscope.store.verdicts import Verdicts

_FORMS = {
    "json": ("jsonform", "json"), "markdown": ("markdown", "markdown"), "html": ("html", "html"),
    "sarif": ("sarif", "sarif"),
}  # fmt: skip
"""Form → module of `render.diagnosis` and function."""


_SHARED = frozenset({"markdown", "html", "sarif"})
"""Forms that are meant to be given to others."""


class DiagnoseRequest(NamedTuple):
    """What `diagnose` was asked for."""

    inputs: list[str]
    options: Options
    form: str
    color: str
    quiet: bool = False
    full: bool = False
    only: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    vantage: str = ""
    show_secrets: bool = False


def run_diagnose(request: DiagnoseRequest) -> Severity | None:
    """Prints the report; gives the severity of the worst finding. Raises OcppscopeError."""
    settings = settings_of(
        config_table("rules"), limits=request.limits, disabled=request.disabled, only=request.only,
        vantage=request.vantage, where=str(config_path()),
    )  # fmt: skip
    hides = request.form in _SHARED and not request.show_secrets
    redactor = Redactor(Policy(new_key())) if hides else None
    found = diagnosed(request.inputs, request.options, settings, quiet=request.quiet, redactor=redactor)
    if redactor is not None:
        found = redacted_report(found, redactor)
    writer = Writer(sys.stdout, live=sys.stdout.isatty())
    for line in _lines(found, request):
        writer.add(line)
        writer.rest()
    writer.flush()
    return found.worst()


class FindingsByMessage:
    """What the rules said of single messages, by connection and ordinal."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int], tuple[tuple[Verdict, str], ...]] = {}

    def add(self, rule: Rule, severity: Severity, text: str, refs: tuple[Ref, ...]) -> None:
        """A rule found something."""
        verdict = Verdict(rule.id, severity.label, rule.layer)
        for ref in refs:
            name = ref.connection, ref.ordinal
            said = self._said.get(name, ())
            room = len(said) < MAX_VERDICTS and (said or len(self._said) < MAX_MARKED)
            if ref.ordinal >= 0 and room and (verdict, text) not in said:
                self._said[name] = (*said, (verdict, text))

    def verdicts(self, message: Message) -> Verdicts:
        """Of one message, mostly none."""
        return tuple(verdict for verdict, _ in self.of(message))

    def of(self, message: Message) -> tuple[tuple[Verdict, str], ...]:
        """What was said of one message, with the sentences; mostly nothing."""
        return self._said.get((message.connection, message.ordinal), ())

    def below(self, body: str, message: Message) -> str:
        """The body of a message's line, with what was said in lines below it."""
        return body + "".join(
            f"\n    ▲ {one.severity} {one.rule}  {visible(text, 300)}" for one, text in self.of(message)
        )


class _Learning:
    """Implements `cli.whole.Follower`: a diagnosis, and a redactor that meets every name on the way."""

    def __init__(self, diagnosis: Diagnosis, redactor: Redactor) -> None:
        self._diagnosis = diagnosis
        self._redactor = redactor

    def take(self, events: Iterable[Event]) -> None:
        """See `Follower`."""
        self._diagnosis.take(events)
        for event in events:
            self._redactor.event(event)

    def finish(self, now: int) -> None:
        """See `Follower`."""
        self._diagnosis.finish(now)


def findings_by_message(names: list[str], options: Options, *, quiet: bool = True) -> FindingsByMessage:
    """What the rules say of each message of captures. Raises OcppscopeError."""
    found = FindingsByMessage()
    diagnosed(names, options, settings_of(config_table("rules")), quiet=quiet, marks=found.add)
    return found


def diagnosed(
    names: list[str],
    options: Options,
    settings: Settings,
    *,
    quiet: bool = True,
    marks: Marks | None = None,
    redactor: Redactor | None = None,
) -> Report:
    """The report of captures; `marks` is told of each finding, `redactor` meets all events. Raises OcppscopeError."""
    diagnosis = Diagnosis(settings, marks=marks)
    autopsy = Autopsy(diagnosis.bus)
    follower = diagnosis if redactor is None else _Learning(diagnosis, redactor)
    notices = read_whole(names, options, follower, diagnosis.stations, quiet=quiet)
    return report(diagnosis, names, autopsy, notices)


def _lines(found: Report, request: DiagnoseRequest) -> Iterator[str]:
    if request.form == "text":
        from ocppscope.render.diagnosis.text import text  # noqa: PLC0415

        palette = palette_of(request.color)
        yield from text(found, palette, terminal_width(), full=request.full)
        return
    module, name = _FORMS[request.form]
    yield from getattr(import_module(f"ocppscope.render.diagnosis.{module}"), name)(found)
