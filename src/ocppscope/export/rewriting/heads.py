"""The HTTP part of a direction, redacted: heads by the redactor, bodies with their length kept (RFC 9112).

What cannot be told to be a head or a body is not given back, and so will be blanked by the caller.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.wire.heads import (
    body_of,
    looks_like_request,
    looks_like_response,
    read_request,
    read_response,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.export.rewriting.redacting import Redacting
    from ocppscope.wire.heads import Headers

_END = re.compile(rb"\n\r?\n")
_START = {True: re.compile(rb"[A-Za-z]* ?"), False: re.compile(rb"HTTP/1[.]\d?(?: \d*)?")}
"""What of a head without an end tells that it is one, by whether it is a request."""
_BLANK_LINES = re.compile(rb"[\r\n]*")


class Edit(NamedTuple):
    """A stretch of the old bytes, and what it becomes."""

    start: int
    length: int
    new: bytes


def redacted_http(raw: bytes, redactor: Redacting, *, request: bool) -> Iterator[Edit]:
    """The edits of what one side sent until WebSocket began, in order."""
    at = 0
    while at < len(raw):
        blank = _BLANK_LINES.match(raw, at)
        assert blank is not None
        if blank.end() > at:
            yield Edit(at, blank.end() - at, blank[0])
            at = blank.end()
        end = _END.search(raw, at)
        looks = looks_like_request if request else looks_like_response
        if not looks(raw[at : at + 16]):
            return
        if end is None:
            start = _START[request].match(raw, at)
            yield Edit(at, len(raw) - at, (start[0] if start else b"").ljust(len(raw) - at, b"\0"))
            return
        block = raw[at : end.end()]
        yield Edit(at, len(block), redactor.request_head(block) if request else redactor.response_head(block))
        at = end.end()
        headers, has_body = _headers(block, request=request)
        if has_body and at < len(raw):
            _, rest = body_of(headers, response=not request).feed(raw[at:])
            stop = len(raw) - len(rest)
            yield Edit(at, stop - at, _body(raw[at:stop], headers, redactor))
            at = stop


def _headers(block: bytes, *, request: bool) -> tuple[Headers, bool]:
    """The headers, and whether a body may follow."""
    if request:
        return read_request(block).headers, True
    head = read_response(block, strict=False)
    return head.headers, head.status >= 200 and head.status not in (204, 304)


def _body(raw: bytes, headers: Headers, redactor: Redacting) -> bytes:
    """A body of the same length; one that is no plain text is blanked."""
    if not raw or values_of(headers, "content-encoding"):
        return bytes(len(raw))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return bytes(len(raw))
    return redactor.words(text).encode("utf-8", "replace")[: len(raw)].ljust(len(raw))
