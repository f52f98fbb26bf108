"""What the HTML pages share: how they begin, how their templates are made, and the policy that guards them.

A page works offline and makes no request. Jinja2 escapes every value; were something to slip through, the content
security policy would still let run nothing but the style sheet and the script that it names by their hashes.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from ocppscope.plural import counted
from ocppscope.render import times
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Template

MAX_TEXT = 400
"""Characters of a sentence from elsewhere that a page shows, unless its place says otherwise."""

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy | safe }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
"""


def head(title: str, style: str, script: str = "") -> str:
    """All before the content. `title` is fit to be shown; `script` is what will stand further down."""
    return template(_HEAD).render(title=title, style=style, policy=policy(style, script))


def policy(style: str, script: str = "") -> str:
    """The content security policy: this style and this script, nothing else, from nowhere (CSP 3 §6.7)."""
    scripts = (f"script-src {_hash(script)}",) if script else ()
    rules = ("default-src 'none'", *scripts, f"style-src {_hash(style)}", "base-uri 'none'", "form-action 'none'")
    return "; ".join(rules)


def template(source: str, **filters: Callable[..., str]) -> Template:
    """A template, which has besides its own filters `shown` (text from elsewhere), `stamp` and `amount`."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({"shown": _shown, "stamp": times.stamp, "amount": counted, **filters})
    return environment.from_string(source)


def _shown(text: object, limit: int = MAX_TEXT) -> str:
    return visible(str(text), limit)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
