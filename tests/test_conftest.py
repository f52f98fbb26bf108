"""The rule of continuous integration: a test that silently does not run is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

@pytest.mark.tshark
def test_marked():
    pytest.skip("no reason that counts")

@pytest.mark.chromium
def test_browser():
    pytest.skip("no reason that counts")

@pytest.mark.skipif(True, reason="condition")
def test_condition(): ...

@pytest.mark.node
def test_node():
    pytest.skip("no packages")

@pytest.mark.xfail(strict=True)
def test_expected():
    assert False

def test_runs(): ...
"""


def outcomes(tmp_path: Path, project_root: Path, source: str, ci: str, **environment: str) -> str:
    """pytest's last line for `source`, run with the project's conftest."""
    (tmp_path / "conftest.py").write_text((project_root / "tests/conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(source)
    ini = "[pytest]\nmarkers =\n  tshark\n  node\n  shared\n  netns\n  chromium\n"
    (tmp_path / "pytest.ini").write_text(ini)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = os.environ | {"OCPPSCOPE_CI": ci} | environment
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    return run.stdout.splitlines()[-1]


@pytest.mark.tshark
@pytest.mark.node
@pytest.mark.parametrize(
    ("ci", "expected"),
    [("0", "1 passed, 4 skipped, 1 xfailed"), ("1", "2 failed, 1 passed, 1 xfailed, 2 errors")],
)
def test_skips_fail_in_ci_but_for_what_ci_cannot_have(tmp_path, project_root, ci, expected):
    assert expected in outcomes(tmp_path, project_root, CASES, ci)


@pytest.mark.parametrize("marker", ["tshark", "chromium"])
@pytest.mark.parametrize(("ci", "expected"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_program_that_is_missing(tmp_path, project_root, marker, ci, expected):
    source = f"import pytest\n@pytest.mark.{marker}\ndef test(): ...\n"
    assert expected in outcomes(tmp_path, project_root, source, ci, PATH=str(tmp_path))


@pytest.mark.parametrize(("ci", "expected"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_module_that_skips_itself(tmp_path, project_root, ci, expected):
    source = 'import pytest\npytest.importorskip("no_such_module_at_all")\n'
    assert expected in outcomes(tmp_path, project_root, source, ci)


@pytest.mark.parametrize(
    ("source", "there"),
    [
        ("import pytest\n@pytest.mark.shared\ndef test(): pytest.skip('x')\n", False),
        ("import pytest\n@pytest.mark.skipif(True, reason='no ../shared')\ndef test(): ...\n", False),
        ("import pytest\n@pytest.mark.shared\ndef test(): pytest.skip('x')\n", True),
    ],
)
def test_third_party_captures_may_be_absent_but_not_ignored(tmp_path, project_root, source, there):
    place = tmp_path / "project" / "tests"
    place.mkdir(parents=True)
    if there:
        (tmp_path / "shared" / "captures").mkdir(parents=True)
    expected = "1 failed" if there else "1 skipped"
    assert expected in outcomes(place, project_root, source, "1")
