"""The problems of messages, as small codes: most messages have none, and those that have repeat each other's.

Bounded: of a message that has very many only the first are kept; when too many different ones were seen, only the
codes of the problems are.
"""

from __future__ import annotations

from ocppscope.model import Problem

MAX_ROW_PROBLEMS = 16
"""Problems kept of one message; the first ones."""
MAX_SETS = 1 << 16
"""Different lists of problems that are kept word by word."""
MAX_BARE_SETS = 1 << 16
"""Different lists of mere codes that are kept after those; all further ones count as `MORE`."""
MORE = (Problem("schema.more", "Problems that are not kept: the capture has too many different ones."),)

_Problems = tuple[Problem, ...]


class ProblemSets:
    """Lists of problems by code; code 0 is the empty one. `sets[code]` is the list."""

    def __init__(self, max_sets: int = MAX_SETS, max_bare: int = MAX_BARE_SETS) -> None:
        self.sets: list[_Problems] = [()]
        self._codes: dict[_Problems, int] = {(): 0}
        self._max_sets = max_sets
        self._most = max_sets + max_bare

    def code(self, problems: _Problems) -> int:
        """The code of a list, a new one if need be."""
        problems = problems[:MAX_ROW_PROBLEMS]
        code = self._codes.get(problems)
        if code is None and len(self.sets) >= self._max_sets:
            problems = tuple(Problem(problem.code, "") for problem in problems)
            code = self._codes.get(problems)
            if code is None and len(self.sets) >= self._most:
                problems = MORE
                code = self._codes.get(problems)
        if code is None:
            code = len(self.sets)
            self.sets.append(problems)
            self._codes[problems] = code
        return code
