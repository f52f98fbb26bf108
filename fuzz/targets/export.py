"""Forms that are read by programs which know more than text: what peers say becomes content there, never structure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from xml.etree import ElementTree

from msgspec.structs import replace

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.export.evidence import Item, Row
from ocppscope.export.registry import BY_NAME, module_of
from ocppscope.export.writing import Job
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Kind,
    Message,
    Outcome,
    Problem,
    Side,
)
from ocppscope.ocpp.codec import decode
from ocppscope.store.notes import NO_NOTE, Note
from ocppscope.store.verdicts import Verdict

WORDS = (b"</script>", b"<!--", b"<img src=x onerror=a()>", b"=cmd|' /C calc'!A0", b'"', b"\r\n", b"\t=1", b"@SUM(1)",
         b"```", b"|", b"](javascript:a)", b"%%{init", b";", b"]]>", b"&#0;", b"\xef\xbc\x9d1", b"\xe2\x80\xa8", b"\x0b")  # fmt: skip
ORDINARY = packed([(31, b'[2,"1","Heartbeat",{}]')])
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Given:
    """Evidence of these items. Implements `Evidence`."""

    def __init__(self, items: list[Item], title: str) -> None:
        self._items = items
        self.title, self.captures, self.report, self.source = title, (title,), None, None
        self.connections: Mapping[int, Connection] = {
            one.connection.number: one.connection
            for one in items
            if isinstance(one, ConnectionOpened | ConnectionClosed)
        }

    def items(self) -> Iterator[Item]:
        """All of them."""
        return iter(self._items)


class Skeleton(HTMLParser):
    """The elements and attributes of a page, and what its scripts say."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of `HTMLParser`."""
        self.found.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.scripts += tag == "script"
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("href", "src") or not (value or "").lower().lstrip().startswith("javascript"), value


def evidence(data: bytes) -> Given:
    """Messages with these texts, of which the next ones are findings, notes, identities and reasons."""
    steps = list(records(data, 24))
    opened = next(one for one in sources.events("ocpp16_plain") if isinstance(one, ConnectionOpened))
    words = [body.decode("utf-8", "surrogateescape" if tag & 64 else "replace") for tag, body in steps]
    station = words[0][:200] if words else "CP"
    items: list[Item] = [replace(opened, connection=replace(opened.connection, number=0, station=station))]
    for number, (tag, body) in enumerate(steps):
        said = words[(number + 1) % len(words)].encode("utf-8", "replace").decode()
        raw = decode(body)
        answer = raw.kind in (Kind.CALLRESULT, Kind.CALLERROR)
        one = Message(
            time_ns=opened.time_ns + number, connection=0, ordinal=number, side=Side(tag & 1), kind=raw.kind, id=raw.id,
            action=raw.action, text=body, wire_size=len(body) + 6, packets=(number + 1,), problems=raw.problems,
            outcome=Outcome.ANSWERED if answer else Outcome.PENDING, latency_ns=5 if answer else None,
        )  # fmt: skip
        if tag & 2:
            one = replace(one, problems=(*one.problems, Problem("json.syntax", said[:300], f"/{said[:80]}")))
        verdicts = ((Verdict("rpc-call-timeout", "warning", "rpc"), said),) if tag & 4 else ()
        note = Note(one.time_ns, said[:32], said[:4000]) if tag & 8 else NO_NOTE
        items.append(Row(number, one, verdicts, note))
        if tag & 16:
            items.append(ControlFrame(one.time_ns, 0, Side.CSMS, 8, body[:125], (1,), 1000, said[:100]))
    title = (words[-1][:100] if words else "a").encode("utf-8", "replace").decode()
    return Given(items, title)


def written(form: str, given: Given) -> bytes:
    """A form's file."""
    out = io.BytesIO()
    module_of(BY_NAME[form]).write(given, out, Job())
    return out.getvalue()


def target(data: bytes) -> None:
    """Every form that has a syntax, and the text."""
    given = evidence(data)
    rows = sum(isinstance(one, Row) for one in given.items())
    table = list(csv.reader(io.StringIO(written("csv", given).decode(), newline="")))
    assert len(table) == rows + 1
    assert len({len(line) for line in table}) == 1
    for line in table:
        assert not [cell for cell in line if cell.startswith(DANGEROUS) and not number(cell)], line
    lines = written("jsonl", given).decode().split("\n")
    assert sum("row" in json.loads(line) for line in lines if line) >= rows
    assert all(line.isprintable() for line in written("text", given).decode().split("\n"))
    page(written("html", given).decode())
    ElementTree.fromstring(written("svg", given).decode())
    json.loads(written("har", given))
    for line in written("trace", given).splitlines():
        json.loads(line)
    assert "\x1b" not in written("markdown", given).decode()
    diagram(written("mermaid", given).decode())


def number(cell: str) -> bool:
    """Whether a cell is a negative number of ours."""
    try:
        return bool(float(cell)) or True
    except ValueError:
        return False


def page(text: str) -> None:
    """A page of no other elements than an ordinary one has."""
    skeleton = Skeleton()
    skeleton.feed(text)
    skeleton.close()
    ordinary = Skeleton()
    ordinary.feed(written("html", evidence(ORDINARY)).decode())
    assert skeleton.scripts == ordinary.scripts
    strange = {tag for tag, _ in skeleton.found} - {tag for tag, _ in ordinary.found}
    assert strange <= {"b", "i", "em", "span", "div", "p", "td", "tr", "details", "summary", "pre", "code", "ul", "li",
                       "mark", "small", "abbr", "title", "text", "g", "rect", "line", "path", "a", "time", "strong",
                       "dl", "dt", "dd", "h3", "table", "tbody", "th", "thead"}, strange  # fmt: skip


def diagram(text: str) -> None:
    """Lines of a sequence diagram and nothing else."""
    kinds = ("sequenceDiagram", "participant ", "actor ", "S", "C", "P", "Note ", "autonumber", "%%", "rect", "end")
    assert all(line.strip().startswith(kinds) for line in text.splitlines() if line.strip()), text


def seeds() -> Iterator[bytes]:
    """Ordinary messages, and what forms could take for their own."""
    said = [one.text for one in sources.messages("ocpp16_plain")[:6]]
    yield packed([(number & 1, text) for number, text in enumerate(said)])
    hostile = [json.dumps([2, word.decode("utf-8", "replace"), "DataTransfer", {"data": word.decode("utf-8", "replace")}])
               for word in WORDS]  # fmt: skip
    for at in range(0, len(hostile), 6):
        yield packed([(31 - number, text.encode()) for number, text in enumerate(hostile[at : at + 6])])
    yield packed([(31, word) for word in WORDS[:8]])
    yield packed([(0x5F, word) for word in (*WORDS[8:], b"\xff\xfe", b"\xed\xa0\x80")])
