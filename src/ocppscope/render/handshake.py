"""A WebSocket upgrade laid out header by header, with a verdict on each of the five that are negotiated.

The verdicts are the problems that the decoder stated; nothing is judged here. Passwords never get this far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.render import times
from ocppscope.render.wiretext import clip, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.model import Connection, Handshake, Problem
    from ocppscope.render.palette import Palette

VERSION, KEY, ACCEPT = "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Accept"
PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"
NEGOTIATED = (VERSION, KEY, ACCEPT, PROTOCOL, EXTENSIONS)
REQUEST, OTHER = "request", "other"

PLACES = {
    "websocket-version": VERSION,
    "key-": KEY,
    "accept-": ACCEPT,
    "protocol-": PROTOCOL,
    "extension-": EXTENSIONS,
    "deflate-": EXTENSIONS,
    "identity-": REQUEST,
    "basic-": REQUEST,
    "user-": REQUEST,
    "method": REQUEST,
    "version": REQUEST,
    "target": REQUEST,
}
"""How the name of a problem of the layer "http" begins → the line that it is told below."""
GOOD, BAD, NONE = "✓", "✗", "-"
MAX_HEADER = 300
"""Characters of a header that are shown."""


class Item(NamedTuple):
    """One of the negotiated headers: a sign, and what was said."""

    sign: str
    words: str


class Line(NamedTuple):
    """A line whose first `coloured` characters are in a colour; all of them if that is None."""

    text: str
    colour: str = ""
    coloured: int | None = None


def lines(connection: Connection, palette: Palette, width: int = 0) -> Iterator[str]:
    """The negotiation of a connection, with line ends and an empty line at the end."""
    name = f"#{connection.number} {visible(connection.station, 48)}"
    title = f"{name}  {connection.flow}  {times.stamp(connection.opened_ns)} UTC"
    for line in (Line(title, palette.bold, len(name)), *_body(connection, palette)):
        text = clip(line.text, width) if width else line.text
        if line.colour:
            end = len(text) if line.coloured is None else line.coloured
            text = f"{line.colour}{text[:end]}{palette.off}{text[end:]}"
        yield f"{text}\n"
    yield "\n"


def _body(connection: Connection, palette: Palette) -> Iterator[Line]:
    handshake = connection.handshake
    if handshake is None:
        yield Line("  no upgrade in the capture: it begins after it, or lost it")
        yield from _problems(connection.problems, palette)
        return
    placed = _placed(connection.problems)
    yield Line(f"  request   {visible(handshake.method)} {visible(handshake.target, MAX_HEADER)}{_who(handshake)}")
    yield from _problems(placed[REQUEST], palette)
    yield Line(f"  response  {_response(handshake)}")
    for name in NEGOTIATED:
        item = _ITEMS[name](handshake)
        sign = BAD if placed[name] else item.sign
        colour = {GOOD: palette.good, BAD: palette.bad}.get(sign, palette.dim)
        yield Line(f"  {sign} {name:<25} {item.words}", colour, 4)
        yield from _problems(placed[name], palette)
    yield from _problems(placed[OTHER], palette)
    yield from _rest("request", handshake.request_headers, palette)
    yield from _rest("response", handshake.response_headers, palette)
    if handshake.body:
        yield Line(f"  body      {visible(handshake.body.strip(), MAX_HEADER)}")


def _placed(problems: tuple[Problem, ...]) -> dict[str, list[Problem]]:
    placed: dict[str, list[Problem]] = {place: [] for place in (*NEGOTIATED, REQUEST, OTHER)}
    for problem in problems:
        name = problem.code.removeprefix("http.")
        place = next((PLACES[start] for start in PLACES if name.startswith(start)), OTHER)
        placed[place].append(problem)
    return placed


def _problems(problems: list[Problem] | tuple[Problem, ...], palette: Palette) -> Iterator[Line]:
    for problem in problems:
        yield Line(f"      ! {problem.code}  {visible(problem.text, MAX_HEADER)}", palette.odd)


def _who(handshake: Handshake) -> str:
    words = f"   station {visible(handshake.station) or '(none)'}"
    return f"{words}, Basic user {visible(handshake.user)}" if handshake.user else f"{words}, no Basic user"


def _response(handshake: Handshake) -> str:
    if handshake.status is None:
        return "none in the capture"
    after = "" if handshake.answered_ns is None else times.span(handshake.answered_ns - handshake.requested_ns)
    return f"{handshake.status} {visible(handshake.reason)}" + (f"   after {after}" if after else "")


def _rest(which: str, headers: tuple[tuple[str, str], ...], palette: Palette) -> Iterator[Line]:
    """The headers that are not negotiated."""
    negotiated = {name.lower() for name in NEGOTIATED}
    for name, value in headers:
        if name.lower() not in negotiated:
            yield Line(f"  {which:<9} {visible(name)}: {visible(value, MAX_HEADER)}", palette.dim)


# --- the five negotiated headers --------------------------------------------------------------------------------


def _version(handshake: Handshake) -> Item:
    return _said(handshake.websocket_version)


def _key(handshake: Handshake) -> Item:
    return _said(handshake.key)


def _said(value: str) -> Item:
    return Item(GOOD, visible(value, MAX_HEADER)) if value else Item(BAD, "missing")


def _accept(handshake: Handshake) -> Item:
    if not handshake.upgraded:
        return Item(NONE, "not expected, since the upgrade was not granted")
    if not handshake.accept:
        return Item(BAD, "missing")
    verdict = {True: "answers the key", False: "does not answer the key", None: "cannot be checked"}
    sign = {True: GOOD, False: BAD, None: NONE}[handshake.accept_ok]
    return Item(sign, f"{visible(handshake.accept)} {verdict[handshake.accept_ok]}")


def _protocol(handshake: Handshake) -> Item:
    offered, chosen = handshake.offered_protocols, handshake.protocol
    return _agreed(handshake, ", ".join(offered), chosen or "")


def _extensions(handshake: Handshake) -> Item:
    return _agreed(handshake, ", ".join(handshake.offered_extensions), ", ".join(handshake.extensions))


def _agreed(handshake: Handshake, offered: str, chosen: str) -> Item:
    offer = f"offered {visible(offered, MAX_HEADER)}" if offered else "none offered"
    if not handshake.upgraded:
        return Item(NONE, offer)
    if chosen:
        return Item(GOOD, f"{offer} → chosen {visible(chosen, MAX_HEADER)}")
    return Item(NONE, f"{offer}, none chosen" if offered else offer)


_ITEMS = {VERSION: _version, KEY: _key, ACCEPT: _accept, PROTOCOL: _protocol, EXTENSIONS: _extensions}
