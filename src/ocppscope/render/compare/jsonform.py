"""The comparison as one JSON object. Its keys stay as they are; docs/compare.md names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.compare.report import Comparison, Difference, Half, Table
    from ocppscope.model import Message

FORMAT = 1
"""Goes up when a key changes its meaning or goes away."""


def json(report: Comparison) -> Iterator[str]:
    """The object, indented."""
    plain = msgspec.structs.asdict
    clock = report.clock
    whole: dict[str, Any] = {
        "format": FORMAT,
        "mode": report.mode,
        "reason": report.reason,
        "a": plain(report.captures[0]),
        "b": plain(report.captures[1]),
        "summary": report.summary,
        "clock": None
        if clock is None
        else {
            "sentences": clock.sentences,
            "station_side": clock.station_side,
            "lines": [plain(line) for line in clock.lines],
        },
        "differences": [_difference(number, one) for number, one in enumerate(report.differences, 1)],
        "not_shown": report.not_shown,
        "tables": [_table(one) for one in report.tables],
        "notices": report.notices,
    }
    yield msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _difference(number: int, one: Difference) -> dict[str, Any]:
    return {
        "number": number, "code": one.code, "weight": one.weight, "text": one.text, "why": one.why,
        "station": one.station, "count": one.count,
        "facts": [msgspec.structs.asdict(fact) for fact in one.facts],
        "ladder": [
            {"mark": str(line.mark), "a": _half(line.a), "b": _half(line.b)} for line in one.ladder
        ],
    }  # fmt: skip


def _half(one: Half | None) -> dict[str, Any] | None:
    if one is None:
        return None
    found = _message(one.message)
    if one.answer is not None:
        found["answer"] = _message(one.answer)
    return found


def _message(message: Message) -> dict[str, Any]:
    return {
        "time_ns": message.time_ns, "connection": message.connection, "ordinal": message.ordinal,
        "packet": message.packets[0] if message.packets else None, "from": message.side.label,
        "kind": message.kind.name,
        "id": message.id.encode("utf-8", "replace").decode(), "action": message.action,
        "text": message.text.decode("utf-8", "replace"), "latency_ns": message.latency_ns,
    }  # fmt: skip


def _table(one: Table) -> dict[str, Any]:
    names = [column.name for column in one.columns]
    return {
        "id": one.id,
        "title": one.title,
        "note": one.note,
        "units": {column.name: column.unit for column in one.columns if column.unit},
        "rows": [dict(zip(names, row, strict=True)) for row in one.rows],
    }
