"""URLs, request targets and what names a host: without credentials and queries, with pseudonyms for the rest.

Scheme, port, depth of the path and the extension of its last part stay, and that there were a user and a password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from ocppscope.redaction.detectors import hits
from ocppscope.redaction.fields import Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.redaction.values import Values

MAX_URL_CHARS = 8192
"""Characters of a host, and of what follows it in a URL, that are kept; `***` stands for what is beyond."""

_URL = re.compile(r"(?s)([A-Za-z][A-Za-z0-9+.-]{0,31}:)//([^/?#\\]*)(.*)")
_PORT = re.compile(r"(?s)(.*?)(:[0-9]{0,5})?")
_TAIL = re.compile(r"(?s)([^?#]*)(\?[^#]*)?(#.*)?")
_EXTENSION = re.compile(r"(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,4}\Z")
_UNIT = re.compile(r"(?s)%[0-9A-Fa-f]{2}|.")
_PLAIN_PARTS = re.compile(
    r"(?i)(?:ocpp|ocppj|ws|wss|websocket|websockets|socket|api|steve|services?|centralsystemservice|central|csms|cs|cp|"
    r"json|station|stations|charger|chargers|chargepoint|chargepoints|charge-point|evse|connect|gateway|public|"
    r"v?\d{1,2}(?:[._]\d{1,2}){0,2}|ocppj?[-_.v]{0,2}\d{1,3}(?:[._]?\d){0,2}j?|1\.6j?|files?|ftp|firmware|logs?|"
    r"diagnostics?|upload|uploads|download|downloads|updates?|data)"
)
_TOKENISH = re.compile(
    r"(?i)(?=[^/]*\d)[\w.~+=-]{16,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12,}|[\w.~+=-]{24,}"
)
BLANK_USERINFO = "***:***@"


def is_url(text: str) -> bool:
    """Whether it begins with a scheme and an authority."""
    return "://" in text[:40] and _URL.match(text) is not None


class Urls:
    """The redaction of URLs of one run."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def redacted(self, text: str) -> str:
        """A URL: `ftp://***:***@xkqwp.com:21/kdhwlq/a81kq.zip`."""
        scheme, authority, rest = _URL.fullmatch(text).groups()  # type: ignore[union-attr]
        userinfo, at, host = authority.rpartition("@")
        user, colon, password = userinfo.partition(":")
        said = ("***"[: len(user)] + colon + "***"[: len(password)] + at) if at else ""
        self._remember(user, password)
        return f"{scheme}//{said}{self._host(host)}{self.path(rest)}"

    def _host(self, text: str) -> str:
        return self.authority(text[:MAX_URL_CHARS]) + "***" * (len(text) > MAX_URL_CHARS)

    def _remember(self, user: str, password: str) -> None:
        for one in (user, password):
            if one.strip("*"):
                self._values.secret(unquote(one), Field.SECRET)

    def authority(self, text: str) -> str:
        """A host, with a port or without."""
        if text.startswith("[") and "]" in text:
            inside, _, port = text[1:].partition("]")
            return f"[{self._values.host(inside)}]{port if re.fullmatch(r':?[0-9]{0,5}', port) else ''}"
        if text.count(":") > 1:
            return self._values.host(text)
        host, port = _PORT.fullmatch(text).groups()  # type: ignore[union-attr]
        return (self._values.host(host) if host else "") + (port or "")

    def path(self, text: str, *, station: bool = False) -> str:
        """What follows the authority of a URL, or a request target: the query is dropped, its mark stays.

        Of a target the last part is the `station`, and the others stay where they are words of the trade.
        """
        if len(text) > MAX_URL_CHARS and not station:  # whose last part is not to be lost
            return self.path(text[:MAX_URL_CHARS]) + "***"
        path, query, fragment = _TAIL.fullmatch(text).groups()  # type: ignore[union-attr]
        parts = re.split(r"([/\\])", path)
        last = next((at for at in range(len(parts) - 1, -1, -1) if parts[at] not in ("", "/", "\\")), -1)
        shown = [
            one if at % 2 else self._station(one) if station and at == last else self._part(one, target=station)
            for at, one in enumerate(parts)
        ]
        for one in (query, fragment):
            self._query(one or "")
        return (
            "".join(shown)
            + ("?***" if query and len(query) > 1 else query or "")
            + ("#***" if fragment and len(fragment) > 1 else fragment or "")
        )

    def _query(self, query: str) -> None:
        """Remembers the values of a query, so that they are known elsewhere."""
        for pair in re.split("[&;]", query[1:])[:64]:
            value = unquote(pair.partition("=")[2])
            if len(value) >= 6 and not value.startswith("***"):
                self._values.secret(value, Field.SECRET)

    def _part(self, part: str, *, target: bool) -> str:
        if not part or _PLAIN_PARTS.fullmatch(part):
            return part
        userinfo, at, host = part.rpartition("@")
        if at:  # a URL in the path of another
            self._remember(*userinfo.partition(":")[::2])
            return f"***@{self._part(host, target=target)}"
        if any(hit.end - hit.start < len(part) for hit in hits(part)):
            return "***"
        if target and not _TOKENISH.fullmatch(part):
            return self._values.free.known_replaced(part)
        extension = None if target else _EXTENSION.search(part)
        stem = part[: extension.start()] if extension else part
        return self.encoded(stem, lambda text: self._values.part(text, Field.URL)) + (
            extension[0] if extension else ""
        )

    def _station(self, part: str) -> str:
        shown = self.encoded(part, self._values.station)
        if "%" in part and shown != part:
            self._values.known.learn(part, shown, Field.EQUIPMENT, cased=False, sure=True)
        return shown

    def encoded(self, part: str, pseudonym: Callable[[str], str]) -> str:
        """The pseudonym of a percent-encoded part of a path, with what was encoded still encoded."""
        units = _UNIT.findall(part)
        if "%" not in part and part.isascii():
            return pseudonym(part)
        raw = unquote_to_bytes(part.encode("latin-1", "replace"))
        try:
            name, coding = raw.decode(), "utf-8"
        except UnicodeDecodeError:
            name, coding = raw.decode("latin-1"), "latin-1"
        octets = pseudonym(name).encode(coding, "replace")
        if len(octets) != len(units):
            return "".join(
                f"%{one:02X}" if not (48 <= one < 58 or 65 <= one < 91 or 97 <= one < 123) else chr(one)
                for one in octets
            )
        return "".join(_as(unit, octet) for unit, octet in zip(units, octets, strict=True))


def _as(unit: str, octet: int) -> str:
    return (f"%{octet:02x}" if unit[1:] != unit[1:].upper() else f"%{octet:02X}") if len(unit) > 1 else chr(octet)
