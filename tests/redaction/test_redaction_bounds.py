"""The bounds of redaction are reached: what is beyond one is masked, never left, and nothing is tried for ever."""

from __future__ import annotations

import base64
import string
from collections import Counter
from ipaddress import IPv4Address

import pytest

from ocppscope.model import Kind, Version
from ocppscope.redaction import addresses, freetext, heads, pseudonyms, urls
from ocppscope.redaction.addresses import MAX_ADDRESS_CHARS, MAX_WALK, Addresses, as_address
from ocppscope.redaction.freetext import MAX_CLEAN_CHARS
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.pseudonyms import MAX_TRIES, MAX_TRIES_SHORT, Pseudonyms
from ocppscope.redaction.redactor import SHARED, Redactor
from ocppscope.redaction.urls import MAX_URL_CHARS
from ocppscope.redaction.values import Values

KEY = b"k" * 32


@pytest.fixture(params=[True, False], ids=["network", "no network"])
def values(request: pytest.FixtureRequest) -> Values:
    """With addresses redacted, and without: credentials always are."""
    return Values(Policy(KEY, network=request.param))


# --- pseudonyms -----------------------------------------------------------------------------------------------------


class Counted(Pseudonyms):
    """Counts what is tried for each value."""

    def __init__(self) -> None:
        super().__init__(KEY)
        self.tries: Counter[bytes] = Counter()

    def digest(self, what: str, data: bytes) -> bytes:
        self.tries[data] += 1
        assert self.tries[data] <= MAX_TRIES_SHORT, "it is tried for ever"
        return super().digest(what, data)


@pytest.mark.parametrize(("form", "most"), [("----{}", MAX_TRIES), ("-{}", MAX_TRIES_SHORT)])
def test_where_no_pseudonym_is_free_two_share_one_and_none_is_left(form: str, most: int):
    """Of ten values of ten shapes, none stays: not even the last one, for which only its own may be free."""
    made = Counted()
    given = [form.format(number) for number in range(10)]
    shown = [made.of(one) for one in given]
    assert all(one != new for one, new in zip(given, shown, strict=True))
    assert max(made.tries.values()) <= most
    assert made.shared == 10 - len(set(shown))
    assert most != MAX_TRIES_SHORT or made.shared <= 1


@pytest.mark.parametrize("seed", range(40))
def test_no_single_letter_stays(seed: int):
    made = Pseudonyms(bytes([seed]) * 32)
    assert all(made.of(one) != one for one in string.ascii_lowercase + "123456789")


def test_values_that_share_a_pseudonym_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pseudonyms, "MAX_TRIES_SHORT", 4)
    redactor = Redactor(Policy(KEY))
    stations = [f"-{number}-" for number in range(10)]
    shown = [redactor.station(one) for one in stations]
    assert all(one != new for one, new in zip(stations, shown, strict=True))
    assert redactor.tally()[SHARED] == 10 - len(set(shown)) > 0
    assert SHARED not in Redactor(Policy(KEY)).tally()


# --- addresses ------------------------------------------------------------------------------------------------------


class Homeward(Addresses):
    """Whatever it does, an address comes out as one of this host."""

    def __init__(self) -> None:
        super().__init__(Pseudonyms(KEY))
        self.moves = 0

    def _permuted(self, number: int, width: int, kept: int) -> int:
        del number, width, kept
        self.moves += 1
        assert self.moves <= MAX_WALK + 1, "it walks for ever"
        return 0x7F000000 + self.moves


def test_a_walk_ends_and_nothing_is_left_by_it():
    """Where no address of its kind is found, it is one of another kind, but not the one that it was."""
    made = Homeward()
    assert made.ip(IPv4Address("8.8.8.8")) == IPv4Address(0x7F000000 + made.moves)
    assert made.moves == MAX_WALK + 1


def test_a_shorter_walk_leaves_the_kind_but_not_the_address(monkeypatch: pytest.MonkeyPatch):
    given = [one for first in range(11, 224) if (one := IPv4Address(f"{first}.8.9.11")).is_global]
    made = Addresses(Pseudonyms(KEY))
    assert all(made.ip(one).is_global and made.ip(one) != one for one in given)
    monkeypatch.setattr(addresses, "MAX_WALK", 0)
    short = [made.ip(one) for one in given]
    assert not all(one.is_global and not one.is_multicast for one in short)
    assert all(one != new for one, new in zip(given, short, strict=True))


@pytest.mark.parametrize("end", ["", ".localhost", ".test"])
def test_what_is_too_long_for_an_address_is_redacted_as_a_name(end: str):
    """A zone may be of any length: then it is no address, but its digits do not stay."""
    values = Values(Policy(KEY))
    longest = "2a01:4f8::17:2301%" + "e" * (MAX_ADDRESS_CHARS - 18)
    assert as_address(longest) is not None
    assert as_address(longest + "e") is None
    for text in (longest, longest + "e" + end):
        assert "4f8::17:2301" not in values.network(text)
        assert "4f8::17:2301" not in values.place(text)
        assert "4f8::17:2301" not in values.station(text)
        assert "4f8::17:2301" not in values.free.scrubbed(f"from {text} to the end")


# --- URLs and free texts --------------------------------------------------------------------------------------------

