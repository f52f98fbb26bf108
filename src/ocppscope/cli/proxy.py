"""`ocppscope proxy`: between stations and their CSMS, watching, recording, and on request interfering."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from ocppscope.cli import transparent
from ocppscope.cli.recordopts import SHOWN, Bytes, Span, log_request, on_screen, rotating, showing

if TYPE_CHECKING:
    from ocppscope.proxy.config import Address, Config

    _Parameter = click.ParamType[Any]
else:
    _Parameter = click.ParamType

_ADDRESS = re.compile(r"(?:(wss?)://)?(\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:/\s]*)(?::(\d{1,5}))?(/.*)?", re.ASCII)
_PORTS = {"ws": 80, "wss": 443}
DEFAULT_PORT = 9000
"""Where the proxy listens."""


class AddressType(_Parameter):
    """`wss://csms.example:443`, `127.0.0.1:9000` → `Address`."""

    name = "ADDRESS"

    def __init__(self, *, is_target: bool) -> None:
        self._is_target = is_target

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Reads an address."""
        from ocppscope.proxy.config import Address

        if isinstance(value, Address):
            return value
        found = _ADDRESS.fullmatch(value.strip())
        scheme = found[1] if found else None
        port = int(found[3]) if found and found[3] else _PORTS.get(scheme or "") if self._is_target else None
        host = found[2].strip("[]") if found else ""
        if found is None or port is None or port > 65535 or (self._is_target and not (host and scheme)):
            example = "ws://csms.example:9000 or wss://csms.example" if self._is_target else "127.0.0.1:9000"
            self.fail(f"{value!r} is not like {example}.", param, ctx)
        if found[4] and found[4] != "/":
            self.fail(
                f"{value!r} has a path. The path that a station asks for is passed on as it is, so that of its own "
                f"URL has to be {found[4]}/IDENTITY; leave it out here.",
                param,
                ctx,
            )
        return Address(host or "0.0.0.0", port, tls=scheme == "wss")


_FILE = click.Path(exists=True, dir_okay=False)


@click.command("proxy", cls=transparent.Command)
@click.option(
    "--listen", type=AddressType(is_target=False),
    help="Where stations connect: HOST:PORT, wss://HOST:PORT for TLS. Loopback, port 9000, unless told otherwise.",
)  # fmt: skip
@click.option("--to", type=AddressType(is_target=True), help="The CSMS: ws://HOST:PORT or wss://HOST:PORT.")
@click.option(
    transparent.OPTION, is_flag=False, flag_value=transparent.MODES[0], type=click.Choice(transparent.MODES),
    help="Take what the packet filter sends here, and connect each station to where it wanted to go; redirect unless "
    "you say tproxy. Add --help to see how it is set up.",
)  # fmt: skip
@click.option("--pass-tls", is_flag=True, help="Transparent: pass TLS on unread; else it is spoken on both sides.")
@click.option(
    "--mark", type=click.IntRange(1, 0xFFFFFFFF), metavar="N", help="Transparent: mark the proxy's own connections."
)
@click.option("-w", "--write", "out", metavar="FILE", default="", help="The recording; default: a new file here.")
@click.option(
    "--record", "what", type=click.Choice(("session", "legs")), default=None,
    help="The session as if there were no proxy, or the connections on both its sides (default when active).",
)  # fmt: skip
@rotating
@click.option("--set-host", metavar="NAME", default="", help="Replace the Host header, for a CSMS that goes by it.")
@click.option("--cert", type=_FILE, help="Shown to stations: certificate chain, PEM.")
@click.option("--key", type=_FILE, help="Its key.")
@click.option("--ca", metavar="DIR", default="", help="Without --cert: the own authority (see `ocppscope ca`).")
@click.option(
    "--ask-client", type=click.Choice(("no", "ask", "require")), default="no", show_default=True,
    help="Ask stations for a certificate (security profile 3).",
)  # fmt: skip
@click.option("--client-ca", type=_FILE, help="Who may have issued it.")
@click.option(
    "--tls-min",
    type=click.Choice(("1.0", "1.1", "1.2", "1.3")),
    default="1.2",
    help="The lowest TLS version for stations.",
)
@click.option("--csms-ca", type=_FILE, help="Trusted for the CSMS, besides the system's authorities.")
@click.option("--csms-cert", type=_FILE, help="Shown to the CSMS (security profile 3).")
@click.option("--csms-key", type=_FILE, help="Its key.")
@click.option("--csms-name", metavar="NAME", default="", help="Asked of the CSMS and verified, if not its host.")
@click.option(
    "--csms-tls-min",
    type=click.Choice(("1.0", "1.1", "1.2", "1.3")),
    default="1.2",
    help="The lowest TLS version for the CSMS.",
)
@click.option("--insecure", is_flag=True, help="Do not verify the certificate of the CSMS.")
@click.option("--write-keylog", metavar="FILE", default="", help="Write the TLS secrets of both sides to a key log.")
@click.option("--active", is_flag=True, help="Make it possible to hold, change and inject messages.")
@click.option("--intercept", metavar="FILTER", default="", help="Active: hold messages that pass this filter.")
@click.option("--hold", type=Span(0.1), default=25.0, show_default=True, help="Hold a message no longer than this.")
@click.option("--script", type=_FILE, help="Active: do what this TOML file says.")
@click.option("--addon", type=_FILE, help="Active: ask the function of this Python file.")
@click.option("--latency", type=Span(0.001), help="Fault: pass everything on so much later.")
@click.option("--jitter", type=Span(0.001), help="Fault: and up to so much later still.")
@click.option("--bandwidth", type=Bytes(1), help="Fault: bytes a second, each way.")
@click.option("--cut-after", type=Span(0.001), help="Fault: end each connection after this time.")
@click.option("--cut-how", type=click.Choice(("RST", "FIN")), default="RST", show_default=True, help="How.")
@click.option("--half-open-after", type=Span(0.001), help="Fault: pass nothing on after this time.")
@click.option(
    "--slow-reader",
    type=click.Choice(("station", "csms")),
    default=None,
    help="Fault: nobody reads what this side sends.",
)
@showing
@click.option("--headless", is_flag=True, help="Only relay and record, in one small process.")
def command(**given: Any) -> None:
    """Relay between stations and their CSMS, byte for byte, and show and record what passes.

    \b
      ocppscope proxy --listen 0.0.0.0:9000 --to ws://csms.example:8080
      ocppscope proxy --listen wss://0.0.0.0:9443 --to wss://csms.example --active --intercept 'action == Authorize'

    Give the station the proxy's address instead of that of the CSMS, with the same path. Everything passes as it
    is, and is recorded as packets in a pcapng file, without TLS. On a terminal there are the screens, in a pipe
    the log.
    """
    from ocppscope.proxy.steering import Relay

    shown = {name: given[name] for name in SHOWN}
    config = config_of(given)
    if given["headless"]:
        _run_headless(config, quiet=shown["quiet"])
        return
    from ocppscope.cli.following import Follow, run_follow

    relay = Relay(config)
    try:
        run_follow(Follow(relay, log_request(shown), relay, shown["theme"]), on_screen=on_screen(shown))
    finally:
        relay.stop()
        if relay.files() and not shown["quiet"]:
            sys.stderr.write(f"{relay.status()}.\nRecorded in {', '.join(relay.files()[-3:])}.\n")


