"""Files that are meant to hurt: captures, compressed captures, logs, key logs, notes; devices, directories, links."""

from __future__ import annotations

import gzip
import json
import os
import random
import struct
import time
from pathlib import Path

import pytest
import zstandard
from support_bombs import measure, ordinary, write_session

from support_captures import Pcapng, pcap_bytes, pcap_header
from support_cli import START_NS, Session

SMALL_MB = 250
NG = Pcapng()
DATA = ordinary(Session().upgrade()).packets


def capture(path: Path) -> Path:
    return write_session(path, ordinary(Session().upgrade()))


def ng_packets(*, options: bytes = b"") -> bytes:
    return b"".join(NG.enhanced(packet.time_ns, packet.data, options=options) for packet in DATA)


# --- pcap and pcapng --------------------------------------------------------------------------------------------


def pcapng_bombs() -> dict[str, tuple[bytes, str]]:
    """Files, and what is said of each; "" where nothing was bounded and the messages come out."""
    begin = NG.section() + NG.interface(tsresol=9)
    many = NG.option(1, b"c" * 60_000) * 4
    return {
        "block-of-4-GiB": (begin + ng_packets() + struct.pack("<II", 6, 0xFFFFFFF0) + bytes(64), "note:"),
        "block-of-0": (begin + ng_packets() + struct.pack("<III", 6, 0, 0), "note:"),
        "block-of-13": (begin + ng_packets() + struct.pack("<II", 6, 13) + bytes(64), "note:"),
        "option-list": (begin + NG.block(5, NG.option(2, b"x") * 100_000) + ng_packets(), ""),
        "long-comments": (begin + ng_packets(options=many), ""),
        "interfaces": (NG.section() + NG.interface(tsresol=9) * 50_000 + ng_packets(), ""),
        "sections": ((NG.section() + NG.interface(tsresol=9)) * 20_000 + ng_packets(), ""),
        "interface-ids": (
            begin
            + b"".join(NG.enhanced(START_NS, b"x" * 60, interface=n) for n in (1, 7, 0xFFFFFFFF))
            + ng_packets(),
            "note:",
        ),
        "section-length": (
            NG.block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, 1 << 62)) + begin[28:] + ng_packets(),
            "",
        ),
        "packet-longer-than-block": (
            begin + ng_packets() + NG.block(6, struct.pack("<IIIII", 0, 0, 0, 1 << 30, 1 << 30)) + ng_packets(),
            "note:",
        ),
        "snaplen-1": (NG.section() + NG.interface(snaplen=1, tsresol=9) + ng_packets(), ""),
        "names": (
            begin + NG.names(*((1, struct.pack("<I", n) + b"n" * 200 + b"\0") for n in range(20_000))) + ng_packets(),
            "",
        ),
        "secrets": (
            begin + b"".join(NG.secrets(b"%d\n" % n * 200_000) for n in range(100_000, 100_014)) + ng_packets(),
            "note:",
        ),
    }


def test_pcapng(tmp_path: Path):
    bombs = pcapng_bombs()
    for name, (data, _) in bombs.items():
        (tmp_path / name).write_bytes(data)
    found = measure(tmp_path, *(("log", tmp_path / name) for name in bombs))
    for (name, (_, said)), ran in zip(bombs.items(), found, strict=True):
        assert "after-0" in ran.out, (name, ran.err)
        assert said in ran.err, (name, ran.err)
    assert found[-1].peak_mb < SMALL_MB


