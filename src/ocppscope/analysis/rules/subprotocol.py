"""Rules about the OCPP version and compression that an upgrade agrees on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Refused, Upgraded, asked, foreign, objected
from ocppscope.analysis.openings import handshake_of, outcome_of
from ocppscope.analysis.registry import V2X, V16, Group, family, minutes, seconds
from ocppscope.analysis.wording import blamed, quoted, span, subject

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.openings import Opening
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.UPGRADE)

_KNOWN = frozenset({"ocpp1.2", "ocpp1.5", "ocpp1.6", "ocpp2.0", "ocpp2.0.1", "ocpp2.1"})


@rule(
    "subprotocol-missing",
    on=(Upgraded, Refused),
    severity=ERROR,
    blame=Blame.STATION,
    title="The station offers no OCPP version",
    advice="The station (or a proxy that drops the header) must send Sec-WebSocket-Protocol, for example ocpp1.6. "
    "Look for the OCPP version in its settings, or update its firmware.",
    spec="OCPP-J 1.6 §3.1.2; 2.x Part 4 §3.1.2",
)
def subprotocol_missing(what: Opening, case: Case) -> None:
    """An upgrade request has no Sec-WebSocket-Protocol."""
    handshake = handshake_of(what)
    if handshake is not None and not handshake.offered_protocols:
        case.find(f"The upgrade request has no Sec-WebSocket-Protocol; {outcome_of(handshake)}.", what)


@rule(
    "subprotocol-malformed",
    on=(Upgraded, Refused),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station offers a subprotocol that OCPP does not have",
    advice="The names are ocpp1.2, ocpp1.5, ocpp1.6, ocpp2.0, ocpp2.0.1 and ocpp2.1, in lower case and without "
    "suffix. Correct the station's setting, or report it to the maker.",
    spec="OCPP-J 1.6 §3.1.2; 2.x Part 4 §3.1.2",
)
def subprotocol_malformed(what: Opening, case: Case) -> None:
    """The list of offered subprotocols has an empty element, a name that is meant to be OCPP's but is none, or no
    name of OCPP's at all."""
    handshake = handshake_of(what)
    offered = handshake.offered_protocols if handshake is not None else ()
    if handshake is None or not offered:
        return
    others = _KNOWN.isdisjoint(offered)
    strange = [one for one in offered if one not in _KNOWN and (others or one.lower().startswith("ocpp"))]
    empty = any(one.code == "http.protocol-malformed" and "empty" in one.text for one in handshake.problems)
    if strange:
        names = ", ".join(quoted(one) for one in strange[:3])
        case.find(f"The station offers {names}; {outcome_of(handshake)}.", what)
    elif empty:
        case.find(f"The list of offered subprotocols has an empty element; {outcome_of(handshake)}.", what)


@rule(
    "subprotocol-not-agreed",
    on=Upgraded,
    severity=ERROR,
    title="Station and CSMS have not agreed on an OCPP version",
    advice="Enable a version on the CSMS that the station offers, or the other way round. If the CSMS just does not "
    "answer the header, many stations close at once: correct the CSMS.",
    spec="OCPP-J 1.6 §3.2; 2.x Part 4 §3.3",
)
def subprotocol_not_agreed(what: Upgraded, case: Case) -> None:
    """A 101 without Sec-WebSocket-Protocol although some were offered, or with one that was not."""
    handshake = handshake_of(what)
    if handshake is None or any(one.code == "http.response-lost" for one in handshake.problems):
        return
    codes = {one.code for one in handshake.problems}
    offered = ", ".join(quoted(one) for one in handshake.offered_protocols[:4])
    blame = Blame.STATION if _KNOWN.isdisjoint(handshake.offered_protocols) else Blame.CSMS
    if "http.protocol-none-chosen" in codes:
        text = f"The CSMS completed the upgrade but chose none of the offered subprotocols ({offered})."
        case.find(text, what, blame=blame)
    elif "http.protocol-not-offered" in codes:
        chosen = quoted(handshake.protocol or "")
        text = f"The CSMS chose the subprotocol {chosen}; offered was {offered or 'none'}."
        case.find(text, what, blame=Blame.CSMS)


_ONLY_2X = (
    "TransactionEvent", "NotifyEvent", "NotifyReport", "GetVariables", "SetVariables", "GetBaseReport",
    "RequestStartTransaction", "RequestStopTransaction",
)  # fmt: skip
_ONLY_16 = (
    "StartTransaction", "StopTransaction", "RemoteStartTransaction", "RemoteStopTransaction", "GetConfiguration",
    "ChangeConfiguration",
)  # fmt: skip


