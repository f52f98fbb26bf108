"""What the proxy says of itself in its recording: sides that it could not reach, and what it did on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.acts import ACTS
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import ProxyActed
from ocppscope.analysis.registry import Group, Mute, family

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case

rule = family(Group.PROXY)

INTERFERING = frozenset(
    {"cut-off", "held", "expired", "edited", "dropped", "delayed", "duplicated", "injected", "swallowed", "fault"}
)
"""Acts without which the session would have gone another way."""
_SIDES = {"station": (Blame.STATION, "the station"), "csms": (Blame.CSMS, "the CSMS")}


@rule(
    "proxy-tls-failed",
    on=ProxyActed,
    severity=ERROR,
    blame=Blame.UNKNOWN,
    title="TLS between the proxy and one side failed",
    advice="If the station refused the proxy's certificate, install the proxy's authority on it (`ocppscope ca`). If "
    "the proxy refused that of the CSMS, a station that verifies would, too: renew it, or name its authority.",
    mute=Mute.NEVER,
)
def proxy_tls_failed(what: ProxyActed, case: Case) -> None:
    """The proxy wrote that a TLS handshake failed, with which side, and why. The handshake itself is recorded."""
    if what.act.what != "tls-failed":
        return
    side, _, reason = what.act.text.partition(": ")
    code, _, sentence = reason.partition(": ")
    _, who = _SIDES.get(side, (Blame.UNKNOWN, "one side"))
    case.find(f"TLS between the proxy and {who} failed: {sentence or code}", what, key=(side, code))


@rule(
    "proxy-no-csms",
    on=ProxyActed,
    severity=ERROR,
    blame=Blame.CSMS,
    title="The proxy cannot reach the CSMS",
    advice="Check the address that the proxy was given, name resolution on its machine, and whether the CSMS runs.",
    mute=Mute.NEVER,
)
def proxy_no_csms(what: ProxyActed, case: Case) -> None:
    """A station connected to the proxy, and the proxy's own connection to the CSMS failed."""
    if what.act.what == "refused":
        case.find(f"A connection could not be made: {what.act.text}.", what, key=what.act.text)


@rule(
    "proxy-not-recording",
    on=ProxyActed,
    severity=WARNING,
    blame=Blame.UNKNOWN,
    title="The proxy could not record for a while",
    advice="Make room on the disk. Traffic went on; what is missing here was passed on.",
    mute=Mute.NEVER,
)
def proxy_not_recording(what: ProxyActed, case: Case) -> None:
    """Bytes passed that are not in the recording, since it could not be written."""
    if what.act.what == "recording-paused":
        case.find("Bytes passed before this that could not be recorded.", what)


@rule(
    "proxy-interfered",
    on=ProxyActed,
    severity=NOTE,
    blame=Blame.UNKNOWN,
    title="The proxy interfered on purpose",
    advice="This session is not what it would have been without the proxy: what follows from the messages shown here "
    "is nobody's fault.",
    mute=Mute.NEVER,
)
def proxy_interfered(what: ProxyActed, case: Case) -> None:
    """The proxy held, changed, dropped or added messages, or disturbed the connection, as somebody told it to."""
    if what.act.what in INTERFERING:
        case.find(f"On request, {ACTS[what.act.what]}.", what, key=what.act.what)
