"""Options that several commands share, and the values that they take. Nothing is imported here that decodes."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import os
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.model import Version
    from ocppscope.options import Options
    from ocppscope.render.times import ClockFormat

    _Parameter = click.ParamType[Any]
else:
    _Parameter = click.ParamType

F = TypeVar("F", bound="Callable[..., Any]")

_DECODE_AS = re.compile(r"tcp\.port\s*==\s*(\d{1,5})\s*,\s*ocpp\s*(\d(?:\.\d){1,2})", re.IGNORECASE)


class DecodeAs(_Parameter):
    """`tcp.port==9000,ocpp1.6` → (9000, Version.V16)."""

    name = "RULE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, Version]:
        """Reads a rule."""
        from ocppscope.model import Version

        if isinstance(value, tuple):
            return value
        found = _DECODE_AS.fullmatch(value.strip())
        versions = {version.value: version for version in Version if version is not Version.UNKNOWN}
        if found is None or found[2] not in versions or not 0 < int(found[1]) < 65536:
            self.fail(f"{value!r} is not like tcp.port==9000,ocpp1.6 ({', '.join(versions)}).", param, ctx)
        return int(found[1]), versions[found[2]]


class ClockType(_Parameter):
    """A time format → `ClockFormat`."""

    name = "FORMAT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ClockFormat:
        """Reads a format."""
        from ocppscope.render.times import CLOCKS, ClockFormat, parse_clock

        if isinstance(value, ClockFormat):
            return value
        clock = parse_clock(value)
        if clock is None:
            self.fail(f"{value!r} is none of {', '.join(CLOCKS)}, with .N for N decimals if you like.", param, ctx)
        return clock


class Seconds(_Parameter):
    """A positive number of seconds → nanoseconds."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads a number."""
        if isinstance(value, int):
            return value
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds < 1e9:
            self.fail(f"{value!r} is no number of seconds above zero.", param, ctx)
        return round(seconds * 1e9)


