"""What is exported: messages with what was said of them, and what happened between them, in order.

Types and the protocol that every form is written from. No form, no file and no redaction here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ocppscope.model import Message, SessionEvent, TlsConnection
from ocppscope.store.notes import NO_NOTE, Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocppscope.analysis.report import Report
    from ocppscope.model import Connection
    from ocppscope.options import Options
    from ocppscope.store.verdicts import Verdict


class Row(NamedTuple):
    """A message, its number among all messages of what was read, and what was said of it."""

    row: int
    message: Message
    verdicts: tuple[
        tuple[Verdict, str], ...
    ] = ()  # of rules, each with its sentence, "" where only the rule is known
    note: Note = NO_NOTE  # the user's


Between = SessionEvent | TlsConnection
"""What happens between rows: connections, control frames, gaps, ends of exchanges, comments; never a `Message`."""
Item = Row | Between


class Source(NamedTuple):
    """Where the packets are: captures that can be read again, and how they were decoded. Empty for anything else."""

    paths: tuple[str, ...]
    options: Options


class Evidence(Protocol):
    """What is exported. `items` may be called several times, and gives the same each time."""

    @property
    def title(self) -> str:
        """What it is of, in a few words: names of files."""

    @property
    def captures(self) -> tuple[str, ...]:
        """The names of what was read."""

    @property
    def report(self) -> Report | None:
        """What the diagnosis found in all that was read; None where nobody asked it."""

    @property
    def source(self) -> Source | None:
        """The captures, for forms that are made of packets; None for what has none."""

    @property
    def connections(self) -> Mapping[int, Connection]:
        """The connections met so far by the latest `items`, as they were known last, shown or not."""

    def items(self) -> Iterator[Item]:
        """What is shown, in order of time. Raises OcppscopeError where the input can no longer be read."""
