"""The page of keys."""

from pathlib import Path

from ocppscope.tui.actions import ACTIONS
from ocppscope.tui.document import markdown

KEYS_MD = Path(__file__).parents[2] / "docs" / "keys.md"


def test_every_action_is_on_the_page():
    assert all(f"| `{name}` |" in markdown() for name in ACTIONS)


def test_the_page_is_made_from_the_table():
    """After a change of the table: `make docs`."""
    assert KEYS_MD.read_text() == markdown()
