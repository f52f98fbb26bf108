"""A deflate context of which a part was not captured (RFC 7692 §7.2.2): what can be known all the same.

What follows a loss is inflated twice, over two histories that consist of numbers instead of text, so that each byte
is either known or names its distance before the loss. Then two questions remain. How long was the lost text? All
lengths are tried at once, and each message strikes those that make no OCPP text of it. Which bytes did it hold? A
lost byte is taken as known when only one value makes texts of all the messages that repeat it.

A text is given as such only when each of its bytes is known; a contradiction takes everything back. No value is
taken from where it stood before: what a lost message said of a status or a meter stays unknown until it is repeated
in full. This module may not look beyond one direction; ids of the other one are handed to it.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.history import TAIL, WINDOW, is_between_blocks
from ocppscope.wire.plausible import ANY, WILDCARD, fitting, narrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.wire.inflate import Effort
    from ocppscope.wire.plausible import Column

    Cells = NDArray[np.uint16]
    """Bytes of a text: below 256 what it is, else 256 and the number of an unknown one, or its distance."""
    Lengths = NDArray[np.int32]

MAX_LOST_TEXT = 8192
"""Longest text that a loss is assumed to have had; what refers beyond it is not looked into."""
MIN_LOST_TEXT = 128
"""Length of lost text that is always thought possible."""
TEXT_PER_WIRE_BYTE = 12
"""Text that a lost byte is thought to have stood for at most, or twice what was seen of other messages if more."""
MAX_TEXT_PER_WIRE_BYTE = 40
"""Text that a lost byte is thought to have stood for at most, whatever was seen."""
MAX_DOUBTFUL_TEXT = 16384
"""Longest text that is looked into; of a longer one only the known bytes are given."""
MAX_TRIED_CELLS = 40_000_000
"""Bytes of assumed texts that are looked at per loss."""
MAX_TRIED_IN_ALL = 2 * MAX_TRIED_CELLS
"""The same per direction."""
MAX_TRIED_TOTAL = 100 * MAX_TRIED_CELLS
"""The same on all connections together."""
MAX_NARROWED_CELLS = 400_000
"""Bytes of texts that unknown bytes are sought in, per direction."""
MAX_NARROWED_TOTAL = 1 << 26
"""The same on all connections together. What was not sought is said to be lost, as what was sought in vain."""
BLIND_PRICE = 32
"""How often such a byte counts where nothing from before the first text is known, and the search finds little."""
MAX_NARROWED = 2048
"""Lost bytes of which something is known without their being known."""
MIN_EVIDENCE = 8
"""Bytes from before the loss that must fit before a length is believed, if they stand in two texts."""
MIN_EVIDENCE_OF_ONE = 40
"""The same if they stand in one."""
MAX_POSSIBLE = 16
"""Lengths of lost text that may remain for what they agree on to be given."""
MAX_ASKED = 1000
"""Times that a direction asks for the ids of the other."""
MAX_AWAITED = 64
"""Texts back to which an id is still looked for on the other side."""
MIN_KNOWN_DIGITS = 12
"""Digits of a UUID that must be known before it is taken for the one that the other side has used."""
MIN_IDS = 4
"""Ids that must have been seen before a form is expected of the next."""

_IMPOSSIBLE = 1
_COST_OF_A_BYTE = 300  # what a byte takes even of a single text, in bytes of many
_UNKNOWN = np.arange(256, 256 + WINDOW, dtype=np.uint16)
"""A window of which nothing is known, each byte with a number of its own."""
_BEFORE = np.arange(256 + WINDOW, 256, -1, dtype=np.uint16)
"""A window before a loss, each byte as its distance."""
_UNKNOWN.flags.writeable = _BEFORE.flags.writeable = False
_NO_CELLS = np.zeros(0, np.uint16)
_NO_LENGTHS = np.zeros(0, np.int32)


class Reading(NamedTuple):
    """A message's text; `unknown` of its bytes are not known and NUL, `certain` if nothing was inferred."""

    text: bytes
    unknown: int
    certain: bool
    whole: bool


