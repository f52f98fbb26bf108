"""What the CSMS asks of stations: whether they do it, and how long the long-winded things take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import Booted, ProfileSet, SampledToCompare, Upgraded, answered, asked, unanswered
from ocppscope.analysis.latest import Latest
from ocppscope.analysis.timing.figures import MINUTE, Kind, Limits, Unit, above, figure
from ocppscope.analysis.timing.ledger import PerStation
from ocppscope.analysis.wording import cut
from ocppscope.model import Kind as MessageKind
from ocppscope.model import Side, Version
from ocppscope.ocpp import versions

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.charging import Installed
    from ocppscope.analysis.station import Exchange, Station
    from ocppscope.analysis.timing.ledger import Ledger

MAX_STATUSES = 16
"""Statuses of an action's answers that are counted by name; those beyond are `others`."""
MAX_REPORTS = 32
"""Reports of a station that are awaited, the latest."""
MAX_PROFILES = 32
"""Connectors of a station on which the effect of a charging profile is awaited."""
MAX_LIMITS = 1024
"""Distinct limits of a station that are told apart."""
MAX_STATUS_CHARS = 40
"""Characters of a status that are kept."""
REACTS_NS = 10 * MINUTE
"""How long a charging profile may take to have an effect."""
TOLERANCE, TOLERANCE_A = 1.1, 0.5
VOLTS = 230.0
"""For limits in W against currents: none is turned into the other, this only scales the tolerance."""

SUCCESS = figure(
    "command-success", "commands", "Commands accepted", Unit.PERCENT,
    "CALLs of the CSMS that were answered with Accepted (or something as good), of all that asked for a status; the "
    "others by status, `error` for CALLERRORs, `no_answer` for those that got none.",
    kind=Kind.SHARE, split=("action",), limits=Limits(note=90, of="value", below=True, least=5), pooled=True,
    scale=100,
)  # fmt: skip
REACTION = figure(
    "profile-reaction", "commands", "Profile to effect", Unit.TIME,
    "From the accepted charging profile to the first sample that is within its first limit (10 % and 0.5 A of "
    "tolerance). Only where more was drawn, just before it or since; `none` counts those without effect in ten "
    f"minutes, `not_followed` those that were not waited for, since others were on {MAX_PROFILES} connectors.",
    limits=above(None, 60), alarms={"none": Severity.WARNING},
)  # fmt: skip
CHURN = figure(
    "profile-churn", "commands", "Profiles", Unit.PER_MINUTE,
    "SetChargingProfile a minute between the first and the last; `peak_per_min` is the most in one minute, `limits` "
    f"how many different ones, no more than {MAX_LIMITS:,}.",
    kind=Kind.RATE, limits=Limits(note=6, of="peak_per_min"), scale=MINUTE,
)  # fmt: skip
FIRMWARE = figure(
    "firmware", "commands", "Firmware update", Unit.TIME,
    "From one step of a firmware update to the next: the CALL, the statuses in the order in which they come, and "
    "the boot.",
    split=("step",), limits=above(None, 1800),
)  # fmt: skip
LOG = figure(
    "log-upload", "commands", "Log upload", Unit.TIME,
    "From GetLog or GetDiagnostics to the status Uploaded; `failed` counts uploads that did not work.",
)  # fmt: skip
CERTIFICATE = figure(
    "certificate", "commands", "New certificate", Unit.TIME,
    "From SignCertificate to CertificateSigned, from there to its answer, and to the next upgrade.",
    split=("step",), limits=above(None, 600),
)  # fmt: skip
REPORT = figure(
    "report", "commands", "Report, whole", Unit.TIME,
    "From the accepted GetBaseReport or GetReport to the last NotifyReport with its requestId; `not_followed` counts "
    f"those that were not waited for any longer, since {MAX_REPORTS} others had been asked for.",
)  # fmt: skip
PARTS = figure(
    "report-gap", "commands", "Between report parts", Unit.TIME,
    "Time between two NotifyReports with the same requestId.",
    limits=above(None, 60),
)  # fmt: skip
ITEMS = figure(
    "report-rate", "commands", "Report, variables", Unit.PER_SECOND, "Variables that a whole report gives, a second."
)

