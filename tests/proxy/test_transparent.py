"""The transparent modes over real networks: a station, a router with the proxy on it, and a CSMS, each in a namespace
of its own, with the very rules that `proxy --transparent --help` prints."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from netpeers import BYTES, CALLS, content
from support_netns import DEADLINE, PYTHON, Program, Space, address, join, rootless, spaces, until
from support_pki import Pki
from support_proxy import Talk, packets, talks

from ocppscope.cli.transparent import KEPT, MARKED, MODES, OWNED, ROUTER, Recipe
from ocppscope.model import Side
from ocppscope.proxy.config import REDIRECT, TPROXY
from support_cli import run

STATION, CSMS = Side.STATION, Side.CSMS
PEERS = str(Path(__file__).with_name("netpeers.py"))
PORT = 8080
"""The port of the CSMS, as the recipes have it."""
V4, V6 = "IPv4", "IPv6"
ADDRESSES = {V4: ("10.77.1.2", "10.77.2.1", "10.77.2.2"), V6: ("fd77:1::2", "fd77:2::1", "fd77:2::2")}
"""The station, the router towards the CSMS, the CSMS."""
BY_MODE = {REDIRECT: ROUTER, TPROXY: KEPT}
NETWORK = """
    sysctl -qw net.ipv4.ip_forward=1
    sysctl -qw net.ipv6.conf.all.forwarding=1
