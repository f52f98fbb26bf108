"""Record the project's captures from real OCPP peers over real sockets, each with a truth log beside it.

    python captures/recorder/record.py --list
    python captures/recorder/record.py NAME...
    python captures/recorder/record.py --all

Runs as root on Linux with tcpdump, iproute2, iptables, Node.js and npm. The peers' own packages are installed on
demand into `.venv` and `node_modules` beside this file. Knows nothing of ocppscope: the truth is what the peers say.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import broken  # noqa: F401 - its scenarios
import clean  # noqa: F401 - its scenarios
import truth
from scenarios import SCENARIOS, Scenario
from stage import HERE, PYTHON, RecordingError, Stage

CAPTURES = HERE.parent
NEEDED = {"tcpdump": "tcpdump", "ip": "iproute2", "iptables": "iptables", "node": "nodejs", "npm": "npm"}


def missing() -> list[str]:
    """Why recording is not possible here, a sentence each."""
    reasons = [
        f"{tool} is missing: apt-get install {package}" for tool, package in NEEDED.items() if not shutil.which(tool)
    ]
    if os.geteuid() != 0:
        reasons.append("root is needed for network namespaces and tcpdump")
    return reasons


def install_peers() -> None:
    """The packages of both stacks, once."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HERE / ".venv")], check=True)
        requirements = str(HERE / "requirements.txt")
        subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", "-r", requirements], check=True)
    if not (HERE / "node_modules").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=HERE, check=True)


async def record(scenario: Scenario, scratch: Path) -> str:
    """Play a scenario and put its capture and truth log in place; says what came out."""
    playing = asyncio.current_task()
    assert playing is not None
    for stop in (signal.SIGINT, signal.SIGTERM):  # the stage is to be cleared before we go
        asyncio.get_running_loop().add_signal_handler(stop, playing.cancel)
    async with Stage(scenario.name, scratch) as stage:
        await scenario.play(stage)
        await stage.stop_capture()
        events = [event for peer in stage.peers for event in peer.events]
    log = truth.merged(events)
    meta = stage.meta
    meta["shows"] = scenario.shows
    meta["capture"] = stage.pcap.name
    meta["ids"] = sorted({event["cp"] for event in log})
    early = truth.mark_uncaptured_before(log, meta["capture_started"])
    if early:
        meta["midstream"] = True
    if scenario.edit is not None:
        meta["edited"] = edited(scenario, stage, log)
    shutil.move(stage.pcap, CAPTURES / stage.pcap.name)
    truth.write(CAPTURES / f"{scenario.name}.truth.jsonl", meta, log)
    size = (CAPTURES / stage.pcap.name).stat().st_size
    return f"{scenario.name}: {size} bytes, {sum(event['kind'] == 'msg' for event in log)} messages"


def edited(scenario: Scenario, stage: Stage, log: list[dict[str, Any]]) -> dict[str, Any]:
    """Change the finished capture as the scenario says, and mark in the truth what it no longer shows."""
    assert scenario.edit is not None
    changes = scenario.edit(stage.pcap, stage.meta["ports"][0], scenario.every)
    for change in changes:
        if "order" not in change:
            continue
        port = f":{change['client_port']}"
        stream = [
            event
            for event in log
            if event["kind"] == "msg" and event["dir"] == change["dir"] and event["conn"].endswith(port)
        ]
        stream[change["order"]]["captured"] = False
    return {"how": scenario.edit.__name__, "every": scenario.every, "changes": changes}


def main() -> int:
    parser = argparse.ArgumentParser(description="Record captures from real OCPP peers.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="the names and what each shows")
    parser.add_argument("--all", action="store_true", help="record all")
    chosen = parser.parse_args()
    if chosen.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:20} {scenario.shows}")
        return 0
    names = list(SCENARIOS) if chosen.all else chosen.names
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown or not names:
        print(f"no such recording: {' '.join(unknown)}" if unknown else "name a recording, or --all", file=sys.stderr)
        return 2
    if reasons := missing():
        print(*reasons, sep="\n", file=sys.stderr)
        return 4
    install_peers()
    return record_all(names)


def record_all(names: list[str]) -> int:
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ocpp-recording-") as scratch:
        for name in names:
            try:
                print(asyncio.run(record(SCENARIOS[name], Path(scratch))), flush=True)
            except asyncio.CancelledError:
                print(f"{name}: stopped", file=sys.stderr)
                return 1
            except (RecordingError, TimeoutError) as error:
                failed += 1
                print(f"{name}: {error or 'a peer did not answer in time'}", file=sys.stderr)
                with contextlib.suppress(OSError):
                    print((Path(scratch) / f"{name}.stderr").read_text()[-2000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
