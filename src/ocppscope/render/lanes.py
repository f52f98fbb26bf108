"""Where the lanes of a ladder stand at a given width, and how one arrow between two of them is drawn.

Pure geometry: knows nothing of events, times or OCPP. Lanes from the left: the stations, a proxy if there is one, the
CSMS. Where more stations come together than lanes fit, they share one, and each arrow names its station.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import columns

SPACING = (6, 16)
"""Columns from one station's lane to the next: least and most."""
SHARE = 0.3
"""The part of the width that lanes of several stations may take before they share one."""
HOP, PROXY_HOP = 76, 50
"""Columns between two lanes from which on the words of a message stand beside the ladder, not in it."""
LEAST_HOP = 10
LEAST_WORDS = 40
"""Columns that words need to stand beside the ladder."""
ID_HOP = 90
"""Columns between two lanes from which on each arrow has room for an id."""
KIND_HOP = 44
"""Columns between two lanes from which on each arrow names its kind."""
NAME_COLUMN = 12
"""Columns of the station's name where stations share a lane."""
LATENCY_COLUMN, KIND_COLUMN = 6, 6
SOLID, DASHED, DOUBLE, BROKEN, NONE = "─", "╌", "═", "~", " "
"""What shafts are made of: a request, an answer, a connection's event, lost bytes, no arrow."""


class Geometry(NamedTuple):
    """Columns of the lanes, counted from the end of the gutter."""

    stations: tuple[int, ...]
    proxy: int | None
    csms: int
    words: int  # columns beside the ladder; 0: words stand on the arrows
    shared: bool  # the stations share the one lane
    fits: bool  # no line is wider than there is room

    @property
    def near(self) -> tuple[int, int]:
        """The columns between the last station's lane and the next."""
        return self.stations[-1] + 1, self.csms if self.proxy is None else self.proxy

    @property
    def far(self) -> tuple[int, int]:
        """The columns between the lane before the CSMS and the CSMS."""
        return (self.stations[-1] if self.proxy is None else self.proxy) + 1, self.csms


class Arrow(NamedTuple):
    """What is to be drawn of one row. `left` and `right` say where heads are; all texts are fit to be shown."""

    shaft: str
    style: Style
    kind: str = ""
    kind_style: Style = Style.PLAIN
    plain_kind: bool = False  # the shaft alone says which kind it is
    name: str = ""
    name_style: Style = Style.PLAIN
    tag: str = ""  # what is wrong
    words: str = ""
    words_style: Style = Style.PLAIN
    id: str = ""
    latency: str = ""
    left: str = ""
    right: str = ""


class Place(NamedTuple):
    """Between which lanes a row stands."""

    station: int | None  # None: all of them
    far: bool = False  # between proxy and CSMS
    open: int = 0  # bit n: the station of lane n is connected
    name: str = ""  # of the station, for a shared lane


