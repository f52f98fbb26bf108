"""What a live capture and the proxy have in common: something that writes pcapng files while they are read.

Recording happens in a process of its own. The file is the buffer between it and whoever decodes: a reader that lags
costs no packet, and what is seen is what can be opened later.
"""

from __future__ import annotations

from typing import Protocol


class Recorder(Protocol):
    """Writes one file, or several after one another. Everything may be called from any thread."""

    @property
    def title(self) -> str:
        """What is recorded, in a few words."""

    def start(self) -> None:
        """Begins, once; when it returns the first file is there and has its headers. Raises OcppscopeError."""

    def files(self) -> tuple[str, ...]:
        """The files so far, oldest first; only the last one grows, and only while `running`."""

    @property
    def running(self) -> bool:
        """Whether more may be written."""

    def status(self) -> str:
        """How it goes, for a status line: what was counted, what was lost."""

    def troubles(self) -> tuple[str, ...]:
        """Sentences on what went wrong, oldest first; bounded."""

    def stop(self) -> None:
        """Ends it; when it returns, everything is written."""
