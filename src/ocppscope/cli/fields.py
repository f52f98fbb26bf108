"""`ocppscope fields`: what can be filtered on, and how."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click


@click.command("fields")
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="The whole reference of the filter language, for documents.")
def command(name: str | None, markdown: bool) -> None:
    """List what messages can be filtered on, or explain one field.

    NAME is a field, another tool's name for one, or a path like payload.meterValue[0].timestamp.
    """
    from ocppscope.errors import UsageError
    from ocppscope.query.document import document, explanation, listing
    from ocppscope.query.lexer import FilterError

    if markdown:
        click.echo(document(), nl=False)
    elif name is None:
        click.echo(listing(), nl=False)
    else:
        try:
            click.echo(explanation(name), nl=False)
        except FilterError as error:
            raise UsageError(error.message, error.hint or "`ocppscope fields` lists all of them.") from None
