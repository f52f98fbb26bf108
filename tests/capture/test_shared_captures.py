"""Third-party captures, against what tshark reads out of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from support_captures import Row, rows

SHARED = Path(__file__).parents[2].parent / "shared" / "captures"
FOLDERS = ("tcp", "derived", "selfmade", "peers", "websocket", "ocpp", "tls")
SUFFIXES = (".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz", ".pcapng.2", ".pcapng.3", ".ntar")
CAPTURES = sorted(
    path
    for folder in FOLDERS
    for path in (SHARED / folder).rglob("*")
    if path.name.endswith(SUFFIXES) and path.stat().st_size < 20_000_000
)
NO_CAPTURE = {"pcapplusplus_solaris.snoop": "snoop"}

# tshark counts custom blocks as records although they hold no packet; in these files packets are larger than they
CUSTOM_BLOCK_BYTES = 60
WITH_CUSTOM_BLOCKS = ("advanced_test102", "basic_test017", "basic_test018", "difficult_test202")

# tshark shows a time before 1970 as one of the year 584 billion
ABSURD_SECONDS = 2**33

pytestmark = pytest.mark.shared


def read(path: Path) -> tuple[list[Row], list[str]]:
    with open_captures([path]) as reader:
        return rows(reader.blocks()), reader.notices


def in_nanoseconds(epoch: str) -> int:
    seconds, _, fraction = epoch.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def tshark_rows(tshark: str, path: Path) -> tuple[list[tuple[int | None, int, int]], str]:
    """(time, captured, on the wire) of each packet, and what tshark complains of; no time for simple packets."""
    fields = [part for field in ("time_epoch", "cap_len", "len") for part in ("-e", f"frame.{field}")]
    run = subprocess.run(
        [tshark, "-n", "-r", path, "-T", "fields", *fields], capture_output=True, text=True, check=False
    )
    lines = (line.split("\t") for line in run.stdout.splitlines())
    found = [(in_nanoseconds(epoch) if epoch else None, int(caplen), int(length)) for epoch, caplen, length in lines]
    return found, " ".join(line for line in run.stderr.splitlines() if line.startswith(("tshark: ", "(")))


@pytest.mark.tshark
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: str(path.relative_to(SHARED)))
def test_packets_are_those_that_tshark_sees(path: Path, tshark: str) -> None:
    found, notices = read(path)
    expected, complaint = tshark_rows(tshark, path)
    if path.stem.endswith(WITH_CUSTOM_BLOCKS):
        expected = [row for row in expected if row[0] is not None or row[1] > CUSTOM_BLOCK_BYTES]
    assert [(len(row.data), row.origlen) for row in found] == [row[1:] for row in expected]
    for row, (time_ns, _, _) in zip(found, expected, strict=True):
        assert time_ns is None or time_ns > ABSURD_SECONDS * 10**9 or row.time_ns == time_ns
    assert bool(complaint) == any("ends in the middle" in notice or "is damaged" in notice for notice in notices)
    assert any(time_ns is None for time_ns, _, _ in expected) == any("without a time" in notice for notice in notices)


def test_there_are_captures_to_compare() -> None:
    assert len(CAPTURES) > 100


@pytest.mark.parametrize("name", NO_CAPTURE)
def test_files_that_are_not_read(name: str) -> None:
    with pytest.raises(CaptureError, match=NO_CAPTURE[name]):
        read(SHARED / "tcp" / "fileformat" / name)


def test_secrets_inside() -> None:
    paths = [path for folder in ("tls", "selfmade") for path in (SHARED / folder).glob("*_dsb.pcapng")]
    assert paths
    for path in paths:
        with open_captures([path]) as reader:
            assert rows(reader.blocks())
            assert b"CLIENT_" in b"".join(reader.secrets)