def config_of(given: dict[str, Any]) -> Config:
    """What the options ask for. Raises UsageError."""
    from ocppscope.errors import UsageError
    from ocppscope.proxy.config import REVERSE, Address, Config, Faults, Recording

    mode = _mode(given)
    if given["keep"] and not (given["rotate_size"] or given["rotate_time"]):
        raise UsageError("--keep is for several files.", "Add --rotate-size or --rotate-time.")
    active = bool(given["active"] or given["intercept"] or given["script"] or given["addon"])
    return Config(
        listen=given["listen"] or Address("127.0.0.1" if mode == REVERSE else "localhost", DEFAULT_PORT),
        to=given["to"],
        mode=mode,
        pass_tls=given["pass_tls"],
        mark=given["mark"] or 0,
        recording=Recording(
            path=given["out"] or time.strftime("ocppscope-%Y%m%d-%H%M%S.pcapng", time.gmtime()),
            what=given["what"] or "",
            max_bytes=given["rotate_size"] or 0,
            max_ns=round((given["rotate_time"] or 0) * 1e9),
            keep=given["keep"] or 0,
        ),
        tls=_tls(given),
        set_host=given["set_host"],
        active=active,
        intercept=given["intercept"],
        hold_seconds=given["hold"],
        script=given["script"] or "",
        addon=given["addon"] or "",
        faults=Faults(
            given["latency"] or 0.0,
            given["jitter"] or 0.0,
            given["bandwidth"] or 0,
            given["cut_after"] or 0.0,
            given["cut_how"],
            given["half_open_after"] or 0.0,
            given["slow_reader"] or "",
        ),
    )


def _mode(given: dict[str, Any]) -> str:
    """How connections come. Raises UsageError for options that do not go together."""
    from ocppscope.errors import UsageError
    from ocppscope.proxy.config import REVERSE

    mode = given["transparent"]
    if mode is None:
        if given["to"] is None:
            raise UsageError("Where the CSMS is has to be said.", "Add --to ws://HOST:PORT, or --transparent.")
        if given["pass_tls"] or given["mark"]:
            raise UsageError("--pass-tls and --mark are for transparent mode.", "Add --transparent.")
        return REVERSE
    if given["to"] is not None:
        raise UsageError("With --transparent stations are connected to where they wanted to go.", "Leave out --to.")
    if given["listen"] is not None and given["listen"].tls:
        raise UsageError("With --transparent TLS is noticed by itself.", "Give --listen as HOST:PORT, without wss.")
    return str(mode)


def _tls(given: dict[str, Any]) -> Any:
    from ocppscope.proxy.contexts import TlsSettings

    return TlsSettings(
        certificate=given["cert"] or "",
        key=given["key"] or "",
        authority=given["ca"],
        client_certificates=given["ask_client"],
        client_ca=given["client_ca"] or "",
        minimum=given["tls_min"],
        csms_ca=given["csms_ca"] or "",
        csms_certificate=given["csms_cert"] or "",
        csms_key=given["csms_key"] or "",
        csms_name=given["csms_name"],
        csms_minimum=given["csms_tls_min"],
        insecure=given["insecure"],
        key_log=given["write_keylog"],
    )


def _run_headless(config: Config, *, quiet: bool) -> None:
    """The relay in this very process, until Ctrl-C or its like."""
    from ocppscope.proxy.relay import serve

    serve(config, None if quiet else sys.stderr)
