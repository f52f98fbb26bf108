"""Measures ocppscope against tshark on the same files: `make bench`, `BENCH="20k 200k-deflate" make bench`.

The word `proxy` among the cases, or no case at all, measures the proxy, too: see `bench.proxy`. The variant `tls13`
is `plain` in TLS, read with its keys.

Both write to a pipe that this process empties, so that the first line can be timed; figures are the median of
interleaved runs. CPU is user and system time of the process and its children, memory the largest resident set,
both as the kernel counts them. This process stays small, since a child's peak is never less than its parent's was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import proxy
from bench.generate import DATA, VARIANTS, cached, label, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROXY = "proxy"
TLS = "tls13"
QUICK = f"20k 200k-plain 200k-{TLS} {PROXY}"
FULL = f"20k 200k-plain 200k-deflate 200k-lossy 200k-{TLS} 50k-mixed70 50k-mixed95 1M-plain {PROXY}"
FEWER_RUNS_FROM = 1_000_000  # messages: a file of this size is run once, whatever --repeats says
READ_SIZE = 1 << 20
IN_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
TSHARK_FIELDS = ("frame.number", "frame.time_epoch", "tcp.stream", "websocket.opcode", "text")
MESSAGE = re.compile(rb'\[[234], ?"[0-9a-f]{8}-')


class Run(NamedTuple):
    """One process from start to end. Seconds and MB."""

    cpu: float
    wall: float
    first_line: float | None
    peak_mb: float
    lines: int
    exit_code: int


class Job(NamedTuple):
    """What is run on every file."""

    name: str
    command: Callable[[Path], list[str]]
    check: Callable[[Path], Found] | None = None


class Found(NamedTuple):
    """Messages in an output, and the sum of the checksums of their texts where the output has them."""

    messages: int
    crc32_sum: int | None = None


def run(command: list[str], output: Path | None = None) -> Run:
    """Run a command to its end; its stdout goes to `output`, or nowhere."""
    with tempfile.TemporaryFile() as complaints:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=complaints)
        assert child.stdout
        lines, first = _drain(child.stdout.fileno(), start, output)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = code = os.waitstatus_to_exitcode(status)
        child.stdout.close()
        if code:
            complaints.seek(0)
            sys.stderr.write(
                f"{' '.join(command)} ended with {code}: {complaints.read(2000).decode(errors='replace')}\n"
            )
    return Run(usage.ru_utime + usage.ru_stime, wall, first, usage.ru_maxrss / 1024, lines, code)


def _drain(source: int, start: float, output: Path | None) -> tuple[int, float | None]:
    lines, first = 0, None
    target = output.open("wb") if output else None
    while chunk := os.read(source, READ_SIZE):
        lines += chunk.count(b"\n")
        if first is None and lines:
            first = time.perf_counter() - start
        if target:
            target.write(chunk)
    if target:
        target.close()
    return lines, first


def found_by_tshark(output: Path) -> Found:
    """Messages that start somewhere in the text column."""
    with output.open("rb") as lines:
        return Found(sum(len(MESSAGE.findall(line)) for line in lines))


def found_by_ocppscope(output: Path) -> Found:
    """Parsed messages in the JSON lines, and the checksum over their texts."""
    messages = total = 0
    with output.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("kind") in KINDS:
                messages += 1
                total += zlib.crc32(row["text"].encode())
    return Found(messages, total)


KINDS = frozenset(("CALL", "CALLRESULT", "CALLERROR"))


def ocppscope(*words: str) -> Callable[[Path], list[str]]:
    """The command of the environment that runs this."""
    program = str(Path(sys.executable).parent / "ocppscope")
    return lambda capture: [program, *words, str(capture)]


def tshark(*options: str) -> Callable[[Path], list[str]]:
    """The peer: the same work as far as it goes, one line a packet with WebSocket frames."""
    fields = [word for field in TSHARK_FIELDS for word in ("-e", field)]
    return lambda capture: ["tshark", "-r", str(capture), *options, "-Y", "websocket", "-T", "fields", *fields]


LOG_JSONL = Job("log --format jsonl", ocppscope("log", "--format", "jsonl"), found_by_ocppscope)
LOG_JOBS = Job(
    "log --format jsonl --jobs 2", ocppscope("log", "--format", "jsonl", "--jobs", "2"), found_by_ocppscope
)
TSHARK = Job("tshark", tshark(), found_by_tshark)
JOBS = (
    Job("log", ocppscope("log")),
    LOG_JSONL,
    Job("stations", ocppscope("stations")),
    Job("diagnose", ocppscope("diagnose")),
    Job("timing", ocppscope("timing")),
    TSHARK,
)
"""`stations` does all the decoding and prints little; what `diagnose` takes beyond it is the analysis."""
PLAIN = "stations, without TLS"
TSHARK_IN_ORDER = Job("tshark, reassemble_out_of_order", tshark(*IN_ORDER), found_by_tshark)


def tls_jobs(plain: Path) -> tuple[Job, ...]:
    """The jobs of a capture in TLS, and one of the same capture without."""

    def keys(capture: Path) -> str:
        return str(capture.with_suffix(".keys"))

    def with_keys(*words: str) -> Callable[[Path], list[str]]:
        return lambda capture: ocppscope(*words, "--keylog", keys(capture))(capture)

    def tshark_with_keys(capture: Path) -> list[str]:
        return tshark("-o", f"tls.keylog_file:{keys(capture)}", "-d", "tcp.port==9000,tls")(capture)

    return (
        Job(LOG_JSONL.name, with_keys("log", "--format", "jsonl"), found_by_ocppscope),
        Job("stations", with_keys("stations")),
        Job(PLAIN, lambda _: ocppscope("stations")(plain)),
        Job(TSHARK.name, tshark_with_keys, found_by_tshark),
    )


def jobs_for(capture: Path, variant: str, options: argparse.Namespace) -> Iterator[Job]:
    """The jobs of one file, those left out whose program is missing."""
    have_tshark = shutil.which("tshark") is not None and not options.no_tshark
    if variant == TLS:
        plain = capture.with_name(f"{capture.stem.removesuffix(f'-{TLS}')}.pcap")
        yield from (job for job in tls_jobs(plain) if have_tshark or job.name != TSHARK.name)
        return
    for job in JOBS:
        if job is not TSHARK or have_tshark:
            yield job
    if variant in ("lossy", "holes") and have_tshark:
        yield TSHARK_IN_ORDER
    if variant == "plain" and options.parallel:
        yield LOG_JOBS


def measure(capture: Path, truth: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """All jobs on one file: medians, and what was found against the truth."""
    repeats = 1 if truth["messages"] >= FEWER_RUNS_FROM else options.repeats
    jobs = list(jobs_for(capture, truth["variant"], options))
    runs: dict[str, list[Run]] = {job.name: [] for job in jobs}
    found: dict[str, Found] = {}
    _warm(capture)
    for turn in range(repeats):
        for job in jobs:
            output = DATA / "output.tmp" if job.check and turn == 0 else None
            result = run(job.command(capture), output)
            runs[job.name].append(result)
            if output and job.check:
                found[job.name] = job.check(output) if result.exit_code == 0 else Found(0)
                output.unlink()
    return [_row(job.name, runs[job.name], found.get(job.name), truth) for job in jobs]


def _warm(capture: Path) -> None:
    """Bring the file into the page cache, so that nobody pays for the disk."""
    with capture.open("rb") as file:
        while file.read(READ_SIZE):
            pass


def _row(name: str, runs: list[Run], found: Found | None, truth: dict[str, Any]) -> dict[str, Any]:
    firsts = [run.first_line for run in runs if run.first_line is not None]
    same = None if found is None or found.crc32_sum is None else found.crc32_sum == truth["crc32_sum"]
    return {
        "job": name,
        "variant": truth["variant"],
        "messages": truth["messages"],
        "packets": truth["packets"],
        "megabytes": truth["bytes"] / 1e6,
        "runs": len(runs),
        "cpu": statistics.median(run.cpu for run in runs),
        "wall": statistics.median(run.wall for run in runs),
        "first_line": statistics.median(firsts) if firsts else None,
        "peak_mb": max(run.peak_mb for run in runs),
        "found": found.messages if found else None,
        "same_texts": same,
        "exit_code": max(run.exit_code for run in runs),
    }


def captured(variant: str, messages: int) -> tuple[Path, dict[str, Any]]:
    """A capture and the truth about it, made if it is not there; what is in TLS by a process that may grow."""
    if variant != TLS:
        return cached(variant, messages)
    _, truth = cached("plain", messages)
    command = [sys.executable, "-m", "bench.tls", "plain", label(messages), TLS]
    path, packets = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\t")
    return Path(path), truth | {"variant": TLS, "packets": int(packets), "bytes": Path(path).stat().st_size}


def cases(words: str) -> list[tuple[str, int]]:
    """`20k` is every variant at that size, `200k-deflate` one, `deflate` that variant at 20k."""
    wanted: list[tuple[str, int]] = []
    for word in words.split():
        size, _, variant = word.partition("-")
        if size in KNOWN:
            size, variant = variant or "20k", size
        if variant and variant not in KNOWN:
            sys.exit(f"no such variant: {variant} (there are {', '.join(KNOWN)})")
        try:
            messages = number(size)
        except ValueError:
            sys.exit(f"no such size or variant: {word} (sizes: 20k, 1M; variants: {', '.join(KNOWN)})")
        names = [variant] if variant else [name for name in VARIANTS if name != "holes"]
        wanted += [(name, messages) for name in names]
    return list(dict.fromkeys(wanted))


KNOWN = (*VARIANTS, TLS)
HEAD = (
    "| capture | packets | job | CPU s | wall s | first line s | peak MB | found | tshark CPU ÷ this |",
    "|---|--:|---|--:|--:|--:|--:|--:|--:|",
)


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown below `HEAD`, one line a job and file; CPU against tshark's on the same file."""
    for row in rows:
        peer = _peer(rows, row)
        first = "" if row["first_line"] is None else f"{row['first_line']:.2f}"
        failed = f" (exit {row['exit_code']})" if row["exit_code"] else ""
        ratio = "no tshark" if not peer else "" if failed else f"{peer['cpu'] / max(row['cpu'], 0.001):.1f}"
        capture = f"{row['variant']} {label(row['messages'])} | {row['packets']:,}"
        yield (
            f"| {capture} | {row['job']}{failed} | {row['cpu']:.2f} | {row['wall']:.2f} "
            f"| {first} | {row['peak_mb']:.0f} | {_verdict(row)} | {ratio} |"
        )


