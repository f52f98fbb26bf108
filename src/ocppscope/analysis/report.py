"""What a diagnosis comes to, ready to be shown in any form. Frozen; no text is cut or escaped here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.finding import Finding, Severity
from ocppscope.analysis.unread import Unread, reservation
from ocppscope.analysis.vantage import HOST, LOG, MIDDLE, WORDS
from ocppscope.model import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.autopsy import Autopsy
    from ocppscope.analysis.diagnosis import Diagnosis
    from ocppscope.analysis.station import Station


class StationSummary(Struct, frozen=True):
    """A station in a few words."""

    identity: str
    model: str  # vendor, model, firmware
    version: str
    vantage: str
    connections: int
    messages: tuple[int, int]  # by side
    endings: tuple[str, ...]  # the autopsy of its connections, a sentence each


class Report(Struct, frozen=True):
    """Findings in the order of the report: the worst roots first, each followed by what it explains."""

    captures: tuple[str, ...]
    begins_ns: int
    ends_ns: int
    messages: int
    stations: tuple[StationSummary, ...]
    findings: tuple[Finding, ...]
    notices: tuple[str, ...] = ()  # what is wrong with the capture, or with us
    unread: tuple[Unread, ...] = ()  # what was not looked at

    def counts(self) -> dict[Severity, int]:
        """How many roots of each severity; what they explain is not counted."""
        return {
            one: sum(finding.severity is one and finding.root is None for finding in self.findings)
            for one in Severity
        }

    def consequences(self, root: Finding) -> list[Finding]:
        """What a finding explains, also by way of others."""
        found, below = [], {root.number}
        for one in self.findings:  # roots stand before what they explain
            if one.root in below:
                below.add(one.number)
                found.append(one)
        return found

    @property
    def nothing(self) -> str:
        """How the verdict begins where nothing was found, up to the number of messages: never cleaner than what was
        read."""
        if not self.messages:
            return "Nothing was looked at:"
        return "Nothing found in what could be read of" if self.unread or self.notices else "Nothing found in"

    @property
    def reservation(self) -> str:
        """The sentence that the verdict ends with if not all was read; "" if it was."""
        return reservation(self.unread)

    def worst(self) -> Severity | None:
        """The severity of the worst finding."""
        return max((one.severity for one in self.findings), default=None)


def report(
    diagnosis: Diagnosis, captures: Iterable[str], autopsy: Autopsy | None = None, notices: Iterable[str] = ()
) -> Report:
    """The report of a finished diagnosis."""
    stations = diagnosis.stations
    findings = tuple(diagnosis.findings())
    named = {one.station for one in findings}
    heard = [one for one in stations.by_identity.values() if one.links or one.identity in named]
    return Report(
        tuple(captures), stations.begins_ns(heard), stations.now,
        stations.messages,
        tuple(_summary(one, autopsy) for one in heard), findings,
        (*notices, *_own_notices(diagnosis)),
        stations.unread.told(
            stations=stations.forgotten, findings=diagnosis.not_kept, rules=len(diagnosis.failures)
        ),
    )  # fmt: skip


def _summary(station: Station, autopsy: Autopsy | None) -> StationSummary:
    known = station.registration
    return StationSummary(
        station.identity, " ".join(part for part in (known.vendor, known.model, known.firmware) if part),
        _version(station).value, station.vantage, station.opened, (station.said[0], station.said[1]),
        tuple(autopsy.sentences(station)) if autopsy is not None else (),
    )  # fmt: skip


def _version(station: Station) -> Version:
    """Of the latest connection of which it is known; else what it asked for where it was refused."""
    known = [station.connections.offered, *(one.version for one in station.links), station.version]
    return next((one for one in reversed(known) if one is not Version.UNKNOWN), Version.UNKNOWN)


def _own_notices(diagnosis: Diagnosis) -> Iterable[str]:
    for name, how in diagnosis.failures.items():
        yield f"The rule {name} failed ({how}); what it looks for was not looked for everywhere. This is a bug."
    if diagnosis.not_kept:
        what = "findings, and things that rules waited for or counted,"
        yield f"{diagnosis.not_kept:,} {what} were let go, since there were too many."
    stations = diagnosis.stations
    if stations.forgotten:
        yield f"{stations.forgotten:,} stations were forgotten, since there were too many."
    if stations.let_go:
        yield f"{stations.let_go:,} TCP attempts and TLS connections were let go: they might have concerned OCPP."
    if left_out := sum(one.configuration.left_out for one in stations.by_identity.values()):
        yield f"{left_out:,} values of the configuration were not remembered, since there were too many."


def standpoint(vantage: str) -> str:
    """What a vantage means for figures, a sentence."""
    where = f"Captured {WORDS[vantage]}"
    if vantage in ("station", "csms"):
        far = "CSMS" if vantage == "station" else "station"
        return f"{where}: answers of the {far} include the time on the network."
    if vantage == MIDDLE:
        return f"{where}: latencies include the network on the far side of who answers."
    if vantage == HOST:
        return f"{where}: latencies are processing times."
    if vantage == LOG:
        return "Messages without their packets, as a log has them: latencies are between the times that it gives."
    return "It is not known where this was captured: latencies may include the time on the network."
