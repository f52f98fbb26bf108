"""The rules for people: a list, the page of one, the whole catalogue as Markdown. Made from the registry alone."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap

from ocppscope.analysis.registry import Group, Limit, Mute, Rule, load
from ocppscope.analysis.settings import known_rule

WIDTH = 96
_MUTED = {
    Mute.GAP: "captured bytes are missing around it",
    Mute.MIDSTREAM: "the capture begins in the middle of the session",
    Mute.REPLAY: "the station sends old messages from an offline queue",
}


def listing() -> str:
    """A line a rule, by group."""
    rules = load()
    longest = max(map(len, rules))
    lines = []
    for group, members in _by_group():
        lines.append(f"{group}")
        lines += [f"  {one.severity.label:8} {one.id:{longest}}  {one.title}" for one in members]
    lines.append("`ocppscope rules RULE` explains one.")
    return "\n".join(lines) + "\n"


def explanation(name: str) -> str:
    """The page of a rule; raises UsageError."""
    one = known_rule(name)
    lines = [
        f"{one.id}: {one.title}",
        f"  {one.severity.label} · {one.layer} · {_versions(one)} · blame: {one.blame}",
    ]
    lines += _paragraph("Looks for", one.signature)
    lines += _paragraph("What to do", one.advice)
    lines += [f"  Limit {limit}: {_figure(figure)}, {figure.meaning}" for limit, figure in one.limits.items()]
    muted = [words for flag, words in _MUTED.items() if one.mute & flag]
    lines += _paragraph("Quiet while", "; ".join(muted)) if muted else []
    lines += _paragraph("Specification", one.spec) if one.spec else []
    return "\n".join(lines) + "\n"


def catalogue() -> str:
    """All rules as Markdown."""
    rules = load()
    parts = [
        "# What diagnose looks for\n",
        f"{len(rules)} rules, made from the table that the program runs on: `ocppscope rules --markdown`. A "
        f"limit can "
        "be changed in the configuration file (`[rules.RULE]`, `NAME = …`) or by `--limit RULE.NAME=…`, a rule left "
        "out by `RULE = false` below `[rules]` or by `--disable RULE`.\n",
    ]
    for group, members in _by_group():
        parts.append(f"## {group}\n")
        parts += [_section(one) for one in members]
    return "\n".join(parts)


def _section(one: Rule) -> str:
    lines = [f"### {one.id}", "", f"**{one.title}** ({one.severity.label}, {_versions(one)})", ""]
    lines += [" ".join(one.signature.split()), "", one.advice, ""]
    lines += [f"- `{name}` = {_figure(limit)}: {limit.meaning}" for name, limit in one.limits.items()]
    lines += [""] if one.limits else []
    muted = [words for flag, words in _MUTED.items() if one.mute & flag]
    lines += [f"Quiet while {'; '.join(muted)}.", ""] if muted else []
    lines += [f"Specification: {one.spec}", ""] if one.spec else []
    return "\n".join(lines)


def _by_group() -> list[tuple[str, list[Rule]]]:
    rules = sorted(load().values(), key=lambda one: list(Group).index(one.group))
    return [(str(group), list(members)) for group, members in groupby(rules, lambda one: one.group)]


def _versions(one: Rule) -> str:
    return "OCPP " + ", ".join(sorted(one.versions)) if one.versions else "all versions"


def _figure(limit: Limit) -> str:
    return f"{limit.value:g} {limit.unit}".rstrip()


def _paragraph(title: str, text: str) -> list[str]:
    lines = wrap(f"{title}: {' '.join(text.split())}", WIDTH - 2, subsequent_indent="    ")
    return [f"  {line}" for line in lines]
