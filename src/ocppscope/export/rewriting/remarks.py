"""What ocppscope writes on packets: findings and notes, as comments that it knows again. Text only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocppscope.analysis.finding import Finding
    from ocppscope.export.evidence import Row
    from ocppscope.store.notes import Note

FINDING, NOTE, EXPORT = "ocppscope finding: ", "ocppscope note: ", "ocppscope export: "
"""How comments begin that an export has put there."""


def remarks_on(row: Row) -> list[str]:
    """The comments on the packet that completes a message."""
    said = [finding(verdict.severity, verdict.rule, text) for verdict, text in row.verdicts]
    return [*said, note(row.note)] if row.note.mark or row.note.note else said


def finding(severity: str, rule: str, text: str) -> str:
    """`ocppscope finding: error rpc-timeout: No answer came in time.`"""
    head = f"{FINDING}{severity} {rule}"
    return f"{head}: {text}" if text else head


def session_finding(found: Finding) -> str:
    """The same, of what no single message shows."""
    return finding(found.severity.label, found.rule, found.text)


def note(said: Note) -> str:
    """`ocppscope note: [m] text`."""
    mark = f"[{said.mark}] " if said.mark else ""
    return f"{NOTE}{mark}{said.note}".rstrip()


def merged(kept: list[str], new: list[str], *, judged: bool) -> list[str]:
    """The comments of a packet: what it had, and what is said now, each once.

    What an earlier export had found goes where it was `judged` anew; so does what such an export says of itself.
    """
    own = (FINDING, EXPORT) if judged else (EXPORT,)
    said = dict.fromkeys([*(one for one in kept if not one.startswith(own)), *new])
    return sorted(said, key=lambda one: one.startswith((FINDING, NOTE, EXPORT)) + one.startswith((NOTE, EXPORT)))
