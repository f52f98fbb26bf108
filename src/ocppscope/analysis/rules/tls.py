"""Rules about TLS connections without their keys: alerts, certificates, versions, and ports that speak something
else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.certificate import Certificate, parse
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Booted, Encrypted
from ocppscope.analysis.registry import Group, Mute, amount, family, hours, seconds
from ocppscope.analysis.wording import blamed, span, subject
from ocppscope.model import PlainReply, Side
from ocppscope.tlsnames import ALERTS, FATAL, suite_name, suite_parts, version_name

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case
    from ocppscope.model import TlsConnection

rule = family(Group.TLS)

TLS12, TLS13 = 0x0303, 0x0304
DISTRUST = frozenset({42, 43, 44, 45, 46, 48})
UNKNOWN_CA, EXPIRED = 48, 45
HANDSHAKE_FAILURE, INSUFFICIENT, UNRECOGNIZED_NAME, CERTIFICATE_REQUIRED = 40, 71, 112, 116
MANDATORY = (0xC02B, 0xC02C, 0x009C, 0x009D)
"""The suites of OCPP: a CSMS has all four, a station the first two or the last two (A00.FR.317)."""
WEAK = ("NULL", "EXPORT", "RC4", "RC2", "DES", "DES40", "3DES", "IDEA", "MD5", "anon")
"""Words in the name of a suite that nobody should use any more."""
MIN_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}
"""How long keys have to be (A00.FR.502, 503)."""
BROKEN_HASHES = frozenset({"md5", "sha1"})


def _where(tls: TlsConnection) -> dict[str, str]:
    found = {"server": str(tls.flow.server), "client": str(tls.flow.client)}
    if tls.client_hello is not None and tls.client_hello.server_name:
        found["asked for"] = tls.client_hello.server_name[:256]
    return found


def _leaf(tls: TlsConnection) -> Certificate | None:
    """The server's own certificate."""
    return parse(tls.certificates[Side.CSMS][0]) if tls.certificates[Side.CSMS] else None


@rule(
    "tls-alert",
    on=Encrypted,
    severity=ERROR,
    title="A TLS handshake ends in an alert",
    advice="Who sends bad_certificate, unknown_ca or certificate_expired distrusts the other side: look at "
    "that side's "
    "certificate chain, and at the sender's root certificates and clock.",
    spec="RFC 8446 §6.2; A00.FR.309-310, 407",
    mute=Mute.NEVER,
)
def tls_alert(what: Encrypted, case: Case) -> None:
    """A side sends a fatal alert in the clear."""
    for alert in what.tls.alerts:
        if alert.level == FATAL and alert.description is not None:
            name, meaning = ALERTS.get(alert.description, (f"number {alert.description}", "see RFC 8446 §6.2"))
            blame = blamed(alert.side.other) if alert.description in DISTRUST else Blame.UNKNOWN
            text = f"{subject(alert.side)} ended the TLS handshake with {name}: {meaning}."
            case.find(text, what, key=(alert.side, alert.description), blame=blame, measured=_where(what.tls))


@rule(
    "tls-cert-expired",
    on=Encrypted,
    severity=ERROR,
    blame=Blame.CSMS,
    title="A certificate of the server has expired, or soon will",
    advice="Renew it. If the root changes, bring the new root to the stations before the old one expires, "
    "or they will "
    "all stay away.",
    spec="A00.FR.307; A03",
    limits={"soon": hours(24 * 30, "time before the end from which it is warned of")},
    mute=Mute.NEVER,
)
def tls_cert_expired(what: Encrypted, case: Case) -> None:
    """A certificate of the server's chain is over, or has less than `soon` to go, by the capture's clock; or a
    side says
    certificate_expired."""
    tls = what.tls
    for place, der in enumerate(tls.certificates[Side.CSMS]):
        found = parse(der)
        left = found.ends_ns - what.time_ns if found is not None else case["soon"]
        if left < case["soon"]:
            which = (
                "certificate of the server" if not place else f"certificate number {place + 1} of the server's chain"
            )
            text = f"The {which} expired {span(-left)} ago." if left < 0 else f"The {which} expires in {span(left)}."
            case.find(text, what, key=place, severity=ERROR if left < 0 else WARNING, measured=_where(tls))
    if any(alert.level == FATAL and alert.description == EXPIRED for alert in tls.alerts):
        case.find("A side says that the other's certificate has expired.", what, key="alert", measured=_where(tls))


