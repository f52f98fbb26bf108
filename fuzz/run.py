"""Runs targets, each in a process of its own, and prints what came of it as a table.

    python -m fuzz.run [--seconds 60] [--table FILE] [TARGET ...]

With atheris, inputs are made by libFuzzer, guided by the coverage of the project's code. Without it, seeds,
regressions and what earlier runs have found are tried, and mutations of these by a mutator in plain Python. `seconds`
are processor time. An input that fails is kept in `.fuzz/TARGET/failed`, one for each place where something fails;
the run goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzz import corpus
from fuzz.comparisons import spare_arrays
from fuzz.corpus import REGRESSIONS, SEEDS, inputs, keep
from fuzz.limits import MAX_SECONDS, HangError, limit_memory, timed, weighed
from fuzz.mutate import MAX_INPUT, mutants
from fuzz.targets import BY_NAME, TARGETS, Target, module_of, words_of

EVERY = 5.0
"""Seconds after which figures are written down again, for a process that does not live to the end."""
MAX_FAILURES = 20
"""Places at which a target may fail before its run is broken off."""
PATIENCE = 20
"""How many times longer than the processor time a run may take on a busy machine."""
_COVERED = re.compile(rb"cov: (\d+).*?corp: (\d+)")
COLUMNS = ("target", "engine", "executions", "CPU s", "edges", "lines", "corpus", "peak MB", "slowest ms", "failures")


class Run:
    """Inputs tried on one target, with what they cost and where they failed."""

    def __init__(self, one: Target, seconds: float) -> None:
        self.folder = corpus.WORK / one.name
        self.target: Callable[[bytes], None] = module_of(one.name).target
        self.seconds = seconds
        self.most = MAX_SECONDS * one.readings
        self.executions = 0
        self.slowest = 0.0
        self.failures: dict[str, str] = {}
        for path in (None, *inputs(SEEDS, one.name)[:3]):  # what is imported and compiled once is no input's cost
            with suppress(Exception):
                self.target(path.read_bytes() if path else b"")
        self.begun, self.latest = time.process_time(), time.monotonic() + seconds * PATIENCE
        self.written = 0.0

    def attempt(self, data: bytes) -> None:
        """One input; keeps it if it fails."""
        self.executions += 1
        try:
            with weighed():
                self.slowest = max(self.slowest, timed(self.target, data, self.most))
        except (Exception, HangError, RecursionError) as error:
            self.note(error, data)
        over = time.process_time() - self.begun > self.seconds or time.monotonic() > self.latest
        if over or len(self.failures) >= MAX_FAILURES:
            self.end()
        if time.monotonic() > self.written + EVERY:
            self.write()

    def note(self, error: BaseException, data: bytes) -> None:
        """A failure; of each place the first."""
        frames = traceback.extract_tb(error.__traceback__)
        where = next(
            (f for f in reversed(frames) if "/fuzz/" in f.filename or "/ocppscope/" in f.filename), frames[-1]
        )
        place = f"{type(error).__name__} {Path(where.filename).name}:{where.lineno}"
        if place not in self.failures:
            path = keep(self.folder / "failed", data)
            self.failures[place] = path.name
            said = "".join(traceback.format_exception(error))[-3000:]
            path.with_suffix(".txt").write_text(f"{place}\n{said}", errors="backslashreplace")

    def end(self) -> None:
        """Writes the figures down and leaves; libFuzzer has no other way to be told."""
        self.write()
        sys.stderr.flush()
        os._exit(0)

    def write(self) -> None:
        """Writes down what it came to so far."""
        self.written = time.monotonic()
        figures = {
            "executions": self.executions,
            "cpu": time.process_time() - self.begun,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "slowest": self.slowest * 1000,
            "failures": self.failures,
        }
        (self.folder / "figures.json").write_text(json.dumps(figures))


# --- in the process of a target -------------------------------------------------------------------------------------


def child(one: Target, seconds: float) -> None:
    """Tries inputs until the time is over."""
    folder = corpus.WORK / one.name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("atheris") is not None:
        guided(one, seconds, folder)
    else:
        unguided(one, seconds)


def guided(one: Target, seconds: float, folder: Path) -> None:
    """By libFuzzer."""
    import atheris  # noqa: PLC0415

    instrumented = atheris.instrument_imports(include=["ocppscope"])
    instrumented.__enter__()  # never left: what is imported later counts as well
    run = Run(one, seconds)
    words = folder / "words"
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words_of(module_of(one.name))]
    words.write_text("".join(lines))
    folders = [folder / "corpus", SEEDS / one.name, REGRESSIONS / one.name]
    options = [
        f"-max_len={MAX_INPUT}",
        "-timeout=120",
        "-rss_limit_mb=0",
    ]
    options += [f"-artifact_prefix={folder}/", "-reload=0", *([f"-dict={words}"] if lines else [])]

    def attempt(data: bytes) -> None:
        spare_arrays(atheris)
        run.attempt(data)

    limit_memory()
    atheris.Setup([sys.argv[0], *options, *(str(path) for path in folders if path.is_dir())], attempt)
    atheris.Fuzz()


def unguided(one: Target, seconds: float) -> None:
    """By the mutator in plain Python."""
    run = Run(one, seconds)
    limit_memory()
    kept = [path.read_bytes() for path in known(one.name)]
    for data in kept:
        run.attempt(data)
    chance = random.Random(one.name)
    while True:
        for data in mutants(kept, chance, 1000, words_of(module_of(one.name))):
            run.attempt(data)


def known(name: str) -> list[Path]:
    """All inputs that there are of a target."""
    return [*inputs(SEEDS, name), *inputs(REGRESSIONS, name), *inputs(corpus.WORK / name, "corpus")]


# --- the runs of all ------------------------------------------------------------------------------------------------


def fuzz(one: Target, seconds: float) -> dict[str, Any]:
    """A run of one target, and its figures."""
    folder = corpus.WORK / one.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "fuzz.run",
        "--child",
        "--seconds",
        str(seconds),
        "--work",
        str(corpus.WORK),
        one.name,
    ]
    died = ""
    with (folder / "log").open("wb") as log:
        try:
            patience = seconds * PATIENCE + 300
            done = subprocess.run(
                command, stdout=log, stderr=log, check=False, cwd=corpus.HERE.parent, timeout=patience
            )
            died = f"the process died ({done.returncode})" if done.returncode else ""
        except subprocess.TimeoutExpired:
            died = "the process did not end"
    said = (folder / "log").read_bytes()
    figures: dict[str, Any] = {"name": one.name, "engine": "atheris" if b"cov: " in said else "plain"}
    covered = _COVERED.findall(said)
    figures |= {"edges": int(covered[-1][0]), "corpus": int(covered[-1][1])} if covered else {}
    with suppress(FileNotFoundError, json.JSONDecodeError):
        figures |= json.loads((folder / "figures.json").read_text())
    figures.setdefault("failures", {})
    if died:
        figures["failures"][died] = str(folder / "log")
    return figures


def row(figures: dict[str, Any]) -> str:
    """A line of the table."""
    cells = [figures["name"], figures["engine"]]
    cells += [f"{figures.get('executions', 0):,}", f"{figures.get('cpu', 0):.0f}", f"{figures.get('edges', '')}"]
    cells += [figures.get("lines", ""), f"{figures.get('corpus', '')}", f"{figures.get('peak', 0):.0f}"]
    cells += [f"{figures.get('slowest', 0):.0f}", f"{len(figures['failures'])}"]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """The targets that are named, or all; 1 if something failed."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of ocppscope.")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time for each target")
    parser.add_argument("--table", type=Path, help="write the table there as well")
    parser.add_argument("--work", type=Path, default=corpus.WORK, help="where to keep what is found")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", choices=[[], *BY_NAME], metavar="TARGET", help=", ".join(BY_NAME))
    given = parser.parse_args()
    corpus.WORK = given.work
    chosen = [BY_NAME[name] for name in given.targets] or list(TARGETS)
    if given.child:
        child(chosen[0], given.seconds)
        return 0
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    print(*lines, sep="\n")
    failed: list[str] = []
    for one in chosen:
        figures = fuzz(one, given.seconds)
        from fuzz.reached import share_of  # noqa: PLC0415 - a process of its own measures it

        figures["lines"] = share_of(one)
        lines.append(row(figures))
        print(lines[-1], flush=True)
        failed += [f"{one.name}: {place}: {kept}" for place, kept in figures["failures"].items()]
    print(*failed, sep="\n")
    if given.table is not None:
        given.table.write_text("\n".join(lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
