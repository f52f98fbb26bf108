"""Which findings explain which: a root mutes its consequences in a summary.

A consequence is explained only if all of its evidence follows from the root's. A consequence may be a root itself;
the report shows what lies at the bottom.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from ocppscope.analysis.finding import MAX_EVIDENCE, Finding
from ocppscope.analysis.registry import RULES, Group

SECOND, MINUTE, HOUR = 1_000_000_000, 60_000_000_000, 3_600_000_000_000
DAY = 24 * HOUR
BEFORE_NS = 20_000_000
"""How much earlier than its root a consequence may be seen: two rules may look at one event from both its ends."""


class Chain(NamedTuple):
    """`roots` explain `consequences` that follow within `within_ns`; None: of the same message or exchange.

    A root that shows only when something has happened several times explains the first of them, too: `before_ns`.
    """

    roots: tuple[str, ...]
    consequences: tuple[str, ...]
    within_ns: int | None = None
    before_ns: int = BEFORE_NS


_ENDS = ("ws-drop-without-close", "ws-close-abnormal", "ws-close-with-call-pending")
_BAD_CONTENT = (
    "schema-missing-required",
    "schema-wrong-type",
    "schema-datetime",
    "idtag-length",
    "schema-max-length",
    "schema-enum",
    "schema-extra-property",
    "schema-null-optional",
    "schema-empty-array",
    "integer-range",
    "idtag-garbage",
    "rpc-invalid-json",
    "rpc-not-array",
    "rpc-bad-message-type",
    "rpc-bad-arity",
    "rpc-message-id-type",
    "rpc-message-id-length",
    "rpc-json-duplicate-key",
    "rpc-wrong-direction",
    "rpc-unknown-action",
    "subprotocol-payload-mismatch",
    "clock-no-zone",
    "decimal-precision",
    "rpc-null-payload",
)
_UNPAID = (
    "tx-message-rejected",
    "tx-retry-exhausted",
    "tx-never-stopped",
    "tx2-missing-ended",
    "remote-stop-no-stop",
)
_REFUSALS = ("reconnect-storm", "reconnect-backoff-wrong", "no-reconnect")

CHAINS: tuple[Chain, ...] = (
    Chain(
        ("proxy-tls-failed",),
        (
            "tls-alert",
            "tls-unknown-ca",
            "tls-cert-expired",
            "tls-name-mismatch",
            "tls-chain-incomplete",
            "tls-on-plain-port",
        ),
        MINUTE,
        MINUTE,
    ),
    Chain(("proxy-no-csms",), ("tcp-connect-refused", *_REFUSALS), HOUR, MINUTE),
    # upgrades
    Chain(("basic-auth-user-mismatch", "basic-auth-hex-literal", "basic-auth-weak"), ("http-auth-failed",), SECOND),
    Chain(
        ("url-identity-missing", "url-identity-invalid", "url-double-slash"),
        ("http-404-unknown-station", "http-upgrade-refused"),
        SECOND,
    ),
    Chain(("subprotocol-not-agreed",), ("subprotocol-flapping",), HOUR),
    Chain(
        (
            "http-auth-failed",
            "http-404-unknown-station",
            "url-identity-missing",
            "subprotocol-missing",
            "subprotocol-malformed",
            "http-upgrade-header-missing",
        ),
        ("http-upgrade-refused", "subprotocol-not-agreed"),
    ),
    Chain(("subprotocol-missing", "subprotocol-not-agreed", "subprotocol-malformed"), _ENDS, 10 * SECOND),
    Chain(
        (
            "http-auth-failed",
            "http-404-unknown-station",
            "http-upgrade-refused",
            "subprotocol-missing",
            "subprotocol-malformed",
            "subprotocol-not-agreed",
            "url-identity-missing",
        ),
        _REFUSALS,
        HOUR,
    ),
    Chain(
        ("tls-cert-expired", "tls-name-mismatch", "tls-on-plain-port", "tls-version-low"),
        ("tls-alert", "tls-unknown-ca", *_REFUSALS),
        HOUR,
    ),
    Chain(("tls-no-common-cipher", "tls-client-cert-missing"), ("tls-alert", *_REFUSALS), HOUR),
    Chain(("tls-alert",), ("tls-no-sni", *_REFUSALS), HOUR),
    Chain(
        ("tcp-connect-refused", "tcp-connect-timeout"),
        ("reconnect-storm", "reconnect-backoff-wrong", "no-reconnect"),
        HOUR,
    ),
    # connections
    Chain(
        ("idle-timeout-drop", "connection-fixed-lifetime"), (*_ENDS, "ws-no-keepalive", "unexpected-reboot"), DAY, DAY
    ),
    Chain(("ws-ping-unanswered",), ("idle-timeout-drop", "connection-fixed-lifetime"), DAY),
    Chain(("ws-ping-unanswered", "ws-pong-mismatch"), _ENDS, MINUTE),
    Chain(("half-open-connection",), ("duplicate-identity",), MINUTE),
    Chain(
        (
            "ws-rsv-without-extension",
            "ws-mask-violation",
            "ws-invalid-utf8",
            "ws-message-too-big",
            "ws-non-ocpp-text",
            "ws-control-frame-invalid",
            "ws-binary-json",
        ),
        _ENDS,
        10 * SECOND,
    ),
    Chain(
        ("boot-loop", "reconnect-storm"),
        (*_ENDS, "unexpected-reboot", "boot-each-reconnect", "boot-trigger-loop"),
        HOUR,
        HOUR,
    ),
    Chain(
        ("half-open-connection", "duplicate-identity"),
        ("responses-on-old-socket", "zombie-station", "rpc-call-timeout", "rpc-orphan-response", *_ENDS),
        HOUR,
    ),
    Chain(("responses-on-old-socket",), ("zombie-station", "rpc-call-timeout"), HOUR),
    Chain(("tcp-retransmissions-high",), ("tcp-rtt-high", "rpc-slow-response", "rpc-late-response"), HOUR),
    # silence
    Chain(("csms-silent",), ("boot-no-retry", "call-before-accepted", "heartbeat-missing"), 15 * MINUTE),
    Chain(("csms-call-too-early",), ("zombie-station",), 2 * MINUTE),
    Chain(("duplicate-identity",), ("unexpected-reboot", "boot-loop"), 10 * MINUTE),
    Chain(("boot-trigger-loop", "boot-response-time-missing"), ("boot-loop", "boot-no-retry"), HOUR),
    Chain(("boot-loop",), ("status-missing-after-boot",), MINUTE),
    Chain(("boot-response-time-missing",), ("schema-missing-required",)),
    Chain(("boot-interval-odd",), ("heartbeat-interval-ignored",), DAY),
    Chain(
        ("call-before-accepted", "feature-profile-mismatch", "datatransfer-unknown"),
        ("rpc-callerror", "rpc-not-implemented"),
    ),
    Chain(("remote-start-while-pending",), ("remote-start-rejected",)),
    Chain(("trigger-storm",), ("trigger-rejected",), 15 * MINUTE),
    Chain(("unexpected-reboot", "reset-without-stop"), ("tx-never-stopped",), 15 * MINUTE),
    Chain(("remote-start-no-transaction",), ("connector-stuck",), 5 * MINUTE),
    Chain(("csms-call-too-early",), ("rpc-call-timeout", "ws-close-with-call-pending", "boot-loop"), 5 * MINUTE),
    Chain(
        ("csms-silent", "zombie-station"),
        (
            "rpc-call-timeout",
            "rpc-late-response",
            "rpc-slow-response",
            "tx-message-rejected",
            "boot-no-retry",
            "rpc-retry-too-fast",
            "rpc-concurrent-calls",
            "ws-close-with-call-pending",
            "ws-drop-without-close",
        ),
        HOUR,
    ),
    Chain(("rpc-call-timeout",), ("rpc-late-response",)),
    Chain(("rpc-call-timeout", "rpc-late-response"), ("rpc-slow-response",)),
    Chain(
        ("rpc-late-response", "rpc-call-timeout"),
        ("tx-message-rejected", "rpc-retry-too-fast", "tx-duplicate-start"),
        HOUR,
    ),
    # refused messages
    Chain(("ws-invalid-utf8",), ("rpc-invalid-json",)),
    Chain(
        ("rpc-invalid-json", "rpc-bad-arity", "rpc-message-id-type", "rpc-unknown-action", "rpc-concurrent-calls"),
        ("rpc-call-timeout",),
    ),
    Chain(("rpc-error-answering-response",), ("rpc-orphan-response",)),
    Chain(("rpc-retry-too-fast",), ("rpc-concurrent-calls", "rpc-message-id-reused")),
    Chain(("rpc-message-id-reused", "rpc-late-response"), ("rpc-duplicate-response", "rpc-orphan-response"), MINUTE),
    Chain(("rpc-callerror",), ("datetime-peer-cannot-parse",)),
    Chain(_BAD_CONTENT, ("rpc-callerror", "rpc-not-implemented", "remote-start-rejected", "remote-stop-rejected")),
    Chain(("idtag-length", "schema-max-length"), ("schema-max-length",)),
    Chain(("profile-rejected",), ("rpc-callerror", "rpc-not-implemented")),
    Chain(("clock-no-zone",), ("schema-datetime",)),
    Chain(("rpc-unknown-action",), ("rpc-not-implemented",)),
    Chain(("rpc-not-implemented",), ("rpc-callerror",)),
    Chain((*_BAD_CONTENT, "rpc-callerror"), _UNPAID, HOUR),
    Chain(
        _UNPAID, ("tx-stale-message", "auth-concurrent-stuck", "status-vs-transaction", "tx-start-on-busy"), 7 * DAY
    ),
    Chain(("rpc-message-id-reused", "rpc-concurrent-calls"), ("rpc-orphan-response", "rpc-duplicate-response")),
    # transactions
    Chain(("auth-concurrent-stuck",), ("auth-refused", "start-not-accepted")),
    Chain(("tx-id-not-unique",), ("tx-stop-unknown-id", "remote-stop-rejected", "tx-never-stopped"), HOUR),
    Chain(
        ("tx-stop-unknown-id", "tx-id-minus-one"),
        ("tx-never-stopped", "remote-stop-no-stop", "tx-start-on-busy"),
        HOUR,
    ),
    Chain(
        ("tx-message-rejected",),
        ("tx-retry-exhausted", "tx-out-of-order", "tx-stale-message", "tx-never-stopped"),
        7 * DAY,
    ),
    Chain(
        ("tx-retry-exhausted",),
        ("tx-never-stopped", "tx2-missing-ended", "tx2-seqno-gap", "tx2-missing-started"),
        DAY,
    ),
    Chain(("tx2-seqno-gap",), ("tx-out-of-order",), MINUTE),
    Chain(("tx2-id-reused",), ("tx2-event-after-ended", "tx2-seqno-gap"), HOUR),
    Chain(("start-not-accepted",), ("tx-zero-energy", "tx-abnormal-stop"), HOUR),
    Chain(
        ("remote-stop-no-stop", "remote-start-no-transaction"), ("status-vs-transaction", "tx-never-stopped"), HOUR
    ),
    Chain(
        ("tx-never-stopped", "tx2-missing-ended"),
        ("status-vs-transaction", "tx-start-on-busy", "meter-without-txid", "meter-gap-between-tx"),
        HOUR,
    ),
    Chain(("connector-faulted",), ("tx-abnormal-stop", "connector-stuck", "remote-start-rejected"), HOUR),
    Chain(
        ("auth-refused", "start-not-accepted"),
        ("tx-abnormal-stop", "remote-start-no-transaction", "tx-very-short"),
        HOUR,
    ),
    Chain(("tx2-missing-started",), ("tx2-seqno-gap",), HOUR),
    # clocks
    Chain(
        ("capture-clock-suspect",), ("clock-skew", "clock-timezone-error", "csms-time-wrong", "timestamp-future"), DAY
    ),
    Chain(("csms-time-wrong",), ("clock-skew", "clock-timezone-error", "timestamp-future", "clock-jump"), DAY),
    Chain(("clock-epoch", "clock-no-zone"), ("clock-timezone-error",), DAY),
    Chain(("clock-jump",), ("meter-outside-window",), DAY),
    Chain(
        ("clock-epoch", "clock-timezone-error", "clock-no-zone", "csms-time-wrong"),
        (
            "clock-skew",
            "clock-jump",
            "timestamp-future",
            "tx2-offline-flag",
            "meter-outside-window",
            "tx-out-of-order",
            "profile-not-yet-active",
            "profile-expired",
            "tx-stale-message",
        ),
        DAY,
    ),
    Chain(
        ("clock-skew",), ("timestamp-future", "tx2-offline-flag", "profile-not-yet-active", "profile-expired"), DAY
    ),
    Chain(("profile-not-yet-active", "profile-expired", "composite-mismatch"), ("profile-limit-exceeded",), 4 * HOUR),
    # metering and charging
    Chain(
        ("meter-begin-zero", "meter-duplicate-measurand", "meter-unit-changes", "meter-unit-suspect"),
        (
            "meter-register-decrease",
            "meter-energy-jump",
            "meter-gap-between-tx",
            "meter-vs-stop-mismatch",
            "meter-stop-below-start",
            "meter-unit-suspect",
            "meter-frozen",
            "tx-zero-energy",
        ),
        HOUR,
    ),
    Chain(("meter-stop-unknown",), ("meter-stop-below-start",)),
    Chain(("meter-frozen",), ("meter-energy-jump",), HOUR),
    Chain(("meter-energy-jump",), ("meter-register-decrease",), HOUR),
    Chain(
        ("meter-register-decrease", "meter-energy-jump"),
        ("meter-stop-below-start", "meter-energy-jump", "meter-gap-between-tx", "meter-vs-stop-mismatch"),
        HOUR,
    ),
    Chain(("config-rejected",), ("meter-missing", "config-accepted-but-ignored"), DAY),
    Chain(
        (
            "profile-stack-too-high",
            "profile-unit-unsupported",
            "profile-tx-without-transaction",
            "profile-first-period",
            "profile-start-schedule",
            "profile-remote-start-invalid",
            "profile-max-on-connector",
            "profile-duplicate-stack",
            "profile-expired",
            "profile-too-many-periods",
        ),
        ("profile-rejected",),
    ),
    # security
    Chain(("authkey-not-applied",), ("http-auth-failed",), HOUR),
    Chain(("cert-signed-rejected", "csr-unanswered"), ("csr-retry-storm",), DAY),
    Chain(("plaintext-public",), ("basic-auth-cleartext", "authkey-cleartext"), DAY),
)


def explained(findings: list[Finding]) -> list[Finding]:
    """The findings with their roots, in the order of a report: the worst root first, then what it explains."""
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        by_rule.setdefault((one.station, one.rule), []).append(one)
    roots: dict[int, Finding] = {}
    for one in findings:
        root = _root_of(one, by_rule, roots)
        if root is not None:
            roots[one.number] = root
    rooted = [replace(one, root=roots[one.number].number) if one.number in roots else one for one in findings]
    return _in_order(rooted)


def _root_of(
    finding: Finding, by_rule: dict[tuple[str, str], list[Finding]], roots: dict[int, Finding]
) -> Finding | None:
    """What explains a finding: the roots of the first chain of which all of its evidence follows, of several the one
    that explains most. Never something that it explains itself, and never an error by a note."""
    for chain in CHAINS:
        if finding.rule not in chain.consequences:
            continue
        candidates = [
            root
            for rule in chain.roots
            for root in by_rule.get((finding.station, rule), ())
            if root is not finding and finding.severity - root.severity <= 1 and not _leads_to(root, finding, roots)
        ]
        verdicts = [_follows(finding, root, chain) for root in candidates]
        if verdicts and finding.evidence and all(map(any, zip(*verdicts, strict=True))):
            return max(zip(map(sum, verdicts), candidates, strict=True), key=lambda one: one[0])[1]
    return None


def _leads_to(finding: Finding, other: Finding, roots: dict[int, Finding]) -> bool:
    """Whether `other` is among the roots of `finding`."""
    step: Finding | None = finding
    while step is not None:
        if step is other:
            return True
        step = roots.get(step.number)
    return False


def _follows(finding: Finding, root: Finding, chain: Chain) -> list[bool]:
    """Which places of a finding follow from a root."""
    if chain.within_ns is None:
        return _in_same_exchanges(finding, root)
    within = chain.within_ns
    if root.count > len(root.evidence) or len(root.evidence) >= MAX_EVIDENCE:  # there were more than it can name
        return [root.first_ns - chain.before_ns <= ref.time_ns <= root.last_ns + within for ref in finding.evidence]
    times = [one.time_ns for one in root.evidence]
    return [any(-chain.before_ns <= ref.time_ns - time <= within for time in times) for ref in finding.evidence]


def _in_same_exchanges(finding: Finding, root: Finding) -> list[bool]:
    """Which places are messages of the root's, or answers to them, or moments of the same upgrade."""
    named = {(one.connection, one.ordinal) for one in root.evidence}
    found: list[bool] = []
    for ref in finding.evidence:
        is_answer = "CALLRESULT" in ref.what or "CALLERROR" in ref.what
        found.append((ref.connection, ref.ordinal) in named or (is_answer and bool(found) and found[-1]))
    return found


def _in_order(findings: list[Finding]) -> list[Finding]:
    by_number = {one.number: one for one in findings}
    groups = list(Group)

    def place(one: Finding) -> tuple[int, int, int, int, int, int]:
        root, depth = one, 0
        while root.root is not None:
            root, depth = by_number[root.root], depth + 1
        worst = max(worst_below.get(root.number, root.severity), root.severity)
        group = RULES[root.rule].group if root.rule in RULES else Group.TCP
        return -worst, groups.index(group), root.first_ns, root.number, depth, one.number

    worst_below: dict[int, int] = {}
    for one in findings:
        root = one
        while root.root is not None:
            root = by_number[root.root]
        worst_below[root.number] = max(worst_below.get(root.number, 0), one.severity)
    return sorted(findings, key=place)
