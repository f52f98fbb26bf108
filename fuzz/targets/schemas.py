"""Payloads: what the compiled acceptor accepts, the exact check accepts; what that says is bounded and points at something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fuzz import sources
from ocppscope.model import Kind, Version
from ocppscope.ocpp.codec import decode
from ocppscope.ocpp.conformance import MAX_SCHEMA_PROBLEMS
from ocppscope.ocpp.schemas import Validator, validator
from ocppscope.ocpp.templates import template, text
from ocppscope.ocpp.versions import ACTIONS

WORDS = (b'"2024-01-01T00:00:00Z"', b'"status":"Accepted"', b'"customData":{"vendorId":"v"}', b"0.1", b"1e1", b"null",
         b'"connectorId":', b'"transactionId":', b'"timestamp":', b"12.123", b'"id":{"idToken":"a","type":"Central"}')  # fmt: skip


@cache
def validators() -> tuple[Validator, ...]:
    """Of all actions, in a fixed order."""
    found = []
    for version in (Version.V16, Version.V201, Version.V21):
        for action in sorted(ACTIONS[version]):
            for response in (False, True):
                one = validator(version, action, response)
                if one is not None:
                    found.append(one)
    return tuple(found)


def target(data: bytes) -> None:
    """The first two bytes choose the schema."""
    every = validators()
    one = every[int.from_bytes(data[:2], "big") % len(every)]
    payload = data[2:]
    accepted = one.acceptors.payload.accepts(payload)
    problems = one.problems(payload)
    assert len(problems) <= MAX_SCHEMA_PROBLEMS + 1
    assert all(problem.text.isprintable() and problem.path.isprintable() for problem in problems), problems
    if accepted:
        assert not problems, (one.name, problems)
        assert not decode(b'[2,"1","A",' + payload + b"]").problems, one.name
    for message, acceptor in (
        (b'[2,"1","A",' + payload + b"]", one.acceptors.call),
        (b'[3,"1",' + payload + b"]", one.acceptors.result),
    ):
        if acceptor.accepts(message):
            assert not problems
            assert decode(message).payload.strip() == payload.strip()
        assert acceptor.declined([message]) in ([], [0])


def seeds() -> Iterator[bytes]:
    """Payloads of captures, and of templates."""
    names = {(one.version, one.name): number for number, one in enumerate(validators())}
    for name, version in (("ocpp16_plain", Version.V16), ("ocpp201", Version.V201), ("clean21", Version.V21)):
        seen = set()
        for one in sources.messages(name):
            made = validator(version, one.action, one.kind is Kind.CALLRESULT)
            if made is not None and made.name not in seen:
                seen.add(made.name)
                yield names[version, made.name].to_bytes(2, "big") + decode(one.text).payload
    for version, action in ((Version.V16, "SetChargingProfile"), (Version.V201, "TransactionEvent"), (Version.V201, "SetVariables"), (Version.V21, "NotifyEvent")):  # fmt: skip
        assert template(version, action) is not None
        made = validator(version, action)
        assert made is not None
        yield names[version, made.name].to_bytes(2, "big") + text(version, action, everything=True).encode()
