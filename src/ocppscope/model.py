"""The frozen types that every floor shares. No I/O, no clock, no behaviour beyond naming.

Times are `int` nanoseconds since the Unix epoch, as they arrive with the data. Types that are made once a
message are msgspec structs: frozen and slotted like a dataclass, at a tenth of the cost (0.1 µs each).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_PADDING = 128
"""Readable bytes that every `PacketBlock.data` has after its last packet, so that headers may be gathered blindly."""


class Side(IntEnum):
    """Who sent it. Usable as an index of a pair."""

    STATION = 0
    CSMS = 1

    @property
    def other(self) -> Side:
        """The peer."""
        return Side.CSMS if self is Side.STATION else Side.STATION

    @property
    def label(self) -> str:
        """The stable spelling in exports: "station" or "csms"."""
        return self.name.lower()


class Kind(IntEnum):
    """What a text is; the value is the OCPP message type number (OCPP-J 1.6 §4.2, 2.1 Part 4 §4.2)."""

    UNPARSED = 0
    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5
    SEND = 6


class Outcome(StrEnum):
    """What became of an exchange, as seen from one message of it."""

    NONE = ""  # not part of an exchange: SEND, unparsed
    PENDING = "pending"  # a CALL, when it is seen
    RESENT = "resent"  # a CALL that repeats an earlier one: same id, same content
    REUSED_ID = "reused-id"  # a CALL with an id that an earlier CALL of other content had
    ANSWERED = "answered"  # a CALLRESULT in time
    ERROR = "error"  # a CALLERROR or CALLRESULTERROR in time
    LATE = "late"  # an answer after the timeout
    TIMEOUT = "timeout"  # a CALL whose answer did not come in time, said when its connection or the capture ends
    OPEN = "open"  # a CALL that could still have been answered when its connection or the capture ended
    ORPHAN = "orphan"  # an answer to nothing that was seen
    DUPLICATE = "duplicate"  # a second answer to the same CALL


class Version(StrEnum):
    """An OCPP version; `UNKNOWN` until a subprotocol is agreed or a message gives it away."""

    UNKNOWN = "?"
    V12 = "1.2"
    V15 = "1.5"
    V16 = "1.6"
    V20 = "2.0"
    V201 = "2.0.1"
    V21 = "2.1"


class Problem(Struct, frozen=True, gc=False):
    """A local fact that a decoder states once; never an opinion, never a copy of payload text.

    `code` is registered in `problems.PROBLEMS`; `text` is one sentence; `path` is a JSON pointer into the
    message's payload where that helps ("/meterValue/0/timestamp").
    """

    code: str
    text: str
    path: str = ""


class Endpoint(NamedTuple):
    """An IP address in text form and a TCP port."""

    address: str
    port: int

    def __str__(self) -> str:
        """`10.0.0.1:9000` or `[fd00::1]:9000`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Flow(NamedTuple):
    """One TCP connection: who opened it (the station, as far as OCPP goes) and who listened."""

    client: Endpoint
    server: Endpoint

    def __str__(self) -> str:
        """`client → server`."""
        return f"{self.client} → {self.server}"


class PacketBlock(NamedTuple):
    """Some consecutive packets of a capture, as columns over one buffer. All arrays have one element a packet.

    `data` holds the packets' bytes somewhere inside and at least `BLOCK_PADDING` bytes after the last of them;
    it must not change while the block is being looked at.
    """

    data: bytes | bytearray
    offsets: NDArray[np.int64]  # where a packet's link-layer header starts in `data`
    caplen: NDArray[np.int64]  # captured bytes
    origlen: NDArray[np.int64]  # bytes on the wire; more than caplen where the capture was cut by its snap length
    time_ns: NDArray[np.int64]
    linktype: NDArray[np.uint16]  # LINKTYPE_ of the packet's interface
    first_packet: int  # number of the first packet, counted from 1 as in Wireshark; the others follow
    position: int | None = None  # where `data` begins in its file, if these bytes can be read there again
    comments: tuple[tuple[int, str], ...] = ()  # comments on packets, each with the packet's place in the block


class Deflate(Struct, frozen=True):
    """The agreed permessage-deflate parameters (RFC 7692 §7.1)."""

    station_no_context_takeover: bool = False
    csms_no_context_takeover: bool = False
    station_window_bits: int = 15
    csms_window_bits: int = 15


