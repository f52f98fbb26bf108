"""What happens, as rules and timing figures are told: each with the station that it happened to.

Messages come as an `Exchange` (`asked`, `answered`, `unanswered` below); everything else is one of these types.
The trackers in `state/` make the ones that mean something in OCPP of either version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ocppscope.analysis.finding import Ref
from ocppscope.analysis.state.metering import meter_values, samples_of
from ocppscope.analysis.station import Exchange

if TYPE_CHECKING:
    from ocppscope.acts import Act
    from ocppscope.analysis.state.charging import Installed
    from ocppscope.analysis.state.connectors import Connector
    from ocppscope.analysis.state.metering import Sample
    from ocppscope.analysis.state.registration import Boot
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Link, Place, Station
    from ocppscope.model import (
        ConnectAttempt,
        Connection,
        ControlFrame,
        Message,
        Problem,
        Side,
        StreamGap,
        TlsConnection,
    )


class Happening(Struct):
    """Something that happened to a station."""

    station: Station
    link: Link | None
    time_ns: int
    source: Ref | Exchange  # what told of it; an exchange's places are made when somebody asks

    @property
    def ref(self) -> Ref:
        """The place in the capture that shows it."""
        return self.source if isinstance(self.source, Ref) else self.source.ref

    @property
    def refs(self) -> tuple[Ref, ...]:
        """All such places: of an exchange the CALL and its answer."""
        return (self.source,) if isinstance(self.source, Ref) else self.source.refs


class Upgraded(Happening):
    """A connection was upgraded, or found in its middle (`link.connection.handshake` is None then)."""


class Refused(Happening):
    """An upgrade was refused or left without an answer. There is no link."""

    connection: Connection


class Closed(Happening):
    """A connection ended. `link.connection` is the final snapshot, `link.close_pending` the CALLs without an
    answer."""


class LeftOpen(Happening):
    """The capture ended and the connection had not. `link.connection` is the final snapshot."""


class Controlled(Happening):
    """A ping, pong or Close frame."""

    frame: ControlFrame


class Missing(Happening):
    """Bytes of a connection are not in the capture."""

    gap: StreamGap


class Objected(Happening):
    """A decoder stated a problem: of a message (`exchange` is its exchange where it belongs to one), a control frame,
    an upgrade or a connection (then `message` is None)."""

    problem: Problem
    side: Side | None  # who sent it
    message: Message | None
    exchange: Exchange | None


class Unpaired(Happening):
    """A message that is no CALL and answers none that waits: an orphan, a duplicate, or unparsed."""

    message: Message


class Misanswered(Happening):
    """A message answers what nobody may answer: an answer (with a CALLERROR), or a SEND."""

    message: Message
    exchange: Exchange  # what it answers


class Fragmented(Happening):
    """A message came in several frames."""

    message: Message


class Attempted(Happening):
    """TCP connection attempts that came to nothing. There is no link; the station may be an address."""

    attempt: ConnectAttempt


class ProxyActed(Happening):
    """The proxy that recorded the capture did more than pass bytes on. There may be no link; then the station may be
    an address."""

    act: Act


class Encrypted(Happening):
    """A TLS connection without keys ended, or the capture did. There is no link; the station is an address."""

    tls: TlsConnection


class Booted(Happening):
    """A BootNotification was answered, or stays without an answer (`boot.status` "" then)."""

    boot: Boot
    exchange: Exchange


class StatusChanged(Happening):
    """A connector reported a status; also one that it had (`connector.previous` is the same then).

    From StatusNotification, and in 2.x from NotifyEvent with AvailabilityState too.
    """

    connector: Connector
    exchange: Exchange


class TransactionStarted(Happening):
    """StartTransaction was answered (or gave up), or TransactionEvent Started came."""

    transaction: Transaction
    exchange: Exchange


class TransactionUpdated(Happening):
    """TransactionEvent Updated, or MeterValues of a 1.6 transaction."""

    transaction: Transaction
    exchange: Exchange


class TransactionUpdatedOddly(TransactionUpdated):
    """Told besides, if the message does not just follow on the one before: its seqNo, its transaction (not started,
    or stopped) or its id (-1) is out of the ordinary, or it has an EVSE, or leaves out a charging state that changed,
    or tells that the station has suspended the charging."""


class TransactionStopped(Happening):
    """StopTransaction or TransactionEvent Ended came; the transaction is not open any more."""

    transaction: Transaction
    exchange: Exchange


class Stamped(NamedTuple):
    """What is kept of a message about a transaction to hold the next ones against it."""

    stamp_ns: int
    asked_ns: int
    action: str
    connection: int
    ordinal: int
    packet: int

    @property
    def ref(self) -> Ref:
        """The message."""
        return Ref(self.asked_ns, self.connection, self.ordinal, self.packet, f"→ CALL {self.action}")


class Overtaken(Happening):
    """A message about a transaction carries an earlier timestamp than one that came before it."""

    exchange: Exchange
    at_place: Stamped | None  # the one with the latest timestamp at its connector (1.6) or EVSE, if that is later
    on_edge: Stamped | None  # likewise of all starts and stops of 1.6, if this is one of them


class Sampled(Happening):
    """Meter samples came in one message."""

    exchange: Exchange
    transaction: Transaction | None  # the one that they belong to, as far as it is known
    place: Place
    read: list[Sample] | None = None  # as far as somebody has asked for them

    @property
    def samples(self) -> list[Sample]:
        """In the order sent; at least one."""
        if self.read is None:
            self.read = samples_of(meter_values(self.exchange))
        return self.read


class SampledToCompare(Sampled):
    """Told besides, if samples are to be compared with something: a charging profile is installed, measurands were
    set, or no transaction that was accepted goes on there."""


class ProfileSet(Happening):
    """A charging profile was sent (SetChargingProfile, or with a remote start) and answered."""

    installed: Installed
    exchange: Exchange


class Forgotten(Happening):
    """There are too many stations: this one, of which the link was open, is not followed any more."""


class CaptureEnded(Happening):
    """The capture is over; told once for every station."""


class Trigger(NamedTuple):
    """What a rule or figure wants to be told of: a phase of exchanges with certain actions, or problems by code."""

    phase: str  # "asked", "answered", "unanswered", "problem"; of trackers "slow", "erred", "unregistered", …
    names: tuple[str, ...]  # actions, or problem codes or their beginnings ("ws."); none: all


def asked(*actions: str) -> Trigger:
    """A CALL or SEND with one of these actions was sent; any, if none is named."""
    return Trigger("asked", actions)


def answered(*actions: str) -> Trigger:
    """A CALL got its answer, a CALLRESULT or CALLERROR, in time or late."""
    return Trigger("answered", actions)


def unanswered(*actions: str) -> Trigger:
    """A CALL is given up: its connection or the capture ended first. See its outcome, TIMEOUT or OPEN."""
    return Trigger("unanswered", actions)


def slow(*actions: str) -> Trigger:
    """A CALL got its answer after more than a second."""
    return Trigger("slow", actions)


def erred(*actions: str) -> Trigger:
    """A CALL got a CALLERROR."""
    return Trigger("erred", actions)


def overlapping(*actions: str) -> Trigger:
    """A CALL was sent while others of the same side on the same connection waited for their answers."""
    return Trigger("overlapping", actions)


def crossing(*actions: str) -> Trigger:
    """A CALL or SEND was sent while CALLs of the other side on the same connection waited for their answers."""
    return Trigger("crossing", actions)


def repeated(*actions: str) -> Trigger:
    """A CALL was sent with an id that an earlier one on the same connection has: outcome RESENT or REUSED_ID."""
    return Trigger("repeated", actions)


def opening(*actions: str) -> Trigger:
    """A CALL or SEND with a new id is among the first messages of its connection."""
    return Trigger("opening", actions)


def unregistered(*actions: str) -> Trigger:
    """A station sent a CALL or SEND although its last BootNotification is not accepted, as far as was seen."""
    return Trigger("unregistered", actions)


def untimely(*actions: str) -> Trigger:
    """A station sent a CALL or SEND that tells a time, which was over two seconds ago or is as much ahead, by its own
    clock as far as that is known; or that says offline."""
    return Trigger("untimely", actions)


def misnamed(*actions: str) -> Trigger:
    """A station named a transactionId by which no transaction is known that was seen to start."""
    return Trigger("misnamed", actions)


def hollow(*actions: str) -> Trigger:
    """A station sent MeterValues without a sample, or with a MeterValue that has none."""
    return Trigger("hollow", actions)


def judged(*actions: str) -> Trigger:
    """A CSMS said in its answer to a TransactionEvent what it thinks of a token."""
    return Trigger("judged", actions)


def tried(*actions: str) -> Trigger:
    """A message about a transaction got CALLERROR or nothing, or is the first that is taken after such."""
    return Trigger("tried", actions)


def foreign(*actions: str) -> Trigger:
    """A TransactionEvent was sent on a connection of 1.6."""
    return Trigger("foreign", actions)


def objected(*codes: str) -> Trigger:
    """A problem with one of these codes (or a code that begins so, if it ends in a dot) was stated."""
    return Trigger("problem", codes)


On = Trigger | type[Happening]
