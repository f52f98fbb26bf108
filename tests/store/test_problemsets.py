"""Lists of problems as codes, and their bounds."""

from ocppscope.model import Problem
from ocppscope.store.problemsets import MAX_ROW_PROBLEMS, MORE, ProblemSets


def numbered(n, code="json.syntax"):
    return (Problem(code, f"at {n}"),)


def test_the_same_problems_have_the_same_code():
    sets = ProblemSets()
    codes = [sets.code(problems) for problems in [(), numbered(1), numbered(2), numbered(1)]]
    assert codes == [0, 1, 2, 1]
    assert sets.sets[2] == numbered(2)


def test_only_the_first_problems_of_a_message_are_kept():
    sets = ProblemSets()
    many = tuple(problem for n in range(100) for problem in numbered(n))
    assert sets.sets[sets.code(many)] == many[:MAX_ROW_PROBLEMS]


def test_when_there_are_too_many_only_codes_are_kept_and_then_not_even_those():
    sets = ProblemSets(max_sets=3, max_bare=2)
    kept = [sets.sets[sets.code(numbered(n, f"json.{n % 5}"))] for n in range(20)]
    assert kept[:2] == [numbered(0, "json.0"), numbered(1, "json.1")]
    assert kept[2] == (Problem("json.2", ""),)
    assert kept[-1] == MORE
    assert len(sets.sets) <= 3 + 2 + 1