@rule(
    "tls-unknown-ca",
    on=Encrypted,
    severity=ERROR,
    priority=2,
    blame=Blame.STATION,
    title="The station does not trust the server's certificate",
    advice="Install the CSMS's root on the station (CentralSystemRootCertificate, CSMSRootCertificate), and "
    "see that the "
    "server sends the whole chain.",
    spec="A00.FR.307; M05",
    limits={
        "times": amount(2, "times", "connections that end so"),
        "soon": seconds(1, "time after the certificate in which the client leaves"),
    },
    mute=Mute.NEVER,
)
def tls_unknown_ca(what: Encrypted, case: Case) -> None:
    """The client answers the server's certificate with unknown_ca, or `times` leaves within `soon` after it."""
    tls, memory = what.tls, case.memory(what.station)
    if any(alert.description == UNKNOWN_CA and alert.side is Side.STATION for alert in tls.alerts):
        case.find("The station says that it does not know who issued the certificate.", what, measured=_where(tls))
        return
    shown, closed = tls.certificate_ns[Side.CSMS], tls.closed_ns
    left = shown is not None and closed is not None and tls.closed_by is Side.STATION and not any(tls.application_ns)
    if left and shown is not None and closed is not None and closed - shown <= case["soon"]:
        memory["left"] = memory.get("left", 0) + 1
        if memory["left"] >= case["times"]:
            text = f"The station left {memory['left']} times right after it was shown the server's certificate."
            case.find(text, what, measured=_where(tls))


@rule(
    "tls-chain-incomplete",
    on=Encrypted,
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="The server does not send the whole certificate chain",
    advice="Configure the full chain on the server (leaf and intermediates). Browsers fetch what is "
    "missing; stations do not.",
    spec="A00.FR.307",
    mute=Mute.NEVER,
)
def tls_chain_incomplete(what: Encrypted, case: Case) -> None:
    """The server sends one certificate that it did not sign itself, and the handshake fails or is never finished."""
    tls, leaf = what.tls, _leaf(what.tls)
    if leaf is None or len(tls.certificates[Side.CSMS]) != 1 or leaf.self_signed or tls.application_ns[Side.STATION]:
        return
    case.find(
        "The server sent its own certificate only, and the handshake was not completed.", what, measured=_where(tls)
    )


@rule(
    "tls-name-mismatch",
    on=Encrypted,
    severity=ERROR,
    blame=Blame.CSMS,
    title="The server's certificate is for another name",
    advice="Issue a certificate with the host name of the CSMS URL, or correct the URL in the station.",
    spec="RFC 6125 §6.4; A00.FR.308, 412, 510",
    mute=Mute.NEVER,
)
def tls_name_mismatch(what: Encrypted, case: Case) -> None:
    """The name that the client asks for (SNI) is none of the certificate's."""
    tls, leaf = what.tls, _leaf(what.tls)
    asked = tls.client_hello.server_name if tls.client_hello is not None else ""
    if leaf is not None and asked and leaf.names and not leaf.is_for(asked):
        measured = {**_where(tls), "certificate": ", ".join(leaf.names[:4])}
        case.find("The certificate does not hold the name that the station asked for.", what, measured=measured)


@rule(
    "tls-version-low",
    on=Encrypted,
    severity=WARNING,
    title="An old version of TLS is used",
    advice="Enable TLS 1.2 or newer on both sides. TLS 1.0 and 1.1 are tolerated for old 1.6 stations only.",
    spec="1.6 security whitepaper A00.FR.312; 2.0.1 A00.FR.313",
    mute=Mute.NEVER,
)
def tls_version_low(what: Encrypted, case: Case) -> None:
    """The server chooses a version below TLS 1.2."""
    hello = what.tls.server_hello
    if hello is None or hello.version >= TLS12:
        return
    offered = what.tls.client_hello.versions if what.tls.client_hello is not None else ()
    blame = Blame.STATION if offered and max(offered) < TLS12 else Blame.CSMS
    name = version_name(hello.version)
    severity = ERROR if what.station.is_2x else WARNING
    case.find(
        f"The server chose {name}.",
        what,
        key=hello.version,
        blame=blame,
        severity=severity,
        measured=_where(what.tls),
    )


@rule(
    "tls-on-plain-port",
    on=Encrypted,
    severity=ERROR,
    title="One side speaks TLS and the other does not",
    advice="The scheme or the port is wrong: wss:// belongs to the TLS port, ws:// to the plain one. "
    "Correct the URL in the "
    "station, or what the server's port expects.",
    mute=Mute.NEVER,
)
def tls_on_plain_port(what: Encrypted, case: Case) -> None:
    """A ClientHello is answered with HTTP or other plain bytes, or a plain request with TLS."""
    texts = {
        PlainReply.HTTP: "The station spoke TLS (wss) to a port that answers in plain HTTP (ws).",
        PlainReply.OTHER: "The station spoke TLS (wss) to a port that answers with something else.",
        PlainReply.TLS: "The station sent a plain request (ws) to a port that speaks TLS (wss).",
    }
    text = texts.get(what.tls.plain_reply)
    if text is not None:
        case.find(text, what, key=what.tls.plain_reply, blame=Blame.STATION, measured=_where(what.tls))