@pytest.mark.parametrize("ticks", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("tool", ["log", "diagnose", "timing", "store"])
def test_timestamps_at_the_extremes(tmp_path: Path, ticks: int, tool: str, extremes: dict[int, dict[str, int]]):
    """Packets of year 1970 and of the end of time, before, between and after those of today."""
    del tmp_path
    assert extremes[ticks][tool] == 0


@pytest.fixture(scope="module")
def extremes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, int]]:
    directory, tools, codes = tmp_path_factory.mktemp("extremes"), ("log", "diagnose", "timing", "store"), {}
    commands = []
    for ticks in (0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        path = directory / f"{ticks}.pcapng"
        odd = [packet._replace(time_ns=ticks) if n % 2 else packet for n, packet in enumerate(DATA)]
        packets = b"".join(NG.enhanced(packet.time_ns, packet.data) for packet in odd)
        path.write_bytes(NG.section() + NG.interface(tsresol=9) + packets)
        commands += [(tool, path) for tool in tools]
    found = measure(directory, *commands)
    for (tool, path), ran in zip(commands, found, strict=True):
        codes.setdefault(int(path.stem), {})[tool] = ran.code
    return codes


def test_pcap_that_lies(tmp_path: Path):
    head, body = pcap_header(nanoseconds=True), pcap_bytes(DATA, nanoseconds=True)[24:]
    lies = {
        "record-of-4-GiB": head + body + struct.pack("<IIII", 1, 1, 0xFFFFFFFF, 0xFFFFFFFF) + body,
        "record-of-20-MiB": head + body + struct.pack("<IIII", 1, 1, 20 << 20, 20 << 20) + body,
        "empty-records": head + body + bytes(16 << 20),
        "snaplen-0": head[:16] + bytes(4) + head[20:] + body,
        "snaplen-4-GiB": head[:16] + b"\xff" * 4 + head[20:] + body,
        "nanoseconds": head + b"".join(struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF) + body[8:] for _ in range(3)),
    }
    for name, data in lies.items():
        (tmp_path / name).write_bytes(data)
    found = dict(zip(lies, measure(tmp_path, *(("log", tmp_path / name) for name in lies)), strict=True))
    for name, ran in found.items():
        assert "after-0" in ran.out, (name, ran.err)
    for name in ("record-of-4-GiB", "record-of-20-MiB"):
        assert "note:" in found[name].err
    assert found["nanoseconds"].peak_mb < SMALL_MB


def test_a_million_comments(tmp_path: Path):
    """Four comments on each packet: those are told, and do not stay in memory."""
    remark = NG.option(1, b"a remark of a user") * 4 + NG.option(0, b"")
    empty = NG.enhanced(START_NS, b"x" * 60, options=remark)
    path = tmp_path / "comments.pcapng"
    path.write_bytes(NG.section() + NG.interface(tsresol=9) + empty * 20_000 + ng_packets(options=remark))
    for ran in measure(tmp_path, ("log", path), ("diagnose", path), ("store", path)):
        assert ran.peak_mb < SMALL_MB


# --- compressed -------------------------------------------------------------------------------------------------


def zeros_in(form: str, megabytes: int) -> bytes:
    """A capture, then NULs: empty records without end."""
    data = pcap_bytes(DATA, nanoseconds=True)
    zeros = bytes(1 << 20)
    if form == "zst":
        return zstandard.compress(data) + zstandard.compress(zeros) * megabytes
    return gzip.compress(data) + gzip.compress(zeros) * megabytes


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_compressed_captures_of_nothing(tmp_path: Path, form: str):
    path = tmp_path / f"bomb.pcap.{form}"
    path.write_bytes(zeros_in(form, 100))
    assert path.stat().st_size < 1 << 20
    log, store = measure(tmp_path, ("log", path), ("store", path))
    assert "after-0" in log.out
    assert store.peak_mb < SMALL_MB


def test_compressed_logs_without_a_line_end(tmp_path: Path):
    path, nested = tmp_path / "bomb.log.gz", tmp_path / "nested.gz"
    path.write_bytes(gzip.compress(b"a" * (1 << 20)) * 100)
    nested.write_bytes(gzip.compress(gzip.compress(pcap_bytes(DATA))))
    one, other = measure(tmp_path, ("log", path), ("log", nested))
    assert one.code == other.code == 3
    assert one.err.startswith("ocppscope: ")
    assert one.peak_mb < SMALL_MB


