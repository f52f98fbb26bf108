"""What rewriting needs of a redactor; `redaction.redactor.Redactor` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ocppscope.model import Kind, Version


class Redacting(Protocol):
    """Maps what is on the wire to what may be shared."""

    def message_text(self, text: bytes, *, version: Version, kind: Kind, action: str) -> bytes: ...  # noqa: D102
    def request_head(self, head: bytes) -> bytes: ...  # noqa: D102
    def response_head(self, head: bytes) -> bytes: ...  # noqa: D102
    def words(self, text: str) -> str: ...  # noqa: D102
    def address(self, text: str) -> str: ...  # noqa: D102
    def mac(self, octets: bytes) -> bytes: ...  # noqa: D102
    def time(self, time_ns: int) -> int: ...  # noqa: D102
