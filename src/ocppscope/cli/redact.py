"""`ocppscope redact`: a capture or log that can be shared."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.hiding import Hidden, hiding
from ocppscope.cli.parameters import Reading, filtering, reading


@click.command("redact")
@reading
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: .pcapng, .log, .jsonl, .ocpptrace.")
@filtering
@hiding
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def command(
    read: Reading,
    output: str,
    wanted: str,
    hide: Hidden,
    force: bool,
) -> None:
    """Write a capture or log again without secrets: it can be read and diagnosed as the original, and be shared.

    Tags, serial numbers, station identities and addresses become pseudonyms that keep their length and look;
    passwords, keys, names of customers and the like are blanked. docs/redaction.md has the list. TLS secrets are
    never written. What still looks like a secret at the end is named, and nothing is written then.
    """
    from ocppscope.cli.exporting import ExportRequest, run_export
    from ocppscope.errors import UsageError

    if hide.show_secrets:
        raise UsageError("redact shows no secrets.", "`ocppscope export --show-secrets` does.")
    run_export(
        ExportRequest(
            read.inputs,
            read.options(),
            output,
            wanted=wanted,
            findings=False,
            hiding=hide.hiding(redact=True),
            replace=force,
            quiet=read.quiet,
        )
    )
