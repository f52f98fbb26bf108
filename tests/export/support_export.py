"""Evidence for the tests of forms: a recorded session with a note, and what a hostile peer and user may have said."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ocppscope.cli.evidence import CaptureEvidence, EvidenceRequest
from ocppscope.export.evidence import Row
from ocppscope.export.registry import BY_NAME, module_of
from ocppscope.export.writing import Job
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    Flow,
    Handshake,
    Kind,
    Message,
    Outcome,
    Problem,
    Side,
    StreamGap,
    Version,
)
from ocppscope.options import Options
from ocppscope.store.notes import Note, load_notes
from ocppscope.store.verdicts import Verdict
from support_cli import UPDATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocppscope.analysis.report import Report
    from ocppscope.export.evidence import Evidence, Item

CAPTURES = Path(__file__).parents[2] / "captures"
GOLDENS = Path(__file__).parent / "golden"
READERS = Path(__file__).parent / "readers"
START_NS = 1_795_348_800_000_000_000  # 2026-11-22 12:00:00 UTC
FLOW = Flow(Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.9", 9000))
NOTED = "the relay clicked twice"

HOSTILE = (
    '=HYPERLINK("http://evil.example")', "+1+1", "-1", "@SUM(A1)", "\t=1", "\uff1d1", 'a "quoted", text', "'",
    "a\nb\r\nc", "\u202egnp.exe", "\x1b[31mred\x1b[0m", "\x00\x07\x7f\x9b", "lone \ud800 half", "a | b || c",
    "`code` ``` fence", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))",
    "@someone and #12", "https://evil.example/?a=b", "www.evil.example", "end\nNote over S0: x", "; participant X",
    "%%{init: {}}%%", "#quot;", "\\x60 \\| \\`", "&lt;b&gt;", "\u0300" * 40, "🔌 電気", "**bold** __b__ ~~s~~",
    "```\n# head", "# head", "! no.problem x", "▲ error rule", "", " ", "x" * 3000, "\u2028\u2029", "→ CALL",
    "{{7*7}}", "${x}", "]]>", "--", "\ufeff",
)  # fmt: skip
"""Texts that somebody may have put where a form would read them as its own."""


class Given:
    """Evidence of these items. Implements `Evidence`."""

    def __init__(self, items: Iterable[Item], captures: tuple[str, ...] = ("a.pcap",), report: Report | None = None):
        self._items = list(items)
        self.captures, self.title, self.report, self.source = captures, ", ".join(captures), report, None
        self.connections: Mapping[int, Connection] = {
            one.connection.number: one.connection
            for one in self._items
            if isinstance(one, ConnectionOpened | ConnectionClosed)
        }

    def items(self) -> Iterator[Item]:
        return iter(self._items)


def written(form: str, evidence: Evidence) -> bytes:
    """What a form makes of it."""
    out = io.BytesIO()
    module_of(BY_NAME[form]).write(evidence, out, Job())
    return out.getvalue()


def capture_evidence(
    *names: str | Path, wanted: str = "", findings: bool = False, legs: bool = False
) -> CaptureEvidence:
    """Captures, or logs, as a command has them."""
    evidence = CaptureEvidence(EvidenceRequest(list(map(str, names)), Options(), wanted, legs, findings, quiet=True))
    evidence.prepare()
    return evidence


def noted_evidence(place: Path, name: str = "remote_start_stop.pcap") -> CaptureEvidence:
    """A recorded session with findings and one note."""
    path = place / name
    shutil.copy(CAPTURES / name, path)
    messages = [one.message for one in capture_evidence(path).items() if isinstance(one, Row)]
    notes = load_notes(path)
    notes.set(next(one for one in messages if one.action == "StartTransaction"), mark="a", note=NOTED)
    notes.save()
    return capture_evidence(path, findings=True)


def check_golden(name: str, content: bytes) -> None:
    """The same as the golden; with OCPPSCOPE_UPDATE_GOLDENS it is written anew."""
    path = GOLDENS / name
    if UPDATE:
        path.write_bytes(content)
    assert content == path.read_bytes()


# --- made by hand --------------------------------------------------------------------------------------------------


def connection(number: int = 0, station: str = "CP-1", **more: Any) -> Connection:
    upgrade = Handshake(
        method="GET", target=f"/ocpp/{station}", station=station, user="", key="k", websocket_version="13",
        request_headers=(("Host", "csms.example"), ("X-Said", station)), offered_protocols=("ocpp1.6",),
        offered_extensions=(), requested_ns=START_NS, status=101, reason="Switching Protocols", protocol="ocpp1.6",
        answered_ns=START_NS + 1_000_000,
    )  # fmt: skip
    known = Connection(
        number=number, flow=FLOW, opened_ns=START_NS, first_packet=1, station=station, version=Version.V16,
        version_guessed=False, handshake=upgrade,
    )  # fmt: skip
    return replace(known, **more)


def message(text: bytes, ordinal: int = 0, **more: Any) -> Message:
    made = Message(
        time_ns=START_NS + (ordinal + 1) * 1_000_000, connection=0, ordinal=ordinal, side=Side.STATION,
        kind=Kind.CALL, id="1", action="Heartbeat", text=text, wire_size=len(text) + 6, packets=(ordinal + 4,),
        outcome=Outcome.PENDING,
    )  # fmt: skip
    return replace(made, **more)


def hostile_messages() -> list[Message]:
    """Each text in each place that the wire fills, and texts that are no JSON or no UTF-8."""
    made = []
    for text in HOSTILE:
        octets = json.dumps([2, text, text, {"vendorId": text, "data": text}]).encode()
        problem = Problem("json.syntax", f"It says {text}.", f"/{text}")
        made.append(message(octets, len(made), id=text, action=text, problems=(problem,)))
        plain = text.encode("utf-8", "surrogatepass")
        made.append(message(plain, len(made), kind=Kind.UNPARSED, id="", action="", outcome=Outcome.NONE))
    for octets in (
        b"\xff\xfe\x00",
        b'[2,"1","Heartbeat",{"a":"\xc3("}]',
        b"[" * 3000,
        b"",
        b"{}",
        b"[3]",
        b"[4,1,2]",
    ):
        made.append(message(octets, len(made), kind=Kind.UNPARSED))
    made.append(message(b"\x00\x01\xff", len(made), kind=Kind.UNPARSED, binary=True))
    made.append(message(b'[4,"1","InternalError","no",{"a":1}]', len(made), kind=Kind.CALLERROR, latency_ns=5))
    made.append(message(b'[5,"1","InternalError","no",{}]', len(made), kind=Kind.CALLRESULTERROR))
    made.append(message(b'[6,"1","NotifyPeriodicEventStream",{"id":1}]', len(made), kind=Kind.SEND))
    made.append(
        message(b'[3, "1",\n {"status" : "Accepted"}]', len(made), kind=Kind.CALLRESULT, reply_to=0, latency_ns=0)
    )
    return made


def hostile(station: str = "CP-1") -> Given:
    """Findings, notes, identities, frames and messages that hold `HOSTILE`."""
    opened = connection(station=station)
    rows = []
    for number, one in enumerate(hostile_messages()):
        said = HOSTILE[number % len(HOSTILE)]
        verdicts = ((Verdict("rpc-call-timeout", "warning", "rpc"), said),) if number % 2 else ()
        rows.append(Row(number, one, verdicts, Note(one.time_ns, said[:32], said) if number % 3 == 0 else Note(0)))
    end_ns = START_NS + 10**12
    frames = [
        ControlFrame(end_ns, 0, Side.CSMS, 8, text.encode("utf-8", "replace"), (9,), 1000, text) for text in HOSTILE
    ]
    gap = StreamGap(end_ns, 0, Side.STATION, None, HOSTILE[0])
    refused = replace(
        connection(1, station).handshake,
        status=401,
        reason=HOSTILE[8],
        body=HOSTILE[15],
        protocol=None,  # type: ignore[type-var]
    )
    others = [ConnectionOpened(end_ns, connection(1, HOSTILE[10], handshake=refused))]
    others += [ConnectionOpened(end_ns, connection(2, text, handshake=None)) for text in HOSTILE[:3]]
    closed = ConnectionClosed(
        end_ns, replace(opened, closed_ns=end_ns, closed_by=Side.CSMS, close_how="close frame", close_code=1000,
                        close_reason=HOSTILE[16])
    )  # fmt: skip
    return Given([ConnectionOpened(START_NS, opened), *rows, gap, *frames, *others, closed], HOSTILE)


def read_by_node(script: str, *paths: Path) -> list[Any]:
    """What a program of `readers` says of files."""
    command = ["node", str(READERS / script), *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def rows_of(evidence: Evidence) -> list[Row]:
    return [item for item in evidence.items() if isinstance(item, Row)]


def is_harmless(text: str) -> bool:
    """Whether a terminal may show it: lines of printable characters."""
    return all(line.isprintable() for line in text.split("\n"))
