"""Runs command lines in this process and prints what each cost: `python measured.py MB SECONDS <JSON`.

The JSON is a list of command lines; the word `store` stands for reading a capture the way the screens do. Each gives
a line of JSON: exit code, CPU seconds, and the peak of the memory in MB. What they print goes to numbered files of
the working directory.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from pathlib import Path


def peak_mb() -> float:
    """The largest resident size so far, of this process alone."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def store(*paths: str) -> None:
    """Reads captures into a session of the screens, and prints what the screens would say."""
    from ocppscope.cli.loading import session_of
    from ocppscope.options import Options

    session = session_of(list(paths), Options())
    session.start(lambda: None)
    while not session.progress().done:
        time.sleep(0.01)
    progress = session.progress()
    print(json.dumps({"rows": len(session.store), "trouble": progress.trouble, "notices": progress.notices}))
    session.stop()
    if progress.trouble:
        raise SystemExit(3)


def one(words: list[str]) -> int:
    from ocppscope.cli.main import cli, exit_code

    if words[0] == "store":
        try:
            return exit_code(lambda: store(*words[1:]))
        except SystemExit as end:
            return int(end.code or 0)
    return exit_code(lambda: cli.main(words, prog_name="ocppscope", standalone_mode=False))


def main() -> None:
    megabytes, seconds, commands = int(sys.argv[1]), int(sys.argv[2]), json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    report = os.fdopen(os.dup(1), "w", buffering=1)
    for number, words in enumerate(commands):
        for descriptor, name in ((1, "out"), (2, "err")):
            file = os.open(f"{name}.{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, descriptor)
            os.close(file)
        begun = time.process_time()
        code = one(words)
        sys.stdout.flush()
        sys.stderr.flush()
        report.write(json.dumps([code, round(time.process_time() - begun, 3), round(peak_mb(), 1)]) + "\n")


if __name__ == "__main__":
    main()
