"""Reads logs as a command does, and tells what a person would count in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ocppscope.capture.logoptions import LogOptions
from ocppscope.capture.logreader import LogReader
from ocppscope.cli.logs import sender_of
from ocppscope.model import Event, Message
from ocppscope.replay import Replay
from support_engine import SHARED, Run, sort

OWN = Path(__file__).parent / "capture" / "dialects"
FOREIGN = SHARED / "logs" / "dialects"


class Read(NamedTuple):
    """A log that was read."""

    run: Run
    notices: list[str]

    @property
    def messages(self) -> list[Message]:
        return self.run.messages

    @property
    def counted(self) -> list[str]:
        """`> CALL id Action`, as the lists of a person have it; > is from the station."""
        return [told(message) for message in self.messages]


def told(message: Message) -> str:
    arrow = "<" if message.side else ">"
    return " ".join(part for part in (arrow, message.kind.name, message.id or "-", message.action or "-"))


def read(*paths: Path, dialect: str = "", zone: str = "") -> Read:
    """Reads logs from files."""
    engine, events = Replay(), list[Event]()
    with LogReader(paths, options=LogOptions(dialect, zone, sender_of)) as reader:
        reader.check()
        for block in reader.blocks():
            events += engine.packets(block)
        events += engine.finish()
        return Read(sort(events), reader.notices)


def read_text(folder: Path, text: str | bytes | Iterable[str], **options: str) -> Read:
    """Reads a text as if it stood in a file."""
    if not isinstance(text, str | bytes):
        text = "\n".join(text) + "\n"
    path = folder / "a.log"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, **options)
