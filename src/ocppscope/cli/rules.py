"""`ocppscope rules`: what `diagnose` looks for, and why."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click


@click.command("rules")
@click.argument("names", nargs=-1, metavar="[RULE]...")
@click.option("--explain", metavar="RULE", help="As RULE.")
@click.option("--markdown", is_flag=True, help="The whole catalogue, for documents.")
def command(names: tuple[str, ...], explain: str | None, markdown: bool) -> None:
    """List what `diagnose` looks for, or explain rules: what they look for, their limits, what to do."""
    from ocppscope.render.rulebook import catalogue, explanation, listing

    wanted = [*names, *([explain] if explain else [])]
    if markdown:
        click.echo(catalogue(), nl=False)
    elif wanted:
        click.echo("\n".join(explanation(name) for name in wanted), nl=False)
    else:
        click.echo(listing(), nl=False)
