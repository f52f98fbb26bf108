"""What the list looks like, as text, at three widths: reviewed files. And the page of keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.tui.actions import ACTIONS
from ocppscope.tui.document import markdown

GOLDENS = Path(__file__).parent / "goldens"
UPDATE = bool(os.environ.get("OCPPSCOPE_UPDATE_GOLDENS"))
SIZES = [(80, 24), (120, 36), (200, 50)]


@pytest.mark.parametrize("size", SIZES, ids=[str(width) for width, _ in SIZES])
@pytest.mark.parametrize("capture", ["malformed", "remote_start_stop"])
def test_screen(size, capture):
    async def check(d: Driver) -> None:
        await d.press("1", "2", "j")
        same_as_golden(f"messages-{capture}-{size[0]}.txt", "".join(f"{line}\n" for line in d.lines))

    session = ScopeSession(recorded(capture))
    session.title = f"{capture}.pcap"
    drive(check, session, size=size)


def same_as_golden(name: str, text: str) -> None:
    path = GOLDENS / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_the_page_of_keys_names_every_action():
    page = markdown()
    for action in ACTIONS.values():
        assert f"| {action.sentence} |" in page
        assert f"| `{action.id}` |" in page
