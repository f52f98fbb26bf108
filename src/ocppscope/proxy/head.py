"""Changes the head of the first HTTP request of a connection on its way: takes header lines out, or sets `Host`.

Whatever is not asked for stays as it is, byte for byte: order, case, spaces, line ends, and all that follows the
head. What is no HTTP request, or has no end within the bound, passes unchanged; so does a head that two readers could
read in two ways (`ambiguity`), since a change to it could mean something else to the CSMS than to us. Bytes in, bytes
out; no I/O.
"""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 64 * 1024
"""A head that has no end after so many bytes passes as it is."""

_END = re.compile(rb"\n\r?\n")
_MAY_BE_REQUEST = re.compile(rb"[\r\n]*(?:[A-Za-z]{0,20}\Z|[A-Za-z]{1,20} )")
_LINE = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
"""A header line with the lines that continue it (RFC 9112 §5.2)."""
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_FOLDED_HOST = re.compile(rb"\n[Hh][Oo][Ss][Tt][ \t]*:[^\n]*\n[ \t]")
_ABSOLUTE = re.compile(rb"[\r\n]*[A-Za-z]+ +[A-Za-z][A-Za-z0-9+.-]*:")


def ambiguity(head: bytes) -> str:
    """Why a whole head might be read in another way by somebody else, "" if it cannot be.

    What RFC 9112 lets a recipient refuse, repair or understand differently: where lines and the head end (§2.2,
    §5.2), where the message ends (§6.3), and for whom it is (§3.2).
    """
    if _BARE_LF.search(head):
        return "a line ends with LF alone"
    if _CONTROL.search(head):
        return "there is a control character in it"
    if _FOLDED_HOST.search(head):
        return "its Host is folded"
    start, *lines = head.lstrip(b"\r\n").split(b"\r\n")
    if lines[0][:1] in (b" ", b"\t"):
        return "its first header line continues none"
    if _ABSOLUTE.match(start):
        return "it asks for an absolute URL"
    values: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        values.setdefault(name.strip(b" \t").lower(), []).append(value.strip(b" \t"))
    if b"transfer-encoding" in values or values.get(b"content-length", [b"0"]) != [b"0"]:
        return "something belongs to it that follows"
    return "it has more than one Host" if len(values.get(b"host", [])) > 1 else ""


class HeadEditor:
    """One direction's bytes up to the end of its first head: `feed` them until `done`, then pass bytes by.

    `without` are header names in lower case whose lines are left out; `host` replaces the value of `Host`.
    """

    def __init__(self, without: frozenset[bytes] = frozenset(), host: str = "") -> None:
        self._without = without
        self._host = host.encode("latin-1", "replace")
        self._kept = bytearray()
        self._scanned = 0
        self.done = False
        self.head = b""  # as it came, once it is whole; b"" if there was none
        self.changes: tuple[str, ...] = ()  # a sentence for each change
        self.why_unchanged = ""  # of a whole head that is left as it is, whatever was asked for

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be sent on now: (the head, what came after it); nothing while the head is incomplete."""
        assert not self.done
        self._kept += data
        if not _MAY_BE_REQUEST.match(self._kept):
            return self.flush(), b""
        begin = len(self._kept) - len(self._kept.lstrip(b"\r\n"))
        end = _END.search(self._kept, max(begin, self._scanned - 2))
        self._scanned = len(self._kept)
        if end is None or end.end() > MAX_HEAD_BYTES:
            return (self.flush(), b"") if len(self._kept) >= MAX_HEAD_BYTES else (b"", b"")
        self.done = True
        self.head = bytes(self._kept[: end.end()])
        rest = bytes(self._kept[end.end() :])
        self._kept.clear()
        self.why_unchanged = ambiguity(self.head)
        return (self.head if self.why_unchanged else self._edited(begin)), rest

    def flush(self) -> bytes:
        """What is kept of a head that will not be complete; nothing is changed any more."""
        kept, self.done = bytes(self._kept), True
        self._kept.clear()
        return kept

    def _edited(self, begin: int) -> bytes:
        start = self.head.index(b"\n", begin) + 1
        changes: dict[str, None] = {}
        lines = [self.head[:start]]
        for line in _LINE.findall(self.head, start):
            spelled = line.partition(b":")[0].strip(b" \t")
            name = spelled.lower()
            if name in self._without and b":" in line:
                changes[f"{spelled.decode('latin-1')} was taken out of the request"] = None
            elif name == b"host" and self._host:
                lines.append(_with_value(line, self._host))
                changes["Host was replaced in the request"] = None
            else:
                lines.append(line)
        self.changes = tuple(changes)
        return b"".join(lines)


def _with_value(line: bytes, value: bytes) -> bytes:
    """A header line with another value and its own line end."""
    end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    name, _, _ = line.partition(b":")
    return name + b": " + value + end
