"""Goldens of rendered text: compared, or written anew where `OCPPSCOPE_UPDATE_GOLDENS` is set."""

from pathlib import Path

from support_cli import UPDATE

GOLDENS = Path(__file__).parent / "goldens"


def same_as_golden(name: str, text: str) -> None:
    """Compares with a reviewed file."""
    path = GOLDENS / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, newline="")
    assert text == path.read_bytes().decode()
