"""`ocppscope redact`: a capture or log that can be shared."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ocppscope.cli.hiding import hiding
from ocppscope.cli.parameters import decoding, filtering, inputs, reading

if TYPE_CHECKING:
    from ocppscope.model import Version


@click.command("redact")
@reading
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: .pcapng, .log, .jsonl, .ocpptrace.")
@filtering
@hiding
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def command(
    captures: tuple[str, ...],
    more: tuple[str, ...],
    decode_as: tuple[tuple[int, Version], ...],
    timeout: int,
    all_websockets: bool,
    color: str,
    quiet: bool,
    output: str,
    wanted: str,
    show_secrets: bool,
    redact_key: str | None,
    shift: int,
    keep_equipment: bool,
    keep_network: bool,
    blank_free_text: bool,
    force: bool,
) -> None:
    """Write a capture or log again without secrets: it can be read and diagnosed as the original, and be shared.

    Tags, serial numbers, station identities and addresses become pseudonyms that keep their length and look;
    passwords, keys, names of customers and the like are blanked. docs/redaction.md has the list. TLS secrets are
    never written. What still looks like a secret at the end is named, and nothing is written then.
    """
    from ocppscope.cli.exporting import ExportRequest, run_export
    from ocppscope.errors import UsageError
    from ocppscope.export.hidden import Hiding

    del color
    if show_secrets:
        raise UsageError("redact shows no secrets.", "`ocppscope export --show-secrets` does.")
    run_export(
        ExportRequest(
            inputs(captures, more),
            decoding(timeout, all_websockets, decode_as),
            output,
            wanted=wanted,
            findings=False,
            hiding=Hiding(
                redact=True,
                key_file=redact_key or "",
                shift_ns=shift,
                equipment=not keep_equipment,
                network=not keep_network,
                free_text=blank_free_text,
            ),
            replace=force,
            quiet=quiet,
        )
    )
