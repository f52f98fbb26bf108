"""What makes the transparent modes, without a network: sockets and addresses, TLS that shows late, the help."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from support_proxy import Hosted, Talk, Upstream, connect, read, reset, rest, talks

from ocppscope.cli.transparent import KEPT, MARKED, OWNED, RECIPES, ROUTER
from ocppscope.errors import AccessError, UsageError
from ocppscope.model import Side
from ocppscope.proxy import transparent
from ocppscope.proxy.authority import Authority
from ocppscope.proxy.config import LEGS, REDIRECT, TPROXY, Address, Config, Recording
from ocppscope.proxy.contexts import TlsSettings
from ocppscope.proxy.transparent import Transparent, original
from ocppscope.proxy.ways import way_of
from support_cli import run

STATION, CSMS = Side.STATION, Side.CSMS


def only(path: Path) -> Talk:
    (talk,) = talks(path)
    return talk


# --- before it is known whether it is TLS ---------------------------------------------------------------------------


class Meeting(NamedTuple):
    """A proxy in this process to which everything has been redirected, and the CSMS where it all was to go."""

    proxy: Hosted
    upstream: Upstream

    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return connect(self.proxy.where), self.upstream.accept()

    def recorded(self) -> Talk:
        self.proxy.idle()
        return only(self.proxy.path)


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Meeting]:
    Authority.open(str(tmp_path / "ca"), "ec")
    tls = TlsSettings(authority=str(tmp_path / "ca"))
    recording = Recording(str(tmp_path / "x.pcapng"))
    with Upstream() as upstream:
        wanted = (upstream.address.host, upstream.address.port)
        with (
            patch.object(transparent, "original", lambda sock: wanted),
            Hosted(config(host="127.0.0.1", tls=tls, recording=recording)) as proxy,
        ):
            yield Meeting(proxy, upstream)


def test_a_csms_that_speaks_first_is_heard(meeting):
    station, csms = meeting.sockets()
    csms.sendall(b"welcome")
    assert read(station, 7) == b"welcome"
    late = b"\x16\x03 is no TLS any more"
    station.sendall(late)
    assert read(csms, len(late)) == late
    station.close()
    csms.close()
    assert meeting.recorded().sent == [late, b"welcome"]


def test_a_station_that_says_nothing_but_its_end_is_passed_on(meeting):
    station, csms = meeting.sockets()
    station.shutdown(socket.SHUT_WR)
    assert rest(csms) == (b"", "FIN")
    csms.sendall(b"bye")
    csms.close()
    assert rest(station) == (b"bye", "FIN")
    station.close()
    assert meeting.recorded().over == ["FIN", "FIN"]


@pytest.mark.parametrize("side", [STATION, CSMS])
def test_a_reset_before_the_first_byte_is_passed_on_and_recorded(meeting, side):
    sockets = meeting.sockets()
    reset(sockets[side])
    assert rest(sockets[side.other]) == (b"", "RST")
    sockets[side.other].close()
    assert meeting.recorded().over == (["RST", ""] if side is STATION else ["", "RST"])


def test_a_connection_of_which_nothing_is_known_is_refused(meeting):
    with (
        patch.object(transparent, "original", lambda sock: None),
        pytest.raises(ConnectionResetError),  # perhaps before connect() has returned
        socket.create_connection(meeting.proxy.where, 20) as station,
    ):
        station.recv(1)
    assert transparent.NOT_SENT in meeting.proxy.said
    assert [act.what for act in meeting.recorded().acts] == ["refused"]


# --- parts ----------------------------------------------------------------------------------------------------------


class Telling:
    """A socket whose original destination is as given."""

    def __init__(self, family: int, raw: bytes | OSError) -> None:
        self.family, self._raw = family, raw

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == ((socket.SOL_IP, 80) if self.family == socket.AF_INET else (41, 80))
        if isinstance(self._raw, OSError):
            raise self._raw
        return self._raw[:size]


@pytest.mark.parametrize(
    ("family", "raw", "expected"),
    [
        (socket.AF_INET, "0200 1f90 0a4d0202 0000000000000000", ("10.77.2.2", 8080)),
        (
            socket.AF_INET6,
            "0a00 1f90 00000000 fd770002000000000000000000000002 00000000",
            ("fd77:2::2", 8080, 0, 0),
        ),
        (socket.AF_INET6, "0a00 0050 00000000 fe800000000000000000000000000002 03000000", ("fe80::2", 80, 0, 3)),
        (socket.AF_INET, "0200 1f90", None),
        (socket.AF_INET6, "", None),
    ],
)
def test_the_original_destination_is_read_as_the_kernel_writes_it(family, raw, expected):
    assert original(Telling(family, bytes.fromhex(raw))) == expected


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_system_without_conntrack_does_not_know_it(family):
    assert original(Telling(family, OSError(92, "Protocol not available"))) is None


def config(**given: Any) -> Config:
    given = {"mode": REDIRECT, "recording": Recording("")} | given
    return Config(Address(given.pop("host", "localhost"), 0), **given)


@pytest.fixture
def permitted() -> Iterator[None]:
    """As if everything were allowed."""
    with patch.object(Transparent, "_try_options"):
        yield


@pytest.mark.usefixtures("permitted")
def test_the_way_is_chosen_by_the_mode():
    assert isinstance(way_of(config()), Transparent)
    assert isinstance(way_of(config(mode=TPROXY)), Transparent)


@pytest.mark.parametrize("pass_tls", [False, True])
def test_tls_is_looked_for_unless_it_is_passed_on(pass_tls):
    way = Transparent(config(pass_tls=pass_tls))
    assert [way.detects_tls, way.speaks_tls(STATION), way.speaks_tls(CSMS)] == [not pass_tls] * 3


@pytest.mark.parametrize(
    ("host", "has_ipv6", "families"),
    [
        ("localhost", True, [4, 6]),
        ("*", True, [4, 6]),
        ("*", False, [4]),
        ("127.0.0.1", True, [4]),
        ("::1", True, [6]),
    ],
)
def test_it_listens_at_both_families_on_one_port(host, has_ipv6, families):
    with patch.object(transparent, "_has_ipv6", lambda: has_ipv6):
        opened = Transparent(config(host=host)).listeners(1)
    names = [sock.getsockname() for sock in opened]
    for sock in opened:
        sock.close()
    assert [ip_address(name[0]).version for name in names] == families
    assert len({name[1] for name in names}) == 1


@pytest.mark.parametrize("broken", [UsageError("a", "b"), AccessError("a", "b")])
def test_a_listener_that_cannot_be_opened_leaves_none_behind(broken):
    opened = []

    def listening(address: Address, backlog: int, prepare: Any) -> list[socket.socket]:
        if opened:
            raise broken
        opened.append(socket.create_server((address.host, 0)))
        return opened[:]

    with patch.object(transparent, "listening", listening), pytest.raises(type(broken)):
        Transparent(config()).listeners(1)
    assert opened[0].fileno() == -1


def test_other_systems_are_told_that_it_needs_linux():
    with patch("sys.platform", "darwin"), pytest.raises(UsageError, match="Linux"):
        Transparent(config())


@pytest.mark.usefixtures("permitted")
def test_the_legs_of_a_recording_never_have_the_same_ports():
    assert Transparent(config(mode=TPROXY))._keeps_port
    assert not Transparent(config(mode=TPROXY, active=True))._keeps_port
    assert not Transparent(config(mode=TPROXY, recording=Recording("", LEGS)))._keeps_port


def test_the_machines_own_addresses_are_known():
    assert transparent._is_own("127.0.0.1")
    assert transparent._is_own("127.9.9.9")
    assert transparent._is_own("::1")
    assert not transparent._is_own("192.0.2.1")
    assert not transparent._is_own("2001:db8::1")


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "recipes"),
    [
        (["--transparent"], RECIPES),
        (["--transparent", "redirect"], (ROUTER, MARKED, OWNED)),
        (["--transparent=redirect"], (ROUTER, MARKED, OWNED)),
        (["--transparent", "tproxy"], (KEPT,)),
        ([], ()),
    ],
)
@pytest.mark.parametrize("help_first", [False, True])
def test_the_help_says_how_it_is_set_up(words, recipes, help_first):
    if help_first:
        words = ["--help", *words]
    done = run("proxy", *words, *([] if help_first else ["--help"]))
    assert done.code == 0
    lines = {line.strip() for line in done.lines}
    for recipe in RECIPES:
        assert lines.issuperset((*recipe.rules, recipe.start)) == (recipe in recipes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_docs_have_every_command_of_the_help(recipe, project_root):
    lines = {line.strip() for line in (project_root / "docs" / "proxy-transparent.md").read_text().splitlines()}
    assert lines.issuperset((*recipe.rules, recipe.start))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--transparent", "--to", "ws://10.0.0.1:9000"], "Leave out --to"),
        (["--transparent", "--listen", "wss://127.0.0.1:9000"], "without wss"),
        (["--pass-tls", "--to", "ws://10.0.0.1:9000"], "Add --transparent"),
        (["--mark", "3", "--to", "ws://10.0.0.1:9000"], "Add --transparent"),
        ([], "--transparent"),
        (["--transparent", "bridge"], "bridge"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, said):
    done = run("proxy", *words)
    assert done.code == 2
    assert said in done.err
