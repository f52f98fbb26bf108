"""Captures written again, and what is compared of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ocppscope.cli.evidence import CaptureEvidence, EvidenceRequest
from ocppscope.export import pcapng
from ocppscope.export.hidden import RedactedEvidence
from ocppscope.export.rewriting.blocks import Sheet
from ocppscope.export.rewriting.chosen import Chosen
from ocppscope.export.rewriting.remaking import Remaking
from ocppscope.export.writing import Job
from ocppscope.model import Connection, ControlFrame, Event, Kind, Message, StreamGap, Version
from ocppscope.options import Options
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor
from support_engine import blocks_of, run

KEY = bytes(range(32))
CAPTURES = Path(__file__).parents[2] / "captures"


def evidence_of(path: Path, **asked: Any) -> CaptureEvidence:
    """A capture or log as evidence, prepared."""
    evidence = CaptureEvidence(
        EvidenceRequest([str(path)], asked.pop("options", Options()), quiet=True, **{"findings": False, **asked})
    )
    evidence.prepare()
    return evidence


def exported(path: Path, out: Path, **asked: Any) -> Path:
    """Written as pcapng, not redacted."""
    with out.open("w+b") as file:
        pcapng.write(evidence_of(path, **asked), file, Job())
    return out


def redacted(path: Path, out: Path, redactor: Redactor | None = None, **asked: Any) -> Path:
    """Written as pcapng, redacted by the real redactor."""
    redactor = redactor or Redactor(Policy(KEY))
    evidence = CaptureEvidence(
        EvidenceRequest([str(path)], asked.pop("options", Options()), quiet=True, **{"findings": False, **asked})
    )
    evidence.prepare(redactor)
    with out.open("w+b") as file:
        pcapng.write(RedactedEvidence(evidence, redactor), file, Job())
    return out


class Replacing:
    """A redactor that replaces words by others, of any length, and leaves addresses and times."""

    def __init__(self, old: bytes = b"SECRET", new: bytes = b"x") -> None:
        self.old, self.new = old, new
        self.heads: list[bytes] = []

    def swapped(self, octets: bytes) -> bytes:
        return octets.replace(self.old, self.new)

    def message_text(self, text: bytes, *, version: Version, kind: Kind, action: str) -> bytes:
        return self.swapped(text)

    def request_head(self, head: bytes) -> bytes:
        self.heads.append(head)
        return self.swapped(head)

    response_head = request_head

    def words(self, text: str) -> str:
        return self.swapped(text.encode()).decode("utf-8", "replace")

    def address(self, text: str) -> str:
        return text

    def mac(self, octets: bytes) -> bytes:
        return octets

    def time(self, time_ns: int) -> int:
        return time_ns


def remade(path: Path, out: Path, redactor: Replacing) -> int:
    """Written again with such a redactor; gives the bytes that were blanked."""
    chosen = Chosen.of(evidence_of(path), Job())
    with Remaking((str(path),), chosen, redactor, Job()) as remaking, out.open("wb") as file:
        sheet = Sheet(file, "a test", "", made_up=False)
        sheet.add(remaking.packets(judged=False))
        sheet.finish()
        return remaking.blanked


def story(path: Path, options: Options | None = None) -> list[list[Any]]:
    """What can be said of a capture without its contents, by connection."""
    found = run(path, options)
    return [_told(found.events, one) for one in sorted(found.connections.values(), key=lambda one: one.number)]


def _told(events: list[Event], connection: Connection) -> list[Any]:
    told: list[Any] = [(connection.version, connection.close_how, connection.closed_by, connection.lost_bytes)]
    for event in events:
        if getattr(event, "connection", None) != connection.number:
            continue
        if isinstance(event, Message):
            codes = sorted(one.code for one in event.problems if one.code != "ws.context-guessed")
            said = (event.kind, event.id, event.action, event.frames, event.compressed, event.binary)
            told.append((event.side, *said, event.outcome, event.reply_to, event.latency_ns, codes))
        elif isinstance(event, ControlFrame):
            told.append((event.side, event.opcode, event.close_code, [one.code for one in event.problems]))
        elif isinstance(event, StreamGap):
            told.append((event.side, event.lost_bytes, event.why))
    return told


def findings(path: Path) -> Counter[Any]:
    """What the diagnosis finds."""
    report = evidence_of(path, findings=True).report
    assert report is not None
    return Counter((one.rule, one.severity, one.count) for one in report.findings)


def texts(path: Path) -> list[bytes]:
    """All messages of a capture."""
    return [message.text for message in run(path).messages]


def comments(path: Path) -> list[tuple[int, str]]:
    """Packet and text of the comments on packets that a capture has, as our reader gives them."""
    return [(block.first_packet + place, text) for block in blocks_of(path) for place, text in block.comments]
