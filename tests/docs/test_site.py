"""The pages as a whole: all are in the navigation, links lead somewhere, what is generated is up to date."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from functools import cache
from types import ModuleType

import pytest
from support_examples import DOCS, ROOT

from ocppscope.redaction.document import markdown as redaction

PAGES = sorted(DOCS.rglob("*.md"))
LARGEST_PICTURE = 150_000


@cache
def script(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- navigation and links ----------------------------------------------------------------------------------------


def test_every_page_is_in_the_navigation():
    navigation = re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    inside = [str(page.relative_to(DOCS)) for page in PAGES]
    outside = [place for place in script("outside").OUTSIDE.values() if place.endswith(".md")]
    assert sorted(navigation) == sorted(inside + outside)


WRITTEN = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "captures/README.md"))]


@pytest.mark.parametrize("page", WRITTEN, ids=[str(page.relative_to(ROOT)) for page in WRITTEN])
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]+`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    wrong = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not leads_somewhere(page, link)]
    assert not wrong


def leads_somewhere(page, link):
    if link.startswith(("https://", "http://")):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.is_file() and (not anchor or anchor in anchors(target))


@cache
def anchors(page) -> set[str]:
    """Of the headings, as code hosts and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("place", "link", "becomes"),
    [
        ("start.md", "tls.md#which-keys", "tls.md#which-keys"),
        ("start.md", "pictures/ladder.svg", "pictures/ladder.svg"),
        ("architecture.md", "../README.md", "project/readme.md"),
        ("index.md", "../captures/README.md", "project/captures.md"),
        ("project/readme.md", "docs/live.md", "../live.md"),
        ("project/readme.md", "captures/README.md", "captures.md"),
        ("project/readme.md", "LICENSE", "license.txt"),
        ("project/captures.md", "../docs/tls.md#x", "../tls.md#x"),
        ("project/readme.md", "nowhere.md", "nowhere.md"),
        ("start.md", "https://toml.io", "https://toml.io"),
        ("start.md", "#here", "#here"),
    ],
)
def test_links_of_the_site(place, link, becomes):
    assert script("outside").relinked(f"see [it]({link}), now", place) == f"see [it]({becomes}), now"


# --- what is generated -------------------------------------------------------------------------------------------


def test_the_page_of_the_configuration_is_made_from_the_tables():
    """After a change of them: `make docs`."""
    assert (DOCS / "config.md").read_text() == script("configuration").page()


def test_the_page_of_redaction_is_made_from_the_tables():
    """After a change of them: `make docs`."""
    assert (DOCS / "redaction.md").read_text() == redaction()


def test_the_example_of_the_configuration_is_understood(tmp_path):
    block = re.search(r"\n\n((?:    .*\n|\n)+)", script("configuration").page())
    folder = tmp_path / "ocppscope"
    folder.mkdir()
    (folder / "config.toml").write_text(re.sub(r"^    ", "", block[1], flags=re.MULTILINE))
    code = (
        "from ocppscope.tui.settings import load; from ocppscope.analysis.settings import settings_of;"
        "from ocppscope.query.config import config_table; s = load(); r = settings_of(config_table('rules'));"
        "print(s.theme, s.slow_ns, sorted(s.filters), sorted(s.keys), sorted(r.disabled), r.limits)"
    )
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == (
        "light 1000000000 ['bad-boot', 'slow'] ['filter', 'next_error'] ['basic-auth-cleartext'] "
        "{'rpc-slow-response': {'warn': 20.0}}"
    )


# --- pictures ----------------------------------------------------------------------------------------------------


def test_each_picture_is_there_and_small():
    pictures = {path.stem: path for path in (DOCS / "pictures").glob("*.svg")}
    assert set(pictures) == set(script("pictures").ALL)
    assert all(path.stat().st_size < LARGEST_PICTURE for path in pictures.values())


def test_pictures_load_nothing_and_run_nothing():
    for path in (DOCS / "pictures").glob("*.svg"):
        text = path.read_text()
        assert not re.search(r"url\((?!#)|@import|<script|<image|href=", text), path.name


def test_a_picture_can_be_made(tmp_path, monkeypatch):
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    pictures = script("pictures")
    monkeypatch.setattr(pictures, "PICTURES", tmp_path / "pictures")
    pictures.main(["filter"])
    text = (tmp_path / "pictures" / "filter.svg").read_text()
    assert "Authorize" in text
    assert "latency" in text


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "mkdocs.yml"], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_this_machine(page):
    text = page.read_text()
    assert str(ROOT) not in text
    assert not re.search(r"/(home|root|Users)/(?!you\b)\w", text)
