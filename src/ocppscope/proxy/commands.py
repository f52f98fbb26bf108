"""What a session asks of the server that has the sockets. Frozen; no I/O.

A session is told what arrives on either side and answers with commands, to be carried out in their order:

    session.received(Side.STATION, b"...", now) → [Send(Side.CSMS, b"...")]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.acts import Act
    from ocppscope.model import Side


class Send(NamedTuple):
    """Send bytes to `side`. `act` is why they are not simply what the other side sent."""

    side: Side
    data: bytes
    act: Act | None = None


class Finish(NamedTuple):
    """Send nothing more to `side` (FIN), but go on reading from it."""

    side: Side


class Reset(NamedTuple):
    """End the connection with `side` by RST, once what was sent before has left."""

    side: Side


class Pause(NamedTuple):
    """Stop reading from `side`: its sender will notice."""

    side: Side


class Resume(NamedTuple):
    """Read from `side` again."""

    side: Side


class Note(NamedTuple):
    """Something to be said in the recording about the latest bytes of `side`; nothing is sent."""

    side: Side
    act: Act


Command = Send | Finish | Reset | Pause | Resume | Note


class Session(Protocol):
    """What happens between one station and the CSMS. Times are nanoseconds; no I/O, no clock."""

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """`side` sent these bytes, which are never empty."""

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """`side` will send nothing more: "FIN", or "RST" if it can take nothing either."""

    @property
    def deadline(self) -> int | None:
        """When `wake` wants to be called; None for never."""

    def wake(self, time_ns: int) -> Sequence[Command]:
        """`deadline` has come."""