GOOD = frozenset({"Accepted", "RebootRequired", "Scheduled", "AcceptedCanceled", "Unlocked"})
_NO_STATUS = frozenset(
    {"GetConfiguration", "GetDiagnostics", "UpdateFirmware", "GetLocalListVersion", "GetVariables"}
)
_ENDED = frozenset(
    {"Installed", "InstallationFailed", "DownloadFailed", "InvalidSignature", "InstallVerificationFailed"}
)
_UPDATES = ("UpdateFirmware", "SignedUpdateFirmware")
_LOGS = ("GetLog", "GetDiagnostics")
_REPORTS = ("GetBaseReport", "GetReport")


class Report:
    """One that is on its way."""

    __slots__ = ("accepted_ns", "items", "last_ns")

    def __init__(self, accepted_ns: int) -> None:
        self.accepted_ns = accepted_ns
        self.last_ns: int | None = None
        self.items = 0


class Reaction:
    """A charging profile whose effect is awaited."""

    __slots__ = ("is_needed", "most", "since_ns", "unit")

    def __init__(self, since_ns: int, most: float, unit: str, is_needed: bool) -> None:
        self.since_ns = since_ns
        self.most = most  # what may be drawn
        self.unit = unit
        self.is_needed = is_needed  # more was drawn, before or since


class Tasks:
    """What is kept of a station."""

    __slots__ = (
        "certificate", "firmware", "latest", "limits", "log_ns", "profiles", "reacting", "recent", "reports",
    )  # fmt: skip

    def __init__(self) -> None:
        self.firmware: tuple[str, int] | None = None  # the last step
        self.log_ns: int | None = None
        self.certificate: tuple[str, int] | None = None
        self.reports: dict[int, Report] = {}  # by requestId
        self.profiles: list[int] = []  # first and last SetChargingProfile
        self.recent: Latest[int] = Latest(64)  # in the last minute
        self.limits: set[float] = set()
        self.reacting: dict[int, Reaction] = {}  # by connector or EVSE
        self.latest: dict[int, SampledToCompare] = {}  # by connector or EVSE


