"""What `bench.proxy` measured, as Markdown. A round is `{subject: figures}`; nothing is measured here."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = dict[str, Any]
Round = dict[str, Row]
DIRECT_NAME, MITMDUMP_NAME = "no proxy", "mitmdump"
FASTEST = "closed 100"


class Column(NamedTuple):
    """A figure of one subject in one round; None where there is none."""

    title: str
    look: Callable[[Round, str], float | None]
    form: str


def delay(which: str, quantile: int) -> Callable[[Round, str], float]:
    """Milliseconds of the paced traffic: `which` is the way of a message or the trip of a CALL and its answer."""
    return lambda one, name: float(one[name]["paced"][which][quantile])


def added(which: str, quantile: int) -> Callable[[Round, str], float | None]:
    """The same, less that of no proxy in the same round."""
    look = delay(which, quantile)
    return lambda one, name: None if name == DIRECT_NAME else look(one, name) - look(one, DIRECT_NAME)


def speed(crowd: int) -> Callable[[Round, str], float]:
    """Messages a second, as fast as the answers come."""
    return lambda one, name: float(one[name][f"closed {crowd}"]["messages_a_second"])


def times_mitmdump(one: Round, name: str) -> float | None:
    """Messages a second against those of mitmdump in the same round."""
    if MITMDUMP_NAME not in one:
        return None
    ours, theirs = (one[who][FASTEST]["messages_a_second"] for who in (name, MITMDUMP_NAME))
    return float(ours / theirs)


def work(one: Round, name: str) -> float | None:
    """CPU time of the relaying process for a message (µs)."""
    return None if name == DIRECT_NAME else one[name][FASTEST]["cpu_us"]


def work_of_mitmdump(one: Round, name: str) -> float | None:
    """How many times our CPU time mitmdump takes for a message: what else the machine does matters little to it."""
    ours = work(one, name)
    return float(one[MITMDUMP_NAME][FASTEST]["cpu_us"] / ours) if ours and MITMDUMP_NAME in one else None


def memory(when: str, process: int) -> Callable[[Round, str], float | None]:
    """Resident MB of the relay (0) and of the viewer (1)."""
    return lambda one, name: one[name]["memory_mb"][when][process] or None


DELAYS = (
    Column("a message takes p50 ms", delay("way_ms", 0), ".3f"),
    Column("p99", delay("way_ms", 1), ".3f"),
    Column("added p50 ms", added("way_ms", 0), ".3f"),
    Column("added p99", added("way_ms", 1), ".3f"),
    Column("CALL and answer, added p50 ms", added("trip_ms", 0), ".3f"),
)
VISIT = (
    *DELAYS,
    *(Column(f"messages/s, {crowd} connected", speed(crowd), ",.0f") for crowd in (1, 10, 100)),
    Column("times mitmdump's", times_mitmdump, ".1f"),
    Column("CPU µs a message", work, ".0f"),
    Column("mitmdump's takes times", work_of_mitmdump, ".1f"),
    Column("starts in s", lambda one, name: one[name]["start_seconds"] or None, ".2f"),
)
FLEET = (
    *DELAYS,
    Column("connected in s", lambda one, name: float(one[name]["connect_seconds"]), ".2f"),
    Column("lost", lambda one, name: float(one[name]["paced"]["lost"]), ".0f"),
    Column("relay MB, silent", memory("before", 0), ".0f"),
    Column("after", memory("after", 0), ".0f"),
    Column("viewer MB", memory("after", 1), ".0f"),
)


def table(rounds: list[Round], columns: tuple[Column, ...]) -> Iterator[str]:
    """One line a subject."""
    yield f"| through | {' | '.join(column.title for column in columns)} |"
    yield f"|---|{'--:|' * len(columns)}"
    for name in rounds[0]:
        yield f"| {name} | {' | '.join(cell(rounds, name, column) for column in columns)} |"


def cell(rounds: list[Round], name: str, column: Column) -> str:
    """`0.21 (0.19-0.30)`: the median of the rounds, and the least and the most."""
    values = [value for one in rounds if (value := column.look(one, name)) is not None]
    if not values:
        return ""
    low, middle, high = (f"{value:{column.form}}" for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def complaints(rounds: list[Round]) -> Iterator[str]:
    """Whatever is not as it must be: messages that are lost, come twice or are not in the recording."""
    for one in rounds:
        for name, row in one.items():
            parts = [part for key, part in row.items() if key == "paced" or key.startswith("closed")]
            for what in ("lost", "doubled", "ended"):
                if count := sum(part[what] for part in parts):
                    yield f"{name}: {count:,} {what}"
            passed = sum(part["sent"] + part["answered"] for part in parts)
            if row.get("recorded", passed) != passed:
                yield f"{name}: of {passed:,} messages {row['recorded']:,} are in the recording"
