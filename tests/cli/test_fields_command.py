"""`ocppscope fields`, and its page in the documentation."""

from pathlib import Path

import pytest

from ocppscope.query.fields import FIELDS
from support_cli import run

FILTER_MD = Path(__file__).parents[2] / "docs" / "filter.md"


def test_all_fields_are_listed():
    done = run("fields")
    assert done.code == 0
    assert {line.split()[0] for line in done.lines if line.startswith("  ")} == FIELDS.keys()


@pytest.mark.parametrize("name", [*FIELDS, "ocpp.message_id", "payload.meterValue[0].timestamp"])
def test_a_field_is_explained(name):
    done = run("fields", name)
    assert done.code == 0
    assert len(done.lines) >= 2


@pytest.mark.parametrize(("name", "hint"), [("latncy", "latency"), ("payload.a[", "payload.list[0].key"), ("", "")])
def test_a_name_that_is_none(name, hint):
    done = run("fields", name)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err


def test_the_page_is_what_the_command_prints():
    """After a change of the table: `ocppscope fields --markdown > docs/filter.md`."""
    assert run("fields", "--markdown").out == FILTER_MD.read_text()
