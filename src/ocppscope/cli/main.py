"""The command `ocppscope`: finds the sub-command and turns every failure into a sentence and an exit code.

Sub-commands are imported when they are called, so that `--help` stays quick. May not import anything that decodes.
"""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING

import click

from ocppscope.cli.parameters import set_debug
from ocppscope.errors import OcppscopeError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "view": ("view", "Open captures on the screen; the default on a terminal."),
    "log": ("log", "Print the annotated message log; the default in a pipe."),
    "live": ("live", "Sniff on an interface: on the screens, or as a log in a pipe."),
    "proxy": ("proxy", "Relay between stations and their CSMS, and show and record what passes."),
    "diagnose": ("diagnose", "Say what went wrong, who did it and what to try: root causes first."),
    "timing": ("timing", "Measure: latencies, boots, heartbeats, transactions, clocks, bytes."),
    "stations": ("stations", "List stations and their connections, or how each was negotiated."),
    "export": ("export", "Write what is found in a form that others can open: HTML, pcapng, CSV, …"),
    "redact": ("redact", "Write a capture or log that can be shared: without secrets, otherwise the same."),
    "note": ("note", "List, add and take back notes on messages; the screens show them, exports carry them."),
    "compare": ("compare", "Hold two captures against each other: one session from two places, or two sessions."),
    "rules": ("rules", "List what `diagnose` looks for, or explain one rule."),
    "fields": ("fields", "List what messages can be filtered on, or explain one field."),
    "ca": ("ca", "Show the proxy's certificate authority; export its root, make certificates for tests."),
    "completion": ("completion", "Print the completion script of a shell."),
}
"""Name → module below `ocppscope.cli`, sentence for the list."""

ON_TERMINAL, IN_PIPE = "view", "log"
"""The commands that are meant when none is named."""
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's idle worker threads would spin; nothing here needs them

REINSTALL = "Install it again with what it needs: python -m pip install --upgrade --force-reinstall ocppscope"
MAX_COMPLAINT = 4096
"""Characters of one line of a complaint."""
INTERRUPTED = 130
OUR_FAULT = 70

_OWN_OPTIONS = frozenset({"--help", "-h", "--version", "-V", "--debug"})


class LazyGroup(click.Group):
    """Loads a sub-command when it is called, and takes the usual one where none is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports it."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"ocppscope.cli.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the usual command where the first word is none of ours."""
        first = next((index for index, word in enumerate(args) if word not in _OWN_OPTIONS), None)
        if first is not None and args[first] not in COMMANDS and not ctx.resilient_parsing:
            _refuse_misspelling(args[first])
            args = [*args[:first], _usual(args[first:]), *args[first:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Runs it. click has its own idea of these two: a line on stderr, and another exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except KeyboardInterrupt as error:
            raise Interrupted from error


class ReaderLeft(Exception):  # noqa: N818 (not an error)
    """Whoever read our output has had enough."""


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C."""


def _usual(args: list[str]) -> str:
    """The screens on a terminal, the log in a pipe; the log, too, for who asks for what only the log has."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return IN_PIPE
    from ocppscope.cli.view import command

    known = {name for param in command.params for name in param.opts} | _OWN_OPTIONS
    options = {word.partition("=")[0] for word in args if word.startswith("--")}
    options |= {word[:2] for word in args if len(word) > 1 and word[0] == "-" and word[1] != "-"}
    return ON_TERMINAL if options <= known else IN_PIPE


def _refuse_misspelling(word: str) -> None:
    from difflib import get_close_matches

    close = get_close_matches(word, COMMANDS, n=1, cutoff=0.75)
    if close and not os.path.exists(word):
        msg = f"There is no command {word!r}, and no file of that name. Did you mean {close[0]!r}?"
        raise click.UsageError(msg)


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"ocppscope {version('ocppscope')}")
        except PackageNotFoundError:  # run from its sources
            click.echo("ocppscope, not installed")
        ctx.exit()


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="[OPTIONS]",
    subcommand_metavar="[COMMAND] CAPTURE...",
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Print the version.",
)  # fmt: skip
@click.option(
    "--debug", is_flag=True, is_eager=True, expose_value=False, callback=set_debug,
    help="Show a traceback when ocppscope itself fails; as OCPPSCOPE_DEBUG=1.",
)  # fmt: skip
def cli() -> None:
    """Show the OCPP messages of network captures: who said what to whom, when, and what was wrong with it.

    \b
      ocppscope field.pcapng                      the screens; in a pipe, the message log
      ocppscope stations --handshake field.pcapng
      ssh box tcpdump -U -w - | ocppscope -

    Captures are pcap or pcapng, logs most texts with OCPP messages in them; packed with gzip or zstd or not; - is
    standard input.
    """


def main() -> None:
    """Runs the command line and exits."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # Pythons that are started import nothing from where the user stands
    sys.exit(exit_code(lambda: cli.main(prog_name="ocppscope", standalone_mode=False)))


def exit_code(run: Callable[[], object]) -> int:
    """Runs it; what goes wrong is told on stderr."""
    try:
        result = run()
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except OcppscopeError as error:
        complain(error.what, error.hint)
        return error.exit_code
    except ReaderLeft:
        _forget_stdout()
        return 0
    except (Interrupted, KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("OCPPSCOPE_DEBUG"):
            raise
        if isinstance(error, ModuleNotFoundError) and not (error.name or "ocppscope").startswith("ocppscope"):
            complain(f"The Python package {error.name!a} is missing, which this needs.", REINSTALL)
            return OcppscopeError.exit_code
        complain(
            f"ocppscope itself failed: {type(error).__name__}: {str(error)[:200]!a}",
            "This is a bug. OCPPSCOPE_DEBUG=1 shows where; please report it, if you can with the capture.",
        )
        return OUR_FAULT
    return result if isinstance(result, int) else 0


def complain(what: str, hint: str = "") -> None:
    """What is wrong and what to do, a line each, on stderr; names of files in it may hold anything."""
    lines = f"ocppscope: {what}\n  {hint}" if hint else f"ocppscope: {what}"
    sys.stderr.write("".join(map(_harmless, lines.split("\n"))))


def _show(error: click.ClickException) -> None:
    """As click shows it: usage and sentence."""
    shown = StringIO()
    error.show(shown)
    sys.stderr.write("".join(map(_harmless, shown.getvalue().rstrip("\n").split("\n"))))


def _harmless(line: str) -> str:
    from ocppscope.render.wiretext import visible

    return f"{visible(line, MAX_COMPLAINT)}\n"


def _forget_stdout() -> None:
    """The reader is gone: whatever is still buffered goes nowhere, without a complaint at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
