"""Secrets of TLS connections: key logs of several sources at once, servers' RSA keys, what was learned of sessions.

A key log is lines of `LABEL client-random secret` (draft-ietf-tls-keylogfile); the older forms of NSS and OpenSSL
with `RSA` are read as well. One `Secrets` serves all connections. Everything in it is bounded, and nothing in it is
ever shown: no object here has a text form that holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.errors import UsageError
from ocppscope.wire.decrypt.keys import MASTER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.wire.decrypt.half import Epoch
    from ocppscope.wire.decrypt.rsa import ServerKey

MAX_RANDOMS = 1 << 16
"""Connections whose secrets are kept; of more, the oldest are forgotten."""
MAX_SESSIONS = 1 << 14
"""Sessions and premaster secrets that are kept."""
MAX_LINE = 4096
"""Bytes of a key log's line; a longer one is passed over."""
MAX_SERVER_KEYS = 16
"""RSA keys of servers that are tried; one more is an error."""
MAX_WAITING_TOTAL = 64 << 20
"""Bytes of records that all connections together keep until their keys come."""
MAX_TRIALS_TOTAL = 1 << 19
"""Records that are tried to be opened in search of keys or of a place, since one was found."""

MASTER, PREMASTER = "CLIENT_RANDOM", "PMS_CLIENT_RANDOM"
EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"
HANDSHAKE = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
APPLICATION = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
_TRAFFIC = frozenset({EARLY, *HANDSHAKE, *APPLICATION})
_MAX_PREMASTER = 1024


class Secrets:
    """All that is known. `version` grows with it; `may_grow` says that records should wait for keys to come."""

    def __init__(self, *, may_grow: bool = False) -> None:
        self.may_grow = may_grow
        self.version = 0
        self.waiting = 0  # bytes that connections keep until keys come
        self.trials = MAX_TRIALS_TOTAL  # that may still be made
        self.server_keys: list[ServerKey] = []
        self.epochs: dict[tuple[int, bytes], Epoch] = {}  # keys that were made for a search
        self._by_random: dict[bytes, dict[str, bytes]] = {}  # latest last
        self._premasters: dict[bytes, bytes] = {}  # by the first 8 bytes of what the client sent
        self._sessions: dict[bytes, bytes] = {}  # master secrets by session id or ticket

    def __bool__(self) -> bool:
        """Whether there is any secret, or may be."""
        return bool(self.may_grow or self._by_random or self._premasters or self._sessions or self.server_keys)

    # --- in -----------------------------------------------------------------------------------------------------

    def add(self, text: bytes) -> int:
        """Takes whole lines of a key log, in any number; says how many gave something new."""
        new = sum(self._line(line.split()) for line in text.splitlines() if len(line) <= MAX_LINE)
        if new:
            self.version += 1
        return new

    def add_rsa(self, pem: bytes, password: bytes | None = None) -> None:
        """Takes a server's private key in PEM.

        Raises UsageError if it is none of RSA, or cannot be read, or is one too many.
        """
        from ocppscope.wire.decrypt.rsa import ServerKey  # noqa: PLC0415 - who has no such key needs no library

        if len(self.server_keys) >= MAX_SERVER_KEYS:
            raise UsageError(
                f"There are more than {MAX_SERVER_KEYS} private keys of servers.",
                "Name those of the servers in this capture, or a key log.",
            )
        self.server_keys.append(ServerKey(pem, password))
        self.version += 1

    def remember(self, session: bytes, master: bytes) -> None:
        """A session may be taken up again, by its id or ticket (RFC 5246 §7.3, RFC 5077)."""
        _keep(self._sessions, session, master, MAX_SESSIONS)

    def _line(self, words: list[bytes]) -> bool:
        if len(words) != 3:
            return False
        label = words[0].decode("latin-1")
        if label == "RSA" and words[1].startswith(b"Session-ID:"):
            session, master = _hex(words[1][11:]), _hex(words[2].removeprefix(b"Master-Key:"))
            good = 0 < len(session) <= 32 and len(master) == MASTER_BYTES
            return good and _keep(self._sessions, session, master, MAX_SESSIONS)
        name, secret = _hex(words[1]), _hex(words[2])
        if label == "RSA":
            good = len(name) == 8 and len(secret) == MASTER_BYTES
            return good and _keep(self._premasters, name, secret, MAX_SESSIONS)
        if len(name) != 32 or not _fits(label, len(secret)):
            return False
        known = self._by_random.setdefault(name, {})
        if known.get(label) == secret:
            return False
        known[label] = secret
        if len(self._by_random) > MAX_RANDOMS:
            del self._by_random[next(iter(self._by_random))]
        return True

    # --- out ----------------------------------------------------------------------------------------------------

    def of(self, client_random: bytes) -> dict[str, bytes]:
        """The secrets of a connection by label; empty if there are none."""
        return self._by_random.get(client_random, {})

    def premaster(self, encrypted: bytes) -> bytes | None:
        """The premaster secret that a client sent encrypted, if a key log tells it."""
        return self._premasters.get(encrypted[:8])

    def session(self, name: bytes) -> bytes | None:
        """The master secret of a session, by its id or ticket."""
        return self._sessions.get(name) if name else None

    def latest(self) -> Iterator[tuple[bytes, dict[str, bytes]]]:
        """Client randoms and their secrets, the latest first."""
        return reversed(self._by_random.items())

    def spend(self, trials: int) -> bool:
        """Whether so many trials may be made; they are counted."""
        if self.trials < trials:
            return False
        self.trials -= trials
        return True

    def found(self) -> None:
        """A search was worth it."""
        self.trials = MAX_TRIALS_TOTAL


class KeyLogReader:
    """A key log that comes in pieces, as a file does that grows: a line counts once it is whole."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._rest = b""
        self._skipping = False  # a line was too long

    def feed(self, data: bytes) -> int:
        """The next bytes of the file; says how many lines gave something new."""
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        if self._skipping and end:
            whole, self._skipping = whole.partition(b"\n")[2], False
        if len(rest) > MAX_LINE or self._skipping:
            rest, self._skipping = b"", True
        self._rest = rest
        return self._secrets.add(whole) if end else 0

    def finish(self) -> int:
        """The file will not grow: its last line counts too."""
        rest, self._rest = self._rest, b""
        return self._secrets.add(rest)


def _hex(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _fits(label: str, size: int) -> bool:
    if label == MASTER:
        return size == MASTER_BYTES
    if label == PREMASTER:
        return 0 < size <= _MAX_PREMASTER
    return label in _TRAFFIC and size in (32, 48)


def _keep(where: dict[bytes, bytes], name: bytes, secret: bytes, most: int) -> bool:
    if where.get(name) == secret:
        return False
    where[name] = secret
    if len(where) > most:
        del where[next(iter(where))]
    return True
