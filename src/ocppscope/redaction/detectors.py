"""What secrets and personal data look like where no field says so. Pure text; every pattern is linear.

A pattern finds a place; whether it really is what it looks like (a firmware version is no address, a time stamp no
card number) is for its check.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.redaction.addresses import as_address
from ocppscope.redaction.blanks import is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


LONG_NUMBER = 14
"""Digits from which a number may be that of a card or a person."""


class Sign(StrEnum):
    """What was found; the value is what the tally and a leak call it."""

    PEM = "PEM"
    DER = "base64 DER"
    BASIC = "Basic credentials"
    BEARER = "Bearer token"
    JWT = "JSON web token"
    USERINFO = "password in a URL"
    URL = "URL"
    EMAIL = "e-mail address"
    IPV4 = "IPv4 address"
    IPV6 = "IPv6 address"
    MAC = "MAC address"
    DIGITS = "long number"
    EMAID = "eMAID"


class Hit(NamedTuple):
    """Characters [start, end) of a text."""

    sign: Sign
    start: int
    end: int


_COUNTRIES = frozenset(
    (
        "AD", "AE", "AL", "AM", "AR", "AT", "AU", "AZ", "BA", "BE", "BG", "BR", "BY", "CA", "CH", "CL", "CN", "CO",
        "CY", "CZ", "DE", "DK", "EE", "EG", "ES", "FI", "FO", "FR", "GB", "GE", "GI", "GR", "HK", "HR", "HU", "IE",
        "IL", "IN", "IS", "IT", "JP", "KR", "KZ", "LI", "LT", "LU", "LV", "MA", "MC", "MD", "ME", "MK", "MT", "MX",
        "MY", "NL", "NO", "NZ", "PE", "PL", "PT", "QA", "RO", "RS", "RU", "SA", "SE", "SG", "SI", "SK", "SM", "TH",
        "TN", "TR", "TW", "UA", "UK", "US", "UY", "VA", "XK", "ZA",
    )
)  # fmt: skip
_NS_FROM, _NS_TO = 946_684_800_000_000_000, 4_102_444_800_000_000_000  # 2000 to 2100


_DER_STARTS = ("MI", "MH", "MF", "TUl", "LS0t")


def _is_der(text: str) -> bool:
    return text.startswith(_DER_STARTS)


def _holds_credentials(text: str) -> bool:
    rest = text.split(None, 1)[1]
    try:
        decoded = base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True)
    except (binascii.Error, ValueError):
        return len(rest) >= 16 and any(char.isdigit() for char in rest)
    _, colon, password = decoded.partition(b":")
    return bool(colon) and not is_blank(password.decode("latin-1"))


def _is_token(text: str) -> bool:
    rest = text.split(None, 1)[1]
    return not is_blank(rest) and not rest.isalpha()


def _is_no_time(text: str) -> bool:
    """Whether digits are no count of ns, µs or ms since 1970 and no date written without separators."""
    number = int(text)
    times = (_NS_FROM <= number * unit < _NS_TO for unit in (1, 1000, 1_000_000))
    return not any(times) and not re.fullmatch(r"(?:19|20)\d\d[01]\d[0-3]\d[0-2]\d[0-5]\d[0-5]\d\d*|(\d)\1*", text)


def _is_ipv4(text: str) -> bool:
    """What begins below 8 or has nothing above 31 in it is a version rather than an address."""
    parts = text.split(".")
    return as_address(text) is not None and (int(parts[0]) >= 10 or max(map(int, parts)) > 99) and parts[0] != "0"


def _is_ipv6(text: str) -> bool:
    return text.count(":") >= 2 and as_address(text) is not None and text.strip(":") != ""


def _is_emaid(text: str) -> bool:
    plain = text.replace("-", "")
    return plain[:2] in _COUNTRIES and sum(char.isdigit() for char in plain[2:]) >= 2 and 13 <= len(plain) <= 15


def _is_password(text: str) -> bool:
    return not all(is_blank(part) for part in text[3:-1].split(":"))


def _always(text: str) -> bool:
    return bool(text)


class _Detector(NamedTuple):
    sign: Sign
    needs: tuple[str, ...]  # of which one must be there at all
    pattern: re.Pattern[str]
    check: Callable[[str], bool]


_PEM = r"-----BEGIN [A-Z0-9 ]{1,40}-----(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{1,40}-----)?"
_EMAIL = r"(?<![\w.+%-])[\w.+%-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
_MAC = r"[0-9A-Fa-f](?<![\w:-][0-9A-Fa-f])[0-9A-Fa-f]([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"
_IPV6 = (
    r"[0-9A-Fa-f:](?<![\w:.][0-9A-Fa-f:])(?=[0-9A-Fa-f:]{0,38}::|(?<=:):|(?:[0-9A-Fa-f]{0,4}:){6})"
    r"[0-9A-Fa-f:]{1,38}+(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:])"
)
_EMAID = r"[A-Z](?<![A-Za-z0-9-][A-Z])[A-Z]-?[A-Z0-9]{3}-?C?[A-Z0-9]{8}(?:-?[A-Z0-9])?(?![A-Za-z0-9-])"
_DETECTORS = tuple(
    _Detector(sign, needs, re.compile(pattern), check)
    for sign, needs, pattern, check in (
        (Sign.PEM, ("-----BEGIN",), _PEM, _always),
        (Sign.JWT, ("eyJ",), r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]++(?:\.[\w-]*+)?", _always),
        (Sign.DER, _DER_STARTS, r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{200,}+={0,2}", _is_der),
        (
            Sign.BASIC,
            ("asic ", "asic\t", "ASIC ", "ASIC\t"),
            r"\b[Bb](?:asic|ASIC)[ \t]{1,4}[A-Za-z0-9+/_-]{8,}+={0,2}",
            _holds_credentials,
        ),
        (
            Sign.BEARER,
            ("earer ", "earer\t", "EARER ", "EARER\t"),
            r"\b[Bb](?:earer|EARER)[ \t]{1,4}[\w.~+/*-]{4,}+=*",
            _is_token,
        ),
        (Sign.USERINFO, ("@",), r"://[^\s/?#@\"'<>]{1,512}@", _is_password),
        (Sign.EMAIL, ("@",), _EMAIL, _always),
        (Sign.MAC, (":", "-"), _MAC, _always),
        (Sign.IPV6, (":",), _IPV6, _is_ipv6),
        (Sign.IPV4, (".",), r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])", _is_ipv4),
        (Sign.DIGITS, ("",), r"[0-9](?<![\w.][0-9])[0-9]{13,21}(?![\w]|\.[0-9])", _is_no_time),
        (Sign.EMAID, ("",), _EMAID, _is_emaid),
    )
)


def hits(text: str) -> list[Hit]:
    """Everything that looks like a secret or a person, in order; what one detector has found, no other looks at."""
    found: list[Hit] = []
    for one in _DETECTORS:
        if not any(part in text for part in one.needs):
            continue
        new = [Hit(one.sign, *match.span()) for match in one.pattern.finditer(text) if one.check(match[0])]
        if new:
            found += new
            text = replaced(text, [(hit.start, hit.end, "\0" * (hit.end - hit.start)) for hit in new])
    found.sort(key=lambda hit: hit.start)
    return found


def replaced(text: str, found: Iterable[tuple[int, int, str]]) -> str:
    """A text with other words at some places, given in order of their starts; of what overlaps the first counts."""
    parts: list[str] = []
    at = 0
    for start, end, new in found:
        if start >= at:
            parts += (text[at:start], new)
        at = max(at, end)
    parts.append(text[at:])
    return "".join(parts)
