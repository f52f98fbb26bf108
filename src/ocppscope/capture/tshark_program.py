"""tshark as a program: where it is, whether it is new enough, and how it reads captures from us and is ended.

It gets every capture through a pipe, as pcapng that we write: so its packets have our numbers, whatever the captures
are packed with and however many there are, and keys reach it within that pipe and are in no argument. Arguments are
a list, no shell is involved, and nothing of a packet gets into them. What it says is not interpreted here.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture import pcapngout
from ocppscope.capture.pcapfile import STDIN, open_captures
from ocppscope.closing import Closing
from ocppscope.errors import AccessError, CaptureError, OcppscopeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    from ocppscope.capture.pcapfile import CaptureReader
    from ocppscope.model import PacketBlock

NEEDED = (4, 0)
"""The oldest version that was found to decrypt rightly."""
READ_BYTES = 1 << 16
STALL_SECONDS = 60.0
"""How long it may neither take a packet nor say anything."""
LEAVING_SECONDS = 5.0
MAX_SAID_BYTES = 16 << 10
"""What is kept of what it says on stderr; the latest."""
MAX_KEY_LOG_BYTES = 64 << 20
"""Bytes of a key log that it is given; a larger one is refused."""
KEYS_AT_ONCE = 1 << 20
"""Bytes of a key log in one Decryption Secrets Block."""

INSTALL = "Install tshark (Debian, Ubuntu: apt install tshark; others: the package wireshark-cli, or wireshark.org)."

_VERSION = re.compile(rb"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")
_IDLE_TALK = re.compile(r"Running as user|^Capturing on|^$")


class Tshark(NamedTuple):
    """A program that can be used."""

    path: str
    version: str


def find() -> Tshark:
    """The tshark of PATH. Raises UsageError where there is none, or too old a one."""
    path = shutil.which("tshark")
    if path is None:
        raise UsageError("tshark is not installed.", INSTALL)
    version = _version(os.path.abspath(path))
    if version is None:
        raise UsageError(f"{path} does not say its version.", f"Version {_dotted(NEEDED)} or newer is needed.")
    if version < NEEDED:
        found, needed = _dotted(version), _dotted(NEEDED)
        raise UsageError(f"tshark {found} is too old: {needed} or newer is needed.", INSTALL)
    return Tshark(os.path.abspath(path), _dotted(version))


@cache
def _version(path: str) -> tuple[int, ...] | None:
    with suppress(OSError, subprocess.SubprocessError):
        run = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
        found = _VERSION.search(run.stdout[:4096])
        return None if found is None else tuple(int(part) for part in found.groups() if part is not None)
    return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def read_key_log(path: str) -> bytes:
    """The lines of a key log. Raises UsageError and AccessError."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_KEY_LOG_BYTES + 1)
    except PermissionError:
        raise AccessError(f"{path} may not be read.", "Ask for read permission: it holds keys.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Name a file with keys.") from None
    if len(text) > MAX_KEY_LOG_BYTES:
        what = f"{path} is larger than {MAX_KEY_LOG_BYTES:,} bytes: tshark is not given so much."
        raise UsageError(what, "Name a file with the keys of this capture; our own engine takes larger ones.")
    return text