class Handshake(Struct, frozen=True):
    """One HTTP upgrade, request and response, as it was on the wire but for the password.

    Header values are text (latin-1), in order, names as sent. `Authorization` holds the scheme, the Basic user
    and the length of the password only.
    """

    method: str
    target: str  # the request target, as sent
    station: str  # identity: the percent-decoded last path segment (OCPP-J 1.6 §3.1.1)
    user: str  # Basic user name, "" if none
    request_headers: tuple[tuple[str, str], ...]
    key: str
    websocket_version: str
    offered_protocols: tuple[str, ...]
    offered_extensions: tuple[str, ...]
    requested_ns: int
    request_packets: tuple[int, ...] = ()
    status: int | None = None  # None: no response was seen
    reason: str = ""
    response_headers: tuple[tuple[str, str], ...] = ()
    accept: str = ""
    accept_ok: bool | None = None  # None: nothing to check
    protocol: str | None = None  # chosen subprotocol
    extensions: tuple[str, ...] = ()  # chosen, as sent
    deflate: Deflate | None = None  # chosen and understood
    answered_ns: int | None = None
    response_packets: tuple[int, ...] = ()
    body: str = ""  # the start of a refusal's body
    problems: tuple[Problem, ...] = ()

    @property
    def upgraded(self) -> bool:
        """Whether the server switched protocols."""
        return self.status == 101


class RoundTrips(Struct, frozen=True):
    """How long the peer took to acknowledge data, as seen where the capture was made.

    One sample a flight: the first segment sent while nothing waits for an ACK, until the first ACK that covers it;
    none where anything was sent again meanwhile (RFC 6298 §3).
    """

    count: int
    min_ns: int
    p95_ns: int  # within an eighth of its value
    max_ns: int


class TransportSide(Struct, frozen=True):
    """What the TCP segments that one side sent say."""

    segments: int = 0  # with payload, retransmitted ones included; keep-alive probes are not
    payload_bytes: int = 0  # of these
    retransmitted: int = 0  # of these
    copies: int = 0  # of these: captured twice, as far as that can be told; not counted as retransmitted
    reordered: int = 0  # of these: captured after a later one; not counted as retransmitted
    unacked_resends: int = 0  # retransmitted without an ACK since, at the time of the snapshot
    unacked_resends_since_ns: int | None = None  # the first of them
    unacked_since_ns: int | None = None  # since when data waits for any ACK; None: all is acknowledged, or not known
    zero_window_ns: int = 0  # the longest time that this side said it can take nothing
    round_trips: RoundTrips | None = None  # of ACKs for what this side sent
    last_ns: int | None = None  # last segment of any kind
    fin_ns: int | None = None  # first FIN
    rst_ns: int | None = None  # first RST


class Transport(Struct, frozen=True):
    """What the TCP segments of a connection say, up to a snapshot. All times are as captured."""

    sides: tuple[TransportSide, TransportSide]  # by side
    syns: int = 0  # SYN segments of the station, retransmitted ones included
    syn_ns: int | None = None  # the first one; None: not captured
    last_syn_ns: int | None = None  # the last one before the SYN-ACK
    synack_ns: int | None = None  # the first one
    ack_ns: int | None = None  # the station's first segment after the SYN-ACK
    ended_by: Side | None = None  # who sent the first FIN or RST


class Encryption(Struct, frozen=True):
    """The TLS that a connection was read through, with its keys. Numbers as on the wire; None: not captured."""

    version: int | None
    suite: int | None
    server_name: str = ""
    trouble: str = ""  # why not all of it could be decrypted
    by_proxy: bool = False  # the proxy ended it, and recorded what was in it


class Connection(Struct, frozen=True):
    """A snapshot of one WebSocket connection (or refused upgrade) at the moment of an event."""

    number: int  # counted from 0 in order of discovery
    flow: Flow
    opened_ns: int  # first packet
    first_packet: int
    station: str  # identity, or the client's address where none is known
    version: Version
    version_guessed: bool
    handshake: Handshake | None  # None: the capture starts after it, or misses it
    subject: str = "ocpp"  # "ocpp", or "websocket" where texts were seen and none of them was OCPP
    leg_of: int | None = None  # the connection whose session this one repeats (a proxy's other leg)
    closed_ns: int | None = None
    closed_by: Side | None = None
    close_how: str = ""  # "close frame", "FIN", "RST", "port reused", "end of capture"
    close_code: int | None = None
    close_reason: str = ""
    messages: tuple[int, int] = (0, 0)  # by side
    lost_bytes: tuple[int, int] = (0, 0)  # by side
    problems: tuple[Problem, ...] = ()
    transport: Transport | None = None  # None: the bytes came without TCP (a proxy, a log)
    tls: Encryption | None = None  # None: in the clear

    @property
    def asked_ns(self) -> int:
        """When the upgrade was asked for, as far as that is known; of two legs, the earlier one is the station's."""
        return self.opened_ns if self.handshake is None else self.handshake.requested_ns


