"""The rules for people."""

from pathlib import Path

import pytest

from ocppscope.analysis.registry import load
from ocppscope.errors import UsageError
from ocppscope.render.rulebook import catalogue, explanation, listing

RULES_MD = Path(__file__).parents[2] / "docs" / "rules.md"


def test_every_rule_is_listed_and_explained():
    page, listed = catalogue(), listing()
    for rule in load().values():
        assert f"### {rule.id}\n" in page
        assert f" {rule.id} " in listed
        text = explanation(rule.id)
        assert "Looks for: " in text
        assert "What to do: " in text
        assert rule.advice.endswith(".")
        assert not rule.title.endswith(".")
        assert all(f"Limit {name}: " in text for name in rule.limits)


def test_the_page_is_made_from_the_table():
    """After a change of the rules: `make docs`."""
    assert RULES_MD.read_text() == catalogue()


def test_a_misspelt_rule():
    with pytest.raises(UsageError) as complaint:
        explanation("rpc-callerrors")
    assert complaint.value.hint == "Did you mean rpc-callerror?"
