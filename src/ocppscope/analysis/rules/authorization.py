"""Rules about who may charge: tokens, and the starts that need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import SampledToCompare, TransactionStarted, answered, asked, judged
from ocppscope.analysis.registry import V16, Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.state.transactions import MAX_ID, same_tag, tag_of
from ocppscope.analysis.wording import figure, named, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.metering import Sample
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Station

rule = family(Group.TRANSACTION)

MAX_TAGS = 64
"""Tokens of a station that are remembered, the latest."""
LONGEST_TIMEOUT_NS = 86_400_000_000_000
"""A ConnectionTimeOut beyond a day is not waited for."""

_WHY = {
    "Blocked": "the token is blocked",
    "Expired": "the token has expired",
    "Invalid": "the token is not known",
    "ConcurrentTx": "the token is in another transaction already",
    "NoCredit": "the token has no credit",
    "NotAllowedTypeEVSE": "the token may not charge at this type of EVSE",
    "NotAtThisLocation": "the token may not charge at this location",
    "NotAtThisTime": "the token may not charge at this time",
    "Unknown": "the token is not known",
}
UNKNOWN_STATUS = "which is no status that OCPP knows"


def verdict(x: Exchange) -> str:
    """What an answer says about a token, "" if it says nothing."""
    info = x.answered.table("idTokenInfo" if "idTokenInfo" in x.answered.data else "idTagInfo")
    return "" if x.error else info.text("status")[:MAX_ID]


def measured_tag(x: Exchange) -> dict[str, str]:
    """The token that a message names, kept out of sentences."""
    return tag_measured(tag_of(x.asked))


def tag_measured(tag: str) -> dict[str, str]:
    """A token, if there is one."""
    return {"tag": tag} if tag else {}


def connection_timeout(station: Station, default_ns: int) -> int:
    """How long a driver has to plug in, ns: as configured, but at least `default_ns`."""
    known = station.configuration.number("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut")
    if known is None or not 0 < known * 1e9 <= LONGEST_TIMEOUT_NS:
        return default_ns
    return max(default_ns, int(known * 1e9))


@rule(
    "auth-refused",
    on=(answered("Authorize"), judged("TransactionEvent")),
    severity=WARNING,
    title="A token was not accepted",
    advice="Look the token up in the CSMS: blocked, expired, unknown, or spelt otherwise (case, byte order, leading "
    "zeros). If it should be valid, ask why the CSMS says this status.",
    spec="1.6 §7.2; 2.0.1 C01",
)
def auth_refused(x: Exchange, case: Case) -> None:
    """The answer to Authorize or TransactionEvent gives a token another status than Accepted."""
    status = verdict(x)
    if status and status != "Accepted":
        text = f"The CSMS answered {x.action} with {named(status)}: {_WHY.get(status, UNKNOWN_STATUS)}."
        case.find(text, x, key=(x.action, status), measured=measured_tag(x))


@rule(
    "auth-concurrent-stuck",
    on=(answered("Authorize", "StartTransaction"), judged("TransactionEvent")),
    severity=ERROR,
    blame=Blame.CSMS,
    title="A token is said to be charging, but it is not",
    advice="Close the old transaction of this token in the CSMS, and look why its stop was lost or not taken.",
    spec="1.6 §7.2",
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def auth_concurrent_stuck(x: Exchange, case: Case) -> None:
    """ConcurrentTx, while the token's transactions at this station are over or on a connector that is Available.

    Only a warning where none was seen at all: the token may be charging elsewhere.
    """
    if verdict(x) != "ConcurrentTx" or not x.station.registration.boots:
        return
    tag, known = tag_of(x.asked), x.station.transactions
    own = known.started_by(x) or known.get(x.asked.table("transactionInfo").text("transactionId"))
    mine = [one for one in known.latest if one is not own and same_tag(one.tag, tag)]
    if any(one.is_open and not _left_behind(one, x.station) for one in mine) or not _all_known(x.station):
        return
    if mine:
        stuck = next((one for one in mine if one.is_open), None)
        why = f"its transaction on {place_of(stuck)} goes on, though nothing is charging there" if stuck else (
            "its transactions at this station have all been stopped"
        )  # fmt: skip
        case.find(f"The CSMS answered {x.action} with ConcurrentTx, but {why}.", x, measured=measured_tag(x))
    else:
        case.find(
            f"The CSMS answered {x.action} with ConcurrentTx, but no transaction of this token is open at this "
            "station. It may be open at another one.", x, severity=WARNING, measured=measured_tag(x),
        )  # fmt: skip


def _left_behind(transaction: Transaction, station: Station) -> bool:
    """Whether an open transaction stands where nobody charges any more."""
    there = station.connectors.on_evse(transaction.place[0])
    return transaction.superseded or (bool(there) and all(one.status == "Available" for one in there))


def _all_known(station: Station) -> bool:
    """Whether no open transaction began before the capture: its token would not be known."""
    return all(one.start is not None for one in station.transactions.all_open())


def place_of(transaction: Transaction) -> str:
    """Where it is, for a sentence: "connector 1", "EVSE 2"."""
    word = "connector" if transaction.start is None or transaction.start.action == "StartTransaction" else "EVSE"
    return f"{word} {transaction.place[0]}"


@rule(
    "authorize-no-start",
    on=answered("Authorize"),
    severity=NOTE,
    priority=3,
    title="A token was accepted, but no charging followed",
    advice="The driver may not have plugged in, or at another connector. If it happens again and again, look for a "
    "station that loses the authorization.",
    spec="1.6 §9.1.6",
    limits={"wait": seconds(120, "time to plug in; ConnectionTimeOut, if that is known and longer")},
)
def authorize_no_start(x: Exchange, case: Case) -> Iterator[int]:
    """Authorize is accepted, and within `wait` no transaction of the token starts or stops."""
    if verdict(x) != "Accepted":
        return
    tag, known = tag_of(x.asked), x.station.transactions
    if any(same_tag(one.tag, tag) or one.start is None for one in known.all_open()):
        return
    wait = connection_timeout(x.station, case["wait"])
    yield wait
    used = any(same_tag(one.tag, tag) and one.last_ns >= x.asked_ns for one in known.latest)
    if x.link.open and not used:
        case.find(f"A token was accepted, but it started nothing within {span(wait)}.", x, measured=measured_tag(x))


@rule(
    "start-not-accepted",
    on=(answered("StartTransaction"), SampledToCompare),
    severity=WARNING,
    versions=V16,
    title="The CSMS did not accept a transaction that had started",
    advice="The token was refused only after charging began. Check why it was taken before (local list, cache, "
    "offline), and set StopTransactionOnInvalidId if such a transaction shall be stopped.",
    spec="1.6 §4.8, errata 3.17",
    limits={
        "power": amount(100, "W", "power beyond which it still charges"),
        "wait": seconds(60, "time that the station has to stop charging"),
    },
)
def start_not_accepted(what: Exchange | SampledToCompare, case: Case) -> None:
    """The answer to StartTransaction says another status than Accepted. An error if > `power` flows after `wait`."""
    if isinstance(what, SampledToCompare):
        _still_charging(what, case)
        return
    status = verdict(what)
    if status and status != "Accepted":
        why = _WHY.get(status, UNKNOWN_STATUS)
        text = f"The CSMS answered StartTransaction with {named(status)}: {why}."
        case.find(text, what, key=status, measured=measured_tag(what))


def _still_charging(what: SampledToCompare, case: Case) -> None:
    transaction = what.transaction
    if transaction is None or transaction.was_accepted or not transaction.is_open or transaction.start is None:
        return
    start = transaction.start
    power, since = power_of(what.samples), what.time_ns - start.time_ns
    if power > case["power"] and since > case["wait"]:
        status = transaction.verdict
        case.find(
            f"The CSMS answered StartTransaction with {named(status)}, but {span(since)} later the station still "
            f"charges with {figure(power, 'W')}.", what, severity=ERROR, blame=Blame.STATION, key=status,
            refs=(*start.refs, *what.refs), measured=measured_tag(start),
        )  # fmt: skip


def power_of(samples: list[Sample]) -> float:
    """The power that a message reports, W: the whole, or the sum of its phases; of several moments the last."""
    whole, phases = 0.0, {}
    for one in samples:
        if one.measurand == "Power.Active.Import" and one.location == "Outlet" and one.value is not None:
            if one.phase:
                phases[one.phase] = one.value
            else:
                whole = one.value
    return whole or sum(phases.values())


@rule(
    "tx-without-authorization",
    on=(asked("Authorize"), TransactionStarted),
    severity=NOTE,
    priority=2,
    versions=V16,
    title="A transaction started without asking for authorization",
    advice="Fine where the station has a local list, a cache, or charges for free. Otherwise look at its "
    "authorization settings (LocalPreAuthorize, AuthorizationCacheEnabled, autostart).",
    spec="1.6 §3.5",
    limits={"before": minutes(10, "how long before the start an Authorize or remote start counts")},
    mute=Mute.GAP | Mute.MIDSTREAM | Mute.REPLAY,
)
def tx_without_authorization(what: Exchange | TransactionStarted, case: Case) -> None:
    """StartTransaction comes, and in the time `before` it no Authorize or remote start named its token."""
    memory = case.memory(what.station)
    authorized: dict[str, int] = memory.setdefault("tags", {})
    if not isinstance(what, TransactionStarted):
        forgotten_ns = remember(authorized, tag_of(what.asked).casefold(), what.asked_ns)
        memory["forgotten_ns"] = max(forgotten_ns, memory.get("forgotten_ns", 0))
        return
    x, known = what.exchange, what.station.transactions
    tag, since = tag_of(x.asked), x.asked_ns - case["before"]
    remote = any(same_tag(tag_of(one.asked), tag) and one.asked_ns >= since for one in known.remote_starts)
    if tag and not remote and authorized.get(tag.casefold(), 0) < since:
        if memory.get("forgotten_ns", 0) >= since:
            case.let_go()
            return
        case.find(
            f"A transaction started on connector {what.transaction.place[0]} without an Authorize or remote start "
            f"for its token in the {span(case['before'])} before.", x, measured=measured_tag(x),
        )  # fmt: skip


def remember(memory: dict[str, int], key: str, value: int) -> int:
    """Keeps the latest values of a bounded number of keys; gives the one that had to go, 0 if none had."""
    memory.pop(key, None)
    memory[key] = value
    return memory.pop(next(iter(memory))) if len(memory) > MAX_TAGS else 0


@rule(
    "tx-start-on-busy",
    on=TransactionStarted,
    severity=WARNING,
    priority=2,
    title="A transaction started where one is open, or with a token that is in use",
    advice="On the same connector, the stop of the old transaction is missing. For a token that is in use elsewhere, "
    "the CSMS should answer ConcurrentTx, unless one token may charge several times.",
    spec="1.6 §7.2; 2.0.1 E01.FR.14",
)
def tx_start_on_busy(what: TransactionStarted, case: Case) -> None:
    """A transaction starts where another is open, or its token has one open elsewhere and the CSMS accepts it."""
    new, known = what.transaction, what.station.transactions
    number = new.place[0]
    here = (one for one in reversed(known.latest) if one.place[0] == number and _is_other(one, new))
    before = next(here, None) if number else None
    if before is not None and before.is_open and before.was_accepted and not new.superseded:
        case.find(
            f"A transaction started on {place_of(new)} while {named(before.id)} was open there.", what,
            blame=Blame.STATION, key=new.place[0], measured=measured_tag(what.exchange),
        )  # fmt: skip
    elif new.tag and what.exchange.accepted and not _meant(new, what.station):
        same = (one for one in known.all_open() if same_tag(one.tag, new.tag) and _is_other(one, new))
        other = next((one for one in same if one.was_accepted), None)
        if other is not None:
            case.find(
                f"The CSMS accepted a transaction on {place_of(new)} though its token has {named(other.id)} open "
                f"on {place_of(other)}.", what, blame=Blame.CSMS, measured=measured_tag(what.exchange),
            )  # fmt: skip


def _is_other(one: Transaction, new: Transaction) -> bool:
    return one is not new and one.start is not None and bool(one.id)


def _meant(transaction: Transaction, station: Station) -> bool:
    """Whether the CSMS itself asked for a transaction of this token."""
    return any(same_tag(tag_of(one.asked), transaction.tag) for one in station.transactions.remote_starts)