def set_debug(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """A callback of `--debug`: our own failures show a traceback."""
    if wanted:
        os.environ["OCPPSCOPE_DEBUG"] = "1"


_KEY_LOGS, _SERVER_KEYS, _TLS_ENGINE = "ocppscope.keylogs", "ocppscope.rsa_keys", "ocppscope.tls_engine"
_DIALECT, _LOG_ZONE = "ocppscope.dialect", "ocppscope.log_zone"


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that leaves an option's values to `decoding`, so that commands need not hand them through."""

    def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        ctx.meta[name] = value

    return remember


def keyed(function: F) -> F:
    """The options of every command that may meet TLS."""
    for option in reversed(
        (
            click.option(
                "--keylog",
                multiple=True,
                expose_value=False,
                metavar="FILE",
                type=click.Path(dir_okay=False),
                callback=_remember(_KEY_LOGS),
                help="TLS secrets, as SSLKEYLOGFILE (which is read if this is not given); may grow. May be repeated.",
            ),
            click.option(
                "--rsa-key",
                multiple=True,
                expose_value=False,
                metavar="FILE",
                type=click.Path(dir_okay=False),
                callback=_remember(_SERVER_KEYS),
                help="The CSMS's private key (PEM), for RSA key exchange up to TLS 1.2. May be repeated.",
            ),
        )
    ):
        function = option(function)
    return function


def _choose_dialect(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """A callback of `--dialect` and `--dialect-file`: `help` and `list` are answered at once."""
    if value is None or ctx.resilient_parsing:
        return
    if param.name == "dialect" and value.lower() in ("help", "list", "?"):
        from ocppscope.capture.dialects.detect import explained

        click.echo(explained())
        ctx.exit()
    if param.name == "dialect_file" and not value.lower().endswith(".toml"):
        raise click.BadParameter("the name of such a file ends in .toml.", ctx, param)
    ctx.meta[_DIALECT] = value


def logged(function: F) -> F:
    """The options of every command that may read a log of messages."""
    for option in reversed(
        (
            click.option(
                "--dialect",
                expose_value=False,
                metavar="NAME",
                callback=_choose_dialect,
                help="The form of a log of messages, if it is not recognised, or a FILE.toml; `help` lists them.",
            ),
            click.option(
                "--dialect-file",
                expose_value=False,
                metavar="FILE.toml",
                callback=_choose_dialect,
                help="A form of your own, as docs/import.md describes.",
            ),
            click.option(
                "--log-zone",
                expose_value=False,
                metavar="ZONE",
                callback=_remember(_LOG_ZONE),
                help="What times without a zone are in a log, like +02:00 or Europe/Paris; UTC if not given.",
            ),
        )
    ):
        function = option(function)
    return function


class Reading(NamedTuple):
    """What the options of `reading` say."""

    captures: tuple[str, ...]
    more: tuple[str, ...]
    decode_as: tuple[tuple[int, Version], ...]
    timeout: int
    all_websockets: bool
    color: str
    quiet: bool

    @property
    def named(self) -> list[str]:
        """The inputs that were named either way."""
        return [*self.more, *self.captures]

    @property
    def inputs(self) -> list[str]:
        """The same; raises UsageError if there are none."""
        from ocppscope.errors import UsageError

        if not self.named:
            raise UsageError("There is no capture to read.", "Name a file, or - for standard input.")
        return self.named

    def options(self, *, is_live: bool = False) -> Options:
        """The engine's options."""
        return decoding(self.timeout, self.all_websockets, self.decode_as, is_live=is_live)


def reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that reads captures or logs; the command is given a `Reading` first."""

    @wraps(function)
    def read(**given: Any) -> Any:
        return function(Reading(*(given.pop(name) for name in Reading._fields)), **given)

    return _reading_options(read)


def _reading_options(function: F) -> F:
    engine = click.option(
        "--tls-engine",
        type=click.Choice(("own", "tshark")),
        default="own",
        expose_value=False,
        callback=_remember(_TLS_ENGINE),
        help="Who decrypts TLS; tshark is slow, and knows suites that ours does not.",
    )
    function = keyed(engine(logged(function)))
    for option in reversed(
        (
            click.argument("captures", nargs=-1, metavar="CAPTURE...", callback=_no_commands),
            click.option("-r", "--read", "more", multiple=True, metavar="FILE", help="A capture, as for tshark."),
            click.option(
                "-d",
                "--decode-as",
                multiple=True,
                type=DecodeAs(),
                help="The OCPP version of connections to a port: tcp.port==9000,ocpp1.6. May be repeated.",
            ),
            click.option(
                "--timeout",
                type=Seconds(),
                default="30",
                show_default=True,
                help="After how long an answer is late, and a CALL without one timed out.",
            ),
            click.option("--all-websockets", is_flag=True, help="Show WebSockets that carry no OCPP, too."),
            click.option(
                "--color",
                type=click.Choice(("auto", "always", "never")),
                default="auto",
                help="Colours; auto (the default) means on a terminal, unless NO_COLOR is set.",
            ),
            click.option("--debug", is_flag=True, hidden=True, expose_value=False, is_eager=True, callback=set_debug),
            click.option("-q", "--quiet", is_flag=True, help="No progress and no notices on stderr."),
        )
    ):
        function = option(function)
    return function


def filtering(function: F) -> F:
    """The option of every command that can show a part of the messages."""
    option = click.option(
        "-Y",
        "--filter",
        "wanted",
        metavar="FILTER",
        default="",
        shell_complete=_continuations,
        help="Only messages that pass, like 'action == Authorize and latency > 2s'; `ocppscope fields` explains it.",
    )
    return option(function)


def _no_commands(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Who names a command behind an option or a capture is told where it belongs."""
    from ocppscope.cli.main import COMMANDS

    for name in names:
        if name in COMMANDS and not os.path.exists(name):
            msg = f"There is no file {name}. The command of that name comes first: ocppscope {name} ..."
            raise click.UsageError(msg)
    return names


def _continuations(ctx: click.Context, param: click.Parameter, started: str) -> list[str]:
    """How a filter may go on, for the shell."""
    from ocppscope.query.complete import complete

    return [started[: one.start] + one.text for one in complete(started)]


def decoding(
    timeout: int, all_websockets: bool, decode_as: tuple[tuple[int, Version], ...], *, is_live: bool = False
) -> Options:
    """The engine's options."""
    from ocppscope.cli.keys import of_the_run
    from ocppscope.options import Options

    context = click.get_current_context()
    named = context.meta
    keys = of_the_run(named.get(_KEY_LOGS, ()), named.get(_SERVER_KEYS, ()), is_live=is_live)
    context.call_on_close(keys.close)
    return Options(
        timeout_ns=timeout,
        every_websocket=all_websockets,
        ports=dict(decode_as),
        secrets=keys.secrets,
        expects_secrets=keys.is_expected,
        tls_engine=named.get(_TLS_ENGINE, "own"),
        key_logs=keys.key_logs,
        server_keys=tuple(named.get(_SERVER_KEYS, ())),
        dialect=named.get(_DIALECT) or "",
        log_zone=named.get(_LOG_ZONE) or "",
    )
