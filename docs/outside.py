"""A hook of mkdocs: files of the project that are not in docs/ become pages of the site, and links to them work.

In the project every link is a path from one file to another, as code hosts want it. The site has its own places for
the files outside docs/; links from and to those are rewritten. A link to anything else stays, and mkdocs complains.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "captures/README.md": "project/captures.md",
    "LICENSE": "project/license.txt",
}
"""Files of the project, and where the site has them."""

_INSIDE = {place: path for path, place in OUTSIDE.items()}
_LINK = re.compile(r"(?<=\]\()([^()\s#:]+)(#[^()\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the files outside docs/."""
    from mkdocs.structure.files import File  # noqa: PLC0415 (tests of the links do without mkdocs)

    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrites the links of a page."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, place: str) -> str:
    """The text of a page at a place of the site, with links to places instead of files."""
    source = _INSIDE.get(place, f"docs/{place}")

    def target(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        there = OUTSIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else "")
        return (posixpath.relpath(there, posixpath.dirname(place) or ".") if there else link[1]) + (link[2] or "")

    return _LINK.sub(target, markdown)
