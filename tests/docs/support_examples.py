"""The examples of the pages: runs what stands after `$` in console blocks, and compares what comes.

Commands of a page run in its order, in one directory that has the project's captures, so that one can read what
another wrote. In the pages a line may end in `…`, which stands for the rest of it, and a line `…` stands for any
number of lines. A command without output has to succeed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
UPDATE = bool(os.environ.get("OCPPSCOPE_UPDATE_GOLDENS"))
"""Set, outputs are written into the pages instead of compared, but for those with a line `…`."""

PATIENCE_S = 120.0
"""How long one command may take on a busy machine."""
PROGRAM = (sys.executable, "-m", "ocppscope")
"""What runs as `ocppscope`, unless an installed one is to be tried."""
WIDTH = 130
"""Characters of a line in a page, when it is written."""
MORE = "…"

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A command and what the page says comes of it."""

    command: str
    expected: tuple[str, ...]


def examples(page: str) -> Iterator[Example]:
    """All commands of a page's console blocks. Lines that begin with `#` are for root, and not run."""
    for block in _BLOCK.finditer(page):
        for part in re.split(r"^(?=\$ )", block[1], flags=re.MULTILINE):
            if part.startswith("$ "):
                yield _example(part)


def _example(part: str) -> Example:
    lines = part[2:].rstrip("\n").split("\n")
    ends = next(at for at, line in enumerate(lines) if not line.endswith("\\"))
    return Example("\n".join(lines[: ends + 1]), tuple(lines[ends + 1 :]))


class Place:
    """A directory with the captures, in which commands run as a user's would."""

    def __init__(self, directory: Path, program: Sequence[str] = PROGRAM) -> None:
        self.directory = directory
        (directory / "bin").mkdir()
        called = directory / "bin" / "ocppscope"
        called.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
        called.chmod(0o755)
        for name in ("captures", "docs/samples"):
            for path in (ROOT / name).rglob("*"):
                self._link(path)

    def _link(self, path: Path) -> None:
        if path.is_file() and "recorder" not in path.parts:
            link = self.directory / path.relative_to(ROOT)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)

    def run(self, command: str) -> tuple[int, str]:
        """The exit code and all that is printed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ}
        path = f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": path, "HOME": str(self.directory), "LC_ALL": "C.UTF-8", "COLUMNS": "100"}


def wrong(page: str, place: Place) -> Iterator[str]:
    """The commands of a page's text that do something else there, with what they do."""
    for example in examples(page):
        code, output = place.run(example.command)
        if not holds(example, code, output):
            yield told(example, code, output)


def holds(example: Example, code: int, output: str) -> bool:
    """Whether a command did what its page says. One that only finds something amiss exits with 1."""
    if not example.expected:
        return code == 0
    return code in (0, 1) and same(example.expected, printed(output))


def told(example: Example, code: int, output: str) -> str:
    return f"$ {example.command}\n{output}(exit code {code})"


def same(expected: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether lines are what a page says."""
    if not expected:
        return not lines
    if expected[0] == MORE:
        return any(same(expected[1:], lines[at:]) for at in range(len(lines) + 1))
    return bool(lines) and _same_line(expected[0], lines[0]) and same(expected[1:], lines[1:])


def _same_line(expected: str, line: str) -> bool:
    return line.startswith(expected[:-1]) if expected.endswith(MORE) else line == expected


def printed(output: str) -> list[str]:
    """Lines of an output as a page may hold them."""
    return [line.rstrip() for line in output.rstrip("\n").split("\n")] if output.strip() else []


def cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + MORE


def rewritten(page: str, example: Example, lines: Sequence[str]) -> str:
    """The page with the output of an example."""
    before = "\n".join((f"$ {example.command}", *example.expected))
    after = "\n".join((f"$ {example.command}", *map(cut, lines)))
    return page.replace(f"{before}\n", f"{after}\n", 1)
