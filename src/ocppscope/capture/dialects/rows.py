"""Reads what `ocppscope log --format jsonl` prints, with `--events` and without (docs/jsonl.md).

What follows from the rest, such as CALLs without an answer, is left out. A line that is no such object is counted.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from ocppscope.capture import upgrades
from ocppscope.capture.entries import Answered, Asked, Closed, Controlled, Entry, Found, Lost, Said
from ocppscope.model import Flow, Side, Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.capture.dialects.context import Context
    from ocppscope.capture.entries import What

MAX_CONNECTIONS = 1 << 16
"""Connections that are remembered as told of."""
TYPES = frozenset(
    {"message", "opened", "closed", "frame", "gap", "unanswered", "tls", "comment", "connection", "finding", "note"}
)
_START = re.compile(r'\s*\{"type": ?"(\w{1,20})", ?(?:"row": ?\d+, ?)?"connection": ?-?\d')
_SIDES = {"station": Side.STATION, "csms": Side.CSMS}
_OPCODES = {"close": 8, "ping": 9, "pong": 10}
_VERSIONS = {version.value: version for version in Version}
_DAMAGE = frozenset(
    {"ws.lost-bytes", "ws.context-lost", "ws.too-large", "ws.unfinished-message", "ws.deflate-corrupt"}
)
_BASIC = re.compile(r"(?i)basic (.*):\*\*\* \((\d{1,4}) bytes\)", re.DOTALL)
_MAX_NS = 1 << 63
LONG = 4096
"""Characters of a line that may be but the beginning of one."""


def is_row(line: str) -> bool:
    """Whether a line begins as a row of ours does."""
    found = _START.match(line)
    return found is not None and found[1] in TYPES and (len(line) >= LONG or line.rstrip().endswith("}"))


class RowReader:
    """Reads one log of JSON rows. A `LineReader`."""

    def __init__(self, context: Context) -> None:
        self.tally = context.tally
        self._numbers = context.sessions
        self._told: dict[int, int] = {}  # connections, and when they opened

    def line(self, number: int, text: str) -> Iterable[Entry]:
        """The next line."""
        if not text.strip(" \t\r\n\ufeff"):
            return []
        try:
            row = json.loads(text.strip("\ufeff \t\r\n"))
        except (ValueError, RecursionError):
            row = None
        kind = row.get("type") if isinstance(row, dict) else None
        read = getattr(self, f"_{kind}", None) if kind in TYPES else None
        time_ns = row.get("time_ns") if isinstance(row, dict) else None
        if read is None or not isinstance(time_ns, int) or not 0 <= time_ns < _MAX_NS:
            self.tally.skipped += kind not in TYPES or read is not None
            return []
        connection = row.get("connection")
        if not isinstance(connection, int) or not isinstance(row.get("station"), str):
            self.tally.skipped += 1
            return []
        entry = Entry(
            time_ns, number, row["station"] or "station", self._numbers.number(f"#{connection}"), None, Found()
        )
        found: list[Entry] = list(read(row, entry))
        return found

    def finish(self) -> Iterable[Entry]:
        """The end: nothing waits."""
        return []

    def _known(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        """The connection, where nothing told of it before."""
        assert entry.number is not None
        if entry.number not in self._told:
            self._remember(entry.number, entry.time_ns)
            sure = row.get("version_guessed") is False
            version = _VERSIONS.get(str(row.get("version")), Version.UNKNOWN) if sure else Version.UNKNOWN
            yield entry._replace(what=Found(version=version))

    def _remember(self, number: int, time_ns: int) -> None:
        if len(self._told) >= MAX_CONNECTIONS:
            del self._told[next(iter(self._told))]
        self._told[number] = time_ns

    def _message(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        side, text = _SIDES.get(str(row.get("side"))), row.get("text")
        if side is None or not isinstance(text, str):
            self.tally.skipped += 1
            return
        yield from self._known(row, entry)
        octets = _octets(row.get("text_base64"))
        if octets is None:
            octets = text.encode("utf-8", "surrogatepass")
        problems = row.get("problems")
        codes = (
            {one.get("code") for one in problems if isinstance(one, dict)} if isinstance(problems, list) else set()
        )
        whole = not any(code in _DAMAGE for code in codes if isinstance(code, str))
        self.tally.messages += 1
        self.tally.cut += not whole
        yield entry._replace(side=side, what=Said(octets, row.get("binary") is True, whole))

    def _opened(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        assert entry.number is not None
        upgrade, flow = row.get("upgrade"), _flow(row)
        asked_ns = upgrade.get("requested_ns") if isinstance(upgrade, dict) else entry.time_ns
        asked_ns = asked_ns if isinstance(asked_ns, int) and 0 <= asked_ns < _MAX_NS else entry.time_ns
        if self._told.get(entry.number) == asked_ns and isinstance(upgrade, dict):
            return  # said again, since it turned out to speak OCPP
        if entry.number in self._told and not isinstance(upgrade, dict):
            return
        self._remember(entry.number, asked_ns)
        self.tally.events += 1
        leg = row.get("leg_of")
        leg_of = self._numbers.number(f"#{leg}") if isinstance(leg, int) else None
        if not isinstance(upgrade, dict):
            sure = row.get("version_guessed") is False
            version = _VERSIONS.get(str(row.get("version")), Version.UNKNOWN) if sure else Version.UNKNOWN
            yield entry._replace(what=Found(flow, version, leg_of))
            return
        request = _head(
            f"{upgrade.get('method', 'GET')} {upgrade.get('target', '/')} HTTP/1.1", upgrade.get("request_headers")
        )
        yield entry._replace(time_ns=asked_ns, side=Side.STATION, what=Asked(request, flow, leg_of))
        status = upgrade.get("status")
        if isinstance(status, int) and 0 < status < 1000:
            answer = _head(f"HTTP/1.1 {status:03} {upgrade.get('reason', '')}", upgrade.get("response_headers"))
            answered = upgrade.get("answered_ns")
            time_ns = answered if isinstance(answered, int) and 0 <= answered < _MAX_NS else entry.time_ns
            body = str(upgrade.get("body", "")).encode("utf-8", "replace")
            yield entry._replace(time_ns=time_ns, side=Side.CSMS, what=Answered(answer + body))

    def _closed(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        self.tally.events += 1
        code, how = row.get("close_code"), str(row.get("close_how") or "end of capture")
        closed = Closed(how[:100], code if isinstance(code, int) else None, str(row.get("close_reason") or "")[:200])
        self._told.pop(entry.number or 0, None)
        yield entry._replace(side=_SIDES.get(str(row.get("closed_by"))), what=closed)

    def _frame(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        name = str(row.get("opcode"))
        opcode = _OPCODES.get(name) or (int(name) if name.isascii() and name.isdigit() and len(name) < 3 else 0)
        yield from self._sided(row, entry, Controlled(opcode, (_octets(row.get("payload_base64")) or b"")[: 1 << 16]))

    def _gap(self, row: dict[str, Any], entry: Entry) -> Iterable[Entry]:
        count, why = row.get("lost_bytes"), str(row.get("why") or "")
        octets = count if isinstance(count, int) and 0 <= count < _MAX_NS else 0
        lost = Lost(octets, why.removeprefix("captured, but "), why.startswith("captured, but "))
        yield from self._sided(row, entry, lost)

    def _sided(self, row: dict[str, Any], entry: Entry, what: What) -> Iterable[Entry]:
        side = _SIDES.get(str(row.get("side")))
        if side is None or (isinstance(what, Controlled) and not 8 <= what.opcode <= 15):
            self.tally.skipped += 1
            return
        self.tally.events += 1
        yield from self._known(row, entry)
        yield entry._replace(side=side, what=what)


def _octets(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _flow(row: dict[str, Any]) -> Flow | None:
    client, server = upgrades.endpoint(str(row.get("client"))), upgrades.endpoint(str(row.get("server")))
    return Flow(client, server) if client and server else None


def _head(first: str, headers: object) -> bytes:
    """A head as it was, but for what was blanked in it: a password is as long as it was."""
    lines = [first.replace("\r", " ").replace("\n", " ")]
    for one in headers if isinstance(headers, list) else ():
        if isinstance(one, list) and len(one) == 2:
            name, value = (str(part).replace("\r", " ").replace("\n", " ") for part in one)
            found = _BASIC.fullmatch(value) if name.lower() == "authorization" else None
            if found:
                credentials = f"{found[1]}:{'*' * int(found[2])}".encode("utf-8", "replace")
                value = f"Basic {base64.b64encode(credentials).decode()}"
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
