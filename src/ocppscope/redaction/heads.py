"""Heads of HTTP, as bytes on the wire and as the pairs of a `Handshake`.

Names, order, spacing and line endings stay; values are redacted by the name of their header. Nothing here raises.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from ocppscope.redaction.blanks import is_blank, starred
from ocppscope.redaction.fields import Field, by_words
from ocppscope.redaction.instants import shifted_http
from ocppscope.redaction.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.redaction.values import Values

MAX_HEAD_BYTES = 1 << 20
"""Bytes of a head that are looked at; `***` stands for what is beyond, and for the line or body across the end."""

_LINE = re.compile(r"(?s)([^\r\n]*)(\r\n|\r|\n|\Z)")
_REQUEST = re.compile(r"(?s)(\S+[ \t]+)(.*?)([ \t]+HTTP/[0-9.]+[ \t]*)?")
_HEADER = re.compile(r"(?s)([^:\s]+[ \t]*:[ \t]*)(.*?)([ \t]*)")
_RANDOM = frozenset({"sec-websocket-key", "sec-websocket-accept"})
_IS_RANDOM = re.compile(r"[A-Za-z0-9+/]{1,64}={0,2}")
_STAYS = frozenset(
    {
        "upgrade", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding",
        "accept", "accept-encoding", "accept-language", "cache-control", "pragma", "server", "user-agent",
        "x-powered-by", "vary", "allow", "retry-after", "www-authenticate", "proxy-authenticate", "keep-alive",
        "strict-transport-security",
        "x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-ssl", "x-forwarded-port", "expect", "te", "trailer",
    }
)  # fmt: skip
_BLANK = frozenset(
    {
        "cookie", "set-cookie", "cookie2", "set-cookie2", "x-api-key", "x-forwarded-for", "x-real-ip",
        "proxy-authorization", "forwarded", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-client-cert",
        "x-ssl-client-cert", "via",
    }
)  # fmt: skip
_HOSTS = frozenset({"host", "x-forwarded-host", "x-forwarded-server", "x-host"})
_URLS = frozenset({"origin", "referer", "location", "content-location", "sec-websocket-origin"})
_TIMES = frozenset({"date", "expires", "last-modified", "if-modified-since"})
_SIZED = re.compile(r"(?s)(.*?)\*\*\* \(([0-9]{1,9}) bytes\)")
_FORWARDED_PROTO = re.compile(r"(?i)(?:^|[;,\s])proto=\"?(https?|wss?)")
_KNOWN_PROTOCOL = re.compile(r"(?i)[a-z]{0,8}ocpp[\w.-]{0,16}|[a-z][a-z0-9.-]{0,15}")


class Heads:
    """The redaction of heads of one run."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def request(self, head: bytes) -> bytes:
        """A request: its line, its headers, and what follows them."""
        return self._head(head, self._request_line)

    def response(self, head: bytes) -> bytes:
        """A response: its line, its headers, and the body of a refusal."""
        return self._head(head, self._values.free.scrubbed)

    def _head(self, head: bytes, first_line: Callable[[str], str]) -> bytes:
        text, is_cut = head[:MAX_HEAD_BYTES].decode("latin-1"), len(head) > MAX_HEAD_BYTES
        shown: list[str] = []
        at = 0
        while at < len(text):
            match = _LINE.match(text, at)
            assert match is not None, "the pattern matches anywhere"
            line = match[1]
            if is_cut and match.end() == len(text):
                break
            shown += (first_line(line) if at == 0 else self._header_line(line), match[2])
            at = match.end()
            if at and not line and len(shown) > 2:
                shown.append("" if is_cut else self.body(text[at:]))
                break
        if is_cut:
            shown.append("***\r\n\r\n")
        return "".join(shown).encode("latin-1", "replace")

    def _request_line(self, line: str) -> str:
        match = _REQUEST.fullmatch(line)
        if match is None:
            return self._values.free.scrubbed(line)
        return f"{match[1]}{self.target(match[2])}{match[3] or ''}"

    def _header_line(self, line: str) -> str:
        match = _HEADER.fullmatch(line)
        if match is None:
            return self._values.free.scrubbed(line)
        return match[1] + self.value(match[1].rstrip(" \t:"), match[2]) + match[3]

    def body(self, text: str) -> str:
        """What follows a head: a free text in UTF-8, here as its bytes."""
        try:
            said = text.encode("latin-1").decode()
        except UnicodeError:
            return self._values.free.scrubbed(text)
        return self._values.inside(said).encode("utf-8", "surrogatepass").decode("latin-1")

    def target(self, target: str) -> str:
        """A request target: the last part of its path is the station."""
        if is_url(target):
            scheme, _, rest = target.partition("://")
            host, slash, path = rest.partition("/")
            return (
                f"{scheme}://{self._values.urls.authority(host)}{self._values.urls.path(slash + path, station=True)}"
            )
        return self._values.urls.path(target, station=True)

    def value(self, name: str, value: str) -> str:
        """The value of a header."""
        low = name.lower()
        if not value:
            return value
        if low == "authorization":
            return self.authorization(value)
        if low in _BLANK or (low == "(unreadable)"):
            return self._blank(low, value)
        if low in _STAYS:
            return self._values.free.known_replaced(value)
        if low == "sec-websocket-protocol":
            return self._protocols(value)
        if low in _RANDOM and _IS_RANDOM.fullmatch(value):
            return value
        if low in _HOSTS:
            return self._values.urls.authority(value)
        if low in _URLS:
            return self._values.url(value)
        if low in _TIMES:
            return shifted_http(value, self._values.policy.shift_ns)
        return self._other(low, value)

    def _other(self, name: str, value: str) -> str:
        field = by_words(name)
        if field is Field.SCAN:
            return self._values.free.scrubbed(value)
        return self._blank(name, value) if field not in _SHOWN else self._values.value(field, value)

    def _blank(self, name: str, value: str) -> str:
        """Asterisks; that a proxy took a connection out of TLS stays to be seen."""
        if value.strip("*"):
            self._values.tally["header"] += 1
            for one in re.split(r"[;,\s=]+", value)[:64]:
                if len(one) >= 12 and not one.startswith("***"):
                    self._values.known.learn(one, "***", "header", cased=False)
        proto = _FORWARDED_PROTO.search(value) if name == "forwarded" else None
        return f"***;proto={proto[1]}" if proto else "***"

    def _protocols(self, value: str) -> str:
        parts = re.split(r"([,\s]+)", value)
        return "".join(one if at % 2 else self.protocol(one) for at, one in enumerate(parts))

    def protocol(self, token: str) -> str:
        """A subprotocol; what reads like none may be a token of another kind."""
        if not token or is_blank(token) or _KNOWN_PROTOCOL.fullmatch(token):
            return token
        return self._values.secret(token, Field.SECRET)

    def authorization(self, value: str) -> str:
        """`Basic` with the pseudonym of the user and asterisks as many as the password has, roughly; else a blank.

        Also what a `Handshake` keeps of it: `Basic CP-1:*** (16 bytes)`.
        """
        scheme, space, rest = value.partition(" ")
        sized = _SIZED.fullmatch(rest)
        if sized is not None:
            return self._kept(scheme, sized)
        if scheme.lower() == "basic":
            return f"{scheme}{space}{self._basic(rest)}"
        self._values.tally["header"] += 1
        return f"{scheme} ***" if space else "***"

    def _kept(self, scheme: str, sized: re.Match[str]) -> str:
        size = len(starred(int(sized[2])))
        user, colon, rest = sized[1].rpartition(":")
        if scheme.lower() != "basic" or not colon or rest:
            return f"{scheme} *** ({size} bytes)"
        return f"{scheme} {self.user(user)}:*** ({size} bytes)"

    def _basic(self, rest: str) -> str:
        try:
            decoded = base64.b64decode(rest.strip().encode("latin-1"), validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        user, colon, password = decoded.partition(b":")
        self._values.tally["header"] += 1
        if not colon:
            return "***"
        self._remember(rest.strip(), password)
        try:
            name, coding = user.decode(), "utf-8"
        except UnicodeDecodeError:
            name, coding = user.decode("latin-1"), "latin-1"
        shown = self.user(name).encode(coding, "replace") + b":" + starred(len(password)).encode()
        return base64.b64encode(shown).decode()

    def _remember(self, credentials: str, password: bytes) -> None:
        said = password.decode("utf-8", "replace")
        for one in (credentials, said):
            if not is_blank(one):
                self._values.known.learn(one, "***", Field.SECRET, cased=False)

    def user(self, name: str) -> str:
        """The user of Basic authentication: the pseudonym of the station, if it is that."""
        return self._values.station(name) if name else name


_SHOWN = frozenset({Field.NETWORK, Field.URL, Field.EQUIPMENT, Field.TOKEN, Field.STAYS})
