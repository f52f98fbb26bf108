"""Single values: URLs, files, certificates, places, times, free texts, each in a table."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.ocpp.conformance import date_time_problem
from ocppscope.redaction import freetext
from ocppscope.redaction.fields import Field
from ocppscope.redaction.instants import shifted, shifted_http
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.values import MAX_IDENTIFIER_CHARS, Values

KEY = b"k" * 32
HOUR = 3_600_000_000_000


def values(**wishes) -> Values:
    return Values(Policy(KEY, **wishes))


URLS = [
    (
        "https://csms.acme.com/fw/v1.2/image-77.tar.gz",
        r"https://[a-z]{4}\.[a-z]{4}\.com/[a-z]{2}/v1\.2/[a-z]{5}-\d\d\.tar\.gz",
    ),
    ("ftp://user:geheim99@10.1.2.3:2121/up/", r"ftp://\*\*\*:\*\*\*@10\.\d+\.\d+\.\d+:2121/[a-z]{2}/"),
    ("ftp://u:p@h/x", r"ftp://\*:\*@[a-z]/[a-z]"),
    ("ftp://user@host.de", r"ftp://\*\*\*@[a-z]{4}\.de"),
    ("https://h.de/a?sig=Q7xW9pK2&x=1#top", r"https://[a-z]\.de/[a-z]\?\*\*\*#\*\*\*"),
    ("https://h.de/?", r"https://[a-z]\.de/\?"),
    ("wss://[2a01:4f8::1]:443/ocpp/CP1", r"wss://\[2[0-9a-f:]+\]:443/ocpp/[A-Z]{2}\d"),
    ("http://example.com/", r"http://example\.com/"),
    ("http://localhost:8080/ws", r"http://localhost:8080/ws"),
    ("HTTP://Csms.Acme.COM", r"HTTP://[A-Z][a-z]{3}\.[A-Z][a-z]{3}\.COM"),
    ("https://h.de/%41%2fb", r"https://[a-z]\.de/%[0-9A-F]{2}%2f[a-z]"),
    ("/just/a/path.log", r"/[a-z]{4}/[a-z]/[a-z]{4}\.log"),
    ("ftp://", "ftp://"),
    ("not a url", r"[a-z]{3} [a-z] [a-z]{3}"),
]


@pytest.mark.parametrize(("url", "pattern"), URLS, ids=[url for url, _ in URLS])
def test_urls(url, pattern):
    shown = values().value(Field.URL, url)
    assert re.fullmatch(pattern, shown), shown


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("diag_CP1_2024.zip", r"[a-z]{4}_[A-Z]{2}\d_[1-9]\d{3}\.zip"),
        ("logs/a.tar.gz", r"[a-z]{4}/[a-z]\.tar\.gz"),
        ("noext", "[a-z]{5}"),
        ("C:\\logs\\x.log", r"[A-Z]:\\[a-z]{4}\\[a-z]\.log"),
    ],
)
def test_files(name, pattern):
    assert re.fullmatch(pattern, values().value(Field.FILE, name))


def test_certificates_become_fingerprints():
    der = bytes(range(48))
    body = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\nHh8gISIjJCUmJygpKissLS4v"
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    wanted = "sha256:" + hashlib.sha256(der).hexdigest()
    one = values()
    assert one.value(Field.CERTIFICATE, pem) == wanted
    assert one.value(Field.CERTIFICATE, der.hex()) == wanted
    assert one.value(Field.CERTIFICATE, pem, 20) != pem
    assert one.value(Field.CERTIFICATE, wanted) == wanted
    assert len(one.value(Field.CERTIFICATE, "x" * 30, 20)) == 71
    assert (
        one.value(Field.CERTIFICATE, "AAECAw==", 20) == "sha256:" + hashlib.sha256(bytes(range(4))).hexdigest()[:13]
    )


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Outlet", "Outlet"),
        ("Hauptstr. 5", r"\*\*\* \(8-15\)"),
        ("10.1.2.3", r"10\.\d+\.\d+\.\d+"),
        ("52.5163", r"\*\*\* 1-7"),
        ("https://h.de/x", r"https://[a-z]\.de/[a-z]"),
    ],
)
def test_places(text, pattern):
    assert re.fullmatch(pattern, values().value(Field.PLACE, text))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("10.1.2.3:502", r"10\.\d+\.\d+\.\d+:502"),
        ("00:1B:44:11:3A:B7", r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}"),
        ("001b44113ab7", "[0-9a-f]{12}"),
        ("internet.telco.de", r"[a-z]{8}\.[a-z]{5}\.de"),
        ("MyWifi", "[A-Z][a-z][A-Z][a-z]{3}"),
    ],
)
def test_networks(text, pattern):
    one = values()
    shown = one.value(Field.NETWORK, text)
    assert re.fullmatch(pattern, shown)
    assert shown != text
    assert one.value(Field.NETWORK, text) == shown
    assert values(network=False).value(Field.NETWORK, text) == text


@pytest.mark.parametrize(
    ("field", "text", "shown"),
    [
        (Field.SECRET, "1234", "0"),
        (Field.PLACE, "52.51", "0.0"),
        (Field.SIM, "8949", "0"),
        (Field.STAYS, "123456", "123456"),
        (Field.FREE, "17", "17"),
        (Field.FREE, "89490200001234567890", "0"),
        (Field.FREE, "1763836433092", "1763836433092"),
    ],
)
def test_numbers(field, text, shown):
    assert values().number(field, text) == shown


def test_a_tag_that_is_a_number_has_the_pseudonym_of_its_text():
    one = values()
    assert one.number(Field.TOKEN, "12345678") == one.value(Field.TOKEN, "12345678")


def test_very_long_identifiers_lose_their_face():
    assert values().value(Field.TOKEN, "A1" * MAX_IDENTIFIER_CHARS) == "X0" * MAX_IDENTIFIER_CHARS


@pytest.mark.parametrize("value", ["true", "false", "No", "5", "", "***", "none"])
def test_harmless_settings_stay(value):
    assert values().value(Field.SETTING, value, name="SimPinRequired") == value


FREE = [
    ("user=joe&pin=1234&x=1", "user=*** 1-7&pin=*** 1-7&x=1"),
    ('<idTag id="1">04A1B2C3</idTag>', '<idTag id="1">{tag}</idTag>'),
    ("idTag: 04A1B2C3, ok", "idTag: {tag}, ok"),
    ("Bearer abc.def.123", "Bearer ***"),
    ("firmware 1.2.3.4", "firmware 1.2.3.4"),
    ("ICCID 89490200001234567890!", "ICCID ***!"),
    ("nothing to see", "nothing to see"),
    ("lat=52.516 lon=13.377", "lat=*** 1-7 lon=*** 1-7"),
    ("Basic Q1AxOnBhc3N3b3Jk", "Basic ***"),
]


@pytest.mark.parametrize(("text", "shown"), FREE, ids=range(len(FREE)))
def test_free_texts(text, shown):
    one = values()
    assert one.value(Field.FREE, text) == shown.format(tag=one.value(Field.TOKEN, "04A1B2C3"))


def test_free_texts_blanked_wholly():
    assert values(free_text=True).value(Field.FREE, "nothing to see") == "*** (8-15)"


HOSTILE = {
    "equals": "a=" * 100_000,
    "colons": "a: " * 80_000,
    "tags": "<a>" * 80_000,
    "open": "<" * 200_000,
    "open tag": "<a " * 80_000,
    "closed": "<a>x</a>" * 30_000,
    "schemes": "a://" * 60_000,
    "letters": "a" * 300_000,
    "pins": "pin=1 " * 50_000,
    "names": ("a" * 63 + ".") * 4000,
    "quotes": "pin='\"" * 50_000,
    "times": "2026-01-01T" * 30_000,
    "urls": "ftp://a:b@c/d?e " * 12_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_come_to_an_end(name):
    one = values(shift_ns=HOUR)
    assert "joe" not in one.value(Field.FREE, HOSTILE[name] + " joe@acme.de")


def test_what_is_clean_is_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr(freetext, "MAX_CLEAN", 5)
    one = values()
    assert [one.value(Field.STAYS, f"word{at}") for at in range(20)] == [f"word{at}" for at in range(20)]


@settings(max_examples=200)
@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)),
    st.integers(-(10**17), 10**17),
    st.sampled_from("Tt "),
)
def test_times_move(moment, shift, between):
    text = moment.isoformat(between) + "Z"
    moved = shifted(text, shift)
    assert moved is not None
    assert len(moved) == len(text)
    assert date_time_problem(moved) is None
    before, after = (datetime.fromisoformat(one.replace(between, "T").upper()) for one in (text, moved))
    assert abs((after - before).total_seconds() * 1e9 - shift) < 1.1e9


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-01T23:30:00Z", "2026-01-02T00:30:00Z"),
        ("2026-01-01T23:30:00.5+02:00", "2026-01-02T00:30:00.5+02:00"),
        ("2026-01-01T23:30:00,123456789012z", "2026-01-02T00:30:00,123456789000z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("2026-01-01", None),
        ("2026-13-01T00:00:00Z", "2026-13-01T00:00:00Z"),
    ],
)
def test_times(text, shown):
    assert shifted(text, HOUR) == shown


def test_dates_of_http():
    assert shifted_http("Thu, 01 Jan 2026 23:30:00 GMT", HOUR) == "Fri, 02 Jan 2026 00:30:00 GMT"
    assert shifted_http("soon", HOUR) == "soon"
    assert datetime(2026, 1, 2, tzinfo=UTC).weekday() == 4
