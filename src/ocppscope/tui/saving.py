"""Saves rows of a session in a thread, as the user asked for on the save screen. No widget.

What is written, and how it is made safe for others, is the business of `export`, as for `ocppscope export`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.errors import OcppscopeError
from ocppscope.export.evidence import Row
from ocppscope.export.hidden import Hiding, RedactedEvidence
from ocppscope.export.writing import CancelledError, Job, LeakError, Written, write_file
from ocppscope.plural import counted
from ocppscope.render.wiretext import visible
from ocppscope.tui.evidence import StoreEvidence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ocppscope.export.registry import Form
    from ocppscope.redaction.redactor import Redactor
    from ocppscope.tui.session import Session

MAX_PATH = 200
"""Characters of a path that are told."""

LEFT = "Leave these messages out with a filter, or save it for yourself, not redacted."
"""What to do about a leak."""


class SaveRequest(NamedTuple):
    """What is to be written, and where."""

    path: Path
    form: Form
    rows: NDArray[np.int64] | None  # None: all that there are
    redact: bool
    replace: bool = False


class Saved(NamedTuple):
    """How saving goes: so many rows of so many. It is over when there is `done` or `trouble`."""

    request: SaveRequest
    rows: int = 0
    of: int = 0
    is_meeting: bool = False  # all rows are looked at for what is to be redacted; nothing is written yet
    done: Written | None = None
    left_out: int = 0  # rows that are not kept any more
    trouble: str = ""
    is_cancelled: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.done is not None or bool(self.trouble)

    @property
    def sentence(self) -> str:
        """What to tell."""
        if self.is_cancelled:
            return self.trouble
        if self.trouble:
            return f"Not saved (F2 shows all of it): {self.trouble}"
        if self.done is not None:
            return _what_was_done(self.request, self.done, self.left_out)
        doing = "Looking for what is to be redacted" if self.is_meeting else "Saving"
        percent = 100 * self.rows // max(self.of, 1)
        return f"{doing}: {percent} % (Esc cancels)" if percent < 100 else f"{doing}: finishing"


def _what_was_done(request: SaveRequest, done: Written, left_out: int) -> str:
    rows = counted(done.rows, "message")
    gone = f"; {left_out:,} more are not kept any more" if left_out else ""
    path = visible(str(request.path), MAX_PATH)
    return f"{path}: {rows} as {request.form.name}, {done.size:,} bytes{gone}; {_what_was_hidden(request, done)}."


def _what_was_hidden(request: SaveRequest, done: Written) -> str:
    if not request.redact:
        return "not redacted"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(done.redacted.items()))
    return f"redacted: {counts}" if counts else "redacted, though there was nothing to redact"


def save(
    session: Session, request: SaveRequest, key: bytes, cancelled: Callable[[], bool], tell: Callable[[Saved], object]
) -> Saved:
    """Writes the file, or says why not. `key` makes the pseudonyms. Runs in a thread and never raises."""
    saved = Saved(request)
    try:
        evidence = StoreEvidence(session, request.rows)
        redactor = _redactor(session, saved, key, cancelled, tell) if request.redact else None
        saved = saved._replace(of=len(evidence))
        tell(saved)
        shown = evidence if redactor is None else RedactedEvidence(evidence, redactor)
        job = Job(lambda rows: tell(saved._replace(rows=rows)), cancelled)
        done = write_file(shown, request.form, request.path, job, redactor=redactor, replace=request.replace)
    except CancelledError as error:
        return saved._replace(trouble=error.what, is_cancelled=True)
    except LeakError as error:
        return saved._replace(trouble=f"{error.what} {LEFT}")
    except OcppscopeError as error:
        return saved._replace(trouble=f"{error.what} {error.hint}".strip())
    except Exception as error:  # said on the screen, which goes on
        what = f"{type(error).__name__}: {str(error)[:200]!a}"
        return saved._replace(trouble=f"Nothing was written ({what}). This is a bug of ocppscope.")
    return saved._replace(rows=done.rows, done=done, left_out=evidence.left_out)


def _redactor(
    session: Session, saved: Saved, key: bytes, cancelled: Callable[[], bool], tell: Callable[[Saved], object]
) -> Redactor:
    """A redactor that has met everything: a name is known again in texts that come before it, or are not saved."""
    redactor, everything = Hiding().redactor(key), StoreEvidence(session)
    meeting = saved._replace(of=len(everything), is_meeting=True)
    tell(meeting)
    for connection in list(session.store.connections.values()):
        redactor.connection(connection)
    for item in Job(lambda rows: tell(meeting._replace(rows=rows)), cancelled).through(everything.items()):
        redactor.event(item.message if isinstance(item, Row) else item)
    return redactor
