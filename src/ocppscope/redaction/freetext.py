"""Texts that may hold anything: what is known, what looks like a secret, and what its own words call one.

`name=value`, `name: value` and `<name>value</name>` are read with the words of the name, URLs as URLs. JSON inside
is not its business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.redaction.detectors import Sign, hits, replaced
from ocppscope.redaction.fields import Field, by_words
from ocppscope.redaction.instants import DATE_TIME, shifted

if TYPE_CHECKING:
    from ocppscope.redaction.detectors import Hit
    from ocppscope.redaction.values import Values

MAX_CLEAN = 4096
"""Texts that are remembered to hold nothing."""
MAX_CLEAN_CHARS = 64
"""Longest of them, in characters."""

_MAYBE = re.compile(r"[=:<@]|[0-9]{4}|[0-9]\.|-----|eyJ|[A-Za-z0-9+/_-]{200}|[A-Z0-9-]{13}|(?i:basic|bearer)")
_SUSPECT = re.compile(r"@|:[^:]*+:|\.[^.]*+\.|[A-Za-z0-9-]{13}|-----|eyJ|(?i:basic|bearer)")
"""What is in everything that a detector finds, and seldom in ids and in values of meters."""
_URL = re.compile(r"(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s\"'<>`|)\]}]+")
_PAIR = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]{0,63})([\"']?\s{0,4}[=:]\s{0,4}[\"']?)([^\s\"'&;,<>(){}\[\]]+)")
_ELEMENT = re.compile(r"<(?:[\w-]{1,32}:)?([\w-]{1,64})(?:\s[^<>]*+)?>([^<>]++)</")
_NAMED = frozenset({Field.TOKEN, Field.SECRET, Field.CUSTOMER, Field.SIM, Field.EQUIPMENT, Field.PLACE})

Edit = tuple[int, int, str]


class FreeText:
    """The search of free texts of one run."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._clean: set[str] = set()  # texts in which nothing was found, as long as nothing is learned
        self._generation = 0

    def scrubbed(self, text: str, done: list[Edit] | None = None) -> str:
        """A text without what is known, named or looks like a secret, and with its times shifted.

        `done` are replacements that are decided already; nothing else is done there.
        """
        if not done and not _MAYBE.search(text):
            return self.known_replaced(text)
        edits: list[Edit] = []
        masked = self._masked(text, edits, done or [])
        masked = self._masked(masked, edits, self._times(masked))
        masked = self._masked(masked, edits, self._urls(masked))
        masked = self._masked(masked, edits, self._named(masked))
        masked = self._masked(masked, edits, [self._hit(masked, hit) for hit in hits(masked)])
        edits += self._known(masked)
        edits.sort()
        return replaced(text, edits) if edits else text

    def known_replaced(self, text: str) -> str:
        """A text in which only what is known is replaced."""
        if self.holds_nothing_known(text):
            return text
        return replaced(text, self._known(text))

    def staying(self, text: str) -> str:
        """A text that stays, but for what is known in it; if it holds what looks like a secret it is a free text."""
        return self.scrubbed(text) if _SUSPECT.search(text) and hits(text) else self.known_replaced(text)

    def identity(self, text: str) -> str:
        """A message id: it stays, but for what is known in it or looks like a secret, which gets a pseudonym."""
        found = hits(text) if _SUSPECT.search(text) else []
        if not found:
            return self.known_replaced(text)
        new = [(one.start, one.end, self._values.identifier(text[one.start : one.end], Field.TOKEN)) for one in found]
        edits: list[Edit] = []
        masked = self._masked(text, edits, new)
        return replaced(text, sorted(edits + self._known(masked)))

    def stays(self, text: str) -> bool:
        """Whether `staying` and `identity` leave a text as it is."""
        return self.holds_nothing_known(text) and not (_SUSPECT.search(text) and hits(text))

    def holds_nothing_known(self, text: str) -> bool:
        """Whether nothing in a text is known."""
        known = self._values.known
        if self._generation != known.generation or len(self._clean) > MAX_CLEAN:
            self._generation = known.generation
            self._clean.clear()
        if text in self._clean:
            return True
        if next(known.bare(text), None) is not None:
            return False
        if len(text) <= MAX_CLEAN_CHARS:
            self._clean.add(text)
        return True

    def holds_nothing(self, text: str) -> bool:
        """Whether a text certainly stays as it is."""
        return self.holds_nothing_known(text) and not _MAYBE.search(text)

    def _times(self, text: str) -> list[Edit]:
        shift = self._values.policy.shift_ns
        if not shift:
            return []
        return [(*match.span(), shifted(match[0], shift) or match[0]) for match in DATE_TIME.finditer(text)]

    def _masked(self, text: str, edits: list[Edit], new: list[Edit]) -> str:
        if not new:
            return text
        edits += new
        return replaced(text, [(start, end, "\0" * (end - start)) for start, end, _ in new])

    def _known(self, text: str) -> list[Edit]:
        places = list(self._values.known.bare(text))
        for one in places:
            self._values.tally[one.entry.kind] += 1
        return [(start, end, entry.standing_for(text[start:end])) for start, end, entry in places]

    def _urls(self, text: str) -> list[Edit]:
        if "://" not in text:
            return []
        return [(*match.span(), self._values.url(match[0])) for match in _URL.finditer(text)]

    def _named(self, text: str) -> list[Edit]:
        found = []
        pairs = [(match[1], *match.span(3)) for match in _PAIR.finditer(text)] if re.search("[=:]", text) else []
        inside = [(match[1], *match.span(2)) for match in _ELEMENT.finditer(text)] if "</" in text else []
        done = 0
        for name, start, end in sorted(pairs + inside, key=lambda one: one[1]):
            field = by_words(name)
            if field in _NAMED and start >= done and "\0" not in text[start:end]:
                found.append((start, end, self._values.value(field, text[start:end])))
                done = end
        return found

    def _hit(self, text: str, hit: Hit) -> Edit:
        return hit.start, hit.end, self._instead(hit.sign, text[hit.start : hit.end])

    def _instead(self, sign: Sign, text: str) -> str:
        values = self._values
        if sign in (Sign.IPV4, Sign.IPV6):
            return values.address(text)
        if sign is Sign.MAC:
            return values.mac_text(text)
        if sign is Sign.EMAID:
            return values.identifier(text, Field.TOKEN)
        values.tally[sign] += 1
        if sign in (Sign.BASIC, Sign.BEARER):
            return f"{text.split(None, 1)[0]} ***"
        return "://***:***@" if sign is Sign.USERINFO else "***"