class Reading(Closing):
    """A tshark that reads captures; `output` gives what it says as it comes. A context manager, for one use.

    With `own_settings` it has the user's settings of Wireshark, else none but those in `arguments`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        paths: Sequence[str],
        key_logs: Sequence[bytes] = (),
        *,
        last_packet: int | None = None,
        own_settings: bool = False,
    ) -> None:
        """Starts it. Raises OcppscopeError if that, or a capture, cannot be."""
        program = find()
        if any(path == STDIN or (os.path.exists(path) and not os.path.isfile(path)) for path in paths):
            raise UsageError("tshark cannot read what comes through a pipe.", "Save it to a file first.")
        self._reader = open_captures(paths)
        self._feed = _Feed(self._reader, key_logs, last_packet)
        self._settings = None if own_settings else tempfile.TemporaryDirectory(prefix="ocppscope-")
        self._said = bytearray()
        try:
            self._process = subprocess.Popen(
                [program.path, "-r", "-", "-n", "-l", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=_environment(self._settings.name if self._settings is not None else None),
            )
        except OSError as error:
            self._clean()
            raise UsageError(f"{program.path} cannot be started: {error.strerror}.", INSTALL) from None
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._threads = (
            Thread(target=self._feed.run, args=(self._process.stdin,), name="tshark feed", daemon=True),
            Thread(target=self._listen, args=(self._process.stderr,), name="tshark errors", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def output(self, cancelled: Callable[[], bool] = lambda: False, deadline: float | None = None) -> Iterator[bytes]:
        """What it says, as it comes; ends early if `cancelled` says so.

        Raises CaptureError if it fails, does nothing for `STALL_SECONDS`, or takes until `deadline` (on the
        monotonic clock).
        """
        out = self._process.stdout
        assert out is not None
        moved, before = time.monotonic(), -1
        while not cancelled():
            now = time.monotonic()
            if self._feed.written != before:
                moved, before = now, self._feed.written
            if now - moved > STALL_SECONDS or (deadline is not None and now > deadline):
                raise CaptureError("tshark takes too long and was stopped.", "A smaller part of the capture may do.")
            if select.select([out], [], [], 0.2)[0]:
                moved = now
                data = out.read(READ_BYTES)
                if not data:
                    self._end()
                    return
                yield data
                moved = time.monotonic()  # it is not its fault if we are slow

    def _end(self) -> None:
        """It has said everything: whether it is content."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING_SECONDS)
        for thread in self._threads:
            thread.join(LEAVING_SECONDS)
        if self._feed.trouble is not None:
            raise self._feed.trouble
        if self._process.returncode:
            why = self.complaint or f"exit code {self._process.returncode}"
            raise CaptureError(f"tshark failed: {why}", "The other engine, ours, does not need it.")

    @property
    def complaint(self) -> str:
        """The last sentence on stderr that matters, "" for none. May hold anything."""
        lines = self._said.decode("utf-8", "backslashreplace").splitlines()
        return next((line.strip()[:300] for line in reversed(lines) if not _IDLE_TALK.search(line)), "")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _listen(self, errors: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            while data := errors.read(4096):
                self._said += data
                del self._said[:-MAX_SAID_BYTES]

    def close(self) -> None:
        """Ends it at once, and gives back what is held."""
        self._feed.stop()
        with suppress(OSError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING_SECONDS)
        for thread in self._threads:
            thread.join(LEAVING_SECONDS)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._clean()

    def _clean(self) -> None:
        self._reader.close()
        if self._settings is not None:
            self._settings.cleanup()


def _environment(settings: str | None) -> dict[str, str]:
    """As ours, with times in UTC as everywhere here, and an empty place for settings."""
    environment = {**os.environ, "TZ": "UTC"}
    if settings is not None:
        environment |= {"WIRESHARK_CONFIG_DIR": settings, "XDG_CONFIG_HOME": settings, "HOME": settings}
    return environment


class _Feed:
    """Writes captures into the pipe, in a thread of its own."""

    def __init__(self, reader: CaptureReader, key_logs: Sequence[bytes], last_packet: int | None) -> None:
        self._reader = reader
        self._key_logs = key_logs
        self._last = last_packet
        self._interfaces: dict[int, int] = {}  # by link type
        self._given = 0  # of the captures' own secrets
        self._stopped = False
        self.written = 0
        self.trouble: OcppscopeError | None = None

    def stop(self) -> None:
        """From any thread; a write that waits ends when tshark does."""
        self._stopped = True
        self._reader.stop()

    def run(self, pipe: IO[bytes]) -> None:
        """All of it, then the pipe is closed."""
        try:
            self._write(pipe, pcapngout.section("ocppscope"))
            for text in self._key_logs:
                self._write(pipe, *_secrets(text))
            for block in self._reader.blocks():
                self._block(pipe, block)
                if self._stopped or (self._last is not None and block.first_packet + len(block.offsets) > self._last):
                    return
        except OcppscopeError as error:
            self.trouble = error
        except (OSError, ValueError):
            pass  # tshark has ended, and says itself why
        finally:
            with suppress(OSError):
                pipe.close()

    def _block(self, pipe: IO[bytes], block: PacketBlock) -> None:
        secrets = self._reader.secrets
        for text in secrets[self._given :]:
            self._write(pipe, *_secrets(text))
        self._given = len(secrets)
        count = len(block.offsets) if self._last is None else self._last - block.first_packet + 1
        columns = (block.offsets, block.caplen, block.origlen, block.time_ns, block.linktype)
        parts: list[bytes] = []
        view = memoryview(block.data)
        for at, kept, length, time_ns, link in zip(*(one[:count].tolist() for one in columns), strict=True):
            number = self._interfaces.get(link)
            if number is None:
                number = self._interfaces[link] = len(self._interfaces)
                parts.append(pcapngout.interface(link, f"link type {link}"))
            parts.append(pcapngout.packet(number, time_ns, bytes(view[at : at + kept]), length=length))
        self._write(pipe, *parts)

    def _write(self, pipe: IO[bytes], *parts: bytes) -> None:
        rest = memoryview(b"".join(parts))
        while rest and not self._stopped:
            taken = pipe.write(rest)
            rest = rest[taken:]
            self.written += taken


def _secrets(text: bytes) -> Iterator[bytes]:
    """A key log as blocks, cut between lines."""
    while text:
        cut = len(text) if len(text) <= KEYS_AT_ONCE else text.rfind(b"\n", 0, KEYS_AT_ONCE) + 1
        cut = cut or KEYS_AT_ONCE
        yield pcapngout.secrets(text[:cut])
        text = text[cut:]
