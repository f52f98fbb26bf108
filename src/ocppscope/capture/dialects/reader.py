"""Reads the lines of a log by a dialect: finds messages among everything else, joins them, keeps those that are cut.

Lines in, `Entry`s out, as they come; nothing is an error. Nothing here decides what a message means.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.dialects import extract
from ocppscope.capture.dialects.context import NAMELESS
from ocppscope.capture.dialects.dialect import Event, Way, Writing
from ocppscope.capture.dialects.heads import Heads
from ocppscope.capture.dialects.naming import MAX_NAME, group, last_segment, name_of, named_in, parts, size_after
from ocppscope.capture.dialects.sides import SIDE_OF
from ocppscope.capture.dialects.words import way_of
from ocppscope.capture.entries import Asked, Closed, Controlled, Entry, Found, Named, Said
from ocppscope.model import Kind, Side, Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.capture.dialects.context import Context
    from ocppscope.capture.dialects.dialect import Dialect, Form
    from ocppscope.capture.entries import What

MAX_HEAD = 2000
"""Characters of a line in which patterns are searched for."""
MAX_MESSAGE = 1 << 24
"""Characters of a message that goes on over lines; of a longer one the beginning is kept."""
MAX_JOINED = 1 << 14
"""Lines that a message may go on over."""
MAX_OPEN = 1 << 14
"""Connections that are remembered as open."""
MAX_HELD = 2000
"""Entries that wait until it is known who wrote the log."""
CLOSE, PING, PONG = 8, 9, 10

_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
_CONTAINER = re.compile(r"[\w.-]{1,64} *\| ")  # docker compose
_RECORD = re.compile(
    r"(?:[\w.-]{1,64} *\| )?\W{0,3}"
    r"(?:\d{4}[-/.]\d\d[-/.]\d\d[T _]|\d\d:\d\d:\d\d|[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:|time=|ts=|level="
    r"|(?:TRACE|DEBUG|DEBU|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|TRC|DBG|INF|WRN|ERR|FTL)\b)",
    re.ASCII,
)
_OBJECT = re.compile(r'(?:[\w.-]{1,64} *\| )?\{"\w+":')
_QUOTED_TIME = re.compile(r'\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"', re.ASCII)
_VERSION = re.compile(r"(\d\.\d(?:\.\d)?)", re.ASCII)
_VERSIONS = {version.value: version for version in Version if version is not Version.UNKNOWN}


_NOTHING = Found()


class _Begun(NamedTuple):
    """A message whose line was read, and whose end was not."""

    head: Entry  # with what is known if nothing more comes
    way: Way
    before: str  # of the text, as it is put together from parts
    after: str
    container: bool


class DialectReader:
    """Reads one log. A `LineReader`."""

    def __init__(self, dialect: Dialect, context: Context) -> None:
        self.dialect = dialect
        self.tally = context.tally
        self._sessions = context.sessions
        self._times = context.open_times(dialect.zone_ns)
        self._sides = context.open_sides(dialect.writer)
        self._begun: _Begun | None = None
        self._pieces: list[str] = []
        self._size = 0
        self._state = extract.Open(0, in_string=False)
        self._heads = Heads()
        self._station = ""
        self._version = Version.UNKNOWN
        self._known: dict[str | int, None] = {}  # connections that are open
        self._held: list[tuple[Entry, Way]] = []
        self._out: list[Entry] = []
        self._number = 0  # of the line that is read
        self._line = ""
        self._survey(context.first)

    def _survey(self, lines: list[str]) -> None:
        """Lets the beginning of the log tell who wrote it."""
        if self._sides.writer is not None:
            return
        for raw in lines:
            found = self._find(without_colours(raw))
            if found is not None and found[0].event is Event.MESSAGE:
                form, match = found
                self._sides.vote(self._way(form, match), self._message_text(form, match))
        self._sides.settle()

    # --- lines --------------------------------------------------------------------------------------------------

    def line(self, number: int, text: str) -> Iterable[Entry]:
        """The next line."""
        line = self._cleaned(text)
        self._number, self._line = number, line
        found = self._find(line)
        if self._begun is not None:
            if found is None and not self._is_record(line):
                self._continue(line)
                return self._take()
            self._cut()
        if self._heads.goes_on and (found is None or found[0].event is not Event.HEADER):
            self._flush_heads()
        if found is None:
            self.tally.skipped += bool(line.strip())
        else:
            self._read(*found)
        return self._take()

    def finish(self) -> Iterable[Entry]:
        """The end: what waits is told as far as it is known."""
        if self._begun is not None:
            self._cut()
        self._flush_heads()
        if self._held:
            self._sides.assume()
            self._release()
        return self._take()

    def _take(self) -> list[Entry]:
        out, self._out = self._out, []
        return out

    def _cleaned(self, text: str) -> str:
        line = text.rstrip("\r\n")
        if "\x1b" in line:
            line = _COLOUR.sub("", line)
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                self.tally.latin += 1
                line = line.encode("utf-8", "surrogateescape").decode("latin-1")
        return line

    def _find(self, line: str) -> tuple[Form, re.Match[str]] | None:
        for form in self.dialect.forms:
            match = form.pattern.search(line, 0, MAX_HEAD)
            if match is not None:
                return form, match
        return None

    def _is_record(self, line: str) -> bool:
        """Whether a line that is none of the dialect's begins something new, rather than goes on."""
        if self._state.in_string and _QUOTED_TIME.match(line):
            return False
        if _OBJECT.match(line):
            return not "".join(self._pieces[-1:]).rstrip().endswith((",", ":", "[", "{"))
        return _RECORD.match(line) is not None

    def _read(self, form: Form, match: re.Match[str]) -> None:
        event = form.event
        if event is Event.MESSAGE:
            self._message(form, match)
            return
        if event is Event.VERSION:
            stated = _VERSION.search(match["version"])
            self._version = _VERSIONS.get(stated[1], Version.UNKNOWN) if stated else Version.UNKNOWN
            self._times.read(group(match, "time"))
            return
        if event is Event.TIME:
            self._times.read(match["time"])
            self.tally.skipped += 1
            return
        if event is Event.HEADER:
            self.tally.skipped += not self._heads.add(self._way(form, match), group(match, "text"))
            return
        self.tally.events += 1
        head = self._head(form, match)
        if event is Event.HEAD:
            self._heads.begin(head, self._way(form, match), group(match, "text"))
        elif event is Event.OPEN:
            self._open(head)
        elif event is Event.CLOSE:
            self._close(head, form, match)
        else:
            self._control(head, form, match)

    def _head(self, form: Form, match: re.Match[str]) -> Entry:
        """When, where and of whom; what follows."""
        time_ns = None
        named = group(match, "time")
        if named:
            time_ns = self._times.read(named)
        if time_ns is None:
            end = match.start("text") if "text" in match.re.groupindex and match["text"] else match.end()
            time_ns = self._times.read(self._line[:end])
        if time_ns is None:
            time_ns = self._times.made_up()
        session = group(match, "session")
        number = self._sessions.number(session) if session else None
        return Entry(time_ns, self._number, self._name(form, match), number, None, _NOTHING)

    def _name(self, form: Form, match: re.Match[str]) -> str:
        groups = match.re.groupindex
        url = group(match, "url")
        if url:
            self._station = last_segment(url)
        elif "station" in groups and match["station"] is not None:
            self._station = match["station"].strip()[:MAX_NAME]
        elif self.dialect.is_general:
            self._station = named_in(self._line[: match.start("text")]) or self._station
        return self._station or NAMELESS

    def _way(self, form: Form, match: re.Match[str]) -> Way:
        word = group(match, "way")
        if word:
            return self.dialect.ways.get(word.strip().lower(), form.way)
        if self.dialect.is_general:
            return way_of(match.string[: match.start("text")])
        return form.way

    # --- messages -----------------------------------------------------------------------------------------------

    def _message_text(self, form: Form, match: re.Match[str]) -> str:
        """The beginning of a message, for its head."""
        if "text" not in match.re.groupindex or match["text"] is None:
            return ""
        text = match.string[match.start("text") : match.start("text") + MAX_HEAD]
        if form.writing is Writing.QUOTED:
            return extract.unquoted(text).text
        return text

    def _message(self, form: Form, match: re.Match[str]) -> None:
        head, way = self._head(form, match), self._way(form, match)
        if form.writing is Writing.NAMED:
            self._named(head, way, match)
            return
        if form.writing is Writing.BYTES:
            self._literal(head, way, match)
            return
        text = match.string[match.start("text") :] if match["text"] is not None else ""
        if form.writing is Writing.QUOTED:
            shown = extract.unquoted(text)
            end = extract.ending(shown.text)
            whole = isinstance(end, int)
            self._say(head, way, shown.text[:end] if isinstance(end, int) else shown.text, whole=whole)
            return
        before, after = "", ""
        if form.writing is Writing.PARTS:
            before, after = parts(match)
            head = head._replace(what=name_of(match))
        elif group(match, "action"):
            head = head._replace(what=name_of(match))
        self._begin(_Begun(head, way, before, after, _CONTAINER.match(self._line) is not None), text)

    def _begin(self, begun: _Begun, text: str) -> None:
        """A message of which this line shows the beginning, or all of it."""
        end = extract.ending(text) if text else extract.Open(0, in_string=False)
        if isinstance(end, int):
            self._say(begun.head, begun.way, begun.before + text[:end] + begun.after)
        elif text and end.depth == 0 and not end.in_string:  # no JSON stands there
            self._say(begun.head, begun.way, text, whole=False)
        else:
            self._begun, self._state = begun, end
            self._pieces, self._size = [text if end.in_string else text.rstrip()], len(text)

    def _continue(self, line: str) -> None:
        """A line that belongs to the message before it."""
        begun = self._begun
        assert begun is not None
        if begun.container:
            found = _CONTAINER.match(line)
            line = line[found.end() :] if found else line
        started = any(self._pieces)
        if not started and not line.strip():
            return
        if not started and not line.lstrip().startswith(("[", "{")):
            self._cut()
            self.tally.skipped += 1
            return
        piece = line if self._state.in_string else extract.compact(line)
        state = extract.scan(piece, self._state)
        if isinstance(state, int):
            self._pieces.append(piece[:state])
            self._begun = None
            self._say(begun.head, begun.way, begun.before + "".join(self._pieces) + begun.after)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        self._state = state
        if self._size > MAX_MESSAGE or len(self._pieces) > MAX_JOINED:
            self._cut()

    def _cut(self) -> None:
        """The message ends here, although its JSON does not."""
        begun, text = self._begun, "".join(self._pieces)
        self._begun, self._pieces, self._size = None, [], 0
        self._state = extract.Open(0, in_string=False)
        assert begun is not None
        if text:
            self._say(begun.head, begun.way, begun.before + text, whole=False)
        elif isinstance(begun.head.what, Named):
            self._tell_named(begun.head, begun.way)

    def _say(self, head: Entry, way: Way, text: str, *, whole: bool = True) -> None:
        self._count(whole=whole)
        if text[:2] == "[3":
            self._times.compare(head.time_ns, text)
        said = Said(text.encode("utf-8", "surrogatepass"), False, whole)
        side = SIDE_OF.get(way)
        if side is not None and not self._held:
            entry = Entry(head.time_ns, head.line, head.station, head.number, side, said)
            self._find_connection(entry)
            self._out.append(entry)
            return
        self._sides.vote(way, text)
        self._tell(head._replace(what=said), way)

    def _literal(self, head: Entry, way: Way, match: re.Match[str]) -> None:
        """A message as a Python literal."""
        size = group(match, "size") or size_after(self._line)
        shown = extract.literal(self._line[match.start("text") :], int(size) if size else None)
        if shown is None:
            text = self._line[match.start("text") :].lstrip("b").strip("'\"")
            self._say(head, way, text, whole=False)
            return
        octets, whole = shown
        self._count(whole=whole)
        self._sides.vote(way, octets[:MAX_HEAD].decode("utf-8", "replace"))
        self._tell(head._replace(what=Said(octets, whole=whole)), way)

    def _named(self, head: Entry, way: Way, match: re.Match[str]) -> None:
        self._tell_named(head._replace(what=name_of(match)), way)

    def _tell_named(self, head: Entry, way: Way) -> None:
        self.tally.messages += 1
        self.tally.named += 1
        what = head.what
        if isinstance(what, Named) and what.kind is Kind.CALL:
            self._sides.vote(way, json.dumps([2, what.id or "?", what.action]))
        self._tell(head, way)

    def _count(self, *, whole: bool) -> None:
        self.tally.messages += 1
        self.tally.cut += not whole

    # --- everything else ----------------------------------------------------------------------------------------

    def _open(self, head: Entry) -> None:
        key = _key(head)
        if key in self._known:
            self._out_or_hold(head._replace(what=Closed("end of capture")), None)
            self._known.pop(key, None)
        self._find_connection(head, told=True)

    def _find_connection(self, head: Entry, *, told: bool = False) -> None:
        """Tells of a connection that was not known, where there is something to tell of it."""
        key = _key(head)
        if key in self._known:
            return
        if len(self._known) >= MAX_OPEN:
            del self._known[next(iter(self._known))]
        self._known[key] = None
        if told or self._version is not Version.UNKNOWN:
            self._out_or_hold(head._replace(side=None, what=Found(version=self._version)), None)
            self._version = Version.UNKNOWN

    def _close(self, head: Entry, form: Form, match: re.Match[str]) -> None:
        code, reason = group(match, "code"), group(match, "reason")
        way = self._way(form, match)
        how = "close frame" if code and code not in ("1005", "1006") and int(code) <= 0xFFFF else "FIN"
        closed = Closed(how, int(code) if code and how == "close frame" else None, reason)
        key = _key(head)
        if key in self._known or head.number is None:
            self._known.pop(key, None)
            self._out_or_hold(head._replace(what=closed), way if way is not Way.UNSAID else None)

    def _control(self, head: Entry, form: Form, match: re.Match[str]) -> None:
        payload = b""
        if "data" in match.re.groupindex and match["data"]:
            shown = extract.literal(match["data"])
            payload = (shown[0] if shown else match["data"].encode("utf-8", "replace"))[:125]
        opcode = {Event.PING: PING, Event.PONG: PONG}.get(form.event, CLOSE)
        if opcode == CLOSE and not payload:
            code = group(match, "code")
            reason = group(match, "reason").encode("utf-8", "replace")[:123]
            payload = int(code).to_bytes(2, "big") + reason if code and int(code) <= 0xFFFF else b""
        self._tell(head._replace(what=Controlled(opcode, payload)), self._way(form, match))

    def _flush_heads(self) -> None:
        """An HTTP head has ended."""
        head = self._heads.finish()
        if head is None:
            return
        if isinstance(head.what, Asked):
            self._station = head.station
            self._known[_key(head)] = None
            self._out_or_hold(head, Way.FROM_STATION)
        else:
            self._out_or_hold(head._replace(station=self._station or NAMELESS), Way.FROM_CSMS)

    # --- sides --------------------------------------------------------------------------------------------------

    def _tell(self, entry: Entry, way: Way) -> None:
        """Something that a side said."""
        self._find_connection(entry)
        self._out_or_hold(entry, way)

    def _out_or_hold(self, entry: Entry, way: Way | None) -> None:
        """Tells it now, or when it is known who wrote the log; `way` None: of nobody."""
        open_ = way in (Way.SENT, Way.RECEIVED) and self._sides.writer is None
        if self._held or open_:
            self._held.append((entry, way or Way.UNSAID))
            self._sides.settle()
            if len(self._held) > MAX_HELD:
                self._sides.assume()
            if self._sides.writer is not None:
                self._release()
            return
        self._out.append(self._sided(entry, way or Way.UNSAID))

    def _release(self) -> None:
        self._out += [self._sided(entry, way) for entry, way in self._held]
        self._held.clear()

    def _sided(self, entry: Entry, way: Way) -> Entry:
        what: What = entry.what
        if isinstance(what, Found) or (isinstance(what, Closed) and way is Way.UNSAID):
            return entry
        text = ""
        if way is Way.UNSAID and isinstance(what, Said):
            text = what.text[:MAX_HEAD].decode("utf-8", "replace")
        side = self._sides.of(way, text)
        if side is None:
            self.tally.unsided += isinstance(what, Said | Named)
            side = Side.STATION
        return entry._replace(side=side)


def without_colours(line: str) -> str:
    """A line without the escape sequences of a terminal."""
    return _COLOUR.sub("", line) if "\x1b" in line else line


def _key(entry: Entry) -> str | int:
    return entry.station if entry.number is None else entry.number
