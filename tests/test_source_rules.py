"""What the sources may not do, read from their syntax trees: nothing runs that came from outside.

A table of calls and imports that are ruled out, and of the few places where a program is started.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "ocppscope"

FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "breakpoint",
    "os.system", "os.popen", "os.execl", "os.execv", "os.execvp", "os.execvpe", "os.spawnv", "os.spawnl",
    "tempfile.mktemp", "os.tempnam", "os.tmpnam", "os.chmod",
    "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
    "yaml.load", "marshal.loads", "shelve.open", "random.seed", "ssl._create_unverified_context",
}  # fmt: skip
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "shelve", "marshal", "yaml", "code", "pty", "xml", "telnetlib"}

STARTS = {
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "asyncio.create_subprocess_exec",
}  # fmt: skip
STARTING = {
    "capture/live_programs.py",  # tcpdump, dumpcap
    "capture/sniffers.py",  # our own sniffer
    "capture/tshark_program.py",
    "proxy/steering.py",  # our own relay
    "tui/outside.py",  # the user's pager and editor
    "tui/serve.py",  # ourselves, for a browser
}
"""Who starts programs."""

TEMPORARY = {"tempfile.mkstemp", "tempfile.mkdtemp", "tempfile.NamedTemporaryFile", "tempfile.TemporaryFile",
             "tempfile.TemporaryDirectory", "tempfile.SpooledTemporaryFile", "tempfile.gettempdir"}  # fmt: skip


@cache
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(SRC).as_posix(): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}


def named(node: ast.expr) -> str:
    """`os.path.join` of an expression, `?.join` of a method of something that has no name, "" for no name at all."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{named(node.value) or '?'}.{node.attr}"
    return ""


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := named(node.func)):
            first, dot, rest = name.partition(".")
            yield aliases.get(first, first) + dot + rest, node


@cache
def all_calls() -> list[tuple[str, str, ast.Call]]:
    return [(path, name, call) for path, tree in trees().items() for name, call in calls(tree)]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def starts() -> Iterator[tuple[str, ast.Call]]:
    yield from ((path, call) for path, name, call in all_calls() if name in STARTS)


def test_the_scan_sees_what_it_looks_for():
    """If it were blind, every test below would pass."""
    source = "from os import system as s\nimport subprocess as p\ns('')\np.run('x')\neval('1')\nimport pickle"
    tree = ast.parse(source)
    assert [name for name, _ in calls(tree)] == ["os.system", "subprocess.run", "eval"]
    assert {"os", "subprocess", "pickle"} == set(imported(tree))
    assert len(trees()) > 100
    assert list(starts())


def test_nobody_calls_what_runs_what_came_from_outside():
    assert [f"{path}:{call.lineno}" for path, name, call in all_calls() if name in FORBIDDEN_CALLS] == []


def test_nothing_is_read_that_can_run():
    found = {(path, name) for path, tree in trees().items() for name in imported(tree)}
    assert [(path, name) for path, name in found if name in FORBIDDEN_IMPORTS] == []


def test_programs_are_started_in_few_places():
    assert {path for path, _ in starts()} == STARTING


def test_programs_are_started_without_a_shell():
    """No `shell=`, and the words as a list (or starred words) and not as one text."""
    for path, call in starts():
        where = f"{path}:{call.lineno}"
        assert keyword(call, "shell") is None, where
        words = call.args[0]
        assert not isinstance(words, ast.Constant | ast.JoinedStr | ast.BinOp), where


def test_our_own_processes_import_nothing_from_where_the_user_stands():
    """`sys.executable` is always followed by -P."""
    found = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.List) and any(named(one) == "sys.executable" for one in node.elts):
                found.append(path)
                at = next(index for index, one in enumerate(node.elts) if named(one) == "sys.executable")
                after = node.elts[at + 1]
                assert isinstance(after, ast.Constant), f"{path}:{node.lineno}"
                assert after.value == "-P", f"{path}:{node.lineno}"
    assert set(found) == {"capture/sniffers.py", "proxy/steering.py", "tui/serve.py"}


def test_templates_escape():
    environments = [
        (path, call) for path, name, call in all_calls() if name in ("jinja2.Environment", "jinja2.Template")
    ]  # fmt: skip
    assert environments
    for path, call in environments:
        value = keyword(call, "autoescape")
        assert isinstance(value, ast.Constant), path
        assert value.value is True, path
    assert [path for path, name, _ in all_calls() if name.endswith("Markup")] == []


def test_templates_call_nothing_safe_but_our_own_style():
    templates = list(SRC.rglob("*.html"))
    assert len(templates) >= 3
    for template in templates:
        assert set(re.findall(r"([\w.]+)\s*\|\s*safe\b", template.read_text())) <= {"style"}, template.name


def test_files_that_are_made_are_made_for_their_owner():
    """`os.open` that creates names a mode, and takes nothing that is there already, nor follows a link."""
    made = [(path, call) for path, name, call in all_calls() if name == "os.open" and "O_CREAT" in ast.unparse(call)]
    assert len(made) >= 5
    for path, call in made:
        assert len(call.args) == 3, f"{path}:{call.lineno}"
        flags = ast.unparse(call.args[1])
        assert "O_EXCL" in flags or "O_NOFOLLOW" in flags, f"{path}:{call.lineno}"


WRITING_BY_NAME = {("tui/outside.py", "write_text"), ("cli/manual.py", "write_text")}
"""Into a directory of mode 0700 that was just made; into the project's own."""
WRITING_MODES = {"w", "wb", "a", "ab", "x", "xb", "w+", "w+b", "wb+", "a+", "a+b", "r+", "r+b"}


def is_writing(name: str, call: ast.Call) -> bool:
    if name == "open" or name.endswith(".open"):
        given = [*call.args[:2], keyword(call, "mode")]
        return any(isinstance(one, ast.Constant) and one.value in WRITING_MODES for one in given)
    return name.endswith((".write_text", ".write_bytes")) and not name.startswith("formatter.")


def test_nothing_is_written_by_name_otherwise():
    """`open(…, "w")` and `Path.write_…` have the mode that the umask gives them, and follow links."""
    found = {(path, name.rpartition(".")[2]) for path, name, call in all_calls() if is_writing(name, call)}
    assert found == WRITING_BY_NAME
    assert is_writing("open", ast.parse("open(x, 'ab')", mode="eval").body)  # type: ignore[arg-type]


def test_temporary_files_go_where_only_we_look():
    used = {name for _, name, _ in all_calls() if name.startswith("tempfile.")}
    assert used <= TEMPORARY - {"tempfile.gettempdir"}
    assert used


def test_certificates_are_verified_unless_the_user_says_otherwise():
    """The only place that turns verification off is where `insecure` is asked about."""
    found = [
        (path, ast.unparse(node)) for path, tree in trees().items() for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "CERT_NONE"
    ]  # fmt: skip
    assert {path for path, _ in found} <= {"proxy/contexts.py"}
