"""What the proxy does beyond passing bytes on: one table of acts, and how an act is written into a recording.

An act stands as a comment on the packet that it concerns, so that every reader of the recording sees it; ocppscope
reads it back. No I/O.
"""

from __future__ import annotations

from typing import NamedTuple

ACTS: dict[str, str] = {
    "accepted": "the proxy took a connection",
    "refused": "the proxy could not reach the CSMS",
    "tls-failed": "a TLS handshake with one side failed",
    "tls": "TLS was agreed with one side",
    "rewritten": "the head of the upgrade was changed on its way",
    "unchanged": "the head of the upgrade could be read in two ways, and was passed on as it came",
    "cut-off": "the proxy ended the connection",
    "violation": "a side broke the WebSocket rules, and the proxy, which speaks for itself, could not go on",
    "held": "a message was held back",
    "forwarded": "a held message was sent on as it was",
    "expired": "a message was held for as long as allowed and then sent on as it was",
    "edited": "a message was changed on its way",
    "dropped": "a message was not sent on",
    "delayed": "a message was sent on later",
    "duplicated": "a message was sent on more than once",
    "injected": "the proxy sent a message of its own",
    "swallowed": "an answer to an injected message was kept from the other side",
    "fault": "the proxy disturbed the connection on purpose",
    "recording-paused": "nothing could be recorded for a while",
}
"""Name of an act → what it means."""

PREFIX = "ocppscope proxy: "


class Act(NamedTuple):
    """One act: its name in `ACTS` and a sentence about this one, "" if the name says all."""

    what: str
    text: str = ""


def comment_of(act: Act) -> str:
    """How it is written on a packet: `ocppscope proxy: dropped: by the rule “no heartbeats”`."""
    return f"{PREFIX}{act.what}: {act.text}" if act.text else PREFIX + act.what


def act_of(comment: str) -> Act | None:
    """Reads it back; None for the comment of somebody else."""
    if not comment.startswith(PREFIX):
        return None
    what, _, text = comment[len(PREFIX) :].partition(": ")
    return Act(what, text) if what in ACTS else None
