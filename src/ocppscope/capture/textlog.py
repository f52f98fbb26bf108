"""Reads the text that `log --full` prints, and the shorter form that people write for tests and reports.

    -- 2026-11-22 (UTC)
    10:00:00.000 CP-1 → OPEN ocpp1.6
    10:00:00.100 CP-1 → [2,"1","Heartbeat",{}]
    10:01:00.000 CP-1 → PING "abc"
    10:02:00.000 CP-1 ← CLOSE 1001 "maintenance"
    10:02:00.000 CP-1 ← CLOSED FIN

A line is `time [Δ] [#connection] station arrow what`:

    time    of day, after a line `-- 2026-11-22` (and of the next day if it is over a minute before the line above);
            or with its date, `2026-11-22T10:00:00.5Z`; or in seconds since 1970
    #2      names a connection; without it, it is the station's latest open one, or one found in its middle
    arrow   → or -> from the station, ← or <- from the CSMS, -- from nobody
    what    [2,"1",…            a message; it may go on below, indented
            CALL …              a message as `log` has it: what it says stands below, indented
            TEXT …, BINARY 00ff a data message that is anything else
            PING "abc", PONG "abc", FRAME 11 "abc", CLOSE 1000 "bye"
            OPEN ocpp1.6 …      an upgrade, and any of: 192.0.2.1:40000 -> 192.0.2.2:9000, path=/ocpp/CP-1, user=CP-1,
                                offered=ocpp1.6,ocpp2.0.1, took=5ms, deflate, leg=0; without a subprotocol: OPEN none
            OPEN midstream      a connection without its upgrade; OPEN midstream, OCPP 1.6: of known version
            REFUSED 401 Unauthorized "Wrong password" …, NO REPLY …
            GET /ocpp/CP-1 HTTP/1.1, HTTP/1.1 401 Unauthorized
                                heads as they were on the wire; headers stand below, indented. `...` there stands
                                for the usual ones that are not given, `| text` for a line of the body
            CLOSED FIN, CLOSED RST, CLOSED "end of capture", CLOSED "port reused"
            GAP 120             bytes of this direction that were not seen
            END                 the log goes on to here

A line that begins with # is a comment. What `log` prints besides (problems, TIMEOUT, UNANSWERED) is left out: it
follows from the rest. Lines in, `Entry`s out, as they come; a line that cannot be read is a `CaptureError` with its
number. Nothing here decides what a message means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.capture import upgrades
from ocppscope.capture.dialects.clock import BASE_DAY, instant_in
from ocppscope.capture.entries import (
    Answered,
    Asked,
    Closed,
    Controlled,
    Ended,
    Entry,
    Found,
    Lost,
    Named,
    Said,
    What,
)
from ocppscope.capture.instants import DAY, MINUTE, date_ns, instant_ns, time_of_day_ns
from ocppscope.errors import CaptureError
from ocppscope.model import Kind, Side

if TYPE_CHECKING:
    from ocppscope.capture.dialects.context import Context

MAX_HEAD = 400
"""Characters of a line in which its station and arrow must stand."""
MAX_WORDS = 8192
"""Characters of a line's words, where they are no message."""
MAX_ENTRY = 1 << 25
"""Characters of a line and what stands below it; each line there counts for LINE_COST more."""
LINE_COST = 64
MAX_HEADERS = 256
"""Lines below the first one of an HTTP head."""
MAX_STATIONS = 4096
"""Stations and connections of which something is remembered; of more, the oldest are forgotten."""
MAX_BACKWARDS_NS = MINUTE
"""How far back a time may step before it is taken for one of the next day."""

ARROWS = {"→": Side.STATION, "->": Side.STATION, "←": Side.CSMS, "<-": Side.CSMS, "--": None}
CLOSE, PING, PONG = 8, 9, 10

