"""What `export`, `redact` and the shared reports do: evidence, seen through a redactor or not, into a form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.pcapfile import STDIN
from ocppscope.cli.evidence import CaptureEvidence, EvidenceRequest
from ocppscope.errors import UsageError
from ocppscope.export.hidden import Hiding, RedactedEvidence
from ocppscope.export.registry import FORMS, form_of
from ocppscope.export.writing import Job, Written, write_file, write_stream
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from ocppscope.export.registry import Form
    from ocppscope.options import Options


class ExportRequest(NamedTuple):
    """What `export` was asked for."""

    inputs: list[str]
    options: Options
    output: str
    form: str = ""
    wanted: str = ""
    findings: bool = True
    legs: bool = False
    hiding: Hiding = Hiding()
    replace: bool = False
    quiet: bool = False


def run_export(request: ExportRequest) -> None:
    """Writes the file. Raises OcppscopeError."""
    form = _form(request)
    _check_output(request, form)
    evidence = CaptureEvidence(
        EvidenceRequest(
            request.inputs, request.options, request.wanted, request.legs, request.findings, quiet=request.quiet
        )
    )
    hides = not request.hiding.show_secrets and (form.is_shared or request.hiding.redact)
    redactor = request.hiding.redactor() if hides else None
    evidence.prepare(redactor)
    shown = evidence if redactor is None else RedactedEvidence(evidence, redactor)
    if request.output == STDIN:
        written = write_stream(shown, form, sys.stdout.buffer, Job(), redactor=redactor)
    else:
        written = write_file(shown, form, Path(request.output), Job(), redactor=redactor, replace=request.replace)
    if not request.quiet:
        _tell(request, form, written, redacted=redactor is not None)


def _form(request: ExportRequest) -> Form:
    if request.output == STDIN and not request.form:
        raise UsageError("It is not said what to write.", "Name a file with -o, or the form with --format.")
    return form_of(request.output, request.form)


def _check_output(request: ExportRequest, form: Form) -> None:
    if request.output == STDIN and form.is_binary and sys.stdout.isatty():
        raise UsageError(f"{form.name} is nothing for a terminal.", "Name a file with -o.")
    if request.output in request.inputs and request.output != STDIN:
        raise UsageError("The output is one of the inputs.", "Take another name.")
    if request.hiding.redact and request.hiding.show_secrets:
        raise UsageError("--redact and --show-secrets contradict each other.", "Take one of them.")


def _tell(request: ExportRequest, form: Form, written: Written, *, redacted: bool) -> None:
    """On stderr: what was written, and what was hidden."""
    if request.output != STDIN:
        name = visible(request.output, 300)
        sys.stderr.write(f"{name}: {written.rows:,} messages as {form.name}, {written.size:,} bytes\n")
    if redacted:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(written.redacted.items()))
        sys.stderr.write(f"redacted: {counts or 'there was nothing to redact'}\n")
    else:
        sys.stderr.write("note: not redacted: it may hold tags, serial numbers, addresses and passwords\n")


def list_forms() -> None:
    """Prints the table of forms."""
    for form in FORMS:
        kept = "redacted" if form.is_shared else "as it is"
        print(f"{form.name:9} {' '.join(form.suffixes):20} {kept:9} {form.sentence}")