class _Pair(NamedTuple):
    """What follows a loss, inflated over two histories that differ in each byte of before it."""

    first: bytes
    second: bytes
    ended: bool  # the sender has ended the stream, and the next message refers to nothing
    cut: bool  # it was longer than the limit

    def cells(self) -> Cells:
        """Its last cells: 256 + n is the byte n before the loss (1: the last one)."""
        one, two = (np.frombuffer(text[-WINDOW:], np.uint8) for text in self[:2])
        distance = (two - one - 1).astype(np.uint16) * 256 + one
        return np.where(one == two, one, 256 + distance).astype(np.uint16)


def _inflate(cells: Cells, payload: bytes, limit: int) -> _Pair:
    """Inflates a message over a window of cells, of which each distance is told by both readings together.

    `zlib.error` for what no deflate makes, and where a message does not end with a block (RFC 7692 §7.2.1).
    """
    found = []
    for numbers in (cells, cells + (cells >> 8)):
        inflater = zlib.decompressobj(-15, zdict=numbers.astype(np.uint8).tobytes())
        found.append(inflater.decompress(payload + TAIL, limit))
    cut = bool(inflater.unconsumed_tail)
    if not inflater.eof and not cut and not is_between_blocks(inflater):
        raise zlib.error("a message ends within a block")
    return _Pair(found[0], found[1], inflater.eof, cut)


def _long(first: bytes, second: bytes) -> Reading:
    """A text that is too long to be looked into."""
    one, two = np.frombuffer(first, np.uint8), np.frombuffer(second, np.uint8)
    unknown = one != two
    text = np.where(unknown, WILDCARD, one).astype(np.uint8).tobytes()
    return Reading(text, int(unknown.sum()), certain=False, whole=False)


def _unchecked(cells: Cells) -> Reading:
    """What is certain of a text, once no more is spent on the rest."""
    text, places = _parted(cells)
    return Reading(text, len(places), certain=False, whole=False)


def _parted(cells: Cells) -> tuple[bytes, list[int]]:
    """A text, and the places of its unknown bytes, which are `WILDCARD`."""
    unknown = cells >= 256
    return np.where(unknown, WILDCARD, cells).astype(np.uint8).tobytes(), np.flatnonzero(unknown).tolist()


def _filled(text: bytes, unknown: dict[int, int]) -> bytes:
    """The same with those places filled in for which only one byte is left."""
    filled = bytearray(text)
    for place, mask in unknown.items():
        filled[place] = mask.bit_length() - 1 if mask.bit_count() == 1 else WILDCARD
    return bytes(filled)


def _headed(unknown: dict[int, int], head: list[int]) -> dict[int, int]:
    """The same with what the first places can be."""
    return {place: head[place] if place < len(head) else mask for place, mask in unknown.items()}


