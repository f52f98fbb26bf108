"""Rules about the HTTP upgrade: whether it went through, and what was agreed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Refused, Upgraded, objected
from ocppscope.analysis.openings import connection_of, handshake_of, has_credentials, header, is_2x, place_of
from ocppscope.analysis.registry import Group, family, minutes, seconds
from ocppscope.analysis.wording import quoted, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Severity
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.openings import Opening
    from ocppscope.analysis.registry import Case
    from ocppscope.model import Handshake

rule = family(Group.UPGRADE)

_MEANINGS = {
    200: "an ordinary web page answered",
    400: "the request or its path was not understood",
    403: "it is forbidden",
    405: "nothing at this path takes an upgrade",
    426: "another WebSocket or protocol version is wanted",
    429: "too many requests",
    500: "the server failed",
    502: "a proxy got no usable answer from the CSMS",
    503: "the server is overloaded or down",
    504: "a proxy waited in vain for the CSMS",
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@rule(
    "http-upgrade-header-missing",
    on=(Upgraded, Refused),
    severity=ERROR,
    title="An upgrade request lacks a header that WebSocket needs",
    advice="If the station sends it, a proxy on the way removes it: let the proxy pass Upgrade and Connection on. "
    "Else the station's WebSocket client is broken.",
    spec="RFC 6455 §4.1",
)
def http_upgrade_header_missing(what: Opening, case: Case) -> None:
    """Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Key or Sec-WebSocket-Version: 13 is not there."""
    handshake = handshake_of(what)
    if handshake is None:
        return
    codes = {one.code for one in handshake.problems}
    missing = [
        name for name, lacks in (
            ("Upgrade: websocket", "websocket" not in header(handshake, "upgrade")),
            ("Connection: Upgrade", "upgrade" not in header(handshake, "connection")),
            ("Sec-WebSocket-Key", not codes.isdisjoint({"http.key-missing", "http.key-invalid"})),
            ("Sec-WebSocket-Version: 13", "http.websocket-version" in codes),
        ) if lacks
    ]  # fmt: skip
    if missing:
        case.find(f"The upgrade request has no valid {', '.join(missing)}.", what, key=tuple(missing))


@rule(
    "http-upgrade-refused",
    on=Refused,
    severity=ERROR,
    title="The upgrade to WebSocket was refused",
    advice="Look into the CSMS's (or proxy's) log at that time: a 4xx is about this request, a 5xx about the server.",
    spec="OCPP-J 1.6 §3.2; RFC 6455 §4.2.2",
    limits={"wait": seconds(15, "time without an answer after which the station counts as left waiting")},
)
def http_upgrade_refused(what: Refused, case: Case) -> None:
    """An upgrade is answered with anything but 101, 401, 404 or a redirect, which have rules of their own; or not
    at all: the connection closes, or `wait` goes by."""
    handshake = handshake_of(what)
    if handshake is None:
        return
    status, waited = handshake.status, what.time_ns - handshake.requested_ns
    if status is None:
        if what.connection.close_how in ("FIN", "RST"):
            text = (
                f"The connection was closed with {what.connection.close_how} {span(waited)} after the upgrade request"
            )
            case.find(f"{text}, without an answer to it.", what, key=status, measured=place_of(handshake))
        elif waited > case["wait"]:
            text = f"The upgrade request was left without an answer for {span(waited)}."
            case.find(text, what, key=status, measured=place_of(handshake), blame=Blame.CSMS)
    elif status not in _REDIRECTS and status not in (401, 404) and not (status == 403 and has_credentials(handshake)):
        meaning = _MEANINGS.get(status, "the server failed" if status >= 500 else "it was not accepted")
        blame = Blame.CSMS if status >= 500 or status == 429 else Blame.UNKNOWN
        text = f"The CSMS answered the upgrade with HTTP {status}: {meaning}."
        case.find(text, what, key=status, blame=blame, measured=place_of(handshake))


@rule(
    "http-redirect",
    on=Refused,
    severity=ERROR,
    priority=3,
    title="The upgrade was redirected",
    advice="Stations do not follow redirects. Configure the URL that it names, with its scheme and slashes.",
    spec="RFC 6455 §4.1",
)
def http_redirect(what: Refused, case: Case) -> None:
    """An upgrade is answered with 301, 302, 303, 307 or 308."""
    handshake = handshake_of(what)
    if handshake is not None and handshake.status in _REDIRECTS:
        place = next((value for name, value in handshake.response_headers if name.lower() == "location"), "")
        measured = place_of(handshake) | {"location": place[:200]}
        case.find(f"The upgrade was redirected with HTTP {handshake.status}.", what, measured=measured)


@rule(
    "http-404-unknown-station",
    on=Refused,
    severity=ERROR,
    title="The CSMS does not know this path or station",
    advice="Compare the path with the CSMS's URL letter by letter (case, prefix, slashes), and check that this "
    "identity is registered. Behind a proxy, check its location rule too.",
    spec="OCPP-J 1.6 §3.2; 2.x Part 4 §3.3",
)
def http_404_unknown_station(what: Refused, case: Case) -> None:
    """An upgrade is answered with 404."""
    handshake = handshake_of(what)
    if handshake is not None and handshake.status == 404:
        case.find("The CSMS answered the upgrade with HTTP 404.", what, measured=place_of(handshake))


@rule(
    "http-auth-failed",
    on=Refused,
    severity=ERROR,
    title="The CSMS did not accept the station's credentials",
    advice="Set the station's password (AuthorizationKey, BasicAuthPassword) anew on both sides, and check that the "
    "user name is the identity in the path, letter by letter.",
    spec="1.6 security whitepaper A00.FR.202-207; 2.x A00.FR.202-207, A00.FR.301-304",
    limits={
        "wait": seconds(10, "time in which a station that sent no password may answer the challenge"),
        "window": minutes(10, "time in which refusals count as repeated"),
    },
)
def http_auth_failed(what: Refused, case: Case) -> Iterator[int]:
    """An upgrade is answered with 401, or with 403 although credentials came along. Without credentials a client
    may wait for the challenge, so that it counts only if no upgrade succeeds within `wait`."""
    handshake = handshake_of(what)
    given = handshake is not None and has_credentials(handshake)
    if handshake is None or not (handshake.status == 401 or (handshake.status == 403 and given)):
        return
    if not given:
        yield case["wait"]
        link = what.station.link
        if link is not None and link.seen_ns >= what.time_ns:
            return
    memory = case.memory(what.station)
    times = [at for at in memory.get("times", ()) if what.time_ns - at <= case["window"]][-99:]
    memory["times"] = times = [*times, what.time_ns]
    often = f", {len(times)} times within {span(what.time_ns - times[0])}" if len(times) > 1 else ""
    how = "with the credentials that the station sent" if given else "and the station sent no credentials"
    case.find(
        f"The CSMS answered the upgrade with HTTP {handshake.status}{often}, {how}.", what, key=given,
        blame=Blame.UNKNOWN if given else Blame.STATION, measured=place_of(handshake) | {"user": handshake.user[:64]},
    )  # fmt: skip


@rule(
    "basic-auth-user-mismatch",
    on=objected("http.user-not-identity"),
    severity=WARNING,
    blame=Blame.STATION,
    title="The user name of the station is not its identity",
    advice="Set the user name to the last segment of the path, percent-decoded, in the same case.",
    spec="1.6 security whitepaper A00.FR.204; 2.x A00.FR.204, A00.FR.303",
)
def basic_auth_user_mismatch(what: Objected, case: Case) -> None:
    """The user of Basic authentication is not the last segment of the path."""
    case.find("The user of Basic authentication is another than the identity in the path.", what)


@rule(
    "basic-auth-hex-literal",
    on=Refused,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The password looks like a key that was sent as hex digits",
    advice="In 1.6 the AuthorizationKey is configured in hex and sent as the bytes that it stands for. In 2.x the "
    "password is sent as it is written. Check which of the two each side does.",
    spec="1.6 security whitepaper A00.FR.205; 2.0.1 A00.FR.205",
)
def basic_auth_hex_literal(what: Refused, case: Case) -> None:
    """1.6: the CSMS answers 401 to a password that is as long as a key of 16 to 20 bytes in hex. The password
    itself is never kept, so that its length is all that is known."""
    handshake = handshake_of(what)
    size = _password_size(handshake) if handshake is not None else None
    if handshake is None or size is None or handshake.status != 401 or is_2x(handshake):
        return
    if size in (32, 34, 36, 38, 40):
        text = f"The refused password has {size} bytes, as many as a key of {size // 2} bytes written in hex."
        case.find(text, what)


def _password_size(handshake: Handshake) -> int | None:
    found = re.search(r"^basic .*:\*\*\* \((\d{1,9}) bytes\)$", header(handshake, "authorization"), re.DOTALL)
    return int(found[1]) if found else None


@rule(
    "basic-auth-weak",
    on=(Upgraded, Refused),
    severity=WARNING,
    priority=2,
    title="The station's password is too short or too long",
    advice="Give each station a random password of its own: 16 to 20 bytes in 1.6, 16 to 40 characters in 2.x.",
    spec="1.6 security whitepaper A00.FR.205; 2.x A00.FR.205",
)
def basic_auth_weak(what: Opening, case: Case) -> None:
    """The password of Basic authentication has less than 16 or more than 40 bytes."""
    handshake = handshake_of(what)
    size = _password_size(handshake) if handshake is not None else None
    if size is not None and not 16 <= size <= 40:
        case.find(f"The password of Basic authentication has {size} bytes; 16 to 40 are allowed.", what)


@rule(
    "basic-auth-cleartext",
    on=(Upgraded, Refused),
    severity=WARNING,
    title="The station's password crosses the network unencrypted",
    advice="Use wss (security profile 2 or 3), or make sure that this stretch of network is a VPN or your own.",
    spec="1.6 security whitepaper A00.FR.201, A00.FR.206; 2.x A00.FR.206",
)
def basic_auth_cleartext(what: Opening, case: Case) -> None:
    """Basic credentials over TCP without TLS; a note if both ends have private addresses. Silent within one host,
    and where a proxy says that it has taken the TLS off."""
    handshake = handshake_of(what)
    connection = connection_of(what)
    if handshake is None or connection is None or connection.transport is None or not has_credentials(handshake):
        return
    ends = {_network(connection.flow.client.address), _network(connection.flow.server.address)}
    if "host" in ends or "https" in header(handshake, "x-forwarded-proto") + header(handshake, "forwarded"):
        return
    inside = ends == {"private"}
    where = "between private addresses" if inside else "to or from a public address"
    case.find(f"Basic credentials went {where} without TLS.", what, severity=NOTE if inside else WARNING)


def _network(address: str) -> str:
    """ "host" (loopback), "private" or "public"."""
    if address.startswith("127.") or address == "::1":
        return "host"
    private = (
        r"10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd]|fe[89ab]"
    )
    return "private" if re.match(private, address) else "public"


# --- the path -----------------------------------------------------------------------------------------------------

_ENDPOINTS = frozenset({
    "ocpp", "ocppj", "ocpp-j", "ocpp16", "ocpp1.6", "ocpp16j", "ocpp20", "ocpp201", "ocpp2.0.1", "ocpp21",
    "centralsystemservice", "websocket", "ws",
})  # fmt: skip
"""Last segments that are the CSMS's path and no station's name."""


def _path(handshake: Handshake) -> str:
    """The path of the request target, still percent-encoded."""
    return re.split(r"[?#]", re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", handshake.target))[0]


@rule(
    "url-identity-missing",
    on=(Upgraded, Refused),
    severity=ERROR,
    blame=Blame.STATION,
    title="The path does not end in the station's identity",
    advice="Check the URL setting of the station: some want the whole URL with the identity, others append it.",
    spec="OCPP-J 1.6 §3.1.1; 2.x Part 4 §3.1.1",
)
def url_identity_missing(what: Opening, case: Case) -> None:
    """The path is "/", or its last segment is a name that a CSMS uses for its endpoint (ocpp,
    CentralSystemService); a warning if a slash follows the identity."""
    handshake = handshake_of(what)
    if handshake is None:
        return
    if not handshake.station or handshake.station.lower() in _ENDPOINTS:
        named = f" but ends in the segment {quoted(handshake.station)}" if handshake.station else ""
        case.find(f"The path holds no identity{named}.", what, measured=place_of(handshake))
    elif _path(handshake).endswith("/"):
        text = "A slash follows the identity in the path; a strict server reads an empty identity."
        case.find(text, what, severity=WARNING, key="/", measured=place_of(handshake))


@rule(
    "url-double-slash",
    on=(Upgraded, Refused),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The path has two slashes in a row",
    advice="Remove the slash at the end of the station's endpoint URL; some servers answer 404 to such paths.",
    spec="OCPP-J 1.6 §3.1.1",
)
def url_double_slash(what: Opening, case: Case) -> None:
    """The path holds "//"."""
    handshake = handshake_of(what)
    if handshake is not None and "//" in _path(handshake):
        case.find("The path of the upgrade holds an empty segment (//).", what, measured=place_of(handshake))


@rule(
    "url-identity-invalid",
    on=(Upgraded, Refused),
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The identity holds what an identity may not hold",
    advice="Rename the station: letters, digits and a few signs such as - and _, at most 48 characters. What the URL "
    "may not hold as it is has to be percent-encoded.",
    spec="OCPP-J 1.6 §3.1.1; 2.x Part 4 §3.1.1",
)
def url_identity_invalid(what: Opening, case: Case) -> None:
    """The identity is not percent-encoded as it should, has control characters or a colon; in 2.x also one with more
    than 48 characters, or others than an identifier may have. A colon in 1.6 without a password is a note."""
    handshake = handshake_of(what)
    if handshake is None or not handshake.station:
        return
    codes, newer = {one.code for one in handshake.problems}, is_2x(handshake)
    colon, name = "http.identity-colon" in codes, handshake.station
    faults = [
        text for wrong, text in (
            (not codes.isdisjoint({"http.identity-encoding", "http.target"}), "is not percent-encoded properly"),
            ("http.identity-control" in codes, "holds control characters"),
            (colon, "holds a colon"),
            (newer and len(name) > 48, f"has {len(name)} characters, more than 48"),
            (newer and not re.fullmatch(r"[A-Za-z0-9*_=:+|@.-]*", name), "holds characters that 2.x does not allow"),
        ) if wrong
    ]  # fmt: skip
    if faults:
        harmless = faults == ["holds a colon"] and not newer and not has_credentials(handshake)
        severity = NOTE if harmless else WARNING
        case.find(f"The identity {', '.join(faults)}.", what, severity=severity, measured=place_of(handshake))


# --- the answer ---------------------------------------------------------------------------------------------------


@rule(
    "http-upgrade-slow",
    on=Upgraded,
    severity=NOTE,
    priority=3,
    blame=Blame.CSMS,
    title="The upgrade was answered slowly",
    advice="Look at what the CSMS does when a station connects: a password check, a database. Stations may give up.",
    limits={"note": seconds(5, "time that is noted"), "warn": seconds(15, "time that is warned of")},
)
def http_upgrade_slow(what: Upgraded, case: Case) -> None:
    """More than `note` between the upgrade request and its 101; a warning beyond `warn`."""
    handshake = handshake_of(what)
    if handshake is None or handshake.answered_ns is None:
        return
    took = handshake.answered_ns - handshake.requested_ns
    if took > case["note"]:
        severity: Severity = WARNING if took > case["warn"] else NOTE
        case.find(f"The CSMS took {span(took)} to answer the upgrade.", what, severity=severity)


@rule(
    "ws-accept-invalid",
    on=objected("http.accept-wrong", "http.accept-missing"),
    severity=ERROR,
    priority=3,
    blame=Blame.CSMS,
    title="The answer to the upgrade does not fit the request",
    advice="A strict station closes at once. The server or a proxy before it, perhaps a cache, has to be corrected.",
    spec="RFC 6455 §4.2.2",
)
def ws_accept_invalid(what: Objected, case: Case) -> None:
    """Sec-WebSocket-Accept is missing from a 101, or does not follow from the station's key."""
    how = "is missing from" if what.problem.code == "http.accept-missing" else "is wrong in"
    case.find(f"Sec-WebSocket-Accept {how} the answer to the upgrade.", what)
