"""Where inputs are kept: seeds and regressions in the project, what a run finds in `.fuzz/`. Writes the seeds anew.

python -m fuzz.corpus [TARGET ...]
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fuzz.targets import TARGETS, module_of

HERE = Path(__file__).parent
SEEDS, REGRESSIONS = HERE / "seeds", HERE / "regressions"
WORK = HERE.parent / ".fuzz"
MAX_SEED = 6 << 10
"""Bytes of a seed."""


def inputs(folder: Path, name: str) -> list[Path]:
    """The inputs of a target in one of the folders."""
    return sorted(path for path in (folder / name).glob("*") if path.is_file())


def keep(folder: Path, data: bytes) -> Path:
    """Writes an input, named by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def write_seeds(name: str) -> int:
    """The seeds of a target in place of what was there; how many bytes they have."""
    folder = SEEDS / name
    for path in inputs(SEEDS, name):
        path.unlink()
    made = {data[:MAX_SEED] for data in module_of(name).seeds()}
    for data in made:
        keep(folder, data)
    return sum(map(len, made))


def main() -> None:
    """All targets, or those that are named."""
    total = 0
    for name in sys.argv[1:] or [one.name for one in TARGETS]:
        size = write_seeds(name)
        total += size
        print(f"{name:10} {len(inputs(SEEDS, name)):4} seeds {size:8,} bytes")
    print(f"{total:,} bytes")


if __name__ == "__main__":
    main()
