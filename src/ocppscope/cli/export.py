"""`ocppscope export`: what was found, in a form that the other party can open."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.hiding import Hidden, hiding
from ocppscope.cli.parameters import Reading, filtering, reading

FORMS = (
    "text", "markdown", "html", "jsonl", "csv", "parquet", "trace", "har", "mermaid", "svg", "pcapng",
)  # fmt: skip
"""As `export.registry` has them; a test holds the two equal, so that --help stays quick."""


@click.command("export")
@reading
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to; - (the default) is standard output.")
@click.option("--format", "form", type=click.Choice(FORMS), help="What to write; otherwise the file's suffix says.")
@filtering
@click.option("--no-findings", is_flag=True, help="Leave the diagnosis out: quicker, and a pipe is enough.")
@click.option("--legs", is_flag=True, help="Sessions again that were captured on two legs of their way.")
@hiding
@click.option(
    "--redact", is_flag=True, help="Redact jsonl, csv and parquet, too; the other forms are redacted anyway."
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--list", "listed", is_flag=True, help="List the forms and their suffixes.")
def command(
    read: Reading,
    output: str,
    form: str | None,
    wanted: str,
    no_findings: bool,
    legs: bool,
    hide: Hidden,
    redact: bool,
    force: bool,
    listed: bool,
) -> None:
    """Write captures or logs as evidence: messages with findings and notes, in a form that others can open.

    The suffix of FILE says which form; `--list` names them. All but jsonl, csv and parquet are redacted: secrets
    blanked, identities replaced by pseudonyms that stay the same throughout. A filter takes a part:
    -Y 'station == CP-1 and time >= "2026-11-22T10:00"', -Y 'row in {120..180}'.
    """
    from ocppscope.cli.exporting import ExportRequest, list_forms, run_export

    if listed:
        list_forms()
        return
    run_export(
        ExportRequest(
            read.inputs,
            read.options(),
            output,
            form or "",
            wanted=wanted,
            findings=not no_findings,
            legs=legs,
            hiding=hide.hiding(redact=redact),
            replace=force,
            quiet=read.quiet,
        )
    )
