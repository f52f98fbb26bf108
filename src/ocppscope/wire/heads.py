"""Cuts HTTP/1 messages out of one direction's bytes and reads their heads (RFC 9112 §2 to §7).

Three readers, each `bytes → result | need more`: `HeadBuffer` (header block), `Body` (how far a body reaches),
`read_request`/`read_response` (block → head). h11 and wsproto read the heads that concern an upgrade; what they
refuse is read by the lenient reader here, and their refusal is kept in their words. Heads hold header values as
they were, secrets included: only `wire.handshake` may see them, and it keeps none.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from ocppscope.model import Problem

MAX_HEADER_BYTES = 64 * 1024
"""A header block that has no end after so many bytes is not waited for."""

MAX_CHUNK_LINE_BYTES = 4096
"""A chunk-size or trailer line longer than this ends the reading of that direction's bodies."""

MAX_LINE_PROBLEMS = 8
"""Problems of single header lines kept a head; a hostile head could hold thousands."""

PACKET_BYTES = 40
"""What the number of a packet takes."""

_END = re.compile(rb"\n\r?\n")
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"PATCH ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"TRACE ", b"get ")
_RESPONSE = b"HTTP/1."
MAY_BE_HTTP = frozenset(start[0] for start in (*_METHODS, _RESPONSE, b"\r", b"\n"))
"""First bytes of what `looks_like_request` or `looks_like_response` may take for HTTP."""
_STATUS_LINE = re.compile(r"HTTP/(\d\.\d)[ \t]+(\d{3})(?:[ \t]+(.*))?", re.DOTALL)
_VALUE_IN_WORDS = re.compile(r":? ?(?:bytearray\()?b['\"]")

Headers = tuple[tuple[str, str], ...]


class RequestHead(NamedTuple):
    """A request's start line and headers, latin-1; `refusal`: what a strict server says, "" if it is content."""

    method: str
    target: str
    version: str  # "1.1"; "" where the line has none
    headers: Headers
    problems: tuple[Problem, ...] = ()
    refusal: str = ""


class ResponseHead(NamedTuple):
    """A response's start line and headers, latin-1; status 0 where the line cannot be read."""

    version: str
    status: int
    reason: str
    headers: Headers
    problems: tuple[Problem, ...] = ()
    refusal: str = ""


def is_plain_request(data: bytes | bytearray) -> bool:
    """Whether bytes hold the whole head of a GET request that asks for no upgrade; a quick look, for bulk traffic."""
    end = data.find(b"\r\n\r\n")
    return end > 0 and data.startswith(b"GET ") and b"upgrade" not in data[:end].lower()


def looks_like_request(data: bytes | bytearray) -> bool | None:
    """Whether a client's first bytes are an HTTP/1 request; None: too few to say."""
    data = bytes(data[:16]).lstrip(b"\r\n")
    if data.startswith(_METHODS):
        return True
    return None if any(method.startswith(data) for method in _METHODS) else False


def looks_like_response(data: bytes | bytearray) -> bool | None:
    """Whether a server's first bytes are an HTTP/1 response; None: too few to say."""
    data = bytes(data[:16]).lstrip(b"\r\n")
    if data.startswith(_RESPONSE):
        return True
    return None if _RESPONSE.startswith(data) else False


def values_of(headers: Headers, name: str) -> list[str]:
    """All values of a header, in order; `name` in lower case."""
    return [value for header, value in headers if header.lower() == name]


def has_token(headers: Headers, name: str, token: str) -> bool:
    """Whether a comma-separated header holds a token, compared without case."""
    return any(part.strip().lower() == token for value in values_of(headers, name) for part in value.split(","))


class HeadBuffer:
    """Collects a header block of one direction, and the packets that it came in."""

    __slots__ = ("_scanned", "data", "packets")

    def __init__(self) -> None:
        self.data = bytearray()
        self.packets: list[int] = []
        self._scanned = 0

    def feed(self, data: bytes, packet: int) -> tuple[bytes | None, bytes]:
        """The block once it is complete, else None; and the bytes after it."""
        if not self.data:
            data = data.lstrip(b"\r\n")  # RFC 9112 §2.2: empty lines before a request line are ignored
        if not data:
            return None, b""
        if packet not in self.packets[-1:]:
            self.packets.append(packet)
        self.data += data
        end = _END.search(self.data, max(0, self._scanned - 2))
        self._scanned = len(self.data)
        if end is None or end.end() > MAX_HEADER_BYTES:
            return None, b""
        return bytes(self.data[: end.end()]), bytes(self.data[end.end() :])

    def held_back(self) -> int:
        """Bytes of memory that wait for the end of the block, roughly."""
        return len(self.data) + PACKET_BYTES * len(self.packets)

    @property
    def too_large(self) -> bool:
        """Whether no complete block can come any more within the bound."""
        return self._scanned >= MAX_HEADER_BYTES

    def take_packets(self) -> tuple[int, ...]:
        """The packets of the block; the buffer is empty afterwards."""
        packets = tuple(self.packets)
        self.clear()
        return packets

    def clear(self) -> None:
        """Forget everything, secrets included."""
        self.data = bytearray()
        self.packets = []
        self._scanned = 0


