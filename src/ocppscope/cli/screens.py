"""Opens the screens, with the settings of the configuration file, on a terminal or for a browser."""

# ruff: noqa: PLC0415 (what only a browser needs is imported for a browser)

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.cli.loading import session_of
from ocppscope.errors import UsageError
from ocppscope.query.filter import FilterError, compile_filter
from ocppscope.tui import settings
from ocppscope.tui.app import Scope

if TYPE_CHECKING:
    from ocppscope.options import Options
    from ocppscope.render.times import ClockFormat
    from ocppscope.tui.settings import Settings


class ViewRequest(NamedTuple):
    """What `view` was asked for."""

    inputs: list[str]
    options: Options
    color: str = "auto"
    filter: str = ""
    clock: ClockFormat | None = None
    theme: str | None = None


def run_view(request: ViewRequest) -> None:
    """Shows the screens until the user leaves. Raises OcppscopeError."""
    served = os.environ.get("TEXTUAL_DRIVER")  # set by the server: the other end of stdout is a browser
    if not served and not sys.stdout.isatty():
        raise UsageError("The screens need a terminal.", "`ocppscope log` prints the messages instead.")
    wanted = settled(request, dict(os.environ))
    check(request.filter, wanted)
    Scope(session_of(request.inputs, request.options), wanted, filter_text=request.filter).run()


def run_served(request: ViewRequest, arguments: list[str], host: str, port: int, token: str | None) -> None:
    """Serves the screens to a browser until Ctrl-C. Raises OcppscopeError, also for captures that cannot be read."""
    from ocppscope.cli.logs import opened
    from ocppscope.tui.serve import serve

    check(request.filter, settled(request, dict(os.environ)))
    if "-" not in request.inputs:
        opened(request.inputs, request.options).close()
    serve(arguments, host, port, token)


def settled(request: ViewRequest, environment: dict[str, str]) -> Settings:
    """The settings of the file, with what the command line says on top."""
    found = settings.load()
    if request.clock is not None:
        found = found._replace(time=request.clock)
    if request.theme is not None:
        return found._replace(theme=request.theme)
    colourless = request.color == "never" or (request.color == "auto" and environment.get("NO_COLOR"))
    return found._replace(theme="mono") if colourless else found


def check(text: str, wanted: Settings) -> None:
    """A filter of the command line is refused before the screen opens."""
    try:
        compile_filter(text, wanted.filters)
    except FilterError as error:
        raise UsageError(error.message, error.hint) from error
