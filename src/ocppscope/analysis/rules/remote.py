"""Rules about remote starts and stops: what the CSMS asked for, and whether it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import answered
from ocppscope.analysis.registry import Group, family, seconds
from ocppscope.analysis.rules.authorization import connection_timeout, measured_tag
from ocppscope.analysis.state.transactions import id_of, same_tag, tag_of
from ocppscope.analysis.wording import named, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.TRANSACTION)

STARTS = answered("RemoteStartTransaction", "RequestStartTransaction")
STOPS = answered("RemoteStopTransaction", "RequestStopTransaction")

_BUSY = frozenset(
    {"Unavailable", "Faulted", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Occupied", "Reserved"}
)
_IDLE = frozenset({"Available", "Reserved", "Unavailable"})


def _number(x: Exchange) -> int:
    """The connector (1.6) or EVSE (2.x) that a remote start names, 0 if none."""
    return x.asked.whole("evseId" if "evseId" in x.asked else "connectorId") or 0


def _statuses(x: Exchange) -> set[str]:
    """What the connectors that a remote start may mean say of themselves."""
    number, known = _number(x), x.station.connectors
    there = known.on_evse(number) if number else [one for place, one in known.places.items() if place[0]]
    return {one.status for one in there}


@rule(
    "remote-start-no-transaction",
    on=STARTS,
    severity=ERROR,
    blame=Blame.STATION,
    title="A remote start was accepted, but no transaction followed",
    advice="Look at the connector's status after the remote start: no cable, not Preparing, reserved, or a token "
    "that Authorize refused. If a vehicle was waiting, the station lost the request.",
    spec="1.6 §5.11; 2.0.1 F01, F02",
    limits={"wait": seconds(120, "time to plug in and start; ConnectionTimeOut, if that is known and longer")},
)
def remote_start_no_transaction(x: Exchange, case: Case) -> Iterator[int]:
    """A remote start is accepted, and within `wait` no transaction starts there or with its token.

    Only a warning where the connector is free, so that nobody may have plugged in.
    """
    if not x.accepted:
        return
    wait = connection_timeout(x.station, case["wait"])
    yield wait
    if not x.link.open or _was_started(x):
        return
    statuses, idle = sorted(_statuses(x)), _statuses(x) <= _IDLE
    where = f" The connector is {' or '.join(named(one) for one in statuses[:3])}." if statuses else ""
    case.find(
        f"{x.action} was accepted, but no transaction started within {span(wait)}.{where}", x,
        severity=WARNING if statuses and idle else ERROR, blame=Blame.UNKNOWN if statuses and idle else None,
        measured=measured_tag(x),
    )  # fmt: skip


def _was_started(x: Exchange) -> bool:
    """Whether a transaction shows that a remote start did something."""
    known, number, tag, since = x.station.transactions, _number(x), tag_of(x.asked), x.asked_ns
    remote_id = x.asked.whole("remoteStartId")
    if known.get(id_of(x.answered.data.get("transactionId"))) is not None:
        return True
    return any(
        one.last_ns >= since and (
            (remote_id is not None and one.remote_start_id == remote_id) or same_tag(one.tag, tag)
            or (number > 0 and one.place[0] == number and (one.started_ns or 0) >= since)
        )
        for one in known.latest
    )  # fmt: skip


@rule(
    "remote-start-rejected",
    on=STARTS,
    severity=WARNING,
    title="The station rejected a remote start",
    advice="Send it with a connector, for a connector that is Available or Preparing, and if with a profile, with a "
    "TxProfile. If that is all right, ask whether the station knows the token (local list, format).",
    spec="1.6 §5.11; 2.0.1 F01, F02",
)
def remote_start_rejected(x: Exchange, case: Case) -> None:
    """A remote start is answered with Rejected."""
    if x.error or x.status != "Rejected":
        return
    why, blame = _why_rejected(x)
    reason = x.answered.table("statusInfo").text("reasonCode")
    given = f" Its reason: {named(reason)}." if reason else ""
    text = f"The station rejected {x.action}{': ' if why else ''}{why}.{given}"
    case.find(text, x, blame=blame, key=why[:64], measured=measured_tag(x))


def _why_rejected(x: Exchange) -> tuple[str, Blame]:
    """What in the request or at the station explains it."""
    profile, number, station = x.asked.table("chargingProfile"), _number(x), x.station
    purpose = profile.text("chargingProfilePurpose")
    if purpose and purpose != "TxProfile":
        return f"its charging profile is a {named(purpose)}, and only a TxProfile is allowed there", Blame.CSMS
    if "transactionId" in profile:
        return "its charging profile names a transaction, which has not begun yet", Blame.CSMS
    if station.registration.status in ("Pending", "Rejected"):
        return f"the CSMS has answered its BootNotification with {station.registration.status}", Blame.CSMS
    numbers = {place[0] for place in station.connectors.places if place[0] > 0}
    if not number and len(numbers) > 1:
        return f"it names none of the station's {len(numbers)} connectors", Blame.CSMS
    if number and numbers and number not in numbers:
        return f"it names connector {id_of(number)}, of which nothing has been heard", Blame.CSMS
    busy = sorted(_statuses(x) & _BUSY)
    if busy and _statuses(x) <= _BUSY:
        return f"the connector is {' or '.join(busy)}", Blame.CSMS
    return "", Blame.UNKNOWN


@rule(
    "remote-stop-no-stop",
    on=STOPS,
    severity=ERROR,
    blame=Blame.STATION,
    title="A remote stop was accepted, but the transaction was not stopped",
    advice="Look whether the stop was sent and answered with an error, or was queued behind a message that is "
    "refused. If not, the station ignores the command: reset it, and report it to the maker.",
    spec="1.6 §5.12; 2.0.1 F03",
    limits={"wait": seconds(60, "time that the station has to stop")},
)
def remote_stop_no_stop(x: Exchange, case: Case) -> Iterator[int]:
    """A remote stop is accepted, and within `wait` no StopTransaction or Ended comes that the CSMS takes."""
    if not x.accepted:
        return
    yield case["wait"]
    transaction = x.station.transactions.get(id_of(x.asked.data.get("transactionId")))
    wait = span(case["wait"])
    if transaction is None or transaction.is_open:
        if x.link.open:
            case.find(f"{x.action} was accepted, but {wait} later nothing has been stopped.", x)
    elif transaction.stop is not None and transaction.stop.error and (transaction.stopped_ns or 0) >= x.asked_ns:
        stop = transaction.stop
        case.find(
            f"{x.action} was accepted and the stop was sent, but the CSMS answered it with {named(stop.error)}.", x,
            blame=Blame.STATION if stop.problems else Blame.CSMS, refs=(*x.refs, *stop.refs),
        )  # fmt: skip


@rule(
    "remote-stop-rejected",
    on=STOPS,
    severity=WARNING,
    title="The station rejected a remote stop",
    advice="Compare its transactionId with the one that the station uses. If they differ, the CSMS mixes them up, or "
    "the station lost its id in a reboot. If they are equal, look at the station.",
    spec="1.6 §5.12; 2.0.1 F03",
    limits={"race": seconds(60, "how long after the stop a rejection is only noted")},
)
def remote_stop_rejected(x: Exchange, case: Case) -> None:
    """A remote stop is answered with Rejected. A note if its transaction had been stopped just before."""
    if x.error or x.status != "Rejected":
        return
    id_, known = id_of(x.asked.data.get("transactionId")), x.station.transactions
    asked, severity, blame, key = known.get(id_), WARNING, Blame.CSMS, "over"
    if asked is not None and asked.stopped_ns is not None:
        since = x.asked_ns - asked.stopped_ns
        severity = NOTE if since <= case["race"] else WARNING
        why = f"it was stopped {span(since)} before" if since > 0 else "it was being stopped"
    elif asked is not None:
        why, blame, key = "though it is open", Blame.STATION, "open"
    else:
        others = [named(one.id) for one in known.all_open() if one.id and one.was_accepted]
        why = f"it is not known, open is {' and '.join(others[-3:])}" if others else "it was not seen in this capture"
        blame, key = (Blame.CSMS, "other") if others else (Blame.UNKNOWN, "unknown")
    case.find(f"The station rejected {x.action} for {named(id_)}: {why}.", x, severity=severity, blame=blame, key=key)
