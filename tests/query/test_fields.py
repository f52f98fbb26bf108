"""The table of fields is whole, its names are free of clashes, and the reference tells all of it."""

import pytest

from ocppscope.model import Outcome, Side, Version
from ocppscope.problems import PROBLEMS
from ocppscope.query.document import OPERATORS, document
from ocppscope.query.fields import ALIASES, FIELDS, field_named
from ocppscope.query.lexer import WORD_OPERATORS, tokens
from ocppscope.query.values import Type

PROMISED = [
    "time",
    "delta",
    "row",
    "station",
    "connection",
    "version",
    "side",
    "kind",
    "action",
    "id",
    "status",
    "error",
    "latency",
    "outcome",
    "size",
    "wire_size",
    "compressed",
    "frames",
    "problem",
    "connector",
    "evse",
    "transaction",
    "tag",
    "packet",
    "src",
    "dst",
    "port",
    "offline",
    "mark",
    "note",
]
CHECKOCPP = [
    "ocpp.message_type_id",
    "ocpp.message_type",
    "ocpp.unique_id",
    "ocpp.message_id",
    "ocpp.action",
    "ocpp.message_name",
    "ocpp.payload",
    "ocpp.error_code",
    "ocpp.error_description",
    "ocpp.version",
    "ocpp.valid",
    "ocpp.error_info",
    "ocpp.ipv6",
]


@pytest.mark.parametrize("name", PROMISED + CHECKOCPP)
def test_promised_names(name):
    assert field_named(name) is not None
    assert field_named(f"ocpp.{name.removeprefix('ocpp.')}") == field_named(name)


def test_no_name_means_two_things():
    names = [*FIELDS, *(alias for field in FIELDS.values() for alias in field.aliases), "payload"]
    assert len(names) == len(set(names))
    for name in names:
        assert [token.kind for token in tokens(name)] == ["word", "end"]
        assert name not in WORD_OPERATORS
    assert set(ALIASES.values()) <= FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_every_row_is_whole(name):
    field = FIELDS[name]
    assert field.title
    assert 3 <= field.width <= 60
    assert not field.help.endswith(".")
    assert bool(field.choices) == (field.type is Type.CHOICE)
    assert set(field.spellings.values()) <= set(field.choices)
    assert all(token.kind != "text" for choice in field.choices for token in tokens(choice))


def test_choices_are_those_of_the_model():
    assert set(FIELDS["side"].choices) == {side.label for side in Side}
    assert set(FIELDS["outcome"].choices) == {outcome.value for outcome in Outcome} - {""}
    assert list(FIELDS["version"].choices) == sorted(version.value for version in Version if version.value != "?")
    assert set(FIELDS["problem"].choices) == PROBLEMS.keys()


def test_the_reference_tells_everything():
    page = document()
    for field in FIELDS.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{field.name}` |"))
        assert field.help in row
        assert all(f"`{alias}`" in row for alias in field.aliases)
    for spelling, _, _ in OPERATORS:
        assert spelling.replace("|", "&#124;") in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} <= {4, 5}
    assert "{" not in page.replace("`in {…}`", "").replace("{CALLERROR, SEND}", "").replace(
        "{80, 9000..9100}", "").replace("{Heartbeat, MeterValues}", "").replace("(), {}", "")  # fmt: skip


def test_the_examples_of_the_reference_are_filters():
    from ocppscope.query.filter import compile_filter

    examples = [example.strip("`") for *_, cell in OPERATORS for example in cell.split("`, `")]
    examples += [line.strip() for line in document().splitlines() if line.startswith("    ")]
    assert len(examples) > 14
    for example in examples:
        assert not compile_filter(example).is_empty


def test_the_reference_in_the_docs_is_this_one(project_root):
    page = project_root / "docs" / "filter.md"
    if not page.exists():
        pytest.skip("docs/filter.md is not written yet: it is what query.document.document() returns")
    assert page.read_text(encoding="utf-8") == document()
