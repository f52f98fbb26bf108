"""The page about redaction is made from the tables."""

from __future__ import annotations

from pathlib import Path

from ocppscope.redaction.document import markdown
from ocppscope.redaction.fields import BY_OWNER, REDACTED, STAYS

PAGE = Path(__file__).parents[2] / "docs" / "redaction.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == markdown()


def test_every_element_is_on_it():
    page = markdown()
    assert [name for name in (*REDACTED, *STAYS) if f"`{name}`" not in page] == []
    assert sum(f"`{name} (in {owner})`" in page for owner, name in BY_OWNER) >= len(BY_OWNER) - 2
