"""What went by in a capture, counted: what is said where no OCPP was found, or where something was let go of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.wire.connection import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.model import Flow
    from ocppscope.wire.link import LinkStats

MAX_EXAMPLES = 5
"""Flows of a kind that a summary names."""


class Summary:
    """What went by, for a reader who finds no OCPP. Flows are counted by what they turned out to be."""

    def __init__(self, link: LinkStats) -> None:
        self.packets = 0
        self.segments = 0  # of TCP
        self.link = link
        self.flows = dict.fromkeys(Phase, 0)
        self.forgotten = 0  # connections of `flows` that were let go of while nobody knew what they were
        self.forgotten_sessions = 0  # WebSockets that were let go of
        self.given_up = 0  # times that one gave up what it held
        self.out_of_context = 0  # compressed messages that refer to text that is not known; known at the end
        self.unfollowed_tls = 0  # connections of which no `TlsConnection` tells all there was; known at the end
        self.examples: dict[Phase, list[Flow]] = {phase: [] for phase in Phase}

    def note(self, phase: Phase, flow: Callable[[], Flow]) -> None:
        """A flow will not be looked at any more."""
        self.flows[phase] += 1
        if len(self.examples[phase]) < MAX_EXAMPLES:
            self.examples[phase].append(flow())
