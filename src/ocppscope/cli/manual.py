"""Manual pages and completion scripts, made from the commands' own help: `python -m ocppscope.cli.manual DIRECTORY`.

They are committed below `share/` and installed from there, so that nothing has to run when a wheel is built; a test
holds them to what the commands say. Writes text only; knows roff (man(7)) and no command by name.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROGRAM = "ocppscope"
SECTION = "1"
TITLE = "ocppscope"
MANUAL = "OCPP network analysis"
DATE = "2026-11-23"
"""Of the release that they describe; docs/release.md says when it changes."""
WIDTH = 64

EXIT_CODES = {
    "0": "All was done. What a capture shows, good or bad, does not count.",
    "1": "There are findings as severe as --fail-on says (diagnose), or differences (compare --fail-on-difference).",
    "2": "An option or a value cannot be used.",
    "3": "An input cannot be read as a capture.",
    "4": "An input, an output or an interface may not be opened.",
    "70": "ocppscope itself failed; please report it.",
    "130": "Interrupted with Ctrl-C.",
}
"""Exit code → when."""

ENVIRONMENT = {
    "NO_COLOR": "Not empty: no colours, unless --color asks for them.",
    "OCPPSCOPE_DEBUG": "Not empty: a traceback when ocppscope itself fails, as with --debug.",
    "PAGER, VISUAL, EDITOR": "What the screens show a message with. Started without a shell.",
    "SSLKEYLOGFILE": "A key log that is read where --keylog is not given.",
    "TMPDIR": "Where live captures without -w and large exports are kept while they last.",
    "XDG_CONFIG_HOME": "Below it is ocppscope/config.toml; else below ~/.config.",
    "XDG_DATA_HOME": "Below it is the proxy's authority, ocppscope/ca; else below ~/.local/share.",
}
"""Variable → what it does."""

_NOT_WRAPPED = "\b"
_PLAIN = re.compile(r"[^\x20-\x7e]")


def pages() -> dict[str, str]:
    """File name (`ocppscope-log.1`) → the page in man(7) macros, for the program and each of its commands."""
    from ocppscope.cli.main import COMMANDS, cli  # noqa: PLC0415 (main must not load this)

    found = {f"{PROGRAM}.{SECTION}": "".join(_program(cli, COMMANDS))}
    for name, (_, sentence) in COMMANDS.items():
        above = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
        command = cli.get_command(above, name)
        assert command is not None
        below = click.Context(command, parent=above, info_name=name)
        found[f"{PROGRAM}-{name}.{SECTION}"] = "".join(_command(below, name, sentence))
    return found


def completions() -> dict[str, str]:
    """Path below `share/` → the completion script."""
    from ocppscope.cli.completion import PLACES, script  # noqa: PLC0415

    return {place: script(shell) for shell, place in PLACES.items()}


def files() -> dict[str, str]:
    """Path below `share/` → content, of all that is made here."""
    return {f"man/man{SECTION}/{name}": text for name, text in pages().items()} | completions()


# --- pages ----------------------------------------------------------------------------------------------------------


def _program(cli: click.Group, commands: dict[str, tuple[str, str]]) -> Iterator[str]:
    yield from _begin(PROGRAM, (cli.help or "").strip().splitlines()[0])
    yield _macro("B", PROGRAM) + "[OPTIONS] [COMMAND] CAPTURE...\n"
    yield _macro("SH", "DESCRIPTION")
    yield from _prose(cli.help or "")
    yield _macro("SH", "COMMANDS")
    for name, (_, sentence) in commands.items():
        yield f".TP\n.BR {_text(f'{PROGRAM}-{name}')} ({SECTION})\n{_filled(sentence)}"
    yield from _options(click.Context(cli, info_name=PROGRAM, **cli.context_settings))
    yield from _table("EXIT STATUS", EXIT_CODES)
    yield from _table("ENVIRONMENT", ENVIRONMENT)
    yield from _see_also(f"{PROGRAM}-{name}" for name in commands)


def _command(context: click.Context, name: str, sentence: str) -> Iterator[str]:
    command = context.command
    yield from _begin(f"{PROGRAM}-{name}", sentence)
    yield _macro("B", context.command_path) + _line(" ".join(command.collect_usage_pieces(context)))
    yield _macro("SH", "DESCRIPTION")
    yield from _prose(command.help or sentence)
    yield from _options(context)
    yield from _see_also([PROGRAM])


def _begin(name: str, sentence: str) -> Iterator[str]:
    yield f'.TH {_text(name).upper()} {SECTION} "{DATE}" "{TITLE}" "{MANUAL}"\n'
    yield ".nh\n.ad l\n"
    yield _macro("SH", "NAME")
    yield f"{_text(name)} \\-\n" + _filled(sentence.rstrip(".:"))
    yield _macro("SH", "SYNOPSIS")


def _options(context: click.Context) -> Iterator[str]:
    params = [one for one in context.command.get_params(context) if isinstance(one, click.Option)]
    records = [record for param in params if (record := param.get_help_record(context))]
    if not records:
        return
    yield _macro("SH", "OPTIONS")
    for names, text in records:
        yield f".TP\n.B {_text(names)}\n{_filled(text)}"


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield _macro("SH", title)
    for name, text in rows.items():
        yield f".TP\n.B {_text(name)}\n{_filled(text)}"


def _see_also(names: Iterable[str]) -> Iterator[str]:
    yield _macro("SH", "SEE ALSO")
    listed = [f".BR {_text(name)} ({SECTION})" for name in names]
    yield " ,\n".join(listed) + "\n"


# --- roff -----------------------------------------------------------------------------------------------------------


def _prose(text: str) -> Iterator[str]:
    """Paragraphs as click has them: an empty line between two; after a line with `\\b` nothing is wrapped."""
    is_first = True
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.split("\n")
        if lines[0].strip() == _NOT_WRAPPED:
            yield ".PP\n.nf\n" + "".join(map(_line, _dedented(lines[1:]))) + ".fi\n"
        else:
            yield ("" if is_first else ".PP\n") + _filled(paragraph)
        is_first = False


def _dedented(lines: list[str]) -> list[str]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return ["  " + line[margin:].rstrip() for line in lines]


def _macro(name: str, argument: str) -> str:
    return f".{name} {_text(argument)}\n" if name != "SH" else f".SH {argument}\n"


def _filled(text: str) -> str:
    """A paragraph: short lines, which roff fills again."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(map(_line, lines))


def _line(text: str) -> str:
    """A line of text, which is no request whatever it begins with."""
    made = _text(text)
    return (r"\&" if made[:1] in (".", "'", " ") else "") + made + "\n"


def _text(text: str) -> str:
    """Text with everything written out that roff would take for something else; nothing but ASCII."""
    made = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    made = made.replace("'", r"\(aq").replace("`", r"\(ga").replace("^", r"\(ha").replace("~", r"\(ti")
    return _PLAIN.sub(lambda found: rf"\[u{ord(found[0]):04X}]", made)


def write(directory: Path) -> None:
    """Writes all files below `directory`."""
    for name, text in files().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
