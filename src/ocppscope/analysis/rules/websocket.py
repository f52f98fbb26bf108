"""Rules about WebSocket: frames, pings and Close, and two connections of one identity."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Closed, Controlled, Fragmented, Unpaired, Upgraded, objected
from ocppscope.analysis.registry import Group, Mute, amount, family, seconds
from ocppscope.analysis.state.connections import PING, PONG, heartbeat_of, ping_of
from ocppscope.analysis.wording import MAX_QUOTED, blamed, message_name, span, subject, who
from ocppscope.model import Kind, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange, Link, Station

rule = family(Group.WEBSOCKET)

MAX_OTHERS = 4
"""Other connections of a station, the latest, in which a CALL is looked for that an answer may belong to."""
ODD_PONG_NS = 1_000_000_000
"""How long a pong that echoes another payload may be one that nobody asked for, with the right one behind it."""

BY_CHANCE_NS = 2_000_000_000
"""An end sooner than this after a ping has other reasons than the pong that did not come."""

_BROKEN = frozenset({"ws.lost-bytes", "ws.context-lost", "ws.context-guessed", "ws.deflate-corrupt", "ws.too-large"})
"""Problems after which a text is not what its sender wrote."""


# --- frames -------------------------------------------------------------------------------------------------------


@rule(
    "ws-rsv-without-extension",
    on=objected("ws.reserved-bits", "ws.rsv1-continuation"),
    severity=ERROR,
    title="A frame uses reserved bits that nothing agreed on gives a meaning",
    advice="Its sender compresses although that was not agreed on, or a proxy removed Sec-WebSocket-Extensions from "
    "the upgrade. Switch compression off at the sender, or let the proxy pass the header.",
    spec="RFC 6455 §5.2; RFC 7692 §6.1",
)
def ws_rsv_without_extension(what: Objected, case: Case) -> None:
    """RSV1 without permessage-deflate or on a continuation or control frame, or RSV2 or RSV3."""
    handshake = what.link.connection.handshake if what.link is not None else None
    if what.side is not None and handshake is not None:
        agreed = "was agreed on" if handshake.deflate is not None else "was not agreed on"
        text = f"{subject(what.side)} set reserved bits in a frame; permessage-deflate {agreed}."
        case.find(text, what, key=what.side, blame=blamed(what.side))


@rule(
    "ws-mask-violation",
    on=objected("ws.unmasked", "ws.masked"),
    severity=ERROR,
    title="Frames are masked the wrong way round",
    advice="The sender's WebSocket library is broken; the peer must close the connection. Update or replace it.",
    spec="RFC 6455 §5.1",
)
def ws_mask_violation(what: Objected, case: Case) -> None:
    """A frame of the station is not masked, or one of the CSMS is."""
    if what.side is not None:
        how = "without a mask" if what.problem.code == "ws.unmasked" else "with a mask"
        case.find(f"{subject(what.side)} sent frames {how}.", what, key=what.side, blame=blamed(what.side))


@rule(
    "ws-binary-json",
    on=objected("ocpp.binary"),
    severity=WARNING,
    priority=3,
    title="OCPP messages are sent in binary frames",
    advice="OCPP is sent in text frames; a strict peer closes with 1003. Look for the frame type in the sender's "
    "WebSocket library.",
    spec="OCPP-J 1.6 §4.1.2; 2.x Part 4 §4.1.2",
)
def ws_binary_json(what: Objected, case: Case) -> None:
    """A binary message holds a JSON array."""
    if what.side is not None and what.message is not None and what.message.text.lstrip()[:1] == b"[":
        text = f"{subject(what.side)} sent OCPP in a binary message."
        case.find(text, what, key=what.side, blame=blamed(what.side))


@rule(
    "ws-invalid-utf8",
    on=objected("ws.not-utf8"),
    severity=ERROR,
    priority=2,
    title="A text message is not UTF-8",
    advice="Its sender puts text of another encoding, mostly Latin-1, into a field such as info, vendor or a name. A "
    "strict peer closes with 1007. Use plain ASCII there until it is corrected.",
    spec="RFC 6455 §8.1; OCPP-J 1.6 §4.1.2",
)
def ws_invalid_utf8(what: Objected, case: Case) -> None:
    """A text message holds bytes that are no UTF-8."""
    if what.side is not None and what.message is not None and not _is_broken(what.message.problems):
        name = message_name(what)
        text = f"{subject(what.side)} sent a {name} that is not UTF-8."
        case.find(text, what, key=(what.side, name), blame=blamed(what.side))


def _is_broken(problems: tuple[object, ...]) -> bool:
    return any(getattr(one, "code", "") in _BROKEN for one in problems)


@rule(
    "ws-fragmented",
    on=Fragmented,
    severity=NOTE,
    priority=2,
    title="Messages are sent in several frames",
    advice="This is legal, but some stations and servers cannot put the parts together. If the peer is silent or "
    "closes after such messages, let the sender use one frame, or larger ones.",
    spec="RFC 6455 §5.4",
)
def ws_fragmented(what: Fragmented, case: Case) -> None:
    """A message comes in more than one frame."""
    message = what.message
    text = f"{subject(message.side)} sent a message of {len(message.text)} bytes in {message.frames} frames."
    case.find(text, what, key=message.side, blame=blamed(message.side))


@rule(
    "ws-control-frame-invalid",
    on=objected("ws.control-too-long", "ws.fragmented-control"),
    severity=ERROR,
    priority=3,
    title="A ping, pong or Close frame is not as it must be",
    advice="The sender's WebSocket library is broken; the peer must close the connection.",
    spec="RFC 6455 §5.5",
)
def ws_control_frame_invalid(what: Objected, case: Case) -> None:
    """A control frame has more than 125 bytes or is fragmented."""
    if what.side is not None:
        how = "of more than 125 bytes" if what.problem.code == "ws.control-too-long" else "in fragments"
        case.find(f"{subject(what.side)} sent a control frame {how}.", what, key=what.side, blame=blamed(what.side))


@rule(
    "ws-non-ocpp-text",
    on=Unpaired,
    severity=WARNING,
    title="A text is sent that is no OCPP message",
    advice="OCPP knows no keep-alive texts, and a strict peer may close. Use ping frames (WebSocketPingInterval) or "
    "Heartbeat instead; switch the text off at its sender.",
    spec="OCPP-J 1.6 §4.1; 2.x Part 4 §4.1",
)
def ws_non_ocpp_text(what: Unpaired, case: Case) -> None:
    """A text message does not begin with "[", as "ping", "pong" or "heartbeat" do."""
    message = what.message
    if message.kind is not Kind.UNPARSED or message.binary or _is_broken(message.problems):
        return
    start = message.text[:64].strip()
    if start[:1] == b"[" or not start:
        return
    word = start.strip(b'"').lower()
    named = f"the word {word.decode()!r}" if word in (b"ping", b"pong", b"heartbeat") else "a text"
    text = f"{subject(message.side)} sent {named}, which is no OCPP message ({len(message.text)} bytes)."
    case.find(text, what, key=(message.side, named), blame=blamed(message.side))


# --- pings and silence --------------------------------------------------------------------------------------------


@rule(
    "ws-ping-unanswered",
    on=Controlled,
    severity=WARNING,
    title="A ping got no pong",
    advice="If it happens once, the network was interrupted. If it happens always, the peer does not answer pings: "
    "switch them off for it (WebSocketPingInterval 0 on the station), or update it.",
    spec="RFC 6455 §5.5.2, §5.5.3",
    limits={"wait": seconds(10, "time that a pong may take")},
)
def ws_ping_unanswered(what: Controlled, case: Case) -> Iterator[int]:
    """No pong follows a ping within `wait`, on a connection that is still open; an error from the second time on, or
    if the connection ends meanwhile. A later pong answers earlier pings too; one with another payload has a rule of
    its own."""
    frame, link = what.frame, what.link
    if frame.opcode != PING or link is None:
        return
    yield case["wait"]
    if link.pings[frame.side].get(frame.payload) != what.time_ns:
        return
    odd = what.station.connections.watch(link).odd_pong_ns[frame.side.other]
    if odd is not None and odd >= what.time_ns:
        return
    memory, silent = case.memory(what.station), frame.side.other
    ended = link.closed_ns is not None and link.closed_ns - what.time_ns > BY_CHANCE_NS
    if link.closed_ns is not None and not (ended and link.connection.closed_by is frame.side):
        return
    again, memory[silent] = memory.get(silent, False), True
    then = f", and {who(frame.side)} ended the connection" if ended else ""
    text = f"{subject(silent)} did not answer a ping of {who(frame.side)} within {span(case['wait'])}{then}."
    case.find(text, what, key=silent, severity=ERROR if again or ended else WARNING)


@rule(
    "ws-pong-mismatch",
    on=Controlled,
    severity=WARNING,
    priority=2,
    title="A pong echoes another payload than its ping",
    advice="A strict peer takes the ping for unanswered and closes. The sender's WebSocket library is broken: update "
    "it, or let the peer ping without payload.",
    spec="RFC 6455 §5.5.3",
)
def ws_pong_mismatch(what: Controlled, case: Case) -> Iterator[int]:
    """While a ping waits a pong comes that echoes none of the latest pings, and the right one does not follow."""
    frame, link = what.frame, what.link
    if frame.opcode != PONG or link is None:
        return
    watch, waiting = what.station.connections.watch(link), link.pings[frame.side.other]
    if watch.odd_pong_ns[frame.side] != what.time_ns or not waiting:
        return
    latest, asked_ns = next(reversed(waiting.items()))
    yield ODD_PONG_NS
    if waiting.get(latest) == asked_ns and link.open:
        sizes = f"{len(frame.payload)} bytes for {len(latest)}"
        text = f"{subject(frame.side)} answered a ping with a pong of another payload ({sizes})."
        case.find(text, what, key=frame.side, blame=blamed(frame.side))


@rule(
    "ws-no-keepalive",
    on=Upgraded,
    severity=WARNING,
    title="A connection is silent for so long that the network may drop it",
    advice="Mobile networks and firewalls forget silent connections after 1 to 5 minutes. Set WebSocketPingInterval "
    "to 60 s or less, or shorten the heartbeat interval.",
    spec="OCPP-J 1.6 §5.3",
    limits={
        "silence": seconds(300, "time without any frame, if ping or heartbeat intervals are known to be short"),
        "unknown": seconds(1800, "the same, if no interval is known"),
    },
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def ws_no_keepalive(what: Upgraded, case: Case) -> Iterator[int]:
    """No frame of any kind on an open connection for `silence`, or for twice the shorter of ping and heartbeat
    interval where that is longer; for `unknown` where neither is known. Said once a connection."""
    link, station = what.link, what.station
    assert link is not None
    while station.connections.is_live(link):
        limit = _longest_silence(station, case)
        silent = link.silent_ns(case.now)
        if silent >= limit:
            intervals = _intervals(station)
            case.find(f"Neither side sent anything for {span(silent)}{intervals}.", what)
            return
        yield min(limit - silent, case["silence"])


def _longest_silence(station: Station, case: Case) -> int:
    known = [one for one in (ping_of(station), heartbeat_of(station)) if one]
    longest: int = max(case["silence"], 2 * min(known)) if known else case["unknown"]
    return longest


def _intervals(station: Station) -> str:
    ping, heartbeat = ping_of(station), heartbeat_of(station)
    known = [
        f"{name} {span(one)}" for name, one in (("ping interval", ping), ("heartbeat interval", heartbeat)) if one
    ]
    return f" ({', '.join(known)})" if known else ""


# --- the end ------------------------------------------------------------------------------------------------------

_CODES = {
    1002: "protocol error: the peer broke a rule of WebSocket or sent what it does not understand",
    1003: "unsupported data: mostly a binary message",
    1007: "a text that is not valid, mostly not UTF-8",
    1008: "policy: often a wrong password, or another connection of the same identity",
    1009: "a message was too big",
    1010: "an extension was expected that the server did not offer",
    1011: "the server failed, or a ping was left unanswered",
    1013: "try again later: the server is overloaded",
    1014: "a proxy got no usable answer",
}


@rule(
    "ws-close-abnormal",
    on=Closed,
    severity=WARNING,
    title="A connection was closed because of an error",
    advice="The code says what its sender did not like: look at what the other side sent just before, and into the "
    "log of the side that closed.",
    spec="RFC 6455 §7.4",
)
def ws_close_abnormal(what: Closed, case: Case) -> None:
    """A Close frame with a code other than 1000, 1001 and 1012; one without a code is fine."""
    assert what.link is not None
    connection = what.link.connection
    code, side = connection.close_code, connection.closed_by
    if connection.close_how != "close frame" or code in (None, 1000, 1001, 1012) or side is None:
        return
    own = "an error of the application" if code is not None and code >= 4000 else "not a registered code"
    if code is not None and 3000 <= code < 4000:
        own = "a code of a library or framework"
    text = f"{subject(side)} closed with code {code} ({_CODES.get(code or 0, own)})."
    case.find(text, what, key=(side, code), measured={"reason": connection.close_reason[:123]})


@rule(
    "ws-message-too-big",
    on=Closed,
    severity=WARNING,
    priority=2,
    title="A large message ends the connection",
    advice="Its receiver has a smaller buffer. Raise its limit (CSMS, proxy), or ask for less at a time: single "
    "configuration keys, shorter lists, fewer variables in a report.",
    spec="2.x Part 4 §5.2; RFC 6455 §7.4.1",
    limits={
        "note": amount(16384, "bytes", "size from which a message before an end is noted"),
        "warn": amount(65536, "bytes", "size that is warned of"),
        "within": seconds(2, "time after the message in which the connection ends"),
    },
)
def ws_message_too_big(what: Closed, case: Case) -> None:
    """Close 1009; or the receiver of a message of at least `note` bytes ends the connection within `within` without
    an ordinary Close; a warning from `warn` on."""
    assert what.link is not None
    connection, end = what.link.connection, what.station.connections.ends[-1]
    large, side = end.large, connection.closed_by
    if connection.close_code == 1009 and side is not None:
        size = f"; the last was {large[3][:MAX_QUOTED]} with {large[1]} bytes" if large and large[2] != side else ""
        case.find(f"{subject(side)} closed since a message of {who(side.other)} is too big (1009){size}.", what)
        return
    if large is None or large[1] < case["note"] or side is not large[2].other:
        return
    ordinary = connection.close_code in (1000, 1001, 1012)
    if 0 <= end.time_ns - large[0] <= case["within"] and not ordinary:
        severity = WARNING if large[1] >= case["warn"] else NOTE
        took, after = span(end.time_ns - large[0]), f"{large[3][:MAX_QUOTED]} with {large[1]} bytes"
        text = f"{subject(side)} ended the connection {took} after {after}."
        case.find(text, what, severity=severity, key=large[3], blame=blamed(side))


@rule(
    "ws-close-with-call-pending",
    on=Closed,
    severity=WARNING,
    title="A connection ended while an answer was due",
    advice="Where the waiting side ends it, the peer did not answer in time: find out why. Where the other side ends "
    "it right after the CALL, that CALL may crash it: send it again and watch.",
    spec="OCPP-J 1.6 §4.1.1",
    limits={
        "crash": seconds(2, "age of a CALL up to which it may be what ended the connection"),
        "due": seconds(120, "age up to which its answer may still be waited for"),
    },
)
def ws_close_with_call_pending(what: Closed, case: Case) -> None:
    """A connection ends with a CALL unanswered that is no older than `due`, unless a Reset was accepted shortly
    before."""
    assert what.link is not None
    end = what.station.connections.ends[-1]
    due = [x for x in what.link.close_pending if end.time_ns - x.asked_ns <= case["due"]]
    if not due or end.after_reset:
        return
    oldest, by = min(due, key=lambda x: x.asked_ns), end.by
    age = max(0, end.time_ns - oldest.asked_ns)
    more = f" (and {len(due) - 1} more)" if len(due) > 1 else ""
    closer = f"{subject(by)} ended the connection" if by is not None else "The connection ended"
    asked = f"{oldest.action[:MAX_QUOTED]}{more} of {who(oldest.side)}"
    text = f"{closer} {span(age)} after {asked}, which had no answer yet."
    if by is not None and by is not oldest.side and age <= case["crash"]:
        blame = blamed(by)
    else:
        blame = blamed(oldest.side.other) if by is oldest.side else Blame.UNKNOWN
    refs = tuple(x.ref for x in due[:3])
    case.find(text, what, key=(oldest.action, oldest.side, by), blame=blame, refs=(*refs, *what.refs))


# --- two connections ----------------------------------------------------------------------------------------------


@rule(
    "duplicate-identity",
    on=Upgraded,
    severity=ERROR,
    title="One identity has two connections at the same time",
    advice="If both talk, two stations have the same identity, or a station connects twice: see their addresses. If "
    "the old one is silent, the CSMS should close it when the new one comes, and should not refuse the new one.",
    spec="2.x Part 4 §6.2",
    limits={
        "overlap": seconds(5, "time that both may be open"),
        "silence": seconds(60, "time in which the older one may yet talk"),
    },
)
def duplicate_identity(what: Upgraded, case: Case) -> Iterator[int]:
    """A second connection of an identity is upgraded, and the first is still open after `overlap`; a warning if
    nothing comes from the station on the first for `silence` either."""
    station, link = what.station, what.link
    assert link is not None
    live = station.connections.is_live
    if not any(one is not link and live(one) for one in station.links):
        return
    yield case["overlap"]
    older = next((one for one in reversed(station.links) if one.seen_ns < link.seen_ns and live(one)), None)
    if older is None or not live(link):
        return
    if not _heard_since(older, link):
        yield case["silence"]
    talks = _heard_since(older, link)
    addresses = older.connection.flow.client.address, link.connection.flow.client.address
    where = "from the same address" if addresses[0] == addresses[1] else "from another address"
    then = "and the station goes on talking on the older one" if talks else "and the older one is silent"
    text = f"A second connection was opened {where} while the first was open; after {span(case['overlap'])} both are"
    case.find(
        f"{text}, {then}.", what, severity=ERROR if talks else WARNING,
        blame=Blame.STATION if talks else Blame.UNKNOWN,
        measured={"older address": addresses[0], "newer address": addresses[1]}, since_ns=what.time_ns,
    )  # fmt: skip


def _heard_since(older: Link, newer: Link) -> bool:
    heard = older.last_heard_ns[Side.STATION]
    return heard is not None and heard > newer.seen_ns


@rule(
    "responses-on-old-socket",
    on=Unpaired,
    severity=ERROR,
    title="An answer is sent on another connection than its CALL",
    advice="Its sender still uses the older connection of this identity. On a CSMS, the table of sessions has to be "
    "updated when a station reconnects, and the old connection closed.",
    spec="OCPP-J 1.6 §4.1; 2.x Part 4 §4.1",
)
def responses_on_old_socket(what: Unpaired, case: Case) -> None:
    """An answer belongs to no CALL of its own connection, but has the id of one that waits on another connection of
    the same identity."""
    message, link = what.message, what.link
    if message.kind not in (Kind.CALLRESULT, Kind.CALLERROR) or link is None or len(what.station.links) < 2:
        return
    x = _waiting_elsewhere(what.station, link, message.id, message.side.other)
    if x is not None:
        text = f"{subject(message.side)} answered {x.action} on another connection than the one on which it was asked"
        refs = (x.ref, what.ref)
        case.find(
            f"{text}, {span(message.time_ns - x.asked_ns)} before.", what, blame=blamed(message.side), refs=refs
        )


def _waiting_elsewhere(station: Station, link: Link, id_: str, asker: Side) -> Exchange | None:
    others = (one for one in reversed(station.links) if one is not link)
    for other in islice(others, MAX_OTHERS):
        for x in (*other.outstanding[asker].values(), *other.close_pending):
            if x.id == id_ and x.side is asker:
                return x
    return None
