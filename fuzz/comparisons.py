"""Comparisons in instrumented code, past a leak of atheris: it keeps a reference to the result of each.

A bool does not mind. The array that comes of comparing arrays is never freed, so a run would grow by as much as all
of these together. They go past the tracing, which makes nothing of arrays anyway.
"""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import numpy as np

# As `dis.cmp_op` has them.
OPERATIONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)


def spare_arrays(atheris: ModuleType) -> None:
    """Instrumented code compares arrays by themselves from here on, and all else as before.

    To be called while inputs are tried: at the start of its loop atheris puts its own functions in place.
    """
    traced = atheris._trace_cmp
    if traced.__name__ == "compared":
        return
    shift = atheris.version_dependent.CMP_OP_SHIFT_AMOUNT

    def compared(one: Any, other: Any, operation: int, place: int, constant: bool) -> Any:
        if one.__class__ is np.ndarray or other.__class__ is np.ndarray:
            return OPERATIONS[operation >> shift](one, other)
        return traced(one, other, operation, place, constant)

    atheris._trace_cmp = compared
