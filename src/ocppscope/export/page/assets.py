"""The style, the script and the templates of the page, and the policy that lets only these run.

Jinja2 is used here and nowhere else of the exports. All values are escaped by it; data for the script goes through
`embedded`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from ocppscope.render import times
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from jinja2 import Template

MAX_TEXT = 400
"""Characters of a sentence from elsewhere that the page shows, unless its place says otherwise."""
SCRIPTS = ("data", "json", "filter", "lines", "list", "ladder", "detail", "series", "charts", "main")
"""The parts of the script, in the order in which they need each other."""


def embedded(value: object) -> str:
    """JSON that can stand inside a `<script>` and cannot end it: ASCII only, `<`, `>` and `&` as escapes."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def style() -> str:
    """The style sheet."""
    return _read("page.css")


@cache
def script() -> str:
    """The script: one function around all of its parts."""
    parts = "".join(_read(f"{name}.js") for name in SCRIPTS)
    return f"(() => {{\n'use strict';\n{parts}}})();\n"


@cache
def policy() -> str:
    """The content security policy: this style and this script, nothing else, from nowhere (CSP 3 §6.7)."""
    rules = ("default-src 'none'", f"script-src {_hash(script())}", f"style-src {_hash(style())}")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


@cache
def template(name: str) -> Template:
    """A template of this package."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = _shown
    environment.filters["stamp"] = times.stamp
    environment.filters["amount"] = _amount
    return environment.from_string(_read(name))


def _shown(text: object, limit: int = MAX_TEXT) -> str:
    return visible(str(text), limit)


def _amount(count: int, what: str) -> str:
    """`1 message`, `2,000 messages`."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _read(name: str) -> str:
    return files("ocppscope.export.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