class CommandFigures:
    """Follows what the CSMS asks of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks = PerStation(Tasks)
        actions = _of_csms()
        bus.subscribe(answered(*actions), self._answered)
        bus.subscribe(unanswered(*actions), self._unanswered)
        bus.subscribe(asked(*_UPDATES), self._update)
        bus.subscribe(asked("FirmwareStatusNotification", "SignedFirmwareStatusNotification"), self._firmware)
        bus.subscribe(Booted, self._booted)
        bus.subscribe(asked(*_LOGS), self._log)
        bus.subscribe(asked("LogStatusNotification", "DiagnosticsStatusNotification"), self._uploaded)
        bus.subscribe(asked("SignCertificate", "CertificateSigned"), self._signing)
        bus.subscribe(answered("CertificateSigned"), self._signed)
        bus.subscribe(Upgraded, self._upgraded)
        bus.subscribe(answered(*_REPORTS), self._report)
        bus.subscribe(asked("NotifyReport"), self._reported)
        bus.subscribe(ProfileSet, self._profile)
        bus.subscribe(SampledToCompare, self._sampled)

    # --- success --------------------------------------------------------------------------------------------------

    def _answered(self, x: Exchange) -> None:
        status = cut(x.answered.text("status"), MAX_STATUS_CHARS)
        if x.side is Side.CSMS and x.kind is MessageKind.CALL and (status or x.error or x.action not in _NO_STATUS):
            good = not x.error and (status in GOOD or not status)
            self._count(x, "" if good else "error" if x.error else status)

    def _unanswered(self, x: Exchange) -> None:
        if x.side is Side.CSMS:
            self._count(x, "no_answer")

    def _count(self, x: Exchange, why: str) -> None:
        """One more; `why` it is no success, or ""."""
        share = self._ledger.portion(SUCCESS, x.station.identity, x.action)
        share.add(not why, 1, 1)
        if why:
            share.count(why if why in share.counts or len(share.counts) < MAX_STATUSES else "others")

    # --- firmware, logs, certificates -----------------------------------------------------------------------------

    def _update(self, x: Exchange) -> None:
        self._tasks(x.station).firmware = x.action, x.asked_ns

    def _firmware(self, x: Exchange) -> None:
        status = cut(x.asked.text("status"), MAX_STATUS_CHARS)
        if status != "Idle":
            self._step(x.station, status, x.asked_ns)
        if status in _ENDED:
            self._tasks(x.station).firmware = None

    def _booted(self, told: Booted) -> None:
        if not told.boot.triggered:
            self._step(told.station, "boot", told.boot.asked_ns)

    def _step(self, station: Station, name: str, now: int) -> None:
        tasks = self._tasks(station)
        if tasks.firmware is not None and tasks.firmware[0] != name:
            before, since = tasks.firmware
            self._ledger.add(FIRMWARE, station, now - since, now, f"{before} → {name}")
            tasks.firmware = name, now

    def _log(self, x: Exchange) -> None:
        self._tasks(x.station).log_ns = x.asked_ns

    def _uploaded(self, x: Exchange) -> None:
        tasks, status = self._tasks(x.station), x.asked.text("status")
        if tasks.log_ns is None or status in ("Uploading", "Idle"):
            return
        if status == "Uploaded":
            self._ledger.add(LOG, x.station, x.asked_ns - tasks.log_ns, x.asked_ns)
        else:
            self._ledger.series(LOG, x.station.identity).count("failed")
        tasks.log_ns = None

    def _signing(self, x: Exchange) -> None:
        tasks = self._tasks(x.station)
        if x.action == "CertificateSigned" and tasks.certificate is not None:
            self._certificate(x.station, tasks, "CertificateSigned", x.asked_ns)
        elif x.action == "SignCertificate":
            tasks.certificate = x.action, x.asked_ns

    def _signed(self, x: Exchange) -> None:
        tasks = self._tasks(x.station)
        if tasks.certificate is not None:
            self._certificate(x.station, tasks, "answer", x.time_ns)
            if not x.accepted:
                tasks.certificate = None

    def _upgraded(self, told: Upgraded) -> None:
        tasks = self._tasks.known.get(told.station.identity)
        if tasks is not None and tasks.certificate is not None and tasks.certificate[0] == "answer":
            self._certificate(told.station, tasks, "upgrade", told.time_ns)
            tasks.certificate = None

    def _certificate(self, station: Station, tasks: Tasks, name: str, now: int) -> None:
        assert tasks.certificate is not None
        before, since = tasks.certificate
        self._ledger.add(CERTIFICATE, station, now - since, now, f"{before} → {name}")
        tasks.certificate = name, now

    # --- reports --------------------------------------------------------------------------------------------------

    def _report(self, x: Exchange) -> None:
        request = x.asked.whole("requestId")
        if request is not None and x.accepted:
            reports = self._tasks(x.station).reports
            reports.setdefault(request, Report(x.time_ns))
            if len(reports) > MAX_REPORTS:
                del reports[next(iter(reports))]
                self._ledger.series(REPORT, x.station.identity).count("not_followed")

    def _reported(self, x: Exchange) -> None:
        reports, request = self._tasks(x.station).reports, x.asked.whole("requestId")
        report = reports.get(request) if request is not None else None
        if report is None:
            return
        now = x.asked_ns
        if report.last_ns is not None:
            self._ledger.add(PARTS, x.station, now - report.last_ns, now)
        report.last_ns = now
        report.items += len(x.asked.tables("reportData"))
        if x.asked.flag("tbc") is not True:
            assert request is not None
            del reports[request]
            self._ledger.add(REPORT, x.station, now - report.accepted_ns, now).count("variables", report.items)
            if now > report.accepted_ns:
                self._ledger.add(ITEMS, x.station, report.items * 1e9 / (now - report.accepted_ns), now)

    # --- charging profiles ----------------------------------------------------------------------------------------

    def _profile(self, told: ProfileSet) -> None:
        one, tasks = told.installed, self._tasks(told.station)
        limit = _first_limit(one)
        if told.exchange.action == "SetChargingProfile":
            self._churn(told, tasks, limit)
        if limit is None or not one.accepted:
            return
        value, unit = limit
        latest = tasks.latest.get(one.number)
        drawn = None if latest is None else _drawn(latest).get(unit)
        if drawn is not None and drawn <= _tolerated(value, unit):
            return
        if one.number in tasks.reacting or len(tasks.reacting) < MAX_PROFILES:
            tasks.reacting[one.number] = Reaction(
                told.exchange.time_ns, _tolerated(value, unit), unit, drawn is not None
            )
        else:
            self._ledger.series(REACTION, told.station.identity).count("not_followed")

    def _churn(self, told: ProfileSet, tasks: Tasks, limit: tuple[float, str] | None) -> None:
        now = told.exchange.asked_ns
        tasks.profiles = [*tasks.profiles[:1], now]
        tasks.recent.append(now)
        if limit is not None and len(tasks.limits) < MAX_LIMITS:
            tasks.limits.add(limit[0])
        rate = self._ledger.portion(CHURN, told.station.identity)
        rate.add(1, 0, 1)
        rate.whole = max(tasks.profiles[-1] - tasks.profiles[0], MINUTE)
        rate.most("peak_per_min", sum(now - at <= MINUTE for at in tasks.recent))
        rate.counts["limits"] = len(tasks.limits)

    def _sampled(self, told: SampledToCompare) -> None:
        """Told while there are charging profiles."""
        tasks, number = self._tasks(told.station), told.place[0]
        if number in tasks.latest or len(tasks.latest) < MAX_PROFILES:
            tasks.latest[number] = told
        waiting = tasks.reacting.get(number)
        if waiting is not None:
            drawn = _drawn(told).get(waiting.unit)
            if drawn is not None and self._reacted(told, waiting, drawn):
                del tasks.reacting[number]

    def _reacted(self, told: SampledToCompare, waiting: Reaction, drawn: float) -> bool:
        """Whether a charging profile is not waited for any longer."""
        took = told.time_ns - waiting.since_ns
        if took > REACTS_NS:
            if waiting.is_needed or drawn > waiting.most:
                self._ledger.series(REACTION, told.station.identity).count("none")
            return True
        if drawn > waiting.most:
            waiting.is_needed = True
            return False
        if waiting.is_needed:
            self._ledger.add(REACTION, told.station, took, told.time_ns)
        return True


def _of_csms() -> tuple[str, ...]:
    found = {
        name
        for version in (Version.V16, Version.V201, Version.V21)
        for name, senders in versions.ACTIONS[version].items()
        if Side.CSMS in senders
    }
    return tuple(sorted(found))


def _first_limit(one: Installed) -> tuple[float, str] | None:
    """The limit with which a charging profile begins, and its unit."""
    for schedule in one.schedules[:1]:
        for period in schedule.tables("chargingSchedulePeriod")[:1]:
            limit = period.number("limit")
            if limit is not None:
                return limit, schedule.text("chargingRateUnit") or "A"
    return None


def _drawn(told: SampledToCompare) -> dict[str, float]:
    """The current of the most loaded phase, and the power, as far as they are told."""
    drawn: dict[str, float] = {}
    for one in told.samples:
        if one.value is None or one.location != "Outlet":
            continue
        if one.measurand == "Current.Import":
            drawn["A"] = max(drawn.get("A", one.value), one.value)
        elif one.measurand == "Power.Active.Import" and not one.phase:
            drawn["W"] = one.value
    return drawn


def _tolerated(limit: float, unit: str) -> float:
    return limit * TOLERANCE + (TOLERANCE_A if unit == "A" else TOLERANCE_A * VOLTS)
