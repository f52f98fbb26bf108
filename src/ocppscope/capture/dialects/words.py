"""The words and arrows by which logs of any kind say who speaks to whom."""

from __future__ import annotations

import re

from ocppscope.capture.dialects.dialect import Way

MAX_LOOKED_AT = 200
"""Characters before a message in which its direction is looked for."""

_SENT = "sent|send|sends|sending|tx|out|outgoing|outbound|transmit|transmitted|writing|write|wrote|request to|to"
_RECEIVED = "received|receive|receives|receiving|recv|rcvd|rx|in|incoming|inbound|got|reading|read|from"
_STATION = r"cp|chargepoint|charge ?point|charging ?station|station|charger|cs"
_CSMS = r"csms|central ?system|centralsystem|server|backend|back end|backoffice"
_TO = r"\s*(?:->|=>|→|-->|>|_to_|-to-|to)\s*"

_ABSOLUTE = (
    (Way.FROM_STATION, re.compile(rf"(?i)(?<![A-Za-z])(?:{_STATION}|client){_TO}(?:{_CSMS})(?![A-Za-z])")),
    (Way.FROM_CSMS, re.compile(rf"(?i)(?<![A-Za-z])(?:{_CSMS}){_TO}(?:{_STATION}|client)(?![A-Za-z])")),
    (Way.FROM_STATION, re.compile(rf"(?i)(?<![A-Za-z])from (?:the )?(?:{_STATION}|client)(?![A-Za-z])")),
    (Way.FROM_CSMS, re.compile(rf"(?i)(?<![A-Za-z])from (?:the )?(?:{_CSMS})(?![A-Za-z])")),
    (Way.FROM_CSMS, re.compile(rf"(?i)(?<![A-Za-z])to (?:the )?(?:{_STATION}|client)(?![A-Za-z])")),
    (Way.FROM_STATION, re.compile(rf"(?i)(?<![A-Za-z])to (?:the )?(?:{_CSMS})(?![A-Za-z])")),
)
_WORD = re.compile(rf"(?i)(?<![A-Za-z])(?:(?P<sent>{_SENT})|(?P<received>{_RECEIVED}))(?![A-Za-z])")
_ARROW = re.compile(
    r"(?:^|[\s\])|:])(?:(?P<sent>-{1,2}>|={1,2}>|→|>{1,3}|\^)|(?P<received><-{1,2}|<={1,2}|←|<{1,3}|v))(?=[\s:\[]|$)"
)


def way_of(before: str) -> Way:
    """What stands before a message: the absolute words, else the last word, else the last arrow."""
    near = before[-MAX_LOOKED_AT:]
    for way, pattern in _ABSOLUTE:
        if pattern.search(near):
            return way
    for pattern in (_WORD, _ARROW):
        found = list(pattern.finditer(near))
        if found:
            return Way.SENT if found[-1]["sent"] else Way.RECEIVED
    return Way.UNSAID


WORDS: dict[str, Way] = {
    **dict.fromkeys(_SENT.split("|"), Way.SENT),
    **dict.fromkeys(_RECEIVED.split("|"), Way.RECEIVED),
    **dict.fromkeys(("->", "-->", "=>", "==>", "→", ">", ">>", ">>>"), Way.SENT),
    **dict.fromkeys(("<-", "<--", "<=", "<==", "←", "<", "<<", "<<<"), Way.RECEIVED),
    **dict.fromkeys(
        ("station", "cp", "cs", "charger", "chargepoint", "charge point", "charging station", "from_station",
         "cp-to-csms", "cp->csms", "cptocsms", "up", "upstream", "uplink", "client", "c2s", "^", "cp_to_csms"),
        Way.FROM_STATION,
    ),
    **dict.fromkeys(
        ("csms", "central system", "centralsystem", "server", "backend", "csms-to-cp", "csms->cp", "csmstocp",
         "down", "downstream", "downlink", "s2c", "v", "csms_to_cp", "from_csms"),
        Way.FROM_CSMS,
    ),
}  # fmt: skip
"""What a cell or value that holds nothing but the direction means."""
