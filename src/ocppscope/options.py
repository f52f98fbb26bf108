"""What a user may decide about decoding."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.model import Version
    from ocppscope.wire.decrypt import Secrets

DEFAULT_TIMEOUT_NS = 30_000_000_000
"""After how long an answer counts as late (2.1 Part 2 §3.2 recommends 30 s)."""


class Options(NamedTuple):
    """Options of an engine. With `share`, only share k of n of the flows is looked at; all need one `hash_key`."""

    timeout_ns: int = DEFAULT_TIMEOUT_NS
    every_websocket: bool = False  # report the messages of WebSockets that carry no OCPP, too
    ports: Mapping[int, Version] = MappingProxyType({})  # decode as: the version of the connections to a port
    share: tuple[int, int] = (0, 1)
    hash_key: int | None = None
    secrets: Secrets | None = None  # keys of TLS connections; may become more at any time
    expects_secrets: bool = False  # there may be some soon: TLS connections are read although there are none yet
    tls_engine: str = "own"  # who decrypts: "own" or "tshark"
    key_logs: tuple[str, ...] = ()  # files, for tshark
    server_keys: tuple[str, ...] = ()
    dialect: str = ""  # of logs of messages: its name, or a file that describes it; "": told by their first lines
    log_zone: str = ""  # of times without a zone in logs
