"""The redactor of one export: whatever leaves passes through one of its methods.

It learns as it goes. Who writes an export in one pass redacts the events of the capture once beforehand, so that an
identifier is known already in a free text that comes before the message that gives it away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ocppscope.redaction.blanks import faceless
from ocppscope.redaction.events import Events
from ocppscope.redaction.heads import Heads
from ocppscope.redaction.leaks import Scan
from ocppscope.redaction.payloads import Payloads
from ocppscope.redaction.quick import Quick
from ocppscope.redaction.values import Values

if TYPE_CHECKING:
    from ocppscope.model import Connection, Event, Kind, Version
    from ocppscope.redaction.leaks import Leak
    from ocppscope.redaction.policy import Policy

SHARED = "values with the pseudonym of another, since there are no more of their shape"
"""Not a kind of value, but what the reader of the tally has to know: these cannot be told apart any more."""


class Redactor:
    """Maps texts and events to redacted ones. All methods raise UsageError when there is too much to remember."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._values = values = Values(policy)
        self._payloads = Payloads(values)
        values.inside = self._payloads.inside
        self._quick = Quick(values)
        self._heads = Heads(values)
        self._events = Events(self, values, self._heads)
        self._scan = Scan(values)

    def event(self, event: Event) -> Event:
        """Any event of the model."""
        return self._events.event(event)

    def connection(self, connection: Connection) -> Connection:
        """A connection by itself, as `event` gives it."""
        return self._events.connection(connection)

    def message_text(self, text: bytes, *, version: Version, kind: Kind, action: str) -> bytes:
        """The text of a message; `action` is that of the CALL, "" if it is not known."""
        quick = self._quick.message(text, version, kind, action)
        if quick is not None:
            return quick
        if b"\0" in text[:64]:
            return _blind(text)
        said = text.decode("utf-8", "surrogateescape")
        shown = self._payloads.message(said, version, kind, action)
        if not _is_json(text):  # where tokens are not what they seem, parts of two may be a secret together
            shown = self._scan.cleared(shown)
        return shown.encode("utf-8", "surrogateescape")

    def request_head(self, head: bytes) -> bytes:
        """A request as on the wire, with what follows its head."""
        return self._heads.request(head)

    def response_head(self, head: bytes) -> bytes:
        """A response as on the wire, with the body of a refusal."""
        return self._heads.response(head)

    def words(self, text: str) -> str:
        """A text of ours or of the user's that may quote the wire: notes, findings, file names, comments."""
        known = self._values.known.whole(text)
        if known is not None:
            return known.standing_for(text)
        quoted = [
            (start, end, entry.standing_for(text[start:end])) for start, end, entry in self._values.known.quoted(text)
        ]
        return self._values.free.scrubbed(text, quoted)

    def station(self, identity: str) -> str:
        """The pseudonym of a station identity; of a station known by its address that of the address."""
        return self._values.station(identity)

    def address(self, text: str) -> str:
        """The pseudonym of an IPv4 or IPv6 address; any other text stays."""
        return self._values.address(text)

    def mac(self, octets: bytes) -> bytes:
        """The pseudonym of a MAC address."""
        return self._values.mac(octets)

    def time(self, time_ns: int) -> int:
        """A time, shifted."""
        return time_ns + self.policy.shift_ns

    def recount(self) -> None:
        """Starts the tally anew: who redacts the events once to learn from them does not count them twice."""
        self._values.tally.clear()

    def tally(self) -> dict[str, int]:
        """Kind of value → how many were redacted, the most frequent first."""
        shared = self._values.pseudonyms.shared
        found = {str(kind): count for kind, count in self._values.tally.most_common() if count}
        return found | ({SHARED: shared} if shared else {})

    def leaks(self, text: str) -> list[Leak]:
        """What a finished text still holds of what was redacted, or looks like a secret."""
        return self._scan.leaks(text)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _blind(data: bytes) -> bytes:
    """What cannot be judged, without letters and digits."""
    return faceless(data.decode("latin-1")).encode("latin-1", "replace")