def _peer(rows: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, Any] | None:
    key = (row["variant"], row["messages"], TSHARK.name)
    return next((other for other in rows if (other["variant"], other["messages"], other["job"]) == key), None)


def _verdict(row: dict[str, Any]) -> str:
    if row["found"] is None:
        return ""
    share = f"{row['found']:,} of {row['messages']:,}"
    return share if row["same_texts"] is None else f"{share}, texts {'same' if row['same_texts'] else 'DIFFER'}"


def growth(rows: list[dict[str, Any]]) -> Iterator[str]:
    """CPU and wall a message as files grow, and what a second process brings."""
    for job in (LOG_JSONL.name, TSHARK.name):
        line = sorted(
            (row for row in rows if row["variant"] == "plain" and row["job"] == job), key=lambda r: r["messages"]
        )
        if len(line) > 1:
            steps = (
                f"{label(r['messages'])} {r['cpu'] / r['messages'] * 1e6:.1f} µs, {r['peak_mb']:.0f} MB" for r in line
            )
            yield f"Growth, {job} (CPU a message, peak memory): {' · '.join(steps)}"
    for row in rows:
        if row["job"] == PLAIN:
            sealed = next(r for r in rows if r["job"] == "stations" and _file(r) == _file(row))
            words = f"TLS, stations on {label(row['messages'])}"
            yield f"{words}: {sealed['cpu'] / row['cpu']:.2f} times the CPU of the same in plain"
        if row["job"] == LOG_JOBS.name:
            alone = next(r for r in rows if r["job"] == LOG_JSONL.name and _file(r) == _file(row))
            speedup = alone["wall"] / row["wall"]
            yield f"--jobs 2 on {row['variant']} {label(row['messages'])}: {speedup:.2f} times as fast"


