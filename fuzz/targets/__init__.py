"""THE table of targets: what each of them reads. One module a target, of the same name.

A module has `target(data)`, which raises where something is not as it must be; `seeds()`, the inputs to begin with,
made from the captures of this project; and may have `WORDS`, what its readers know, for mutators.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple, Protocol, cast


class Target(NamedTuple):
    """A target, and which modules of the project it is there for (their names begin so)."""

    name: str
    about: str
    covers: tuple[str, ...]
    rounds: int = 150  # mutated inputs in `make test`
    readings: int = 1  # how often an input is read, each of which may take its time


TARGETS = (
    Target("pcap", "pcap and pcapng files", ("capture.pcap", "capture.annotations", "acts"), 150),
    Target("link", "packets of any link type", ("wire.link",), 150),
    Target("tcp", "segments in any order", ("wire.tcp",), 250),
    Target("engine", "whole captures to events, and their log", ("engine", "track", "batch", "render.textlog"), 40),
    Target("stream", "both directions of a connection", ("wire.connection", "track"), 120),
    Target(
        "http",
        "heads of requests and responses",
        ("wire.handshake", "wire.heads", "wire.http", "wire.extensions", "wire.blanking"),
        200,
    ),
    Target("frames", "WebSocket frames", ("wire.frames", "wire.websocket", "wire.search"), 200),
    Target(
        "inflate",
        "compressed messages, some of them lost",
        ("wire.inflate", "wire.history", "wire.recovery", "wire.plaus"),
        40,
    ),
    Target("tls", "TLS records, handshakes, ClientHellos", ("wire.tls", "proxy.hello"), 200),
    Target("decrypt", "TLS with its keys", ("wire.decrypt",), 120, 2),
    Target("codec", "texts to messages and dialogues", ("ocpp.codec", "ocpp.exchange", "ocpp.guess"), 300),
    Target("jsontext", "JSON, against other readers of it", ("ocpp.jsontext",), 400),
    Target("schemas", "payloads, against two validators", ("ocpp.typed", "ocpp.conformance"), 300),
    Target("filter", "filters, on columns and on messages", ("query",), 200),
    Target("dialects", "logs of messages", ("capture.dialects", "capture.textlog", "capture.log", "replay"), 100),
    Target("trace", "Open OCPP Traces", ("capture.trace",), 200),
    Target("notes", "sidecar files of notes", ("store.notes",), 150),
    Target("redaction", "texts with secrets", ("redaction",), 150),
    Target("export", "forms for programs that read more than text", ("export", "render.csvtext"), 25),
    Target("compare", "two logs held against each other", ("compare",), 30),
    Target("passive", "the proxy passing bytes", ("proxy.session", "proxy.head", "proxy.faults"), 300),
    Target("active", "the proxy passing messages", ("proxy.active", "proxy.opening", "proxy.talk"), 100),
    Target("terminal", "texts from the wire on a terminal", ("render.wiretext", "render.mermaid"), 300),
)
BY_NAME = {one.name: one for one in TARGETS}


class Module(Protocol):
    """What the module of a target has."""

    def target(self, data: bytes) -> None:
        """Raises if this input shows a fault."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""


def module_of(name: str) -> Module:
    """The module of a target."""
    return cast("Module", import_module(f"fuzz.targets.{name}"))


def words_of(module: Module) -> tuple[bytes, ...]:
    """What the readers of a target know."""
    return tuple(getattr(module, "WORDS", ()))
