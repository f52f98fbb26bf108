"""A server's RSA key, with which premaster secrets of the RSA key exchange are read (RFC 5246 §7.4.7.1)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocppscope.errors import UsageError
from ocppscope.wire.decrypt.keys import MASTER_BYTES


class ServerKey:
    """One private key. Nothing of it can be read back."""

    __slots__ = ("_key",)

    def __init__(self, pem: bytes, password: bytes | None = None) -> None:
        """`pem` as OpenSSL writes it; `UsageError` if it is no RSA key or cannot be read."""
        try:
            key = load_pem_private_key(pem, password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            locked = b"ENCRYPTED" in pem
            hint = "Give it without a password." if locked else "It has to begin with -----BEGIN … PRIVATE KEY-----."
            raise UsageError("The RSA key cannot be read.", hint) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise UsageError(
                "The key is not an RSA key.", "Only the RSA key exchange can be opened with a key; use a key log."
            )
        self._key = key

    def premaster(self, encrypted: bytes) -> bytes | None:
        """What a client sent encrypted with this key; None if it was not."""
        try:
            opened = self._key.decrypt(encrypted, padding.PKCS1v15())
        except ValueError:
            return None
        # a wrong key gives random bytes of any length rather than an error
        return opened if len(opened) == MASTER_BYTES and opened[0] == 3 else None
