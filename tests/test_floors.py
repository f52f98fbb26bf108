"""The architecture, enforced: who may import whom, where third-party libraries live, and what start-up may load.

The rules are the two tables. A change of a table is a change of the architecture: docs/architecture.md follows.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SRC = Path(__file__).parents[1] / "src" / "ocppscope"

GROUND = {
    "model", "errors", "options", "problems", "batch", "acts", "control", "tlsnames", "plural", "signals", "closing",
}  # fmt: skip
EVERYTHING = {"*"}

# Floor: what it may use of ocppscope, besides itself. From the ground up.
FLOORS: dict[str, set[str]] = {
    "__init__": set(),
    "model": set(),
    "errors": set(),
    "problems": set(),
    "options": {"model", "wire"},  # only the type of the keys that it carries
    "acts": set(),
    "tlsnames": set(),
    "plural": set(),
    "closing": set(),
    "signals": set(),
    "control": {"model"},
    "batch": {"model"},
    "wire": GROUND,
    "ocpp": GROUND,
    "shortcut": GROUND | {"wire", "ocpp"},
    "track": GROUND | {"wire", "ocpp", "shortcut"},
    "legs": {"model"},
    "summary": {"model", "wire"},
    "engine": GROUND | {"wire", "ocpp", "shortcut", "track", "legs", "summary"},
    "replay": GROUND | {"wire", "ocpp", "track", "capture"},
    "store": GROUND,
    "query": GROUND | {"store"},
    "analysis": GROUND | {"store", "ocpp"},
    "compare": GROUND | {"ocpp", "store", "analysis"},
    "render": GROUND | {"query", "analysis", "compare"},
    "redaction": GROUND | {"ocpp"},
    "export": GROUND | {"wire", "ocpp", "engine", "store", "query", "analysis", "render", "redaction", "capture"},
    "capture": GROUND,
    "proxy": GROUND | {"wire", "ocpp", "engine", "query", "capture"},
    "tui": GROUND | {"ocpp", "store", "query", "analysis", "render", "export", "compare", "redaction"},
    "cli": EVERYTHING,
    "__main__": {"cli"},
}

# Library: the only places that may import it, as patterns of paths below src/ocppscope. None at all: not imported.
# A submodule with a line of its own follows that.
HOMES: dict[str, tuple[str, ...]] = {
    "numpy": (
        "wire/*",
        "capture/*",
        "engine*",
        "shortcut.py",
        "store*",
        "query/*",
        "ocpp/typed.py",
        "analysis/timing/*",
        "compare/*",
        "export/rewriting/*",
        "tui/*",
    ),
    "msgspec": (
        "model.py",
        "ocpp/*",
        "analysis/*",
        "compare/*",
        "export/trace.py",
        "redaction/quick.py",
        "render/jsonl.py",
        "render/diagnosis/*",
        "render/timing/*",
        "render/compare/*",
        "store/reading.py",
        "control.py",
        "proxy/*",
    ),
    "msgspec.structs": ("*",),  # how a frozen type of the model is copied with a change
    "wsproto": (
        "wire/heads.py",
        "wire/handshake.py",
        "wire/http.py",
        "wire/judge.py",
        "wire/strict_deflate.py",
        "proxy/frames.py",
    ),
    "h11": ("wire/heads.py", "wire/http.py"),
    "websockets": (),  # a peer in the tests
    "jsonschema_rs": (),  # an oracle of the tests
    "ocpp": (),  # its schemas are read as data
    "zstandard": ("capture/*",),
    "pyarrow": ("export/parquet.py",),
    "click": ("cli/*",),
    "scapy": ("capture/live.py",),
    "pyshark": ("capture/tshark.py",),
    "textual": ("tui/*",),
    "rich": ("tui/*",),  # what Textual draws with
    "textual_serve": ("tui/serve*.py",),
    "aiohttp": ("tui/serve*.py",),
    "aiohttp_jinja2": ("tui/serve*.py",),
    "cryptography": (
        "analysis/certificate.py",
        "proxy/authority.py",
        "proxy/certificates.py",
        "wire/decrypt/ciphers.py",
        "wire/decrypt/rsa.py",
    ),
    "jinja2": ("tui/serve*.py", "render/html.py"),
}


class Import(NamedTuple):
    """One import: where it stands and what it names; `typing_only` where it is never executed."""

    path: str
    line: int
    module: str
    typing_only: bool

    @property
    def floor(self) -> str:
        return Path(self.path).parts[0].removesuffix(".py")

    @property
    def library(self) -> str:
        """The entry of `HOMES` that rules it, or the top-level package."""
        parts = self.module.split(".")
        names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        return next((name for name in names if name in HOMES), parts[0])

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.module}"


def names_of(node: ast.Import | ast.ImportFrom, package: list[str]) -> Iterator[str]:
    """Full names of what an import statement imports; `from a import b` gives `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    start = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*start, *([node.module] if node.module else [])])
    yield from (f"{base}.{alias.name}" for alias in node.names)


def is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports_in(node: ast.AST, path: str, package: list[str], typing_only: bool = False) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for name in names_of(node, package):
            yield Import(path, node.lineno, name, typing_only)
        return
    for child in ast.iter_child_nodes(node):
        in_body = is_typing_block(node) and child in node.body
        yield from imports_in(child, path, package, typing_only or in_body)


@cache
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(SRC).as_posix(): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}


@cache
def imports() -> list[Import]:
    found = []
    for path, tree in trees().items():
        package = ["ocppscope", *Path(path).parts[:-1]]
        found += imports_in(tree, path, package)
    return found


def floor_of(module: str) -> str:
    """`ocppscope.wire.tcp.Assembler` is on the floor `wire`; the package itself has none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_the_scan_sees_the_imports():
    """If the scan were blind, every test below would pass."""
    source = (
        "import numpy.linalg\nfrom ..model import Side\nfrom . import tcp\n"
        "if TYPE_CHECKING:\n    import h11\nelse:\n    import scapy\n"
        "def late():\n    from ocppscope import engine\n"
    )
    found = imports_in(ast.parse(source), "wire/x.py", ["ocppscope", "wire"])
    assert [(one.module, one.typing_only) for one in found] == [
        ("numpy.linalg", False),
        ("ocppscope.model.Side", False),
        ("ocppscope.wire.tcp", False),
        ("h11", True),
        ("scapy", False),
        ("ocppscope.engine", False),
    ]
    assert any(one.library == "ocppscope" for one in imports())


def test_every_floor_is_in_the_table():
    assert {Path(path).parts[0].removesuffix(".py") for path in trees()} <= FLOORS.keys()


@pytest.mark.parametrize("floor", FLOORS)
def test_nothing_imports_upward(floor):
    allowed = FLOORS[floor]
    bad = [
        str(one)
        for one in imports()
        if one.floor == floor and one.library == "ocppscope"
        if (target := floor_of(one.module)) not in (floor, "__version__")
        if target not in allowed and allowed != EVERYTHING
    ]
    assert bad == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_in_its_place(library):
    bad = [
        str(one)
        for one in imports()
        if one.library == library and not one.typing_only
        if not any(fnmatch(one.path, home) for home in HOMES[library])
    ]
    assert bad == []


def test_every_library_has_a_place():
    known = HOMES.keys() | sys.stdlib_module_names | {"ocppscope"}
    assert [str(one) for one in imports() if one.library not in known] == []


# What must not be loaded: by which piece of code, which modules.
HEAVY = ("textual", "scapy", "pyshark")
DECODING = ("numpy", "msgspec", "jsonschema_rs", "wsproto", "h11", "websockets", "zstandard", "ocpp")
LAZY = [
    ("import sys; sys.argv = ['ocppscope', '--help']; from ocppscope.cli.main import main; main()", HEAVY + DECODING),
    (
        "import sys; sys.argv = ['ocppscope', '--version']; from ocppscope.cli.main import main; main()",
        HEAVY + DECODING,
    ),
    ("import sys; sys.argv = ['ocppscope', 'log', '--help']; from ocppscope.cli.main import main; main()", HEAVY),
    ("import sys; sys.argv = ['ocppscope', 'view', '--help']; from ocppscope.cli.main import main; main()", HEAVY),
    (
        "import sys; sys.argv = ['', 'log', 'captures/ipv6.pcap']; from ocppscope.cli.main import main; main()",
        (*HEAVY, "aiohttp"),
    ),
    ("import ocppscope.engine", (*HEAVY, "click", "jsonschema", "ocpp")),
    ("import ocppscope.wire.decrypt", (*HEAVY, "cryptography")),
    ("import ocppscope.model", (*HEAVY, "numpy", "click")),
    (
        "import ocppscope.proxy.relay",
        (*HEAVY, "numpy", "click", "wsproto", "h11", "websockets", "zstandard", "ocpp", "cryptography", "rich"),
    ),
]

REPORT = (
    "import atexit, json, sys; atexit.register(lambda: sys.stderr.write('\\n' + json.dumps(sorted(sys.modules))))\n"
)


def loaded_by(code: str) -> set[str]:
    command = [sys.executable, "-c", REPORT + code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=SRC.parents[1])
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stderr.splitlines()[-1]))


@pytest.mark.parametrize(("code", "unwanted"), LAZY, ids=[code.partition("argv = ")[2] or code for code, _ in LAZY])
def test_start_loads_only_what_it_needs(code, unwanted):
    loaded = loaded_by(code)
    assert "ocppscope" in loaded
    assert {name.partition(".")[0] for name in loaded} & set(unwanted) == set()


def test_the_subprocess_sees_what_is_loaded():
    assert {"click", "numpy"} <= loaded_by("import click, numpy")
