"""TLS connections as text: what they say although nobody can look inside, in a line or laid out in full.

Server names, protocols and certificates come from the wire and are shown as such. Nothing is judged here: the rules
of the layer "tls" do that. Peers are called client and server, since nobody knows whether they speak OCPP.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import PlainReply, Side
from ocppscope.render import times
from ocppscope.render.wiretext import clip, visible
from ocppscope.tlsnames import ALERTS, FATAL, alert_name, suite_name, version_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ocppscope.analysis.certificate import Certificate
    from ocppscope.model import TlsAlert, TlsConnection, TlsRhythm
    from ocppscope.render.palette import Palette

PEERS = ("client", "server")
"""By side."""
TLS13 = 0x0304
H2 = "h2"
MAX_SHOWN = 24
"""Suites, names or protocols of a list that are shown."""
MAX_NAME = 160
"""Characters of a name from a certificate that are shown."""
FEW_BYTES = 64
"""A segment with less is no OCPP message: the end of TLS, or a Close frame."""
LAST_WORDS_NS = 2_000_000_000
"""How long before the end of a connection such a segment may come and belong to it."""
IDLE_NS = 5_000_000_000
"""A quiet before the end that is worth a word."""
ALIKE_BYTES = 24
"""Segments whose sizes differ by no more than this may be messages of one kind."""
MIN_ALIKE = 4
"""How many of them, at regular intervals, make a beat."""
KEYS_WANTED = "encrypted; `docs/tls.md` says how to get keys, `--keylog FILE` takes them"


def may_be_ocpp(tls: TlsConnection, hosts: Collection[str]) -> bool:
    """Whether there may be OCPP in it: `hosts` speak OCPP, and it is theirs; without any, if it is no browser's."""
    if hosts:
        return not hosts_of(tls).isdisjoint(hosts)
    return tls.decrypted or tls.client_hello is None or H2 not in tls.client_hello.alpn


def hosts_of(tls: TlsConnection) -> set[str]:
    """The addresses of both ends."""
    return {end.address for end in tls.flow}


# --- in a line ------------------------------------------------------------------------------------------------------


def line(tls: TlsConnection, palette: Palette, width: int = 0) -> str:
    """A line of the report of stations, with its line end."""
    start = f"  {times.stamp(tls.opened_ns)}  "
    words = f"{words_of(tls)}; {tls.flow}"
    colour = palette.odd if has_failed(tls) else ""
    off = palette.off if colour else ""
    return f"{start}{colour}{clip(words, width - len(start)) if width else words}{off}\n"


def words_of(tls: TlsConnection) -> str:
    """What a connection says, in a line: name, version, suite, certificate, alerts, its end, how much was said."""
    parts = [_name(tls) or "no server name", *_agreed(tls), *_certificate_words(tls)]
    parts += [alert_words(alert, meaning=False) for alert in tls.alerts if alert.description != 0]
    parts += [end_words(tls), amounts(tls)]
    return ", ".join(parts)


def has_failed(tls: TlsConnection) -> bool:
    """Whether no data came through, or an end said that something is wrong."""
    return tls.plain_reply is not PlainReply.NONE or any(alert.level == FATAL for alert in tls.alerts)


def _name(tls: TlsConnection) -> str:
    return visible(tls.client_hello.server_name) if tls.client_hello is not None else ""


def _agreed(tls: TlsConnection) -> Iterator[str]:
    if tls.plain_reply is not PlainReply.NONE:
        yield plain_words(tls)
    elif tls.server_hello is not None:
        suite = suite_name(tls.server_hello.suite).removeprefix("TLS_")
        yield f"{version_name(tls.server_hello.version)} {suite}"
        if tls.resumed:
            yield "resumed"
        if tls.server_hello.alpn == H2:
            yield "HTTP/2"
    elif tls.client_hello is not None:
        yield "no answer to its hello"
    else:
        yield "found in its middle"