LONG = "x" * MAX_URL_CHARS


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://joe:S3cr3t{LONG}@files.example.org/a",
        f"ftp://joe{LONG}:S3cr3t@files.example.org/a",
        f"https://files.example.org/{LONG}/S3cr3t",
        f"https://files.example.org/{LONG}?token=S3cr3t",
        f"https://{LONG}.S3cr3t.example.org/a",
    ],
    ids=["password", "user", "path", "query", "host"],
)
def test_nothing_beyond_the_longest_url_is_left(values: Values, text: str):
    """The end of a URL is cut, which `***` shows; what decides what its beginning is, is looked for in all of it."""
    for shown in (values.url(text), values.free.scrubbed(f"get {text} now")):
        assert "S3cr3t" not in shown
        assert "***" in shown
        assert "joe" not in shown
        assert len(shown) < MAX_URL_CHARS + 100


def test_a_path_alone_is_cut_too(values: Values):
    shown = values.url(f"/{LONG}/S3cr3t")
    assert shown.endswith("***")
    assert len(shown) == MAX_URL_CHARS + 3


def test_a_shorter_url_is_cut_where_the_bound_says(monkeypatch: pytest.MonkeyPatch, values: Values):
    monkeypatch.setattr(urls, "MAX_URL_CHARS", 10)
    assert values.url("https://files.example.org/firmware/v1.bin").endswith("/firmware/***")


@pytest.mark.parametrize(
    "text",
    [
        "password={}S3cr3t",
        "<password>{}S3cr3t</password>",
        '<password of="{}">S3cr3t</password>',
        "see https://a.example.org/{}/S3cr3t for more",
    ],
    ids=["pair", "element", "attribute", "URL"],
)
@pytest.mark.parametrize("length", [10, 2_000, 100_000])
def test_nothing_of_a_long_value_in_a_free_text_is_left(values: Values, text: str, length: int):
    assert "S3cr3t" not in values.free.scrubbed(text.format("x" * length))


def test_longer_texts_are_not_remembered_but_searched(monkeypatch: pytest.MonkeyPatch):
    """Only short texts are kept as clean; a longer one is looked at each time."""
    values = Values(Policy(KEY))
    looked: list[str] = []
    bare = values.known.bare
    monkeypatch.setattr(values.known, "bare", lambda text: looked.append(text) or bare(text))
    short, longer = "a" * MAX_CLEAN_CHARS, "a" * (MAX_CLEAN_CHARS + 1)
    for _ in range(3):
        assert values.free.holds_nothing_known(short)
        assert values.free.holds_nothing_known(longer)
    assert Counter(looked) == {short: 1, longer: 3}


def test_what_is_remembered_to_be_clean_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    """By number, and when something is learned: a clean text may hold what is known later."""
    monkeypatch.setattr(freetext, "MAX_CLEAN", 3)
    redactor = Redactor(Policy(KEY))
    for number in range(20):
        assert redactor.words(f"note {number} on D3ADB33FCAFE01") == f"note {number} on D3ADB33FCAFE01"
    text = b'[2,"1","Authorize",{"idTag":"D3ADB33FCAFE01"}]'
    redactor.message_text(text, version=Version.V16, kind=Kind.CALL, action="Authorize")
    assert not any("D3ADB33FCAFE01" in redactor.words(f"note {number} on D3ADB33FCAFE01") for number in range(20))


# --- heads ----------------------------------------------------------------------------------------------------------

SECRET = "S3cr3t-Gt7Qw9zK2vB4"
LAST = f"Authorization: Basic {base64.b64encode(f'joe:{SECRET}'.encode()).decode()}\r\nX-Note: {SECRET}\r\n\r\n"


def windows(text: str, size: int = 6) -> set[str]:
    return {text[at : at + size] for at in range(len(text) - size + 1)}


LEAKS = windows(SECRET) | windows(LAST.partition("Basic ")[2].partition("\r")[0])


@pytest.mark.parametrize("network", [True, False])
def test_nothing_of_a_secret_is_left_wherever_a_head_is_cut(monkeypatch: pytest.MonkeyPatch, network: bool):
    """MAX_HEAD_BYTES: what is beyond is not there, what stands across it is masked, and `***` shows it."""
    assert heads.MAX_HEAD_BYTES == 1 << 20
    first = "GET /ocpp/CP-0001 HTTP/1.1\r\nAccept: text/html\r\n"
    head = (first + LAST + SECRET).encode()
    for most in range(len(first) + 1, len(head)):
        monkeypatch.setattr(heads, "MAX_HEAD_BYTES", most)
        shown = Redactor(Policy(KEY, network=network)).request_head(head).decode("latin-1")
        assert not [leak for leak in LEAKS if leak in shown], most
        assert "Accept: text/html\r\n" in shown
        assert shown.endswith("***\r\n\r\n")
    monkeypatch.setattr(heads, "MAX_HEAD_BYTES", len(head))
    assert "***\r\n\r\n" not in Redactor(Policy(KEY, network=network)).request_head(head).decode("latin-1")[-7:]


def test_no_more_of_a_head_is_looked_at():
    """And what follows is not there, in a response neither."""
    line = b"Accept: text/html\r\n"
    head = b"GET /ocpp/CP-0001 HTTP/1.1\r\n" + line * (2 * heads.MAX_HEAD_BYTES // len(line)) + LAST.encode()
    for shown in (Redactor(Policy(KEY)).request_head(head), Redactor(Policy(KEY)).response_head(head)):
        assert len(shown) <= heads.MAX_HEAD_BYTES + 100
        assert SECRET.encode() not in shown
        assert shown.endswith(b"***\r\n\r\n")
