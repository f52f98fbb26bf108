"""Addresses keep their common prefixes and what they are for."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.redaction.addresses import Addresses, as_address, shown_address
from ocppscope.redaction.pseudonyms import Pseudonyms

MADE = Addresses(Pseudonyms(b"k" * 32))
V4 = st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address)
V6 = st.integers(min_value=0, max_value=2**128 - 1).map(IPv6Address)
GLOBAL6 = st.integers(min_value=0x2400 << 112, max_value=(0x2C00 << 112) - 1).map(IPv6Address)


def common(one: int, two: int, width: int) -> int:
    return width - (one ^ two).bit_length()


@pytest.mark.parametrize("net", ["10.{}.{}.{}", "192.168.{1}.{2}", "81.{}.{}.{}"])
@settings(max_examples=60)
@given(data=st.data())
def test_prefixes_of_ipv4(net, data):
    octet = st.integers(min_value=0, max_value=255)
    one, two = (IPv4Address(net.format(*(data.draw(octet) for _ in range(3)))) for _ in range(2))
    assert common(int(MADE.ip(one)), int(MADE.ip(two)), 32) == common(int(one), int(two), 32)


@settings(max_examples=30)
@given(GLOBAL6, st.integers(min_value=0, max_value=127))
def test_prefixes_of_ipv6(one, bit):
    two = IPv6Address(int(one) ^ (1 << bit) if bit < 100 else int(one) ^ 1)
    assert common(int(MADE.ip(one)), int(MADE.ip(two)), 128) == common(int(one), int(two), 128)


@settings(max_examples=150)
@given(st.one_of(V4, V6))
def test_what_an_address_is_for_stays(address):
    shown = MADE.ip(address)
    for name in ("is_global", "is_private", "is_loopback", "is_link_local", "is_multicast", "is_unspecified"):
        if name != "is_private" or address.version == 4:
            assert getattr(shown, name) == getattr(address, name), (address, shown, name)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "127.0.0.1",
        "127.8.9.1",
        "255.255.255.255",
        "192.0.2.77",
        "198.51.100.1",
        "203.0.113.9",
        "::",
        "::1",
        "2001:db8::7",
    ],
)
def test_what_stays(text):
    assert str(MADE.ip(ip_address(text))) == text


@pytest.mark.parametrize("text", ["10.0.0.5", "8.8.8.8", "fe80::1", "fd00::1", "2a01:4f8::1", "169.254.3.4"])
def test_what_does_not_stay(text):
    assert str(MADE.ip(ip_address(text))) != text


def test_different_addresses_have_different_pseudonyms():
    assert len({MADE.ip(IPv4Address(0x0A000000 + number)) for number in range(2000)}) == 2000
    assert len({MADE.ip(IPv4Address(0x08080000 + number)) for number in range(2000)}) == 2000


def test_mapped_addresses_go_with_those_inside():
    inner = MADE.ip(IPv4Address("10.0.0.5"))
    shown = MADE.ip(IPv6Address("::ffff:10.0.0.5"))
    assert shown_address(shown) == f"::ffff:{inner}"


@pytest.mark.parametrize(
    ("text", "is_one"), [("10.0.0.1", True), ("fe80::1%eth0", True), ("10.0.0", False), ("x" * 999, False)]
)
def test_as_address(text, is_one):
    assert (as_address(text) is not None) == is_one


@settings(max_examples=100)
@given(st.binary(min_size=6, max_size=6))
def test_mac(octets):
    shown = MADE.mac(octets)
    assert len(shown) == 6
    assert shown[0] & 3 == octets[0] & 3
    if octets not in (b"\xff" * 6, bytes(6)):
        assert shown[:3] != octets[:3] or shown[3:] != octets[3:]


def test_broadcast_stays():
    assert MADE.mac(b"\xff" * 6) == b"\xff" * 6


@pytest.mark.parametrize(
    "name", ["localhost", "a.localhost", "example.com", "www.example.com", "x.test", "y.invalid"]
)
def test_names_that_nobody_owns_stay(name):
    assert MADE.name(name) == name


@pytest.mark.parametrize(
    "name", ["csms.acme-charging.com", "CSMS.Acme-Charging.com", "cp001", "xn--brse-5qa.de", "a..b.de"]
)
def test_names_keep_their_labels(name):
    shown = MADE.name(name)
    assert shown != name
    assert [len(label) for label in shown.split(".")] == [len(label) for label in name.split(".")]
    if "." in name:
        assert shown.rpartition(".")[2] == name.rpartition(".")[2]


def test_hosts_of_one_domain_stay_together():
    one, two = MADE.name("a1.acme.com"), MADE.name("b2.acme.com")
    assert one.split(".", 1)[1] == two.split(".", 1)[1]
    assert one != two
