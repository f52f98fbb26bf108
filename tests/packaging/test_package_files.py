"""What is packed: manual pages and completions as the commands have them, dependencies that are all accounted for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from ocppscope.cli import manual
from ocppscope.cli.completion import PLACES, SHELLS, script
from ocppscope.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "share"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = re.compile(r"[A-Za-z0-9._-]+")
MADE = manual.files()


def normal(name: str) -> str:
    """As registries compare names."""
    found = NAME.match(name)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def requirements() -> dict[str, str]:
    """Name → what is said of its version, of all that a user may install."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)]
    return {normal(one): one[len(NAME.match(one)[0]) :] for one in wanted}


# --- manual pages and completions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_what_is_packed_is_what_the_commands_say(name):
    path = SHARE / name
    assert path.is_file(), "make docs"
    assert path.read_text() == MADE[name], "make docs"


def test_nothing_else_is_packed():
    assert {path.relative_to(SHARE).as_posix() for path in SHARE.rglob("*") if path.is_file()} == MADE.keys()


def test_every_command_and_every_option_has_its_place_in_a_page():
    pages = manual.pages()
    assert pages.keys() == {"ocppscope.1", *(f"ocppscope-{name}.1" for name in COMMANDS)}
    for name in COMMANDS:
        assert rf"ocppscope\-{name} (1)" in pages["ocppscope.1"]
    assert r"\-\-keylog FILE" in pages["ocppscope-log.1"]
    assert r"\-h, \-\-help" in pages["ocppscope-log.1"]


@pytest.mark.parametrize("page", sorted(manual.pages()))
def test_no_line_of_text_is_a_request_and_nothing_is_left_for_roff_to_guess(page):
    """Known macros only; ASCII; every backslash begins an escape that both groff and mandoc know."""
    for line in manual.pages()[page].splitlines():
        assert line.isascii()
        assert line.isprintable()
        if line.startswith((".", "'")):
            assert line.split(maxsplit=1)[0] in {".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".nf", ".fi", ".nh", ".ad"}
        rest = re.sub(r"\\(?:e|-|&|\(dq|\(aq|\(ga|\(ha|\(ti|\[u[0-9A-F]{4,6}\])", "", line)
        assert "\\" not in rest


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (".SH evil", r"\&.SH evil"),
        ("'br", r"\(aqbr"),
        ("a\\fBb", r"a\efBb"),
        ("--x", r"\-\-x"),
        ("é…", r"\[u00E9]\[u2026]"),
        ("  two", r"\&  two"),
    ],
)
def test_text_stays_text(text, made):
    assert manual._line(text) == f"{made}\n"


@pytest.mark.parametrize("page", sorted(manual.pages()))
def test_groff_has_nothing_to_say(page):
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-ww", "-Tutf8"], input=manual.pages()[page], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "SYNOPSIS" in re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.parametrize("shell", SHELLS)
def test_completions_are_what_the_command_prints(shell):
    assert (SHARE / PLACES[shell]).read_text() == script(shell)
    assert "_OCPPSCOPE_COMPLETE" in script(shell)


def test_the_completion_of_bash_is_bash():
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-n", SHARE / PLACES["bash"]], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# --- the project ----------------------------------------------------------------------------------------------------


def test_the_version_is_the_tags():
    project = PROJECT["project"]
    assert ("version" in project, project["dynamic"]) == (False, ["version"])
    assert PROJECT["tool"]["hatch"]["version"]["source"] == "vcs"
    assert re.fullmatch(r"\d+\.\d+\.\d+\.dev0", PROJECT["tool"]["hatch"]["version"]["fallback-version"])


def test_every_dependency_is_accounted_for():
    """docs/dependencies.md has a row for each, with the range that pyproject.toml has, and no other rows."""
    rows = re.findall(
        r"^\| `([\w.-]+)` \| `([^`]*)` \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE
    )
    assert {normal(name): said for name, said in rows} == requirements()


def test_ci_pins_every_dependency():
    """requirements/constraints.txt has an exact version of each, within its range, and names no place to get it."""
    lines = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    pins = dict(re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.+!-]+)", line).groups() for line in lines if line[:1] != "#")
    assert {normal(name) for name in pins} >= requirements().keys()
    groups = PROJECT["dependency-groups"]
    assert {normal(name) for name in pins} >= {normal(one) for group in ("test", "lint") for one in groups[group]}
