"""Rules about what a station says of its connectors."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Booted, StatusChanged, answered, asked
from ocppscope.analysis.registry import V16, Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.state.connectors import MAX_CHANGES
from ocppscope.analysis.station import Exchange
from ocppscope.analysis.wording import quoted, span
from ocppscope.ocpp.lifecycle import TRANSITIONS, WHOLE_STATION, may_follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case, Verdict
    from ocppscope.analysis.state.connectors import Change, Connector
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Link, Place, Station

rule = family(Group.STATION)

MAX_RESERVATIONS = 512
"""Connectors of a station whose reservations are followed; of more, the oldest reservation is let go."""
MAX_NAMED = 8
"""Connectors that a sentence names."""
_SECOND = 1_000_000_000


@rule(
    "status-missing-after-boot",
    on=Booted,
    severity=WARNING,
    blame=Blame.STATION,
    title="After its boot the station does not report the status of its connectors",
    advice="Until it does, the CSMS shows what was before the boot. Ask by TriggerMessage for StatusNotification, "
    "and report it to the maker.",
    spec="1.6 §4.2 with errata 3.22; 2.0.1 B01.FR.05",
    limits={"wait": seconds(60, "time for the reports")},
)
def status_missing_after_boot(what: Booted, case: Case) -> Iterator[int]:
    """Within `wait` of an accepted boot no status of a known connector; a note if only connector 0 is missing."""
    station, boot, link = what.station, what.boot, what.boot.link
    if boot.status != "Accepted" or boot.triggered:
        return
    yield case["wait"]
    if link is not station.link or not link.open or link.outstanding[0] or station.registration.boots[-1] is not boot:
        return
    places = station.connectors.places
    told = {place for place, one in places.items() if one.reported_ns >= boot.asked_ns}
    lacking = _expected(station, link.version in V16) - told
    if not told:
        case.find(f"No connector's status came within {span(case['wait'])} of the accepted boot.", what)
    elif lacking:
        severity = NOTE if lacking == {(0, 0)} else WARNING
        text = f"Within {span(case['wait'])} of the accepted boot no status came of {_several(sorted(lacking))}."
        case.find(text, what, severity=severity)


@rule(
    "status-illegal-transition",
    on=StatusChanged,
    versions=V16,
    severity=WARNING,
    blame=Blame.STATION,
    title="A connector changes its status in a way that 1.6 does not know",
    advice="A status may have been left out, or the station's state machine is wrong: report it to the maker. A CSMS "
    "should take the new status anyway.",
    spec="1.6 §4.9 with errata 3.19, 3.20",
    limits={"offline": seconds(60, "time without a connection after which anything may have happened")},
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def status_illegal_transition(what: StatusChanged, case: Case) -> None:
    """Two statuses in a row that the table of 1.6 does not allow; connector 0: other than three of them.

    Not over a boot or a time `offline`; a note where MinimumStatusDuration may have swallowed what was between.
    """
    one = what.connector
    if one.place[0] == 0 and one.status in TRANSITIONS and one.status not in WHOLE_STATION:
        case.find(f"Connector 0, which stands for the station, is reported as {one.status}.", what, key="0")
        return
    before = one.before
    if one.place[0] <= 0 or before is None or may_follow(one.previous, one.status) or one.previous == one.status:
        return
    if _may_have_missed(what, before, case["offline"]):
        return
    held = (what.station.configuration.number("MinimumStatusDuration") or 0) > 0
    case.find(
        f"{_named(one.place)} went from {one.previous} to {one.status}.", what, key=(one.previous, one.status),
        severity=NOTE if held else WARNING, refs=(before.ref, what.ref),
    )  # fmt: skip


@rule(
    "status-transient-available",
    on=StatusChanged,
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="A connector becomes Available for a moment although it was taken out of operation",
    advice="It should go straight to Unavailable: in between the CSMS may offer it to a driver.",
    spec="1.6 §5.2; 2.0.1 G03",
    limits={"within": seconds(5, "time for which it was Available")},
)
def status_transient_available(what: StatusChanged, case: Case) -> None:
    """Unavailable after up to `within` of Available, when ChangeAvailability had been scheduled before that."""
    one = what.connector
    if one.status != "Unavailable" or one.previous != "Available" or one.before is None:
        return
    ordered, took = what.station.connectors.ordered(one.place), one.since_ns - one.previous_since_ns
    busy = any(change.status not in ("Available", "Unavailable") for change in one.changes)
    if ordered is None or ordered.operative or not ordered.scheduled or not busy:
        return
    if took <= case["within"] and ordered.time_ns < one.previous_since_ns:
        text = f"{_named(one.place)} was Available for {span(took)} before it became Unavailable as ordered."
        case.find(text, what, refs=(one.before.ref, what.ref))


@rule(
    "status-flapping",
    on=StatusChanged,
    severity=WARNING,
    blame=Blame.STATION,
    title="A connector changes its status again and again",
    advice="Look for a loose contact of the control pilot, a contactor, load management that switches back and "
    "forth, or a bad link between controller and backend. MinimumStatusDuration hides it.",
    spec="1.6 §9.1.20",
    limits={
        "changes": amount(6, "changes", "changes in a short time", MAX_CHANGES - 1),
        "short": seconds(60, "the short time"),
        "cycles": amount(3, "cycles", "times that a status goes away and comes back", MAX_CHANGES // 2 - 1),
        "long": minutes(5, "time for the cycles"),
    },
)
def status_flapping(what: StatusChanged, case: Case) -> None:
    """`changes` within `short`, or `cycles` from a status to another and back within `long`.

    What the transactions of that time explain is not counted: four changes or two cycles each.
    """
    one = what.connector
    if one.status == one.previous or len(one.changes) < 2 * case["cycles"]:
        return
    since = what.time_ns - case["long"]
    if one.changes[-2 * int(case["cycles"])].time_ns < since:
        return
    changes = _changes(one, since)
    recent = [change for change in changes if change.time_ns >= what.time_ns - case["short"]]
    back = sum(a.status == c.status for a, c in zip(changes, changes[2:], strict=False))
    if len(recent) < case["changes"] and (back + 1) // 2 < case["cycles"]:
        return
    sessions = [at for at in _sessions(what.station, one.place) if at >= since]
    lately = sum(at >= what.time_ns - case["short"] for at in sessions)
    flaps = len(recent) - 4 * lately
    if flaps >= case["changes"] or (back + 1) // 2 - 2 * len(sessions) >= case["cycles"]:
        names = " and ".join(sorted({_status(change.status) for change in changes[-2:]}))
        often, long = (len(recent), case["short"]) if flaps >= case["changes"] else (len(changes), case["long"])
        text = (
            f"{_named(one.place)} changed its status {often} times in {span(long)}, the last times between {names}."
        )
        case.find(text, what, key=one.place)


@rule(
    "status-repeated",
    on=StatusChanged,
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="A connector reports the same status again and again",
    advice="It costs traffic and tells nothing. Look for a setting of the station, or report it to the maker.",
    spec="1.6 §4.9",
    limits={
        "times": amount(5, "times", "reports that are the same", MAX_CHANGES),
        "within": minutes(5, "time in which they come"),
    },
)
def status_repeated(what: StatusChanged, case: Case) -> None:
    """`times` the same status, error and info `within` some time on one connection, and no trigger asked for it."""
    one = what.connector
    if one.status != one.previous or len(one.changes) < case["times"]:
        return
    last, since = one.changes[-1], what.time_ns - case["within"]
    same = list(takewhile(lambda change: _is_same(change, last) and change.time_ns >= since, reversed(one.changes)))
    if len(same) >= case["times"] and not what.station.registration.was_requested("StatusNotification", since):
        text = f"{_named(one.place)} reported {_status(one.status)} {len(same)} times in {span(case['within'])}."
        case.find(text, what, key=one.place)


@rule(
    "connector-faulted",
    on=StatusChanged,
    severity=ERROR,
    blame=Blame.STATION,
    title="A connector is faulted, or reports an error",
    advice="Follow the error code: GroundFailure and OverCurrentFailure point to the installation or the car, "
    "PowerMeterFailure, ReaderFailure and InternalError to the station. What the station says besides stands in the "
    "measured values.",
    spec="1.6 §4.9, §7.6; 2.0.1 G01",
    mute=Mute.NEVER,
)
def connector_faulted(what: StatusChanged, case: Case) -> None:
    """A status Faulted, or an error code other than NoError; a warning of the latter unless a transaction runs."""
    one, before = what.connector, what.connector.before
    is_error = one.error not in ("", "NoError")
    if not is_error and one.status != "Faulted":
        return
    if before is not None and (before.status, before.error) == (one.status, one.error):
        return
    running = what.station.transactions.open_at(one.place[0]) is not None
    bad = one.status == "Faulted" or running
    error = f" with error {_status(one.error)}" if is_error else ""
    during = " during a transaction" if running else ""
    text = f"{_named(one.place)} reports {_status(one.status)}{error}{during}."
    info = {"info": one.info} if one.info else None
    key = one.place, one.status, one.error
    case.find(text, what, key=key, severity=ERROR if bad else WARNING, measured=info)


@rule(
    "connector-stuck",
    on=(StatusChanged, answered("ReserveNow")),
    severity=WARNING,
    blame=Blame.STATION,
    title="A connector stays in a passing status",
    advice="Finishing: is the car still plugged in? Preparing: was the cable plugged in properly, or does the "
    "station wait for an authorization? SuspendedEVSE: which limit holds it back? Reserved: cancel the reservation.",
    spec="1.6 §4.9, §9.1.6",
    limits={
        "finishing": minutes(30, "time in Finishing"),
        "suspended": minutes(30, "time in SuspendedEVSE without a charging profile"),
        "slack": seconds(60, "time beyond ConnectionTimeOut, or the expiry of a reservation"),
        "timeout": seconds(120, "ConnectionTimeOut where it is not known"),
    },
)
def connector_stuck(what: StatusChanged | Exchange, case: Case) -> Verdict:
    """Finishing, SuspendedEVSE without a profile, Preparing after a remote start, or Reserved for too long.

    A note where the driver may be the reason: Finishing, and Preparing that no remote start explains.
    """
    if isinstance(what, Exchange):
        return _reserved(what, case)
    one = what.connector
    wait = _patience(what.station, one.status, case) if one.status != one.previous and one.place[0] > 0 else None
    return None if wait is None else _stays(what, case, wait)


def _stays(what: StatusChanged, case: Case, wait: int) -> Iterator[int]:
    """A connector that has not left a status after that time."""
    one, status, since, station = what.connector, what.connector.status, what.connector.since_ns, what.station
    yield wait
    if one.status != status or one.since_ns != since or station.link is None or not station.link.open:
        return
    limited = any(installed.number in (0, one.place[0]) for installed in station.charging.installed)
    if status == "SuspendedEVSE" and limited:
        return
    remote = any(
        start.accepted and start.asked_ns >= since - case["slack"]
        and start.asked.whole("connectorId") in (None, one.place[0])
        for start in station.transactions.remote_starts
    )  # fmt: skip
    excused = status == "Finishing" or (status == "Preparing" and not remote)
    severity = NOTE if excused else WARNING
    text = f"{_named(one.place)} stays {status} for {span(case.now - since)}."
    case.find(text, what, key=(one.place, status), severity=severity)


def _patience(station: Station, status: str, case: Case) -> int | None:
    """How long a connector may be in a status, ns."""
    match status:
        case "Finishing":
            return int(case["finishing"])
        case "SuspendedEVSE":
            return int(case["suspended"])
        case "Preparing":
            told = station.configuration.number("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut")
            known = told is not None and 0 < told < 86_400
            return (int(told * _SECOND) if told is not None and known else int(case["timeout"])) + int(case["slack"])
    return None


def _reserved(x: Exchange, case: Case) -> Iterator[int]:
    """A connector that is Reserved beyond the end of its reservation."""
    station = x.station
    expiry = x.asked.time_ns("expiryDate") or x.asked.time_ns("expiryDateTime")
    number = (x.asked.whole("evseId") if "evseId" in x.asked else x.asked.whole("connectorId")) or 0
    if not x.accepted or expiry is None or number <= 0:
        return
    memory = case.memory(station)
    memory.pop(number, None)
    memory[number] = x
    if len(memory) > MAX_RESERVATIONS:
        del memory[next(iter(memory))]
        case.let_go()
    yield max(0, expiry - (station.clock.skew_ns or 0) - x.time_ns) + case["slack"]
    if memory.get(number) is not x:
        return
    del memory[number]
    stuck = [one for one in station.connectors.on_evse(number) if one.status == "Reserved"]
    if stuck and station.link is not None and station.link.open:
        text = f"{_named(stuck[0].place)} is still Reserved {span(case['slack'])} after its reservation expired."
        case.find(text, x, key=(stuck[0].place, "Reserved"))


@rule(
    "connector-numbering",
    on=(Booted, StatusChanged, asked("StartTransaction", "RemoteStartTransaction")),
    versions=V16,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="A connector number does not fit",
    advice="1.6 counts connectors from 1 without gaps; 0 is the station itself, and nothing charges there.",
    spec="1.6 §3.8",
    limits={"wait": seconds(60, "time after a boot in which connectors are reported")},
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def connector_numbering(what: Booted | StatusChanged | Exchange, case: Case) -> Verdict:
    """A negative number, one above NumberOfConnectors, a gap in the numbers after a boot, or 0 in a start."""
    if isinstance(what, Exchange):
        if "connectorId" in what.asked and what.asked.whole("connectorId") == 0:
            blame = Blame.STATION if what.side == 0 else Blame.CSMS
            case.find(f"{what.action} names connector 0.", what, key=what.action, blame=blame)
    elif isinstance(what, StatusChanged):
        number, count = what.connector.place[0], what.station.configuration.number("NumberOfConnectors")
        if number < 0 or (count is not None and count > 0 and number > count):
            limit = f"; it has {count:g}" if number > 0 and count is not None else ""
            case.find(f"The station reports the status of connector {_number(number)}{limit}.", what)
    elif what.boot.status == "Accepted":
        return _left_out(what, case)
    return None


def _left_out(what: Booted, case: Case) -> Iterator[int]:
    """A gap in the numbers of the connectors that are reported after a boot."""
    yield case["wait"]
    numbers = sorted(place[0] for place in what.station.connectors.places if place[0] > 0)
    missing = [expected for expected, number in enumerate(numbers, 1) if number != expected]
    if missing and what.station.link is what.link:
        text = f"The station reports {len(numbers)} connectors, the highest is {_number(numbers[-1])}"
        case.find(f"{text}; connector {missing[0]} is missing.", what, key="gap")


@rule(
    "status-vs-transaction",
    on=StatusChanged,
    versions=V16,
    severity=WARNING,
    blame=Blame.STATION,
    title="A connector's status and its transaction contradict each other",
    advice="A StartTransaction or StopTransaction may be lost or wait in a queue: look at the messages about it that "
    "have no answer or were refused. Otherwise the station has lost its state.",
    spec="1.6 §4.9",
    limits={
        "available": seconds(30, "time for which it may be Available with a transaction"),
        "charging": seconds(60, "time for which it may be Charging without one"),
    },
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def status_vs_transaction(what: StatusChanged, case: Case) -> Verdict:
    """Available with an open transaction, or Charging (after Available or Preparing) without one."""
    one = what.connector
    if one.status == one.previous or one.status not in ("Available", "Charging") or one.place[0] <= 0:
        return None
    if one.status == "Charging" and not _seen_to_begin(one, what.exchange.link):
        return None
    return _contradicts(what, case, case["available" if one.status == "Available" else "charging"])


def _contradicts(what: StatusChanged, case: Case, wait: int) -> Iterator[int]:
    """A status that after that time still is not what the transactions say."""
    one, status, since, link = what.connector, what.connector.status, what.connector.since_ns, what.exchange.link
    yield wait
    if one.status != status or one.since_ns != since or what.station.link is not link or not link.open:
        return
    running = what.station.transactions.open_at(one.place[0])
    name, lasting = _named(one.place), span(case.now - since)
    if status == "Charging" and running is None and not _sessions(what.station, one.place, since):
        case.find(f"{name} is Charging for {lasting} without a transaction.", what, key=status)
    elif status == "Available" and running is not None and _began_before(running, since):
        case.find(f"{name} is Available for {lasting}, but a transaction is open there.", what, key=status)


@rule(
    "availability-not-persistent",
    on=StatusChanged,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="A boot puts a connector back into operation",
    advice="ChangeAvailability has to outlast a reboot. Send it again after each boot until that is corrected.",
    spec="1.6 §5.2; 2.0.1 B01.FR.07",
)
def availability_not_persistent(what: StatusChanged, case: Case) -> None:
    """A connector that ChangeAvailability made Unavailable is Available after a boot, and nobody ordered that."""
    one, booted = what.connector, what.station.registration.booted_ns
    if one.status != "Available" or one.previous != "Unavailable" or booted is None or one.before is None:
        return
    ordered = what.station.connectors.ordered(one.place)
    if ordered is not None and not ordered.operative and ordered.time_ns < one.before.time_ns < booted:
        text = f"{_named(one.place)} had been made Unavailable, and is Available after a boot."
        case.find(text, what, key=one.place)


# --- what the rules share -----------------------------------------------------------------------------------------


def _number(number: int) -> str:
    return str(number) if abs(number) < 1_000_000 else "of many digits"


def _named(place: Place) -> str:
    """A connector at the beginning of a sentence."""
    if place[1]:
        return f"Connector {_number(place[1])} of EVSE {_number(place[0])}"
    return f"Connector {_number(place[0])}" if place[0] else "The station"


def _several(places: list[Place]) -> str:
    """Connectors within a sentence."""
    names = [_named(place).replace("Connector", "connector") if place[0] else "connector 0" for place in places]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _status(name: str) -> str:
    """A status or error code as it may stand in a sentence."""
    return name if name.isascii() and name.isalnum() and len(name) <= 40 else quoted(name)


def _expected(station: Station, is_16: bool) -> set[Place]:
    """The connectors that a boot has to report: those that are known, and in 1.6 the station itself."""
    places = {place for place in station.connectors.places if place[0] > 0}
    if not is_16:
        return {place for place in places if place[1] > 0}  # an EVSE may report itself, too
    count = station.configuration.number("NumberOfConnectors") or 0
    named = {(number, 0) for number in range(1, int(count) + 1)} if 0 < count <= 64 else set()
    return places | named | {(0, 0)}


def _may_have_missed(what: StatusChanged, before: Change, offline_ns: int) -> bool:
    """Whether a boot, a time without a connection or missing bytes lie between two reports."""
    station = what.station
    booted = station.registration.booted_ns
    if (booted is not None and booted >= before.time_ns) or station.gap_since(before.time_ns):
        return True
    if before.ref.connection == what.ref.connection:
        return False
    last = station.links[-2] if len(station.links) > 1 else None
    began = what.link.upgraded_ns if what.link is not None else None
    return last is None or last.closed_ns is None or began is None or began - last.closed_ns > offline_ns


def _seen_to_begin(one: Connector, link: Link) -> bool:
    """Whether the charging that a connector reports began under our eyes."""
    before = one.before
    return before is not None and before.status in ("Available", "Preparing") and before.ref.connection == link.number


def _began_before(transaction: Transaction, since: int) -> bool:
    """Whether it runs since before then; one that the CSMS did not accept may be given up without a stop."""
    return transaction.was_accepted and transaction.started_ns is not None and transaction.started_ns < since


def _changes(one: Connector, since: int) -> list[Change]:
    """The reports since then that changed the status, oldest first."""
    return [b for a, b in pairwise(one.changes) if a.status != b.status and b.time_ns >= since]


def _is_same(one: Change, other: Change) -> bool:
    return one[1:3] == other[1:3] and one.info == other.info and one.ref.connection == other.ref.connection


def _sessions(station: Station, place: Place, since: int = 0) -> list[int]:
    """When transactions at a connector or EVSE were started or stopped, each as far as that is since then."""
    here = (one for one in station.transactions.latest if one.place[0] == place[0])
    return [at for one in here if (at := max(one.started_ns or 0, one.stopped_ns or 0)) >= since]
