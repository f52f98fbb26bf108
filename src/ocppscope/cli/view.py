"""`ocppscope view`: the screens, on a terminal or in a browser."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ocppscope.cli.parameters import ClockType, Reading, filtering, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.render.times import ClockFormat


@click.command("view")
@reading
@filtering
@click.option(
    "-t", "--time", "clock", type=ClockType(), default=None,
    help="Times as with tshark: a, ad, r, d, dd, e. Always UTC.",
)  # fmt: skip
@click.option("--theme", type=click.Choice(("dark", "light", "mono")), help="The look; mono has no colours.")
@click.option("--serve", is_flag=True, help="In a browser instead: prints an address that is good for one use.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
    help="With --serve: where to listen; other than loopback can be reached from other machines.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="With --serve; 0: any.")
@click.option("--token", metavar="TEXT", help="With --serve: the token of the address, instead of a random one.")
def command(
    read: Reading,
    wanted: str,
    clock: ClockFormat | None,
    theme: str | None,
    serve: bool,
    host: str,
    port: int,
    token: str | None,
) -> None:
    """Open captures on the screen: messages, ladder, stations, timing.

    The screen is there at once and fills while the captures are read. The key ? lists all keys.
    """
    from ocppscope.cli.screens import ViewRequest, run_served, run_view

    options = read.options()
    request = ViewRequest(read.inputs, options, read.color, wanted, clock, theme)
    if serve:
        run_served(request, list(arguments(request)), host, port, token)
    else:
        run_view(request)


def arguments(request: object) -> Iterator[str]:
    """The command line of one session in a browser."""
    from ocppscope.cli.screens import ViewRequest

    assert isinstance(request, ViewRequest)
    yield "view"
    options = request.options
    yield f"--timeout={options.timeout_ns / 1e9:g}"
    for port, version in options.ports.items():
        yield f"--decode-as=tcp.port=={port},ocpp{version.value}"
    if options.every_websocket:
        yield "--all-websockets"
    for path in options.key_logs:
        yield f"--keylog={path}"
    for path in options.server_keys:
        yield f"--rsa-key={path}"
    if options.tls_engine != "own":
        yield f"--tls-engine={options.tls_engine}"
    if options.dialect:
        yield f"--dialect={options.dialect}"
    if options.log_zone:
        yield f"--log-zone={options.log_zone}"
    if request.filter:
        yield f"--filter={request.filter}"
    if request.clock is not None:
        yield f"--time={request.clock.clock}.{request.clock.decimals}"
    if request.theme is not None:
        yield f"--theme={request.theme}"
    yield f"--color={request.color}"
    yield "--"
    yield from request.inputs
