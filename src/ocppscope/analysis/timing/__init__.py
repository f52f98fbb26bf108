"""Timing figures: how long things took, how regular, how often, how much; with the number of cases behind each.

    stations = Stations(bus)
    timing = Timing(bus)
    for batch in …: stations.take(batch)
    timing.rows()

A module each for a family of figures. What a family defines is in the table of `figures`; what it measures goes to a
`Ledger`; `Timing` makes frozen rows of that at any moment. Nothing here judges who did it: that is what rules do.
"""

from ocppscope.analysis.timing.figures import load

load()  # in the order in which the figures are to stand in the table

from ocppscope.analysis.timing.timing import Timing  # noqa: E402

__all__ = ["Timing"]
