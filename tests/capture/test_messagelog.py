"""Logs of messages as files: which form they have, however they are packed and cut."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ocppscope.capture import messagelog
from ocppscope.capture.entries import Found, Said
from ocppscope.capture.messagelog import read_message_log
from ocppscope.errors import CaptureError

TEXT = "# a talk\n-- 2026-11-22\n10:00:00 CP-1 → [1]\n10:00:00 CP-1 ← [22]".encode()
TRACE = (
    b'\n\xef\xbb\xbf{"schemaVersion":"1.1","timestamp":"2026-11-22T10:00:00Z","direction":"cp-to-csms","messageType":"CALL",'
    b'"raw":"[1]"}\n'
)


def kinds(path: Path) -> list[type]:
    return [type(entry.what) for entry in read_message_log(path)]


@pytest.mark.parametrize(
    ("content", "found"), [(TEXT, [Said, Said]), (TRACE, [Found, Said]), (b"", []), (b"\n\n", [])]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_first_line_tells_the_form(tmp_path: Path, content: bytes, found: list[type], pack) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(pack(content))
    assert kinds(path) == found


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_lines_however_they_are_cut(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(TEXT)
    whole = list(read_message_log(path))
    monkeypatch.setattr(messagelog, "CHUNK", chunk)
    assert list(read_message_log(path)) == whole


def test_a_line_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messagelog, "MAX_LINE", 100)
    monkeypatch.setattr(messagelog, "CHUNK", 64)
    path = tmp_path / "some.log"
    path.write_bytes(TEXT + b"x" * 300)
    with pytest.raises(CaptureError, match="a line of more than 100 bytes"):
        kinds(path)


def test_a_file_cut_while_packed_says_so(tmp_path: Path) -> None:
    path = tmp_path / "some.log.gz"
    path.write_bytes(gzip.compress(TEXT)[:-12])
    with pytest.raises(CaptureError, match=r"some\.log\.gz"):
        kinds(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no file"):
        kinds(tmp_path / "none.log")
