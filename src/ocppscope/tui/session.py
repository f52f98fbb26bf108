"""What the screens know of where the messages come from: a store that grows, and how far it has got.

A file, a live capture and a proxy implement the same protocol elsewhere. Nothing here reads, decodes or shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.analysis.pages import Transactions
    from ocppscope.analysis.report import Report
    from ocppscope.analysis.timing.figures import Row
    from ocppscope.control import Steering
    from ocppscope.export.evidence import Source
    from ocppscope.model import Version
    from ocppscope.render.tree import Facts
    from ocppscope.store.notes import Notes
    from ocppscope.store.store import Store
    from ocppscope.tui.packet import Dissector


class Progress(NamedTuple):
    """How far the reading is: `read` of `total` bytes (None where nobody knows). `trouble` is a sentence.

    `recording` says how a live capture or a proxy goes; "" where nothing is recorded.
    """

    read: int = 0
    total: int | None = None
    done: bool = False
    trouble: str = ""
    notices: tuple[str, ...] = ()
    recording: str = ""


class Session(Protocol):
    """One or more captures, a live capture or a proxy, as the screens see it."""

    @property
    def title(self) -> str:
        """What is being looked at; may hold anything (names of files)."""

    @property
    def store(self) -> Store:
        """The rows; grows in another thread while the session runs."""

    @property
    def notes(self) -> Notes | None:
        """The sidecar file with marks and notes; None where there is no place for one."""

    @property
    def steering(self) -> Steering | None:
        """The proxy between the station and the CSMS; None where there is none."""

    @property
    def source(self) -> Source | None:
        """The files with the packets or lines, to be read again; None where there are none, or not yet all."""

    @property
    def dissector(self) -> Dissector | None:
        """Who can say what is in a packet; None where packets cannot be read again."""

    def describe(self, version: Version, action: str, response: bool) -> Callable[[str], Facts | None] | None:
        """What the schema says of the elements of a payload, by JSON pointer; None if no schema covers it."""

    def report(self) -> Report | None:
        """What the diagnosis has found so far, the same object until there is more; None where there is none yet."""

    def transactions(self) -> Transactions:
        """The transactions so far, likewise."""

    def figures(self) -> tuple[Row, ...]:
        """The timing figures so far, likewise; who asks makes the session work out newer ones."""

    def progress(self) -> Progress:
        """How far it is. From any thread."""

    def start(self, changed: Callable[[], None]) -> None:
        """Begins to fill the store. `changed` is called from another thread, some ten times a second at most."""

    def stop(self) -> None:
        """Ends reading and waits for its thread; what was read stays."""
