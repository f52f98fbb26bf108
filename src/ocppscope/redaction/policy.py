"""What of an export is redacted, and the key that makes its pseudonyms.

Who has the key can test guesses of what stood there: it is a secret like a password.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
"""Size of the key of the pseudonyms."""
MAX_KEY_FILE = 1024
"""Longest key file, in bytes, that is looked at."""


class Policy(NamedTuple):
    """What is redacted. Passwords, keys, customers, SIM cards and certificates always are."""

    key: bytes  # secret of the pseudonyms; 32 random bytes unless the user has a key file
    equipment: bool = True  # pseudonyms for station identities and serial numbers; vendor, model, firmware stay
    network: bool = True  # pseudonyms for addresses (prefix-preserving), MACs, DNS names, SNI
    free_text: bool = False  # blank free texts wholly instead of searching them
    signed_metering: bool = True  # blank signed meter data
    shift_ns: int = 0  # added to every time, also to those in payloads and headers


def new_key() -> bytes:
    """A key for one export."""
    return secrets.token_bytes(KEY_BYTES)


def read_key(path: Path) -> bytes:
    """The key in a file of 64 hex digits; where there is no file, one is made, of mode 0600. Raises UsageError."""
    try:
        return _made(path)
    except FileExistsError:
        return _found(path)
    except OSError as error:
        said = f"The key file {path} cannot be made ({error.strerror})."
        raise UsageError(said, "Name a file in a directory that you may write to.") from None


def _made(path: Path) -> bytes:
    key = new_key()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    return key


def _found(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise UsageError(f"The key file {path} cannot be read ({error.strerror}).", "Name another file.") from None
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        hint = "A key file holds 64 hex digits; name a file that does not exist, and one is made."
        raise UsageError(f"The file {path} holds no key.", hint)
    return key
