"""Changes the head of the first HTTP request of a connection on its way: takes header lines out, or sets `Host`.

Whatever is not asked for stays as it is, byte for byte: order, case, spaces, line ends, and all that follows the
head. What is no HTTP request, or has no end within the bound, passes unchanged. Bytes in, bytes out; no I/O.
"""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 64 * 1024
"""A head that has no end after so many bytes passes as it is."""

_END = re.compile(rb"\n\r?\n")
_MAY_BE_REQUEST = re.compile(rb"[\r\n]*(?:[A-Za-z]{0,20}\Z|[A-Za-z]{1,20} )")
_LINE = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
"""A header line with the lines that continue it (RFC 9112 §5.2)."""


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
        return self._edited(begin), rest

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
