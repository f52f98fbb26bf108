"""Reading an upgrade for rules: what was asked, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.happenings import Refused, Upgraded
from ocppscope.analysis.registry import V2X
from ocppscope.ocpp.versions import version_of

if TYPE_CHECKING:
    from ocppscope.model import Connection, Handshake

Opening = Upgraded | Refused


def connection_of(what: Opening) -> Connection | None:
    """The connection at that time."""
    if isinstance(what, Refused):
        return what.connection
    return what.link.connection if what.link is not None else None


def handshake_of(what: Opening) -> Handshake | None:
    """Its handshake, if its request was captured."""
    connection = connection_of(what)
    handshake = connection.handshake if connection is not None else None
    return handshake if handshake is not None and handshake.method else None


def header(handshake: Handshake, name: str) -> str:
    """The values of a request header, in lower case."""
    return ",".join(value.lower() for one, value in handshake.request_headers if one.lower() == name)


def place_of(handshake: Handshake) -> dict[str, str]:
    """What was asked for, as measured figures."""
    return {"path": handshake.target[:200], "identity": handshake.station[:64]}


def is_2x(handshake: Handshake) -> bool:
    """Whether 2.x was chosen, or nothing else was offered."""
    names = (handshake.protocol,) if handshake.protocol else handshake.offered_protocols
    return bool(names) and all(version_of(name) in V2X for name in names)


def outcome_of(handshake: Handshake) -> str:
    """What became of it, the end of a sentence."""
    if handshake.status is None:
        return "it was not answered"
    return "the CSMS accepted it all the same" if handshake.upgraded else f"the CSMS answered HTTP {handshake.status}"


def has_credentials(handshake: Handshake) -> bool:
    """Whether credentials of any kind were sent."""
    return bool(header(handshake, "authorization"))
