"""The style, the script and the content of the page. Data for the script goes through `embedded`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ocppscope.render.html import template

if TYPE_CHECKING:
    from jinja2 import Template

MAX_TITLE = 200
"""Characters of the page's title."""
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
def body() -> Template:
    """The template of what is seen before the script has run."""
    return template(_read("body.html"))


def _read(name: str) -> str:
    return files("ocppscope.export.page").joinpath(name).read_text("utf-8")
