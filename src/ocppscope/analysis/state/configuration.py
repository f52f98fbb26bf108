"""Configuration keys (1.6) and variables (2.x) as far as they were read or set in the capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.payload import Payload
    from ocppscope.analysis.station import Exchange

MAX_KEYS = 4096
"""Keys of a station whose values are remembered."""
MEASURANDS = ("MeterValuesSampledData", "SampledDataCtrlr.TxUpdatedMeasurands")
"""What periodic samples of a transaction hold."""


class Setting(Struct, frozen=True):
    """A value, and how it is known."""

    value: str
    known_ns: int
    was_set: bool  # by the CSMS in this capture, rather than read
    reboot: bool = False  # it needs a reboot to become active


class Configuration:
    """By 1.6 key, or by "Component.Variable" in 2.x."""

    __slots__ = ("left_out", "measurands", "settings")

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.measurands: Setting | None = None  # those that were set and are in force
        self.left_out = 0  # values that were not remembered, since there are so many keys

    def text(self, *keys: str) -> str:
        """The value of the first of these keys that is known, "" if none is."""
        for key in keys:
            found = self.settings.get(key)
            if found is not None:
                return found.value
        return ""

    def number(self, *keys: str) -> float | None:
        """The value as a number."""
        text = self.text(*keys)
        try:
            return float(text[:40]) if text else None
        except ValueError:
            return None

    def learn(self, key: str, setting: Setting) -> None:
        """Remembers a value."""
        if key in self.settings or len(self.settings) < MAX_KEYS:
            self.settings[key] = setting
        else:
            self.left_out += 1
        if key in MEASURANDS:
            found = self.settings.get(MEASURANDS[0]) or self.settings.get(MEASURANDS[1])
            self.measurands = found if found is not None and found.was_set and not found.reboot else None


class ConfigurationTracker:
    """Follows what is read and set."""

    actions = ("GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables", "NotifyReport")

    def __init__(self, bus: Bus) -> None:
        del bus  # says nothing

    def asked(self, x: Exchange) -> None:
        """A report holds values."""
        if x.action == "NotifyReport":
            for item in x.asked.tables("reportData"):
                for attribute in item.tables("variableAttribute"):
                    if attribute.text("type") in ("", "Actual") and "value" in attribute:
                        x.station.configuration.learn(
                            variable(item), Setting(attribute.text("value"), x.asked_ns, False)
                        )

    def answered(self, x: Exchange) -> None:
        """Values that were read, or accepted."""
        known, now = x.station.configuration, x.time_ns
        if x.action == "GetConfiguration":
            for item in x.answered.tables("configurationKey"):
                if "value" in item:
                    known.learn(item.text("key"), Setting(item.text("value"), now, False))
        elif x.action == "ChangeConfiguration" and x.status in ("Accepted", "RebootRequired"):
            known.learn(x.asked.text("key"), Setting(x.asked.text("value"), now, True, x.status == "RebootRequired"))
        elif x.action == "GetVariables":
            for item in x.answered.tables("getVariableResult"):
                if item.text("attributeStatus") == "Accepted" and item.text("attributeType") in ("", "Actual"):
                    known.learn(variable(item), Setting(item.text("attributeValue"), now, False))
        elif x.action == "SetVariables":
            values = {variable(item): item.text("attributeValue") for item in x.asked.tables("setVariableData")}
            for item in x.answered.tables("setVariableResult"):
                status, key = item.text("attributeStatus"), variable(item)
                if status in ("Accepted", "RebootRequired") and key in values:
                    known.learn(key, Setting(values[key], now, True, status == "RebootRequired"))


def variable(item: Payload) -> str:
    """`Component.Variable` of an element of a 2.x message."""
    return f"{item.table('component').text('name')}.{item.table('variable').text('name')}"
