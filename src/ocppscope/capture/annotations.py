"""What captures say besides packets: notices for the user, TLS secrets, names of addresses. All of it is bounded.

It keeps what the readers hand it. It may not read, print or interpret anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NOTICES = 100
"""Sentences kept; one more says that there were more."""

MAX_SECRETS_BYTES = 16 << 20
"""Key log text kept, all inputs together, counting `SECRET_OVERHEAD` for each block of it."""

SECRET_OVERHEAD = 64
MAX_NAMES = 50_000
"""Addresses that may have a name."""


class Annotations:
    """Collects, once each, what the readers of one set of inputs come across."""

    def __init__(self, keep: Callable[[bytes], object] | None = None) -> None:
        """`keep` is given each key log, too, before the packets that come after it are read."""
        self._keep = keep
        self.notices: list[str] = []
        self.secrets: list[bytes] = []
        self.names: dict[str, str] = {}
        self._said: set[tuple[str, str]] = set()
        self._known_secrets: set[bytes] = set()
        self._secret_bytes = 0

    def notice(self, name: str, kind: str, text: str) -> None:
        """Keep `text`, a sentence about the input `name`, unless one of this kind was said of it before."""
        if len(self.notices) > MAX_NOTICES or (name, kind) in self._said:
            return
        self._said.add((name, kind))
        full = len(self.notices) == MAX_NOTICES
        self.notices.append("There is more to say about these captures than is kept here." if full else text)

    def secret(self, name: str, text: bytes) -> None:
        """Keep a TLS key log, as text; repeated ones count once, and too many are named in a notice."""
        if text in self._known_secrets:
            return
        self._secret_bytes += len(text) + SECRET_OVERHEAD
        if self._secret_bytes > MAX_SECRETS_BYTES:
            self._secret_bytes -= len(text) + SECRET_OVERHEAD
            self.notice(name, "secrets", f"{name} holds more TLS secrets than can be kept; some are left out.")
            return
        self._known_secrets.add(text)
        if self._keep is not None:
            self._keep(text)
        self.secrets.append(text)

    def address(self, address: str, name: str) -> None:
        """Keep the first name of an address, as long as there is room."""
        if len(self.names) < MAX_NAMES:
            self.names.setdefault(address, name)
