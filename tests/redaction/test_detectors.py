"""What looks like a secret and what only seems to; and that no text makes the search slow."""

from __future__ import annotations

import base64

import pytest

from ocppscope.redaction.detectors import Sign, hits

DER = base64.b64encode(b"\x30\x82\x03\x0a" + bytes(range(200))).decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
FIRES = [
    ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", Sign.PEM),
    ("-----BEGIN EC PRIVATE KEY-----\\nMHc", Sign.PEM),
    (DER, Sign.DER),
    ("Authorization: Basic Q1AxOnBhc3N3b3Jk", Sign.BASIC),
    ("bearer abc123def456", Sign.BEARER),
    (f"token {JWT} ok", Sign.JWT),
    ("ftp://u:p@host/", Sign.USERINFO),
    ("ask joe.doe+x@mail.acme.co.uk now", Sign.EMAIL),
    ("from 10.1.2.3:80", Sign.IPV4),
    ("at 192.168.0.17.", Sign.IPV4),
    ("[fe80::1ff:fe23:4567:890a]:9000", Sign.IPV6),
    ("2a01:4f8:c17:b8f::2", Sign.IPV6),
    ("::ffff:10.0.0.1", Sign.IPV6),
    ("mac 00:1B:44:11:3A:B7", Sign.MAC),
    ("mac 00-1b-44-11-3a-b7", Sign.MAC),
    ("ICCID=89490200001234567890", Sign.DIGITS),
    ("imsi 262011234567890", Sign.DIGITS),
    ("DE8AA1B2C3D4E5", Sign.EMAID),
    ("contract DE-8AA-C1B2C3D4E-5 used", Sign.EMAID),
]
SILENT = [
    "",
    "firmware 1.2.3.4 installed",
    "v2.10.0.31",
    "1.2.3.4-rc1",
    "0.0.0.0",
    "2.0.1",
    "6f1c1b52-7a3e-4b6e-9d53-0d2f5f2b1a77",
    "2026-11-22T18:33:53.092Z",
    "18:33:53",
    "AUTHORIZATION",
    "NOTIFICATIONS",
    "STARTTRANSACTION",
    "DEAUTHENTICATE",
    "id 1763836433092",
    "1763836433092123",
    "1763836433092123456",
    "20261122183353",
    "20261122183353123",
    "00000000000000",
    "Energy.Active.Import.Register",
    "Basic authentication is used",
    "the bearer channel",
    "Basic ***",
    "Bearer ***",
    "ftp://***:***@host/",
    "https://host/@x",
    "a:b",
    "::",
    "01:02:03",
    "12.5 kWh",
    "x@y",
    "sha256:" + "ab" * 32,
    "ocpp2.0.1,ocpp1.6",
    "a" * 500,
    "/" * 400,
    "urn:x-oca:ocpp:uid:1:569",
    "FREEVENDSETTING",
]


@pytest.mark.parametrize(("text", "sign"), FIRES, ids=[f"{sign.name}-{at}" for at, (_, sign) in enumerate(FIRES)])
def test_fires(text, sign):
    found = hits(text)
    assert [hit.sign for hit in found] == [sign]
    assert 0 <= found[0].start < found[0].end <= len(text)


@pytest.mark.parametrize("text", SILENT)
def test_stays_silent(text):
    assert hits(text) == []


def test_several_in_order_and_none_within_another():
    text = f"a@b.de from 10.1.2.3 with {JWT} and -----BEGIN X-----\n10.1.2.3\n-----END X----- end"
    assert [hit.sign for hit in hits(text)] == [Sign.EMAIL, Sign.IPV4, Sign.JWT, Sign.PEM]


HOSTILE = {
    "at signs": "a@" * 150_000,
    "dots at": ("a." * 40 + "@") * 4000,
    "domain": "a@" + "b." * 150_000,
    "colons": ":" * 300_000,
    "hex colons": "ab:" * 100_000,
    "digits": "1" * 300_000,
    "dotted": "1." * 150_000,
    "begin": "-----BEGIN " * 30_000,
    "dashes": "-" * 300_000,
    "begun": "-----BEGIN A-----" * 20_000,
    "jwt": "eyJ" * 100_000,
    "jwt dots": "eyJaaaaa." * 30_000,
    "base64": "MIIB" * 75_000,
    "basic": "Basic " * 50_000,
    "bearer": "Bearer\t" * 50_000,
    "userinfo": "://" * 100_000,
    "userinfo long": "://" + "a" * 300_000,
    "emaid": "DE8AA" * 60_000,
    "blank": " " * 300_000,
    "equals": "key=" * 75_000,
    "xml": "<a>" * 100_000,
    "quotes": "'" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_searched_to_their_end(name):
    """Each of these takes a quadratic pattern minutes; there are as many as patterns have repetitions."""
    text = HOSTILE[name]
    assert hits(text + " joe@acme.de")[-1].end == len(text) + 12
