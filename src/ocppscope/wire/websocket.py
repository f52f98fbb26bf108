"""The lenient WebSocket observer: the bytes of one direction in, texts and control frames out (RFC 6455 §5).

    SEARCHING ──► a frame chain that reads well ──► SYNCED ──► Close frame ──► CLOSING
        ▲                                             │
        └────────── bytes lost over a frame header ───┘

An endpoint must fail the connection at the first violation; an observer states it and goes on. Where it cannot tell
where a frame starts (a capture that begins in the middle, lost bytes) it searches: the first position from which a
chain of frames reads well, judged on bytes alone, so that the result does not depend on how they were cut.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ocppscope.model import Origin, Problem, Side, Text
from ocppscope.wire.frames import (
    CLOSE,
    CONTINUATION,
    MAX_CONTROL,
    MAX_MESSAGE_BYTES,
    OPCODES,
    RSV1,
    TEXT,
    Header,
    read_header,
    unmask,
)
from ocppscope.wire.search import FrameFinder

if TYPE_CHECKING:
    from ocppscope.wire.inflate import Inflater

MAX_BELIEVABLE = 1 << 28
"""A frame length from which the header is taken for garbage instead of for a huge frame."""
MAX_NAMED_PACKETS = 64
"""Packets that one message names as its origin; of more, the first ones and the last."""
MAX_FRAME_PROBLEMS = 16
"""Problems stated of one message."""
PIECE_BYTES = 160
"""What a piece of the buffer takes besides its bytes, roughly."""

_WHOLE_TEXT = 0x81  # the first byte of a final, unfragmented, uncompressed text frame
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class State(Enum):
    """What the reader knows of where frames start."""

    SEARCHING = auto()
    SYNCED = auto()
    CLOSING = auto()


class Control(NamedTuple):
    """A ping, pong, close or reserved control frame."""

    opcode: int
    payload: bytes
    origin: Origin
    code: int | None = None
    reason: str = ""
    problems: tuple[Problem, ...] = ()


class Sink(Protocol):
    """Who takes what was read."""

    def text(self, side: Side, text: Text) -> None:
        """A data message."""

    def control(self, side: Side, control: Control) -> None:
        """A control frame."""

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        """`count` captured bytes that could not be read as frames."""

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        """The first frame of a direction that breaks a rule, for the judge; `continues` within a message."""


class _Open:
    """A message whose final frame has not come."""

    __slots__ = ("binary", "compressed", "damaged", "frames", "full", "octets", "packets", "problems", "wire_size")

    def __init__(self, *, compressed: bool, binary: bool) -> None:
        self.compressed = compressed
        self.binary = binary
        self.octets = bytearray()
        self.packets: list[int] = []
        self.problems: list[Problem] = []
        self.frames = 0
        self.wire_size = 0
        self.damaged = False
        self.full = False  # nothing more is kept of it


class Reader:
    """Reads one direction. `masked` is None while it is not known whether these bytes come from the station."""

    __slots__ = (
        "_buffer",
        "_damage",
        "_ends",
        "_finder",
        "_judged",
        "_marks",
        "_message",
        "_pass_over",
        "_unread",
        "found_after",
        "idle",
        "inflater",
        "masked",
        "side",
        "sink",
        "state",
    )

    def __init__(self, side: Side, sink: Sink, inflater: Inflater | None, *, synced: bool = True) -> None:
        self.side = side
        self.sink = sink
        self.masked = side is Side.STATION
        self.state = State.SYNCED if synced else State.SEARCHING
        self.idle = synced
        self._finder = FrameFinder(masked=self.masked, inflates=inflater is not None, known=synced)
        self.inflater = inflater
        self._buffer = bytearray()
        self._marks: list[tuple[int, int]] = []  # (time, packet) of each piece in the buffer
        self._ends: list[int] = []  # where each piece ends in the buffer
        self._message: _Open | None = None
        self._damage: list[tuple[int, int]] = []  # holes in the buffer: (start, length)
        self._pass_over = 0  # payload bytes of an oversized frame still to come
        self._unread: tuple[int, int] = (0, 0)  # while searching: bytes given up so far, and the time of the first
        self._judged = False
        self.found_after = 0  # bytes that it took to find frames, if they had to be searched for

    # --- what it holds ----------------------------------------------------------------------------------------

    def held_back(self) -> int:
        """Bytes of memory that wait for the rest of their frame or message, roughly."""
        if self.idle:
            return 0
        held = len(self._buffer) + PIECE_BYTES * len(self._marks)
        return held + len(self._message.octets) if self._message is not None else held

    def let_go(self) -> None:
        """Gives up what is held: of a frame the rest is passed over, and a message goes on without what it had."""
        message, header = self._message, None
        if message is not None and message.octets:
            message.octets = bytearray()
            message.damaged = message.full = True
            message.problems.append(_GIVEN_UP)
        if self.state is not State.SEARCHING:
            header = read_header(self._buffer, 0)
        if header is not None:
            self._pass(header, 0, _GIVEN_UP)
            self._clear()
            self._note_idle()
        elif self._buffer:
            self._skip(len(self._buffer))

    def forget_context(self) -> None:
        """No compressed message will come any more."""
        if self.inflater is not None:
            self.inflater.release()

    # --- input ------------------------------------------------------------------------------------------------

    def feed(self, data: bytes, time_ns: int, packet: int) -> None:
        """The next bytes of the direction."""
        if self.idle and data[0] == _WHOLE_TEXT and self._is_whole_text(data, time_ns, packet):
            return
        if self._pass_over:
            taken = min(self._pass_over, len(data))
            self._pass_over -= taken
            data = data[taken:]
            if not data:
                self._note_idle()
                return
        self._append(data, time_ns, packet)
        self._read()

    def _append(self, data: bytes, time_ns: int, packet: int) -> None:
        self._buffer += data
        self._marks.append((time_ns, packet))
        self._ends.append(len(self._buffer))

    def _note_idle(self) -> None:
        waiting = self._buffer or self._message is not None or self._pass_over
        self.idle = not waiting and self.state is State.SYNCED

    def checked(self, payload: bytes, time_ns: int, packet: int, wire_size: int, *, compressed: bool) -> Text:
        """An uncompressed or inflated text that came as one whole frame while `idle`, looked at for UTF-8."""
        problems: tuple[Problem, ...] = ()
        if not _is_utf8(payload):
            problems = (_NOT_UTF8,)
            self._blame_text(payload)
        return Text(payload, Origin(time_ns, (packet,)), wire_size, 1, compressed, False, problems)

    def _is_whole_text(self, data: bytes, time_ns: int, packet: int) -> bool:
        """Takes a text that came as one ordinary frame, all of it and nothing else, the short way."""
        header = read_header(data, 0)
        if header is None or header.size + header.length != len(data) or not header.minimal:
            return False
        if bool(header.mask) != self.masked or header.length > MAX_MESSAGE_BYTES:
            return False
        payload = unmask(data[header.size :], header.mask)
        self.sink.text(self.side, self.checked(payload, time_ns, packet, len(data), compressed=False))
        return True

    def _blame_text(self, payload: bytes) -> None:
        if not self._judged:
            self._judged = True
            self.sink.violation(self.side, _frame_of(payload, self.masked), continues=False, compressed=False)

    def gap(self, lost: int, time_ns: int) -> None:
        """`lost` bytes are missing before what will be fed next."""
        if self._pass_over:
            taken = min(self._pass_over, lost)
            self._pass_over -= taken
            lost -= taken
        if not lost:
            self._note_idle()
            return
        rest = self._rest_of_frame()
        if self.state is not State.SEARCHING and lost <= rest:
            self._damage.append((len(self._buffer), lost))
            self._append(bytes(lost), time_ns, self._marks[-1][1])
            self._read()
            return
        self._abandon(rest, time_ns)
        if self.inflater is not None:
            self.inflater.lose(max(lost - rest, 0))
        self._break_off(time_ns)
        self._clear()
        self._lose_sync()

    def _lose_sync(self) -> None:
        self.state = State.SEARCHING
        self.idle = False
        self._finder.forget()

    def _break_off(self, time_ns: int) -> None:
        """The fragments of a message whose rest will not be read."""
        message, self._message = self._message, None
        if message is not None:
            message.problems.append(_UNFINISHED)
            self._complete(message, Origin(time_ns, tuple(message.packets)), whole=False)

    def finish(self, time_ns: int) -> None:
        """No more bytes will come: says what is unfinished."""
        while self.state is State.SEARCHING and self._buffer:
            if self._search(final=True):
                self._read_frames()
            else:
                self._skip(len(self._buffer))
        if self.state is State.SEARCHING:
            self._tell_unread()
        self._abandon(self._rest_of_frame(), time_ns)
        self._break_off(time_ns)
        self._clear()

    def _clear(self) -> None:
        self._buffer.clear()
        self._marks.clear()
        self._ends.clear()
        self._damage.clear()
        self._finder.forget()

    # --- frames -----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while self.state is not State.SEARCHING or self._search(final=False):
            if self._read_frames():
                return

    def _read_frames(self) -> bool:
        """Reads what is whole; False where frames have to be searched for again."""
        at = 0
        buffer = self._buffer
        while (header := read_header(buffer, at)) is not None:
            stop = at + header.size + header.length
            if header.length > MAX_BELIEVABLE:
                self._disbelieve(header, at)
                return False
            if header.length > MAX_MESSAGE_BYTES:
                stop = self._oversized(header, at)
            elif len(buffer) < stop:
                break
            else:
                self._frame(header, at, stop)
            at = stop
        self._consume(at)
        self._note_idle()
        return True

    def _consume(self, count: int) -> None:
        if count == len(self._buffer):
            self._clear()
        elif count:
            del self._buffer[:count]
            first = bisect_right(self._ends, count)
            self._marks = self._marks[first:]
            self._ends = [end - count for end in self._ends[first:]]
            self._damage = [(start - count, length) for start, length in self._damage if start + length > count]
            self._finder.moved(count)

    def _origin(self, start: int, stop: int) -> Origin:
        """Where the bytes of the buffer from `start` to `stop` came from."""
        first, last = bisect_right(self._ends, start), bisect_left(self._ends, stop)
        marks = self._marks[first : last + 1]
        time_ns = max((time for time, _ in marks), default=0)
        return Origin(time_ns, _named([packet for _, packet in marks]))

    def _frame(self, header: Header, at: int, stop: int) -> None:
        holes = [hole for hole in self._damage if at < hole[0] + hole[1] and hole[0] < stop]
        origin = self._origin(at, stop)
        problems = self._violations(header)
        if problems:
            self._blame(bytes(self._buffer[at:stop]))
        raw = self._buffer[at + header.size : stop]
        payload = unmask(raw, header.mask)
        if holes:
            lost = sum(length for _, length in holes)
            payload = payload[: max(0, holes[0][0] - at - header.size)]
            words = f"{lost} of the frame's {header.length} payload bytes were not captured."
            problems.append(Problem("ws.lost-bytes", words))
        if header.control:
            self._control(header, payload, origin, problems)
        else:
            self._data(header, payload, origin, problems, damaged=bool(holes))

    def _blame(self, octets: bytes) -> None:
        """Shows the judge the first frame that breaks a rule."""
        if not self._judged:
            self._judged = True
            message = self._message
            compressed = message is not None and message.compressed
            self.sink.violation(self.side, octets, continues=message is not None, compressed=compressed)

    def _violations(self, header: Header) -> list[Problem]:
        """What RFC 6455 §5 forbids in this header, given the state of the direction."""
        found = []
        if bool(header.mask) != self.masked:
            found.append(_UNMASKED if self.masked else _MASKED)
        if header.rsv & ~RSV1 or (header.rsv and (self.inflater is None or header.control)):
            found.append(_RESERVED_BITS)
        elif header.rsv and header.opcode == CONTINUATION:
            found.append(_RSV1_CONTINUATION)
        if header.opcode not in OPCODES:
            found.append(Problem("ws.reserved-opcode", f"Opcode {header.opcode} is reserved (RFC 6455 §5.2)."))
        if not header.minimal:
            found.append(_LONG_LENGTH)
        if header.control:
            if not header.fin:
                found.append(_FRAGMENTED_CONTROL)
            if header.length > MAX_CONTROL:
                words = f"A control frame has {header.length} payload bytes; 125 are allowed (RFC 6455 §5.5)."
                found.append(Problem("ws.control-too-long", words))
        elif (header.opcode == CONTINUATION) != (self._message is not None):
            found.append(_CONTINUATION_OF_NOTHING if self._message is None else _INTERLEAVED)
        if self.state is State.CLOSING:
            found.append(_AFTER_CLOSE)
        return found

    def _control(self, header: Header, payload: bytes, origin: Origin, problems: list[Problem]) -> None:
        code, reason = None, ""
        if header.opcode == CLOSE:
            code, reason, more = read_close(payload)
            problems += more
            self.state = State.CLOSING
            if more and not self._judged:
                self._judged = True
                mask = bytes(4) if self.masked else b""
                octets = bytes([0x88, len(payload) | len(mask) << 5]) + mask + payload
                self.sink.violation(self.side, octets, continues=False, compressed=False)
        self.sink.control(self.side, Control(header.opcode, payload, origin, code, reason, tuple(problems)))

    def _data(
        self, header: Header, payload: bytes, origin: Origin, problems: list[Problem], *, damaged: bool
    ) -> None:
        message = self._message
        if header.opcode != CONTINUATION and message is not None:
            self._break_off(origin.time_ns)
            message = None
        if message is None:
            compressed = bool(header.rsv & RSV1) and self.inflater is not None
            binary = header.opcode not in (TEXT, CONTINUATION)
            message = _Open(compressed=compressed, binary=binary)
        message.frames += 1
        message.wire_size += header.size + header.length
        message.damaged |= damaged
        message.problems += problems[: max(0, MAX_FRAME_PROBLEMS - len(message.problems))]
        message.packets = list(_named([*message.packets, *origin.packets]))
        room = 0 if message.full else MAX_MESSAGE_BYTES - len(message.octets)
        if len(payload) > room:
            if _TOO_LARGE not in message.problems and not message.full:
                message.problems.append(_TOO_LARGE)
            message.damaged = True
            payload = payload[:room]
        message.octets += payload
        if header.fin:
            self._message = None
            self._complete(message, Origin(origin.time_ns, tuple(message.packets)), whole=True)
        else:
            self._message = message

    def _complete(self, message: _Open, origin: Origin, *, whole: bool) -> None:
        payload, problems = bytes(message.octets), list(message.problems)
        if message.compressed and self.inflater is not None:
            if message.damaged or not whole:
                self.inflater.lose(message.wire_size)
                payload = b""
                problems.append(Problem("ws.context-lost", "A part of this compressed message was not captured."))
            else:
                payload, problem = self.inflate(payload)
                problems += [problem] if problem else []
        if not message.binary and not problems and not _is_utf8(payload):
            problems.append(_NOT_UTF8)
            self._blame_text(payload)
        self.sink.text(
            self.side,
            Text(
                payload,
                origin,
                message.wire_size,
                message.frames,
                message.compressed,
                message.binary,
                tuple(problems),
            ),
        )

    def inflate(self, payload: bytes) -> tuple[bytes, Problem | None]:
        """The text of the next compressed message, and what is to be said of it."""
        assert self.inflater is not None
        text, problem, _ = self.inflater.message(payload)
        return text, problem

    def _oversized(self, header: Header, at: int) -> int:
        """Passes over a frame too large to keep. Returns where reading goes on."""
        words = f"The frame has {header.length} payload bytes; more than {MAX_MESSAGE_BYTES} are passed over."
        return self._pass(header, at, Problem("ws.too-large", words))

    def _pass(self, header: Header, at: int, why: Problem) -> int:
        """Passes over a frame, as far as it is there. Returns where reading goes on."""
        stop = at + header.size + header.length
        origin = self._origin(at, len(self._buffer))
        self._pass_over = max(0, stop - len(self._buffer))
        if self.inflater is not None and header.rsv & RSV1:
            self.inflater.lose(None)
        self._break_off(origin.time_ns)
        text = Text(
            b"",
            origin,
            header.size + header.length,
            compressed=bool(header.rsv & RSV1),
            binary=header.opcode != TEXT,
            problems=(why,),
        )
        self.sink.text(self.side, text)
        return min(stop, len(self._buffer))

    def _disbelieve(self, header: Header, at: int) -> None:
        """What should be a header announces an impossible length: frames are searched for behind it."""
        time_ns = self._origin(at, at + header.size).time_ns
        self._consume(at)
        if self.inflater is not None:
            self.inflater.lose(None)
        self._break_off(time_ns)
        self._lose_sync()
        self._skip(1)

    # --- loss -------------------------------------------------------------------------------------------------

    def _rest_of_frame(self) -> int:
        """Bytes that the frame at the start of the buffer still lacks, as far as its header tells."""
        if self.state is State.SEARCHING:
            return 0
        header = read_header(self._buffer, 0)
        return header.size + header.length - len(self._buffer) if header is not None else 0

    def _abandon(self, rest: int, time_ns: int) -> None:
        """What is in the buffer will not be completed: states it, as a cut message where the header is known."""
        if not self._buffer:
            return
        header = read_header(self._buffer, 0) if self.state is not State.SEARCHING else None
        if header is None or header.control:
            if self.state is not State.SEARCHING:
                self.sink.unread(self.side, len(self._buffer), time_ns, "the rest of their frame was not captured")
            else:
                self._give_up(len(self._buffer), time_ns)
            return
        held = len(self._buffer)
        origin = self._origin(0, held)
        payload = unmask(self._buffer[header.size :], header.mask)
        if self._violations(header):
            self._blame(bytes(self._buffer))
        words = f"{rest} of the frame's {header.length} payload bytes were not captured."
        whole = header._replace(length=len(payload), fin=True)
        self._data(whole, payload, origin, [Problem("ws.lost-bytes", words)], damaged=True)

    def _give_up(self, count: int, time_ns: int) -> None:
        """Bytes in which no frame starts; they are told of when frames are found again."""
        before, since = self._unread
        self._unread = (before + count, since or time_ns)
        if self.inflater is not None:
            self.inflater.lose(count)

    def _tell_unread(self) -> None:
        count, time_ns = self._unread
        if count:
            self._unread = (0, 0)
            self.sink.unread(self.side, count, time_ns, "no frame could be recognised in them")

    # --- searching --------------------------------------------------------------------------------------------

    def _search(self, *, final: bool) -> bool:
        """Looks for the start of a frame; gives up what lies before it. Whether one was found."""
        found = self._finder.find(self._buffer, final=final)
        before = self._unread[0]
        self._skip(found.at)
        if found.taken:
            self.found_after = self.found_after or before + found.taken
            self._tell_unread()
            self._finder.known = True
            self.state = State.SYNCED
        return bool(found.taken)

    def _skip(self, count: int) -> None:
        if count:
            self._give_up(count, self._marks[0][0])
            self._consume(count)


def read_close(payload: bytes) -> tuple[int | None, str, list[Problem]]:
    """Code, reason and problems of a close frame's payload (RFC 6455 §5.5.1, §7.4)."""
    if not payload:
        return None, "", []
    if len(payload) == 1:
        return None, "", [_CLOSE_ONE_BYTE]
    code = int.from_bytes(payload[:2], "big")
    problems = []
    if not (code in _CLOSE_CODES or 3000 <= code <= 4999):
        problems.append(Problem("ws.close-code", f"Close code {code} must not be sent (RFC 6455 §7.4)."))
    if not _is_utf8(payload[2:]):
        problems.append(_REASON_NOT_UTF8)
    return code, payload[2:].decode("utf-8", "replace"), problems


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _named(packets: list[int]) -> tuple[int, ...]:
    if len(packets) > 1:
        packets = list(dict.fromkeys(packets))
    if len(packets) > MAX_NAMED_PACKETS:
        packets = [*packets[: MAX_NAMED_PACKETS - 1], packets[-1]]
    return tuple(packets)


