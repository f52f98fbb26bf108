"""Measures exports against decoding alone: `python -m bench.export [--messages 200k] [FORM ...]`.

Decoding alone is `ocppscope stations`, which reads every message and keeps none. The figure is CPU time (user and
system) of decoding over that of the export, without diagnosis and redaction: 0.5 means that an export takes twice as
long as decoding. Runs are interleaved, and the best of each counts, since other work on the machine only adds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.generate import cached, label, number
from bench.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMS = ("jsonl", "csv", "parquet")
LEAST_RATIO = 0.5
"""What the forms for programs must reach."""


class Cost(NamedTuple):
    """The best of some runs: seconds of CPU, and the largest memory of all in MB."""

    cpu: float
    peak_mb: float
    size: int = 0


def commands(capture: Path, place: Path, forms: Iterable[str]) -> dict[str, list[str]]:
    """What is run, by name; decoding alone is "decode"."""
    program = str(Path(sys.executable).parent / "ocppscope")
    made = {"decode": [program, "stations", "-q", str(capture)]}
    for form in forms:
        flags = ["--format", form, "--no-findings", "--show-secrets", "--force"]
        made[form] = [program, "export", "-q", str(capture), "-o", str(place / form), *flags]
    return made


def measure(capture: Path, forms: Iterable[str], repeats: int) -> dict[str, Cost]:
    """The cost of each, interleaved."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        wanted = commands(capture, place, forms)
        runs = [{what: run(command) for what, command in wanted.items()} for _ in range(repeats)]
        if any(one.exit_code for ran in runs for one in ran.values()):
            raise SystemExit("A command failed.")
        return {
            what: Cost(
                min(ran[what].cpu for ran in runs),
                max(ran[what].peak_mb for ran in runs),
                (place / what).stat().st_size if (place / what).exists() else 0,
            )
            for what in wanted
        }


def table(costs: dict[str, Cost], messages: int) -> str:
    """As Markdown."""
    lines = ["| | CPU s | messages/s | of decoding | peak MB | MB written |", "|---|--:|--:|--:|--:|--:|"]
    alone = costs["decode"].cpu
    for what, cost in costs.items():
        ratio = f"{alone / cost.cpu:.2f}"
        rate = f"{messages / cost.cpu:,.0f}"
        lines.append(f"| {what} | {cost.cpu:.2f} | {rate} | {ratio} | {cost.peak_mb:.0f} | {cost.size / 1e6:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", nargs="*", default=FORMS, metavar="FORM")
    parser.add_argument("--messages", default="200k", type=number)
    parser.add_argument("--repeats", default=3, type=int)
    asked = parser.parse_args()
    capture, truth = cached("plain", asked.messages)
    costs = measure(capture, asked.forms, asked.repeats)
    print(f"plain, {label(asked.messages)} messages\n")
    print(table(costs, truth["messages"]))
    slow = [form for form in FORMS if form in costs and costs["decode"].cpu / costs[form].cpu < LEAST_RATIO]
    if slow:
        print(f"\nslower than {LEAST_RATIO} of decoding: {', '.join(slow)}")


if __name__ == "__main__":
    main()