def plain_words(tls: TlsConnection) -> str:
    """Which end did not speak TLS."""
    if tls.plain_reply is PlainReply.TLS:
        return "TLS in answer to a plain request (ws to a wss port)"
    if tls.plain_reply is PlainReply.HTTP:
        return f'plain HTTP in answer to TLS (wss to a ws port): "{visible(_first_line(tls.reply), 60)}"'
    return f'something else than TLS in answer: "{visible(_first_line(tls.reply), 40)}"'


def _first_line(text: str) -> str:
    return text.partition("\r\n")[0]


def _certificate_words(tls: TlsConnection) -> Iterator[str]:
    server, client = (_parsed(chain[0]) if chain else None for chain in reversed(tls.certificates))
    if server is not None:
        yield f"certificate {visible(_short(server), 60)} until {times.date(server.ends_ns)}"
    if client is not None:
        yield f"client certificate {visible(_short(client), 60)}"
    if tls.empty_client_certificate:
        yield "no client certificate although one was asked for"


def _short(certificate: Certificate) -> str:
    return certificate.common_name or (certificate.names[0] if certificate.names else certificate.subject_name)


def alert_words(alert: TlsAlert, *, meaning: bool = True) -> str:
    """`client: fatal alert unknown_ca`, and what that means for who sent it."""
    who = PEERS[alert.side]
    if alert.description is None:
        return f"{who}: an encrypted alert"
    level = "fatal alert" if alert.level == FATAL else "alert"
    words = f"{who}: {level} {alert_name(alert.description)}"
    return f"{words}: {ALERTS[alert.description][1]}" if meaning and alert.description in ALERTS else words


def end_words(tls: TlsConnection) -> str:
    """`ended by the server, FIN, after 5m02s`."""
    lasted = times.span(tls.time_ns - tls.opened_ns)
    if tls.closed_ns is None:
        return {"end of capture": f"still open when the capture ends, after {lasted}"}.get(
            tls.close_how, f"{tls.close_how or 'not followed'} after {lasted}"
        )
    by = "" if tls.closed_by is None else f" by the {PEERS[tls.closed_by]}"
    return f"ended{by}, {tls.close_how}, after {lasted}"


def amounts(tls: TlsConnection) -> str:
    """`1.2K from the client, 20.0K from the server`."""
    sent, received = map(times.size, tls.payload_bytes)
    return f"{sent} from the client, {received} from the server"


def _parsed(der: bytes) -> Certificate | None:
    from ocppscope.analysis.certificate import parse  # noqa: PLC0415 - it loads a library that few captures need

    return parse(der)


# --- in full --------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line, and its colour."""

    text: str
    colour: str = ""


def lines(tls: TlsConnection, palette: Palette, width: int = 0) -> Iterator[str]:
    """All that a connection says, with line ends and an empty line at the end."""
    title = f"TLS  {tls.flow}  {times.stamp(tls.opened_ns)} UTC"
    for one in (Line(title, palette.bold), *_body(tls, palette)):
        text = clip(one.text, width) if width else one.text
        yield f"{one.colour}{text}{palette.off if one.colour else ''}\n"
    yield "\n"


def _body(tls: TlsConnection, palette: Palette) -> Iterator[Line]:
    yield from _offer(tls)
    yield from _answer(tls, palette)
    yield from _certificates(tls, palette)
    for alert in tls.alerts:
        colour = palette.bad if alert.level == FATAL else ""
        yield Line(_item("alert", f"{alert_words(alert)}, after {_after(tls, alert.time_ns)}"), colour)
    for problem in tls.problems:
        yield Line(f"      ! {problem.code}  {visible(problem.text)}", palette.odd)
    yield from _course(tls)
    yield from (Line(_item("rhythm", words)) for words in rhythm_words(tls))
    yield Line(_item("content", "decrypted with its keys" if tls.decrypted else KEYS_WANTED), palette.dim)


def _item(name: str, words: str) -> str:
    return f"  {name:<12} {words}"


def _after(tls: TlsConnection, time_ns: int) -> str:
    return times.span(time_ns - tls.opened_ns)


