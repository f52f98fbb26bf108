"""Reports and transactions made by hand, with texts that a terminal could obey."""

from __future__ import annotations

from array import array
from typing import Any

from ocppscope.analysis.finding import Blame, Finding, Ref, Severity
from ocppscope.analysis.happenings import CaptureEnded
from ocppscope.analysis.pages import Curve, LimitStep, Step, TransactionPage, Transactions, name_of
from ocppscope.analysis.registry import Group, Rule
from ocppscope.analysis.report import Report, StationSummary
from store.support_store import START

MS = 1_000_000
SECOND = 1000 * MS
HOSTILE = "\x1b[31m[bold]CP\u202e1[/]\n"
"""Escape, markup, a bidi override, a line end."""
SHOWN = "\\x1b[31m[bold]CP\\u202e1[/]\\n"
"""The same made visible."""


def rule(id_: str) -> Rule:
    """A rule of which only the words matter."""
    advice = "Look at the log of the CSMS for that minute. Ask whether its database was slow then."
    return Rule(
        id_, Group.RPC, Severity.WARNING, "Slow", advice, lambda what, case: None, CaptureEnded, "OCPP-J §4.1.1"
    )


RULES = {one: rule(one) for one in ("csms-silent", "rpc-call-timeout", "rpc-late-response", "rpc-slow-response")}
"""In place of the real ones, whose words may change."""


def ref(ordinal: int, *, connection: int = 0, at: int | None = None, what: str = "→ CALL Heartbeat") -> Ref:
    """Where messages of `support_store.call` stand."""
    return Ref(START + ordinal * MS if at is None else at, connection, ordinal, 7 + ordinal, what)


def finding(number: int, rule: str = "rpc-slow-response", **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "number": number, "rule": rule, "severity": Severity.WARNING, "station": "CP", "connections": (0,),
        "text": f"The CSMS took {number}.5 s to answer Authorize.", "blame": Blame.CSMS, "first_ns": START,
        "last_ns": START, "count": 1, "evidence": (ref(0),), "vantage": "csms",
    }  # fmt: skip
    return Finding(**(fields | changes))


def station(identity: str = "CP", **changes: Any) -> StationSummary:
    fields: dict[str, Any] = {
        "identity": identity, "model": "Vendor Model 1.0", "version": "1.6", "vantage": "csms", "connections": 2,
        "messages": (3, 4), "endings": ("#0: the station sent Close 1000 after 13 s.",),
    }  # fmt: skip
    return StationSummary(**(fields | changes))


def report(*findings: Finding, **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "captures": ("x.pcap",), "begins_ns": START, "ends_ns": START + SECOND, "messages": 7,
        "stations": (station(),), "findings": findings,
    }  # fmt: skip
    return Report(**(fields | changes))


def tree() -> Report:
    """A root error that explains a warning, which explains a note; and a warning of another station."""
    root = finding(
        3, "csms-silent", severity=Severity.ERROR, text="The CSMS answered nothing for 40 s.", count=12,
        last_ns=START + 40 * SECOND, measured={"serial": "A1"}, quirk="Firmware 1.0 does that.",
        evidence=(ref(0), ref(2), Ref(START + 30 * SECOND, 0, -1, 0, "→ ended: RST"), Ref(START, what="nowhere")),
    )  # fmt: skip
    first = finding(5, "rpc-call-timeout", text="Nothing answered BootNotification.", root=3)
    second = finding(1, "rpc-late-response", severity=Severity.NOTE, text="An answer came late.", root=5)
    other = finding(8, station="CP-2", text=f"Odd {HOSTILE}.", measured={"tag": HOSTILE}, blame=Blame.UNKNOWN)
    return report(
        root, first, second, other, stations=(station(), station("CP-2", endings=())), notices=("One note.",)
    )


def curve(*points: tuple[int, float]) -> Curve:
    return Curve(array("q", [START + at * SECOND for at, _ in points]), array("d", [value for _, value in points]))


def page(number: int = 0, **changes: Any) -> TransactionPage:
    steps = (
        Step(ref(0, what="→ CALL StatusNotification"), "status", "Preparing"),
        Step(ref(2, what="→ CALL StartTransaction"), "start", "tag T, 100 Wh"),
        Step(ref(4, what="← CALL SetChargingProfile"), "profile", "TxProfile: Accepted"),
        Step(ref(6, what="→ CALL StopTransaction"), "stop", "Remote, 9,100 Wh"),
    )
    messages = (Step(ref(2), "message", ""), Step(ref(6), "message", "9,100 Wh", replayed=True))
    fields: dict[str, Any] = {
        "number": number, "station": "CP", "place": (1, 0), "is_2x": False, "id": f"{4711 + number}", "tag": "T",
        "verdict": "Accepted", "started_ns": START + 2 * MS, "stopped_ns": START + 3600 * SECOND,
        "last_ns": START + 3600 * SECOND, "duration_ns": 3600 * SECOND, "energy_wh": 9000.0, "peak_w": 11_000.0,
        "reason": "Remote", "charging_state": "", "is_open": False, "superseded": False, "replayed": False,
        "samples": 5, "steps": steps, "steps_left_out": 0, "messages": messages, "messages_left_out": 0,
        "energy": curve((0, 100.0), (1800, 5600.0), (3600, 9100.0)),
        "power": curve((0, 0.0), (600, 11_000.0), (1800, 11_000.0), (2400, 7000.0), (3600, 7000.0)),
        "limits": (LimitStep(START, 11_040.0, "16 A", True), LimitStep(START + 1200 * SECOND, 6900.0, "10 A", True)),
        "names": array("q", [name_of(0, 2), name_of(0, 6)]),
    }  # fmt: skip
    return TransactionPage(**(fields | changes))


def pages(*found: TransactionPage, not_kept: int = 0) -> Transactions:
    return Transactions(found, not_kept)
