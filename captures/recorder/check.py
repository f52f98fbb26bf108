"""How much of each truth log tshark finds in its capture: an independent look, and no oracle.

    python captures/recorder/check.py [NAME...]

It misses what tshark is known to miss: sessions without a handshake, swapped segments, compressed messages after a
gap, and text behind a line feed or in compressed fragments.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

CAPTURES = Path(__file__).parent.parent


def texts(capture: Path, ports: list[int]) -> Counter[str]:
    decode = [option for port in set(ports) for option in ("-d", f"tcp.port=={port},http")]
    fields = ["-T", "json", "-e", "websocket.payload.text"]
    command = ["tshark", "-r", str(capture), *decode, "-Y", "websocket.payload.text", *fields]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: Counter[str] = Counter()
    for packet in json.loads(output or "[]"):
        found.update(packet["_source"]["layers"]["websocket.payload.text"])
    return found


def report(log: Path) -> str:
    meta, *events = (json.loads(line) for line in log.read_text().splitlines())
    messages = [event for event in events if event["kind"] == "msg"]
    wanted = Counter(event["text"] for event in messages if event.get("captured", True))
    found = texts(CAPTURES / meta["capture"], meta["ports"])
    shown = (wanted & found).total()
    size = (CAPTURES / meta["capture"]).stat().st_size
    beyond = (found - wanted).total()
    return f"{meta['name']:20} {size:7} B  {meta['counts']}  tshark {shown}/{wanted.total()}, {beyond} others"


def main(names: list[str]) -> None:
    for log in sorted(CAPTURES.glob("*.truth.jsonl")):
        if not names or log.name.removesuffix(".truth.jsonl") in names:
            print(report(log), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