def _frame_of(payload: bytes, masked: bool) -> bytes:
    """A final text frame around `payload`, with a mask that changes nothing, for the judge."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((0x81, bit | size))
    elif size <= 0xFFFF:
        head = bytes((0x81, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, bit | 127)) + size.to_bytes(8, "big")
    return head + bytes(4 if masked else 0) + payload


_UNFINISHED = Problem("ws.unfinished-message", "Its final fragment never came, or was not captured.")
_UNMASKED = Problem("ws.unmasked", "A station's frame is not masked (RFC 6455 §5.1).")
_MASKED = Problem("ws.masked", "A CSMS's frame is masked (RFC 6455 §5.1).")
_RESERVED_BITS = Problem(
    "ws.reserved-bits", "Reserved bits are set that no agreed extension defines (RFC 6455 §5.2)."
)
_RSV1_CONTINUATION = Problem("ws.rsv1-continuation", "RSV1 is set on a continuation frame (RFC 7692 §6.1).")
_LONG_LENGTH = Problem("ws.length-encoding", "The payload length is not in its shortest form (RFC 6455 §5.2).")
_FRAGMENTED_CONTROL = Problem("ws.fragmented-control", "A control frame is fragmented (RFC 6455 §5.5).")
_CONTINUATION_OF_NOTHING = Problem("ws.continuation", "A continuation frame continues nothing (RFC 6455 §5.4).")
_INTERLEAVED = Problem("ws.interleaved", "A new message starts inside a fragmented one (RFC 6455 §5.4).")
_AFTER_CLOSE = Problem("ws.after-close", "A frame follows the sender's Close frame (RFC 6455 §5.5.1).")
_TOO_LARGE = Problem("ws.too-large", f"The message has more than {MAX_MESSAGE_BYTES} bytes; it was cut.")
_GIVEN_UP = Problem(
    "ws.too-large",
    "What had come of it was given up: unfinished messages of all connections together took too much memory.",
)
_NOT_UTF8 = Problem("ws.not-utf8", "The text is not UTF-8 (RFC 6455 §8.1).")
_CLOSE_ONE_BYTE = Problem("ws.close-payload", "The Close payload has one byte; a code takes two (RFC 6455 §5.5.1).")
_REASON_NOT_UTF8 = Problem("ws.close-reason", "The Close reason is not UTF-8 (RFC 6455 §5.5.1).")
