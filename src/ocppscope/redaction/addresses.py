"""Pseudonyms of IP and MAC addresses and of DNS names, so that a network keeps its shape.

Two addresses with the same first n bits have pseudonyms with the same first n bits (as in Crypto-PAn). What an
address is for stays: a private one stays private, a public one public; loopback, unspecified, broadcast and
documentation addresses stay as they are. Text and bytes in, text and bytes out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from ocppscope.redaction.pseudonyms import Pseudonyms

MAX_WALK = 64
"""Times that an address is moved on until it is of its kind again; then it is of whichever kind it is."""
MAX_ADDRESS_CHARS = 80
"""Longest text that is tried as an address; a longer one is none, and redacted like a name."""

_STAYS = [ip_network(text) for text in (
    "0.0.0.0/8", "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "255.255.255.255/32",
    "::/127", "2001:db8::/32",
)]  # fmt: skip
_KINDS = [ip_network(text) for text in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "198.18.0.0/15", "192.0.0.0/24", "192.88.99.0/24", "fe80::/10", "fc00::/7",
)]  # fmt: skip
"""Ranges with a meaning: an address of one gets a pseudonym in it."""
_KEPT_BITS_OF_MULTICAST = 16
_MAPPED = IPv6Network("::ffff:0:0/96")
_GLOBAL = IPv6Network("2000::/3")
_PLAIN_NAMES = re.compile(
    r"(?i)(?:[\w.-]*\.)?(?:localhost|example|invalid|test|(?:in-addr|ip6)\.arpa|example\.(?:com|net|org))\.?"
)


def as_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is, a zone at its end apart."""
    if len(text) > MAX_ADDRESS_CHARS:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def shown_address(address: IPv4Address | IPv6Address) -> str:
    """The text form; an IPv4 address inside an IPv6 one stays readable (RFC 5952 §5)."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return f"::ffff:{IPv4Address(int(address) & 0xFFFFFFFF)}"
    return str(address)


class Addresses:
    """The pseudonyms of addresses and names of one run."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._bit = lru_cache(1 << 16)(self._bit_after)

    def ip(self, address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """The pseudonym of an address."""
        if isinstance(address, IPv6Address):
            return self._ipv6(address)
        return address if _stays(address) else IPv4Address(self._moved(address, _kind(address)))

    def _ipv6(self, address: IPv6Address) -> IPv6Address:
        if address in _MAPPED:
            inner = self.ip(IPv4Address(int(address) & 0xFFFFFFFF))
            return IPv6Address(int(address) >> 32 << 32 | int(inner))
        if _stays(address):
            return IPv6Address(int(address))
        kind = _kind(address)
        if kind is None and address.is_multicast:
            kind = ip_network((int(address) >> 112 << 112, _KEPT_BITS_OF_MULTICAST))
        return IPv6Address(self._moved(address, kind or (_GLOBAL if address in _GLOBAL else None)))

    def _moved(self, address: IPv4Address | IPv6Address, kind: IPv4Network | IPv6Network | None) -> int:
        kept = kind.prefixlen if kind is not None else 0
        moved = self._permuted(int(address), address.max_prefixlen, kept)
        for _ in range(MAX_WALK):
            new = type(address)(moved)
            if new.is_global == address.is_global and (not _stays(new) and _kind(new) == _kind(address)):
                break
            moved = self._permuted(moved, address.max_prefixlen, kept)
        return moved

    def _permuted(self, number: int, width: int, kept: int) -> int:
        """Each bit is turned or not, as the bits before it say."""
        moved = 0
        for at in range(width):
            before = number >> (width - at)
            bit = number >> (width - at - 1) & 1
            turn = at >= kept and self._bit(width, at, before)
            moved = moved << 1 | (bit ^ turn)
        return moved

    def _bit_after(self, width: int, at: int, before: int) -> int:
        return self._pseudonyms.digest(f"ip {width} {at}", before.to_bytes(16, "big"))[0] & 1

    def mac(self, octets: bytes) -> bytes:
        """The pseudonym of a MAC address; the bits for multicast and local addresses, broadcast and zeros stay."""
        if octets in (b"\xff" * len(octets), bytes(len(octets))):
            return octets
        digest = self._pseudonyms.digest("mac", octets)
        return bytes([digest[0] & 0xFC | octets[0] & 0x03]) + digest[1 : len(octets)]

    def name(self, name: str) -> str:
        """The pseudonym of a DNS name, label by label; its last label stays, and names that nobody can own."""
        if _PLAIN_NAMES.fullmatch(name):
            return name
        labels = name.split(".")
        last = next((at for at in range(len(labels) - 1, 0, -1) if labels[at]), len(labels))
        return ".".join(self._label(one) if at < last else one for at, one in enumerate(labels))

    def _label(self, label: str) -> str:
        lead = label[:4] if label[:4].lower() == "xn--" else ""
        return lead + self._pseudonyms.of(label[len(lead) :]) if label else label


def _stays(address: IPv4Address | IPv6Address) -> bool:
    return any(address.version == one.version and address in one for one in _STAYS)


def _kind(address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network | None:
    return next((one for one in _KINDS if address.version == one.version and address in one), None)
