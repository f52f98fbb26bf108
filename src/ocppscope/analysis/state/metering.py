"""Meter samples of either version in one shape (OCPP 1.6 §7.33, §7.43; 2.0.1 SampledValueType).

What samples of a kind have in common is worked out once and kept. Stations send the same kinds again and again: a
`Layout` reads just the values of such a message. What they tell of a transaction is in `meters`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from math import isfinite
from operator import itemgetter, mul
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from ocppscope.analysis.payload import Payload
from ocppscope.analysis.state.stamps import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocppscope.analysis.station import Exchange

MAX_SAMPLES = 2048
"""Samples of one message that are looked at."""
MAX_KINDS = 4096
"""Kinds of samples that are remembered; of more, all are worked out anew."""
MAX_LAYOUTS = 512
"""Layouts of messages that are remembered, likewise."""
MAX_MULTIPLIER = 12
"""Powers of ten of a 2.x unitOfMeasure beyond which a value is not believed."""
MAX_NUMBER = 64
"""Characters of a value that is read as a number, and of a word that names a kind of samples."""
MAX_VALUE = 1e15
"""Magnitude of a number that is believed, in the base unit."""

REGISTER = "Energy.Active.Import.Register"
TOTAL = (REGISTER, "", "Outlet")
"""The series of the register that is billed."""

_UNITS = {"kWh": ("Wh", 1e3), "kW": ("W", 1e3), "kVA": ("VA", 1e3), "kvar": ("var", 1e3), "kvarh": ("varh", 1e3)}
_IS_PLAIN = re.compile(r"[+-]?[0-9]*\.?[0-9]*").fullmatch


Name = tuple[Any, ...]
"""How a sample says what it is: measurand, unit, multiplier, phase, location, context and format as sent, or None."""


class Role(IntEnum):
    """What a sample is to whoever follows a transaction."""

    OTHER = 0
    MAIN = 1  # the register that is billed
    REGISTER = 2
    POWER = 3  # of all phases
    PHASE_POWER = 4
    PHASE_CURRENT = 5
    OFFERED = 6  # power


class Kind(NamedTuple):
    """What all samples of a kind have in common."""

    measurand: str
    phase: str
    location: str
    context: str
    unit: str  # base unit
    sent_unit: str  # as it was sent, "" if it was not
    scale: float | None  # to the base unit; None if it is not to be believed
    signed: bool  # its value is signed data, no number
    key: tuple[str, str, str]  # measurand, phase, location
    slot: tuple[str, str, str, str]  # what may stand once in a MeterValue: key and unit
    role: Role
    name: Name | None = None  # how it is named in a message; None if that is too odd to be remembered


class Sample(Struct, frozen=True, gc=False):
    """One sampled value. `value` is in the base unit (Wh, W, A, V, %), None if it is no number."""

    time_ns: int | None  # timestamp of its MeterValue, by the station's clock
    value: float | None
    raw: object  # as it was sent
    group: int  # place of its MeterValue in the message
    plain: bool  # the value is a number, and a text is written as a plain decimal
    kind: Kind

    @property
    def measurand(self) -> str:
        """What was measured."""
        return self.kind.measurand

    @property
    def phase(self) -> str:
        """Of which phase, "" if that is not said."""
        return self.kind.phase

    @property
    def location(self) -> str:
        """Where."""
        return self.kind.location

    @property
    def context(self) -> str:
        """On which occasion."""
        return self.kind.context

    @property
    def unit(self) -> str:
        """The base unit."""
        return self.kind.unit

    @property
    def sent_unit(self) -> str:
        """The unit as it was sent, "" if it was not."""
        return self.kind.sent_unit

    @property
    def resolution(self) -> float:
        """The last decimal place of the value as it was sent, in the base unit."""
        text = str(self.raw)[:MAX_NUMBER]
        decimals = len(text.partition(".")[2]) if self.plain and "e" not in text.lower() else 0
        return 10.0**-decimals * (self.kind.scale or 1.0)


def samples_of(meter_values: list[Payload]) -> list[Sample]:
    """The samples of `meterValue` or `transactionData`, in the order sent."""
    found: list[Sample] = []
    for group, meter_value in enumerate(meter_values):
        text = meter_value.data.get("timestamp")
        time_ns = instant(text) if type(text) is str else None
        sampled = meter_value.data.get("sampledValue")
        if type(sampled) is list:
            few = sampled[: MAX_SAMPLES - len(found)]
            found += [_sample(data, time_ns, group) for data in few if type(data) is dict]
    return found


_KINDS: dict[Name, Kind] = {}


def _sample(data: dict[str, Any], time_ns: int | None, group: int) -> Sample:
    name = _name(data)
    try:
        kind = _KINDS[name]
    except (KeyError, TypeError):  # new, or something that is no text
        kind = _kind(Payload(data), name)
        if kind.name is not None:
            if len(_KINDS) >= MAX_KINDS:
                _KINDS.clear()
            _KINDS[name] = kind
    raw, scale = data.get("value"), kind.scale
    number = None if kind.signed else _number(raw)
    plain, value = False, None
    if number is not None:
        plain = type(raw) is not str or raw.isdigit() or _IS_PLAIN(raw) is not None
        if scale is not None and -MAX_VALUE <= number * scale <= MAX_VALUE:
            value = number * scale
    return Sample(time_ns, value, raw, group, plain, kind)


def _name(data: dict[str, Any]) -> Name:
    get = data.get
    unit, power, measured = get("unit"), None, get("unitOfMeasure")
    if type(measured) is dict:
        unit, power = measured.get("unit"), measured.get("multiplier")
    return get("measurand"), unit, power, get("phase"), get("location"), get("context"), get("format")


def _kind(sampled: Payload, name: Name) -> Kind:
    unit, power = name[1:3]
    measurand = sampled.text("measurand") or REGISTER
    phase, location = sampled.text("phase"), sampled.text("location") or "Outlet"
    sent_unit = unit if isinstance(unit, str) else ""
    base, scale = sent_unit or ("Wh" if measurand.startswith("Energy") else ""), 1.0
    if base in _UNITS:
        base, scale = _UNITS[base]
    multiplier = power if type(power) is int else 0
    believed = abs(multiplier) <= MAX_MULTIPLIER
    short = all(part is None or type(part) is int or (type(part) is str and len(part) <= MAX_NUMBER) for part in name)
    return Kind(
        measurand, phase, location, sampled.text("context") or "Sample.Periodic", base, sent_unit,
        scale * 10.0**multiplier if believed else None, sampled.text("format") == "SignedData",
        (measurand, phase, location), (measurand, phase, location, sent_unit), _role(measurand, phase, location),
        name if short else None,
    )  # fmt: skip


def _role(measurand: str, phase: str, location: str) -> Role:
    if measurand.startswith("Energy.") and measurand.endswith(".Register"):
        return Role.MAIN if (measurand, phase, location) == TOTAL else Role.REGISTER
    if location != "Outlet":
        return Role.OTHER
    if measurand == "Power.Active.Import":
        return Role.PHASE_POWER if phase else Role.POWER
    if measurand == "Current.Import" and phase:
        return Role.PHASE_CURRENT
    return Role.OFFERED if measurand == "Power.Offered" else Role.OTHER


def _number(raw: object) -> float | None:
    try:
        if type(raw) is str:
            value = float(raw if len(raw) <= MAX_NUMBER else "")
        elif type(raw) is float or type(raw) is int:
            value = float(raw)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return value if isfinite(value) else None


def meter_values(x: Exchange) -> list[Payload]:
    """Where a message has its meter values."""
    return x.asked.tables("meterValue") or x.asked.tables("transactionData")


class Layout:
    """Samples that are plain: of what kinds, in which order, and at which places what is followed stands.

    It is the same for all messages of all stations that look alike, so that it is at hand in the processor's cache.
    """

    __slots__ = (
        "currents", "is_text", "kinds", "likeness", "main", "offered", "others", "phases", "power", "powers",
        "scales",
    )  # fmt: skip

    def __init__(self, kinds: list[Kind], sampled: list[dict[str, Any]]) -> None:
        self.kinds = kinds
        self.likeness = [one | _NO_VALUE for one in sampled]  # the samples but for their values
        self.is_text = type(sampled[0].get("value")) is str  # as in 1.6
        scales = [one.scale or 1.0 for one in kinds]
        self.scales = None if set(scales) == {1.0} else scales
        self.main = self._place(Role.MAIN)  # -1: none
        self.others = self._places(Role.REGISTER)
        self.power = self._place(Role.POWER)
        self.powers = [(at, kinds[at].phase[:2]) for at in self._places(Role.PHASE_POWER)]
        places = self._places(Role.PHASE_CURRENT)
        self.phases = [kinds[at].phase[:2] for at in places]  # those of `currents`
        self.currents = _getter(places) if places else None  # takes these values out of all
        self.offered = self._places(Role.OFFERED)

    def _places(self, role: Role) -> list[int]:
        return [at for at, one in enumerate(self.kinds) if one.role is role]

    def _place(self, role: Role) -> int:
        return next(iter(self._places(role)), -1)

    def values(self, sampled: list[Any]) -> list[float] | None:
        """The values of samples, in the base unit.

        None if they do not look like those before, or one is no plain number: then `samples_of` has to tell.
        """
        if len(sampled) != len(self.likeness):
            return None
        try:
            if [one | _NO_VALUE for one in sampled] != self.likeness:
                return None
            raw = list(map(_VALUE, sampled))
            if self.is_text:
                digits = "".join(raw)
                if not digits.replace(".", "").isdigit() or not digits.isascii():
                    return None
                if len(digits) > MAX_NUMBER and max(map(len, raw)) > MAX_NUMBER:
                    return None
            elif not _NUMBERS.issuperset(map(type, raw)):
                return None
            values = list(map(float, raw))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        if self.scales is not None:
            values = list(map(mul, values, self.scales))
        return values if sum(map(abs, values)) <= MAX_VALUE else None  # nor a NaN


_LAYOUTS: dict[tuple[int, ...], Layout] = {}
_SPECIAL = frozenset({"Transaction.Begin", "Sample.Clock"})
_NUMBERS = frozenset({int, float})
_NO_VALUE = {"value": None}
_VALUE = itemgetter("value")
_MAX_WORDS = 8


def _getter(places: list[int]) -> Callable[[list[float]], Sequence[float]]:
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def layout_of(kinds: list[Kind], sampled: list[Any]) -> Layout | None:
    """The layout of samples; None if they are not plain: special, long, strange, or one measurand twice."""
    name = tuple(map(id, kinds))  # of objects that a layout keeps alive
    known = _LAYOUTS.get(name)
    if known is not None and known.values(sampled) is not None:
        return known
    types = {type(one.get("value")) if type(one) is dict and _is_short(one) else None for one in sampled}
    if (
        len(sampled) != len(kinds)
        or len({one.key for one in kinds}) < len(kinds)
        or not all(map(_is_ordinary, kinds))
    ):
        return None
    if types != {str} and not types <= _NUMBERS:
        return None
    layout = Layout(kinds, sampled)
    if len(_LAYOUTS) >= MAX_LAYOUTS:
        _LAYOUTS.clear()
    _LAYOUTS[name] = layout
    return layout


def _is_ordinary(kind: Kind) -> bool:
    return kind.name is not None and kind.scale is not None and not kind.signed and kind.context not in _SPECIAL


def _is_short(sampled: dict[str, Any]) -> bool:
    """Whether a sample holds a few short words, and perhaps a unitOfMeasure of such."""
    return len(sampled) <= _MAX_WORDS and all(
        _is_word(value) or (type(value) is dict and len(value) <= 2 and all(map(_is_word, value.values())))
        for value in sampled.values()
    )


def _is_word(value: object) -> bool:
    if type(value) is str:
        return len(value) <= MAX_NUMBER
    return value is None or type(value) is float or (type(value) is int and -_MAX_INT <= value <= _MAX_INT)


_MAX_INT = 1 << 63
