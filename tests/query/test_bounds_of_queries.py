"""Bounds of a filter, reached: it is refused in words, with the place."""

from __future__ import annotations

import pytest

from ocppscope.query.check import MAX_NAMED, check
from ocppscope.query.filter import FilterError, compile_filter
from ocppscope.query.payload import MAX_STEPS, parse_path


def test_named_filters_that_one_draws_in():
    """MAX_NAMED, counted each time: few that name each other would be very many."""
    named = {"a": "Heartbeat", "b": "@a or @a"}
    assert check(" or ".join(["@a"] * MAX_NAMED), named) is not None
    assert check(" or ".join(["@b"] * (MAX_NAMED // 3)), named) is not None
    for text in (" or ".join(["@a"] * (MAX_NAMED + 1)), " or ".join(["@b"] * (MAX_NAMED // 3 + 1))):
        with pytest.raises(FilterError, match="too many others") as caught:
            check(text, named)
        assert text[caught.value.start : caught.value.stop] in ("@a", "@b")


@pytest.mark.parametrize("step", [".a", "[0]", "[*]"])
def test_steps_of_a_path(step: str):
    """MAX_STEPS."""
    assert len(parse_path("payload" + step * MAX_STEPS)) == MAX_STEPS
    assert not compile_filter(f"payload{step * MAX_STEPS} == 1").is_empty
    text = "payload" + step * (MAX_STEPS + 1)
    with pytest.raises(FilterError, match="too long") as caught:
        compile_filter(f"Heartbeat and {text} == 1")
    assert (caught.value.start, caught.value.stop) == (14, 14 + len(text))