"""


class Net(NamedTuple):
    """A station and a CSMS, and a router between them."""

    station: Space
    router: Space
    csms: Space

    def follow(self, recipe: Recipe) -> None:
        """Does what the help says."""
        self.router.lines("\n".join(recipe.rules))

    def serve(self, *words: str) -> Program:
        """A CSMS; see `netpeers`."""
        program = self.csms.python(PEERS, words[0], str(PORT), *words[1:])
        program.wait_for("ready")
        return program

    def call(self, family: str, url: str = "ws://csms.example:8080/ocpp/CP-1", root: str = "") -> dict[str, Any]:
        """A session of the station; what it says of it."""
        words = [ADDRESSES[family][2], str(PORT), url, *([root] if root else [])]
        return told(self.station.python(PEERS, "station", *words).result()[-1])


def told(line: str) -> dict[str, Any]:
    return json.loads(line)


@pytest.fixture
def net() -> Iterator[Net]:
    with spaces("station", "router", "csms") as (station, router, csms):
        join(router, "eth1", station, "eth0")
        join(router, "eth2", csms, "eth0")
        address(router, "eth1", "10.77.1.1/24", "fd77:1::1/64")
        address(router, "eth2", "10.77.2.1/24", "fd77:2::1/64")
        for number, space in ((1, station), (2, csms)):
            address(space, "eth0", f"10.77.{number}.2/24", f"fd77:{number}::2/64")
            space.run("ip", "route", "add", "default", "via", f"10.77.{number}.1")
            space.run("ip", "-6", "route", "add", "default", "via", f"fd77:{number}::1")
        router.lines(NETWORK)
        yield Net(station, router, csms)


def proxy(space: Space, start: str, path: Path, *words: str) -> Program:
    """The proxy as a recipe starts it, with options."""
    options = [word.strip("'") for word in start.split()][2:]
    program = space.python("-m", "ocppscope", "proxy", *options, "--headless", "-w", str(path), *words)
    program.wait_for("recording")
    return program


def ended(program: Program) -> str:
    """Ends the proxy as Ctrl-C would; all that it said."""
    program.process.terminate()
    return "\n".join(program.result())


def only(path: Path) -> Talk:
    (talk,) = talks(path)
    return talk


# --- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("mode", [REDIRECT, TPROXY])
def test_a_session_passes_and_is_recorded_with_the_true_addresses(net, tmp_path, mode, family):
    net.follow(BY_MODE[mode])
    csms = net.serve("csms")
    relay = proxy(net.router, BY_MODE[mode].start, tmp_path / "x.pcapng")
    said = net.call(family)
    seen = told(csms.wait_for("peer"))
    csms.wait_for("closed")
    ended(relay)

    station, router, there = ADDRESSES[family]
    assert said["answers"] == CALLS
    assert seen["path"] == "/ocpp/CP-1"
    assert seen["peer"] == (said["address"] if mode == TPROXY else [router, seen["peer"][1]])
    talk = only(tmp_path / "x.pcapng")
    assert talk.station == (station, said["address"][1])
    assert talk.csms == (there, PORT)
    assert talk.over == ["FIN", "FIN"]
    assert talk.acts == []
    log = run("log", tmp_path / "x.pcapng", "--format", "jsonl")
    messages = [json.loads(line) for line in log.lines]
    assert [one["kind"] for one in messages] == ["CALL", "CALLRESULT"] * CALLS
    assert {one["station"] for one in messages} == {"CP-1"}


@pytest.mark.netns
@pytest.mark.parametrize("mode", [REDIRECT, TPROXY])
def test_both_legs_are_recorded_as_they_are_on_the_wire(net, tmp_path, mode):
    net.follow(BY_MODE[mode])
    csms = net.serve("csms")
    relay = proxy(net.router, BY_MODE[mode].start, tmp_path / "x.pcapng", "--record", "legs")
    said = net.call(V4)
    seen = told(csms.wait_for("peer"))
    csms.wait_for("closed")
    ended(relay)
    near, far = talks(tmp_path / "x.pcapng")
    assert (near.station, near.csms) == (tuple(said["address"]), ("10.77.2.2", PORT))
    assert (far.station, far.csms) == (tuple(seen["peer"]), ("10.77.2.2", PORT))
    assert far.station[0] == ("10.77.1.2" if mode == TPROXY else "10.77.2.1")
    assert near.station != far.station  # or nobody could tell their packets apart
    assert near.sent == far.sent


@pytest.mark.netns
@pytest.mark.parametrize("recipe", [ROUTER, KEPT], ids=MODES)
def test_what_the_help_says_of_undoing_undoes_it(net, recipe):
    before = rules_of(net.router)
    net.follow(recipe)
    assert rules_of(net.router) != before
    for rule in recipe.rules:
        net.router.lines(rule.replace(" -A ", " -D ").replace(" add ", " del "))
    assert rules_of(net.router) == before


def rules_of(space: Space) -> list[str]:
    asked = [f"{program} -t {table} -S" for program in ("iptables", "ip6tables") for table in ("nat", "mangle")]
    asked += ["ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all"]
    return [space.run(*one.split()) for one in asked]


# --- TLS ------------------------------------------------------------------------------------------------------------


class Wss(NamedTuple):
    """A CSMS with a certificate, the proxy with an authority of its own, and a station that trusts this one alone."""

    options: tuple[str, ...]
    root: str  # of the proxy
    csms: Program
    csms_root: str


@contextmanager
def wss(net: Net, directory: Path, name: str) -> Iterator[Wss]:
    (directory / "pki").mkdir()
    pki = Pki(directory / "pki")
    own = directory / "own"
    assert run("ca", "--ca", own, "--kind", "ec").code == 0
    options = ("--ca", str(own), "--csms-ca", pki.root)
    yield Wss(options, str(own / "ca.pem"), net.serve("csms", *pki.leaf(name)), pki.root)


@pytest.mark.netns
@pytest.mark.parametrize(
    ("mode", "name", "family"),
    [
        (REDIRECT, "csms.example", V4),
        (TPROXY, "csms.example", V6),
        (REDIRECT, "10.77.2.2", V4),  # no name in the hello: the certificate is for where the station wanted to go
        (REDIRECT, "fd77:2::2", V6),
        (TPROXY, "10.77.2.2", V4),
    ],
)
def test_tls_is_noticed_and_spoken_on_both_sides_with_the_stations_name(net, tmp_path, mode, name, family):
    net.follow(BY_MODE[mode])
    host = f"[{name}]" if ":" in name else name
    with wss(net, tmp_path, name) as made:
        relay = proxy(net.router, BY_MODE[mode].start, tmp_path / "x.pcapng", *made.options)
        said = net.call(family, f"wss://{host}:8080/ocpp/CP-1", made.root)
        sni = told(made.csms.wait_for("sni"))["sni"]
        seen = told(made.csms.wait_for("peer"))
        made.csms.wait_for("closed")
        ended(relay)
    assert said["answers"] == CALLS
    assert sni == (name if name == "csms.example" else None)
    assert seen["tls"] == "TLSv1.3"
    talk = only(tmp_path / "x.pcapng")
    assert talk.sent[STATION].startswith(b"GET /ocpp/CP-1 HTTP/1.1\r\n")
    assert [act.what for act in talk.acts] == ["tls", "tls"]


@pytest.mark.netns
def test_a_certificate_of_the_csms_for_another_name_is_refused(net, tmp_path):
    net.follow(ROUTER)
    with wss(net, tmp_path, "other.example") as made:
        relay = proxy(net.router, ROUTER.start, tmp_path / "x.pcapng", *made.options)
        words = ["station", "10.77.2.2", str(PORT), "wss://csms.example:8080/ocpp/CP-1", made.root]
        station = net.station.python(PEERS, *words)
        relay.wait_for("TLS with the CSMS failed")
        station.wait_for("did not receive a valid HTTP response")
        station.process.wait(DEADLINE)
        ended(relay)
    (talk,) = talks(tmp_path / "x.pcapng")
    assert [act.what for act in talk.acts] == ["tls-failed"]
    assert talk.csms == ("10.77.2.2", PORT)


@pytest.mark.netns
def test_another_name_may_be_verified(net, tmp_path):
    net.follow(ROUTER)
    with wss(net, tmp_path, "other.example") as made:
        options = (*made.options, "--csms-name", "other.example")
        relay = proxy(net.router, ROUTER.start, tmp_path / "x.pcapng", *options)
        assert net.call(V4, "wss://csms.example:8080/ocpp/CP-1", made.root)["answers"] == CALLS
        assert told(made.csms.wait_for("sni"))["sni"] == "other.example"
        ended(relay)


@pytest.mark.netns
def test_tls_may_be_passed_on_as_it_is(net, tmp_path):
    net.follow(KEPT)
    with wss(net, tmp_path, "csms.example") as made:
        relay = proxy(net.router, KEPT.start, tmp_path / "x.pcapng", "--pass-tls")
        said = net.call(V4, "wss://csms.example:8080/ocpp/CP-1", made.csms_root)
        made.csms.wait_for("closed")
        ended(relay)
    assert said["answers"] == CALLS
    talk = only(tmp_path / "x.pcapng")
    assert talk.sent[STATION][:2] == b"\x16\x03"
    assert b"csms.example" in talk.sent[STATION]  # the hello; and then nothing can be read
    assert b"GET " not in talk.sent[STATION]
    assert talk.acts == []


# --- who runs it ----------------------------------------------------------------------------------------------------


def as_daemon(start: str, capabilities: str) -> tuple[str, ...]:
    """The proxy as another user, who may besides read this Python and write the recording of a test."""
    given = f"--inh-caps={capabilities} --ambient-caps={capabilities}"
    return tuple(f"setpriv --reuid=daemon --regid=1 --init-groups {given} {PYTHON} -m {start} --headless".split())


@pytest.mark.netns
def test_the_user_of_the_proxy_may_be_what_exempts_it(net, tmp_path):
    net.follow(OWNED)
    csms = net.serve("csms")
    words = as_daemon(OWNED.start, "+dac_override")
    relay = net.router.start(*words, "-w", str(tmp_path / "x.pcapng"))
    relay.wait_for("recording")
    station = net.router.python(PEERS, "station", "10.77.2.2", str(PORT), "ws://csms.example:8080/ocpp/CP-1")
    assert told(station.result()[-1])["answers"] == CALLS
    csms.wait_for("closed")
    ended(relay)
    assert only(tmp_path / "x.pcapng").csms == ("10.77.2.2", PORT)


@pytest.mark.netns
def test_the_capability_alone_is_enough_for_tproxy(net, tmp_path):
    net.follow(KEPT)
    csms = net.serve("csms")
    relay = net.router.start(*as_daemon(KEPT.start, "+net_admin,+dac_override"), "-w", str(tmp_path / "x.pcapng"))
    relay.wait_for("recording")
    assert net.call(V4)["answers"] == CALLS
    assert told(csms.wait_for("peer"))["peer"][0] == "10.77.1.2"
    ended(relay)


# --- what does not come to a CSMS -----------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("mode", [REDIRECT, TPROXY])
def test_a_csms_that_refuses_is_told_to_the_station_and_the_recording(net, tmp_path, mode, family):
    net.follow(BY_MODE[mode])
    relay = proxy(net.router, BY_MODE[mode].start, tmp_path / "x.pcapng")
    station = net.station.python(PEERS, "station-lines", ADDRESSES[family][2], str(PORT))
    assert told(station.wait_for("ended")) == {"ended": "RST"}
    relay.wait_for("refuses connections")
    ended(relay)
    talk = only(tmp_path / "x.pcapng")
    assert talk.station[0] == ADDRESSES[family][0]
    assert talk.csms == (ADDRESSES[family][2], PORT)
    assert talk.over[CSMS] == "RST"
    assert [act.what for act in talk.acts] == ["refused"]


@pytest.mark.netns
@pytest.mark.parametrize(
    ("mode", "options", "host"),
    [
        (REDIRECT, ["--listen", "*:9000"], "10.77.1.1"),
        (REDIRECT, ["--listen", "*:9000"], "fd77:1::1"),
        (REDIRECT, ["--listen", "*:9000"], "fd77:2::1"),
        (TPROXY, ["--listen", "*:9000"], "10.77.1.1"),
        (TPROXY, ["--listen", "*:9000"], "fd77:2::1"),
    ],
)
def test_what_was_made_to_the_proxy_itself_is_refused_and_does_not_loop(net, tmp_path, mode, options, host):
    net.follow(BY_MODE[mode])
    relay = proxy(net.router, f"ocppscope proxy --transparent {mode}", tmp_path / "x.pcapng", *options)
    station = net.station.python(PEERS, "station-lines", host, "9000")
    assert told(station.wait_for("ended")) == {"ended": "RST"}
    assert "it was made to the proxy itself" in ended(relay)
    talk = only(tmp_path / "x.pcapng")
    assert [act.what for act in talk.acts] == ["refused"]
    assert talk.csms == (host, 9000)


@pytest.mark.netns
def test_the_stations_port_is_left_to_who_has_it(net, tmp_path):
    net.follow(KEPT)
    csms = net.serve("csms")
    relay = proxy(net.router, KEPT.start, tmp_path / "x.pcapng")
    # the station's port, as far as the kernel of the router sees it, is taken: by a socket with the same address
    taken = net.router.python(
        "-c",
        "import socket\n"
        "for port in range(40000, 40008):\n"
        "    s = socket.socket(); s.setsockopt(0, 19, 1); s.bind(('10.77.1.2', port)); s.listen()\n"
        "    globals()[f's{port}'] = s\n"
        "print('taken', flush=True); input()",
    )
    taken.wait_for("taken")
    net.station.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40007")
    said = net.call(V4)
    seen = told(csms.wait_for("peer"))
    ended(relay)
    assert said["answers"] == CALLS
    assert said["address"][1] in range(40000, 40008)
    assert seen["peer"][0] == "10.77.1.2"
    assert seen["peer"][1] not in range(40000, 40008)


# --- bad networks ---------------------------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.parametrize("mode", ["reverse", TPROXY])
def test_bytes_pass_exactly_where_packets_are_lost_on_both_sides(net, tmp_path, mode):
    start = KEPT.start if mode == TPROXY else "ocppscope proxy --listen 0.0.0.0:9000 --to ws://10.77.2.2:8080"
    if mode == TPROXY:
        net.follow(KEPT)
    csms = net.serve("csms-bytes")
    relay = proxy(net.router, start, tmp_path / "x.pcapng")
    for chain in ("INPUT", "OUTPUT"):
        net.router.lines(f"iptables -A {chain} -p tcp -m statistic --mode random --probability 0.05 -j DROP")
    where = ["10.77.2.2", str(PORT)] if mode == TPROXY else ["10.77.1.1", "9000"]
    station = net.station.python(PEERS, "station-bytes", *where)
    for program, sender in ((station, "csms"), (csms, "station")):
        said = told(program.wait_for("digest"))
        assert said["length"] == BYTES[sender]
        assert said["digest"] == hashlib.sha256(content(sender)).hexdigest()
    assert dropped(net.router) > 0
    until(lambda: "FIN" in only(tmp_path / "x.pcapng").over)
    ended(relay)
    talk = only(tmp_path / "x.pcapng")
    assert bytes(talk.sent[STATION]) == content("station")
    assert bytes(talk.sent[CSMS]) == content("csms")
    assert talk.over == ["FIN", "FIN"]


def dropped(space: Space) -> int:
    """Packets that the rules of the chains have dropped."""
    listed = [space.run("iptables", "-nvxL", chain).splitlines() for chain in ("INPUT", "OUTPUT")]
    return sum(int(line.split()[0]) for lines in listed for line in lines if "DROP" in line)


@pytest.mark.netns
@pytest.mark.parametrize("side", [STATION, CSMS])
@pytest.mark.parametrize("mode", [REDIRECT, TPROXY])
def test_a_reset_by_a_firewall_on_one_side_reaches_the_other_one(net, tmp_path, mode, side):
    net.follow(BY_MODE[mode])
    relay = proxy(net.router, BY_MODE[mode].start, tmp_path / "x.pcapng")
    csms = net.serve("csms-lines")
    station = net.station.python(PEERS, "station-lines", "10.77.2.2", str(PORT))
    station.say("hello")
    csms.wait_for("hello")
    csms.say("welcome")
    station.wait_for("welcome")
    space, other = (net.station, csms) if side is STATION else (net.csms, station)
    # from now on every packet that comes to this side is answered with RST, which its own socket does not know of
    space.lines("iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset")
    other.say("are you there?")
    assert told(other.wait_for("ended")) == {"ended": "RST"}
    ended(relay)
    talk = only(tmp_path / "x.pcapng")
    assert talk.over[side] == "RST"
    assert talk.over[side.other] == ""
    assert bytes(talk.sent[side.other]).endswith(b"are you there?\n")
    last = packets(tmp_path / "x.pcapng")[-1]
    assert last.source == (talk.station, talk.csms)[side]


# --- without root ---------------------------------------------------------------------------------------------------


@pytest.fixture
def space() -> Iterator[Space]:
    """One namespace with everything in it, made by whoever runs the tests."""
    for program in ("unshare", "nsenter", "ip", "iptables", "ip6tables"):
        if not shutil.which(program):
            pytest.skip(f"not installed: {program}")
    made = rootless()
    try:
        one = made.__enter__()
    except OSError as error:
        pytest.skip(f"no user namespace can be made here: {error}")
    try:
        address(one, "lo", "10.77.2.2/32", "fd77:2::2/128")
        yield one
    finally:
        made.__exit__(None, None, None)


@pytest.mark.parametrize("family", [V4, V6])
def test_a_local_station_is_redirected_without_root(space, tmp_path, family):
    there = ADDRESSES[family][2]
    space.lines("\n".join(MARKED.rules))
    csms = space.python(PEERS, "csms", str(PORT))
    csms.wait_for("ready")
    relay = proxy(space, MARKED.start, tmp_path / "x.pcapng")
    station = space.python(PEERS, "station", there, str(PORT), "ws://csms.example:8080/ocpp/CP-1")
    said = told(station.result()[-1])
    csms.wait_for("closed")
    ended(relay)
    assert said["answers"] == CALLS
    talk = only(tmp_path / "x.pcapng")
    assert talk.station == tuple(said["address"])
    assert talk.csms == (there, PORT)


@pytest.mark.parametrize("family", [V4, V6])
def test_rules_that_send_the_proxys_own_connection_back_do_not_make_it_loop(space, tmp_path, family):
    space.lines("\n".join(MARKED.rules))
    relay = proxy(space, "ocppscope proxy --transparent redirect", tmp_path / "x.pcapng")  # without the mark
    station = space.python(PEERS, "station-lines", ADDRESSES[family][2], str(PORT))
    assert told(station.wait_for("ended")) == {"ended": "RST"}
    assert ended(relay).count("sends the proxy's own connection back to it") == 1
    came_back, first = talks(tmp_path / "x.pcapng")
    assert [act.what for act in came_back.acts] == ["refused"]
    assert first.over == ["", "RST"]
    assert came_back.csms == first.csms == (ADDRESSES[family][2], PORT)


def test_a_missing_capability_is_named_with_a_command(space, tmp_path):
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", PYTHON, "-m", "ocppscope", "proxy", "--headless"]
    for option in (["tproxy"], ["redirect", "--mark", "64"]):
        refused = space.start(*bare, "-w", str(tmp_path / "x.pcapng"), "--transparent", *option)
        refused.wait_for("needs the capability CAP_NET_ADMIN")
        assert "setpriv" in refused.wait_for("Run it with sudo")
        assert refused.process.wait(DEADLINE) == 4
        assert not list(tmp_path.iterdir())
