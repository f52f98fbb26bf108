"""Builds wheel and sdist, installs each into a clean virtual environment and runs what a user runs first.

    python tests/packaging/installed.py [PYTHON…]

For each interpreter named, or this one. Needs the `build` package, and a registry that pip can reach. Not a test
module: `make packages` and `.ci/run` run it, since it takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
from support_examples import DOCS, Place, wrong  # noqa: E402 - found by the path above

CAPTURES = ROOT / "captures"
CAPTURE = CAPTURES / "remote_start_stop.pcap"
DEADLINE = 1200
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
FIRST_PAGES = (DOCS / "start.md", DOCS / "tutorial.md")
"""What a user reads first: every command of it does what the page says, with the installed program."""
NEVER = (".venv", "node_modules", "__pycache__", "/.git/", "/bench/data/")
SHARED = (
    "share/man/man1/ocppscope.1",
    "share/man/man1/ocppscope-log.1",
    "share/bash-completion/completions/ocppscope",
    "share/zsh/site-functions/_ocppscope",
    "share/fish/vendor_completions.d/ocppscope.fish",
)


def said(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    """Runs it there, with nothing of this project in sight; its stdout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    if done.returncode not in codes:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build(out: Path) -> list[Path]:
    """A wheel made from the sdist, and the sdist: if the wheel is whole, the sdist is."""
    said(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    wheel, sdist = next(out.glob("*.whl")), next(out.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    with tarfile.open(sdist) as tar:
        held = tar.getnames()
    for name in SHARED:
        assert any(one.endswith(f".data/data/{name}") for one in names), f"{name} is not in {wheel.name}"
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    strange = [name for name in (*names, *held) for never in NEVER if never in name]
    assert strange == [], strange
    return [wheel, sdist]


def install(python: str, package: Path, place: Path) -> Path:
    """A clean environment with the package; where its programs are."""
    said(python, "-m", "venv", place, cwd=place.parent)
    programs = place / "bin"
    said(programs / "python", *PIP, "install", package, cwd=place.parent)
    said(programs / "python", *PIP, "check", cwd=place.parent)
    return programs


def check(programs: Path, place: Path, version: str) -> None:
    """What a user does first, in an empty directory."""
    ocppscope, python = programs / "ocppscope", programs / "python"
    assert said(ocppscope, "--version", cwd=place) == f"ocppscope {version}\n"
    log = said(ocppscope, "log", CAPTURE, cwd=place)
    assert "RemoteStartTransaction" in log
    assert said(python, "-m", "ocppscope", "log", CAPTURE, cwd=place) == log
    assert said(ocppscope, "log", "--jobs", "2", CAPTURE, cwd=place) == log
    said(ocppscope, "export", CAPTURE, "-o", "out.html", cwd=place)
    assert "RemoteStartTransaction" in (place / "out.html").read_text()
    said(ocppscope, "export", CAPTURE, "-o", "out.pcapng", cwd=place)
    found = json.loads(said(ocppscope, "diagnose", "--format", "json", CAPTURES / "broken_silence.pcap", cwd=place))
    assert found["findings"]
    for name in ("stations", "timing"):
        assert said(ocppscope, name, CAPTURE, cwd=place)
    said(ocppscope, "redact", CAPTURE, "-o", "shared.pcapng", cwd=place)
    said(ocppscope, "ca", "--ca", "ca", cwd=place)
    assert "complete" in said(ocppscope, "completion", "bash", cwd=place)
    said(ocppscope, "export", CAPTURE, "-o", "out.parquet", cwd=place, codes=(2,))
    for module in ("ocppscope.tui.app", "ocppscope.tui.serve", "ocppscope.proxy.relay", "ocppscope.capture.live"):
        said(python, "-c", f"import {module}", cwd=place)
    for name in SHARED:
        assert (programs.parent / name).is_file(), f"{name} was not installed"


def read_along(programs: Path, place: Path) -> None:
    """The first pages, from their first command to the last, each in a place of its own."""
    for page in FIRST_PAGES:
        (place / page.stem).mkdir()
        amiss = list(wrong(page.read_text(), Place(place / page.stem, [str(programs / "ocppscope")])))
        if amiss:
            sys.exit(f"{page.name}, as installed:\n" + "\n\n".join(amiss))


def main(pythons: list[str]) -> None:
    """Both packages on each interpreter."""
    with tempfile.TemporaryDirectory(prefix="ocppscope-packages-") as directory:
        out = Path(directory)
        packages = build(out)
        version = packages[0].name.split("-")[1]
        for python in pythons or [sys.executable]:
            label = said(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=out).strip()
            for package in packages:
                place = out / f"{label}-{package.suffix[1:]}"
                place.mkdir()
                (place / "work").mkdir()
                programs = install(python, package, place / "venv")
                check(programs, place / "work", version)
                read_along(programs, place / "work")
                print(
                    f"Python {label}: {package.name} installs and runs, and does what the first pages say", flush=True
                )


if __name__ == "__main__":
    main(sys.argv[1:])