@rule(
    "tls-undecryptable",
    on=Encrypted,
    severity=NOTE,
    title="A connection is encrypted, and there are no keys",
    advice="What is inside cannot be looked at. Get the keys (SSLKEYLOGFILE of the CSMS or the TLS proxy), "
    "or capture "
    "behind the proxy that ends TLS.",
    mute=Mute.NEVER,
)
def tls_undecryptable(what: Encrypted, case: Case) -> None:
    """A TLS connection carries application data and there are no keys for it."""
    tls = what.tls
    if not tls.decrypted and any(at is not None for at in tls.application_ns):
        sent, received = tls.payload_bytes
        text = f"An encrypted connection carried {sent:,} bytes of the station and {received:,} of the CSMS."
        case.find(text, what, measured=_where(tls))


@rule(
    "tls-client-cert-identity",
    on=(Encrypted, Booted),
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The station's certificate is that of another station",
    advice="The common name must be the station's serial number. Look whether certificates were mixed up "
    "when they were "
    "installed.",
    spec="A00.FR.405; B01.FR.11-12",
    mute=Mute.NEVER,
)
def tls_client_cert_identity(what: Encrypted | Booted, case: Case) -> None:
    """The common name of a client certificate is neither the serial number of BootNotification nor the identity.
    Needs a
    handshake in the clear (TLS 1.2) and a station that is known by other means."""
    memory = case.memory(what.station)
    if isinstance(what, Encrypted):
        shown = what.tls.certificates[Side.STATION]
        found = parse(shown[0]) if shown else None
        if found is not None:
            memory["name"] = found.common_name
    serial, name = what.station.registration.serial, memory.get("name")
    if name and serial and name not in (serial, what.station.identity):
        case.find(
            "The client certificate names another serial number than BootNotification.",
            what,
            measured={"certificate": name, "serial": serial},
        )


# --- suites and keys ------------------------------------------------------------------------------------------------


@rule(
    "tls-weak-cipher",
    on=Encrypted,
    severity=WARNING,
    priority=3,
    title="A weak cipher suite is used",
    advice="Leave the suites of OCPP (ECDHE with AES-GCM, RSA with AES-GCM) and of TLS 1.3 enabled, and no others. "
    "The weaker ones are for machines that know nothing better.",
    spec="A00.FR.317-320; RFC 9325 §4.1",
    mute=Mute.NEVER,
)
def tls_weak_cipher(what: Encrypted, case: Case) -> None:
    """The server chooses a suite with NULL, EXPORT, RC4, DES, 3DES, MD5 or no authentication, one with CBC below
    TLS 1.2, or compression."""
    hello = what.tls.server_hello
    if hello is None:
        return
    words = set("_".join(suite_parts(hello.suite) or ()).split("_"))
    weak = words.intersection(WEAK)
    if weak:
        text = f"The server chose {suite_name(hello.suite)}."
    elif "CBC" in words and hello.version < TLS12:
        text = f"The server chose {suite_name(hello.suite)} with {version_name(hello.version)}."
    elif hello.compression:
        text = "The server chose TLS compression, which lets others guess at secrets."
    else:
        return
    offered = what.tls.client_hello.suites if what.tls.client_hello is not None else ()
    better = any(not set("_".join(suite_parts(one) or WEAK).split("_")).intersection(WEAK) for one in offered)
    blame = Blame.CSMS if better or not offered else Blame.STATION
    case.find(text, what, key=(hello.suite, hello.compression), blame=blame, measured=_where(what.tls))


@rule(
    "tls-no-common-cipher",
    on=Encrypted,
    severity=ERROR,
    priority=3,
    title="The two have no cipher suite in common",
    advice="A station that knows only TLS_RSA, or only ECDSA, needs a server with the fitting key. A CSMS has to "
    "offer both kinds: an RSA and an ECDSA certificate.",
    spec="A00.FR.317",
    mute=Mute.NEVER,
)
def tls_no_common_cipher(what: Encrypted, case: Case) -> None:
    """The server answers the hello with handshake_failure or insufficient_security, and with nothing else."""
    tls = what.tls
    refused = any(
        alert.side is Side.CSMS and alert.description in (HANDSHAKE_FAILURE, INSUFFICIENT) for alert in tls.alerts
    )
    if not refused or tls.server_hello is not None or tls.client_hello is None:
        return
    offered = tls.client_hello.suites
    named = [suite_name(one) for one in MANDATORY if one in offered]
    has = f"{len(named)} of the four suites of OCPP" if named else "none of the four suites of OCPP"
    text = f"The server refused a hello that offers {len(offered)} suites, {has} among them."
    blame = Blame.UNKNOWN if named or any(one >> 8 == 0x13 for one in offered) else Blame.STATION
    measured = {**_where(tls), "offered": " ".join(map(suite_name, offered[:16]))}
    case.find(text, what, blame=blame, measured=measured)


