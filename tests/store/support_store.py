"""Connections, exchanges and stores for tests, small enough to be read."""

from __future__ import annotations

from typing import Any

from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    Endpoint,
    Flow,
    Kind,
    Message,
    Outcome,
    Side,
    Version,
)
from ocppscope.store.store import Columns

START = 1_790_000_000_000_000_000


def connection(number: int = 0, **more: Any) -> Connection:
    flow = Flow(Endpoint(f"10.0.0.{number}", 50_000 + number), Endpoint("10.0.1.1", 9000))
    facts = {
        "flow": flow,
        "station": f"CP{number:03}",
        "version": Version.V16,
        "version_guessed": False,
        "handshake": None,
    }
    return Connection(number=number, opened_ns=START, first_packet=1, **(facts | more))


def opened(number: int = 0, **more: Any) -> ConnectionOpened:
    return ConnectionOpened(START, connection(number, **more))


def closed(number: int = 0, **more: Any) -> ConnectionClosed:
    return ConnectionClosed(START, connection(number, closed_ns=START, **more))


def call(ordinal: int, action: str = "Heartbeat", payload: str = "{}", **more: Any) -> Message:
    identity = more.pop("id", f"m{ordinal}")
    text = more.pop("text", f'[2,"{identity}","{action}",{payload}]'.encode())
    facts = {"outcome": Outcome.PENDING, "packets": (ordinal + 1,), "wire_size": len(text) + 6}
    return message(ordinal, Kind.CALL, identity, action, text, **(facts | more))


def result(
    ordinal: int, reply_to: int | None, payload: str = "{}", action: str = "Heartbeat", **more: Any
) -> Message:
    identity = more.pop("id", f"m{reply_to}")
    text = more.pop("text", f'[3,"{identity}",{payload}]'.encode())
    facts = {"outcome": Outcome.ANSWERED, "reply_to": reply_to, "latency_ns": 5_000_000, "side": Side.CSMS}
    return message(ordinal, Kind.CALLRESULT, identity, action, text, **(facts | more))


def message(ordinal: int, kind: Kind, identity: str, action: str, text: bytes, **more: Any) -> Message:
    facts = {
        "time_ns": START + ordinal * 1_000_000,
        "connection": 0,
        "side": Side.STATION,
        "wire_size": len(text) + 2,
        "packets": (ordinal + 1,),
    } | more
    return Message(ordinal=ordinal, kind=kind, id=identity, action=action, text=text, **facts)


def exchanges(count: int, **more: Any) -> list[Message]:
    """`count` heartbeats and their answers."""
    return [one for n in range(count) for one in (call(2 * n, **more), result(2 * n + 1, 2 * n, **more))]


def columns_of(messages: list[Message]) -> Columns:
    """The same messages as parallel columns."""
    return Columns(*([getattr(message, name) for message in messages] for name in Columns._fields[:-1]))
