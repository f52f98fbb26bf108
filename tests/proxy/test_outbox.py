"""A round of the event loop: written first, then sent; in order, and not without bound."""

from __future__ import annotations

import pytest

from ocppscope.proxy import outbox
from ocppscope.proxy.outbox import Outbox


class World:
    """A spool, a leg and an event loop that note what happens."""

    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.due: list = []
        self.fails = fails
        self.box = Outbox(self, self.due.append)  # type: ignore[arg-type]

    def write_all(self, blocks: list[bytes]) -> bool:
        self.seen.append(("written", b"".join(blocks)))
        return not self.fails

    def send(self, data: bytes) -> None:
        self.seen.append(("sent", data))

    def end_of_round(self) -> None:
        due, self.due[:] = list(self.due), []
        for call in due:
            call()


def test_everything_is_written_in_one_go_before_anything_is_sent():
    world = World()
    for data in (b"a", b"b", b"c"):
        world.box.write(b"<" + data + b">")
        world.box.send(world, data)  # type: ignore[arg-type]
    assert world.seen == []
    assert len(world.due) == 1
    world.end_of_round()
    assert world.seen == [("written", b"<a><b><c>"), ("sent", b"a"), ("sent", b"b"), ("sent", b"c")]
    world.box.write(b"<d>")
    world.end_of_round()
    assert world.seen[-1] == ("written", b"<d>")


def test_who_cannot_wait_ends_the_round():
    world = World()
    world.box.write(b"<a>")
    world.box.send(world, b"a")  # type: ignore[arg-type]
    world.box.flush()
    assert world.seen == [("written", b"<a>"), ("sent", b"a")]
    world.end_of_round()
    assert len(world.seen) == 2


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_OUTBOX_BYTES", 100)
    world = World()
    for _ in range(11):
        world.box.send(world, bytes(10))  # type: ignore[arg-type]
    assert len(world.seen) == 11


@pytest.mark.parametrize("fails", [False, True])
def test_what_could_not_be_written_is_told_and_passes_all_the_same(fails):
    world, lost = World(fails=fails), []
    world.box.write(b"<a>", lambda: lost.append("a"))
    world.box.write(b"", lambda: lost.append("nothing"))
    world.box.send(world, b"a")  # type: ignore[arg-type]
    world.end_of_round()
    assert lost == (["a"] if fails else [])
    assert world.seen[-1] == ("sent", b"a")