# --- logs -------------------------------------------------------------------------------------------------------

LINE = '2026-11-22T10:00:00.250Z CP-1 > [2,"{}","Heartbeat",{{}}]\n'


def trace_record(number: int) -> str:
    """A record whose values are of all sizes and types."""
    noise = random.Random(number)
    odd = ("", "x" * 5000, 10**40, -1, 1e308, None, [], {}, "1.6", True, "2026-99-99T99:99:99Z", "\0\x1b[2J")
    record = {
        "schemaVersion": "1.1", "timestamp": "2026-11-22T10:00:00.250Z", "ocppVersion": "1.6", "transport": "json",
        "chargePointId": f"CP-{number}", "direction": "cp-to-csms", "messageType": "CALL", "messageId": str(number),
        "action": "Heartbeat", "payload": {},
    }  # fmt: skip
    if number % 3:
        record[noise.choice(list(record))] = noise.choice(odd)
    return json.dumps(record) + "\n"


def test_logs(tmp_path: Path):
    first = "".join(LINE.format(n) for n in range(3))
    deep = '2026-11-22T10:00:00.250Z CP-1 > [2,"d","DataTransfer",' + "[" * 100_000 + "]" * 100_000 + "]\n"
    logs = {
        "deep.log": first + deep + LINE.format("after"),
        "stations.log": "".join(LINE.format(n).replace("CP-1", f"CP-{n}") for n in range(3000))
        + LINE.format("after"),
        "open.log": first + '2026-11-22T10:00:00.250Z CP-1 > [2,"d","DataTransfer",{\n' + '"x": [1,\n' * 60_000,
        "trace.jsonl": "".join(map(trace_record, range(3000))),
        "deep.jsonl": trace_record(0) + '{"a":' * 100_000 + "\n",
        "columns.csv": "time,station,message\n" + "a," * 500_000 + "\n" + '"' * 100_000,
        "noise.log": random.Random(8).randbytes(1 << 20).decode("latin-1"),
    }
    for name, text in logs.items():
        (tmp_path / name).write_text(text)
    tools = ("log", "diagnose")
    found = measure(tmp_path, *((tool, tmp_path / name) for name in logs for tool in tools))
    byname = {name: found[2 * n] for n, name in enumerate(logs)}
    assert "after" in byname["deep.log"].out
    assert "json.depth" in byname["deep.log"].out
    assert "after" in byname["stations.log"].out
    assert found[-1].peak_mb < SMALL_MB


def test_a_log_with_one_line_of_a_gigabyte(tmp_path: Path):
    """The file is sparse: a line that begins well, and goes on with NULs."""
    path = tmp_path / "line.log"
    with path.open("wb") as file:
        file.write("".join(LINE.format(n) for n in range(300)).encode())
        file.write(LINE.format("x").removesuffix("{}]\n").encode())
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + LINE.format("after").encode())
    (ran,) = measure(tmp_path, ("log", path))
    assert "after" in ran.out
    assert ran.peak_mb < CEILING


CEILING = 500

# --- keys, notes, dialects --------------------------------------------------------------------------------------


def test_key_logs(tmp_path: Path):
    path, line = capture(tmp_path / "c.pcap"), "CLIENT_RANDOM {:064x} " + "ab" * 48 + "\n"
    (tmp_path / "many").write_text("".join(map(line.format, range(100_000))))
    (tmp_path / "line").write_bytes(b"CLIENT_RANDOM " + b"a" * (20 << 20))
    (tmp_path / "noise").write_bytes(random.Random(9).randbytes(1 << 20))
    commands = [("log", path, "--keylog", tmp_path / name) for name in ("many", "line", "noise")]
    for ran in measure(tmp_path, *commands, ("log", path, "--keylog", "/dev/null")):
        assert "after-0" in ran.out, ran.err
        assert ran.peak_mb < SMALL_MB