class Recovery:
    """One direction whose context is in doubt. `history` is the text before the loss; None: not known at all."""

    def __init__(self, history: bytes | None, effort: Effort) -> None:
        self._effort = effort
        self._variables = 0
        self._allowed: dict[int, int] = {}
        self._complete = history is not None and len(history) < WINDOW  # the history has a beginning
        known = history or b""
        self._ids = [0, 0]  # UUIDs seen in a row: of answers, of calls
        self._compact = 0  # texts in a row without a blank before the id
        self._sends = False
        self.blind = history is None  # nothing from before the first text is known
        self._note_ids(known)
        self._tape: Cells = np.frombuffer(known, np.uint8).astype(np.uint16)
        self._tried = self._tried_before = self._narrowed = self._asked = 0
        self._begin(0)
        if history is None:
            self._forget()

    def _fresh(self, count: int) -> Cells:
        first = 256 + self._variables
        self._variables += count
        return np.arange(first, first + count, dtype=np.uint16)

    # --- losses -----------------------------------------------------------------------------------------------

    def _begin(self, wire_bytes: int) -> None:
        """A loss of so many bytes, before which the text was what the tape says."""
        self._texts: list[Cells] = []  # with numbers of unknown bytes, once it is settled where the loss begins
        self._literal: list[Cells] = []  # the same texts, with distances before the loss
        self._ended = self.cut = False  # of the last text: see `_Pair`
        self._since = 0
        self._base: Cells | None = None
        self._wire_bytes = wire_bytes
        self._lengths = _NO_LENGTHS
        self._ratio = TEXT_PER_WIRE_BYTE
        self._tried_before, self._tried = self._tried_before + self._tried, 0
        self._extend()

    def _extend(self) -> None:
        most = min(MAX_LOST_TEXT, self._bound_of(MAX_TEXT_PER_WIRE_BYTE))
        self._lengths = np.arange(1, most + 1, dtype=np.int32)

    def _bound_of(self, ratio: int) -> int:
        return MIN_LOST_TEXT + ratio * self._wire_bytes

    def lose(self, wire_bytes: int | None) -> None:
        """More is missing, `wire_bytes` of compressed messages (None: not known)."""
        wire_bytes = MAX_LOST_TEXT if wire_bytes is None else wire_bytes
        if self._base is None and not self._literal:
            self._wire_bytes += wire_bytes
            self._extend()
            return
        if self._base is None:
            self._forget()
        self._tape = self._renumbered(self._window())
        self._begin(wire_bytes)

    def _renumbered(self, window: Cells) -> Cells:
        """The same with the unknown bytes counted from 0; what nothing can refer to any more is let go."""
        unknown = np.unique(window[window >= 256])
        numbers = {cell: 256 + number for number, cell in enumerate(unknown.tolist())}
        self._allowed = {numbers[cell]: mask for cell, mask in self._allowed.items() if cell in numbers}
        self._variables = len(numbers)
        return np.where(window < 256, window, 256 + np.searchsorted(unknown, window)).astype(np.uint16)

    def _window(self) -> Cells:
        """The last cells before now."""
        assert self._base is not None
        return np.concatenate([self._base, *self._texts])[-WINDOW:]

    def _forget(self, texts: int | None = None) -> None:
        """Gives up what was before the loss and all that was inferred; keeps that many texts."""
        self._allowed.clear()
        self._complete = False
        self._variables = WINDOW
        self._base, self._tape, self._lengths = _UNKNOWN, _NO_CELLS, _NO_LENGTHS
        self._texts = [self._bound(cells) for cells in self._literal[:texts]]

    def _settle(self, length: int) -> None:
        """The lost text is taken to have had that length."""
        self._base = np.concatenate([self._tape, self._fresh(length)])[-WINDOW:].copy()
        self._tape, self._lengths = _NO_CELLS, _NO_LENGTHS
        self._texts = [self._bound(cells) for cells in self._literal]
        self._renew([index for index, cells in enumerate(self._texts) if int(cells.max(initial=0)) >= 256])

    def _bound(self, cells: Cells) -> Cells:
        """Cells that name distances before the loss, as what stood there."""
        assert self._base is not None
        base = self._base
        distances = cells.astype(np.intp) - 256
        found = np.where(cells < 256, cells, base[-np.clip(distances, 1, len(base))])
        return np.where(distances > len(base), 256, found).astype(np.uint16)

    # --- messages ---------------------------------------------------------------------------------------------

    def message(self, payload: bytes, limit: int, ids: Callable[[], set[bytes]] = set) -> Reading:
        """What can be told of the next message, given UUIDs that the other side has used; raises `zlib.error`."""
        inflated = _inflate(np.concatenate([_BEFORE, *self._literal])[-WINDOW:], payload, limit)
        first, second, self._ended, self.cut = inflated
        self._since += len(first)
        certain = first == second
        cells = inflated.cells()
        self._literal.append(cells)
        self._trim()
        if self._base is None and self._since >= WINDOW:
            self._forget(len(self._literal) - 1)  # what was before the loss is out of reach
        if self._base is not None:
            self._texts.append(self._bound(cells))
        if certain:
            self._note_ids(first[:MAX_DOUBTFUL_TEXT])
            return Reading(first, 0, certain=True, whole=True)
        if len(first) > MAX_DOUBTFUL_TEXT:
            return _long(first, second)
        return self._look_into(cells, len(payload), ids)

    def _look_into(self, cells: Cells, wire_bytes: int, ids: Callable[[], set[bytes]]) -> Reading:
        seen = 2 * len(cells) // max(1, wire_bytes)
        self._ratio = min(MAX_TEXT_PER_WIRE_BYTE, max(self._ratio, seen))
        if self._is_spent():
            return _unchecked(cells)
        if self._base is not None:
            self._renew([len(self._texts) - 1])
        else:
            self._strike(cells)
        self._match(cells, ids)
        if self._base is None:
            text, unknown = self._agreed(cells)
        else:
            text, unknown = self._partly(self._texts[-1])
        text = _filled(text, unknown)
        missing = text.count(WILDCARD)
        if not missing:
            self._note_ids(text)
        return Reading(text, missing, certain=False, whole=not missing and _is_whole(text))

    def _partly(self, cells: Cells) -> tuple[bytes, dict[int, int]]:
        """A text, and of each place that is not known for certain what it can be, as bits."""
        text, places = _parted(cells)
        return text, {
            place: self._allowed.get(cell, ANY) for place, cell in zip(places, cells[places].tolist(), strict=True)
        }

    def _sets(self, cells: Cells) -> list[int]:
        """What each cell can be, as bits."""
        return [1 << cell if cell < 256 else self._allowed.get(cell, ANY) for cell in cells.tolist()]

    def _agreed(self, cells: Cells) -> tuple[bytes, dict[int, int]]:
        """The same of a text of which the lost length is not known, as far as the lengths that are possible agree."""
        possible = self._possible()
        text, places = _parted(cells)
        unknown = dict.fromkeys(places, ANY)
        if not self._spend(len(text)):
            return text, unknown
        if 0 < len(possible) <= MAX_POSSIBLE and self._believed(int(possible[-1])):
            column, every = self._assumed(cells, possible), np.arange(len(possible))
            for place in places:
                octets = set(np.atleast_1d(column(place, every)).tolist())
                if len(octets) == 1 and WILDCARD not in octets:
                    unknown[place] = 1 << octets.pop()
        narrowed = narrow(text, unknown)
        customary = None if narrowed is None else self._customary(text, narrowed)
        return text, unknown if customary is None else customary

    # --- the length of the lost text --------------------------------------------------------------------------

    def _strike(self, cells: Cells) -> None:
        """Strikes the lengths that make no text of the message; settles when one is left."""
        blind = np.where(cells < 256, cells, WILDCARD).tolist()
        if not len(fitting(len(blind), 1, lambda place, _: int(blind[place]))):
            return
        cost = len(cells) * (len(self._lengths) + _COST_OF_A_BYTE)
        self._tried += cost
        self._effort.tried += cost
        too_much = self._tried > MAX_TRIED_CELLS or self._tried + self._tried_before > MAX_TRIED_IN_ALL
        if too_much or self._effort.tried > MAX_TRIED_TOTAL:
            self._forget()
            return
        self._lengths = self._lengths[fitting(len(cells), len(self._lengths), self._assumed(cells, self._lengths))]
        if not len(self._lengths):
            self._forget()
            return
        possible = self._possible()
        if len(possible) == 1 and self._believed(int(possible[0])):
            self._settle(int(possible[0]))

    def _possible(self) -> Lengths:
        """The lengths that the lost bytes can have stood for."""
        return self._lengths[self._lengths <= self._bound_of(self._ratio)]

    def _believed(self, length: int) -> bool:
        """Whether messages since have repeated enough from before the loss, if its length was that."""
        found = [count for text in self._literal if (count := int((text > 256 + length).sum()))]
        return sum(found) >= (MIN_EVIDENCE if len(found) > 1 else MIN_EVIDENCE_OF_ONE)

    def _assumed(self, cells: Cells, lengths: Lengths) -> Column:
        """The text as each length would have it."""
        tape = np.where(self._tape < 256, self._tape, WILDCARD)
        beyond = _IMPOSSIBLE if self._complete else WILDCARD
        table = np.concatenate([[WILDCARD], tape[::-1], [beyond]]).astype(np.uint8)
        text, last = cells.tolist(), len(table) - 1

        def column(place: int, which: NDArray[np.intp]) -> NDArray[np.uint8] | int:
            cell: int = text[place]
            return cell if cell < 256 else table[np.minimum(np.maximum(cell - 256 - lengths[which], 0), last)]

        return column

    # --- the bytes of the lost text ---------------------------------------------------------------------------

    def _spend(self, cells: int) -> bool:
        """Whether unknown bytes may be sought in so many more."""
        cells *= BLIND_PRICE if self.blind else 1
        self._narrowed += cells
        self._effort.narrowed += cells
        return not self._is_spent()

    def _is_spent(self) -> bool:
        return self._narrowed > MAX_NARROWED_CELLS or self._effort.narrowed > MAX_NARROWED_TOTAL

    def _renew(self, waiting: list[int]) -> None:
        """Narrows these texts, and others that share unknown bytes with them."""
        while waiting:
            current = waiting.pop()
            changed = self._narrow(self._texts[current])
            if changed is None:
                self._forget()
                return
            if changed:
                marks = np.zeros(1 << 16, np.bool_)
                marks[changed] = True
                again = [index for index, text in enumerate(self._texts) if marks[text].any()]
                waiting += sorted(set(again) - {current} - set(waiting))

    def _narrow(self, cells: Cells) -> list[int] | None:
        """The unknown bytes of which more is known now; None: there is no text that all this could be."""
        if not self._spend(len(cells)):
            return None  # what cannot be checked is not to be believed
        if len(cells) > MAX_DOUBTFUL_TEXT:
            return []
        text, unknown = self._partly(cells)
        narrowed = narrow(text, unknown)
        if narrowed is None:
            # A text that is no OCPP whatever the unknown bytes are says nothing of them.
            return [] if narrow(text, dict.fromkeys(unknown, ANY)) is None else None
        customary = self._customary(text, narrowed)
        if customary is None:
            return None
        changed = []
        for cell, mask in zip(cells[list(customary)].tolist(), customary.values(), strict=True):
            before = self._allowed.get(cell, ANY)
            if mask & before != before and (cell in self._allowed or len(self._allowed) < MAX_NARROWED):
                self._allowed[cell] = mask & before
                changed.append(cell)
        return changed

    def _trim(self) -> None:
        """Lets go of texts that nothing can refer to any more."""
        held = sum(map(len, self._literal))
        while len(self._literal) > 1 and held - len(self._literal[0]) >= WINDOW:
            held -= len(self._literal.pop(0))
            del self._texts[:1]

    def _customary(self, text: bytes, unknown: dict[int, int]) -> dict[int, int] | None:
        """The same with an id of the form that all ids have had, None if it has not; no SEND unless some were."""
        head = [unknown.get(place, 1 << byte) for place, byte in enumerate(text[: 4 + len(_UUID)])]
        if len(text) < len(_UUID) + 5 or not head[3] & 1 << _QUOTE:
            return unknown
        if self._compact >= MIN_IDS:
            head[3] = 1 << _QUOTE
        if head[3] != 1 << _QUOTE:
            return unknown
        if head[1].bit_count() > 1 and not self._sends:
            head[1] &= ~(1 << _SEND)
        usual = _headed(unknown, head)
        call = head[1] == 1 << _CALL
        if (not call and head[1] & (1 << _CALL)) or self._ids[call] < MIN_IDS:
            return usual
        head[4:] = [mask & form for mask, form in zip(head[4:], _UUID, strict=True)]
        if not all(head):
            return None
        formed = narrow(text, _headed(usual, head))
        return usual if formed is None else formed

    def _match(self, cells: Cells, ids: Callable[[], set[bytes]]) -> None:
        """Ids are said twice, by the caller and by who answers: what one side lost of one, the other may have."""
        possible = self._possible() if self._base is None else self._lengths[:0]
        if self._asked >= MAX_ASKED:
            return
        place = cells[_ID_PLACE]
        digits = sum(1 for cell in place.tolist() if cell < 256 and 1 << cell & _HEX)
        if len(possible) > 1 and len(place) == _ID_LENGTH > digits >= MIN_KNOWN_DIGITS:
            self._asked += 1
            known = ids()
            same = [length for length, id_ in self._ids_under(place, possible) if id_ in known]
            if len(same) == 1:
                self._settle(same[0])
        waiting = [
            index for index in range(max(0, len(self._texts) - MAX_AWAITED), len(self._texts)) if self._open(index)
        ]
        if waiting:
            self._asked += 1
            rows = np.frombuffer(b"".join(ids()), np.uint8).reshape(-1, _ID_LENGTH)
            for index in waiting:
                self._match_one(index, rows)

    def _open(self, index: int) -> bool:
        """Whether a text's id is such that the other side can complete it."""
        place = self._texts[index][_ID_PLACE]
        if len(place) < _ID_LENGTH or int(place.max()) < 256:
            return False
        digits = [bool(mask & _HEX) for mask in self._sets(place) if mask.bit_count() == 1]
        return len(digits) < _ID_LENGTH and sum(digits) >= MIN_KNOWN_DIGITS

    def _ids_under(self, place: Cells, lengths: Lengths) -> list[tuple[int, bytes]]:
        """The id as each length would have it."""
        column, every = self._assumed(place, lengths), np.arange(len(lengths))
        rows = np.zeros((len(lengths), _ID_LENGTH), np.uint8)
        for index in range(_ID_LENGTH):
            rows[:, index] = column(index, every)
        return [(length, row.tobytes()) for length, row in zip(lengths.tolist(), rows, strict=True)]

    def _match_one(self, index: int, ids: NDArray[np.uint8]) -> None:
        """Completes an id, if only one of `ids` (a row each) can be it."""
        place = self._texts[index][_ID_PLACE]
        sets = self._sets(place)
        known = [at for at, mask in enumerate(sets) if mask.bit_count() == 1]
        digits = [sets[at].bit_length() - 1 for at in known]
        alike = ids[(ids[:, known] == digits).all(axis=1)].tolist()
        same = [id_ for id_ in alike if all(mask >> byte & 1 for mask, byte in zip(sets, id_, strict=True))]
        if len(same) == 1 and self._open(index):
            for cell, byte in zip(place.tolist(), same[0], strict=True):
                if cell >= 256:
                    self._allowed[cell] = 1 << byte
            self._renew([index])

    @property
    def ids(self) -> set[bytes]:
        """The UUIDs of the texts since the loss, as far as they are known."""
        if self._base is None:
            found = {_parted(cells[_ID_PLACE])[0] for cells in self._literal}
        else:
            found = {_filled(*self._partly(cells[_ID_PLACE])) for cells in self._texts}
        return {id_ for id_ in found if _UUID_TEXT.fullmatch(id_)}

    def _note_ids(self, text: bytes) -> None:
        """Counts the ids of calls and of answers that are UUIDs of version 4; one that is not ends the count."""
        for digit, blank, id_ in _ID.findall(text):
            self._compact = -1 if blank or self._compact < 0 else self._compact + 1
            self._sends |= digit == b"6"
            call = digit == b"2"
            usual = self._ids[call] >= 0 and _UUID_TEXT.fullmatch(id_)
            self._ids[call] = self._ids[call] + 1 if usual else -1

    # --- the way out ------------------------------------------------------------------------------------------

    @property
    def history(self) -> bytes | None:
        """The text that the next message can refer to, once all of it was captured and is known."""
        if self._ended:
            return b""
        if self._base is None or self._since < WINDOW:
            return None
        window = self._window()
        unknown = window[window >= 256]
        if len(unknown) and self._is_unsure(int(unknown[0])):
            return None  # as is usual, and quickly seen
        if any(map(self._is_unsure, np.unique(unknown).tolist())):
            return None
        return _filled(*self._partly(window))

    def _is_unsure(self, cell: int) -> bool:
        return self._allowed.get(cell, ANY).bit_count() > 1


_CALL, _SEND, _QUOTE = b'26"'
_HEX = sum(1 << byte for byte in b"0123456789abcdef")
_FORMS = {
    "x": _HEX,
    "y": sum(1 << byte for byte in b"89ab"),
    "-": 1 << ord("-"),
    "4": 1 << ord("4"),
    '"': 1 << _QUOTE,
}
_UUID = tuple(_FORMS[place] for place in 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"')
"""A UUID of version 4 in lower case (RFC 9562 §5.4) and the quote after it."""
_ID_LENGTH = len(_UUID) - 1
_ID_PLACE = slice(4, 4 + _ID_LENGTH)
_UUID_TEXT = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ID = re.compile(rb'\[([2-6]),(\s?)"([^"\x00]{1,64})",')


def ids_of(history: bytes) -> set[bytes]:
    """The UUIDs by which messages in a history go."""
    return {id_ for _, _, id_ in _ID.findall(history) if _UUID_TEXT.fullmatch(id_)}


_FRAME = re.compile(rb'\[[2-6],\s?"')


def _is_whole(text: bytes) -> bool:
    if not _FRAME.match(text):
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False
