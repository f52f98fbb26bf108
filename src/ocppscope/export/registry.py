"""All forms of export: one table, which also makes the help, the documentation and the choice by suffix."""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job


class Form(NamedTuple):
    """One form. Its module below `ocppscope.export` has what `FormModule` says."""

    name: str
    suffixes: tuple[str, ...]  # the first one is the usual one
    sentence: str
    is_shared: bool = True  # made to be given to others: redacted unless somebody wants it otherwise
    is_binary: bool = False  # no text: never printed on a terminal


class FormModule(Protocol):
    """What the module of a form offers."""

    def write(self, evidence: Evidence, out: BinaryIO, job: Job) -> None:
        """Writes it, from the first byte to the last. `out` can be sought in. Raises OcppscopeError."""


class ScanningModule(FormModule, Protocol):
    """A form that is no text also says what texts a written file holds."""

    def texts(self, path: str) -> Iterator[str]:
        """Every text in it, for the scan for leaks."""


FORMS: tuple[Form, ...] = (
    Form("text", (".log", ".txt"), "The annotated log, with the JSON of each message; ocppscope reads it again."),
    Form("markdown", (".md",), "Findings, stations and messages for a ticket or a wiki."),
    Form("html", (".html", ".htm"), "One page that works offline: search, filter, ladder, charts."),
    Form("jsonl", (".jsonl", ".ndjson"), "An object a line, for programs; read again, too.", is_shared=False),
    Form("csv", (".csv",), "A table for spreadsheets; no cell is a formula.", is_shared=False),
    Form("parquet", (".parquet",), "A typed table; needs ocppscope[parquet].", is_shared=False, is_binary=True),
    Form("trace", (".ocpptrace", ".trace"), "Open OCPP Trace 1.1, for other OCPP tools; ocppscope reads it again."),
    Form("har", (".har",), "HTTP archive with WebSocket messages, for the developer tools of browsers."),
    Form("mermaid", (".mmd", ".mermaid"), "The ladder as a Mermaid sequence diagram."),
    Form("svg", (".svg",), "The ladder as a picture."),
    Form(
        "pcapng", (".pcapng",), "The packets of what is shown, with findings and notes as comments, for Wireshark.",
        is_binary=True,
    ),
)  # fmt: skip
BY_NAME = {form.name: form for form in FORMS}
BY_SUFFIX = {suffix: form for form in FORMS for suffix in form.suffixes}


def form_of(path: str, name: str = "") -> Form:
    """The form that is named, or that a file's suffix means. Raises UsageError."""
    if name:
        return BY_NAME[name]
    suffix = PurePath(path).suffix.lower()
    form = BY_SUFFIX.get(suffix)
    if form is None:
        known = ", ".join(form.suffixes[0] for form in FORMS)
        what = f"What a “{suffix}” file is to hold is not known." if suffix else "The file's name has no suffix."
        raise UsageError(what, f"Name the form with --format, or take one of {known}.")
    return form


def module_of(form: Form) -> FormModule:
    """Its module, loaded."""
    return cast("FormModule", import_module(f"ocppscope.export.{form.name}"))
