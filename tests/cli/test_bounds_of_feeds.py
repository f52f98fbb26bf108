"""Bounds of where packets come from, reached: what there is no room for is said."""

from __future__ import annotations

from pathlib import Path

from ocppscope.cli import feeds
from ocppscope.cli.feeds import MAX_NOTICES, RecorderFeed


class Gone:
    """A recorder whose files are gone before they can be read."""

    title = "a test"
    running = False

    def __init__(self, folder: Path, count: int) -> None:
        self._files = tuple(str(folder / f"{number}.pcapng") for number in range(count))

    def files(self) -> tuple[str, ...]:
        return self._files

    def troubles(self) -> tuple[str, ...]:
        return ("a trouble",)


def notices(folder: Path, count: int) -> tuple[str, ...]:
    feed = RecorderFeed(Gone(folder, count), chunk_bytes=1 << 16)
    assert list(feed.blocks(lambda: None)) == []
    return feed.notices


def test_sentences_about_the_files_of_a_recorder(tmp_path: Path):
    """MAX_NOTICES, the first ones; of more it is said that there are, once, and what goes wrong now is still told."""
    all_of_them = [f"{number}.pcapng is gone before it could be read." for number in range(MAX_NOTICES)]
    assert notices(tmp_path, MAX_NOTICES) == (*all_of_them, "a trouble")
    for more in (1, 2, 300):
        assert notices(tmp_path, MAX_NOTICES + more) == (*all_of_them, feeds.MORE_NOTICES, "a trouble")
