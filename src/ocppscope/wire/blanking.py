"""Blanks passwords and tokens in what an HTTP head holds, before anything of it is kept.

Pure text in, text out. What is blanked is replaced by `***` and its size, so that a reader still sees that
something was sent. It may not keep, hash or log what it removes, and when in doubt it removes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

MAX_NAME_CHARS = 100
"""A header name longer than this is cut; no real one comes near."""

UNREADABLE = "(unreadable)"
"""Stands for the name of a header line that has none."""

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_SECRET_WORD = re.compile(r"token|passw|pwd|secret|auth|key|credential|signature|jwt|session|cookie")
_SECRET_NAMES = frozenset({"pass", "sig", "sid", "code", "pw", "pin"})
_OPEN_HEADERS = frozenset(
    {
        "www-authenticate",
        "proxy-authenticate",
        "sec-websocket-key",
        "sec-websocket-accept",
        "sec-websocket-version",
        "sec-websocket-extensions",
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-expose-headers",
    }
)
_SCHEMES = frozenset(
    {"basic", "bearer", "digest", "token", "negotiate", "ntlm", "hoba", "mutual", "apikey", "hawk", "signature"}
)
# The words that lead up to a token in a subprotocol: "authorization.bearer.…", "base64url.bearer.….k8s.io.…".
_TOKEN_WORDS = frozenset(
    {
        "authorization",
        "authentication",
        "auth",
        "bearer",
        "basic",
        "token",
        "access_token",
        "accesstoken",
        "access-token",
    }
    | {
        "jwt",
        "apikey",
        "api_key",
        "api-key",
        "x-api-key",
        "key",
        "password",
        "secret",
        "base64",
        "base64url",
        "k8s",
        "io",
    }
)
_PARAMETER = re.compile(
    r"(?i)((?:^|[?&;\s\"'{,]|%3f|%26|%3b)((?:(?!%3d|%3f|%26|%3b)[\w.%-]){1,64})[\"']?\s*(?:=|%3d|:\s*(?=[\"']))\s*[\"']?)"
    r"((?:(?!%26|%3b)[^&;\s\"'<>])+)"
)
_BEFORE_USERINFO = re.compile(r"[\s/\"'<>]")
_BEARER = re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{8,}")
_BASIC = re.compile(r"(?i)\b(basic)\s+([A-Za-z0-9+/]{4,}={0,2})")
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w.-]+")


class Authorization(NamedTuple):
    """What may be known of an `Authorization` value: its blanked text, the Basic user, whether it is malformed."""

    shown: str
    user: str = ""
    malformed: bool = False


def sized(value: str) -> str:
    """The size of a blanked text: `*** (16 bytes)`. Wire text is latin-1, so a character is a byte."""
    return f"*** ({len(value)} bytes)"


def is_secret_name(name: str) -> bool:
    """Whether a parameter of this name is taken to hold a secret: `access_token`, `pwd`, `apikey`."""
    lowered = unquote(name).lower()
    return lowered in _SECRET_NAMES or _SECRET_WORD.search(lowered) is not None


def blank_authorization(value: str) -> Authorization:
    """`Basic <user>:*** (16 bytes)`, `Bearer *** (120 bytes)`, `*** (9 bytes)` (RFC 7617 §2, RFC 6750 §2.1)."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() not in _SCHEMES:
        return Authorization(sized(value))
    rest = rest.strip()
    if scheme.lower() != "basic":
        return Authorization(f"{scheme} {sized(rest)}")
    try:
        decoded = base64.b64decode(rest.encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        return Authorization(f"{scheme} {sized(rest)}", malformed=True)
    user, colon, password = decoded.partition(b":")
    if not colon:
        return Authorization(f"{scheme} {sized(rest)}", malformed=True)
    name = _utf8_or_latin1(user)
    return Authorization(f"{scheme} {name}:*** ({len(password)} bytes)", name)


def _utf8_or_latin1(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def blank_header(name: str, value: str) -> tuple[str, str]:
    """A header as it may be kept. `Sec-WebSocket-Protocol` is blanked token by token."""
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        return UNREADABLE, sized(value)
    shown = name[:MAX_NAME_CHARS]
    if lowered == "authorization":
        return shown, blank_authorization(value).shown
    if lowered == "proxy-authorization":
        scheme = value.partition(" ")[0]
        return shown, f"{scheme} {sized(value[len(scheme) + 1 :])}" if scheme.lower() in _SCHEMES else sized(value)
    if lowered == "sec-websocket-protocol":
        return shown, ", ".join(blank_protocols(split_list(value)))
    if lowered in _OPEN_HEADERS:
        return shown, value
    return shown, sized(value) if is_secret_name(lowered) else blank_text(value)


def split_list(value: str) -> list[str]:
    """The elements of a comma-separated header value, empty ones included (RFC 9110 §5.6.1)."""
    return [element.strip(" \t") for element in value.split(",")]


def blank_protocols(tokens: Iterable[str]) -> list[str]:
    """Subprotocol tokens without the credentials that browsers and proxies hide among them."""
    shown: list[str] = []
    follows_word = False
    for token in tokens:
        shown.append(sized(token) if follows_word and not _is_ocpp(token) else _blank_protocol(token))
        follows_word = token.lower() in _TOKEN_WORDS
    return shown


def _is_ocpp(token: str) -> bool:
    return re.fullmatch(r"(?i)ocpp\d[\d.]{0,8}", token) is not None


def _blank_protocol(token: str) -> str:
    if token.lower() in _TOKEN_WORDS:
        return token
    words = re.split(r"([.\-_=:|~])", token)
    lead = 0
    while lead + 1 < len(words) and words[lead].lower() in _TOKEN_WORDS:
        lead += 2
    if lead:
        kept = "".join(words[:lead])
        return f"{kept}{sized(token[len(kept) :])}"
    secret = _JWT.search(token) or len(token) > 64 or re.search(r"(?i)bearer|authoriz|passw|secret|token", token)
    return sized(token) if secret else token


def blank_target(target: str) -> str:
    """A request target, or any URL, without the values of secret parameters and the password of its userinfo."""
    head, mark, query = target.partition("?")
    pairs = re.split(r"([&;])", query)
    shown = "".join(pair if pair in "&;" else _blank_pair(pair) for pair in pairs)
    return blank_text(head + mark + shown)


def _blank_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}=***" if equals and value and is_secret_name(name) else pair


def blank_text(text: str) -> str:
    """Any text from the wire, without what reads like a credential: parameters, userinfo, tokens."""
    text = _PARAMETER.sub(lambda m: f"{m[1]}***" if is_secret_name(m[2]) else m[0], text)
    if "@" in text and ":" in text:
        text = "@".join(_blank_userinfo(text.split("@")))
    text = _BEARER.sub(r"\1 ***", text)
    text = _BASIC.sub(_blank_basic, text)
    return _JWT.sub("***", text)


def _blank_userinfo(parts: list[str]) -> Iterable[str]:
    """`user:password` at the end of each part but the last loses its password (RFC 3986 §3.2.1)."""
    for part in parts[:-1]:
        start = next((m.end() for m in _BEFORE_USERINFO.finditer(part, max(0, part.rfind("/")))), 0)
        user, colon, _ = part[start:].partition(":")
        yield f"{part[:start]}{user}:***" if colon else part
    yield parts[-1]


def _blank_basic(match: re.Match[str]) -> str:
    shown = blank_authorization(match[0])
    return match[0] if shown.malformed else f"{match[1]} ***"
