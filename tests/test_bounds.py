"""The inventory of bounds: every constant `MAX_…` of the source is named by a test, or stands below with the reason.

Reasons are of three kinds: how much is *shown* of something (what is cut is marked, and nothing grows by it), a
*number of the field* (a protocol's limit, or what is believed of a value) that bounds no memory, and a bound that is
*owed* a test. What is owed may only become less.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
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
    "analysis/state/transactions.py _MAX_NUMBER": "of 32 bits",
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
analysis/certificate.py MAX_PARSED
analysis/openings.py MAX_TOKENS
analysis/rules/commands.py _MAX_NAMED
analysis/rules/delivery.py MAX_REFS
analysis/rules/framing.py MAX_SEARCHED
analysis/rules/liveness.py MAX_GAPS
analysis/rules/rpc.py MAX_OPENING_IDS
analysis/rules/rpc.py MAX_SHOWN
analysis/rules/schema.py MAX_SEARCHED
analysis/rules/schema.py MAX_SHOWN
analysis/rules/status.py MAX_RESERVATIONS
analysis/rules/tcp.py _MAX_SERVERS
analysis/rules/websocket.py MAX_OTHERS
analysis/state/connections.py MAX_GAPS
analysis/state/connections.py MAX_OFFERED
analysis/state/connections.py MAX_OVERLAPS
analysis/state/connections.py MAX_REASON
analysis/state/connectors.py MAX_CHANGES
analysis/state/metering.py _MAX_WORDS
analysis/state/registration.py MAX_BOOTS
analysis/state/transactions.py MAX_ID
analysis/state/transactions.py MAX_MEASURED
analysis/station.py MAX_LINKS
analysis/stations.py MAX_LEGS
analysis/timing/commands.py MAX_REPORTS
analysis/timing/commands.py MAX_STATUS
analysis/timing/commands.py MAX_STATUSES
analysis/timing/connections.py MAX_BOOTS
analysis/timing/exchanges.py MAX_RESENT
analysis/timing/keepalive.py MAX_LINKS
analysis/timing/ledger.py MAX_CHANGES
analysis/timing/ledger.py MAX_PART
analysis/timing/ledger.py MAX_PEOPLE
analysis/timing/ledger.py MAX_SPLITS
analysis/timing/timing.py MAX_FAR_HOUR
batch.py MAX_LOOKED_BACK
capture/dialects/detect.py MAX_SNIFFED_LINE
capture/dialects/naming.py MAX_LOOKED_AT
capture/dialects/words.py MAX_LOOKED_AT
capture/logreader.py MAX_AT_ONCE
capture/textlog.py MAX_ENTRY
cli/following.py MAX_SENTENCES
cli/keys.py MAX_KEY_BYTES
cli/main.py MAX_COMPLAINT
cli/session.py MAX_HOSTS
compare/alignment.py MAX_EDITS
compare/choosing.py MAX_LOOKED
compare/clocks.py MAX_CORNERS
compare/matching.py MAX_SAME_KEY
control.py MAX_LINE_BYTES
export/rewriting/encoding.py MAX_WINDOW
export/rewriting/written.py MAX_NAMED_ADDRESSES
ocpp/conformance.py MAX_VALUES_LISTED
ocpp/jsontext.py MAX_NAME_SHOWN
proxy/injecting.py MAX_LATE
proxy/leg.py MAX_EVIDENCE_BYTES
proxy/pairing.py MAX_PEEKED_BYTES
proxy/relay.py MAX_UNREAD_BYTES
proxy/steering.py MAX_ANSWERS
proxy/steering.py MAX_SAID
proxy/tls.py MAX_RETRIES
redaction/addresses.py MAX_ADDRESS_CHARS
redaction/addresses.py MAX_WALK
redaction/freetext.py MAX_CLEAN_CHARS
redaction/pseudonyms.py MAX_TRIES
redaction/pseudonyms.py MAX_TRIES_SHORT
redaction/urls.py MAX_URL_CHARS
store/columns.py MAX_TEXTS
store/problemsets.py MAX_BARE_SETS
store/reading.py MAX_STATUS
store/spool.py MAX_CACHED
store/threads.py MAX_HOLE
track.py MAX_CONNECTION_PROBLEMS
wire/connection.py MAX_LOST
wire/connection.py MAX_TORN
wire/decrypt/decryptor.py MAX_EARLY
wire/decrypt/decryptor.py MAX_EARLY_RECORDS
wire/decrypt/decryptor.py MAX_MISFITS
wire/decrypt/decryptor.py MAX_SEARCHED
wire/decrypt/decryptor.py MAX_UNKNOWN
wire/decrypt/half.py MAX_GENERATIONS
wire/decrypt/half.py MAX_SLACK
wire/decrypt/half.py MAX_TRIALS
wire/decrypt/half.py MAX_UPDATED
wire/decrypt/keylog.py MAX_SERVER_KEYS
wire/decrypt/keylog.py MAX_TRIALS_TOTAL
wire/decrypt/midway.py MAX_CANDIDATES
wire/decrypt/midway.py MAX_FIRST
wire/decrypt/midway.py MAX_GUESSES
wire/decrypt/midway.py MAX_TRIALS_EACH
wire/decrypt/negotiation.py MAX_TRANSCRIPT
wire/recovery.py MAX_POSSIBLE
wire/search.py MAX_CHAIN
wire/search.py MAX_PROBED_TEXT
wire/tlsflow.py MAX_FLIGHT
wire/tlsflows.py MAX_GREETING
wire/transport.py MAX_AHEAD
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
def named_in_tests() -> frozenset[str]:
    """All words of the tests, this one left out."""
    texts = (path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__))
    return frozenset(word for text in texts for word in re.findall(r"\w*MAX_\w+", text))


def is_shown(file: str) -> bool:
    return any(fnmatch(file, pattern) for pattern in SHOWN)


def unnamed() -> set[str]:
    """The constants that no test names."""
    return {f"{file} {name}" for file, name in constants() if name not in named_in_tests()}


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