def _offer(tls: TlsConnection) -> Iterator[Line]:
    hello = tls.client_hello
    if hello is None:
        yield Line(_item("offered", "not in the capture: it begins after it, or lost it"))
        return
    name = f"asks for {visible(hello.server_name)}" if hello.server_name else "names no server (no SNI)"
    protocols = f"; ALPN {_few(hello.alpn)}" if hello.alpn else "; no ALPN"
    yield Line(_item("offered", f"{name}; {', '.join(map(version_name, hello.versions[:MAX_SHOWN]))}{protocols}"))
    yield Line(_item("", f"suites {_few([suite_name(one) for one in hello.suites])}"))
    if tls.hello_retry:
        yield Line(_item("", "the server asked for another hello (HelloRetryRequest)"))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return " ".join(visible(name, 60) for name in names[:MAX_SHOWN]) + more


def _answer(tls: TlsConnection, palette: Palette) -> Iterator[Line]:
    hello = tls.server_hello
    if tls.plain_reply is not PlainReply.NONE:
        yield Line(_item("answered", plain_words(tls)), palette.bad)
        return
    if hello is None:
        unseen = "none in the capture" if tls.client_hello is not None else "not in the capture"
        yield Line(_item("chosen", unseen), palette.odd if tls.client_hello is not None else "")
        return
    words = [version_name(hello.version), suite_name(hello.suite)]
    if hello.alpn:
        words.append(f"ALPN {visible(hello.alpn, 60)}")
    if hello.compression:
        words.append(f"compression method {hello.compression}")
    if tls.resumed:
        words.append("an earlier session resumed")
    if tls.client_hello_ns is not None and tls.server_hello_ns is not None:
        words.append(f"after {times.span(tls.server_hello_ns - tls.client_hello_ns)}")
    yield Line(_item("chosen", ", ".join(words)))
    if H2 in (hello.alpn, *_unanswered_alpn(tls)):
        yield Line(_item("", "may be HTTP/2: WebSockets over HTTP/2 (RFC 8441) are not decoded"), palette.odd)


def _unanswered_alpn(tls: TlsConnection) -> tuple[str, ...]:
    """What the client offered, where TLS 1.3 hides what was chosen."""
    hidden = tls.server_hello is not None and tls.server_hello.version >= TLS13
    return tls.client_hello.alpn if hidden and tls.client_hello is not None else ()


# --- certificates ---------------------------------------------------------------------------------------------------


def _certificates(tls: TlsConnection, palette: Palette) -> Iterator[Line]:
    hello = tls.server_hello
    if hello is None:
        return
    if hello.version >= TLS13:
        yield Line(_item("certificates", "encrypted, as TLS 1.3 sends them: none of them shows without keys"))
        return
    yield from _chain("server", tls.certificates[Side.CSMS], tls, palette)
    if tls.resumed:
        yield Line(_item("certificates", "none are sent when a session is resumed"))
    elif tls.certificate_ns[Side.CSMS] is None:
        yield Line(_item("certificates", "none in the capture"))
    if tls.certificates[Side.STATION]:
        yield from _chain("client", tls.certificates[Side.STATION], tls, palette)
    elif tls.empty_client_certificate:
        yield Line(_item("client cert.", "asked for, and none was given"), palette.odd)
    elif tls.certificate_requested:
        yield Line(_item("client cert.", "asked for; no answer in the capture"), palette.odd)
    elif not tls.resumed and tls.certificate_ns[Side.CSMS] is not None:
        yield Line(_item("client cert.", "not asked for (no security profile 3)"))


def _chain(whose: str, chain: tuple[bytes, ...], tls: TlsConnection, palette: Palette) -> Iterator[Line]:
    for place, der in enumerate(chain):
        name = f"{whose} cert." if not place else f"  issuer {place}"
        found = _parsed(der)
        if found is None:
            yield Line(_item(name, f"{len(der):,} bytes that are no certificate"), palette.odd)
            continue
        over = found.ends_ns < tls.time_ns or found.begins_ns > tls.time_ns
        yield Line(_item(name, visible(found.subject_name, MAX_NAME) or "(no subject)"))
        if not place and found.names:
            yield Line(_item("", f"for {_few(found.names)}"))
        issuer = "itself" if found.self_signed else visible(found.issuer_name, MAX_NAME)
        key = f"{found.key or 'unknown key'}{f' {found.key_bits} bits' if found.key_bits else ''}"
        signed = f", signed with {found.signed_with}" if found.signed_with else ""
        yield Line(_item("", f"issued by {issuer}; {key}{signed}"))
        dates = f"valid {times.date(found.begins_ns)} to {times.date(found.ends_ns)}"
        when = "" if not over else " (over)" if found.ends_ns < tls.time_ns else " (not yet)"
        yield Line(_item("", dates + when), palette.bad if over else "")