class _Part(Enum):
    SIZE = auto()  # the line that says how long the next chunk is
    DATA = auto()  # a chunk, or a body of known length
    CRLF = auto()  # the line end after a chunk
    TRAILER = auto()  # lines after the last chunk, up to an empty one
    ALL = auto()  # everything until the connection closes
    DONE = auto()


class Body:
    """Says which bytes of a direction belong to one body (RFC 9112 §6 and §7)."""

    __slots__ = ("_chunked", "_left", "_line", "_part")

    def __init__(self, length: int | None = None, *, chunked: bool = False) -> None:
        self._part = _Part.SIZE if chunked else _Part.ALL if length is None else _Part.DATA if length else _Part.DONE
        self._left = length or 0
        self._chunked = chunked
        self._line = bytearray()

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return self._part is _Part.DONE

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's own bytes (chunk framing removed) and the bytes after the body."""
        content: list[bytes] = []
        while data and self._part is not _Part.DONE:
            if self._part is _Part.ALL:
                content.append(data)
                data = b""
            elif self._part is _Part.DATA:
                content.append(data[: self._left])
                data = self._pass(data)
            else:
                data = self._feed_line(data)
        return b"".join(content), data

    def _pass(self, data: bytes) -> bytes:
        taken = min(len(data), self._left)
        self._left -= taken
        if not self._left:
            self._part = _Part.CRLF if self._chunked else _Part.DONE
        return data[taken:]

    def _feed_line(self, data: bytes) -> bytes:
        room = MAX_CHUNK_LINE_BYTES - len(self._line)
        end = data.find(b"\n", 0, room + 1)
        if end < 0 and len(data) > room:
            self._part = _Part.ALL
            return data[room:]
        self._line += data if end < 0 else data[:end]
        if end < 0:
            return b""
        self._end_line(bytes(self._line).strip())
        self._line.clear()
        return data[end + 1 :]

    def _end_line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            size = line.partition(b";")[0].strip()
            known = re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size)
            self._left = int(size, 16) if known else 0
            self._part = _Part.DATA if self._left else _Part.TRAILER if known else _Part.ALL
        elif self._part is _Part.CRLF:
            self._part = _Part.SIZE if not line else _Part.ALL
        elif not line:
            self._part = _Part.DONE


def body_of(headers: Headers, *, response: bool) -> Body:
    """The body that follows a head (RFC 9112 §6.3); a response without a length reaches to the end."""
    if values_of(headers, "transfer-encoding"):
        return Body(chunked=has_token(headers, "transfer-encoding", "chunked"))
    lengths = {value.strip() for value in values_of(headers, "content-length")}
    if len(lengths) == 1 and re.fullmatch(r"\d{1,15}", length := lengths.pop()):
        return Body(int(length))
    return Body(None if response else 0)


def read_request(block: bytes) -> RequestHead:
    """The head in a header block; h11 and wsproto are asked where it concerns a WebSocket upgrade."""
    line, headers, problems = _split(block)
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not re.fullmatch(r"HTTP/\d\.\d", version):
        target, version = rest, ""
        problems.append(Problem("http.start-line", "the request line does not end in an HTTP version (RFC 9112 §3)"))
    head = RequestHead(method, target.strip(" "), version[5:], headers, tuple(problems))
    if not concerns_upgrade(headers):
        return head
    strict, refusal = _read_strictly(block)
    return strict._replace(problems=head.problems) if strict else head._replace(refusal=refusal)


def concerns_upgrade(headers: Headers) -> bool:
    """Whether a head asks for WebSocket, however wrongly: `Upgrade: websocket` or any `Sec-WebSocket-*`."""
    return has_token(headers, "upgrade", "websocket") or any(
        name.lower().startswith("sec-websocket-") for name, _ in headers
    )


