"""The keys that the user names: key logs, which may still grow, and private keys of servers.

The only place that reads them. Nothing of them is ever printed.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, BinaryIO

from ocppscope.errors import AccessError, UsageError
from ocppscope.wire.decrypt.keylog import KeyLogReader, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_KEY_LOG_BYTES = 256 << 20
"""Bytes of a key log that are read; further ones are not."""
MAX_KEY_BYTES = 1 << 20
"""Longest file of a private key; what is longer holds something else, and is refused."""
POLL_SECONDS = 0.2
"""How often a key log is looked at again while something is live."""
ENVIRONMENT = "SSLKEYLOGFILE"
"""Where browsers and many servers are told to write a key log; read if nothing else is named."""


_open: list[Keys] = []


def poll() -> bool:
    """Looks whether the key logs of this run have grown: whether there are more keys than before."""
    return sum(keys.poll() for keys in _open) > 0  # all of them


def of_the_run(key_logs: Iterable[str], server_keys: Iterable[str], *, is_live: bool = False) -> Keys:
    """The keys named on the command line; `poll` keeps them up to date. Raises UsageError and AccessError."""
    keys = Keys(key_logs, server_keys, is_live=is_live)
    if keys.grows:
        _open.append(keys)
    return keys


class Keys:
    """The secrets of a run, and the key logs that may bring more."""

    def __init__(
        self, key_logs: Iterable[str] = (), server_keys: Iterable[str] = (), *, is_live: bool = False
    ) -> None:
        """Reads all there is. Of what `is_live`, records wait for keys. Raises UsageError and AccessError."""
        self._logs: list[tuple[BinaryIO, KeyLogReader]] = []
        self._next = 0.0
        logs = list(key_logs)
        if not logs and (named := os.environ.get(ENVIRONMENT, "")) and os.path.isfile(named):
            logs = [named]
        self.secrets = Secrets(may_grow=is_live and bool(logs))
        for path in server_keys:
            self.secrets.add_rsa(_key_in(path))
        for path in logs:
            self._logs.append((_opened(path), KeyLogReader(self.secrets)))
        self.key_logs = tuple(logs)
        self.is_expected = bool(self._logs) or bool(self.secrets.server_keys)
        self.poll()

    @property
    def grows(self) -> bool:
        """Whether there may come more."""
        return bool(self._logs)

    def poll(self) -> bool:
        """Reads what was added to the key logs, if it is time to look; whether that gave anything new."""
        now, before = time.monotonic(), self.secrets.version
        if now < self._next:
            return False
        self._next = now + POLL_SECONDS
        for file, reader in self._logs:
            while (room := MAX_KEY_LOG_BYTES - file.tell()) > 0 and (data := file.read(min(room, 1 << 20))):
                reader.feed(data)
        return self.secrets.version != before

    def close(self) -> None:
        """Closes the key logs; nothing more comes of them."""
        if self in _open:
            _open.remove(self)
        for file, _ in self._logs:
            file.close()
        self._logs.clear()


def _key_in(path: str) -> bytes:
    with _opened(path) as file:
        pem = bytearray()
        while len(pem) <= MAX_KEY_BYTES and (data := file.read(MAX_KEY_BYTES + 1 - len(pem))):
            pem += data
    if len(pem) > MAX_KEY_BYTES:
        what = f"{path} is larger than {MAX_KEY_BYTES:,} bytes: that is no private key."
        raise UsageError(what, "Name the file with the server's private key alone, in PEM.")
    return bytes(pem)


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except PermissionError:
        raise AccessError(f"{path} may not be read.", "Ask for read permission: it holds keys.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Name a key log or a private key.") from None