@rule(
    "tls-client-cert-missing",
    on=Encrypted,
    severity=ERROR,
    priority=3,
    blame=Blame.STATION,
    title="The server asks for a client certificate, and the station has none",
    advice="Install the station's certificate (security profile 3), or see why it does not use it: wrong slot, wrong "
    "issuer, or expired. Or let the server not ask for one.",
    spec="A00.FR.401-407",
    mute=Mute.NEVER,
)
def tls_client_cert_missing(what: Encrypted, case: Case) -> None:
    """The client answers a CertificateRequest with no certificate and does not get through, or the server says
    certificate_required."""
    tls = what.tls
    if any(alert.side is Side.CSMS and alert.description == CERTIFICATE_REQUIRED for alert in tls.alerts):
        case.find("The server says that it wants a client certificate.", what, measured=_where(tls))
    elif tls.empty_client_certificate and tls.application_ns[Side.CSMS] is None:
        text = "The server asked for a client certificate, and the station answered that it has none."
        case.find(text, what, measured=_where(tls))


@rule(
    "tls-key-too-small",
    on=Encrypted,
    severity=WARNING,
    priority=3,
    title="A certificate has a weak key or signature",
    advice="Issue it anew: RSA with 2048 bits or more, or elliptic curves with 256, signed with SHA-256 or better.",
    spec="A00.FR.502, 503",
    mute=Mute.NEVER,
)
def tls_key_too_small(what: Encrypted, case: Case) -> None:
    """A certificate that a side shows has an RSA key below 2048 bits or a curve below 224, or is signed with SHA-1 or
    MD5. How a root signed itself does not matter."""
    for side in Side:
        for place, der in enumerate(what.tls.certificates[side]):
            found = parse(der)
            if found is None:
                continue
            owner = f"{subject(side)} shows a certificate"
            if 0 < found.key_bits < MIN_BITS.get(found.key, 0):
                text = f"{owner} whose {found.key} key has {found.key_bits} bits."
                case.find(text, what, key=(side, place), blame=blamed(side), measured=_where(what.tls))
            elif found.signed_with in BROKEN_HASHES and not found.self_signed:
                text = f"{owner} that is signed with {found.signed_with.upper()}."
                case.find(text, what, key=(side, place), blame=blamed(side), measured=_where(what.tls))


@rule(
    "tls-no-sni",
    on=Encrypted,
    severity=NOTE,
    priority=3,
    blame=Blame.STATION,
    title="The station does not say which server it wants",
    advice="Configure the URL with a host name instead of an address, and see that the station sends server_name "
    "(SNI). A front end with several names shows any certificate without it.",
    spec="RFC 6066 §3",
    mute=Mute.NEVER,
)
def tls_no_sni(what: Encrypted, case: Case) -> None:
    """A hello without a server name is followed by unrecognized_name, or by an alert of the client about the
    certificate."""
    tls = what.tls
    if tls.client_hello is None or tls.client_hello.server_name:
        return
    for alert in tls.alerts:
        distrusted = alert.side is Side.STATION and alert.description in DISTRUST
        if distrusted or alert.description == UNRECOGNIZED_NAME:
            case.find("The station named no server, and the handshake failed.", what, measured=_where(tls))
            return


@rule(
    "tls-handshake-slow",
    on=Encrypted,
    severity=NOTE,
    priority=3,
    title="A TLS handshake takes long",
    advice="A weak processor or a long chain of certificates: take elliptic curves and a short chain, let sessions "
    "be resumed, and give the server's handshake timeout some room.",
    spec="2.0.1 Part 4 §5.2",
    limits={"note": seconds(5, "time that is noted"), "warn": seconds(15, "time that is warned of")},
    mute=Mute.NEVER,
)
def tls_handshake_slow(what: Encrypted, case: Case) -> None:
    """From ClientHello to the last record of the handshake, or in TLS 1.3 to ServerHello, more than `note` goes by; a
    warning after `warn`."""
    tls = what.tls
    if tls.client_hello_ns is None or tls.server_hello_ns is None or tls.server_hello is None:
        return
    answered = tls.server_hello_ns - tls.client_hello_ns
    took = answered
    if tls.server_hello.version < TLS13 and tls.handshake_ns is not None:
        took = tls.handshake_ns - tls.client_hello_ns
    if took > case["note"]:
        text = f"The handshake took {span(took)}, of which the server's first answer {span(answered)}."
        severity = WARNING if took > case["warn"] else NOTE
        case.find(text, what, severity=severity, measured=_where(tls))