def _read_strictly(block: bytes) -> tuple[RequestHead | None, str]:
    """The head as h11 reads it, or None and the refusal in the words of wsproto or h11."""
    import h11  # noqa: PLC0415 - 7 ms, and most captures begin with other traffic
    from wsproto.connection import ConnectionType  # noqa: PLC0415
    from wsproto.handshake import H11Handshake  # noqa: PLC0415

    try:
        H11Handshake(ConnectionType.SERVER).receive_data(block)
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(block)
        request = reader.next_event()
    except Exception as refusal:  # an observer never stops, whatever its libraries raise
        return None, words_of(refusal.__context__ or refusal)
    if not isinstance(request, h11.Request):
        return None, "no request"
    version = request.http_version.decode("latin-1")
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    return RequestHead(method, target, version, _text(request.headers.raw_items())), ""


def _text(items: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), bytes(value).decode("latin-1")) for name, value in items)


def words_of(refusal: BaseException) -> str:
    """An exception of h11 or wsproto in its own words, without the bytes of the peer that it may quote."""
    if isinstance(refusal, UnicodeError):
        return "a header that it needs is not ASCII"
    return _VALUE_IN_WORDS.split(str(refusal))[0] or type(refusal).__name__


def read_response(block: bytes, *, strict: bool) -> ResponseHead:
    """The head in a header block; h11 is asked first where `strict`, as for the answer to an upgrade."""
    line, headers, problems = _split(block)
    match = _STATUS_LINE.fullmatch(line)
    version, status, reason = (match[1], int(match[2]), match[3] or "") if match else ("", 0, "")
    if not match:
        problems.append(Problem("http.start-line", "the status line cannot be read (RFC 9112 §4)"))
    head = ResponseHead(version, status, reason.strip(" \t"), headers, tuple(problems))
    if not strict:
        return head
    read, refusal = _read_response_strictly(block)
    return read._replace(problems=head.problems) if read else head._replace(refusal=refusal)


def _read_response_strictly(block: bytes) -> tuple[ResponseHead | None, str]:
    import h11  # noqa: PLC0415

    try:
        reader = h11.Connection(h11.CLIENT)
        asked = [("Host", "csms"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
        reader.send(h11.Request(method="GET", target="/", headers=asked))
        reader.receive_data(block)
        answer = reader.next_event()
    except Exception as refusal:
        return None, words_of(refusal)
    if not isinstance(answer, h11.Response | h11.InformationalResponse):
        return None, "no response"
    version, reason = answer.http_version.decode("latin-1"), bytes(answer.reason).decode("latin-1")
    return ResponseHead(version, answer.status_code, reason, _text(answer.headers.raw_items())), ""


def _split(block: bytes) -> tuple[str, Headers, list[Problem]]:
    """Start line, headers and problems of a block, whatever is in it (RFC 9112 §2.2, §5)."""
    lines = block.split(b"\n")[:-1]
    problems: list[Problem] = []
    if any(not line.endswith(b"\r") for line in lines):
        problems.append(Problem("http.line-ending", "a line of the head ends in LF without CR (RFC 9112 §2.2)"))
    texts = [line.removesuffix(b"\r").decode("latin-1") for line in lines]
    headers: list[tuple[str, list[str]]] = []
    for number, line in enumerate(texts[1:], 2):
        if line.startswith((" ", "\t")):
            note(problems, "http.obs-fold", f"line {number} of the head continues the one before (RFC 9112 §5.2)")
            headers = headers or [("", [])]
            headers[-1][1].append(line.strip(" \t"))
        elif line:
            name, value = _header(line, number, problems)
            headers.append((name, [value]))
    return texts[0], tuple((name, " ".join(filter(None, parts))) for name, parts in headers), problems


def _header(line: str, number: int, problems: list[Problem]) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        note(problems, "http.header-malformed", f"line {number} of the head has no colon (RFC 9112 §5)")
        return "", line
    if not _TOKEN.fullmatch(name):
        note(
            problems, "http.header-malformed", f"line {number} of the head has an illegal header name (RFC 9112 §5.1)"
        )
    if not line.isascii():
        note(problems, "http.non-ascii", f"line {number} of the head holds bytes beyond ASCII (RFC 9110 §5.5)")
    return name.strip(" \t"), value.strip(" \t")


def note(problems: list[Problem], code: str, text: str) -> None:
    """Add a problem of a single line, unless there are `MAX_LINE_PROBLEMS` already."""
    if len(problems) < MAX_LINE_PROBLEMS:
        problems.append(Problem(code, text))
