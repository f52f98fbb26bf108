"""The definitions of all figures as Markdown: docs/timing.md."""

from __future__ import annotations

from itertools import groupby

from ocppscope.analysis.timing.figures import (
    ENOUGH_FOR_P95,
    ENOUGH_FOR_P99,
    FAMILIES,
    SHARE_OF_ALARM,
    Figure,
    Kind,
    Unit,
    load,
)

_UNITS = {
    Unit.TIME: "time", Unit.COUNT: "number", Unit.BYTES: "bytes", Unit.PER_MINUTE: "a minute",
    Unit.PER_SECOND: "a second",
}  # fmt: skip
_INTRODUCTION = f"""\
# Timing figures

Made from the table that the program runs on: `ocppscope timing --markdown`.

A figure with a spread has the least, the most, and percentiles by nearest rank: the least value that so many
per cent of the cases do not exceed. p95 is told from {ENOUGH_FOR_P95} cases on, p99 from {ENOUGH_FOR_P99}; of
fewer they would be the maximum by another name. `n` is the number of cases. Of figures other than latency only
some of very many cases are kept for the percentiles; n, the least and the most stay exact.

Limits flag a row by its most extreme case unless something else is named. A counter that flags as a note or
warning does so from one case in {SHARE_OF_ALARM} on.

`--by station` tells each station apart, `--by hour` the hour of the capture (UTC; only spreads), `--by model`
vendor, model and firmware as the station's last BootNotification had them. Without it, figures about messages
are told over all stations and the others of each station and of all.

## The place of the capture

A latency is measured where the capture was made. It includes the way from there to the side that answers, and
back. The TCP handshake tells where that is: at the station, at the CSMS, between them, or so near to both that
it makes no difference. The column `net` (`network_ns`) is the quickest TCP round trip to the side that answers:
less that, a latency is the time that this side took.

## What a capture does not give

DNS queries are not read. The TLS handshake is only timed for connections that are not decrypted, which then
show no OCPP; how much TLS adds to the bytes is not told. The rounds of TCP are known as the quickest and
slowest of a connection, not minute by minute. How long anything waits inside a station or a CSMS before it is
sent does not show.
"""
_JSON = """\
## JSON and CSV

`--format json` prints one object: `captures`, `by`, `begins_ns`, `ends_ns`, `messages`, `vantages` (by
station), `rows`, `missing` (figures without a case), `unread` (what was not looked at: `kind`, `count`,
`text`) and `notices`. A row has `figure`, `family`, `station` (null: several), `of` (what it is told apart
by), `n`, `unit`, `min`, `p50`, `p95`, `p99`, `max` or `value`, `severity`, `counts` and `vantage`. Times are
in nanoseconds, their `unit` is `ns`. `--format csv` has the same in columns.
"""


def document() -> str:
    """The whole page."""
    figures = sorted(load().values(), key=lambda one: list(FAMILIES).index(one.family))
    parts = [_INTRODUCTION]
    for family, members in groupby(figures, lambda one: one.family):
        parts.append(f"## {FAMILIES[family]}\n")
        parts += [_section(one) for one in members]
    return "\n".join([*parts, _JSON])


def _section(one: Figure) -> str:
    kind = "" if one.kind is Kind.SPREAD else f", {one.kind}"
    lines = [
        f"### {one.id}",
        "",
        f"**{one.title}** ({_UNITS.get(one.unit, one.unit.value)}{kind})",
        "",
        one.definition,
        "",
    ]
    facts = [f"Told apart by {', '.join(one.split)}."] if one.split else []
    limits = one.describe_limits()
    facts += [f"Flagged: {limits}."] if limits else []
    facts += ["Shown with --all."] if one.quiet else []
    return "\n".join([*lines, *([" ".join(facts), ""] if facts else [])])
