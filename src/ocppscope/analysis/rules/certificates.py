"""Rules about certificates and security events, as the station and the CSMS tell each other."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import answered, asked
from ocppscope.analysis.registry import Group, Mute, amount, family, hours, minutes
from ocppscope.analysis.rules.charging import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.payload import Payload
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.SECURITY)

MAX_TYPES = 64
"""Types of security events and of certificates of a station that are told apart."""
MAX_TIMES = 1024
"""Times of them that are counted."""


@rule(
    "csr-unanswered",
    on=(answered("SignCertificate"), asked("CertificateSigned")),
    severity=WARNING,
    priority=3,
    blame=Blame.CSMS,
    title="A certificate was asked for and did not come",
    advice="Look whether the CSMS reaches its certificate authority. The station will not learn why it waits.",
    spec="2.0.1 A02, A03",
    limits={"note": minutes(10, "wait that is noted"), "warn": hours(24, "wait that is warned of")},
)
def csr_unanswered(x: Exchange, case: Case) -> Iterator[int]:
    """SignCertificate is accepted, and no CertificateSigned comes within `note`; a warning after `warn`."""
    memory = case.memory(x.station)
    if x.action == "CertificateSigned":
        memory["signed"] = x.asked_ns
        return
    for wait, severity in ((case["note"], NOTE), (case["warn"] - case["note"], WARNING)):
        if not x.accepted:
            return
        yield wait
        if memory.get("signed", 0) >= x.asked_ns:
            return
        if x.station.link is not None and x.station.link.open:
            waited = (case.now - x.time_ns) / 6e10
            case.find(
                f"SignCertificate was accepted, but after {waited:.0f} min no certificate has come.",
                x,
                severity=severity,
            )


def _count(memory: dict[str, deque[int]], name: str, now: int, window_ns: int) -> deque[int]:
    """The times of this name within a window, with one more."""
    if name not in memory and len(memory) >= MAX_TYPES:
        del memory[next(iter(memory))]
    times = memory.setdefault(name, deque(maxlen=MAX_TIMES))
    times.append(now)
    while times[0] < now - window_ns:
        times.popleft()
    return times


@rule(
    "csr-retry-storm",
    on=asked("SignCertificate"),
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The station asks for a certificate again and again",
    advice="Let it wait longer (2.x: CertSigningWaitMinimum). Look why the certificate does not come or fit.",
    spec="2.0.1 A02",
    limits={
        "count": amount(3, "calls", "requests that are too many"),
        "window": minutes(10, "time over which they are counted"),
    },
)
def csr_retry_storm(x: Exchange, case: Case) -> None:
    """SignCertificate comes `count` times within `window` for the same type of certificate."""
    times = _count(case.memory(x.station), x.asked.text("certificateType")[:40], x.asked_ns, case["window"])
    if len(times) >= case["count"]:
        span = (times[-1] - times[0]) / 1e9
        case.find(f"SignCertificate came {len(times)} times within {span:.0f} s.", x)
        times.clear()


_BAD_OWN = frozenset({"InvalidChargePointCertificate", "InvalidChargingStationCertificate"})


@rule(
    "cert-signed-rejected",
    on=(answered("CertificateSigned"), asked("SecurityEventNotification")),
    severity=ERROR,
    blame=Blame.CSMS,
    title="The station refuses the certificate that it was given",
    advice="Look at the order of the chain (the station's own first), at CN and O, at its length against "
    "MaxCertificateChainSize, and whether it is for the latest request.",
    spec="2.0.1 A02.FR.06, A02.FR.07; 1.6 security white paper",
)
def cert_signed_rejected(x: Exchange, case: Case) -> None:
    """CertificateSigned is not accepted, or the station reports that its new certificate is invalid."""
    if x.action == "SecurityEventNotification":
        if x.asked.text("type") in _BAD_OWN:
            case.find(f"The station reported {x.asked.text('type')}.", x)
    elif not x.accepted and (x.error or x.status):
        answer = f"the error {word(x.error)}" if x.error else word(x.status)
        size = len(x.asked.text("certificateChain"))
        case.find(f"CertificateSigned with a chain of {size} characters was answered with {answer}.", x)


_HASHES = ("issuerNameHash", "issuerKeyHash")


def _hash_data(x: Exchange) -> Iterator[Payload]:
    if x.action == "DeleteCertificate":
        yield x.asked.table("certificateHashData")
    yield from x.answered.tables("certificateHashData")
    for item in x.answered.tables("certificateHashDataChain"):
        yield item.table("certificateHashData")


@rule(
    "cert-hash-format",
    on=answered("GetInstalledCertificateIds", "DeleteCertificate"),
    severity=NOTE,
    priority=3,
    title="A certificate is named in an unusual way",
    advice="Write hashes in lower-case hex, the serial number likewise and without leading zeros. Else the other "
    "side may not find the certificate.",
    spec="1.6 security white paper ed. 3 §6.1; 2.0.1 CertificateHashDataType",
)
def cert_hash_format(x: Exchange, case: Case) -> None:
    """A serial number has leading zeros, capitals or 0x, or a hash is not lower-case hex."""
    for data in _hash_data(x):
        by_csms = x.action == "DeleteCertificate"
        serial = data.text("serialNumber")
        odd = [] if not serial or re.fullmatch(r"0|[1-9a-f][0-9a-f]*", serial[:200]) else ["serialNumber"]
        odd += [name for name in _HASHES if data.text(name) and not re.fullmatch(r"[0-9a-f]+", data.text(name)[:200])]
        if odd:
            text = f"{x.action} has a certificate whose {' and '.join(odd)} could not be matched as text."
            case.find(text, x, blame=Blame.CSMS if by_csms else Blame.STATION, key=x.action)


# --- security events ------------------------------------------------------------------------------------------------

_ALARMING = {
    "TamperDetectionActivated": "somebody may have opened the station",
    "SecurityLogWasCleared": "its security log was emptied",
    "MemoryExhaustion": "its memory is full",
    "AttemptedReplayAttacks": "it received a message a second time",
}
_USUAL = frozenset(
    {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "ReconfigurationOfSecurityParameters",
    }
)


@rule(
    "security-event-critical",
    on=asked("SecurityEventNotification"),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station reports a security event",
    advice="Find out on site, or from the security log of the station, what was behind it.",
    spec="1.6 security white paper ch. 8; 2.0.1 A04, Appendix 1",
    mute=Mute.NEVER,
)
def security_event_critical(x: Exchange, case: Case) -> None:
    """An alarming security event is reported (tampering, cleared log, Invalid…); a note for restarts and the like."""
    kind = x.asked.text("type")
    if kind in _BAD_OWN:
        return  # see cert-signed-rejected
    if kind in _ALARMING or kind.startswith("Invalid"):
        meaning = _ALARMING.get(kind, "it refused what it was given")
        case.find(f"The station reported {word(kind)}: {meaning}.", x, key=kind[:40])
    elif kind in _USUAL:
        case.find(f"The station reported {kind}.", x, severity=NOTE, key=kind)


@rule(
    "security-event-flood",
    on=asked("SecurityEventNotification"),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The station reports one security event over and over",
    advice="Look whether the CSMS answers it: a station may repeat what is refused. SettingSystemTime again and "
    "again means that its clock is set in a loop.",
    spec="2.0.1 A04",
    limits={
        "count": amount(10, "calls", "events of one type that are let pass"),
        "window": hours(1, "time over which they are counted"),
    },
)
def security_event_flood(x: Exchange, case: Case) -> None:
    """More than `count` security events of one type come within `window`."""
    kind = x.asked.text("type")[:50]
    times = _count(case.memory(x.station), kind, x.asked_ns, case["window"])
    if len(times) > case["count"]:
        span = (times[-1] - times[0]) / 6e10
        case.find(f"{word(kind)} came {len(times)} times within {span:.0f} min.", x, key=kind)
        times.clear()