# --- what was said, and when ----------------------------------------------------------------------------------------


def _course(tls: TlsConnection) -> Iterator[Line]:
    begun = [at for at in tls.application_ns if at is not None]
    if begun:
        yield Line(_item("data", f"from {_after(tls, min(begun))} on; {amounts(tls)}"))
    else:
        records = f"{tls.records[0]:,} records of the client, {tls.records[1]:,} of the server"
        yield Line(_item("data", f"none seen; {records}; {amounts(tls)}"))
    if any(tls.lost_bytes):
        yield Line(_item("", f"{sum(tls.lost_bytes):,} bytes of the handshake are missing in the capture"))
    yield Line(_item("end", end_words(tls)))


def rhythm_words(tls: TlsConnection) -> Iterator[str]:
    """When the two spoke, in sentences; none where nothing can be said."""
    for side in Side:
        rhythm = tls.rhythm[side]
        found = list(beats(rhythm))
        for beat in found:
            size = _range(beat.least, beat.most)
            yield f"the {PEERS[side]} sends {size} bytes every {times.span(beat.every_ns)} ({beat.times} times seen)"
        if rhythm.times and not found:
            count = "once" if rhythm.times == 1 else f"{rhythm.times:,} times"
            sizes = [size for _, size, _ in rhythm.latest]
            size = _range(min(sizes), max(sizes))
            yield f"the {PEERS[side]} spoke {count} after a quiet of a second or more, lately with {size} bytes"
    idle = idle_before_end(tls)
    if idle is not None and idle >= IDLE_NS:
        end = "it was closed" if tls.closed_ns is not None else "the capture ends"
        yield f"nothing was said in the {times.span(idle)} before {end}"


def _range(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least}-{most}"


class Beat(NamedTuple):
    """Segments of about one size at regular intervals."""

    every_ns: int
    least: int  # bytes
    most: int
    times: int


def beats(rhythm: TlsRhythm) -> Iterator[Beat]:
    """What one side sends again and again, as far as the latest times that it broke a quiet show it."""
    for group in _alike(rhythm):
        gaps = sorted(later[0] - earlier[0] for earlier, later in pairwise(group))
        if len(group) < MIN_ALIKE:
            continue
        middle = gaps[len(gaps) // 2]
        slack = max(middle // 20, times.SECOND)
        if sum(abs(gap - middle) <= slack for gap in gaps) >= 0.75 * len(gaps):
            sizes = [size for _, size, _ in group]
            rounded = round(middle / times.SECOND) * times.SECOND if middle >= 10 * times.SECOND else middle
            yield Beat(rounded, min(sizes), max(sizes), len(group))


def _alike(rhythm: TlsRhythm) -> list[list[tuple[int, int, int]]]:
    """The latest segments by size, each group in order of time."""
    groups: list[list[tuple[int, int, int]]] = []
    for one in sorted(rhythm.latest, key=lambda beat: beat[1]):
        if groups and one[1] - groups[-1][0][1] <= ALIKE_BYTES:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [sorted(group) for group in groups]


def idle_before_end(tls: TlsConnection) -> int | None:
    """For how long nobody had said anything when a connection ended, apart from what ends it; None: not known."""
    spoke = []
    for rhythm in tls.rhythm:
        if rhythm.last_ns is None:
            continue
        last = rhythm.last_ns
        if rhythm.latest:
            now, size, quiet = rhythm.latest[-1]
            if now == last and size < FEW_BYTES and tls.time_ns - now < LAST_WORDS_NS:
                last = now - quiet
        spoke.append(last)
    return tls.time_ns - max(spoke) if spoke else None
