"""Messages that somebody writes: what is wrong with a text before it is sent, and how it is laid out for writing.

The same checks as those of messages from the wire. Nothing is changed but white space; draws nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Kind, Version
from ocppscope.ocpp import codec
from ocppscope.ocpp.exchange import Dialogue
from ocppscope.ocpp.jsontext import too_deep
from ocppscope.render import jsonl

if TYPE_CHECKING:
    from ocppscope.model import Problem, Side

MAX_DRAFT = 1 << 17
"""Characters of a message that can be written here."""

_decode = json.JSONDecoder(parse_int=str, parse_float=str).decode
_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\n\r]+', re.DOTALL)


class Objection(NamedTuple):
    """What is wrong with a draft: a sentence, and where, as `line 3, column 7` or as a JSON pointer."""

    text: str
    where: str = ""


class Verdict(NamedTuple):
    """Whether a draft is JSON at all, and what is wrong with it."""

    is_json: bool
    objections: tuple[Objection, ...] = ()


class Setting(NamedTuple):
    """Who seems to send a draft, in which version; `answers` is the action that it answers."""

    version: Version
    side: Side
    answers: str | None = None


def judge(text: str, setting: Setting) -> Verdict:
    """What is wrong with a whole message."""
    broken = _broken(text)
    if broken is not None:
        return Verdict(False, (broken,))
    return Verdict(True, tuple(map(_objection, _problems(text, setting))))


def judge_payload(text: str, action: str, setting: Setting) -> Verdict:
    """What is wrong with the payload of a CALL."""
    broken = _broken(text)
    if broken is not None:
        return Verdict(False, (broken,))
    return judge(f'[2,"1",{json.dumps(action)},{text}]', setting)


def _problems(text: str, setting: Setting) -> list[Problem]:
    raw = codec.decode(text.encode("utf-8", "replace"))
    dialogue = Dialogue(0, setting.version, guessed=False)
    answers = setting.answers if raw.kind is Kind.CALLRESULT else None
    return [*raw.problems, *dialogue.examine(setting.side, raw.kind, raw, answers)]


def _objection(problem: Problem) -> Objection:
    return Objection(problem.text, problem.path)


def _broken(text: str) -> Objection | None:
    """Why a text is no JSON; None if it is."""
    if not text.strip():
        return Objection("there is nothing")
    if len(text) > MAX_DRAFT:
        return Objection(f"{len(text):,} characters; at most {MAX_DRAFT:,} can be written here")
    if too_deep(text):
        return Objection("nested too deeply")
    try:
        _decode(text)
    except json.JSONDecodeError as error:
        return Objection(f"not JSON: {_said(error.msg)}", f"line {error.lineno}, column {error.colno}")
    return None


def _said(reason: str) -> str:
    known = _REASONS.get(reason)
    return known if known is not None else f"{reason[:1].lower()}{reason[1:]}"


_REASONS = {
    "Expecting value": "a value has to stand here",
    "Expecting ',' delimiter": "a comma is missing before this, or a bracket",
    "Expecting ':' delimiter": "a colon is missing before this",
    "Expecting property name enclosed in double quotes": "a name in double quotes has to stand here",
    "Illegal trailing comma before end of object": "this comma is one too many",
    "Illegal trailing comma before end of array": "this comma is one too many",
    "Unterminated string starting at": "this text has no closing quote",
    "Extra data": "there is more after the end",
}


def laid_out(text: str) -> str:
    """A message over several lines, with escapes for what cannot be seen; as it is where it is no JSON."""
    indented = jsonl.indented(text.encode("utf-8", "replace"))
    if indented is None:
        return text
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in indented)


def compact(text: str) -> str:
    """The same JSON without white space between its parts; what is no JSON stays as it is."""
    if _broken(text) is not None:
        return text
    return _STRING_OR_SPACE.sub(lambda found: found[1] or "", text)


def call_of(text: str) -> tuple[str, str] | None:
    """The action and the payload of a CALL or SEND; None if a text is none."""
    raw = codec.decode(text.encode("utf-8", "replace"))
    if raw.kind not in (Kind.CALL, Kind.SEND) or not raw.payload:
        return None
    return raw.action, raw.payload.decode("utf-8", "replace")