@rule(
    "subprotocol-payload-mismatch",
    on=(asked("BootNotification", "StatusNotification", *_ONLY_2X[1:], *_ONLY_16), foreign("TransactionEvent")),
    severity=ERROR,
    title="A message is of another OCPP version than was agreed on",
    advice="Its sender ignores the subprotocol of this connection, perhaps since it remembers an earlier one. Fix "
    "the version on both sides; on the CSMS, keep it by connection and not by station.",
    spec="2.x Part 4 §3.1.2",
)
def subprotocol_payload_mismatch(x: Exchange, case: Case) -> None:
    """1.6 was agreed on and a CALL is one of 2.x, by its action or by chargingStation or evseId in it; or the other
    way round, by chargePointVendor or by errorCode without evseId."""
    link, action = x.link, x.action
    if link.connection.version_guessed:
        return
    newer = action in _ONLY_2X or "chargingStation" in x.asked or (action not in _ONLY_16 and "evseId" in x.asked)
    older = action in _ONLY_16 or "chargePointVendor" in x.asked or ("errorCode" in x.asked and not newer)
    if (newer and link.version in V16) or (older and not newer and link.version in V2X):
        of = "2.x" if newer else "1.6"
        text = f"{subject(x.side)} sent {action} as in OCPP {of}, but {link.version.value} was agreed on."
        case.find(text, x, key=(action, x.side), blame=blamed(x.side))


@rule(
    "subprotocol-flapping",
    on=Upgraded,
    severity=WARNING,
    priority=2,
    title="The station changes its OCPP version from connection to connection",
    advice="It probes what the CSMS speaks. The CSMS has to keep the version by connection, not by station. Fix the "
    "version in the station's settings.",
    spec="2.x Part 4 §3.3",
    limits={"window": minutes(60, "time in which the versions change"),
            "probe": seconds(10, "lifetime up to which a connection is a probe")},
)  # fmt: skip
def subprotocol_flapping(what: Upgraded, case: Case) -> None:
    """Within `window` a station agrees on different versions, to and fro or on connections shorter than `probe`. One
    change for good is none."""
    links = [
        one for one in what.station.links
        if one.upgraded_ns is not None and what.time_ns - one.upgraded_ns <= case["window"]
        and not one.connection.version_guessed
    ]  # fmt: skip
    versions = [one.version for one in links]
    changes = sum(one != other for one, other in pairwise(versions))
    if not changes or versions[-1] == versions[-2]:
        return
    probes = sum(one.closed_ns is not None and one.closed_ns - one.seen_ns < case["probe"] for one in links)
    if changes > 1 or probes:
        names = ", ".join(sorted({one.value for one in versions}))
        text = f"{len(links)} connections within {span(case['window'])} agreed on different versions ({names})"
        case.find(f"{text}; {probes} of them lasted less than {span(case['probe'])}.", what)


@rule(
    "compression-unused",
    on=Upgraded,
    severity=NOTE,
    priority=3,
    versions=V2X,
    blame=Blame.CSMS,
    title="The CSMS does not take the compression that the station offers",
    advice="In 2.x the CSMS must support permessage-deflate. Enable it on the CSMS and let proxies pass its header.",
    spec="2.x Part 4 §3.4",
)
def compression_unused(what: Upgraded, case: Case) -> None:
    """2.x: the station offers permessage-deflate, and the CSMS chooses no extension."""
    handshake = handshake_of(what)
    if handshake is None or not handshake.protocol or handshake.extensions:
        return
    if any(one.lower().startswith("permessage-deflate") for one in handshake.offered_extensions):
        case.find("The station offers permessage-deflate, and the CSMS does not use it.", what)


@rule(
    "ws-extension-not-offered",
    on=objected("http.extension-not-offered", "http.deflate-not-offered"),
    severity=ERROR,
    priority=3,
    blame=Blame.CSMS,
    title="The CSMS uses an extension that the station did not offer",
    advice="A strict station fails the connection. Switch the extension off on the server, or update it.",
    spec="RFC 6455 §4.1; RFC 7692 §5.1",
)
def ws_extension_not_offered(what: Objected, case: Case) -> None:
    """The answer to an upgrade holds an extension, or a parameter of one, that fits no offer."""
    what_ = "a compression" if what.problem.code == "http.deflate-not-offered" else "an extension"
    case.find(f"The CSMS chose {what_} that the station did not offer.", what)
