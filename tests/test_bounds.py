"""The inventory of bounds: a test names every constant `MAX_…` of its module, or it stands below with the reason.

Reasons are of three kinds: how much is *shown* of something (what is cut is marked, and nothing grows by it), a
*number of the field* (a protocol's limit, or what is believed of a value) that bounds no memory, and a bound that is
*owed* a test. What is owed may only become less.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src" / "ocppscope"

SHOWN = [
    "render/*",
    "tui/*",
    "export/markdown.py", "export/mermaid.py", "export/page/*", "export/text.py", "export/writing.py",
    "export/har.py",
    "compare/ladders.py", "compare/surroundings.py", "compare/sessions.py", "compare/vantage.py",
    "cli/afterwards.py", "query/complete.py", "query/document.py",
    "analysis/wording.py", "analysis/autopsy.py", "ocpp/templates.py",
]  # fmt: skip
"""Files whose constants say how much is shown: characters, lines, rows, examples."""

FIELD = {
    "analysis/rules/metering.py MAX_DECIMALS": "decimal places that a meter value has",
    "analysis/settings.py MAX_LIMIT": "what a limit in the configuration may be",
    "analysis/state/metering.py MAX_MULTIPLIER": "powers of ten of a unit, OCPP 2.x",
    "analysis/state/metering.py _MAX_INT": "of 64 bits",
    "analysis/state/meters.py MAX_AC_A": "ampere per phase that are believed",
    "analysis/state/meters.py MAX_STEP_NS": "between two readings that are compared",
    "analysis/state/transaction_tracker.py _MAX_NUMBER": "of 32 bits",
    "analysis/timing/energy.py MAX_READING_GAP_NS": "between two readings that are compared",
    "capture/bytesource.py MAX_POLL_SECONDS": "between two looks at a growing file",
    "capture/dialects/clock.py MAX_BACKWARDS_NS": "a clock that is set back further is another day",
    "capture/dialects/rows.py _MAX_NS": "of 64 bits",
    "capture/pcapng_blocks.py _MAX_OFFSET": "of 64 bits",
    "capture/textlog.py MAX_BACKWARDS_NS": "a clock that is set back further is another day",
    "cli/ca.py MAX_INSTALLED": "characters of a certificate that a station takes, OCPP",
    "cli/hiding.py MAX_SHIFT_DAYS": "a shift of all times that stays within the calendar",
    "compare/clocks.py MAX_DRIFT": "of a crystal",
    "export/rewriting/blocks.py MAX_TIME_NS": "of 64 bits",
    "export/rewriting/datagrams.py MAX_DATAGRAM": "RFC 791",
    "export/rewriting/encoding.py MAX_MEDIUM": "RFC 6455 §5.2",
    "export/rewriting/encoding.py MAX_SHORT": "RFC 6455 §5.2",
    "export/rewriting/packets.py MAX_CLOSE_BYTES": "RFC 6455 §5.5",
    "ocpp/codec.py MAX_DESCRIPTION_LENGTH": "OCPP-J §4.2.3",
    "ocpp/codec.py MAX_ID_LENGTH": "OCPP-J §4.2.1",
    "ocpp/jsontext.py _MAX_INT_DIGITS": "of Python's conversion",
    "proxy/certificates.py MAX_COMMON_NAME": "RFC 5280, appendix A",
    "proxy/config.py MAX_HELD_SECONDS": "a peer's patience",
    "proxy/faults.py MAX_TIME_NS": "a fault that an operator may ask for",
    "query/check.py _MAX_INTEGER": "of 64 bits",
    "store/notes.py _MAX_NUMBER": "of 64 bits",
    "wire/connection.py MAX_TLS_RECORD": "RFC 8446 §5.1: the first byte of a length",
    "wire/decrypt/keylog.py _MAX_PREMASTER": "RSA of 8192 bits",
    "wire/frames.py MAX_CONTROL": "RFC 6455 §5.5",
    "wire/handshake.py MAX_IDENTITY_CHARS": "OCPP-J: an identifierString",
}  # fmt: skip

OWED = """\
""".splitlines()
"""Bounds that no test names yet, as "file NAME"."""


@cache
def constants() -> tuple[tuple[str, str], ...]:
    """File and name of each `MAX_…`."""
    return tuple(
        (path.relative_to(SRC).as_posix(), node.id)
        for path in sorted(SRC.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and re.match("_?MAX_", node.id)
    )


@cache
def texts_naming() -> dict[str, list[str]]:
    """The tests that name a constant, by its name; this one left out."""
    found = defaultdict(list)
    for path in TESTS.rglob("*.py"):
        if path != Path(__file__):
            text = path.read_text()
            for name in set(re.findall(r"\b_?MAX_\w+", text)):
                found[name].append(text)
    return found


def imports(text: str, file: str) -> bool:
    """Whether a test has to do with a module, since it names it in full or imports it from its package."""
    module = "ocppscope." + file.removesuffix(".py").replace("/", ".")
    package, _, name = module.rpartition(".")
    lists = re.findall(rf"from {re.escape(package)} import (\([^)]*\)|[^\n]*)", text)
    return re.search(rf"\b{re.escape(module)}\b", text) is not None or any(
        re.search(rf"\b{name}\b", names) for names in lists
    )


def is_shown(file: str) -> bool:
    return any(fnmatch(file, pattern) for pattern in SHOWN)


def unnamed() -> set[str]:
    """The constants that no test of their module names."""
    tests = texts_naming()
    return {f"{file} {name}" for file, name in constants() if not any(imports(text, file) for text in tests[name])}


def test_the_scan_sees_the_constants():
    found = Counter(name for _, name in constants())
    assert found["MAX_INFLATED"] == 1
    assert found["MAX_HEADER_BYTES"] >= 1
    assert sum(found.values()) > 500


def test_every_bound_has_a_test_or_a_reason():
    without = {one for one in unnamed() if not is_shown(one.partition(" ")[0])}
    assert without - FIELD.keys() - set(OWED) == set()


def test_what_is_owed_is_owed():
    """Who writes a test takes its bound from the list."""
    assert set(OWED) <= unnamed()
    assert len(OWED) == len(set(OWED))


def test_reasons_are_for_constants_that_exist():
    existing = {f"{file} {name}" for file, name in constants()}
    assert FIELD.keys() <= existing
    assert all(any(fnmatch(file, pattern) for file, _ in constants()) for pattern in SHOWN)
