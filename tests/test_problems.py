"""The table of problem codes and the source agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ocppscope.problems import PROBLEMS, layer

SRC = Path(__file__).parents[1] / "src" / "ocppscope"
LAYERS = ("tcp", "tls", "http", "ws", "json", "ocpp", "schema")
CODE = re.compile(rf"({'|'.join(LAYERS)})\.[a-z0-9]+(-[a-z0-9]+)*")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        if path.name != "problems.py" and not path.name.startswith("tshark"):  # whose fields have the same form
            yield path.relative_to(SRC).as_posix(), ast.parse(path.read_text())


def codes_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every string that has the form of a code, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value, node.lineno


def built_codes_in(tree: ast.AST) -> Iterator[int]:
    """Lines where a `Problem` gets a code put together at run time, which nobody could search for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Problem"):
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "code")]
            yield from (code.lineno for code in given if isinstance(code, ast.JoinedStr | ast.BinOp))


def test_the_scan_sees_codes():
    tree = ast.parse("Problem('ws.mask', 'x')\nT = {'enum': 'schema.enum-x'}\nProblem(f'ws.{x}', '')\n'See ws.mask.'")
    assert list(codes_in(tree)) == [("ws.mask", 1), ("schema.enum-x", 2)]
    assert list(built_codes_in(tree)) == [3]


def test_every_code_that_is_used_is_in_the_table():
    unknown = [f"{path}:{line} {code}" for path, tree in sources() for code, line in codes_in(tree)]
    assert [entry for entry in unknown if entry.split()[1] not in PROBLEMS] == []


def test_every_code_in_the_table_is_used():
    used = {code for _, tree in sources() for code, _ in codes_in(tree)}
    assert PROBLEMS.keys() - used == set()


def test_no_code_is_put_together_at_run_time():
    assert [f"{path}:{line}" for path, tree in sources() for line in built_codes_in(tree)] == []


def test_entries_are_well_formed():
    assert [code for code in PROBLEMS if not CODE.fullmatch(code) or layer(code) not in LAYERS] == []
    assert [code for code, about in PROBLEMS.items() if not about or about != about.strip()] == []
