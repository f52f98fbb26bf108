"""What the proxy is asked to be. Plain values, since they go to another process as JSON. No I/O."""

from __future__ import annotations

from msgspec import Struct

from ocppscope.proxy.contexts import TlsSettings

REVERSE, REDIRECT, TPROXY = "reverse", "redirect", "tproxy"
"""How connections come: addressed to us; sent to us by the packet filter, with or without a change of address."""
SESSION, LEGS = "session", "legs"
"""What is recorded: the session as if there were no proxy, or the connections on both of its sides."""
MAX_HELD_SECONDS = 25.0
"""How long a message is held, unless it is said otherwise: most stations give up after 30 s."""


class Address(Struct, frozen=True):
    """A host name or an IP address (IPv6 without brackets), a port, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        """`wss://csms.example:443`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.tls else 'ws'}://{host}:{self.port}"


class Faults(Struct, frozen=True):
    """What is done to every connection on purpose. Times in seconds, 0 for not at all; see `faults`."""

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: int = 0  # bytes per second and direction
    cut_after: float = 0.0  # seconds
    cut_how: str = "RST"
    half_open_after: float = 0.0  # seconds
    slow_reader: str = ""  # "station" or "csms": whose sender finds nobody reading
    seed: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is done."""
        return bool(
            self.latency
            or self.jitter
            or self.bandwidth
            or self.cut_after
            or self.half_open_after
            or self.slow_reader
        )


class Recording(Struct, frozen=True):
    """Where the recording goes; sizes in bytes, times in nanoseconds, 0 for no limit."""

    path: str
    what: str = ""  # `SESSION` or `LEGS`; "" for what suits: LEGS in active mode, else SESSION
    max_bytes: int = 0
    max_ns: int = 0
    keep: int = 0


class Config(Struct, frozen=True):
    """Everything that the relay has to know."""

    listen: Address
    recording: Recording
    to: Address | None = None  # None in the transparent modes: wherever the station wanted to go
    mode: str = REVERSE
    tls: TlsSettings = TlsSettings()
    pass_tls: bool = False  # transparent modes: TLS is passed on unread
    mark: int = 0  # transparent modes: what the packet filter tells our own connections by; 0 for nothing
    set_host: str = ""  # what the station's Host header is replaced with
    active: bool = False
    intercept: str = ""
    hold_seconds: float = MAX_HELD_SECONDS
    script: str = ""  # a file of rules
    addon: str = ""  # a Python file
    faults: Faults = Faults()
