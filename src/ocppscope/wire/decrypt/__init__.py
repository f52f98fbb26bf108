"""Inside TLS: with its keys, the bytes that a connection protects come out, in order and checked.

    bytes of a direction ──► RecordReader ──► piece ──► Decryptor ──► Plain, PlainGap
                                                         │  ▲
                             handshake messages ◄────────┘  └──── Secrets (key logs, servers' RSA keys)

`keylog` and `rsa` hold what is secret, `suites` and `keys` say how keys are made of it, `ciphers` opens a record,
`half` keeps one direction's place in the sequence of records, `midway` finds that place by trial, `decryptor` is the
connection. Nothing here does I/O, reads a clock, raises at what the wire brings, or shows a secret. Nothing is given
out whose tag or MAC does not fit. `cryptography` is loaded with the first key that is used.
"""

from ocppscope.wire.decrypt.decryptor import Decryptor
from ocppscope.wire.decrypt.keylog import KeyLogReader, Secrets
from ocppscope.wire.decrypt.results import Plain, PlainGap

__all__ = ["Decryptor", "KeyLogReader", "Plain", "PlainGap", "Secrets"]