_DATE = re.compile(r"-- (\d{4}-\d\d-\d\d)(?: \(UTC\))?\s*", re.ASCII)
_TIME = re.compile(
    r"(?P<time>(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d{9,11}(?:\.\d+)?)"
    r"(?: +(?P<since>[+-]\d[0-9.]*(?:µs|ms|s|m\d\ds|h\d\dm|d\d\dh)(?= )))?"
    r"(?: +#(?P<number>\d{1,9})(?= |$))? *",
    re.ASCII,
)
_WORDS = "OPEN|REFUSED|NO REPLY|CLOSED|END|LOST|UNREAD|NOTE|PROXY|TLS"
_BODY = re.compile(
    rf"(?P<station>\S.*?)??(?:(?:^| +)(?P<arrow>→|←|->|<-|--)(?: +|$)| {{3,}}(?=(?:{_WORDS})(?: |$)))", re.DOTALL
)
_NUMBERLESS = re.compile(r"LOST +")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*"): (.*)', re.DOTALL)
_CUT = re.compile(r"… \([0-9,]+ (?:characters|bytes)\)$")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|U([0-9a-f]{8})|.)", re.DOTALL)

_KINDS = frozenset(
    {"CALL", "CALLRESULT", "CALLERROR", "CALLRESULTERROR", "SEND", "UNPARSED"}
    | {"RESULT", "ERROR", "RESERR", "?"}  # where a terminal is narrow
)
_KIND_OF = {
    **{kind.name: kind for kind in Kind}, "RESULT": Kind.CALLRESULT, "ERROR": Kind.CALLERROR,
    "RESERR": Kind.CALLRESULTERROR,
}  # fmt: skip
_SUMMARY = re.compile(r"(?P<kind>\S+) +(?P<action>\S+) +(?P<id>\S+)")
_CONSEQUENCES = frozenset({"UNANSWERED", "UNANSW", "TIMEOUT"})
_BESIDE = frozenset({"NOTE", "PROXY", "TLS"})  # comments on packets, connections that could not be read
_SAYS = re.compile(
    r"\s*(?:\[\s*[2-6]\s*,|(?:CALL|CALLRESULT|CALLERROR|CALLRESULTERROR|SEND|UNPARSED|RESULT|ERROR|RESERR|OPEN|REFUSED"
    r"|NO REPLY|CLOSED|PING|PONG|CLOSE|TEXT|BINARY|GAP|LOST|UNREAD)(?:\s|$))"
)
_REQUEST = re.compile(r"[A-Za-z]+ .*HTTP/\d", re.ASCII)
_CLOSE = re.compile(r'(?:Close ?)?(?:(\d{1,5})|without a code)?(?: \([^()]*\))?(?: ?"(.*)")?', re.ASCII | re.DOTALL)
_CLOSED = re.compile(r'(?:by the (?P<who>station|CSMS), )?"?(?P<how>FIN|RST|port reused|end of capture)\b', re.ASCII)
_CLOSED_CLOSE = re.compile(
    r"(?:by the (?P<who>station|CSMS), )?Close (?:(?P<code>\d{1,5})|without a code)"
    r'(?: \([^()]*\))?(?: "(?P<reason>.*?)")?(?=,|$)',
    re.ASCII,
)
_LOST = re.compile(r"(\d[\d,]{0,17}|\?|an unknown number of)(?: bytes(?: from the \w+)?)?(?::? +(.*))?", re.ASCII)

NO_JSON = "a message without its JSON"
HINT = "A line has a time, a station, an arrow and what was said, as `ocppscope log --full` prints it."


class _UnreadableError(Exception):
    """Why a line cannot be read."""


class _Head(NamedTuple):
    """A line, before what stands below it is known."""

    time_ns: int
    line: int
    station: str
    number: int | None
    side: Side | None
    words: str


