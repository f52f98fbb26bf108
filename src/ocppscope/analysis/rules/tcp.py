"""Rules about TCP: attempts that came to nothing, and what segments and windows say of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Attempted, Closed, LeftOpen
from ocppscope.analysis.registry import Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.wording import span, subject, who
from ocppscope.model import AttemptOutcome, Side

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case
    from ocppscope.model import ConnectAttempt, Endpoint, TransportSide

rule = family(Group.TCP)

_MAX_SERVERS = 32
"""Servers of a station whose failed attempts are counted each; those of the others are counted together."""


def _server(attempt: ConnectAttempt) -> dict[str, str]:
    return {"server": str(attempt.flow.server), "from": attempt.flow.client.address}


@rule(
    "tcp-connect-refused",
    on=Attempted,
    severity=ERROR,
    blame=Blame.CSMS,
    title="The server refuses TCP connections",
    advice="Nothing listens on that address and port, or a firewall rejects it. Check the CSMS URL's port, "
    "whether the "
    "service runs, and the firewall's rules.",
    limits={
        "often": amount(3, "attempts", "refusals that are said to go on"),
        "within": minutes(10, "time for these"),
    },
    mute=Mute.NEVER,
)
def tcp_connect_refused(what: Attempted, case: Case) -> None:
    """A SYN is answered by RST or by ICMP "unreachable"; it is said when there are `often` of them `within` a
    time."""
    attempt = what.attempt
    if attempt.outcome is not AttemptOutcome.REFUSED:
        return
    span_ns = attempt.last_ns - attempt.first_ns
    times = f"{attempt.attempts} times in {span(span_ns)}" if attempt.attempts > 1 else "once"
    insists = attempt.attempts >= case["often"] and span_ns <= case["within"] * attempt.attempts / case["often"]
    more = " and the station goes on trying" if insists else ""
    case.find(
        f"The server refused the connection {times}{more}.", what, key=attempt.flow.server, measured=_server(attempt)
    )


@rule(
    "tcp-connect-timeout",
    on=Attempted,
    severity=ERROR,
    blame=Blame.NETWORK,
    title="Nothing answers when the station connects",
    advice="A packet filter drops the SYN, the address is wrong, or the CSMS is down. Check routing, APN or "
    "VPN, and what "
    "the host name resolves to.",
    limits={"syns": amount(3, "SYNs", "unanswered SYNs to one server")},
    mute=Mute.NEVER,
)
def tcp_connect_timeout(what: Attempted, case: Case) -> None:
    """At least `syns` SYN segments to one server, of one attempt or of several, have no answer."""
    attempt, memory = what.attempt, case.memory(what.station)
    if attempt.outcome is not AttemptOutcome.UNANSWERED:
        return
    server: Endpoint | None = attempt.flow.server
    if server not in memory and len(memory) >= _MAX_SERVERS:
        server = None
    memory[server] = memory.get(server, 0) + attempt.syns
    if memory[server] >= case["syns"]:
        where = "the server" if server is not None else f"servers other than the first {_MAX_SERVERS}"
        case.find(f"{memory[server]} SYNs to {where} had no answer.", what, key=server, measured=_server(attempt))


@rule(
    "tcp-connect-no-data",
    on=Attempted,
    severity=WARNING,
    priority=2,
    title="Connections are opened and closed without a byte",
    advice="A port probe or health check does this (then ignore it). From a station it means that it "
    "crashes or gives up "
    "before its request, for example when it waits for a TLS answer on a plain port.",
    limits={"lifetime": seconds(60, "lifetime up to which it counts")},
    mute=Mute.NEVER,
)
def tcp_connect_no_data(what: Attempted, case: Case) -> None:
    """A connection is opened and ends within `lifetime` although its opener said nothing; of an address from which a
    station is known. Others, like the health checks of a load balancer, are left out."""
    attempt = what.attempt
    if attempt.outcome is not AttemptOutcome.NO_DATA or what.station.identity == attempt.flow.client.address:
        return
    if attempt.last_ns - attempt.first_ns <= case["lifetime"] * attempt.attempts:
        by = who(attempt.closed_by) if attempt.closed_by is not None else "nobody visible"
        text = f"{attempt.attempts} connections carried no byte of the station; {by} ended them."
        case.find(
            text if attempt.attempts > 1 else f"A connection carried no byte of the station; {by} ended it.",
            what,
            key=attempt.flow.server,
            measured=_server(attempt),
        )


def _by_side(what: Closed | LeftOpen) -> list[tuple[Side, TransportSide]]:
    """What each side sent, where the capture knows."""
    assert what.link is not None
    transport = what.link.connection.transport
    return [] if transport is None else list(zip(Side, transport.sides, strict=True))


@rule(
    "tcp-retransmissions-high",
    on=(Closed, LeftOpen),
    severity=WARNING,
    blame=Blame.NETWORK,
    title="Many TCP segments are sent again",
    advice="The radio or the link loses packets. Look at signal strength (RSSI), MTU, VPN and the load of the link.",
    limits={
        "warn": amount(2, "%", "share of data segments sent again"),
        "error": amount(5, "%", "share that is an error"),
        "least": amount(200, "segments", "data segments from which a share is told"),
    },
)
def tcp_retransmissions_high(what: Closed | LeftOpen, case: Case) -> None:
    """More than `warn` (or `error`) of at least `least` data segments of one side were sent again."""
    for side, sent in _by_side(what):
        share = 100 * sent.retransmitted / sent.segments if sent.segments >= case["least"] else 0.0
        if share > case["warn"]:
            segments = f"{sent.retransmitted:,} of {sent.segments:,} data segments"
            text = f"{segments} of {who(side)} ({share:.1f} %) were sent again."
            case.find(text, what, key=side, severity=ERROR if share > case["error"] else WARNING)


@rule(
    "tcp-rtt-high",
    on=(Closed, LeftOpen),
    severity=NOTE,
    priority=2,
    blame=Blame.NETWORK,
    title="The network is slow",
    advice="Typical of mobile links. Give the message timeout more than 30 s, and do not expect quick answers.",
    spec="OCPP-J 1.6 §4.1.1",
    limits={
        "note": seconds(1, "round trip that is noted (95 % are below)"),
        "warn": seconds(3, "round trip that is warned of"),
        "least": amount(20, "samples", "samples from which it is told"),
    },
)
def tcp_rtt_high(what: Closed | LeftOpen, case: Case) -> None:
    """The 95th percentile of the time until data is acknowledged is over `note`, or `warn`."""
    for side, sent in _by_side(what):
        trips = sent.round_trips
        if trips is not None and trips.count >= case["least"] and trips.p95_ns > case["note"]:
            often = f"95 % of {trips.count:,} times"
            text = f"Data of {who(side)} was acknowledged after up to {span(trips.p95_ns)} ({often})."
            case.find(text, what, key=side, severity=WARNING if trips.p95_ns > case["warn"] else NOTE)


@rule(
    "tcp-zero-window",
    on=(Closed, LeftOpen),
    severity=WARNING,
    priority=2,
    title="A receiver stops taking data",
    advice="Its application hangs or its buffer is full: look at that side's load and logs at the time.",
    limits={"least": seconds(5, "time without room")},
)
def tcp_zero_window(what: Closed | LeftOpen, case: Case) -> None:
    """A side says for more than `least` that its receive window is zero."""
    for side, sent in _by_side(what):
        if sent.zero_window_ns > case["least"]:
            blame = Blame.STATION if side is Side.STATION else Blame.CSMS
            text = f"{subject(side)} could take no data for {span(sent.zero_window_ns)}."
            case.find(text, what, key=side, blame=blame)
