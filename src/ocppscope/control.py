"""What is said between the proxy and whoever steers it: the screen, the log, a script. Frozen types, as JSON.

The proxy relays in a process of its own, so that neither decoding nor drawing can delay a byte. Orders go in, tidings
come out, a line of JSON each. No I/O here.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Struct

from ocppscope.model import Side

# --- orders ---------------------------------------------------------------------------------------------------------


class Intercept(Struct, frozen=True, tag=True):
    """Hold messages that pass this filter from now on; "" for none. Active mode only."""

    filter: str


class Forward(Struct, frozen=True, tag=True):
    """Send a held message on: as it is, or with another text; `copies` times."""

    held: int
    text: str | None = None
    copies: int = 1


class Drop(Struct, frozen=True, tag=True):
    """Do not send a held message on."""

    held: int


class ForwardAll(Struct, frozen=True, tag=True):
    """Send on everything that is held."""


class Inject(Struct, frozen=True, tag=True):
    """Send a CALL of our own; the answer is kept from the other side and told in an `Answered`."""

    connection: int  # the proxy's number, as in `Link.number`
    to: Side
    action: str
    payload: str  # JSON
    ticket: int = 0  # chosen by the sender, comes back in `Answered`


class Cut(Struct, frozen=True, tag=True):
    """End a connection on both sides: by "FIN", "RST" or a Close frame ("close"; active mode only)."""

    connection: int
    how: str = "RST"


class Stop(Struct, frozen=True, tag=True):
    """End all connections and leave."""


Order = Intercept | Forward | Drop | ForwardAll | Inject | Cut | Stop

# --- tidings --------------------------------------------------------------------------------------------------------


class Link(Struct, frozen=True):
    """One station's connection through the proxy."""

    number: int
    station: str  # identity as in the path, or the address while it is not known
    client: str  # address and port
    server: str
    tls: tuple[bool, bool] = (False, False)  # by side
    active: bool = False  # whether messages of it can be held, changed and injected
    why_passive: str = ""  # why not, where active mode was asked for
    version: str = ""  # the agreed subprotocol


class Opened(Struct, frozen=True, tag=True):
    """A connection, or more is known of it."""

    link: Link


class Closed(Struct, frozen=True, tag=True):
    """A connection is over."""

    number: int


class Held(Struct, frozen=True, tag=True):
    """A message waits for a decision."""

    held: int
    connection: int
    station: str
    side: Side  # who sent it
    time_ns: int  # when it came
    expires_ns: int  # when it is sent on without a decision
    gives_up_ns: int | None  # when its sender is expected to give up waiting for the answer; None: it expects none
    action: str
    kind: int  # `model.Kind`
    id: str
    text: str
    version: str  # `model.Version`


class Released(Struct, frozen=True, tag=True):
    """A held message was decided on; `how` is the name of an act."""

    held: int
    how: str


class Answered(Struct, frozen=True, tag=True):
    """What became of an injected CALL: the whole text of its answer, or "" and why there is none."""

    ticket: int
    text: str
    trouble: str = ""
    latency_ns: int = 0


class State(Struct, frozen=True, tag=True):
    """How the proxy is; told when something changed, a few times a second at most."""

    listening: str  # "ws://127.0.0.1:9000"
    to: str
    connections: int = 0  # open now
    total: int = 0
    bytes_passed: int = 0
    recording: str = ""  # the file
    recorded_bytes: int = 0
    recording_trouble: str = ""
    active: bool = False
    intercept: str = ""
    held: int = 0


class Rotated(Struct, frozen=True, tag=True):
    """The recording goes on in another file; nothing is added to the one before."""

    path: str


class Said(Struct, frozen=True, tag=True):
    """A sentence for the user: an order that cannot be obeyed, a failure, something that he should know."""

    text: str


class Failed(Struct, frozen=True, tag=True):
    """The proxy could not start, or had to end; as `errors.OcppscopeError`."""

    what: str
    hint: str
    exit_code: int


Tiding = Failed | Opened | Closed | Held | Released | Answered | State | Rotated | Said

MAX_LINE_BYTES = 64 << 20
"""The longest line that is read; a longer one ends the conversation."""

_encode = msgspec.json.Encoder().encode
read_order = msgspec.json.Decoder(Order).decode
"""A line → an order. Raises `msgspec.DecodeError`."""
read_tiding = msgspec.json.Decoder(Tiding).decode
"""A line → a tiding. Raises `msgspec.DecodeError`."""


def line(message: Order | Tiding) -> bytes:
    """As a line of JSON."""
    return _encode(message) + b"\n"


class Steering(Protocol):
    """The proxy, as a screen sees it. From any thread."""

    def state(self) -> State:
        """How it is."""

    def links(self) -> tuple[Link, ...]:
        """The open connections, oldest first."""

    def held(self) -> tuple[Held, ...]:
        """What waits for a decision, oldest first."""

    def answers(self) -> tuple[Answered, ...]:
        """What became of injected CALLs, the latest few, oldest first."""

    def said(self) -> tuple[str, ...]:
        """The latest sentences, oldest first."""

    def order(self, order: Order) -> None:
        """Obey, soon; trouble comes back in `said` (or `answers`)."""
