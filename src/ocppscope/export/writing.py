"""Writes evidence to a file: under a temporary name, moved when it is whole; scanned for leaks before that.

Knows nothing of forms but the registry. A file that exists is replaced only where that was asked for.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from ocppscope.errors import AccessError, OcppscopeError, UsageError
from ocppscope.export.evidence import Row
from ocppscope.export.registry import module_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.registry import Form, ScanningModule
    from ocppscope.redaction.leaks import Leak
    from ocppscope.redaction.redactor import Redactor

T = TypeVar("T")

STEP = 1 << 9
"""Items between two looks at whether to go on."""
MAX_NAMED_LEAKS = 20
"""Leaks that are named one by one."""
SCAN_BYTES, SCAN_OVERLAP = 1 << 20, 1 << 13
"""A text is scanned in pieces that overlap, so that what lies on a border is found, too."""


class CancelledError(OcppscopeError):
    """The user has had enough."""


class LeakError(OcppscopeError):
    """Something that should have been redacted was found in what was written."""


class Job:
    """How far an export is, and whether it is still wanted."""

    def __init__(
        self, tell: Callable[[int], object] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """`tell` is told the rows so far, again and again."""
        self.rows = 0
        self._steps = 0
        self._tell = tell
        self._cancelled = cancelled

    def step(self) -> None:
        """An item is done. Raises CancelledError."""
        self._steps += 1
        if self._steps % STEP:
            return
        if self._cancelled is not None and self._cancelled():
            raise CancelledError("The export was cancelled; nothing was written.")
        if self._tell is not None:
            self._tell(self.rows)

    def through(self, items: Iterable[T]) -> Iterator[T]:
        """The items, counted as they pass. Raises CancelledError."""
        for item in items:
            self.rows += type(item) is Row
            yield item
            self.step()


class Written(NamedTuple):
    """What was written."""

    rows: int
    size: int  # bytes
    redacted: dict[str, int]  # class → values; empty where nothing was to be redacted


def write_file(
    evidence: Evidence, form: Form, path: Path, job: Job, *, redactor: Redactor | None = None, replace: bool = False
) -> Written:
    """Writes a file of mode 0600. `redactor` is the one of `evidence`; its scan of the whole has to find nothing.

    Raises UsageError where the file exists, CancelledError, LeakError, AccessError; then nothing is left behind.
    """
    if path.exists() and not replace:
        raise _exists(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "w+b") as out:
            module_of(form).write(evidence, out, job)
            out.flush()
            os.fsync(out.fileno())
        if redactor is not None:
            refuse_leaks(form, name, redactor)
        size = os.path.getsize(name)
        _move(name, path, replace=replace)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return Written(job.rows, size, redactor.tally() if redactor is not None else {})


def write_stream(
    evidence: Evidence, form: Form, out: BinaryIO, job: Job, *, redactor: Redactor | None = None
) -> Written:
    """The same into a pipe: what is redacted is scanned as a whole before its first byte goes there."""
    with tempfile.NamedTemporaryFile(prefix="ocppscope-", suffix=".partial") as file:
        held = cast("BinaryIO", file)
        module_of(form).write(evidence, held, job)
        held.flush()
        if redactor is not None:
            refuse_leaks(form, file.name, redactor)
        size = held.tell()
        held.seek(0)
        while piece := held.read(SCAN_BYTES):
            out.write(piece)
        out.flush()
    return Written(job.rows, size, redactor.tally() if redactor is not None else {})


def _move(name: str, path: Path, *, replace: bool) -> None:
    """The whole file gets its name; none that exists is replaced unawares."""
    if replace:
        os.replace(name, path)
        return
    try:
        os.link(name, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        if path.exists():
            raise _exists(path) from None
        os.replace(name, path)


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists already; nothing was written.", "Take another name, or --force to replace it.")


def _unwritable(path: Path, error: OSError) -> AccessError:
    return AccessError(f"{path} cannot be written: {error.strerror}.", "Take another directory, or make room.")


# --- the scan -------------------------------------------------------------------------------------------------------


def refuse_leaks(form: Form, path: str, redactor: Redactor) -> None:
    """Raises LeakError if a text of a written file still holds what should have been redacted."""
    texts = cast("ScanningModule", module_of(form)).texts(path) if form.is_binary else _pieces(path)
    leaks: list[Leak] = []
    for text in texts:
        leaks += redactor.leaks(text)
        if len(leaks) > MAX_NAMED_LEAKS:
            break
    if leaks:
        named = "; ".join(dict.fromkeys(f"{leak.kind}: {leak.excerpt}" for leak in leaks[:MAX_NAMED_LEAKS]))
        raise LeakError(
            f"Nothing was written: after redaction there would still be in it: {named}.",
            "Leave these messages out with a filter, or write it for yourself with --show-secrets.",
        )


def _pieces(path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), open(path, "rb") as file:
        rest = b""
        while piece := file.read(SCAN_BYTES):
            yield (rest + piece).decode("utf-8", "replace")
            rest = piece[-SCAN_OVERLAP:]
