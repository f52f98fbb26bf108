"""The one table of rules: what can be found, when it is said, and what to do about it.

A rule is a function of what happened and its `Case`. It says what it found by `case.find(...)`. Where it has to wait
for what comes later it is a generator: each `yield` hands over for how many ns it wants to sleep.

    @rule("remote-stop-no-stop", on=answered("RemoteStopTransaction"), …, limits={"wait": seconds(60, "…")})
    def remote_stop_no_stop(x: Exchange, case: Case) -> Iterator[int]:
        \"\"\"A remote stop is accepted, and no StopTransaction follows within `wait`.\"\"\"
        …
        yield case["wait"]
        if transaction.is_open:
            case.find("…", x)

What a capture does not hold can look like a fault. So a rule says by `mute` what keeps it quiet: GAP (bytes are
missing around it, also between falling asleep and waking), MIDSTREAM (nothing is known of the station before the
capture), REPLAY (old messages of an offline queue).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntFlag, StrEnum
from functools import partial
from importlib import import_module
from inspect import getdoc
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ocppscope.analysis.finding import Blame, Severity
from ocppscope.model import Version

if TYPE_CHECKING:
    from ocppscope.analysis.finding import Ref
    from ocppscope.analysis.happenings import On
    from ocppscope.analysis.station import Station

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class Mute(IntFlag):
    """What keeps a rule quiet."""

    NEVER = 0
    GAP = 1
    MIDSTREAM = 2
    REPLAY = 4


class Group(StrEnum):
    """The families of rules, from the wire up; each is a module of `rules/`."""

    TCP = "tcp"
    TLS = "tls"
    UPGRADE = "upgrade"
    WEBSOCKET = "websocket"
    RPC = "rpc"
    SCHEMA = "schema"
    STATION = "station"  # boot, availability, configuration, firmware
    TRANSACTION = "transaction"
    METERING = "metering"
    CHARGING = "charging"
    SECURITY = "security"
    CLOCK = "clock"
    PROXY = "proxy"  # what the proxy did that recorded the capture


LAYERS = {
    Group.TCP: "network", Group.TLS: "tls", Group.UPGRADE: "http", Group.WEBSOCKET: "websocket",
    Group.RPC: "rpc", Group.SCHEMA: "schema", Group.PROXY: "proxy",
}  # fmt: skip
"""The layer of a group; of those above, "application"."""

V16 = frozenset({Version.V16})
V2X = frozenset({Version.V20, Version.V201, Version.V21})
ANY: frozenset[Version] = frozenset()
"""All versions, also a guessed or unknown one."""


class Limit(NamedTuple):
    """A threshold. A duration is kept in ns; the config and the docs give it in its unit."""

    value: float
    unit: str
    meaning: str
    most: float = inf  # what it can be set to: of a longer history than is remembered a rule would never speak

    @property
    def scaled(self) -> int | float:
        """As rules use it."""
        scale = _SCALES.get(self.unit)
        return self.value if scale is None else int(self.value * scale)


_SCALES = {"s": SECOND, "min": MINUTE, "h": 60 * MINUTE}


def seconds(value: float, meaning: str) -> Limit:
    """A duration."""
    return Limit(value, "s", meaning)


def minutes(value: float, meaning: str) -> Limit:
    """A duration."""
    return Limit(value, "min", meaning)


def hours(value: float, meaning: str) -> Limit:
    """A duration."""
    return Limit(value, "h", meaning)


def amount(value: float, unit: str, meaning: str, most: float = inf) -> Limit:
    """Any other figure; `unit` as in "Wh", "%", "calls", "bytes"."""
    return Limit(value, unit, meaning, most)


class Told(Protocol):
    """What a rule is told: an Exchange or a Happening."""

    station: Station

    @property
    def time_ns(self) -> int:
        """When."""

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Where in the capture."""


