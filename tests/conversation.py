"""Conversations written as text, played as the events that packets would have given.

The syntax is that of `ocppscope log`; the docstring of `capture/textlog` describes it.
"""

from __future__ import annotations

from pathlib import Path

from ocppscope.capture.instants import date_ns
from ocppscope.capture.messagelog import read_message_log
from ocppscope.capture.textlog import read_text_log
from ocppscope.model import Event
from ocppscope.options import Options
from ocppscope.replay import replay

DAY = "2026-11-22"
"""The day of a conversation that says none."""


def play(text: str | Path, options: Options | None = None) -> list[Event]:
    """The events of a conversation, or of the file that holds one."""
    if isinstance(text, Path):
        return play_file(text, options)
    entries = read_text_log(text.split("\n"), date_ns(DAY))
    return [event for batch in replay(entries, options) for event in batch]


def play_file(path: Path, options: Options | None = None) -> list[Event]:
    """The events of a file: a conversation or a trace."""
    return [event for batch in replay(read_message_log(path), options) for event in batch]


def play_trace(path: Path, options: Options | None = None) -> list[Event]:
    """The events of an Open OCPP Trace."""
    return play_file(path, options)
