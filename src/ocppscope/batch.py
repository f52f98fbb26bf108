"""What one step of the engine gave: ordinary messages as columns, and everything else that happened between them.

An ordinary message is paired at once, since what it is called and answers stands in its head whatever comes after
it. Its payload is validated later, together with its like, and it becomes a `Message` only for those who look at it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec.structs import replace

from ocppscope.model import Event, Kind, Message, Outcome, PacketComment, Problem, Side, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CALL, _CALLRESULT = Kind.CALL, Kind.CALLRESULT  # looking up an enum's member costs more than using it
_PENDING, _ANSWERED, _LATE = Outcome.PENDING, Outcome.ANSWERED, Outcome.LATE


class Dialogue(Protocol):
    """The connection of a message."""

    connection: int
    timeout_ns: int


class Speaker(Protocol):
    """Who said a message."""

    side: Side

    @property
    def dialogue(self) -> Dialogue:
        """In what dialogue."""

    def objections(self, text: bytes, action: str, *, answer: bool) -> tuple[Problem, ...]:
        """All problems of an ordinary text that was not accepted."""


class Acceptor(Protocol):
    """What validates the messages of an action."""

    def declined(self, texts: list[bytes]) -> list[int]:
        """The positions of those that are not certainly valid."""


class Origin(NamedTuple):
    """Where arrivals lie in a file, for those that lie there as they are but for a mask."""

    position: int  # of `data` in its file
    data: bytes
    form: Sequence[int]  # 1 unmasked, 2 masked, anything else: not there
    body: Sequence[int]  # where payloads start in `data`, with their masks before them


class Arrivals(NamedTuple):
    """Texts of single frames, as columns; the engine also puts segments here that hold none, with an empty text."""

    texts: list[bytes]  # uncompressed
    time_ns: list[int]
    packets: list[int | tuple[int, ...]]  # the one that holds it, or all that hold a part of it
    wire_size: list[int]  # bytes of the frame, header included
    compressed: list[bool]
    origin: Origin | None = None  # of the first ones; those that were added have none

    def add(self, text: Text) -> int:
        """One more; gives its place."""
        self.texts.append(text.payload)
        self.time_ns.append(text.origin.time_ns)
        self.packets.append(text.origin.packets)
        self.wire_size.append(text.wire_size)
        self.compressed.append(text.compressed)
        return len(self.texts) - 1


MAX_LOOKED_BACK = 64
"""Messages of all connections among which that is looked for that a comment is about."""

Row = tuple[int, Speaker, int, str, str, int | None, int]
"""An ordinary message: its place among the arrivals, who said it, ordinal, id, action, and of an answer the ordinal
of its CALL (else None) and when that was said in ns (else 0)."""


class Batch:
    """Events in capture order; iterating makes the messages. Filled by the engine, then left alone."""

    __slots__ = ("_others", "_problems", "arrivals", "checks", "rows")

    def __init__(self, arrivals: Arrivals | None = None) -> None:
        self.arrivals = arrivals or Arrivals([], [], [], [], [])
        self.rows: list[Row] = []
        self.checks: defaultdict[Acceptor, list[int]] = defaultdict(list)  # places among the rows still to validate
        self._others: list[tuple[int, Event]] = []  # each with the number of rows before it
        self._problems: dict[int, tuple[Problem, ...]] = {}

    def add(self, event: Event) -> None:
        """An event that is no ordinary message."""
        self._others.append((len(self.rows), event))

    def remark(self, comment: PacketComment, *, is_bare: bool = False) -> None:
        """A comment on a packet, which belongs after what that packet brought.

        One that `is_bare` brought nothing: the comment is about what its sender said last, if that is in this batch.
        """
        rows = bisect_right(self.rows, comment.packet, key=lambda row: self._last_packet(row[0]))
        place = len(self._others)
        while place and (
            self._others[place - 1][0] > rows
            or (self._others[place - 1][0] == rows and self._others[place - 1][1].time_ns > comment.time_ns)
        ):
            place -= 1
        if comment.connection >= 0:
            comment = replace(comment, ordinal=self._meant(comment, rows, place, is_bare=is_bare))
        self._others.insert(place, (rows, comment))

    def _meant(self, comment: PacketComment, rows: int, place: int, *, is_bare: bool) -> int:
        """The ordinal of the message that a comment is about; -1 for none. Looks back over a few of them."""
        for at, speaker, ordinal, *_ in reversed(self.rows[max(rows - MAX_LOOKED_BACK, 0) : rows]):
            if speaker.dialogue.connection == comment.connection and (not is_bare or speaker.side is comment.side):
                ordinary = ordinal if is_bare or self._last_packet(at) == comment.packet else -1
                break
        else:
            ordinary = -1
        for _, event in reversed(self._others[max(place - MAX_LOOKED_BACK, 0) : place]):
            if not isinstance(event, Message) or event.connection != comment.connection or event.ordinal <= ordinary:
                continue
            if event.side is comment.side if is_bare else comment.packet in event.packets[-1:]:
                return event.ordinal
        return ordinary

    def _last_packet(self, at: int) -> int:
        held = self.arrivals.packets[at]
        return held[-1] if isinstance(held, tuple) else held

    def settle(self) -> None:
        """Validates what was not validated yet."""
        texts, rows = self.arrivals.texts, self.rows
        for acceptor, places in self.checks.items():
            for index in acceptor.declined([texts[rows[place][0]] for place in places]):
                at, speaker, _, _, action, answers, _ = rows[places[index]]
                self._problems[places[index]] = speaker.objections(texts[at], action, answer=answers is not None)
        self.checks.clear()

    def __len__(self) -> int:
        """How many events there are."""
        return len(self.rows) + len(self._others)

    def __iter__(self) -> Iterator[Event]:
        """All events, in order."""
        done = 0
        for before, event in self._others:
            yield from map(self.message, range(done, before))
            yield event
            done = before
        yield from map(self.message, range(done, len(self.rows)))

    def message(self, place: int) -> Message:
        """An ordinary message, by its place among the rows."""
        at, speaker, ordinal, id_, action, answers, asked_ns = self.rows[place]
        texts, times, packets, sizes, compressed, _ = self.arrivals
        kind, outcome, latency, time_ns = _CALL, _PENDING, None, times[at]
        if answers is not None:
            latency = time_ns - asked_ns
            kind, outcome = _CALLRESULT, _ANSWERED if latency <= speaker.dialogue.timeout_ns else _LATE
        held = packets[at]
        return Message(
            time_ns, speaker.dialogue.connection, ordinal, speaker.side, kind, id_, action, texts[at], sizes[at],
            held if isinstance(held, tuple) else (held,), 1, compressed[at], False, outcome, answers, latency,
            self._problems.get(place, ()),
        )  # fmt: skip

    def located(self) -> Iterator[tuple[Event, tuple[int, int] | None]]:
        """All events, in order; with a message's text that can be read from its file again: offset and masking key.

        The key is a number, its four bytes read big-endian; 0 for none.
        """
        done = 0
        for before, event in [*self._others, (len(self.rows), None)]:
            for place in range(done, before):
                yield self.message(place), self._place(self.rows[place][0])
            if event is not None:
                yield event, None
            done = before

    def _place(self, at: int) -> tuple[int, int] | None:
        origin = self.arrivals.origin
        if origin is None or at >= len(origin.form) or origin.form[at] not in (1, 2):
            return None
        begin, mask = int(origin.body[at]), 0
        if origin.form[at] == 2:
            mask = int.from_bytes(origin.data[begin - 4 : begin], "big")
        return origin.position + begin, mask

    def parts(self) -> Iterator[tuple[int, int, Event | None]]:
        """The same for whoever reads the rows themselves: ordinary messages from a place to before another, and what
        came after them; None at the end."""
        done = 0
        for before, event in self._others:
            yield done, before, event
            done = before
        yield done, len(self.rows), None

    def problems(self, place: int) -> tuple[Problem, ...]:
        """What is wrong with an ordinary message, by its place among the rows."""
        return self._problems.get(place, ())

    def others(self) -> Iterator[Event]:
        """What is not ordinary: other messages, and everything that is no message."""
        for _, event in self._others:
            yield event

    def spoilt(self) -> Iterator[Message]:
        """The ordinary messages that have problems."""
        return map(self.message, self._problems)