NOTES = {
    "large": lambda: b" " * ((64 << 20) + 1),
    "deep": lambda: b"[" * 1_000_000,
    "many": lambda: json.dumps({"ocppscope": "notes", "version": 1, "notes": [{}] * 200_000}).encode(),
    "digits": lambda: b'{"version":' + b"9" * 1_000_000 + b"}",
    "noise": lambda: random.Random(10).randbytes(1 << 16),
}


def test_notes_beside_a_capture(tmp_path: Path):
    paths = []
    for name, make in NOTES.items():
        paths.append(capture(tmp_path / f"{name}.pcap"))
        (tmp_path / f"{name}.pcap.ocppscope.json").write_bytes(make())
    for ran in measure(tmp_path, *(("store", path) for path in paths)):
        assert json.loads(ran.out.splitlines()[0])["rows"] == 2
        assert "damaged" in ran.said
        assert ran.peak_mb < SMALL_MB


def test_dialect_files(tmp_path: Path):
    path, files = tmp_path / "c.log", {}
    path.write_text("".join(LINE.format(n) for n in range(5)))
    files["large"] = b"# " * (1 << 18)
    files["deep"] = b"a = " + b"[" * 100_000
    files["noise"] = random.Random(11).randbytes(1000)
    for name, data in files.items():
        (tmp_path / f"{name}.toml").write_bytes(data)
    for ran in measure(tmp_path, *(("log", path, "--dialect", tmp_path / f"{name}.toml") for name in files)):
        assert ran.code in (2, 3)
        assert ran.err.startswith("ocppscope: ")


# --- places -----------------------------------------------------------------------------------------------------


def test_what_is_no_file(tmp_path: Path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "good").symlink_to(capture(tmp_path / "c.pcap"))
    (tmp_path / "directory").mkdir()
    bad = [tmp_path / name for name in ("loop", "gone", "directory", "x" * 300, "nowhere")]
    bad += [Path(name) for name in ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/mem", "/proc/self/environ")]
    *refused, good = measure(tmp_path, *(("log", path) for path in bad), ("log", tmp_path / "good"))
    for path, ran in zip(bad, refused, strict=True):
        assert ran.code in (2, 3, 4), (path, ran.said)
        assert len(ran.err.splitlines()) == 2, (path, ran.err)
    assert "after-0" in good.out


def test_a_capture_that_shrinks_while_it_is_read(tmp_path: Path):
    """A reader in the middle of a file that is cut, and then of one that is gone."""
    from ocppscope.capture.pcapfile import open_captures
    from ocppscope.store.places import CaptureTexts, GoneError

    path = tmp_path / "c.pcap"
    path.write_bytes(pcap_bytes(DATA * 2000))
    with open_captures([path], chunk_bytes=1 << 16) as reader:
        blocks = reader.blocks()
        count = len(next(blocks).offsets)
        with path.open("r+b") as file:
            file.truncate(1 << 17)
        count += sum(len(block.offsets) for block in blocks)
    assert 0 < count < len(DATA) * 2000
    with CaptureTexts(path) as texts, pytest.raises(GoneError, match="shorter than it was"):
        texts.read(1 << 17, 100)


def test_packets_that_vanish_under_the_screens(tmp_path: Path):
    """What was indexed is not there any more when somebody looks."""
    from ocppscope.cli.loading import session_of
    from ocppscope.options import Options
    from ocppscope.store.places import GoneError

    path = capture(tmp_path / "c.pcap")
    session = session_of([str(path)], Options())
    session.start(lambda: None)
    while not session.progress().done:
        time.sleep(0.01)
    with path.open("r+b") as file:
        file.truncate(100)
    assert len(session.store) == 2
    with pytest.raises(GoneError, match="shorter than it was"):
        [session.store.text(row) for row in range(2)]  # the first may still be in memory
    session.stop()