class Origin(NamedTuple):
    """When a frame or text was whole, and the packets that hold a part of it."""

    time_ns: int
    packets: tuple[int, ...]


class Text(NamedTuple):
    """A whole data message of a WebSocket, before anybody asks what it says."""

    payload: bytes  # uncompressed
    origin: Origin
    wire_size: int  # bytes of its frames, headers included
    frames: int = 1
    compressed: bool = False
    binary: bool = False
    problems: tuple[Problem, ...] = ()


class Message(Struct, frozen=True, gc=False):
    """One OCPP message, or a text or binary message that could not be read as one. Nothing is ever dropped.

    `ordinal` counts the messages of a connection, both sides together, from 0; (connection, ordinal) is the
    message's stable name. `time_ns` is when its last byte could have been read by the receiver at this vantage.
    """

    time_ns: int
    connection: int
    ordinal: int
    side: Side
    kind: Kind
    id: str
    action: str  # an answer has the action of the CALL that it answers, "" if that was not seen
    text: bytes  # the payload as it was on the wire, uncompressed
    wire_size: int  # bytes of its frames, headers included
    packets: tuple[int, ...]  # every packet that holds a part of it
    frames: int = 1
    compressed: bool = False
    binary: bool = False
    outcome: Outcome = Outcome.NONE
    reply_to: int | None = None  # ordinal of the CALL that this answers
    latency_ns: int | None = None
    problems: tuple[Problem, ...] = ()


class ControlFrame(Struct, frozen=True, gc=False):
    """A ping, pong or close frame (RFC 6455 §5.5)."""

    time_ns: int
    connection: int
    side: Side
    opcode: int  # 8 close, 9 ping, 10 pong
    payload: bytes
    packets: tuple[int, ...]
    close_code: int | None = None
    close_reason: str = ""
    problems: tuple[Problem, ...] = ()


class StreamGap(Struct, frozen=True, gc=False):
    """Bytes of one direction that the capture does not hold although the peer may have received them."""

    time_ns: int
    connection: int
    side: Side
    lost_bytes: int | None  # None: not known how many
    why: str


class ExchangeEnd(Struct, frozen=True, gc=False):
    """A CALL that stays without an answer: said when its connection, or the capture, ends."""

    time_ns: int
    connection: int
    ordinal: int
    side: Side
    id: str
    action: str
    outcome: Outcome  # TIMEOUT or OPEN
    age_ns: int


class ConnectionOpened(Struct, frozen=True, gc=False):
    """A connection was found: upgraded, refused, or recognised in its middle.

    Said again, with the same number, when a WebSocket that agreed on no OCPP subprotocol turns out to speak OCPP.
    """

    time_ns: int
    connection: Connection


class ConnectionClosed(Struct, frozen=True, gc=False):
    """A connection ended, or the capture did."""

    time_ns: int
    connection: Connection


class AttemptOutcome(StrEnum):
    """What became of a TCP connection over which its opener said nothing."""

    REFUSED = "refused"  # a RST, or an ICMP "unreachable", answered the SYN
    UNANSWERED = "unanswered"  # nothing answered the SYN
    NO_DATA = "no-data"  # opened, then closed without a byte from its opener


class ConnectAttempt(Struct, frozen=True, gc=False):
    """One TCP connection, or several alike of one client to one server, over which the opener said nothing.

    Any port, any server: whether it concerns OCPP is for the reader to judge.
    """

    time_ns: int  # the last packet
    first_ns: int  # the first SYN
    last_ns: int
    flow: Flow  # with several attempts that of the last one
    outcome: AttemptOutcome
    syns: int  # SYN packets of all of them
    attempts: int = 1
    closed_by: Side | None = None  # of "no-data": who ended it; STATION is the opener


