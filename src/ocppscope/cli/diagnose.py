"""`ocppscope diagnose`: what went wrong, who did it, and what to try."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.parameters import Reading, reading

FOUND = 1
"""The exit code where something at or above `--fail-on` was found."""
FORMS = ("text", "json", "markdown", "html", "sarif")


@click.command("diagnose")
@reading
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="text", show_default=True,
    help="text for people, markdown and html for tickets, json and sarif for programs.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="Show all evidence, and advice for notes too.")
@click.option(
    "--fail-on", type=click.Choice(("error", "warning", "note")),
    help=f"Exit with {FOUND} if there is a finding this bad or worse.",
)  # fmt: skip
@click.option(
    "--show-secrets",
    is_flag=True,
    help="With markdown, html and sarif: show tags, serial numbers and addresses, too.",
)
@click.option("--enable", "only", multiple=True, metavar="RULE", help="Run this rule only. May be repeated.")
@click.option("--disable", "disabled", multiple=True, metavar="RULE", help="Leave this rule out. May be repeated.")
@click.option(
    "--limit", "limits", multiple=True, metavar="RULE.NAME=N",
    help="Another threshold, like rpc-slow-response.warn=20; `ocppscope rules RULE` names them.",
)  # fmt: skip
@click.option(
    "--vantage", type=click.Choice(("station", "middle", "csms", "host")),
    help="Where the capture was taken, if the TCP handshakes do not tell.",
)  # fmt: skip
def command(
    read: Reading,
    form: str,
    full: bool,
    fail_on: str | None,
    only: tuple[str, ...],
    disabled: tuple[str, ...],
    limits: tuple[str, ...],
    vantage: str | None,
    show_secrets: bool,
) -> int:
    """Say what went wrong in captures, who did it and what to try: root causes first, with evidence.

    `ocppscope rules` lists what is looked for. Limits and rules can be set for good in the configuration file:

    \b
      [rules]
      basic-auth-cleartext = false
      [rules.rpc-slow-response]
      warn = 20
    """
    from ocppscope.cli.diagnosing import DiagnoseRequest, run_diagnose

    request = DiagnoseRequest(
        read.inputs, read.options(), form, read.color, quiet=read.quiet, full=full,
        only=only, disabled=disabled, limits=limits, vantage=vantage or "", show_secrets=show_secrets,
    )  # fmt: skip
    worst = run_diagnose(request)
    return FOUND if fail_on is not None and worst is not None and worst.label in _at_least(fail_on) else 0


def _at_least(severity: str) -> tuple[str, ...]:
    order = ("error", "warning", "note")
    return order[: order.index(severity) + 1]
