"""The page Packet of the details: what Wireshark says of the last packet of a message, fetched when it is looked at.

A thread asks, since it may take long; it can be cancelled. What comes back is made visible here, wrapped and drawn
elsewhere. Whoever knows packets is a `Dissector` of the session: nothing here knows of files or programs.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, NamedTuple, Protocol

from textual.message import Message

from ocppscope.errors import OcppscopeError
from ocppscope.render.styled import Style
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocppscope.model import Message as OcppMessage

TITLE = "Packet"
PATIENCE = 0.15
"""Seconds that somebody has to stay at a message before its packet is asked for."""
MAX_LINES = 5000
"""Lines that are shown of a packet."""
MAX_LINE = 1000
"""Characters of a line."""
MAX_LISTED = 12
"""Numbers of packets that are named."""
MAX_TROUBLES = 64
"""Packets of which it is kept why nothing can be said."""

NO_FILE = "Only packets of a capture file can be read again: record to a file, and open that."
NOT_KNOWN = "It is not known which packets the message came in."

Said = tuple[str, Style]
"""A visible text and its style."""


class Dissector(Protocol):
    """Who can say what is in a packet. From any thread."""

    def expectation(self) -> str:
        """A sentence on how long it may take, where that is long; else ""."""

    def kept(self, number: int) -> tuple[str, ...] | None:
        """The lines about a packet, where they are at hand."""

    def tree(self, number: int, cancelled: Callable[[], bool]) -> tuple[str, ...]:
        """The lines about a packet, indented; () if it was cancelled. May take long. Raises OcppscopeError."""


class LogLines:
    """Stands for a dissector where messages come from a log, which has lines and no packets."""

    def expectation(self) -> str:
        """See `Dissector`."""
        return ""

    def kept(self, number: int) -> tuple[str, ...] | None:
        """See `Dissector`."""
        return ("A log of messages has no packets.", f"The message stands in line {number:,} of the log.")

    def tree(self, number: int, cancelled: Callable[[], bool]) -> tuple[str, ...]:
        """See `Dissector`."""
        del number, cancelled
        return ()


class PacketRead(Message):
    """The thread has an answer, or none."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__()


class _Asking(NamedTuple):
    number: int
    cancelled: Event


class Packets:
    """What is known of packets, and what is being asked."""

    def __init__(self, dissector: Dissector | None, start: Callable[[Callable[[], None]], object]) -> None:
        """`start` runs a function in a thread."""
        self.dissector = dissector
        self._start = start
        self._asking: _Asking | None = None
        self._troubles: dict[int, str] = {}
        self._cancelled: set[int] = set()

    # --- asking -----------------------------------------------------------------------------------------------------

    def look(self, message: OcppMessage | None, tell: Callable[[PacketRead], object]) -> None:
        """A message is looked at: its packet is asked for, unless that takes long."""
        number = message.packets[-1] if message is not None and message.packets else None
        if self._asking is not None and self._asking.number != number:
            self.cancel()
        if number is None or number in self._troubles or number in self._cancelled or self.dissector is None:
            return
        if isinstance(self.dissector, LogLines):
            return
        if not self.dissector.expectation():
            self.ask(number, tell)

    def ask(self, number: int, tell: Callable[[PacketRead], object]) -> bool:
        """Asks for a packet, whatever it takes; False if there is no need."""
        dissector = self.dissector
        if dissector is None or self._asking is not None or dissector.kept(number) is not None:
            return False
        asking = self._asking = _Asking(number, Event())
        self._cancelled.discard(number)
        self._troubles.pop(number, None)

        def work() -> None:
            trouble = ""
            try:
                if not asking.cancelled.wait(PATIENCE):
                    dissector.tree(number, asking.cancelled.is_set)
            except OcppscopeError as error:
                trouble = f"{error.what} {error.hint}".strip()
            except Exception as error:  # said on the page; the screen goes on
                trouble = f"Reading the packet failed: {type(error).__name__}. This is a bug of ocppscope."
            self._answered(asking, trouble)
            tell(PacketRead(number))

        self._start(work)
        return True

    def _answered(self, asking: _Asking, trouble: str) -> None:
        if trouble:
            if len(self._troubles) >= MAX_TROUBLES:
                self._troubles.clear()
            self._troubles[asking.number] = trouble
        if self._asking is asking:
            self._asking = None

    def cancel(self, *, by_user: bool = False) -> bool:
        """Whether something was being asked; the answer is not waited for any more."""
        asking, self._asking = self._asking, None
        if asking is None:
            return False
        asking.cancelled.set()
        if by_user:
            self._cancelled = {asking.number}
        return True

    # --- the page ---------------------------------------------------------------------------------------------------

    def said(self, message: OcppMessage) -> Iterator[Said]:
        """The page, as texts with styles."""
        if not message.packets:
            yield NOT_KNOWN, Style.DIM
            return
        number = message.packets[-1]
        if not isinstance(self.dissector, LogLines):
            yield _heading(message.packets), Style.DIM
        if self.dissector is None:
            yield NO_FILE, Style.DIM
        elif (lines := self.dissector.kept(number)) is not None:
            yield from shown(lines)
        elif self._asking is not None and self._asking.number == number:
            yield " ".join(("Reading… (Esc cancels)", self.dissector.expectation())).strip(), Style.DIM
        elif number in self._troubles:
            yield visible(self._troubles[number], MAX_LINE), Style.WARNING
            yield "Enter tries again.", Style.DIM
        else:
            why = "Cancelled." if number in self._cancelled else self.dissector.expectation()
            yield " ".join((why, "Enter reads the packet.")).strip(), Style.DIM


def _heading(packets: tuple[int, ...]) -> str:
    if len(packets) == 1:
        return f"packet {packets[0]:,}, as Wireshark reads it"
    listed = ", ".join(map(str, packets[-MAX_LISTED:]))
    more = "…, " if len(packets) > MAX_LISTED else ""
    return f"packet {packets[-1]:,}, the last of {len(packets):,} ({more}{listed}), as Wireshark reads it"


def shown(lines: tuple[str, ...]) -> Iterator[Said]:
    """A packet's lines: what stands at the margin begins a protocol, what is in brackets Wireshark worked out."""
    for line in lines[:MAX_LINES]:
        text = line.strip()
        indent = " " * min(len(line) - len(line.lstrip(" ")), 40)
        style = Style.BOLD if not indent else Style.DIM if text.startswith("[") else Style.PLAIN
        yield indent[::2] + visible(text, MAX_LINE), style
    if len(lines) > MAX_LINES:
        yield f"… ({len(lines):,} lines)", Style.DIM


NOTHING = Packets(None, lambda work: None)
"""For pages that are shown where no packet can be asked for."""
