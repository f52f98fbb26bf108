"""Turns the heads of an upgrade into a `Handshake`: what was negotiated, and what is wrong with it (RFC 6455 §4).

Heads in, `Handshake` out. Here secrets end: what a `Handshake`, an `Opening` or a `Problem` holds has been blanked.
It keeps no head, reads no bytes, and knows nothing of connections.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from ocppscope.model import Handshake, Problem
from ocppscope.wire.blanking import (
    blank_authorization,
    blank_header,
    blank_protocols,
    blank_target,
    blank_text,
    split_list,
)
from ocppscope.wire.extensions import Extension, agree, judge_offers, parse_extensions
from ocppscope.wire.heads import Headers, RequestHead, ResponseHead, concerns_upgrade, has_token, values_of

MAX_IDENTITY_CHARS = 48
"""The longest station identity (OCPP 2.0.1 Part 4 §3.1.1)."""
MAX_SHARED_CHARS = 128
"""Characters of a header, blanked, up to which it is looked up among those of other heads."""

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_KEY_BYTES = 16
_ONCE = ("host", "sec-websocket-key", "sec-websocket-version", "sec-websocket-accept", "authorization")


class Opening(NamedTuple):
    """A request, and what its answer has to be held against."""

    handshake: Handshake
    upgrade: bool  # whether it asks for WebSocket
    protocols: dict[bytes, str]  # SHA-256 of each offered token as sent → the token as shown
    extensions: tuple[Extension, ...]


def open_handshake(head: RequestHead, time_ns: int, packets: tuple[int, ...]) -> Opening:
    """What a request says; a plain one is only blanked, not judged."""
    upgrade = concerns_upgrade(head.headers)
    protocols = [token for value in values_of(head.headers, "sec-websocket-protocol") for token in split_list(value)]
    tokens = [token for token in protocols if token]
    shown = blank_protocols(tokens)
    offers = parse_extensions(values_of(head.headers, "sec-websocket-extensions"))
    station, faults = identity(head.target)
    authorizations = [blank_authorization(value) for value in values_of(head.headers, "authorization")]
    handshake = Handshake(
        method=blank_text(head.method),
        target=blank_target(head.target),
        station=station,
        user=next((a.user for a in authorizations if a.user), ""),
        request_headers=_shown_headers(head.headers),
        key=_first(head.headers, "sec-websocket-key"),
        websocket_version=_first(head.headers, "sec-websocket-version"),
        offered_protocols=tuple(shown),
        offered_extensions=tuple(blank_text(offer.text) for offer in offers),
        requested_ns=time_ns,
        request_packets=packets,
    )
    if upgrade:
        problems = [*head.problems, *_judge_request(head, handshake), *faults, *_judge_protocols(protocols)]
        problems += judge_offers(offers)
        if any(authorization.malformed for authorization in authorizations):
            problems.append(Problem("http.basic-malformed", "Basic credentials are not base64 of user:password"))
        handshake = replace(handshake, problems=tuple(problems))
    return Opening(handshake, upgrade, dict(zip(map(_digest, tokens), shown, strict=True)), offers)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


def _first(headers: Headers, name: str) -> str:
    return next(iter(values_of(headers, name)), "")


def _shown_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple(_shared_header(*blank_header(name, value)) for name, value in headers)


def _shared_header(name: str, value: str) -> tuple[str, str]:
    """A header, and where it is short, the one that other heads have: most headers of a fleet are alike."""
    return _one_of_its_kind(name, value) if len(name) + len(value) <= MAX_SHARED_CHARS else (name, value)


@lru_cache(maxsize=1024)
def _one_of_its_kind(name: str, value: str) -> tuple[str, str]:
    return name, value


def identity(target: str) -> tuple[str, list[Problem]]:
    """The identity (OCPP-J 1.6 §3.1.1: the percent-decoded last path segment), and what is wrong with it."""
    path = re.split(r"[?#]", re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", blank_target(target)))[0]
    segment = next((part for part in reversed(path.split("/")) if part), "")
    raw = unquote_to_bytes(segment.encode("latin-1"))
    broken = re.search(r"%(?![0-9A-Fa-f]{2})", segment) is not None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name, broken = raw.decode("latin-1"), True
    name = blank_text(name)
    checks = [
        (not name, "http.identity-missing", "the path has no segment that could be the station's identity"),
        (broken, "http.identity-encoding", "the identity is not percent-encoded UTF-8 (OCPP-J 1.6 §3.1.1)"),
        (
            len(name) > MAX_IDENTITY_CHARS,
            "http.identity-too-long",
            f"the identity has {len(name)} characters, over 48",
        ),
        (":" in name, "http.identity-colon", "the identity holds a colon, which Basic authentication cannot carry"),
        (not name.isprintable(), "http.identity-control", "the identity holds control characters"),
    ]
    return name, _holding(checks)


def _holding(checks: Sequence[tuple[bool, str, str]]) -> list[Problem]:
    return [Problem(code, text) for wrong, code, text in checks if wrong]


def _judge_request(head: RequestHead, handshake: Handshake) -> list[Problem]:
    """RFC 6455 §4.1 (what a client must send) and §4.2.1 (what a server must look for)."""
    headers = head.headers
    legal_target = head.target.isascii() and head.target.isprintable() and " " not in head.target
    length = _first(headers, "content-length").strip()
    checks = [
        (bool(head.refusal), "http.strict-request", f"a strict server refuses this request: {head.refusal}"),
        (head.method != "GET", "http.method", "the upgrade request is no GET (RFC 6455 §4.1)"),
        (
            head.version in ("0.9", "1.0"),
            "http.version",
            "the upgrade request is older than HTTP/1.1 (RFC 6455 §4.1)",
        ),
        (not legal_target, "http.target", "the request target holds blanks, control or non-ASCII characters"),
        ("#" in head.target, "http.target", "the request target holds a fragment (RFC 6455 §3)"),
        (not values_of(headers, "host"), "http.host-missing", "the request has no Host header (RFC 6455 §4.1)"),
        *_switching_checks(headers, "request"),
        (handshake.websocket_version.strip() != "13", "http.websocket-version", _version_fault(handshake)),
        (not handshake.key, "http.key-missing", "the request has no Sec-WebSocket-Key (RFC 6455 §4.1)"),
        (bool(handshake.key) and not _is_key(handshake.key), "http.key-invalid", _KEY_FAULT),
        (length not in ("", "0"), "http.upgrade-with-body", "the upgrade request announces a body"),
        (_stranger(handshake), "http.user-not-identity", "the Basic user is not the station identity of the path"),
    ]
    return _holding(checks) + _repeated(headers, "request")


_KEY_FAULT = f"Sec-WebSocket-Key is not the base64 of {_KEY_BYTES} bytes (RFC 6455 §4.1)"


def _version_fault(handshake: Handshake) -> str:
    return f"Sec-WebSocket-Version is {'not 13' if handshake.websocket_version else 'missing'} (RFC 6455 §4.1)"


def _stranger(handshake: Handshake) -> bool:
    return bool(handshake.user and handshake.station) and handshake.user != handshake.station


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode("latin-1"), validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _switching_checks(headers: Headers, what: str) -> list[tuple[bool, str, str]]:
    upgrade, connection = has_token(headers, "upgrade", "websocket"), has_token(headers, "connection", "upgrade")
    return [
        (not upgrade, "http.upgrade-header", f"the {what} lacks `Upgrade: websocket` (RFC 6455 §4)"),
        (not connection, "http.connection-header", f"the {what} lacks `Connection: Upgrade` (RFC 6455 §4)"),
    ]


def _repeated(headers: Headers, what: str) -> list[Problem]:
    repeated = [name for name in _ONCE if len(values_of(headers, name)) > 1]
    return [Problem("http.header-duplicate", f"the {what} holds {name} more than once") for name in repeated]


def _judge_protocols(offered: Sequence[str]) -> list[Problem]:
    """RFC 6455 §4.1 (tokens, each once), OCPP-J 1.6 §3.1.2 (must be present); empty elements: RFC 9110 §5.6.1."""
    tokens = [token for token in offered if token]
    strange = sum(not _TOKEN.fullmatch(token) for token in tokens)
    empty = len(offered) - len(tokens)
    checks = [
        (not tokens, "http.protocol-missing", "the station offers no subprotocol (OCPP-J 1.6 §3.1.2)"),
        (empty > 0, "http.protocol-malformed", f"{empty} empty element(s) in Sec-WebSocket-Protocol (stray comma)"),
        (strange > 0, "http.protocol-malformed", f"{strange} offered subprotocol(s) are no tokens (RFC 6455 §4.1)"),
        (len(set(tokens)) < len(tokens), "http.protocol-duplicate", "a subprotocol is offered more than once"),
    ]
    return _holding(checks)


def unknown_opening(time_ns: int) -> Opening:
    """Stands for a request that the capture does not hold."""
    blank = Handshake("", "", "", "", (), "", "", (), (), requested_ns=time_ns)
    return Opening(blank, upgrade=False, protocols={}, extensions=())


def answer(opening: Opening, head: ResponseHead, time_ns: int, packets: tuple[int, ...]) -> Handshake:
    """The handshake with its response; a 101 is judged (RFC 6455 §4.2.2), a refusal only reported."""
    asked = opening.handshake
    chosen = [token for value in values_of(head.headers, "sec-websocket-protocol") for token in split_list(value)]
    shown = [opening.protocols.get(_digest(token)) or blank_protocols([token])[0] for token in chosen]
    extensions = parse_extensions(values_of(head.headers, "sec-websocket-extensions"))
    headers = tuple(
        (header[0], ", ".join(shown)) if header[0].lower() == "sec-websocket-protocol" else header
        for header in _shown_headers(head.headers)
    )
    answered = replace(
        asked,
        status=head.status,
        reason=blank_text(head.reason),
        response_headers=headers,
        accept=_first(head.headers, "sec-websocket-accept"),
        protocol=next((token for token in shown if token), None),
        extensions=tuple(blank_text(extension.text) for extension in extensions),
        answered_ns=time_ns,
        response_packets=packets,
    )
    if head.status != 101:
        problems = (*asked.problems, *head.problems) if opening.upgrade else asked.problems
        return replace(answered, problems=problems)
    known = bool(asked.method)
    deflate, faults = agree(opening.extensions if known else None, extensions)
    accept_ok = _accepts(asked.key, answered.accept) if asked.key else None
    problems = (
        *asked.problems,
        *head.problems,
        *_judge_response(opening, head, accept_ok),
        *(_judge_choice(opening, chosen) if known else ()),
        *faults,
    )
    return replace(answered, deflate=deflate, accept_ok=accept_ok, problems=problems)


def _accepts(key: str, accept: str) -> bool:
    from wsproto.utilities import generate_accept_token  # noqa: PLC0415 - 30 ms, needed with a handshake only

    token: Callable[[bytes], bytes] = generate_accept_token
    return token(key.encode("latin-1")) == accept.encode("latin-1")


def _judge_response(opening: Opening, head: ResponseHead, accept_ok: bool | None) -> list[Problem]:
    """RFC 6455 §4.1 (what a client must check) and §4.2.2 (what a server must send)."""
    given = bool(_first(head.headers, "sec-websocket-accept"))
    unasked = bool(opening.handshake.method) and not opening.upgrade
    checks = [
        (bool(head.refusal), "http.strict-response", f"a strict client refuses this response: {head.refusal}"),
        (unasked, "http.unasked-upgrade", "the CSMS switches protocols although the request did not ask for it"),
        (head.version in ("0.9", "1.0"), "http.version", "the response is older than HTTP/1.1 (RFC 6455 §4.2.2)"),
        *_switching_checks(head.headers, "response"),
        (not given, "http.accept-missing", "the response has no Sec-WebSocket-Accept (RFC 6455 §4.2.2)"),
        (given and accept_ok is False, "http.accept-wrong", "Sec-WebSocket-Accept does not answer the key (§4.2.2)"),
    ]
    return _holding(checks) + _repeated(head.headers, "response")


def _judge_choice(opening: Opening, chosen: Sequence[str]) -> list[Problem]:
    tokens = [token for token in chosen if token]
    offered = [_digest(token) in opening.protocols for token in tokens]
    none = not tokens and bool(opening.protocols)
    checks = [
        (none, "http.protocol-none-chosen", "the CSMS chose none of the offered subprotocols (OCPP-J 1.6 §3.2)"),
        (len(tokens) > 1, "http.protocol-several", f"the CSMS chose {len(tokens)} subprotocols (RFC 6455 §4.2.2)"),
        (
            not all(offered),
            "http.protocol-not-offered",
            "the CSMS chose a subprotocol that the station did not offer",
        ),
    ]
    return _holding(checks)
