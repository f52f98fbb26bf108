"""Regular expressions that may take for ever are refused; the others look at as much as they can afford."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.query.lexer import FilterError
from ocppscope.query.patterns import LENGTHS, compile_pattern

CHEAP = [
    ("^Start", 4096), ("CP[0-9]{3}", 4096), ("a|b|c", 4096), ("(Start|Stop)Transaction$", 4096), ("Boot.*", 4096),
    ("(?i)boot", 4096), ("colou?r", 4096), ("[a-f0-9]+", 4096), (".*foo.*", 256), (".*foo.*bar.*", 64),
    ("(a|b)*c", 4096), (r"^\d+-\d+$", 256), ("(?:abc)*", 4096), ("", 4096),
]  # fmt: skip
COSTLY = [
    "(a+)+b", "(a*)*", "(a|aa)+$", "(.*a){9}", "a*a*a*a*b", "a?" * 25 + "a" * 25, "(a?){30}a{30}", "(x+x+)+y",
    "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?P<n>a)(?P=n)", "(a)?(?(1)b|c)", "((a|ab)(c|bcd)(d*))+",
]  # fmt: skip
WRONG = ["(", "[", "*", "a{2,1}", "(?P<>a)", "\\", "(" * 400, "[[a]"]


@pytest.mark.parametrize(("pattern", "length"), CHEAP)
def test_cheap_patterns_are_used(pattern, length):
    assert compile_pattern(pattern).length == length
    assert length in LENGTHS


@pytest.mark.parametrize("pattern", COSTLY)
def test_costly_patterns_are_refused(pattern):
    with pytest.raises(FilterError, match="for ever") as caught:
        compile_pattern(pattern)
    assert caught.value.hint


@pytest.mark.parametrize("pattern", WRONG)
def test_wrong_patterns_are_explained(pattern):
    with pytest.raises(FilterError):
        compile_pattern(pattern)


def test_case_does_not_matter_and_only_the_beginning_is_looked_at():
    assert compile_pattern("boot").found_in("xBOOT")
    assert not compile_pattern(".*z.*").found_in("a" * 256 + "z")


@given(st.text("ab.*+?|()[]{}1,2^$\\d", max_size=12), st.sampled_from(["a", "ab", "b", "1"]))
def test_whatever_is_allowed_ends(pattern, letter):
    """Were the estimate wrong, this would not end."""
    try:
        compiled = compile_pattern(pattern)
    except FilterError:
        return
    compiled.found_in(letter * 5000 + "!")
