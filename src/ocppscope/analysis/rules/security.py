"""Rules about what is said in the clear, about passwords, security profiles, and where files come from.

No key, password or URL gets into a finding. That a connection is not encrypted is only said of one whose TCP segments
were captured, and not of one that a proxy took out of TLS.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Refused, Upgraded, answered, asked
from ocppscope.analysis.registry import V16, Group, Mute, family
from ocppscope.analysis.state.configuration import variable
from ocppscope.model import Side, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange
    from ocppscope.model import Connection, Handshake

rule = family(Group.SECURITY)

_SWITCHED = 101
_KEYS = frozenset({"authorizationkey", "securityctrlr.basicauthpassword"})
_FORWARDED = frozenset({"x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-ssl", "forwarded"})


# --- what is in the clear -------------------------------------------------------------------------------------------


@lru_cache(256)
def _is_public(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False


@lru_cache(256)
def _is_local(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def in_the_clear(connection: Connection) -> bool:
    """Whether anybody on the way can read it: TCP without TLS between two hosts."""
    if connection.transport is None or connection.tls is not None or _is_local(connection.flow.client.address):
        return False
    handshake = connection.handshake
    return handshake is None or not _was_encrypted(handshake)


def _was_encrypted(handshake: Handshake) -> bool:
    """Whether a proxy says that it took the connection out of TLS."""
    values = (value.lower() for name, value in handshake.request_headers if name.lower() in _FORWARDED)
    return any(re.search(r"\b(?:https|wss|on)\b", value[:1024]) for value in values)


@rule(
    "plaintext-public",
    on=Upgraded,
    severity=WARNING,
    title="OCPP goes over a public network without encryption",
    advice="Use wss (security profile 2 or 3), or a VPN or private APN.",
    spec="J-1.6 ch. 6; 2.0.1 A00.FR.201",
    mute=Mute.NEVER,
)
def plaintext_public(what: Upgraded, case: Case) -> None:
    """A connection without TLS has a public address at one end."""
    connection = what.link.connection if what.link is not None else None
    if connection is None or connection.transport is None or connection.tls is not None:
        return
    ends = {"station": connection.flow.client, "CSMS": connection.flow.server}
    public = [name for name, end in ends.items() if _is_public(end.address)]
    if public:
        case.find(
            f"A connection without TLS has a public address at the end of the {' and the '.join(public)}.", what
        )


@rule(
    "cert-ops-unsecured",
    on=asked("InstallCertificate", "CertificateSigned", "SignCertificate", "DeleteCertificate"),
    severity=WARNING,
    priority=2,
    title="Certificates are managed over a connection without encryption",
    advice="Move the station to security profile 2 first. Whoever sits in between can put in other certificates.",
    spec="2.0.1 A00; 1.6 security white paper",
    mute=Mute.NEVER,
)
def cert_ops_unsecured(x: Exchange, case: Case) -> None:
    """A message about certificates is sent without TLS."""
    if in_the_clear(x.link.connection):
        blame = Blame.STATION if x.side is Side.STATION else Blame.CSMS
        case.find(f"{x.action} was sent over a connection without TLS.", x, blame=blame, key=x.action)


# --- passwords and profiles -----------------------------------------------------------------------------------------


def _set_items(x: Exchange) -> list[tuple[str, str]]:
    """The keys, in lower case, and values that a message sets."""
    if x.action == "ChangeConfiguration":
        return [(x.asked.text("key").lower(), x.asked.text("value"))]
    if x.action == "SetVariables":
        items = x.asked.tables("setVariableData")
        return [(variable(item).lower(), item.text("attributeValue")) for item in items]
    network = x.asked.table("connectionData")
    level, key = network.whole("securityProfile"), network.text("basicAuthPassword")
    found = [("securityprofile", str(level))] if level is not None and 0 <= level < 10 else []
    return [*found, ("authorizationkey", key)] if key else found


def _new_key(x: Exchange) -> str:
    """The password that a message sets, "" if none."""
    return next((value for key, value in _set_items(x) if key in _KEYS), "")


@rule(
    "authkey-cleartext",
    on=asked("ChangeConfiguration", "SetVariables", "SetNetworkProfile"),
    severity=ERROR,
    blame=Blame.CSMS,
    title="A new password was sent to the station without encryption",
    advice="Take it for known to others. Set another one over TLS.",
    spec="J-1.6 §6.2.2; 2.0.1 A01",
    mute=Mute.NEVER,
)
def authkey_cleartext(x: Exchange, case: Case) -> None:
    """AuthorizationKey or BasicAuthPassword is set over a connection without TLS."""
    if _new_key(x) and in_the_clear(x.link.connection):
        case.find(f"{x.action} carried a new password of the station over a connection without TLS.", x)


def _readable(x: Exchange) -> Iterator[str]:
    """The values of passwords that a message shows."""
    for item in x.answered.tables("configurationKey"):
        if item.text("key").lower() in _KEYS:
            yield item.text("value")
    for item in x.answered.tables("getVariableResult"):
        if variable(item).lower() in _KEYS and item.text("attributeValue"):
            yield item.text("attributeValue")
    for item in x.asked.tables("reportData") if x.action == "NotifyReport" else ():
        if variable(item).lower() in _KEYS:
            yield from (value for one in item.tables("variableAttribute") if (value := one.text("value")))


@rule(
    "authkey-readable",
    on=(answered("GetConfiguration", "GetVariables"), asked("NotifyReport")),
    severity=ERROR,
    blame=Blame.STATION,
    title="The station gives its password away",
    advice="The password may be written, never read. Change it, and have the firmware mended.",
    spec="J-1.6 §6.2.2 and errata 3.12; 1.6 security white paper §7.2; 2.0.1 A01",
    mute=Mute.NEVER,
)
def authkey_readable(x: Exchange, case: Case) -> None:
    """AuthorizationKey or BasicAuthPassword is answered with a value; a note if it is listed empty or blanked."""
    for value in _readable(x):
        if len(set(value)) > 1:
            case.find(f"{x.action} shows the station's password in full, {len(value)} characters.", x)
        else:
            case.find(f"{x.action} lists the station's password, without its value.", x, severity=NOTE, key="listed")


class _Change(Struct):
    """A password that was changed."""

    since_ns: int
    before: int | None  # length of the one that was in use
    expected: frozenset[int]


@rule(
    "authkey-not-applied",
    on=(answered("ChangeConfiguration", "SetVariables"), Upgraded, Refused),
    severity=WARNING,
    priority=2,
    title="Station and CSMS do not agree on the new password",
    advice="Set it again before the station is locked out. In 1.6 the key is set as hex digits and sent as the "
    "bytes that they stand for; in 2.x it is sent as it is.",
    spec="2.0.1 A01.FR.03; 1.6 security white paper A00.FR.205",
)
def authkey_not_applied(what: Exchange | Upgraded | Refused, case: Case) -> None:
    """After a password was changed, the next upgrade is refused with 401 or 403, or has one of the old length."""
    memory = case.memory(what.station)
    if not isinstance(what, Upgraded | Refused):
        key = _new_key(what)
        if key and _is_taken(what):
            handshake = what.link.connection.handshake
            before = _password_length(handshake) if handshake is not None else None
            memory["change"] = _Change(what.time_ns, before, _lengths(key))
        return
    connection = what.connection if isinstance(what, Refused) else what.link.connection if what.link else None
    change: _Change | None = memory.get("change")
    if (
        connection is None
        or connection.handshake is None
        or change is None
        or connection.opened_ns <= change.since_ns
    ):
        return
    del memory["change"]
    status = connection.handshake.status
    captured = connection.transport is not None and status == _SWITCHED  # a log makes lengths up
    length = _password_length(connection.handshake) if captured else None
    if status in (401, 403):
        case.find(f"After its password was changed, the station's next upgrade was refused with {status}.", what)
    elif length is not None and length == change.before and length not in change.expected:
        text = f"The station took a new password, but its next upgrade has one of the old length, {length} bytes."
        case.find(text, what, blame=Blame.STATION)


def _is_taken(x: Exchange) -> bool:
    if x.action == "ChangeConfiguration":
        return x.accepted
    results = x.answered.tables("setVariableResult")
    return any(variable(one).lower() in _KEYS and one.text("attributeStatus") == "Accepted" for one in results)


def _lengths(key: str) -> frozenset[int]:
    """How long a password may be on the wire: as it is, or as the bytes that its hex digits stand for."""
    length = len(key.encode("utf-8", "replace"))
    return frozenset({length, length // 2} if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", key) else {length})


def _password_length(handshake: Handshake) -> int | None:
    """Bytes of the Basic password; the header says so since its value was blanked."""
    value = next((value for name, value in handshake.request_headers if name.lower() == "authorization"), "")
    found = re.search(r":\*\*\* \((\d{1,6}) bytes\)$", value)
    return int(found[1]) if found else None


@rule(
    "security-profile-downgrade",
    on=(
        asked("ChangeConfiguration", "SetNetworkProfile"),
        answered("ChangeConfiguration", "SetNetworkProfile"),
        Upgraded,
    ),
    severity=WARNING,
    priority=2,
    title="The security of a station was lowered",
    advice="A security profile may only be raised over OCPP (2.1: lowered from 3 to 2 if that is allowed). Find out "
    "who asked for it, or why the station leaves its password out.",
    spec="1.6 security white paper A00.FR.005; 2.0.1 A05.FR.01",
)
def security_profile_downgrade(what: Exchange | Upgraded, case: Case) -> None:
    """A SecurityProfile below the known one is set, or a station comes back without the password it used to send."""
    memory, known = case.memory(what.station), what.station.configuration
    if isinstance(what, Upgraded):
        handshake = what.link.connection.handshake if what.link is not None else None
        if handshake is not None:
            if memory.get("user") and not _has_credentials(handshake):
                case.find("The station came back without the password that it sent before.", what, key="password")
            memory["user"] = _has_credentials(handshake)
        return
    level = next((value for key, value in _set_items(what) if key == "securityprofile"), "")
    if not level:
        return
    if what.done_ns is None:
        memory["before"] = known.number("SecurityProfile", "SecurityCtrlr.SecurityProfile")
        return
    before = memory.pop("before", None)
    allowed = known.text("SecurityCtrlr.AllowSecurityProfileDowngrade").lower() == "true"
    if before is None or level not in ("0", "1", "2", "3") or not int(level) < before <= 3:
        return
    if not (what.link.connection.version is Version.V21 and allowed and (before, level) == (3, "2")):
        did = "and the station accepted it" if what.accepted else "and the station refused"
        case.find(
            f"The CSMS asked to lower the security profile from {before:g} to {level}, {did}.", what, blame=Blame.CSMS
        )


def _has_credentials(handshake: Handshake) -> bool:
    return any(name.lower() == "authorization" for name, _ in handshake.request_headers)


# --- URLs and firmware ----------------------------------------------------------------------------------------------

_FILES = asked(
    "UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware", "GetDiagnostics", "GetLog", "SetNetworkProfile"
)


def _url(x: Exchange) -> str:
    """Where a message sends the station."""
    asked_for = x.asked
    return (
        asked_for.text("location") or asked_for.table("firmware").text("location")
        or asked_for.table("log").text("remoteLocation") or asked_for.table("connectionData").text("ocppCsmsUrl")
    )[:2048]  # fmt: skip


def _is_firmware(x: Exchange) -> bool:
    return x.action in ("UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware")


@rule(
    "url-credentials",
    on=_FILES,
    severity=WARNING,
    blame=Blame.CSMS,
    title="A URL for the station holds a password, or is not secure",
    advice="Use https or sftp with credentials of its own for each upload, and signed firmware.",
    spec="2.0.1 L01.FR.08, N01; 1.6 security white paper L01",
    mute=Mute.NEVER,
)
def url_credentials(x: Exchange, case: Case) -> None:
    """A URL for firmware, logs or the CSMS holds user and password, or firmware comes over http or ftp."""
    url = _url(x)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\s]*:[^/?#@\s]+@", url):
        case.find(f"{x.action} carries a URL with user and password in it.", x, key=(x.action, "password"))
    scheme = url.partition(":")[0].lower()
    if _is_firmware(x) and scheme in ("http", "ftp"):
        signed = x.action == "SignedUpdateFirmware" or bool(x.asked.table("firmware").text("signature"))
        kept = "; its signature still protects it" if signed else ", and is not signed"
        case.find(
            f"{x.action} has the station fetch firmware over {scheme}{kept}.", x,
            severity=NOTE if signed else WARNING, key=(x.action, "scheme"),
        )  # fmt: skip


@rule(
    "firmware-unsigned",
    on=asked("UpdateFirmware"),
    severity=NOTE,
    priority=3,
    blame=Blame.CSMS,
    title="Firmware is updated without a signature",
    advice="Use SignedUpdateFirmware (2.x: signature and signingCertificate), so that the station can check it.",
    spec="1.6 security white paper L01; 2.0.1 L01",
    mute=Mute.NEVER,
)
def firmware_unsigned(x: Exchange, case: Case) -> None:
    """UpdateFirmware of 1.6, or of 2.x without a signature."""
    if x.link.connection.version in V16:
        case.find("The plain UpdateFirmware of 1.6 was used, which has no signature.", x)
    elif not x.asked.table("firmware").text("signature"):
        case.find("UpdateFirmware came without a signature.", x)
