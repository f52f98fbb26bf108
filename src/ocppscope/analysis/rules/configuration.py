"""Rules about settings, reports of settings, features, the local list and DataTransfer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import NOTE, WARNING, Blame
from ocppscope.analysis.happenings import SampledToCompare, answered, asked
from ocppscope.analysis.registry import SECOND, V2X, V16, Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.state.configuration import variable
from ocppscope.analysis.wording import quoted, span, subject
from ocppscope.ocpp.lifecycle import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.STATION)

MAX_KEYS = 256
"""Settings of a station whose changes are counted, the latest; and reports, and places of samples."""
REFUSED = frozenset({"Rejected", "NotSupported", "UnknownVariable", "UnknownComponent", "NotSupportedAttributeType"})
UNKNOWN_TO_PEER = frozenset({"UnknownVendor", "UnknownVendorId", "UnknownMessageId"})
REPORTS = ("NotifyReport", "NotifyMonitoringReport", "NotifyEvent")
SETTINGS = ("GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables")
_METERING = (
    "MeterValue", "SampledData", "AlignedData", "ClockAligned", "TxUpdated", "TxEnded", "TxStarted",
)  # fmt: skip


@rule(
    "config-rejected",
    on=answered("ChangeConfiguration", "SetVariables"),
    severity=NOTE,
    title="The station refuses a setting",
    advice="Read the setting to see whether the station has it and which values it takes. Of a list of measurands "
    "one that is not supported spoils the whole list: leave out Temperature, Power.Offered and SoC first.",
    spec="1.6 §5.3, §3.16.4; 2.0.1 B05",
    mute=Mute.NEVER,
)
def config_rejected(x: Exchange, case: Case) -> None:
    """A change is refused; a warning if metering depends on it."""
    for key, status in _outcomes(x):
        if status in REFUSED:
            metering = any(part in key for part in _METERING)
            severity = WARNING if metering else NOTE
            case.find(f"The station answered {status} to a change of {_key(key)}.", x, key=key, severity=severity)


@rule(
    "config-accepted-but-ignored",
    on=SampledToCompare,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The station accepted measurands that it does not send",
    advice="It should have refused the setting. Ask only for measurands that it sends, or report it to the maker.",
    spec="1.6 §3.16.4",
    limits={"samples": amount(3, "samples", "rounds of samples in a row that lack it")},
    mute=Mute.GAP | Mute.REPLAY,
)
def config_accepted_but_ignored(what: SampledToCompare, case: Case) -> None:
    """A measurand of a list that was set is missing in `samples` periodic rounds of samples of a transaction."""
    setting = what.station.configuration.measurands
    if setting is None or what.transaction is None:
        return
    if what.exchange.action == "StopTransaction" or what.exchange.asked.text("eventType") in ("Started", "Ended"):
        return  # other settings rule these
    memory = case.memory(what.station)
    if memory.get("setting") is not setting:
        memory.clear()
        memory.update(setting=setting, wanted=_measurands(setting.value))
    got = {one.measurand for one in what.samples if one.context == "Sample.Periodic"}
    seen, rounds, missing = memory.get(what.place, (set(), 0, memory["wanted"]))
    if got & seen:  # a new round begins
        missing, rounds, seen = missing - seen, rounds + 1, set()
        if missing and rounds >= case["samples"]:
            names = " and ".join(sorted(missing))
            case.find(f"{names} was set, but is missing in {rounds} rounds of samples.", what, key=names)
            rounds, missing = 0, memory["wanted"]
        elif not missing:
            rounds, missing = 0, memory["wanted"]
    if what.place in memory or len(memory) < MAX_KEYS:
        memory[what.place] = seen | got, rounds, missing
    else:
        case.let_go()


@rule(
    "config-reboot-pending",
    on=answered("ChangeConfiguration", "SetVariables"),
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="A setting waits for a reboot that does not come",
    advice="Send a Reset: until then the old value is in force.",
    spec="1.6 §5.3; 2.0.1 B05",
    limits={"wait": minutes(10, "time for the reboot")},
)
def config_reboot_pending(x: Exchange, case: Case) -> Iterator[int]:
    """RebootRequired, and no BootNotification within `wait`."""
    keys = [key for key, status in _outcomes(x) if status == "RebootRequired"]
    if not keys:
        return
    yield case["wait"]
    booted = x.station.registration.booted_ns
    if (booted is None or booted < x.time_ns) and x.station.link is not None and x.station.link.open:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        case.find(f"{_key(keys[0])}{more} needs a reboot; none came within {span(case['wait'])}.", x)


@rule(
    "config-storm",
    on=asked(*SETTINGS),
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="The CSMS reads or sets the configuration all the time",
    advice="Let the CSMS ask once and remember the answer. Some stations write each change to flash, some reboot.",
    limits={
        "calls": amount(30, "calls", "messages that read or set, in a minute"),
        "changes": amount(5, "changes", "changes of one setting in ten minutes"),
    },
)
def config_storm(x: Exchange, case: Case) -> None:
    """More than `calls` messages that read or set within 60 s, or `changes` changes of one setting within 10 min."""
    memory = case.memory(x.station)
    if _too_often(case, memory, "", x.asked_ns, case["calls"], 60):
        count = f"more than {case['calls']:g} messages about the configuration"
        case.find(f"The CSMS sent {count} in 60 s.", x, key="calls")
    if x.action not in ("ChangeConfiguration", "SetVariables"):
        return
    data = x.asked.tables("setVariableData")
    for name in [variable(one) for one in data] if data else [x.asked.text("key")]:
        key = name[:100]
        if key and _too_often(case, memory, key, x.asked_ns, case["changes"], 600):
            case.find(f"The CSMS changed {_key(key)} more than {case['changes']:g} times in 10 min.", x, key=key)


@rule(
    "config-ping-vs-retry",
    on=answered(*SETTINGS),
    severity=NOTE,
    priority=3,
    blame=Blame.CSMS,
    title="The station notices a dead connection too late",
    advice="Set WebSocketPingInterval to less than TransactionMessageAttempts times TransactionMessageRetryInterval.",
    spec="1.6-J errata 3.11; 2.0.1 Part 4 §8.4",
    limits={"heartbeat": seconds(300, "heartbeat interval beyond which pings are needed")},
)
def config_ping_vs_retry(x: Exchange, case: Case) -> None:
    """Pings rarer than the attempts to send a message last; or none, and heartbeats rarer than `heartbeat`."""
    known = x.station.configuration
    ping = known.number("WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval")
    attempts = known.number("TransactionMessageAttempts", "OCPPCommCtrlr.MessageAttempts")
    retry = known.number("TransactionMessageRetryInterval", "OCPPCommCtrlr.MessageAttemptInterval")
    beat = known.number("HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval")
    memory = case.memory(x.station)
    if memory.get("values") == (ping, attempts, retry, beat):
        return
    memory["values"] = ping, attempts, retry, beat
    if ping == 0 and beat is not None and beat * SECOND > case["heartbeat"]:
        case.find(f"Pings are off, and the heartbeat interval is {beat:.10g} s.", x)
    elif ping and attempts and retry and ping >= attempts * retry > 0:
        case.find(f"Pings come each {ping:.10g} s, but a message is given up after {attempts * retry:.10g} s.", x)


@rule(
    "report-incomplete",
    on=asked(*REPORTS),
    versions=V2X,
    severity=WARNING,
    blame=Blame.STATION,
    title="A report has a hole, or breaks off",
    advice="Ask for the report again, for fewer components at a time; the station may run out of memory, or its "
    "parts may be refused. Look at the answers to its parts.",
    spec="2.0.1 B07, B08, N02",
    limits={"wait": seconds(60, "time for the next part")},
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def report_incomplete(x: Exchange, case: Case) -> Iterator[int]:
    """A seqNo is left out; or tbc is true and no other part follows within `wait`."""
    seq, memory = x.asked.whole("seqNo"), case.memory(x.station)
    report = x.action, x.asked.whole("requestId")
    last = memory.pop(report, None)
    if seq is None:
        return
    if len(memory) >= MAX_KEYS:
        case.let_go()
        return
    due = last.asked.whole("seqNo") + 1 if last is not None else seq if x.action == "NotifyEvent" else 0
    if seq > due and not x.station.gap_since((last or x).asked_ns) and (last is None or last.link is x.link):
        case.find(f"{x.action} came with seqNo {_whole(seq)} where {_whole(due)} was due.", x, key=x.action)
    if x.asked.flag("tbc") is not True:
        return
    memory[report] = x
    yield case["wait"]
    if memory.get(report) is not x or (x.done_ns is None and x.link.open):
        return  # it went on, or waits for an answer
    del memory[report]
    if x.link.open and not x.error:
        more = f"says that more follows; nothing did for {span(case['wait'])}"
        case.find(f"{x.action} with seqNo {_whole(seq)} {more}.", x, key=x.action)


@rule(
    "feature-profile-mismatch",
    on=answered(*sorted(PROFILES)),
    versions=V16,
    severity=NOTE,
    priority=2,
    title="What the CSMS asks for and what the station says that it can do differ",
    advice="Let the CSMS respect SupportedFeatureProfiles. If the station claims a profile and does not have it, "
    "report it to the maker.",
    spec="1.6 §3.3, §9.1.29",
)
def feature_profile_mismatch(x: Exchange, case: Case) -> None:
    """An action of a profile that the station does not name; a warning if it names that and lacks the action."""
    profiles = x.station.configuration.text("SupportedFeatureProfiles").replace(" ", "").split(",")
    profile = PROFILES[x.action]
    if profiles == [""]:
        return
    if profile not in profiles:
        text = f"The CSMS sent {x.action}, but the station does not name {profile} among its feature profiles."
        case.find(text, x, key=x.action, blame=Blame.CSMS)
    elif x.error in ("NotImplemented", "NotSupported"):
        text = (
            f"The station answered {x.error} to {x.action}, although it names {profile} among its feature profiles."
        )
        case.find(text, x, key=x.action, severity=WARNING, blame=Blame.STATION)


@rule(
    "local-list-mismatch",
    on=answered("SendLocalList", "GetLocalListVersion"),
    severity=NOTE,
    priority=2,
    title="The local authorization list of the station is not what the CSMS sent",
    advice="Send the whole list again (updateType Full).",
    spec="1.6 §5.15; 2.0.1 D01, D02",
    limits={"wait": minutes(5, "time for a full list after a failure")},
)
def local_list_mismatch(x: Exchange, case: Case) -> Iterator[int]:
    """SendLocalList fails and no full list follows within `wait`; or the station has an older version than it took.

    A warning if it has none after a boot.
    """
    memory = case.memory(x.station)
    if x.action == "GetLocalListVersion":
        version = x.answered.whole("listVersion" if "listVersion" in x.answered else "versionNumber")
        taken, since = memory.get("taken", (None, 0))
        if version is not None and taken is not None and 0 <= version < taken:
            lost = version == 0 and (x.station.registration.booted_ns or 0) > since
            text = f"The station has version {_whole(version)} of the local list{' after a boot' if lost else ''}; "
            severity = WARNING if lost else NOTE
            case.find(f"{text}it had accepted {_whole(taken)}.", x, severity=severity, blame=Blame.STATION)
        return
    if x.asked.text("updateType") == "Full":
        memory["full"] = x.asked_ns
    if x.accepted:
        number = x.asked.whole("listVersion" if "listVersion" in x.asked else "versionNumber")
        memory["taken"] = number, x.time_ns
    elif x.status in ("VersionMismatch", "Failed"):
        yield case["wait"]
        if memory.get("full", 0) <= x.time_ns and x.link.open:
            text = f"The station answered {x.status} to SendLocalList; no full list followed within"
            case.find(f"{text} {span(case['wait'])}.", x, blame=Blame.CSMS)


@rule(
    "datatransfer-unknown",
    on=answered("DataTransfer"),
    severity=NOTE,
    priority=2,
    title="DataTransfer of a vendor that the other side does not know",
    advice="Turn the vendor's feature off where it is not understood, or have the other side learn it.",
    spec="1.6 §4.3; 2.0.1 P01",
    limits={"often": amount(10, "messages", "in an hour, beyond which it is a warning")},
    mute=Mute.NEVER,
)
def datatransfer_unknown(x: Exchange, case: Case) -> None:
    """DataTransfer is answered with an unknown vendor or message, or a CALLERROR; a warning if `often`."""
    if not x.error and x.status not in UNKNOWN_TO_PEER:
        return
    often = _too_often(case, case.memory(x.station), str(int(x.side)), x.time_ns, case["often"], 3600)
    said = "a CALLERROR" if x.error else x.status
    many = f", more than {case['often']:g} times in an hour" if often else ""
    case.find(
        f"{subject(x.side)} sent DataTransfer and got {said}{many}.", x, key=x.side,
        severity=WARNING if often else NOTE, measured={"vendor": x.asked.text("vendorId")[:100]},
    )  # fmt: skip


# --- what the rules share -----------------------------------------------------------------------------------------


def _outcomes(x: Exchange) -> list[tuple[str, str]]:
    """What became of each setting that was to be changed: its name, and the answer."""
    if x.error:
        return []
    if x.action == "ChangeConfiguration":
        return [(x.asked.text("key")[:100], x.status)]
    results = x.answered.tables("setVariableResult")
    return [(variable(one)[:100], one.text("attributeStatus")) for one in results]


def _key(key: str) -> str:
    """The name of a setting as it may stand in a sentence."""
    plain = key.isascii() and key.replace(".", "").replace("_", "").replace("-", "").isalnum()
    return key if plain and len(key) <= 80 else quoted(key)


def _whole(number: int) -> str:
    return str(number) if abs(number) < 1 << 40 else "of many digits"


def _measurands(value: str) -> set[str]:
    """Those of a list that any station can measure at any time; without phases."""
    names = (name.strip() for name in value[:2000].split(","))
    bare = (name.rsplit(".", 1)[0] if name.endswith((".L1", ".L2", ".L3", ".N")) else name for name in names)
    return {name for name in bare if name.replace(".", "").isalnum() and name.isascii() and name not in _FITFUL}


_FITFUL = frozenset({"SoC", "Temperature", "RPM"})
"""Measurands that depend on the car or come only at times."""


def _too_often(case: Case, memory: dict[object, deque[int]], key: str, now: int, count: float, seconds_: int) -> bool:
    """Whether something happens more than `count` times in that time; remembers this time."""
    times = memory.pop(key) if key in memory else deque(maxlen=int(count) + 1)
    memory[key] = times
    times.append(now)
    if len(memory) > MAX_KEYS and now - memory.pop(next(iter(memory)))[-1] < seconds_ * SECOND:
        case.let_go()
    return len(times) == times.maxlen and now - times[0] < seconds_ * SECOND
