"""Rules about firmware updates and uploads of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, WARNING, Blame
from ocppscope.analysis.happenings import answered, asked
from ocppscope.analysis.registry import Group, Mute, family, minutes
from ocppscope.analysis.station import Exchange
from ocppscope.analysis.wording import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Station

rule = family(Group.STATION)

UPDATES = ("UpdateFirmware", "SignedUpdateFirmware")
REPORTS = ("FirmwareStatusNotification", "SignedFirmwareStatusNotification")
UPLOADS = ("GetDiagnostics", "GetLog")
UPLOAD_REPORTS = ("DiagnosticsStatusNotification", "LogStatusNotification")
UNDER_WAY = frozenset({"Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"})
"""Statuses that another has to follow soon; where a station waits for a date or an idle hour it says so."""
FAILED = {
    "DownloadFailed": "the station could not download the firmware",
    "InstallationFailed": "the station could not install the firmware",
    "InstallVerificationFailed": "what the station installed does not pass its check",
    "InvalidSignature": "the firmware is not signed as it should be",
    "InvalidCertificate": "the certificate of the signature is not valid",
    "RevokedCertificate": "the certificate of the signature is revoked",
}
UPLOAD_FAILED = frozenset(
    {"BadMessage", "NotSupportedOperation", "PermissionDenied", "UploadFailed", "UploadFailure"}
)


@rule(
    "firmware-stalled",
    on=(answered(*UPDATES), asked(*REPORTS)),
    severity=WARNING,
    blame=Blame.STATION,
    title="A firmware update does not get on",
    advice="Can the station reach the download? Look at its scheme (not every station knows https or ftp), at DNS "
    "and firewalls. After the download a station may wait for transactions to end.",
    spec="1.6 §4.5, §5.19; 2.0.1 L01",
    limits={
        "begin": minutes(10, "time after the retrieve date for the first status"),
        "step": minutes(30, "time for the next status"),
    },
)
def firmware_stalled(x: Exchange, case: Case) -> Iterator[int]:
    """No status within `begin` of the retrieve date, or none within `step` of one that does not end the update."""
    registration = x.station.registration
    if x.action in UPDATES:
        if x.error or x.status not in ("", "Accepted", "AcceptedCanceled"):
            return
        due = x.asked.time_ns("retrieveDate") or x.asked.table("firmware").time_ns("retrieveDateTime") or x.time_ns
        yield max(0, due - (x.station.clock.skew_ns or 0) - x.time_ns) + case["begin"]
        if max(registration.reported.get(one, 0) for one in REPORTS) < x.asked_ns and _is_open(x.station):
            waited = span(case.now - x.time_ns)
            case.find(f"The firmware update was accepted, but {waited} later no status has come.", x)
        return
    status = x.asked.text("status")
    if status not in UNDER_WAY:
        return
    yield case["step"]
    waits = status == "Downloaded" and any(True for _ in x.station.transactions.all_open())
    if registration.firmware_ns == x.asked_ns and not waits and _is_open(x.station):
        case.find(f"The firmware update stays {status} for {span(case['step'])}.", x, key=status)


@rule(
    "firmware-failed",
    on=(answered(*UPDATES), asked(*REPORTS)),
    severity=ERROR,
    title="A firmware update failed",
    advice="DownloadFailed: check address, credentials and TLS of the download. InstallationFailed: wrong model, or "
    "too little memory. Signature or certificate: sign with the maker's certificate, and check the station's clock "
    "and roots.",
    spec="1.6 §7.25; 1.6 security white paper L01; 2.0.1 L01",
    mute=Mute.NEVER,
)
def firmware_failed(x: Exchange, case: Case) -> None:
    """A firmware status, or the answer to the update, says that it failed."""
    status = x.asked.text("status") if x.action in REPORTS else x.status
    why = FAILED.get(status)
    if why is not None:
        case.find(f"The firmware update ended with {status}: {why}.", x, key=status)


@rule(
    "log-upload-failed",
    on=(answered(*UPLOADS), asked(*UPLOAD_REPORTS)),
    severity=WARNING,
    priority=3,
    title="The station could not upload its log",
    advice="Check address and credentials of the upload, passive mode of FTP, and firewalls on the way.",
    spec="1.6 §4.4; 2.0.1 N01",
    limits={"wait": minutes(10, "time for the first status")},
)
def log_upload_failed(x: Exchange, case: Case) -> Iterator[int]:
    """The status of an upload says that it failed; or none comes within `wait` of the request."""
    if x.action in UPLOAD_REPORTS:
        status = x.asked.text("status")
        if status in UPLOAD_FAILED:
            case.find(f"The upload ended with {status}.", x, key=status)
        return
    if x.error or x.status in ("Rejected", "AcceptedCanceled") or (x.action == "GetDiagnostics" and not x.answered):
        return  # nothing will be uploaded
    yield case["wait"]
    reported = x.station.registration.reported
    last = max((reported.get(one, 0) for one in UPLOAD_REPORTS), default=0)
    if last < x.asked_ns and _is_open(x.station):
        case.find(f"{x.action} was accepted, but {span(case['wait'])} later no status of the upload has come.", x)


def _is_open(station: Station) -> bool:
    return station.link is not None and station.link.open
