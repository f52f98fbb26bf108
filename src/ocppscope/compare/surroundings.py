"""What differs between two sessions besides their messages: upgrade, ends, findings, problems, configuration."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.compare import endings
from ocppscope.compare.report import Difference, Fact, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Finding
    from ocppscope.compare.ladders import Ladders
    from ocppscope.compare.stories import Story
    from ocppscope.model import Connection, Handshake

MAX_SETTINGS = 40
"""Settings that are listed."""
MAX_REASON = 60
_SECRET = re.compile(r"authorizationkey|password|secret", re.IGNORECASE)
_CHANCE = frozenset({
    "sec-websocket-key", "sec-websocket-accept", "host", "date", "content-length", "authorization", "cookie",
    "set-cookie",
    "x-request-id", "cf-ray", "traceparent", "x-forwarded-for", "x-real-ip", "origin", "via",
})  # fmt: skip
"""Headers whose values are names, times or chance: only whether they are there is compared."""
_WEIGHTS = {Severity.ERROR: 88, Severity.WARNING: 68, Severity.NOTE: 30}


def surroundings(a: Story, b: Story, name: str, ladders: Ladders) -> Iterator[Difference]:
    """All of them."""
    yield from _upgrade(a, b, name)
    yield from _refusals(a, b, name)
    yield from _ends(a, b, name)
    yield from _findings(a, b, name)
    yield from _problems(a, b, name, ladders)
    yield from _equipment(a, b, name)
    yield from _settings(a, b, name)


# --- connections --------------------------------------------------------------------------------------------------


def _shaken(story: Story) -> Handshake | None:
    return next((one.handshake for one in story.upgraded if one.handshake is not None), None)


def _upgrade(a: Story, b: Story, name: str) -> Iterator[Difference]:
    one, other = _shaken(a), _shaken(b)
    if one is None or other is None:
        return
    agreed = [
        Fact(what, left, right)
        for what, left, right in (
            ("subprotocol agreed", one.protocol or "", other.protocol or ""),
            ("subprotocols offered", ", ".join(one.offered_protocols), ", ".join(other.offered_protocols)),
            ("extensions agreed", ", ".join(one.extensions), ", ".join(other.extensions)),
            ("extensions offered", ", ".join(one.offered_extensions), ", ".join(other.offered_extensions)),
        )
        if left != right
    ]
    if agreed:
        weight = 92 if agreed[0].name == "subprotocol agreed" else 56
        yield Difference(
            "negotiation", weight, f"Another agreement: {', '.join(fact.name for fact in agreed)}.",
            "The subprotocol decides what the payloads mean, extensions how they are packed.", name, 1, tuple(agreed),
        )  # fmt: skip
    facts = [*_headers("request", one.request_headers, other.request_headers)]
    facts += _headers("response", one.response_headers, other.response_headers)
    if facts:
        names = ", ".join(fact.name for fact in facts[:4]) + (", …" if len(facts) > 4 else "")
        yield Difference("headers", 34, f"Other headers in the upgrade: {names}.",
                         "They tell stacks and proxies apart.", name, len(facts), tuple(facts))  # fmt: skip


def _headers(of: str, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...]) -> Iterator[Fact]:
    skipped = ("sec-websocket-protocol", "sec-websocket-extensions")
    one, other = ({key.lower(): value for key, value in part} for part in (a, b))
    for key in [*one, *(key for key in other if key not in one)]:
        left, right = (_header(key, part) for part in (one, other))
        if left != right and key not in skipped:
            yield Fact(f"{of} {key}", left, right)


def _header(key: str, headers: dict[str, str]) -> str:
    """Its value; of one whose value is chance, whether it is there."""
    return ("(there)" if key in headers else "") if key in _CHANCE else headers.get(key, "")


def _refusals(a: Story, b: Story, name: str) -> Iterator[Difference]:
    counts = [
        Counter(
            _refusal(one.handshake)
            for one in story.connections
            if one.handshake is not None and not one.handshake.upgraded
        )
        for story in (a, b)
    ]
    for what in sorted({*counts[0], *counts[1]}):
        if (what in counts[0]) != (what in counts[1]):
            letter = "A" if what in counts[0] else "B"
            count = counts["AB".index(letter)][what]
            times = f" ({count:,} times)" if count > 1 else ""
            yield Difference(
                "refusal", 97, f"An upgrade is refused only in {letter}{times}: {what}.",
                "Without a connection there is no session.", name, count,
            )  # fmt: skip


def _refusal(upgrade: Handshake) -> str:
    return "no answer" if upgrade.status is None else f"{upgrade.status} {upgrade.reason[:MAX_REASON]}".strip()


def _ends(a: Story, b: Story, name: str) -> Iterator[Difference]:
    counts = [Counter(_end(one) for one in story.upgraded) for story in (a, b)]
    if set(counts[0]) == set(counts[1]):
        return
    bad = any("RST" in end or "FIN" in end for end in {*counts[0], *counts[1]} - ({*counts[0]} & {*counts[1]}))
    yield Difference(
        "end", 72 if bad else 52, f"Connections end otherwise: in A {_told(counts[0])}; in B {_told(counts[1])}.",
        "How a connection ends says who gave up.", name,
    )  # fmt: skip
    if abs(len(a.upgraded) - len(b.upgraded)) > 1:
        yield Difference(
            "reconnects", 70, f"{len(a.upgraded):,} connections in A, {len(b.upgraded):,} in B.",
            "Who connects again and again lost something before.", name,
        )  # fmt: skip


def _end(connection: Connection) -> str:
    return "still open at the end" if endings.is_open(connection) else endings.how(connection)


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} times {end}" if count > 1 else end for end, count in counts.most_common(4)) or "none"


# --- what is wrong ------------------------------------------------------------------------------------------------


def _findings(a: Story, b: Story, name: str) -> Iterator[Difference]:
    found = [_by_rule(story) for story in (a, b)]
    for which, rules in enumerate(found):
        for rule, one in rules.items():
            if rule in found[1 - which]:
                continue
            letter = "AB"[which]
            times = f" ({one.count:,} times)" if one.count > 1 else ""
            yield Difference(
                "finding", _WEIGHTS[one.severity] - (12 if one.root is not None else 0),
                f"Only in {letter}, {one.severity.label} {rule}{times}: {one.text}",
                f"What the diagnosis finds in one of them only; blame: {one.blame}.", name, one.count,
            )  # fmt: skip


def _by_rule(story: Story) -> dict[str, Finding]:
    """The worst finding of each rule."""
    found: dict[str, Finding] = {}
    for one in story.recording.diagnosis.findings():
        if one.station == story.identity and (one.rule not in found or one.severity > found[one.rule].severity):
            found[one.rule] = one
    return found


def _problems(a: Story, b: Story, name: str, ladders: Ladders) -> Iterator[Difference]:
    codes = [{code for code, _ in story.problems} for story in (a, b)]
    for which, story in enumerate((a, b)):
        for (code, action), count in story.problems.items():
            if code in codes[1 - which]:
                continue
            row = story.first_problem[code, action]
            times = f" ({count:,} times)" if count > 1 else ""
            text = f"Only in {'AB'[which]}, problem {code} in {action or 'a message'}{times}."
            place = (row, -1) if which == 0 else (-1, row)
            yield Difference("problem", 58, text, "What the decoder objects to in one of them only.", name, count,
                             ladder=ladders.beside(*place, (Mark.ONLY_A, Mark.ONLY_B)[which]))  # fmt: skip


# --- configuration ------------------------------------------------------------------------------------------------


def _equipment(a: Story, b: Story, name: str) -> Iterator[Difference]:
    if a.station is None or b.station is None:
        return
    one, other = a.station.registration, b.station.registration
    facts = [
        Fact(what, getattr(one, what), getattr(other, what))
        for what in ("vendor", "model", "firmware")
        if getattr(one, what) != getattr(other, what) and getattr(one, what) and getattr(other, what)
    ]
    if facts:
        yield Difference("equipment", 74, f"Another {', '.join(fact.name for fact in facts)}.",
                         "Explains much of what follows, if not who is right.", name, 1, tuple(facts))  # fmt: skip
    intervals = [[str(boot.interval_ns // 10**9) for boot in part.boots if boot.interval_ns] for part in (one, other)]
    if intervals[0] and intervals[1] and intervals[0][-1] != intervals[1][-1]:
        yield Difference(
            "configuration", 48, "The CSMS sets another heartbeat interval at boot.",
            "It sets the station's rhythm.", name, 1,
            (Fact("BootNotification interval, s", intervals[0][-1], intervals[1][-1]),),
        )  # fmt: skip


def _settings(a: Story, b: Story, name: str) -> Iterator[Difference]:
    if a.station is None or b.station is None:
        return
    one, other = a.station.configuration.settings, b.station.configuration.settings
    if not one or not other:
        return
    facts = [
        Fact(key, *(_setting(key, part[key].value) if key in part else "" for part in (one, other)))
        for key in sorted({*one, *other})
        if (key in one) != (key in other) or one[key].value != other[key].value
    ]
    changed = [fact for fact in facts if fact.name in one and fact.name in other]
    ordered = [*changed, *(fact for fact in facts if fact not in changed)]
    if ordered:
        told = [(len(changed), "with another value"), (len(facts) - len(changed), "known in one only")]
        text = f"Settings: {', '.join(f'{count:,} {words}' for count, words in told if count)}."
        yield Difference("configuration", 55 if changed else 32, text, "Settings change what a station does.", name,
                         len(ordered), tuple(ordered[:MAX_SETTINGS]))  # fmt: skip


def _setting(key: str, value: str) -> str:
    return "(hidden)" if _SECRET.search(key[:256]) else value
