"""What the groups of a pattern say: of whom a line is, and what a message is called that it does not show."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

from ocppscope.capture.entries import Named
from ocppscope.model import Kind

MAX_NAME = 200
"""Characters of a station's identity."""
MAX_LOOKED_AT = 400
"""Characters before a message in which its station is looked for."""

_KINDS = {
    "2": Kind.CALL, "3": Kind.CALLRESULT, "4": Kind.CALLERROR, "5": Kind.CALLRESULTERROR, "6": Kind.SEND,
    "call": Kind.CALL, "request": Kind.CALL, "req": Kind.CALL,
    "callresult": Kind.CALLRESULT, "response": Kind.CALLRESULT, "conf": Kind.CALLRESULT, "result": Kind.CALLRESULT,
    "callerror": Kind.CALLERROR, "error": Kind.CALLERROR, "send": Kind.SEND,
}  # fmt: skip
_ANSWER = re.compile(r"(\w+?)(?:Response|Confirmation|Conf)", re.ASCII)


def group(match: re.Match[str], name: str) -> str:
    """A named group; "" if the pattern has none, or it is empty."""
    return (match[name] or "") if name in match.re.groupindex else ""


_SIZE = re.compile(r"\[(?:[^][]*, )?(\d{1,9}) bytes?\b[^][]*\]\s*$", re.ASCII)


def size_after(line: str) -> str:
    """The size in bytes that stands at the end of a line."""
    found = _SIZE.search(line, max(len(line) - 100, 0))
    return found[1] if found else ""


def last_segment(url: str) -> str:
    """The identity in a URL or path (OCPP-J 1.6 §3.1.1)."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = url
    return unquote(path.rstrip("/").rpartition("/")[2])[:MAX_NAME]


_STATION = re.compile(
    r"(?i)\b(?:charge ?(?:point|box|r)(?:_?id)?|cp(?:_?id)?|(?:charging_?)?station(?:_?id)?|evse_?id|identity"
    r"|client(?:_?id)?)"
    r"""["']?\s*[=:]\s*["']?([\w.*@-]{1,64})"""
)


def named_in(prefix: str) -> str:
    """A station that is named in words that many use."""
    found = _STATION.search(prefix[-MAX_LOOKED_AT:])
    return found[1] if found else ""


def name_of(match: re.Match[str]) -> Named:
    """A message by what its line says of it."""
    action, id_ = group(match, "action"), group(match, "id")
    word = group(match, "kind").lower()
    kind = _KINDS.get(word, Kind.UNPARSED) if word else Kind.CALL
    answer = _ANSWER.fullmatch(action)
    if answer and not word:
        kind, action = Kind.CALLRESULT, answer[1]
    elif action.endswith("Request"):
        action = action.removesuffix("Request")
    return Named(kind, id_, action)


def parts(match: re.Match[str]) -> tuple[str, str]:
    """What stands before and after the payload of a message that is put together."""
    named = name_of(match)
    first: list[object] = [int(named.kind or Kind.CALL), named.id]
    if named.kind in (Kind.CALL, Kind.SEND):
        first.append(named.action)
    return json.dumps(first, separators=(",", ":"))[:-1] + ",", "]"
