"""What two captures of one connection say of it besides its messages: upgrade, TCP, keepalives, and who cut it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.compare.report import Difference, Fact
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.compare.recording import Frames
    from ocppscope.model import Connection, ControlFrame

SENDERS = "the station", "the CSMS"
NAMES = {8: "Close", 9: "ping", 10: "pong"}
MAX_HEADERS = 40
"""Headers that differ and are listed of one connection; the others are counted."""
_OPEN = ("", "end of capture")
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class Sighting(NamedTuple):
    """Who tells of a pair: which capture is nearer to the station, and the difference of the clocks there."""

    near: str  # "A" or "B", the one nearer to the station
    offset_ns: int  # clock of B less clock of A
    uncertainty_ns: int
    known: bool  # whether it is known which is nearer
    over_ns: tuple[int, int]  # until when A and B could have shown an end, by the clock of A

    @property
    def far(self) -> str:
        """The one nearer to the CSMS."""
        return "B" if self.near == "A" else "A"

    def of(self, side: Side) -> str:
        """The capture that is nearer to a side."""
        return self.near if side is Side.STATION else self.far


# --- handshake ----------------------------------------------------------------------------------------------------


def headers(a: Connection, b: Connection) -> tuple[Fact, ...]:
    """What differs in the upgrade. Values of headers that hold secrets are not shown."""
    one, other = a.handshake, b.handshake
    if one is None or other is None or a.transport is None or b.transport is None:  # a log's upgrade is made up
        return ()
    facts = [
        Fact(name, str(left), str(right))
        for name, left, right in (
            ("request line", f"{one.method} {one.target}", f"{other.method} {other.target}"),
            ("status", one.status, other.status),
            ("reason", one.reason, other.reason),
        )
        if left != right and None not in (left, right)
    ]
    facts += _differing("request", one.request_headers, other.request_headers)
    if one.response_headers and other.response_headers:
        facts += _differing("response", one.response_headers, other.response_headers)
    more = len(facts) - MAX_HEADERS
    return tuple(facts) if more <= 0 else (*facts[:MAX_HEADERS], Fact(f"{more:,} more", "…", "…"))


def _differing(of: str, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...]) -> Iterator[Fact]:
    known = [_joined(part) for part in (a, b)]
    for name in [*known[0], *(name for name in known[1] if name not in known[0])]:
        left, right = (part.get(name, "") for part in known)
        if left != right:
            hidden = name in _SECRET
            yield Fact(f"{of} {name}", _value(left, hidden=hidden), _value(right, hidden=hidden))


def _joined(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _value(text: str, *, hidden: bool) -> str:
    return "(hidden)" if hidden and text else text


# --- who cut ------------------------------------------------------------------------------------------------------


def is_open(connection: Connection) -> bool:
    """Whether its end was not captured."""
    return connection.closed_ns is None or connection.close_how in _OPEN


def ending(a: Connection, b: Connection, seen: Sighting) -> tuple[str, str, int]:
    """Who cut a connection: a code ("" where both captures agree), a sentence, and its weight."""
    forged = _forged(a, b, seen)
    if forged:
        return forged
    if is_open(a) and is_open(b):
        return "", "Open at the end of both captures.", 0
    if is_open(a) != is_open(b):
        there, gone = ("A", b) if is_open(a) else ("B", a)
        other = "B" if there == "A" else "A"
        ended_ns = (gone.closed_ns or 0) - (seen.offset_ns if there == "A" else 0)
        if ended_ns > seen.over_ns["AB".index(there)]:
            return "", f"{other} saw {how(gone)}; the capture {there} was over by then.", 0
        return (
            "end-unseen",
            f"{other} saw {how(gone)}, {there} did not, although it was taken longer: it stayed open there.",
            82,
        )
    return _both(a, b, seen)


def _both(a: Connection, b: Connection, seen: Sighting) -> tuple[str, str, int]:
    assert a.closed_ns is not None
    assert b.closed_ns is not None
    later = b.closed_ns - seen.offset_ns - a.closed_ns
    first = "A" if later > seen.uncertainty_ns else "B" if -later > seen.uncertainty_ns else ""
    when = (
        f"first seen at {first}, {abs(later) / 1e6:,.3f} ms before" if first else "at the same time as far as known"
    )
    if _cause(a) == _cause(b):
        expected = seen.of(a.closed_by) if a.closed_by is not None else ""
        odd = seen.known and first and expected and first != expected and a.closed_by is not None
        if odd:
            assert a.closed_by is not None
            sentence = (
                f"Both saw {how(a)}, but {first} saw it first, which is farther from {SENDERS[a.closed_by]}: whoever "
                "cut it sits between."
            )
            return "cut-between", sentence, 90
        return "", f"Both saw {how(a)}, {when}.", 0
    return "end-differs", f"A saw {how(a)}, B saw {how(b)}; {when}.", 84


def _cause(connection: Connection) -> tuple[str, object, object]:
    return connection.close_how, connection.closed_by, connection.close_code


def _forged(a: Connection, b: Connection, seen: Sighting) -> tuple[str, str, int] | None:
    """A reset or FIN that the capture nearer to its sender did not see."""
    if a.transport is None or b.transport is None or not seen.known:
        return None
    by_name = {"A": a.transport, "B": b.transport}
    for side in Side:
        near, far = by_name[seen.of(side)], by_name[seen.of(side.other)]
        mine, theirs = near.sides[side], far.sides[side]
        if theirs.rst_ns is not None and mine.rst_ns is None:
            sentence = (
                f"{seen.of(side.other)} saw a reset (RST) that claims to come from {SENDERS[side]}, and "
                f"{seen.of(side)}, which is nearer to it, did not: something between the two captures sent it."
            )
            return "reset-between", sentence, 98
        if mine.rst_ns is not None and theirs.rst_ns is None and theirs.fin_ns is None:
            sentence = (
                f"The reset (RST) of {SENDERS[side]} was seen at {seen.of(side)} and never arrived at "
                f"{seen.of(side.other)}: for that end the connection stayed open."
            )
            return "reset-lost", sentence, 86
    return None


def how(connection: Connection) -> str:
    """`a FIN of the station`, `Close 1000 of the CSMS`."""
    what = connection.close_how
    if what == "close frame":
        what = "Close" if connection.close_code is None else f"Close {connection.close_code}"
    return what if connection.closed_by is None else f"{what} of {SENDERS[connection.closed_by]}"


# --- keepalives ---------------------------------------------------------------------------------------------------


def keepalives(a: Frames | None, b: Frames | None, window: tuple[int, int], offset_ns: int) -> list[tuple[str, int]]:
    """Sentences about pings, pongs and Close frames of which one capture saw more, with their weights.

    `window` is the time, by the clock of A, in which both captures saw the connection.
    """
    low, high = window
    counts = [
        Counter((one.side, one.opcode) for one in _controls(part) if low <= one.time_ns - shift <= high)
        for part, shift in ((a, 0), (b, offset_ns))
    ]
    found = []
    for side, opcode in sorted(counts[0] | counts[1]):
        one, other = (part[side, opcode] for part in counts)
        if opcode not in NAMES or abs(one - other) <= (0 if 0 in (one, other) and one + other > 1 else 1):
            continue
        name = NAMES[opcode] if opcode == 8 else f"{NAMES[opcode]}s"
        only = " Something between answers or sends them by itself." if 0 in (one, other) and opcode != 8 else ""
        found.append((f"{name} from {SENDERS[side]}: {one:,} at A, {other:,} at B.{only}", 58 if only else 42))
    return found


def _controls(frames: Frames | None) -> list[ControlFrame]:
    return [] if frames is None else frames.controls


def with_facts(facts: tuple[Fact, ...], station: str, count: int) -> Difference:
    """The difference of upgrades; `count` connections have the same one."""
    names = ", ".join(fact.name for fact in facts[:4]) + (", …" if len(facts) > 4 else "")
    many = f" (and of {count - 1:,} more connections)" if count > 1 else ""
    return Difference(
        "handshake", 50, f"The upgrade differs{many}: {names}.",
        "What is between the captures reads and rewrites the upgrade, so that it is a proxy and no router.",
        station, count, facts,
    )  # fmt: skip
