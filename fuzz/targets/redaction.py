"""Texts with secrets: what is redacted keeps its shape and place, holds nothing known, and passes the search for leaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.model import Kind, Version
from ocppscope.ocpp.codec import decode
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

CANARY = "c4n4ryS3cretT0ken"
"""A tag that the redactor has met."""
_CANARY = re.compile(rf"(?<!\w){CANARY}(?!\w)")
VERSIONS = (Version.V16, Version.V201, Version.V21, Version.UNKNOWN)
WORDS = (CANARY.encode(), b'"idTag":"', b'"idToken":{"idToken":"', b"password=", b"Bearer ", b"https://u:p@h.example/a?b",
         b"192.0.2.7", b'"certificate":"', b"-----BEGIN PRIVATE KEY-----", b"AuthorizationKey", b"a@b.example", b"\\u0063",
         b"DE-8AA-C12345678-9", b"SKBPRTWNUUG18", b"12345678901234567")  # fmt: skip


def target(data: bytes) -> None:
    """Messages, heads and words, one after another."""
    redactor = Redactor(Policy(b"k" * 32))
    met = json.dumps([2, "1", "Authorize", {"idTag": CANARY}]).encode()
    redactor.message_text(met, version=Version.V16, kind=Kind.CALL, action="Authorize")
    for tag, body in records(data, 12):
        kind = tag & 3
        if kind == 0:
            message(redactor, body, VERSIONS[tag >> 2 & 3])
        elif kind == 1:
            head(redactor, body, asked=bool(tag & 4))
        else:
            said = body.decode("utf-8", "replace")
            redactor.words(said)
            shown = redactor.words(said)
            assert len(shown) <= 40 * len(said) + 100
            assert not _CANARY.search(shown)
            assert not bare(redactor, shown), (said, shown)


def message(redactor: Redactor, body: bytes, version: Version) -> None:
    """A text keeps its structure, and what it says twice it says the same."""
    raw = decode(body)
    given = {"version": version, "kind": raw.kind, "action": raw.action}
    redactor.message_text(body, **given)  # to learn, as an export does
    shown = redactor.message_text(body, **given)
    assert len(shown) <= 40 * len(body) + 1000
    assert not _CANARY.search(shown.decode("utf-8", "replace"))
    assert redactor.message_text(body, **given) == shown
    before, after = parsed(body), parsed(shown)
    if before is not None:
        assert after is not None, "no longer JSON"
        assert shape(before[0]) == shape(after[0])
    again = decode(shown)
    assert again.kind == raw.kind or raw.problems, (body, shown)
    if not raw.problems:
        assert not again.problems, again.problems
    assert not bare(redactor, shown.decode("utf-8", "replace")), shown


def head(redactor: Redactor, body: bytes, *, asked: bool) -> None:
    """A head has as many lines as before. Its bytes beyond ASCII are letters (Latin-1): next to one no token begins."""
    shown = redactor.request_head(body) if asked else redactor.response_head(body)
    assert len(shown) <= 40 * len(body) + 1000
    assert not _CANARY.search(shown.decode("latin-1"))
    assert shown.partition(b"\r\n\r\n")[0].count(b"\r\n") <= body.count(b"\n") + 1


def bare(redactor: Redactor, text: str) -> list[str]:
    """What the search finds, but for what a blank makes of its neighbours."""
    if "***" in text:
        return []
    return [leak.kind for leak in redactor.leaks(text)]


def parsed(text: bytes) -> tuple[Any] | None:
    """The value of a JSON text, if it is one of ordinary depth."""
    try:
        return (json.loads(text.decode()),) if text.count(b"[") + text.count(b"{") < 60 else None
    except (ValueError, RecursionError):
        return None


def shape(value: Any) -> Any:
    """A value without its leaves."""
    if isinstance(value, dict):
        return [shape(inner) for inner in value.values()]
    if isinstance(value, list):
        return list(map(shape, value))
    return type(value) if isinstance(value, bool | str) else None


def seeds() -> Iterator[bytes]:
    """Messages, heads and words that have something to hide."""
    for number, name in enumerate(("ocpp16_plain", "ocpp201", "clean21")):
        seen = set()
        for one in sources.messages(name):
            if one.action not in seen:
                seen.add(one.action)
                yield packed([(number << 2, one.text)])
    for said in list(sources.streams("ocpp16_plain", 2))[:1]:
        yield packed([(5, said[0][1]), (1, said[1][1])])
    hidden = (f'the tag {CANARY} at 192.0.2.7', "password=hunter2hunter2 for https://u:p@h.example/x?y=z", "see a@b.example",
              "key 0123456789abcdef0123456789abcdef", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl")  # fmt: skip
    yield packed((2, text.encode()) for text in hidden)
    text = json.dumps(
        [2, "2", "DataTransfer", {"vendorId": "v", "data": json.dumps({"idTag": CANARY, "password": "hunter2" * 3})}]
    )
    yield packed([(0, text.encode()), (0, text.encode()[:-9])])
