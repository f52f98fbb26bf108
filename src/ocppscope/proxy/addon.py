"""A Python file of the user's own with a say in each message: one function, `message(seen)`.

    def message(seen):
        if seen.action == "BootNotification" and seen.kind == "CALLRESULT":
            seen.payload["interval"] = 10
            return seen.edit(seen.payload)

What it returns is made by `seen`'s methods; None leaves the message to the others. Whatever it does wrong, the
message passes and the user is told once. It runs in the proxy's own process: it can see everything and hold up
everything, which is measured and said.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Any

from ocppscope.errors import UsageError
from ocppscope.model import Kind
from ocppscope.proxy import policy
from ocppscope.proxy.editing import EditError, Reply, with_payload
from ocppscope.proxy.policy import MAX_COPIES, value_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from ocppscope.proxy.policy import Decision, Rule, Say
    from ocppscope.query.filter import Around

SLOW_NS = 50_000_000
"""A call that takes longer than this is said: everything else waits for it."""
MAX_COMPLAINTS = 20
"""Different complaints about an add-on that are said; more are not."""
_WHY = "by the add-on"


class Seen:
    """One message, as an add-on sees it. Changing it changes nothing; what `message` returns does."""

    def __init__(self, seen: policy.Seen) -> None:
        self._seen = seen
        message, connection = seen.message, seen.connection
        self.station: str = connection.station
        self.connection: int = connection.number
        self.version: str = connection.version.value
        self.side: str = message.side.label
        self.kind: str = message.kind.name
        self.action: str = message.action
        self.id: str = message.id
        self.text: str = seen.text
        self.latency: float | None = None if message.latency_ns is None else message.latency_ns / 1e9
        self.problems: tuple[str, ...] = tuple(problem.code for problem in message.problems)
        self._payload: Any = None
        self._is_read = False

    @property
    def payload(self) -> Any:
        """The payload as Python values, yours to change; None if there is none that is JSON."""
        if not self._is_read:
            self._payload, self._is_read = value_of(self._seen.payload), True
        return self._payload

    def forward(self) -> Decision:
        """Sends it on, whatever the intercept filter says."""
        return policy.Forward(_WHY)

    def drop(self) -> Decision:
        """Does not send it on."""
        return policy.Drop(_WHY)

    def answer(self, payload: Any) -> Decision:
        """Does not send a CALL on, but answers it in the place of its receiver."""
        return self._reply(Reply(payload=payload))

    def error(self, code: str, description: str = "", details: Any = None) -> Decision:
        """As `answer`, with a CALLERROR."""
        return self._reply(Reply(error=code, description=description, details=details))

    def edit(self, payload: Any = None, *, text: str | None = None) -> Decision:
        """Sends it on with another payload, or with another text as a whole."""
        if text is not None:
            return policy.Edit(_WHY, str(text))
        return policy.Edit(_WHY, with_payload(self.text, self._seen.message.kind, payload))

    def hold(self, *, overtake: bool = True) -> Decision:
        """Lets the user decide."""
        return policy.Hold(_WHY, bool(overtake))

    def delay(self, seconds: float, *, overtake: bool = True) -> Decision:
        """Sends it on later."""
        return policy.Delay(_WHY, round(float(seconds) * 1e9), bool(overtake))

    def duplicate(self, copies: int = 2) -> Decision:
        """Sends it on more than once."""
        return policy.Duplicate(_WHY, min(int(copies), MAX_COPIES))

    def cut(self, how: str = "RST") -> Decision:
        """Ends the connection instead: "RST", "FIN" or "close"."""
        if how not in ("RST", "FIN", "close"):
            raise EditError("a connection is cut by RST, FIN or close")
        return policy.Cut(_WHY, how)

    def _reply(self, reply: Reply) -> Decision:
        if self._seen.message.kind is not Kind.CALL:
            raise EditError("only a CALL can be answered")
        reply.text(self.id)
        return policy.Drop(_WHY, reply)


_DECISIONS = (policy.Forward, policy.Drop, policy.Edit, policy.Hold, policy.Delay, policy.Duplicate, policy.Cut)


class AddOn:
    """An add-on that was loaded. A `policy.Rulebook`, and its only rule."""

    def __init__(
        self, path: str, function: Callable[[Seen], object], clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._path = path
        self._function = function
        self._clock = clock
        self._complained: set[str] = set()

    def rules(self, chance: random.Random) -> list[Rule]:
        """The same one for every connection."""
        return [self]

    def decide(self, seen: policy.Seen, around: Around, say: Say) -> Decision | None:
        """What the add-on says; None where it says nothing, or nothing that can be done."""
        begin = self._clock()
        found, trouble = self._ask(Seen(seen))
        if self._clock() - begin > SLOW_NS:
            self._complain("the add-on took more than 50 ms for a message, and all others waited", say)
        if trouble:
            self._complain(f"the add-on failed, and the message passed: {trouble}", say)
        return found

    def _ask(self, seen: Seen) -> tuple[Decision | None, str]:
        """What the function decides, and what went wrong."""
        try:
            found = self._function(seen)
        except EditError as error:
            return None, f"{self._at(error)}{error}"
        except (Exception, SystemExit) as error:  # the user's code: whatever it does, messages pass
            return None, f"{self._at(error)}{type(error).__name__}"
        if found is None or isinstance(found, _DECISIONS):
            return found, ""
        return None, f"message() returned {type(found).__name__}, which is no decision of `seen`"

    def _complain(self, what: str, say: Say) -> None:
        if what not in self._complained and len(self._complained) < MAX_COMPLAINTS:
            self._complained.add(what)
            say(what)

    def _at(self, error: BaseException) -> str:
        line = line_of(error, self._path)
        return f"line {line}: " if line else ""


def line_of(error: BaseException, path: str) -> int:
    """The line of the file at which an exception left it, 0 if it never was there."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def load_addon(path: Path) -> AddOn:
    """Runs an add-on's file and takes its `message`. Raises `UsageError`."""
    hint = "An add-on is a Python file with a function message(seen)."
    name = f"_ocppscope_addon_{abs(hash(str(path)))}"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path}: no Python file.", hint)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and the like look their module up
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or type(error).__name__}.", hint) from None
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno or 0}: {error.msg}.", hint) from None
    except (Exception, SystemExit) as error:
        at = f":{line}" if (line := line_of(error, str(path))) else ""
        raise UsageError(f"{path}{at}: {type(error).__name__} while it was loaded.", hint) from None
    function = getattr(module, "message", None)
    if not callable(function):
        raise UsageError(f"{path}: there is no function “message” in it.", hint)
    return AddOn(str(path), function)
