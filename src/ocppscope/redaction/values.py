"""Single values, each redacted as its field demands; what was done is counted and remembered.

A value keeps within the limit of its schema if it did, and stays beyond it if it was. Texts in, texts out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING

from ocppscope.redaction.addresses import Addresses, as_address, shown_address
from ocppscope.redaction.blanks import blanked, blanked_key, faceless, fitted, is_blank
from ocppscope.redaction.detectors import LONG_NUMBER, hits
from ocppscope.redaction.fields import Field, by_words, is_hex_key
from ocppscope.redaction.freetext import FreeText
from ocppscope.redaction.instants import DATE_TIME, shifted
from ocppscope.redaction.known import Known
from ocppscope.redaction.pseudonyms import Pseudonyms
from ocppscope.redaction.urls import Urls, is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.redaction.policy import Policy

ENDPOINTS = frozenset(
    {
        "ocpp", "ocppj", "ocpp-j", "ocpp16", "ocpp1.6", "ocpp16j", "ocpp20", "ocpp201", "ocpp2.0.1", "ocpp21",
        "centralsystemservice", "websocket", "ws",
    }
)  # fmt: skip
"""Last parts of paths that are the CSMS's and no station's name."""
MAX_IDENTIFIER_CHARS = 1024
"""A longer text is no identifier: it loses its letters and digits, and gets no pseudonym of its own."""

_ADDRESS_KINDS = frozenset({"outlet", "inlet", "body", "cable", "ev", "upstream"})
_HARMLESS = re.compile(r"(?i)true|false|on|off|yes|no|null|none|enabled|disabled|[0-9]")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}|(?:[0-9A-Fa-f]{2}){5})")
_PEM = re.compile(r"-----BEGIN [^-]*-----([A-Za-z0-9+/=\s\\nr]*)")
_EXTENSION = re.compile(r"(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,4}\Z")
_PLAIN_NUMBER = re.compile(r"[0-9]+")


class Values:
    """The redaction of values of one run."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.pseudonyms = Pseudonyms(policy.key)
        self.addresses = Addresses(self.pseudonyms)
        self.known = Known()
        self.tally: Counter[str] = Counter()
        self.kept: set[str] = set()
        self.urls = Urls(self)
        self.free = FreeText(self)
        self.inside: Callable[[str], str] = self.free.scrubbed  # of what may be JSON: set by who can read it
        self._ways: dict[Field, Callable[[str], str]] = {
            Field.TOKEN: lambda text: self.identifier(text, Field.TOKEN),
            Field.EQUIPMENT: self.equipment,
            Field.HASH: lambda text: self.identifier(text, Field.HASH),
            Field.NETWORK: self.network,
            Field.FILE: self.file,
            Field.URL: self.url,
            Field.CERTIFICATE: self.certificate,
            Field.PLACE: self.place,
            Field.TIME: self.time,
            Field.DATA: self.free.scrubbed,
            Field.SCAN: self.free.scrubbed,
            Field.FREE: self.free_text,
            Field.STAYS: self.free.staying,
            Field.SIGNED: self.signed,
            Field.MEASURED: self.free.staying,
        }

    def value(self, field: Field, text: str, limit: int | None = None, name: str = "") -> str:
        """What is written instead of a text. `name` is that of a key or variable whose value it is."""
        if is_blank(text):
            return text
        if field is Field.SETTING:
            field = by_words(name)
            if _HARMLESS.fullmatch(text):
                return text
        if field in _BLANKED:
            return self.secret(text, field, limit, name)
        if len(text) > MAX_IDENTIFIER_CHARS and field in _PSEUDONYMS:
            self.tally[field] += 1
            return faceless(text)
        shown = self._ways[field](text)
        return shown if limit is None or len(shown) == len(text) else fitted(shown, len(text), limit)

    def number(self, field: Field, text: str, name: str = "") -> str:
        """What is written instead of a number: a number."""
        if field is Field.SETTING:
            field = by_words(name)
        if field in _PSEUDONYMS and _PLAIN_NUMBER.fullmatch(text):
            return self.identifier(text, field) if len(text) > 1 else text
        if field in _BLANKED or field in _PSEUDONYMS or field is Field.PLACE:
            self.tally[field] += text != "0"
            return "0.0" if "." in text else "0"
        if len(text) < 6:
            return text
        if field is Field.STAYS:
            return "0" if len(text) >= LONG_NUMBER and hits(text) else text
        return text if self.free.scrubbed(text) == text else "0"

    def secret(self, text: str, field: Field, limit: int | None = None, name: str = "") -> str:
        """A blank."""
        shown = blanked_key(text, limit) if is_hex_key(name) else blanked(text, limit)
        if shown != text:
            self.tally[field] += 1
            self.known.learn(text, "***", field, cased=False)
        return shown

    def part(self, text: str, field: Field) -> str:
        """The pseudonym of a part of a path. Plain words in it are not looked for in other texts."""
        if any(char.isdecimal() for char in text):
            return self.identifier(text, field)
        shown = self.pseudonyms.of(text)
        self.tally[field] += shown != text
        return shown

    def identifier(self, text: str, field: Field, *, sure: bool = False) -> str:
        """A pseudonym."""
        shown = self.pseudonyms.of(text)
        if shown != text:
            self.tally[field] += 1
            if not DATE_TIME.fullmatch(text):  # which stands where it has nothing to do with this
                self.known.learn(text, shown, field, cased=True, sure=sure)
        return shown

    def equipment(self, text: str) -> str:
        """A pseudonym, if wanted."""
        return self.identifier(text, Field.EQUIPMENT) if self.policy.equipment else self.free.scrubbed(text)

    def station(self, identity: str) -> str:
        """The pseudonym of a station, which may be known by its address only."""
        if as_address(identity) is not None:
            return self.address(identity)
        if not identity or not self.policy.equipment or identity.lower() in ENDPOINTS:
            return identity
        return self.identifier(identity, Field.EQUIPMENT, sure=True)

    def address(self, text: str) -> str:
        """The pseudonym of an IP address; another text stays."""
        found = as_address(text)
        if found is None or not self.policy.network:
            return text
        shown = shown_address(self.addresses.ip(found))
        if shown != text:
            self.tally[Field.NETWORK] += 1
            self.known.learn(text, shown, Field.NETWORK, cased=False)
        self.kept.add(shown)
        return shown

    def mac(self, octets: bytes) -> bytes:
        """The pseudonym of a MAC address."""
        return self.addresses.mac(octets) if self.policy.network else octets

    def host(self, text: str) -> str:
        """The pseudonym of an address or a DNS name."""
        if not self.policy.network:
            return text
        if as_address(text) is not None:
            return self.address(text)
        if any(hit.end - hit.start < len(text) for hit in hits(text)):
            self.tally[Field.NETWORK] += 1
            return "***"  # 10.20.30.40.nip.io: its pseudonym would look like an address, too
        shown = self.addresses.name(text)
        if shown != text:
            self.tally[Field.NETWORK] += 1
            self.known.learn(text, shown, Field.NETWORK, cased=True)
        return shown

    def network(self, text: str) -> str:
        """The pseudonym of whatever names a place in a network: address, MAC, host with or without port, URL."""
        if is_url(text):
            return self.url(text)
        if not self.policy.network:
            return self.free.scrubbed(text)
        if _MAC.fullmatch(text):
            return self.mac_text(text)
        return self.urls.authority(text)

    def mac_text(self, text: str) -> str:
        """The pseudonym of a MAC address in its notation."""
        if not self.policy.network:
            return text
        mark = text[2] if text[2] in ":-" else ""
        octets = self.addresses.mac(bytes.fromhex(text.replace(mark, "") if mark else text)).hex(mark or ":")
        shown = octets if mark else octets.replace(":", "")
        shown = shown.upper() if text != text.lower() else shown
        if shown != text:
            self.tally[Field.NETWORK] += 1
            self.known.learn(text, shown, Field.NETWORK, cased=False)
        self.kept.add(shown)
        return shown

    def url(self, text: str) -> str:
        """A URL without credentials and query, its host and path as pseudonyms."""
        shown = self.urls.redacted(text) if is_url(text) else self.urls.path(text)
        self.tally[Field.URL] += shown != text
        return shown

    def file(self, text: str) -> str:
        """A file name, or a path: each part a pseudonym, the extension stays."""
        extension = _EXTENSION.search(text)
        stem = text[: extension.start()] if extension else text
        parts = re.split(r"([/\\])", stem)
        shown = "".join(self.part(one, Field.FILE) if at % 2 == 0 else one for at, one in enumerate(parts))
        return shown + (extension[0] if extension else "")

    def certificate(self, text: str) -> str:
        """`sha256:` and the fingerprint of a certificate, or of whatever else is encoded there."""
        if _FINGERPRINT.fullmatch(text):
            return text
        self.tally[Field.CERTIFICATE] += 1
        return "sha256:" + hashlib.sha256(_encoded(text)).hexdigest()

    def place(self, text: str) -> str:
        """A blank, unless it is an address of a network, or a place of a connector."""
        if text.lower() in _ADDRESS_KINDS:
            return text
        if is_url(text) or as_address(text) is not None:
            return self.network(text)
        return self.secret(text, Field.PLACE)

    def time(self, text: str) -> str:
        """A time, shifted; what is none is searched."""
        moved = shifted(text, self.policy.shift_ns)
        return self.free.scrubbed(text) if moved is None else moved

    def free_text(self, text: str) -> str:
        """A blank if wanted, else searched."""
        return self.secret(text, Field.FREE) if self.policy.free_text else self.free.scrubbed(text)

    def signed(self, text: str) -> str:
        """A blank if wanted, else searched."""
        return self.secret(text, Field.SIGNED) if self.policy.signed_metering else self.free.scrubbed(text)


_BLANKED = frozenset({Field.SECRET, Field.CUSTOMER, Field.SIM})
_PSEUDONYMS = frozenset({Field.TOKEN, Field.EQUIPMENT, Field.HASH, Field.FILE, Field.NETWORK})
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{0,64}")


def _encoded(text: str) -> bytes:
    """The bytes that a PEM text, base64 or hex stands for; of another text its own."""
    found = _PEM.search(text)
    plain = re.sub(r"\s|\\[nr]", "", found[1] if found else text)
    try:
        return bytes.fromhex(plain)
    except ValueError:
        pass
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "surrogatepass")
