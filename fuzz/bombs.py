"""The bombs of tests/hostile at full size, one at a time: `python -m fuzz.bombs [--tools log,diagnose] [NAME=SIZE…]`.

Prints a table: what it cost to read each, processor time and memory, and how often that is the cost of nothing.
Needs some minutes and 2 GB on the disk; be nice to whoever shares the machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "hostile")]

FULL = {
    "deflate-one": 1024,
    "deflate-many": 200,
    "deflate-fragments": 1024,
    "json-size": 30,
    "json-keys": 1_000_000,
    "json-numbers": 1_000_000,
    "fragments-tiny": 1_000_000,
    "pings": 1_000_000,
    "calls-unanswered": 1_000_000,
    "hole-never-filled": 200_000,
    "segments-of-a-byte": 1_000_000,
    "flows-of-syns": 1_000_000,
    "flows-of-requests": 1_000_000,
    "flows-midstream": 1_000_000,
    "stations-closing": 100_000,
    "contexts": 10_000,
    "contexts-in-doubt": 5_000,
    "frames-unfinished": 500,
    "ip-fragments": 1_000_000,
}
"""The ones that grow with something, and how large they are when it counts."""
CPU_SECONDS = 1800


def thrown(name: str, size: int, tools: list[str]) -> None:
    """Makes one and prints its row, a cell for each tool."""
    import support_bombs  # noqa: PLC0415 - beside the tests, found by the path above
    from bombs import BOMBS  # noqa: PLC0415

    support_bombs.CEILING_MB = 1 << 20  # a figure that is too large is a figure
    support_bombs.WALL_SECONDS = 4 * CPU_SECONDS
    with tempfile.TemporaryDirectory(prefix="bombs-") as place:
        directory, begun = Path(place), time.monotonic()
        path = BOMBS[name](directory / "bomb.pcap", size)
        cells = [f"{name} of {size:,}", f"{path.stat().st_size / 2**20:,.1f} MB", f"{time.monotonic() - begun:.0f} s"]
        for tool in tools:
            try:
                (ran,) = support_bombs.measure(directory, (tool, path), cpu_seconds=CPU_SECONDS)
            except AssertionError as error:
                cells.append(f"FAILED: {str(error)[:120]}")
            else:
                cells.append(f"{ran.cpu:.1f} s, {ran.peak_mb:,.0f} MB")
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Throws what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", default="log,diagnose,store", help="log, diagnose, timing, store (the screens)")
    parser.add_argument("bombs", nargs="*", metavar="NAME=SIZE", help="of them only these")
    given = parser.parse_args()
    tools = given.tools.split(",")
    print(f"| bomb | capture | made in | {' | '.join(tools)} |\n|{' --- |' * (3 + len(tools))}", flush=True)
    chosen = dict(one.partition("=")[::2] for one in given.bombs) or FULL
    for name, size in chosen.items():
        thrown(name, int(size or FULL[name]), tools)


if __name__ == "__main__":
    main()