class Case(Protocol):
    """What a rule has at hand."""

    @property
    def now(self) -> int:
        """The time of the capture, ns; after a `yield` that of waking."""

    def __getitem__(self, name: str) -> Any:
        """A limit: durations in ns (int), other figures as they are."""

    def memory(self, station: Station) -> dict[Any, Any]:
        """What this rule keeps of a station between calls; the rule bounds it."""

    def let_go(self) -> None:
        """Counts something that was waited for and is not any more, since it is too much; the report says so."""

    def find(
        self,
        text: str,
        at: Told,
        *,
        severity: Severity | None = None,
        blame: Blame | None = None,
        key: object = "",
        refs: tuple[Ref, ...] = (),
        measured: dict[str, str] | None = None,
        since_ns: int | None = None,
        latest: bool = False,
        once: bool = False,
    ) -> None:
        """Says what was found.

        `text` is a sentence in plain words with the figures that prove it, and holds no identifiers (tags, serials,
        URLs): those go into `measured` by name. Findings of one station with the same `key` are counted as one: what
        tells them apart (an action, a connector) belongs into it, what varies does not. `refs` default to those of
        `at`. `since_ns` is when it began, where the rule had to wait before it could say so.

        Of several texts of one finding the first of the worst stands; with `latest` the last of them does. With
        `once` it does too, and all are counted as one: for a text whose figures tell of all that happened so far. Its
        last place in the capture is then the latest.
        """


Verdict = Iterator[int] | None
Check = Callable[[Any, Case], Verdict]


class Rule(NamedTuple):
    """A rule as registered."""

    id: str
    group: Group
    severity: Severity
    title: str  # what is wrong, in a few words
    advice: str  # what to try, a sentence or two
    check: Check
    on: On | tuple[On, ...]
    spec: str = ""
    priority: int = 1
    versions: frozenset[Version] = ANY
    blame: Blame = Blame.UNKNOWN
    limits: Mapping[str, Limit] = MappingProxyType({})
    mute: Mute = Mute.GAP

    @property
    def layer(self) -> str:
        """Of its group."""
        return LAYERS.get(self.group, "application")

    @property
    def signature(self) -> str:
        """What it looks for: the docstring of its function."""
        return getdoc(self.check) or ""


RULES: dict[str, Rule] = {}
"""By id, in the order of the modules; filled by `load()`."""

MODULES = (
    "tcp", "connections", "tls", "upgrade", "subprotocol", "websocket", "framing", "rpc", "schema", "boot",
    "liveness", "status", "configuration", "commands", "firmware", "authorization", "remote", "transactions",
    "delivery",
    "transactions2", "metering", "sampling", "charging", "limits", "security", "certificates", "clock", "proxy",
)  # fmt: skip


def load() -> dict[str, Rule]:
    """All rules."""
    places = {import_module(f"ocppscope.analysis.rules.{name}").__name__: at for at, name in enumerate(MODULES)}
    ordered = sorted(RULES.items(), key=lambda item: places.get(item[1].check.__module__, len(places)))
    if ordered != list(RULES.items()):  # somebody has imported a module by itself
        RULES.clear()
        RULES.update(ordered)
    return RULES


def rule(
    id_: str,
    *,
    group: Group,
    on: On | tuple[On, ...],
    severity: Severity,
    title: str,
    advice: str,
    spec: str = "",
    priority: int = 1,
    versions: frozenset[Version] = ANY,
    blame: Blame = Blame.UNKNOWN,
    limits: dict[str, Limit] | None = None,
    mute: Mute = Mute.GAP,
) -> Callable[[Check], Check]:
    """Registers a rule."""

    def register(check: Check) -> Check:
        assert id_ not in RULES, id_
        RULES[id_] = Rule(
            id_, group, severity, title, advice, check, on, spec, priority, versions, blame, limits or {}, mute
        )
        return check

    return register


def family(group: Group) -> Callable[..., Callable[[Check], Check]]:
    """The decorator of a module of rules: `rule` with its group filled in."""
    return partial(rule, group=group)
