"""Rules in a TOML file: what is to become of which messages, and what disturbs every connection.

    [[rule]]
    name = "reject the second boot"
    when = 'action == "BootNotification" and kind == CALLRESULT'
    do = "edit"
    set = {"/status" = "Rejected"}
    after = 1
    times = 1

    [faults]
    latency = "200ms"

`DEEDS` is the table of what a rule can do. All mistakes are found when the file is read and are said with the rule
that they are in. Nothing but that reads a file here.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.errors import UsageError
from ocppscope.model import Kind, Side
from ocppscope.proxy import policy
from ocppscope.proxy.editing import Change, EditError, Reply, changed, encoded, steps
from ocppscope.proxy.faults import SLOW_READER_RATE, End, Faults, Way
from ocppscope.proxy.policy import MAX_COPIES, MAX_HOLD_NS, SECOND, understood
from ocppscope.query.literals import duration, size

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from ocppscope.proxy.policy import Decision, Rule, Say, Seen
    from ocppscope.query.filter import Around, Filter

MAX_SCRIPT_BYTES = 1 << 20
"""The largest file of rules."""
MAX_RULES = 1_000
"""Most rules of a file."""
HALF_OPEN_NS = 60 * SECOND
"""For how long a connection stays half-open, if it is not said."""

COMMON = ("name", "when", "side", "do", "after", "times", "probability")
"""Keys of every rule."""
_CODE = re.compile(r"[A-Za-z0-9]{1,50}", re.ASCII)
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,80}")


class Deed(NamedTuple):
    """Something that a rule can do: its keys, a sentence, and what makes a decision of them."""

    keys: tuple[str, ...]
    sentence: str
    make: Callable[[_Table, str], Callable[[Seen], Decision | None]]


class _Table:
    """A table of the file, with the place for its errors. What is asked for is checked."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        self.values = values
        self.place = place

    def wrong(self, what: str, hint: str = "") -> UsageError:
        return UsageError(f"{self.place}: {what}.", hint)

    def only(self, keys: tuple[str, ...]) -> None:
        for key in self.values:
            if key not in keys:
                raise self.wrong(f"“{key!s:.40}” is not known here", f"Known are {', '.join(keys)}.")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(f"“{key}” is missing" if value is None else f"“{key}” is no text")
        return value

    def choice(self, key: str, known: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in known:
            raise self.wrong(f"“{key}” cannot be “{value:.40}”", f"It can be {', '.join(known)}.")
        return value

    def count(self, key: str, low: int, high: int, default: int) -> int:
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(f"“{key}” is no whole number from {low:,} to {high:,}")
        return value

    def yes(self, key: str, *, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"“{key}” is neither true nor false")
        return value

    def time(self, key: str, default: str | None = None, high: int = MAX_HOLD_NS) -> int:
        found = duration(self.text(key, default))
        if found is None or not 0 <= found <= high:
            raise self.wrong(f"“{key}” is no duration up to {high // SECOND:,} s", 'Write it like "250ms" or "2s".')
        return found

    def size(self, key: str, default: int = 0) -> int:
        value = self.values.get(key, default)
        found = size(value) if isinstance(value, str) else value
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 40:
            raise self.wrong(f"“{key}” is no size", 'Write it like 4096 or "4KiB".')
        return found

    def table(self, key: str) -> _Table:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(f"“{key}” is no table")
        return _Table(value, f"{self.place}: {key}")


# --- what a rule can do ---------------------------------------------------------------------------------------------


def _forward(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    return lambda _: policy.Forward(why)


def _drop(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    return lambda _: policy.Drop(why)


def _answer(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    if ("answer" in table.values) == ("error" in table.values):
        raise table.wrong("an answer needs either “answer”, its payload, or “error”")
    if "error" in table.values:
        error = table.table("error")
        error.only(("code", "description", "details"))
        code = error.text("code")
        if not _CODE.fullmatch(code):
            raise error.wrong("the code is no error code", 'Write it like "NotSupported".')
        reply = Reply(error=code, description=error.text("description", ""), details=error.table("details").values)
    else:
        reply = Reply(payload=table.table("answer").values)
    with _checked(table):
        reply.text("1")
    return lambda seen: policy.Drop(why, reply) if seen.message.kind is Kind.CALL else None


def _edit(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    if "text" in table.values:
        if "set" in table.values or "remove" in table.values:
            raise table.wrong("“text” replaces the whole message; there is nothing left to set or remove")
        text = table.text("text")
        return lambda _: policy.Edit(why, text)
    removed = table.values.get("remove", [])
    if not isinstance(removed, list) or not all(isinstance(one, str) for one in removed):
        raise table.wrong("“remove” is no list of JSON pointers", 'Write it like remove = ["/info"].')
    with _checked(table):
        changes = [Change(steps(path), encoded(value)) for path, value in table.table("set").values.items()]
        changes += [Change(steps(path), remove=True) for path in removed]
    if not changes:
        raise table.wrong("an edit needs “set”, “remove” or “text”", 'Like set = {"/status" = "Rejected"}.')
    return lambda seen: policy.Edit(why, changed(seen.text, seen.message.kind, changes))


def _hold(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    overtake = table.yes("overtake", default=True)
    return lambda _: policy.Hold(why, overtake)


def _delay(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    wait, overtake = table.time("wait"), table.yes("overtake", default=True)
    return lambda _: policy.Delay(why, wait, overtake)


def _duplicate(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    copies = table.count("copies", 2, MAX_COPIES, 2)
    return lambda _: policy.Duplicate(why, copies)


def _cut(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    how = table.choice("how", ("RST", "FIN", "close"), "RST")
    return lambda _: policy.Cut(why, how)


def _half_open(table: _Table, why: str) -> Callable[[Seen], Decision | None]:
    lasts = table.time("lasts", "60s", 3_600 * SECOND)
    return lambda _: policy.HalfOpen(why, lasts)


DEEDS: dict[str, Deed] = {
    "forward": Deed((), "sends it on, and no later rule, add-on or intercept is asked", _forward),
    "drop": Deed((), "does not send it on; the sender of a CALL waits in vain", _drop),
    "answer": Deed(("answer", "error"), "does not send a CALL on, and answers it in the receiver's place", _answer),
    "edit": Deed(("set", "remove", "text"), "changes it; later rules see the changed message", _edit),
    "hold": Deed(("overtake",), "lets the user decide", _hold),
    "delay": Deed(("wait", "overtake"), "sends it on later", _delay),
    "duplicate": Deed(("copies",), "sends it on more than once", _duplicate),
    "cut": Deed(("how",), "ends the connection instead: RST, FIN or close", _cut),
    "half-open": Deed(("lasts",), "lets nothing pass from here on, while the connection stays open", _half_open),
}
"""What a rule can do, by its name in `do`."""


@contextmanager
def _checked(table: _Table) -> Iterator[None]:
    """What cannot be done with JSON is an error of the file."""
    try:
        yield
    except EditError as error:
        raise table.wrong(str(error)) from None


# --- rules ----------------------------------------------------------------------------------------------------------


class Ruling(NamedTuple):
    """One rule as it was written."""

    name: str
    wanted: Filter | None
    side: Side | None
    after: int
    times: int | None
    probability: float
    make: Callable[[Seen], Decision | None]


class _Count:
    """One rule as one connection meets it."""

    def __init__(self, ruling: Ruling, script: Script, chance: random.Random) -> None:
        self._ruling = ruling
        self._script = script
        self._chance = chance
        self._met = 0
        self._applied = 0

    def decide(self, seen: Seen, around: Around, say: Say) -> Decision | None:
        rule = self._ruling
        if rule.side is not None and seen.message.side is not rule.side:
            return None
        if rule.times is not None and self._applied >= rule.times:
            return None
        if rule.wanted is not None and not rule.wanted.matches(seen.message, seen.connection, around):
            return None
        self._met += 1
        if self._met <= rule.after or (rule.probability < 1 and self._chance.random() >= rule.probability):
            return None
        try:
            decision = rule.make(seen)
        except EditError as error:
            self._script.complain(rule.name, str(error), say)
            return None
        self._applied += decision is not None
        return decision


class Script:
    """A file of rules, understood. A `policy.Rulebook`."""

    def __init__(self, rulings: tuple[Ruling, ...], faults: Faults | None) -> None:
        self.rulings = rulings
        self.faults = faults
        self._complained: set[str] = set()

    def rules(self, chance: random.Random) -> list[Rule]:
        """Its rules for one more connection; `after` and `times` count anew."""
        return [_Count(ruling, self, chance) for ruling in self.rulings]

    def complain(self, name: str, what: str, say: Say) -> None:
        """A rule that cannot do what it should says so once."""
        if name not in self._complained:
            self._complained.add(name)
            say(f"the rule “{name}” changed nothing: {what}")


def read_script(path: Path) -> Script:
    """Reads a file of rules. Raises `UsageError` with the rule that is wrong and what would be right."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise UsageError(f"{path}: larger than {MAX_SCRIPT_BYTES:,} bytes.", "Is this the right file?")
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {error}.", "The file is TOML.") from error
    return script_of(content, str(path))


def script_of(content: dict[str, Any], place: str) -> Script:
    """What a file says. Raises `UsageError`."""
    whole = _Table(content, place)
    whole.only(("rule", "faults"))
    rules = content.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise whole.wrong("“rule” is no list of tables", "Begin each rule with a line [[rule]].")
    if len(rules) > MAX_RULES:
        raise whole.wrong(f"more than {MAX_RULES:,} rules")
    rulings = tuple(_ruling(rule, number, place) for number, rule in enumerate(rules, 1))
    return Script(rulings, _faults(whole.table("faults")) if "faults" in content else None)


def _ruling(values: dict[str, Any], number: int, place: str) -> Ruling:
    name = values.get("name", f"rule {number}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{place}: rule {number}: “name” is no short text.")
    table = _Table(values, f"{place}: rule {number} (“{name}”)" if "name" in values else f"{place}: rule {number}")
    deed = DEEDS[table.choice("do", tuple(DEEDS))]
    table.only((*COMMON, *deed.keys))
    side = table.choice("side", ("station", "csms"), "station") if "side" in values else None
    return Ruling(
        name,
        _filter(table),
        None if side is None else Side[side.upper()],
        table.count("after", 0, 1 << 31, 0),
        table.count("times", 1, 1 << 31, 1) if "times" in values else None,
        _probability(table),
        deed.make(table, f"by the rule “{name}”"),
    )


def _filter(table: _Table) -> Filter | None:
    text = table.text("when", "")
    try:
        found = understood(text)
    except UsageError as error:
        raise UsageError(f"{table.place}: {error.what}", error.hint) from None
    return None if found.is_empty else found


def _probability(table: _Table) -> float:
    value = table.values.get("probability", 1)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise table.wrong("“probability” is no number from 0 to 1")
    return float(value)


# --- faults ---------------------------------------------------------------------------------------------------------

WAY = ("latency", "jitter", "bandwidth", "slow_reader")
"""Keys of `[faults]`, and of `[faults.station]` and `[faults.csms]` for what that side sends."""


def _faults(table: _Table) -> Faults:
    table.only((*WAY, "station", "csms", "cut", "half_open"))
    both = _way(table, Way())
    ends = [_end(table.table(key), key) for key in ("cut", "half_open") if key in table.values]
    if len(ends) > 1:
        raise table.wrong("a connection can be cut or become half-open, not both")
    ways = []
    for side in ("station", "csms"):
        own = table.table(side)
        own.only(WAY)
        ways.append(_way(own, both))
    return Faults(ways[0], ways[1], ends[0] if ends else None)


def _way(table: _Table, default: Way) -> Way:
    slow = table.yes("slow_reader", default=default.slow_reader)
    rate = table.size("bandwidth", default.bandwidth)
    return Way(
        table.time("latency") if "latency" in table.values else default.latency_ns,
        table.time("jitter") if "jitter" in table.values else default.jitter_ns,
        rate or (SLOW_READER_RATE if slow else 0),
        slow,
    )


def _end(table: _Table, kind: str) -> End:
    table.only(("after", "after_bytes", *(("how",) if kind == "cut" else ("lasts",))))
    if "after" not in table.values and "after_bytes" not in table.values:
        raise table.wrong("“after” or “after_bytes” is missing", 'Write it like {after = "30s"}.')
    after = table.time("after", high=30 * 86_400 * SECOND) if "after" in table.values else None
    octets = table.size("after_bytes") if "after_bytes" in table.values else None
    if kind == "cut":
        return End(table.choice("how", ("RST", "FIN"), "RST"), octets, after)
    return End("", octets, after, table.time("lasts", "60s", 3_600 * SECOND))
