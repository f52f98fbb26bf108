"""What has to be set up for the proxy's transparent modes: the text that `proxy --transparent --help` adds.

Says what to type; types nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import click

MODES = ("redirect", "tproxy")
OPTION = "--transparent"


class Recipe(NamedTuple):
    """Commands for one situation: `rules` as root, then `start`. `mode` is one of `MODES`."""

    mode: str
    when: str
    rules: tuple[str, ...]
    start: str


ROUTER = Recipe(
    "redirect",
    "redirect, on a router, a gateway or an access point: the packets of the stations come in at eth1 and go to port "
    "8080 of a CSMS, which will see the address of this machine.",
    (
        "iptables -t nat -A PREROUTING -i eth1 -p tcp --dport 8080 -j REDIRECT --to-ports 9000",
        "ip6tables -t nat -A PREROUTING -i eth1 -p tcp --dport 8080 -j REDIRECT --to-ports 9000",
    ),
    "ocppscope proxy --transparent redirect --listen '*:9000'",
)
MARKED = Recipe(
    "redirect",
    "redirect, for a station on this very machine. What the proxy sends has the mark 64, and is left alone.",
    (
        "iptables -t nat -A OUTPUT -p tcp --dport 8080 -m mark ! --mark 64 -j REDIRECT --to-ports 9000",
        "ip6tables -t nat -A OUTPUT -p tcp --dport 8080 -m mark ! --mark 64 -j REDIRECT --to-ports 9000",
    ),
    "ocppscope proxy --transparent redirect --mark 64",
)
OWNED = Recipe(
    "redirect",
    "The same without root for the proxy, which then has to run as another user than the station, here as daemon.",
    (
        "iptables -t nat -A OUTPUT -p tcp --dport 8080 -m owner ! --uid-owner daemon -j REDIRECT --to-ports 9000",
        "ip6tables -t nat -A OUTPUT -p tcp --dport 8080 -m owner ! --uid-owner daemon -j REDIRECT --to-ports 9000",
    ),
    "ocppscope proxy --transparent redirect",
)
KEPT = Recipe(
    "tproxy",
    "tproxy, on a router that does not translate addresses: as the first, but the CSMS sees the address of the "
    "station. What the CSMS answers has to come back through this machine.",
    (
        "iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1/1",
        "iptables -t mangle -A PREROUTING -i eth1 -p tcp --dport 8080"
        " -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1/1",
        "ip rule add fwmark 1/1 lookup 100",
        "ip route add local 0.0.0.0/0 dev lo table 100",
        "ip6tables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1/1",
        "ip6tables -t mangle -A PREROUTING -i eth1 -p tcp --dport 8080"
        " -j TPROXY --on-ip ::1 --on-port 9000 --tproxy-mark 1/1",
        "ip -6 rule add fwmark 1/1 lookup 100",
        "ip -6 route add local ::/0 dev lo table 100",
    ),
    "ocppscope proxy --transparent tproxy",
)
RECIPES = (ROUTER, MARKED, OWNED, KEPT)

_FIRST = (
    "Linux only. The packet filter sends the proxy what is meant for a CSMS, and each station is connected to where "
    "it wanted to go; so there is no --to. Rules are set as root; the proxy may be run by anybody, but --mark and "
    "tproxy need the capability CAP_NET_ADMIN. Put your interface for eth1, and for 8080 the port of the stations' "
    "URL (80 or 443 where it has none). IPv6 has commands of its own; leave out what you do not use."
)
_LAST = (
    "To undo a rule, give it again with -D for -A, or del for add. A packet filter that drops what comes in must "
    "accept it first: iptables -I INPUT -p tcp --dport 9000 -j ACCEPT with redirect, --dport 8080 with tproxy. "
    "TLS is noticed by itself and spoken on both sides, unless there is --pass-tls."
)


class Command(click.Command):
    """Its help has the set-up in it for who asks for `--transparent`, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remembers which modes are asked for, before `--help` ends everything."""
        ctx.meta[OPTION] = asked(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The set-up."""
        modes = ctx.meta.get(OPTION, ())
        if not modes:
            return
        with formatter.section("Transparent mode"):
            formatter.write_text(_FIRST)
            for recipe in RECIPES:
                if recipe.mode in modes:
                    formatter.write_paragraph()
                    formatter.write_text(recipe.when)
                    formatter.write_paragraph()
                    # not wrapped, so that each can be copied
                    formatter.write("".join(f"    {line}\n" for line in (*recipe.rules, recipe.start)))
            formatter.write_paragraph()
            formatter.write_text(_LAST)


def asked(args: list[str]) -> tuple[str, ...]:
    """The modes whose set-up is wanted: that which is named, both where none is, none without the option."""
    for at, word in enumerate(args):
        if word == OPTION:
            following = args[at + 1 : at + 2]
            return tuple(following) if following and following[0] in MODES else MODES
        if word.startswith(f"{OPTION}="):
            return tuple(mode for mode in MODES if word == f"{OPTION}={mode}")
    return ()
