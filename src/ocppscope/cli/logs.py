"""Opens what a command reads: captures, or logs of messages with what the user says of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ocppscope.capture.bytesource import Growth
from ocppscope.capture.capturefile import CHUNK_BYTES
from ocppscope.capture.inputs import open_inputs
from ocppscope.capture.logoptions import LogOptions
from ocppscope.ocpp.versions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from ocppscope.capture.inputs import LateReader
    from ocppscope.capture.logreader import LogReader
    from ocppscope.capture.pcapfile import CaptureReader
    from ocppscope.model import Side
    from ocppscope.options import Options

    Reader = CaptureReader | LogReader | LateReader


@cache
def _senders() -> dict[str, Side]:
    """Who sends an action, where all versions agree that only one side does."""
    found: dict[str, set[Side]] = {}
    for table in ACTIONS.values():
        for action, sides in table.items():
            found.setdefault(action, set()).update(sides)
    return {action: next(iter(sides)) for action, sides in found.items() if len(sides) == 1}


def sender_of(action: str) -> Side | None:
    """Who sends an action; None where either may, or nobody knows it."""
    return _senders().get(action)


def log_options(options: Options | None) -> LogOptions:
    """What the user said of logs."""
    if options is None:
        return LogOptions(sender_of=sender_of)
    return LogOptions(options.dialect, options.log_zone, sender_of)


def opened(
    inputs: Sequence[str | Path],
    options: Options | None = None,
    *,
    follow: bool | Growth = False,
    stdin: BinaryIO | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Reader:
    """The inputs, to be read as one; keys from inside captures go to the options' secrets. Raises OcppscopeError."""
    keep: Callable[[bytes], object] | None = None
    if options is not None and options.secrets is not None:
        keep = options.secrets.add
    return open_inputs(
        inputs, follow=follow, stdin=stdin, chunk_bytes=chunk_bytes, keep_secrets=keep, logs=log_options(options)
    )
