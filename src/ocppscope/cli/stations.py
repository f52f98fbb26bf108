"""`ocppscope stations`: who connected, how it was negotiated, how it ended."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ocppscope.cli.parameters import decoding, filtering, inputs, reading

if TYPE_CHECKING:
    from ocppscope.model import Version


@click.command("stations")
@reading
@filtering
@click.option("--handshake", is_flag=True, help="Show how each connection was negotiated, header by header.")
@click.option(
    "--format", "form", type=click.Choice(("text", "jsonl")), default="text", show_default=True,
    help="What to print: text for people, jsonl for programs.",
)  # fmt: skip
def command(
    captures: tuple[str, ...],
    more: tuple[str, ...],
    decode_as: tuple[tuple[int, Version], ...],
    timeout: int,
    all_websockets: bool,
    color: str,
    quiet: bool,
    wanted: str,
    handshake: bool,
    form: str,
) -> None:
    """List the stations of captures, and below each its connections.

    With a filter: those of which a message passes, and how many do.

    ~ before a version means that it was guessed: the capture does not hold what was agreed.
    """
    from ocppscope.cli.run import StationsRequest, run_stations

    run_stations(
        StationsRequest(
            inputs=inputs(captures, more),
            options=decoding(timeout, all_websockets, decode_as),
            form=form,
            color=color,
            quiet=quiet,
            handshake=handshake,
            wanted=wanted,
        )
    )
