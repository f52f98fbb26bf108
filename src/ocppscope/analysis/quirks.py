"""What is known of certain models: a data file that annotates findings, or makes them less severe."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ocppscope.analysis.finding import Finding, Severity

if TYPE_CHECKING:
    from ocppscope.analysis.state.registration import Registration


class Quirks:
    """`quirks.toml`: tables with vendor, model and firmware (beginnings, any case), rule, note and perhaps
    severity."""

    def __init__(self) -> None:
        text = files("ocppscope.analysis").joinpath("quirks.toml").read_text("utf-8")
        self._quirks: list[dict[str, str]] = tomllib.loads(text).get("quirk", [])

    def annotate(self, finding: Finding, registration: Registration | None) -> Finding:
        """The finding, with what is known of the station's model."""
        if registration is None:
            return finding
        for quirk in self._quirks:
            if quirk["rule"] == finding.rule and _fits(quirk, registration):
                lower = Severity[quirk["severity"].upper()] if "severity" in quirk else finding.severity
                return replace(finding, quirk=quirk["note"], severity=min(finding.severity, lower))
        return finding


def _fits(quirk: dict[str, str], registration: Registration) -> bool:
    return all(
        getattr(registration, name).casefold().startswith(quirk[name].casefold())
        for name in ("vendor", "model", "firmware")
        if name in quirk
    )
