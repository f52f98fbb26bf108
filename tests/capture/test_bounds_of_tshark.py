"""Bounds of what tshark is given and of what it says, reached one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ocppscope.capture import tshark_program
from ocppscope.capture.tshark import TsharkStreams
from ocppscope.capture.tshark_program import MAX_SAID_BYTES, Reading
from ocppscope.errors import CaptureError, UsageError

PLAIN = str(Path(__file__).parents[2] / "captures" / "ocpp16_plain.pcap")
GOOD = 'if [ "$1" = --version ]; then echo "TShark (Wireshark) 4.2.2."; exit; fi\n'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a program `tshark`, the only one of PATH."""

    def make(script: str) -> None:
        program = tmp_path / "tshark"
        program.write_text(f"#!/bin/sh\n{GOOD}{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


@pytest.mark.parametrize("which", ["key_logs", "rsa_keys"])
def test_bytes_of_a_key_log(
    fake: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """MAX_KEY_LOG_BYTES: a larger one is refused in words; cut, it would open less, and nobody would know why."""
    assert tshark_program.MAX_KEY_LOG_BYTES >= 1 << 20
    monkeypatch.setattr(tshark_program, "MAX_KEY_LOG_BYTES", 100)
    fake("exec /bin/cat > /dev/null")
    path = tmp_path / "keys"
    path.write_bytes(b"x" * 100)
    assert len(tshark_program.read_key_log(str(path))) == 100
    assert list(TsharkStreams([PLAIN], **{which: [str(path)]})) == []
    path.write_bytes(b"x" * 101)
    with pytest.raises(UsageError, match="larger than 100 bytes") as caught:
        TsharkStreams([PLAIN], **{which: [str(path)]})
    assert caught.value.hint


def test_what_it_says_on_stderr(fake: Callable[[str], None]) -> None:
    """MAX_SAID_BYTES, the latest ones: its last sentence is the reason."""
    fake('i=0; while [ $i -lt 3000 ]; do echo "a warning 0123456789" >&2; i=$((i+1)); done; echo "full" >&2; exit 2')
    with Reading([], [PLAIN]) as reading:
        with pytest.raises(CaptureError, match="tshark failed: full"):
            list(reading.output())
        assert 1000 < len(reading._said) <= MAX_SAID_BYTES < 3000 * 21
