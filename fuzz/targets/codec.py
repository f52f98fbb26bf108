"""Texts and dialogues: the quick readings agree with the exact one, and what is kept of a text is bounded."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.batch import Batch
from ocppscope.model import Kind, Message, Origin, Side, Text, Version
from ocppscope.ocpp.codec import MAX_NAME_KEPT, decode, decode_exactly, match_head
from ocppscope.ocpp.exchange import MAX_PENDING, Dialogue
from ocppscope.ocpp.guess import VersionGuess
from ocppscope.ocpp.jsontext import is_clean

VERSIONS = (Version.V16, Version.V201, Version.V21, Version.UNKNOWN)
WORDS = (b'[2,"', b'[3,"', b'[4,"', b'",{}]', b'[6,"1","', b"BootNotification", b"Heartbeat", b'"-1"', b"-Signed",
         b'{"payload":"', b'"protected":"', b'"signature":"', b"null", b"GenericError", b"[2.0,", b"1e400", b"\xef\xbb\xbf")  # fmt: skip


def target(data: bytes) -> None:
    """Each text by itself, then all as a dialogue."""
    steps = list(records(data, 60))
    for _, text in steps:
        alone(text)
    version = VERSIONS[steps[0].tag >> 1 & 3] if steps else Version.V16
    guess = VersionGuess()
    exact = Dialogue(0, version, guessed=version is Version.UNKNOWN)
    read = []
    for number, (tag, text) in enumerate(steps):
        one = exact.read(Side(tag & 1), Text(text, Origin(number, (number,)), len(text) + 6))
        check(one, text)
        read.append(one)
        raw = decode(text)
        guess.feed(raw.kind, raw.action, raw.payload)
    assert len(exact.finish(10**12)) <= 2 * MAX_PENDING
    assert [one.ordinal for one in read] == list(range(len(read)))
    quickly(steps, version, read)


def alone(text: bytes) -> None:
    """One text: short cuts agree with the exact reading."""
    exact, quick = decode_exactly(text), decode(text)
    assert quick == exact
    assert max(len(exact.id), len(exact.action), len(exact.error_code)) <= MAX_NAME_KEPT + 1
    assert exact.payload in text or exact.signed
    assert exact.error_details in text
    head = match_head(text)
    if head is not None and is_clean(text[head[3] : -1]):
        assert head[:3] == (exact.kind, exact.id, exact.action)
        assert not exact.problems
    for problem in exact.problems:
        assert problem.text.isprintable(), problem


def check(one: Message, text: bytes) -> None:
    """A message keeps its text, and says what is wrong with it in printable words."""
    assert one.text == text
    assert one.kind in Kind
    assert all(problem.text.isprintable() and problem.path.isprintable() for problem in one.problems), one.problems
    assert len(one.problems) <= 120


def quickly(steps: list[tuple[int, bytes]], version: Version, read: list[Message]) -> None:
    """Where the lane takes a text, it makes the same message of it."""
    if version is Version.UNKNOWN:
        return
    dialogue, batch, taken = Dialogue(0, version, guessed=False), Batch(), 0
    for number, (tag, text) in enumerate(steps):
        side = Side(tag & 1)
        said = Text(text, Origin(number, (number,)), len(text) + 6)
        at = batch.arrivals.add(said)
        if dialogue.speakers[side].quick(batch, text, number, at):
            taken += 1
        else:
            batch.add(dialogue.read(side, said))
    batch.settle()
    made = [event for event in batch if isinstance(event, Message)]
    assert made == read, taken


def seeds() -> Iterator[bytes]:
    """Texts of captures, alone and as dialogues."""
    for text in sources.texts("malformed", "ocpp21_send", "broken201"):
        yield packed([(0, text)])
    for number, name in enumerate(("ocpp16_plain", "ocpp201", "clean21", "slow_and_missing")):
        said = sources.messages(name)[:14]
        yield packed([(int(one.side) | number << 1, one.text) for one in said])
    odd = (b"[]", b"[2]", b'[3,"a"]', b'[4,"a","b","c",{}]', b'[2,"\\u0000","A",{"a":1,"a":2}]', b"[" * 70, b"\xff",
           b'[2,"1","Heartbeat-Signed",{"payload":"e30","signatures":[{"protected":"e30","signature":"x"}]}]')  # fmt: skip
    yield packed((number & 1, text) for number, text in enumerate(odd))
