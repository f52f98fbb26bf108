"""The rows of a message's tree as styled lines: one line a node, and all that is known of one node.

Pure text; what a node is, and how its children come to be, is in `tree`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.render import styled, times
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.tree import Node, Tree, Type
from ocppscope.render.wiretext import columns, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.model import Problem
    from ocppscope.render.tree import Facts

MAX_ROWS = 2000
"""Rows that `text` shows of a message."""
MAX_ENUM = 40
"""Allowed values that are listed of one element."""
MAX_DESCRIPTION = 600
"""Characters of the specification's words that are shown."""
INDENT = 2
_OPEN, _SHUT, _LEAF = "▾ ", "▸ ", "  "
_STYLES = {
    Type.STRING: Style.STRING,
    Type.NUMBER: Style.NUMBER,
    Type.BOOLEAN: Style.LITERAL,
    Type.NULL: Style.LITERAL,
    Type.UNREADABLE: Style.ERROR,
}


def line(node: Node, width: int, *, is_open: bool = False) -> Line:
    """One row: `▾ key  value unit  ! what is wrong  what the schema says`, at most `width` columns."""
    mark = (_OPEN if is_open else _SHUT) if node.expandable else _LEAF
    start = (Span(" " * INDENT * node.depth + mark, Style.DIM), *_key(node), *_value(node, is_open=is_open))
    parts = [start, *_verdict(node, is_open=is_open), _declared(node)]
    return styled.clip(styled.join(parts, Span("  ")), width)


def _key(node: Node) -> Line:
    if not node.key:
        return ()
    style = Style.DIM if node.pointer is None or node.key.isdigit() else Style.KEY
    return Span(node.key, style), Span(" " * (max(node.column - columns(node.key), 0) + 1))


def _value(node: Node, *, is_open: bool) -> Line:
    if node.type is Type.MORE:
        return (Span(f"… {times.size(node.size)} more", Style.DIM),)
    if node.type is Type.UNREADABLE:
        return Span("not JSON: ", Style.ERROR), Span(f"{node.value} ", Style.WARNING), *_left(node)
    if node.type in (Type.OBJECT, Type.ARRAY):
        count = f"{node.size}" if node.whole else "breaks off"
        ends = "{}" if node.type is Type.OBJECT else "[]"
        preview = (Span(" "), Span(node.value, Style.DIM)) if node.value and not is_open else ()
        return Span(f"{ends[0]}{count if node.size else ''}{ends[1]}", Style.DIM), *preview
    unit = (Span(f" {node.unit}", Style.UNIT),) if node.unit else ()
    return Span(node.value, _STYLES[node.type]), *unit


def _left(node: Node) -> Line:
    return (Span(f"({node.size:,} characters)", Style.DIM),) if node.size > len(node.value) else ()


def _verdict(node: Node, *, is_open: bool) -> list[Line]:
    """The problems of a node; of a shut one also how many are inside."""
    told: list[Line] = [(Span(f"! {_problem(problem)}", Style.WARNING),) for problem in node.problems[:1]]
    if len(node.problems) > 1:
        told.append((Span(f"and {len(node.problems) - 1} more", Style.WARNING),))
    if node.below and not is_open:
        told.append((Span(f"! {node.below} inside", Style.WARNING),))
    return told


def _problem(problem: Problem) -> str:
    return f"{problem.code}: {visible(problem.text, 400)}"


def _declared(node: Node) -> Line:
    """What the schema says of a node, in a few words."""
    if node.facts is None or node.type is Type.MORE:
        return ()
    return (Span(", ".join(_words(node, node.facts)), Style.DIM),)


def _words(node: Node, facts: Facts) -> Iterator[str]:
    if facts.enum:
        yield f"one of {len(facts.enum)}"
    elif facts.format:
        yield facts.format
    elif facts.max_length is not None:
        length = f"{node.size}/" if node.type is Type.STRING else "≤"
        yield f"{facts.type} {length}{facts.max_length}"
    elif facts.type and facts.type != node.type.value:
        yield facts.type
    if facts.required and node.pointer:
        yield "required"


def notes(node: Node, width: int) -> list[Line]:
    """All that is known of one node, a fact a line, wrapped nowhere and cut at `width`."""
    told: list[Line] = [(Span("element   ", Style.DIM), Span(node.pointer or node.key or "the text", Style.KEY))]
    size = "characters" if node.type in (Type.STRING, Type.UNREADABLE) else "elements"
    has_size = node.type in (Type.STRING, Type.OBJECT, Type.ARRAY, Type.UNREADABLE)
    told.append((Span("holds     ", Style.DIM), Span(f"{node.type.value}{f', {node.size:,} {size}' * has_size}")))
    if node.facts is not None:
        told += _schema_notes(node, node.facts)
    if node.unit:
        told.append((Span("unit      ", Style.DIM), Span(node.unit, Style.UNIT)))
    told += [(Span("problem   ", Style.DIM), Span(_problem(one), Style.WARNING)) for one in node.problems]
    if node.below:
        told.append((Span("problems  ", Style.DIM), Span(f"{node.below} inside", Style.WARNING)))
    if node.facts is not None and not node.problems and not node.below:
        told.append((Span("verdict   ", Style.DIM), Span("as the schema wants it", Style.GOOD)))
    return [styled.clip(one, width) for one in told]


def _schema_notes(node: Node, facts: Facts) -> Iterator[Line]:
    kind = facts.type or "anything"
    most = f", at most {facts.max_length} characters" if facts.max_length is not None else ""
    form = f", {facts.format}" if facts.format else ""
    needed = ", required" if facts.required else ", optional"
    yield Span("schema    ", Style.DIM), Span(f"{kind}{form}{most}{needed}")
    if facts.enum:
        listed = ", ".join(facts.enum[:MAX_ENUM]) + (" …" if len(facts.enum) > MAX_ENUM else "")
        yield Span("one of    ", Style.DIM), Span(listed)
    if facts.description:
        yield Span("meaning   ", Style.DIM), Span(visible(facts.description, MAX_DESCRIPTION))


def lines(tree: Tree, width: int, most: int = MAX_ROWS) -> Iterator[Line]:
    """The whole tree, opened, at most so many rows."""
    for told, node in enumerate(tree.rows(most + 1)):
        if told == most:
            yield (Span(f"… only the first {most} rows are shown", Style.DIM),)
            return
        yield line(node, width, is_open=node.type in (Type.OBJECT, Type.ARRAY))


def text(tree: Tree, width: int = 120, most: int = MAX_ROWS) -> str:
    """The whole tree as plain text, with line ends."""
    return styled.text(lines(tree, width, most))
