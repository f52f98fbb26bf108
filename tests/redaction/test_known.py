"""What is known is found as a whole token, in any case, and in linear time."""

from __future__ import annotations

import pytest

from ocppscope.redaction.known import MAX_LENGTHS, Known, common_words, is_distinctive
from ocppscope.redaction.pseudonyms import MAX_KNOWN_CHARS


def learned(*texts: str, sure: bool = False) -> Known:
    known = Known()
    for text in texts:
        known.learn(text, "x" * len(text), "thing", cased=True, sure=sure)
    return known


def found(known: Known, text: str) -> list[str]:
    return [text[place.start : place.end] for place in known.bare(text)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Cp-0815", ["Cp-0815"]),
        ("(CP-0815)", ["CP-0815"]),
        ("a_cp-0815_b", ["cp-0815"]),
        ("CP-08151", []),
        ("XCP-0815", []),
        ("CP-0815-2", ["CP-0815"]),
        ("CP 0815", []),
        ("cp-0815 CP-0815", ["cp-0815", "CP-0815"]),
        ("", []),
        ("ÄCP-0815", []),
    ],
)
def test_tokens(text, tokens):
    assert found(learned("CP-0815"), text) == tokens


def test_the_longest_counts():
    known = learned("CP-0815", "CP-0815-2", "CP-0815-2-A3")
    assert found(known, "CP-0815-2-A3 CP-0815-2-B") == ["CP-0815-2-A3", "CP-0815-2"]


def test_edges_are_left_out():
    known = learned("*04A1B2#")
    assert found(known, "tag 04a1b2!") == ["04a1b2"]
    assert known.whole("*04a1b2#") is not None
    assert known.whole("04a1b2") is None


@pytest.mark.parametrize(
    ("core", "distinctive"),
    [
        ("04a1", True),
        ("a1b", False),
        ("12345", False),
        ("123456", True),
        ("test", False),
        ("charger-nine", True),
        ("longidentity", True),
        ("transactionid", False),
        ("accepted", False),
        ("a-bc", True),
        ("heartbeatinterval", True),
    ],
)
def test_what_hardly_means_anything_else(core, distinctive):
    assert is_distinctive(core) == distinctive


def test_common_words():
    assert {"accepted", "idtag", "heartbeat", "transactionevent", "outlet"} <= common_words()


def test_a_station_of_few_letters_is_sure():
    assert found(learned("Alice"), "Alice said") == []
    assert found(learned("Alice", sure=True), "Alice said") == ["Alice"]
    known = learned("Alice")
    known.learn("Alice", "xxxxx", "thing", cased=True, sure=True)
    assert found(known, "Alice said") == ["Alice"]
    assert len(known) == 1
    assert found(learned("Heartbeat", sure=True), "Heartbeat") == []


def test_quotes():
    known = learned("Test")
    assert [place.start for place in known.quoted("a “test”, 'TEST' and \"tests\"")] == [3, 11]


def test_case_is_taken_over():
    known = Known()
    known.learn("Cp-a1", "Xy-b2", "thing", cased=True)
    (place,) = known.bare("cP-A1")
    assert place.entry.standing_for("cP-A1") == "xY-B2"


def test_a_long_one_is_known_by_its_beginning():
    text = "geheim-1" * 100
    known = learned(text)
    (place,) = known.bare(f"so {text} it is")
    assert place.end - place.start == MAX_KNOWN_CHARS
    known.learn(text, text, "thing", cased=True)
    assert len(known) == 1


def test_many_with_one_beginning_are_bounded():
    known = learned(*(f"DE-{'a' * size}-1" for size in range(3, 3 + 2 * MAX_LENGTHS)))
    text = "DE-" * 50_000 + "x"
    assert found(known, text) == []
    assert len(found(known, f"DE-{'a' * 3}-1")) == 1


def test_generation_says_when_something_was_learned():
    known = learned("CP-0815")
    before = known.generation
    known.learn("cp-0815", "xx-xxxx", "thing", cased=True)
    assert known.generation == before
    known.learn("CP-0816", "xx-xxxx", "thing", cased=True)
    assert known.generation > before