@lru_cache(maxsize=32)
def geometry(room: int, names: tuple[str, ...], proxy: bool) -> Geometry:
    """The lanes of these stations in `room` columns."""
    count = max(len(names), 1)
    spacing = min(max(SPACING[0], *map(columns, names), 0) + 2, SPACING[1]) if names else 0
    if count > 1:
        spacing = min(spacing, int(room * SHARE) // (count - 1))
    shared = count > 1 and spacing < SPACING[0]
    stations = (0,) if shared else tuple(lane * spacing for lane in range(count))
    start, hops = stations[-1], 2 if proxy else 1
    hop = PROXY_HOP if proxy else HOP
    words = room - (start + 1 + hops * (hop + 1)) - 2
    if words < LEAST_WORDS:
        words, hop = 0, max((room - start - 1) // hops - 1, LEAST_HOP)
    middle = start + hop + 1
    csms = middle + hop + 1 if proxy else middle
    if not words:
        csms = max(csms, room - 1)
    return Geometry(stations, middle if proxy else None, csms, words, shared, csms < room)


def header(shape: Geometry, names: tuple[str, ...]) -> Line:
    """The names of the lanes, each over its own."""
    if shape.shared:
        names = (f"{len(names)} stations",)
    cells = [" "] * (shape.csms + 1)
    places = (*shape.stations[1:], shape.proxy or shape.csms - 5)
    for name, start, end in zip(names, shape.stations, places, strict=True):
        text = _tail(name, end - start - 1)
        cells[start : start + columns(text)] = [text, *[""] * (columns(text) - 1)]
    if shape.proxy is not None:
        cells[shape.proxy - 2 : shape.proxy + 3] = "proxy"
    cells[-4:] = "CSMS"
    return (Span("".join(cells), Style.BOLD),)


def _tail(name: str, most: int) -> str:
    """The end of a name, since names of stations differ there."""
    while columns(name) > most and name:
        name = f"…{name.removeprefix('…')[1:]}" if most > 1 and len(name) > 1 else ""
    return name


def line(shape: Geometry, place: Place, arrow: Arrow) -> Line:
    """The lanes with one arrow between two of them."""
    start, end = shape.far if place.far else shape.near
    if place.station is None:
        start, end = shape.stations[-1] + 1, shape.csms
    spans = [*_before(shape, place, arrow, start), *_between(shape, place, arrow, end - start)]
    if end == shape.csms:
        spans.append(Span("│", Style.AXIS))
    else:
        spans.append(Span(f"│{' ' * (shape.csms - end - 1)}│", Style.AXIS))
    if shape.words:
        spans.append(Span("  "))
        spans += styled.clip(_words(arrow), shape.words)
    return tuple(spans)


def _before(shape: Geometry, place: Place, arrow: Arrow, start: int) -> list[Span]:
    """What stands left of the arrow's text: lifelines, and the shaft where it crosses some."""
    cells = [" "] * start
    for lane, column in enumerate(shape.stations):
        connected = place.open >> lane & 1 if not shape.shared else place.open
        cells[column] = "│" if connected else "┊"
    if place.far and shape.proxy is not None:
        cells[shape.proxy] = "│"
    if place.station is None or place.far or shape.shared:
        return [Span("".join(cells), Style.AXIS)]
    own = shape.stations[place.station]
    if own == shape.stations[-1]:
        return [Span("".join(cells), Style.AXIS)]
    shaft = _shaft(arrow.shaft, start - own - 1)
    crossed = "".join("┼" if cells[own + 1 + at] != " " else char for at, char in enumerate(shaft))
    if arrow.left:
        crossed = arrow.left + crossed[1:]
    return [Span("".join(cells[: own + 1]), Style.AXIS), Span(crossed, arrow.style)]


def _shaft(pattern: str, length: int) -> str:
    return (pattern * length)[:length]


def _between(shape: Geometry, place: Place, arrow: Arrow, room: int) -> Line:
    """Head, text, shaft, head: `room` columns."""
    roomy = room >= ID_HOP or shape.words > 0
    end = _shaft(arrow.shaft, (2 if room >= KIND_HOP else 1) - len(arrow.right)) + arrow.right
    room_inside = room - 4 - len(end)
    tail = _columns(arrow) if roomy else _latency(arrow, room)
    label = styled.clip(_label(shape, place, arrow, room), max(room_inside - styled.width(tail), 0))
    free = room_inside - styled.width(label) - styled.width(tail)
    if not roomy and arrow.id and free > (more := styled.width(_columns(arrow)) - styled.width(tail)):
        tail = _columns(arrow)
        free -= more
    left = arrow.left if _starts_here(shape, place) else ""
    start = left + _shaft(arrow.shaft, 2 - len(left))
    middle = _shaft(arrow.shaft, free - 1) + " " * (free > 0) if tail else _shaft(arrow.shaft, free)
    shaft = arrow.style
    drawn = (Span(start, shaft), Span(" "), *label, Span(" "), Span(middle, shaft), *tail, Span(end, shaft))
    return drawn if free >= 0 else styled.fit(drawn, room)


def _starts_here(shape: Geometry, place: Place) -> bool:
    """Whether the arrow's left end is beside its text, and not at a lane further left."""
    last = len(shape.stations) - 1
    return place.far or place.station is None or shape.shared or place.station == last


def _columns(arrow: Arrow) -> Line:
    """Id and latency, each in a column of its own."""
    own_id = Span(f"{arrow.id} ", Style.ID) if arrow.id else Span("")
    if arrow.latency:
        return own_id, Span(f"{arrow.latency:>{LATENCY_COLUMN}} ", Style.TIME)
    return (own_id, Span(_shaft(arrow.shaft, LATENCY_COLUMN + 1), arrow.style)) if arrow.id else ()


def _latency(arrow: Arrow, room: int) -> Line:
    column = LATENCY_COLUMN if room >= KIND_HOP else 0
    return (Span(f"{arrow.latency:>{column}} ", Style.TIME),) if arrow.latency else ()


def _label(shape: Geometry, place: Place, arrow: Arrow, room: int) -> Line:
    """Kind, name, what is wrong, and the words unless they stand beside the ladder."""
    spans: list[Span] = []
    if shape.shared:
        spans += (*styled.fit((Span(_tail(place.name, NAME_COLUMN), Style.STATION),), NAME_COLUMN), Span(" "))
    if arrow.kind and (room >= KIND_HOP or shape.words):
        spans.append(Span(f"{arrow.kind:<{KIND_COLUMN}} ", arrow.kind_style))
    elif arrow.kind and not arrow.plain_kind:
        spans.append(Span(f"{arrow.kind} ", arrow.kind_style))
    spans.append(Span(arrow.name, arrow.name_style))
    if not shape.words:
        told = _words(arrow)
        spans += (Span(" ") if arrow.name else Span(""), *told) if told else ()
    return tuple(spans)


def _words(arrow: Arrow) -> Line:
    """What is wrong, and what it says."""
    parts = (Span(arrow.tag, Style.WARNING),), (Span(arrow.words, arrow.words_style),)
    return styled.join([part for part in parts if part[0].text], Span(" "))
