"""`ocppscope completion SHELL`."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
      bash   eval "$(ocppscope completion bash)"          in ~/.bashrc
      zsh    eval "$(ocppscope completion zsh)"           in ~/.zshrc
      fish   ocppscope completion fish > ~/.config/fish/completions/ocppscope.fish
    """
    from click.shell_completion import get_completion_class

    from ocppscope.cli.main import cli

    maker = get_completion_class(shell)
    assert maker is not None
    try:
        script = maker(cli, {}, "ocppscope", "_OCPPSCOPE_COMPLETE").source()
    except RuntimeError as error:
        raise UsageError(f"No completion script could be made: {error}") from error
    click.echo(script)
