"""What tests may need beyond Python: third-party captures, tshark, network namespaces, Chromium, Node.js.

A test that is marked `shared`, `tshark`, `netns`, `chromium` or `node` is skipped with the reason where that is
missing. With `OCPPSCOPE_CI=1` a skip is a failure, save for the third-party captures where they are not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "captures"
IN_CI = os.environ.get("OCPPSCOPE_CI") == "1"

sys.path.insert(0, str(ROOT))  # for the `bench` package, which is not installed

settings.register_profile("project", deadline=None)  # a busy machine is no failure
settings.load_profile("project")


@cache
def _no_shared() -> str:
    return "" if SHARED.is_dir() else "the third-party captures are not there (../shared/captures)"


@cache
def _no_tshark() -> str:
    return "" if shutil.which("tshark") else "tshark is not installed"


@cache
def _no_netns() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", "iptables", "tcpdump", "unshare") if not shutil.which(program)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespace can be made here: {tried.stderr.strip()}"


@cache
def _no_chromium() -> str:
    return "" if shutil.which("chromium") or shutil.which("chromium-browser") else "Chromium is not installed"


@cache
def _no_node() -> str:
    if not shutil.which("node"):
        return "Node.js is not installed"
    there = (ROOT / "tests" / "export" / "readers" / "node_modules").is_dir()
    return "" if there else "the Node.js packages are not installed (npm ci in tests/export/readers)"


NEEDS: dict[str, Callable[[], str]] = {
    "shared": _no_shared,
    "tshark": _no_tshark,
    "netns": _no_netns,
    "chromium": _no_chromium,
    "node": _no_node,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for a fixture of these names needs the thing."""
    for item in items:
        for name in NEEDS:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, missing in NEEDS.items():
        if item.get_closest_marker(name) and (reason := missing()):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The project's directory."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The third-party captures; the test is skipped where they are not."""
    return SHARED


@pytest.fixture(scope="session")
def tshark() -> str:
    """The path of tshark; the test is skipped where it is not installed."""
    return shutil.which("tshark") or ""


def may_be_skipped_in_ci(markers: set[str], reason: str) -> bool:
    """Whether CI accepts a skip: what it cannot have (other people's captures) and nothing else."""
    return bool(_no_shared()) and ("shared" in markers or "../shared" in reason)


def _fail_on_skip(report: pytest.TestReport | pytest.CollectReport, markers: set[str]) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not may_be_skipped_in_ci(markers, reason):
            report.outcome = "failed"
            report.longrepr = (
                f"{reason}\nA skip is a failure here, since OCPPSCOPE_CI=1 says that everything is installed."
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_on_skip(report, {mark.name for mark in item.iter_markers()})
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_on_skip(report, {mark.name for mark in collector.iter_markers()})
    return report