def _file(row: dict[str, Any]) -> tuple[str, int]:
    return row["variant"], row["messages"]


def main() -> None:
    """Generate what is missing, measure, print Markdown, keep JSON."""
    parser = argparse.ArgumentParser(description="Measure ocppscope against tshark.")
    parser.add_argument("cases", nargs="*", help="sizes and variants: 20k, 200k-deflate, mixed95; proxy")
    parser.add_argument("--full", action="store_true", help="every variant and size; takes long")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each, the median counts (3)")
    parser.add_argument("--no-tshark", action="store_true", help="measure ocppscope alone")
    parser.add_argument("--parallel", action="store_true", help="also --jobs 2 on the plain captures")
    options = parser.parse_args()
    options.parallel |= options.full
    words = (" ".join(options.cases) or (FULL if options.full else QUICK)).split()
    files = cases(" ".join(word for word in words if word != PROXY))
    results: dict[str, Any] = {}
    if files:
        results |= _files(files, options)
    if PROXY in words:
        results["proxy"] = proxy.report(proxy.arguments(["--rounds", str(options.repeats)]))
    DATA.mkdir(exist_ok=True)
    (DATA / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if any(row["exit_code"] for row in results.get("rows", ())) or results.get("proxy", {}).get("wrong"):
        sys.exit("some runs failed, see above")


def _files(files: list[tuple[str, int]], options: argparse.Namespace) -> dict[str, Any]:
    """Everything about reading files."""
    rows: list[dict[str, Any]] = []
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {_tshark_version()}"
    print(f"ocppscope bench · {machine} · median of {options.repeats} interleaved runs (1 from 1M messages)\n")
    print("\n".join(HEAD), flush=True)
    for variant, messages in files:
        sys.stderr.write(f"{variant} {label(messages)} …\n")
        measured = measure(*captured(variant, messages), options)
        print("\n".join(table(measured)), flush=True)
        rows += measured
    print("\n".join(["", *growth(rows)]))
    return {"machine": machine, "rows": rows}


def _tshark_version() -> str:
    if shutil.which("tshark") is None:
        return "tshark is not installed, so its columns are empty"
    said = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    numbers = re.search(r"\d+(\.\d+)+", said)
    return f"tshark {numbers[0]}" if numbers else "tshark of unknown version"


if __name__ == "__main__":
    main()