class ClientHello(Struct, frozen=True):
    """What a client offered (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). Versions as on the wire: 0x0303 is TLS 1.2."""

    server_name: str  # "" if none was sent
    versions: tuple[int, ...]  # what `supported_versions` lists, or the one legacy version; no GREASE values
    suites: tuple[int, ...]  # no GREASE values
    alpn: tuple[str, ...]
    random: bytes  # names the connection in a key log
    session_id: bytes = b""


class ServerHello(Struct, frozen=True):
    """What a server chose (RFC 8446 §4.1.3)."""

    version: int
    suite: int
    alpn: str  # "" if none was chosen in the clear
    random: bytes
    session_id: bytes = b""
    compression: int = 0  # a method of TLS compression; 0 is none


class TlsAlert(Struct, frozen=True):
    """An alert in the clear (RFC 8446 §6); of an encrypted one level and description are None."""

    time_ns: int
    side: Side
    level: int | None  # 1 warning, 2 fatal
    description: int | None


class PlainReply(StrEnum):
    """One end spoke TLS, the other did not."""

    NONE = ""
    HTTP = "http"  # a ClientHello was answered in HTTP: wss to a ws port
    OTHER = "other"  # a ClientHello was answered with what is neither TLS nor HTTP
    TLS = "tls"  # a request in HTTP was answered with TLS: ws to a wss port


class TlsRhythm(Struct, frozen=True):
    """When one side of a TLS connection spoke after a second of silence: its heartbeats, and the like."""

    times: int = 0
    latest: tuple[tuple[int, int, int], ...] = ()  # the last of them: time, bytes of the segment, ns of quiet
    last_ns: int | None = None  # its last segment of more than a few bytes


class TlsConnection(Struct, frozen=True):
    """What a TLS connection says without its keys; told when it ends, or the capture does.

    Not every TLS connection is followed; see `Summary.unfollowed_tls` of the engine.
    """

    time_ns: int  # closed, or the last packet
    flow: Flow
    opened_ns: int
    first_packet: int
    closed_ns: int | None = None  # None: open at the end of the capture, or not followed to its end
    closed_by: Side | None = None
    close_how: str = ""  # "FIN", "RST", "port reused", "end of capture", "let go"
    client_hello: ClientHello | None = None
    server_hello: ServerHello | None = None
    hello_retry: bool = False
    client_hello_ns: int | None = None
    server_hello_ns: int | None = None
    certificates: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())  # by side, DER, as sent; TLS 1.2 or older
    certificate_ns: tuple[int | None, int | None] = (None, None)  # by side: when its Certificate message was whole
    certificate_requested: bool = False
    resumed: bool = False  # an abbreviated handshake, as far as it shows
    alerts: tuple[TlsAlert, ...] = ()
    handshake_ns: int | None = None  # the last handshake record before application data
    application_ns: tuple[int | None, int | None] = (None, None)  # by side; in TLS 1.3 as far as sizes tell
    records: tuple[int, int] = (0, 0)  # by side, until both sides have sent application data
    payload_bytes: tuple[int, int] = (0, 0)  # of TCP, by side, retransmitted ones included
    plain_reply: PlainReply = PlainReply.NONE
    reply: str = ""  # the start of a reply that is no TLS, as text
    lost_bytes: tuple[int, int] = (0, 0)  # by side, while the handshake was read
    problems: tuple[Problem, ...] = ()
    decrypted: bool = False  # what it holds is told as any other connection
    rhythm: tuple[TlsRhythm, TlsRhythm] = (TlsRhythm(), TlsRhythm())  # by side

    @property
    def empty_client_certificate(self) -> bool:
        """Whether the client was asked for a certificate and answered that it has none."""
        return self.certificate_ns[0] is not None and not self.certificates[0]


class PacketComment(Struct, frozen=True, gc=False):
    """What a capture says of one of its packets: a note of its author's, or an act of the proxy (`acts.act_of`)."""

    time_ns: int
    packet: int
    connection: int  # -1: the packet belongs to none that was recognised
    side: Side  # who sent the packet
    text: str
    ordinal: int = -1  # the message that the packet completes; -1: none
    flow: Flow | None = (
        None  # of its TCP connection; None: it belongs to none. Without a connection, source → destination
    )


SessionEvent = Message | ControlFrame | StreamGap | ExchangeEnd | ConnectionOpened | ConnectionClosed | PacketComment
"""What belongs to a numbered connection."""
Event = SessionEvent | ConnectAttempt | TlsConnection
