"""The truth log: what both peers' own WebSocket calls sent and received, put together.

Knows nothing of packets; a message is matched by station, direction and text, in the order of the calls.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

Event = dict[str, Any]
DIRECTION = {
    ("cp", "sent"): "cp->csms",
    ("csms", "recv"): "cp->csms",
    ("csms", "sent"): "csms->cp",
    ("cp", "recv"): "csms->cp",
}


def merged(events: list[Event]) -> list[Event]:
    """The peers' events as truth events in order of time, numbered from 0."""
    calls: dict[tuple[str, str], dict[str, list[Event]]] = defaultdict(lambda: {"sent": [], "recv": []})
    truth: list[Event] = []
    for event in sorted(events, key=lambda event: event["t"]):
        if event["kind"] in ("sent", "recv"):
            direction = DIRECTION[event["peer"], event["kind"]]
            calls[event["cp"], direction][event["kind"]].append(event)
        elif event["kind"] in ("open", "close", "reject"):
            truth.append({key: event[key] for key in ("kind", "t", "cp", "peer", "conn", "text")})
    for (cp, direction), both in calls.items():
        truth += matched(cp, direction, both["sent"], both["recv"])
    truth.sort(key=lambda event: event["t"])
    return [{"i": number, **event} for number, event in enumerate(truth)]


def matched(cp: str, direction: str, sent: list[Event], received: list[Event]) -> list[Event]:
    """Each text once: sent and received, sent only, or received only."""
    waiting = list(received)
    messages = []
    for call in sent:
        arrival = next((other for other in waiting if other["text"] == call["text"]), None)
        if arrival is not None:
            waiting.remove(arrival)
        messages.append(message(cp, direction, call, arrival))
    return messages + [message(cp, direction, None, arrival) for arrival in waiting]


def message(cp: str, direction: str, sent: Event | None, received: Event | None) -> Event:
    first = sent or received
    assert first is not None
    status = "delivered" if sent and received else "sent_only" if sent else "recv_only"
    return {
        "kind": "msg",
        "t": first["t"],
        "cp": cp,
        "dir": direction,
        "conn": first["conn"],
        "sent_t": sent and sent["t"],
        "recv_t": received and received["t"],
        "status": status,
        "text": first["text"],
    }


def mark_uncaptured_before(truth: list[Event], started: float) -> int:
    """Mark what was sent before the capture began; says how many."""
    early = [event for event in truth if event["kind"] == "msg" and event["t"] < started]
    for event in early:
        event["captured"] = False
    return len(early)


def write(path: Path, meta: Event, truth: list[Event]) -> None:
    counts = {"delivered": 0, "sent_only": 0, "recv_only": 0, "uncaptured": 0}
    for event in truth:
        if event["kind"] == "msg":
            counts[event["status"]] += 1
            counts["uncaptured"] += event.get("captured") is False
    lines = [{"kind": "meta", **meta, "counts": counts}, *truth]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
