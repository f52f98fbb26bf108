"""Sidecar files of notes: read, or set aside; what was read is written and read again the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ocppscope.store.notes import FORMAT, MAX_MARK, MAX_NOTE, MAX_NOTES, SUFFIX, load_notes

WORDS = (b'"connection":', b'"ordinal":', b'"time_ns":', b'"mark":"', b'"note":"', b'"version":1', FORMAT.encode())


def target(data: bytes) -> None:
    """A sidecar file with any content."""
    with tempfile.TemporaryDirectory(prefix="notes") as place:
        capture = Path(place, "a.pcap")
        sidecar = Path(f"{capture}{SUFFIX}")
        sidecar.write_bytes(data)
        notes = load_notes(capture)
        assert len(notes) <= MAX_NOTES
        if notes.trouble:
            assert not len(notes)
            assert notes.trouble.isprintable()
            assert data in [path.read_bytes() for path in Path(place).iterdir()], "what the user wrote is gone"
            return
        for name, note in notes.items():
            assert all(isinstance(number, int) for number in (*name, note.time_ns))
            assert len(note.mark) <= MAX_MARK
            assert len(note.note) <= MAX_NOTE
        notes.save()
        again = load_notes(capture)
        assert not again.trouble
        assert sorted(again.items()) == sorted(notes.items())


def seeds() -> Iterator[bytes]:
    """Files as they are written, and of another version."""
    note = {"connection": 0, "ordinal": 3, "time_ns": 10**18, "mark": "a", "note": "seen \u202e twice"}
    for version, notes in ((1, [note]), (1, [note, note | {"ordinal": 4, "mark": ""}]), (99, []), (1, [{}])):
        yield json.dumps({"format": FORMAT, "version": version, "notes": notes}).encode()
    yield b"[" * 2000
