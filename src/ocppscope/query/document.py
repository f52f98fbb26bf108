"""The reference of the display filter, made from the table of fields: as Markdown (docs/filter.md is this text), as a
list for a terminal, and of one field.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from ocppscope.query import literals
from ocppscope.query.check import field_or_error
from ocppscope.query.fields import FIELDS, Field, Level
from ocppscope.query.patterns import LENGTHS
from ocppscope.query.values import Type

_MAX_CHOICES = 12

OPERATORS = (
    ("`==` `eq`", "equal", '`action == "Heartbeat"`'),
    ("`!=` `ne`", "has a value, and none that is equal", "`version != 1.6`"),
    ("`<` `<=` `>` `>=` `lt` `le` `gt` `ge`", "less, more", "`latency > 2s`"),
    ("`contains`", "has the text in it; upper and lower case differ", '`station contains "CP"`'),
    ("`matches` `~`", "has what a regular expression describes; case is ignored", '`action matches "^Start"`'),
    ("`in {…}`", "is one of the values, or in a range", "`kind in {CALLERROR, SEND}`, `port in {80, 9000..9100}`"),
    ("`not in` `not contains` `not matches`", "the opposite", "`action not in {Heartbeat, MeterValues}`"),
    ("`and` `&&`", "both; binds stronger than `or`", "`error and side == csms`"),
    ("`or` `||`", "at least one", "`error or latency > 2s`"),
    ("`not` `!`", "the opposite; binds strongest", "`not problem`"),
)
"""Spelling, meaning and an example of every operator."""

_INTRODUCTION = """\
# The display filter

One language for `-Y`, the filter bar, intercepting, exporting and fail conditions.

    action == "BootNotification" and latency > 2s
    station contains "CP" && !problem
    payload.meterValue[0].sampledValue[*].value > 100
    time >= "2026-11-22T10:00"
    Heartbeat

A field by itself asks whether the message has a value of it; a *yes or no* field, whether it is true. Any other word
or quoted text by itself is looked for in the message as it is on the wire, its action and its station; there, upper
and lower case of ASCII letters are the same. Values need quotes only where they hold blanks, quotes, commas, (), {}
or one of `=!<>&|~`; in quotes, `\\"` is a quote and `\\\\` a backslash. `@name` stands for a filter of the
configuration file.

**Missing values.** A message may have no value of a field: then every comparison is false, `!=` too, and `not` of it
is true. `!(action == Heartbeat)` passes messages without an action, `action != Heartbeat` does not. Of several values
one has to fit; with `!=`, none may be equal.
"""

_VALUES = """\
## Values

- **Durations** need a unit: {durations}.
- **Sizes** are bytes, or have a unit: {sizes}.
- **Times** are `2026-11-22`, `2026-11-22T10:00`, `"2026-11-22 10:00:00.250"`: UTC, as all times are shown, unless an
  offset like `+01:00` says otherwise. A plain number is seconds since 1970.
- **Choices** may be written in any case; **texts** are compared as they are.
- **Regular expressions** are Python's, without what looks ahead, behind or back, and without a repetition inside a
  repetition. They look at the first {longest:,} characters of a text, and at fewer (down to {shortest}) the more
  repetitions they have.

## Paths into the payload

`payload.key.key`, `payload.list[0].key`, `payload.list[*].key`: of an error the payload is its details. `[*]` is
every element, and a key that meets a list is looked for in each of its elements. `null` counts as missing. A number
is compared with numbers, and with texts that are written as one, as OCPP 1.6 writes meter values; a text in quotes
with texts, and with numbers as they print. `payload` alone is the whole message, as `text` is.
"""


def document() -> str:
    """The whole page."""
    return "".join(_parts())


def listing() -> str:
    """Every field in a line, and where to read on."""
    column = max(map(len, FIELDS))
    lines = []
    for level in Level:
        fields = [field for field in FIELDS.values() if field.level is level]
        lines.append(f"Of the {level.value}:\n")
        lines += [f"  {field.name:{column}}  {_type(field):17}  {field.help}\n" for field in fields]
        lines.append("\n")
    lines.append(
        "Paths into the payload are fields, too: payload.meterValue[0].sampledValue[*].value > 100\n"
        "`ocppscope fields NAME` explains one field, `ocppscope fields --markdown` the whole language.\n"
    )
    return "".join(lines)


def explanation(name: str) -> str:
    """Everything there is to say of one field; raises `FilterError` if there is none of that name."""
    field = field_or_error(name)
    lines = [f"{field.name}: {field.help}\n", f"  type     {_type(field)}\n"]
    if field.aliases:
        lines.append(f"  also     {', '.join(field.aliases)}\n")
    if field.choices:
        lines += wrap(", ".join(field.choices), 100, initial_indent="  choices  ", subsequent_indent=" " * 11)
        lines[-1] += "\n"
    return "\n".join(lines).replace("\n\n", "\n")


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    yield "\n## Operators\n\n| operator | passes if the field | example |\n|---|---|---|\n"
    for row in OPERATORS:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n"
    yield "\n"
    yield _VALUES.format(
        durations=_listed(literals.DURATIONS),
        sizes=_listed(literals.SIZES),
        longest=LENGTHS[0],
        shortest=LENGTHS[-1],
    )
    yield "\n## Fields\n\nThe prefix `ocpp.` may stand before each.\n"
    for level in Level:
        yield f"\n### Of the {level.value}\n\n| field | type | meaning | other names |\n|---|---|---|---|\n"
        yield from (_row(field) for field in FIELDS.values() if field.level is level)


def _row(field: Field) -> str:
    aliases = ", ".join(f"`{alias}`" for alias in field.aliases)
    return f"| `{field.name}` | {_type(field)} | {field.help}{_choices(field)} | {aliases} |\n"


def _type(field: Field) -> str:
    return f"{field.type.value}, several" if field.many else field.type.value


def _choices(field: Field) -> str:
    if field.type is not Type.CHOICE:
        return ""
    if len(field.choices) > _MAX_CHOICES:
        return f"; one of {len(field.choices)} codes like `{field.choices[0]}`"
    return ": " + ", ".join(f"`{choice}`" for choice in field.choices)


def _listed(units: dict[str, int]) -> str:
    return ", ".join(f"`{unit}`" for unit in units)
