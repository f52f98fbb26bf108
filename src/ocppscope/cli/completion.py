"""`ocppscope completion SHELL`."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

PLACES = {
    "bash": "bash-completion/completions/ocppscope",
    "zsh": "zsh/site-functions/_ocppscope",
    "fish": "fish/vendor_completions.d/ocppscope.fish",
}
"""Shell → where its script is found without being asked for, below a `share` directory."""
SHELLS = tuple(PLACES)
VARIABLE = "_OCPPSCOPE_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
      bash   eval "$(ocppscope completion bash)"          in ~/.bashrc
      zsh    eval "$(ocppscope completion zsh)"           in ~/.zshrc
      fish   ocppscope completion fish > ~/.config/fish/completions/ocppscope.fish

    Packages of a distribution bring these scripts along; so does the wheel, below share/.
    """
    try:
        _completer(shell).source()  # looks at the version of the shell
    except RuntimeError as error:
        raise UsageError(f"No completion script could be made: {error}") from error
    click.echo(script(shell), nl=False)


def script(shell: str) -> str:
    """The completion script of a shell, which need not be installed here."""
    completer = _completer(shell)
    return f"{(completer.source_template % completer.source_vars()).strip()}\n"


def _completer(shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class

    from ocppscope.cli.main import cli

    maker = get_completion_class(shell)
    assert maker is not None
    return maker(cli, {}, "ocppscope", VARIABLE)
