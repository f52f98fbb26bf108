"""How many lines of the modules that a target is there for its inputs reach, by the interpreter's own trace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from fuzz.limits import HangError, timed
from fuzz.targets import BY_NAME, Target, module_of

MAX_TRIED = 600
"""Inputs that are tried; the smallest first."""
SOURCE = Path(__file__).parents[1] / "src" / "ocppscope"


def files_of(one: Target) -> list[Path]:
    """The modules that a target is there for."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if name_of(path).startswith(one.covers)]


def name_of(path: Path) -> str:
    """`wire.tcp` of `…/wire/tcp.py`."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def lines_in(code: CodeType) -> Iterator[int]:
    """The lines of functions that can be executed; what is done at import is left out."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from lines_in(inner)
    if code.co_flags & 2:  # a function's
        yield from (line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno)


def measured(one: Target) -> tuple[int, int]:
    """Lines that were reached, and all."""
    from fuzz.run import known  # noqa: PLC0415

    files = {str(path): set(lines_in(compile(path.read_text(), str(path), "exec"))) for path in files_of(one)}
    reached: dict[str, set[int]] = {name: set() for name in files}

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            reached[frame.f_code.co_filename].add(frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename in reached else None

    target = module_of(one.name).target
    sys.settrace(call)
    for path in sorted(known(one.name), key=lambda path: path.stat().st_size)[:MAX_TRIED]:
        with suppress(Exception, HangError):
            timed(target, path.read_bytes(), 60)
    sys.settrace(None)
    return sum(len(reached[name] & lines) for name, lines in files.items()), sum(map(len, files.values()))


def share_of(one: Target) -> str:
    """The same as a percentage; in a process of its own, since tracing slows down all that follows."""
    command = [sys.executable, "-m", "fuzz.reached", one.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=SOURCE.parents[1], timeout=600)
    if done.returncode:
        return ""
    found, whole = json.loads(done.stdout.splitlines()[-1])
    return f"{100 * found / whole:.0f} %" if whole else ""


if __name__ == "__main__":
    print(json.dumps(measured(BY_NAME[sys.argv[1]])))