class TextReader:
    """Reads a text log that may hold anything else besides. A `LineReader`."""

    def __init__(self, context: Context) -> None:
        self.tally = context.tally
        day = next((found[:10] for found in map(instant_in, context.first) if found), BASE_DAY)
        self._log = _TextLog(date_ns(day), self._refused)

    def line(self, number: int, text: str) -> list[Entry]:
        """The next line."""
        return self._counted(self._log.line(number, text))

    def finish(self) -> list[Entry]:
        """The end of the log."""
        return self._counted(self._log.finish())

    def _refused(self) -> None:
        self.tally.skipped += 1

    def _counted(self, entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            if isinstance(entry.what, Said | Named):
                self.tally.messages += 1
                self.tally.cut += isinstance(entry.what, Said) and not entry.what.whole
                self.tally.named += isinstance(entry.what, Named)
            else:
                self.tally.events += 1
        return entries


def is_text_line(line: str) -> bool:
    """Whether a line reads as one of a text log."""
    line = _COLOUR.sub("", line[:MAX_HEAD])
    if _DATE.fullmatch(line.rstrip()):
        return True
    time = _TIME.match(line)
    found = _BODY.match(line, time.end()) if time else None
    if found is None or time is None or not (found["station"] or time["number"]):
        return False
    return _SAYS.match(line, found.end()) is not None


def read_text_log(lines: Iterable[str], day_ns: int | None = None) -> Iterator[Entry]:
    """The entries of a text log. `day_ns`: the day of times before the first date line; without it, they need one.

    Raises CaptureError at the first line that cannot be read.
    """
    return _TextLog(day_ns).read(lines)


class _TextLog:
    """What has to be remembered from line to line."""

    def __init__(self, day_ns: int | None = None, refused: Callable[[], object] | None = None) -> None:
        """With `refused`, a line that cannot be read is no error: it is called, and reading goes on."""
        self._day = day_ns
        self._refused = refused
        self._last = 0  # ns since midnight, of the line before
        self._names: dict[int, str] = {}  # stations by number of a connection
        self._keys: dict[str | int, str] = {}  # of the latest request of a connection
        self._head: _Head | None = None
        self._below: list[str] = []
        self._size = 0

    def read(self, lines: Iterable[str]) -> Iterator[Entry]:
        """See `read_text_log`."""
        for number, raw in enumerate(lines, 1):
            line = _COLOUR.sub("", raw).rstrip("\r\n")
            try:
                yield from self._line(number, line)
            except _UnreadableError as reason:
                raise _error(number, reason) from None
        yield from self._finish()

    def line(self, number: int, raw: str) -> list[Entry]:
        """The entries that are complete with the next line; for who lets lines be refused."""
        found: list[Entry] = []
        try:
            for entry in self._line(number, _COLOUR.sub("", raw).rstrip("\r\n")):
                found.append(entry)  # noqa: PERF402 - those before a refusal count
        except _UnreadableError:
            self._refuse()
        return found

    def finish(self) -> list[Entry]:
        """The entries of the last line."""
        return list(self._finish())

    def _refuse(self) -> None:
        self._head, self._below, self._size = None, [], 0
        if self._refused is not None:
            self._refused()

    def _line(self, number: int, line: str) -> Iterator[Entry]:
        if not line.strip() or line.startswith("#"):
            return
        if line[0] in " \t":
            if self._head is None:
                raise _UnreadableError("it is indented and belongs to no line above")
            self._grow(len(line) + LINE_COST)
            self._below.append(line.strip(" \t"))
            return
        yield from self._finish()
        self._size = 0
        self._grow(len(line))
        if line.startswith("-- "):
            self._date(line)
        else:
            self._head = self._read_head(number, line)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_ENTRY:
            raise _UnreadableError(f"it and what it belongs to have more than {MAX_ENTRY:,} characters")

    def _finish(self) -> Iterator[Entry]:
        """The entries of the line whose end was reached."""
        head, below = self._head, self._below
        self._head, self._below = None, []
        if head is None:
            return
        try:
            yield from self._entries(head, below)
        except _UnreadableError as reason:
            if self._refused is None:
                raise _error(head.line, reason) from None
            named = _named(head.words) if reason.args == (NO_JSON,) else None
            if named is None or head.side is None:
                self._refused()
            else:
                yield _entry(head, named)

    # --- heads ------------------------------------------------------------------------------------------------

    def _date(self, line: str) -> None:
        found = _DATE.fullmatch(line)
        day = date_ns(found[1]) if found else None
        if day is None:
            raise _UnreadableError("it is no date such as `-- 2026-11-22`")
        self._day, self._last = day, 0

    def _read_head(self, number: int, line: str) -> _Head | None:
        time = _TIME.match(line)
        if time is None:
            raise _UnreadableError("it does not begin with a time of day, a date and time, or seconds since 1970")
        time_ns = self._time(time["time"], since=bool(time["since"]))
        body = line[time.end() :]
        if _NUMBERLESS.match(body):
            return None  # lost bytes of no connection
        found = _BODY.match(body[:MAX_HEAD])
        if found is None:
            raise _UnreadableError("it has no station and arrow (→, ←, ->, <- or --)")
        connection = None if time["number"] is None else int(time["number"])
        station = self._name((found["station"] or "").rstrip(" "), connection)
        side = ARROWS[found["arrow"]] if found["arrow"] else None
        return _Head(time_ns, number, station, connection, side, body[found.end() :].strip(" \t"))

    def _name(self, station: str, number: int | None) -> str:
        if number is None:
            if not station:
                raise _UnreadableError("it names no station")
            return station
        if not station and number not in self._names:
            raise _UnreadableError("it names no station, and no line above did for its connection")
        _remember(self._names, number, station or self._names[number])
        return self._names[number]

    def _time(self, text: str, *, since: bool) -> int:
        """A line's time. One without a date is of the day of the last date line, or of a later one."""
        of_day = time_of_day_ns(text)
        if of_day is None:
            time_ns = instant_ns(text)
            if time_ns is None:
                raise _UnreadableError("its time does not exist")
            return time_ns
        if self._day is None:
            raise _UnreadableError("no line above says which day it is, such as `-- 2026-11-22`")
        if not since and of_day < self._last - MAX_BACKWARDS_NS:
            self._day += DAY  # where `log` prints a Δ, it prints a line for each new day, too
            self._last = of_day
        self._last = of_day if since else max(self._last, of_day)
        return self._day + of_day

    # --- what it says -------------------------------------------------------------------------------------------

    def _entries(self, head: _Head, below: list[str]) -> Iterator[Entry]:
        words = head.words
        if words.startswith(("[", "{")):
            _of_side(head.side)
            yield _entry(head, Said(_octets("".join([words, *map(_compact, below)]))))
            return
        word = words.split(" ", 1)[0]
        if word in _KINDS:
            _of_side(head.side)
            yield _entry(head, _message(below))
        elif word not in _CONSEQUENCES and word not in _BESIDE:
            if len(words) > MAX_WORDS and word not in ("TEXT", "BINARY"):
                raise _UnreadableError(f"it has more than {MAX_WORDS:,} characters")
            yield from self._other(head, below)

    def _other(self, head: _Head, below: list[str]) -> Iterator[Entry]:
        words = head.words
        if _REQUEST.match(words) or words.startswith("HTTP/"):
            yield self._http(head, below)
            return
        for word in ("OPEN", "REFUSED", "NO REPLY"):
            if words == word or words.startswith(word + " "):
                yield from self._upgrade(head, word)
                return
        word, _, rest = words.partition(" ")
        reader = _READERS.get(word)
        if reader is None:
            raise _UnreadableError(f"`{_shown(word)}` is nothing that can stand behind the arrow")
        what, side = reader(head.side, rest.strip(" "))
        yield _entry(head._replace(side=side), what)

    def _upgrade(self, head: _Head, word: str) -> Iterator[Entry]:
        """OPEN, REFUSED and NO REPLY: the request, and the answer when the line says."""
        upgrade = upgrades.read_upgrade(word, head.words.removeprefix(word).strip(" "))
        if upgrade is None:
            raise _UnreadableError(f"the words behind {word} cannot be read")
        if upgrade.midstream:
            yield _entry(head, Found(upgrade.flow, upgrade.version, upgrade.leg_of))
            return
        key = upgrades.key_of(head.line)
        request = upgrades.request_of(upgrade, head.station, key)
        asked = head._replace(time_ns=head.time_ns - upgrade.took_ns, side=Side.STATION)
        yield _entry(asked, Asked(request, upgrade.flow, upgrade.leg_of))
        if upgrade.status is not None:
            yield _entry(head._replace(side=Side.CSMS), Answered(upgrades.answer_of(upgrade, key)))

    def _http(self, head: _Head, below: list[str]) -> Entry:
        """A head as it was on the wire; a line `...` stands for the usual headers, lines with `|` are the body."""
        if len(below) > MAX_HEADERS:
            raise _UnreadableError(f"more than {MAX_HEADERS} lines stand below it")
        request = not head.words.startswith("HTTP/")
        connection = head.station if head.number is None else head.number
        if request:
            _remember(self._keys, connection, upgrades.key_of(head.line))
        key = self._keys.get(connection) or upgrades.key_of(head.line)
        usual = upgrades.usual_request_headers(key) if request else upgrades.usual_answer_headers(key)
        below = _without_problems(below)
        given = {line.partition(":")[0].lower() for line in below}
        lines = [head.words]
        for line in below:
            if line == "...":
                lines += [one for one in usual if one.partition(":")[0].lower() not in given]
            elif not line.startswith("|"):
                lines.append(line)
        body = "\n".join(line[1:].removeprefix(" ") for line in below if line.startswith("|")).encode(
            "utf-8", "replace"
        )
        octets = upgrades.head(lines) + body
        return _entry(head, Asked(octets) if request else Answered(octets))


def _error(line: int, reason: _UnreadableError) -> CaptureError:
    return CaptureError(f"Line {line} of the log cannot be read: {reason}.", HINT)


def _entry(head: _Head, what: What) -> Entry:
    return Entry(head.time_ns, head.line, head.station, head.number, head.side, what)


def _remember(table: dict[Any, str], key: str | int, value: str) -> None:
    table.pop(key, None)
    if len(table) >= MAX_STATIONS:
        del table[next(iter(table))]
    table[key] = value


def _shown(word: str) -> str:
    """A word of the log that may be shown in a sentence."""
    return "".join(char for char in word[:20] if char.isprintable())


# --- messages ---------------------------------------------------------------------------------------------------


def _message(below: list[str]) -> Said:
    """A message that is laid out below its line."""
    binary = any(line.startswith("! ocpp.binary") for line in below)
    lines = _without_problems(below)
    if not lines and not any(line.startswith("! json.empty") for line in below):
        raise _UnreadableError(NO_JSON)
    text, whole = [], True
    for line in lines:
        cut = _CUT.search(line)
        text.append(_compact(line[: cut.start()] if cut else line))
        if cut:
            whole = False
            break
    return Said(_octets(_unescaped("".join(text))), binary, whole)


def _named(words: str) -> Named | None:
    """A message of which the log shows no more than its line."""
    found = _SUMMARY.match(words)
    if found is None:
        return None
    kind = _KIND_OF.get(found["kind"], Kind.UNPARSED)
    action, id_ = found["action"].removesuffix("…"), found["id"]
    return Named(kind, "" if "…" in id_ else id_, "" if action == "?" else action)


def _without_problems(lines: list[str]) -> list[str]:
    """Without the lines `! code  sentence` and `▲ severity rule  sentence` that say what is wrong."""
    return [line for line in lines if not line.startswith(("! ", "▲ "))]


def _compact(line: str) -> str:
    """A line of laid-out JSON without the blank behind its key."""
    found = _KEY.fullmatch(line)
    return found[1] + ":" + found[2] if found else line


def _unescaped(text: str) -> str:
    """With the escapes of `log` that are none of JSON's written as JSON has them."""
    return _ESCAPE.sub(_as_json, text) if "\\x" in text or "\\U" in text else text


def _as_json(found: re.Match[str]) -> str:
    octet, wide = found.groups()
    if octet:
        return f"\\u00{octet}"
    code = int(wide, 16) - 0x10000 if wide else -1
    if not 0 <= code < 0x100000:
        return found[0]
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _octets(text: str) -> bytes:
    """UTF-8; bytes of the log that were none come back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


# --- everything else --------------------------------------------------------------------------------------------


_Read = tuple[What, Side | None]


def _of_side(side: Side | None) -> Side:
    if side is None:
        raise _UnreadableError("it needs an arrow that says who did it")
    return side


def _text(side: Side | None, rest: str) -> _Read:
    return Said(_octets(rest)), _of_side(side)


def _binary(side: Side | None, rest: str) -> _Read:
    try:
        return Said(bytes.fromhex(rest), binary=True), _of_side(side)
    except ValueError:
        raise _UnreadableError("BINARY is followed by hexadecimal digits") from None


def _quoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _ping(side: Side | None, rest: str) -> _Read:
    return Controlled(PING, _octets(_quoted(rest))), _of_side(side)


def _pong(side: Side | None, rest: str) -> _Read:
    return Controlled(PONG, _octets(_quoted(rest))), _of_side(side)


def _frame(side: Side | None, rest: str) -> _Read:
    opcode, _, payload = rest.partition(" ")
    if opcode not in ("8", "9", "10", "11", "12", "13", "14", "15"):
        raise _UnreadableError("FRAME is followed by the opcode of a control frame, 8 to 15")
    return Controlled(int(opcode), _octets(_quoted(payload.strip(" ")))), _of_side(side)


def _close(side: Side | None, rest: str) -> _Read:
    found = _CLOSE.fullmatch(rest)
    if found is None or int(found[1] or 0) > 0xFFFF:
        raise _UnreadableError('CLOSE is followed by a code and a reason, such as 1000 "bye"')
    if found[1] is None:
        return Controlled(CLOSE, b""), _of_side(side)
    return Controlled(CLOSE, int(found[1]).to_bytes(2, "big") + _octets(found[2] or "")), _of_side(side)


def _closed(side: Side | None, rest: str) -> _Read:
    found, with_code = _CLOSED.match(rest), _CLOSED_CLOSE.match(rest)
    how = found or with_code
    if how is None or (with_code and int(with_code["code"] or 0) > 0xFFFF):
        raise _UnreadableError('CLOSED is followed by FIN, RST, "port reused" or "end of capture"')
    if how["who"]:
        side = Side.STATION if how["who"] == "station" else Side.CSMS
    if found:
        return Closed(found["how"]), side
    assert with_code is not None
    code = with_code["code"]
    return Closed("close frame", int(code) if code else None, with_code["reason"] or ""), side


def _end(side: Side | None, rest: str) -> _Read:
    return Ended(), None


def _gap(side: Side | None, rest: str) -> _Read:
    found = _LOST.fullmatch(rest)
    if found is None:
        raise _UnreadableError("GAP is followed by the number of bytes that are missing")
    count = found[1].replace(",", "")
    why = found[2] or "not captured"
    return Lost(int(count) if count.isdigit() else 0, why.removeprefix("captured, but "), False), _of_side(side)


def _unread(side: Side | None, rest: str) -> _Read:
    what, who = _gap(side, rest)
    assert isinstance(what, Lost)
    return what._replace(captured=True), who


_READERS: dict[str, Callable[[Side | None, str], _Read]] = {
    "TEXT": _text,
    "BINARY": _binary,
    "PING": _ping,
    "PONG": _pong,
    "FRAME": _frame,
    "CLOSE": _close,
    "CLOSED": _closed,
    "END": _end,
    "GAP": _gap,
    "LOST": _gap,
    "UNREAD": _unread,
}
