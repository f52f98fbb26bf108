"""Bounds that are reached, one by one, where no test of their module did it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from bombs import BOMBS

import ocppscope.analysis.stations as stations_of
import ocppscope.store.notes as notes_of
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.latest import Latest
from ocppscope.analysis.station import Link
from ocppscope.capture.dialects.custom import MAX_FILE, MAX_FORMS, MAX_PATTERN, choice_in, dialect_in
from ocppscope.cli.loading import session_of
from ocppscope.engine import Engine
from ocppscope.errors import UsageError
from ocppscope.options import Options
from ocppscope.query.lexer import FilterError
from ocppscope.query.literals import MAX_DIGITS
from ocppscope.query.patterns import MAX_PATTERN as MAX_REGEX
from ocppscope.query.patterns import MAX_WORK, compile_pattern
from ocppscope.summary import MAX_EXAMPLES
from ocppscope.wire.connection import Phase
from ocppscope.wire.inflate import FIRST_CREDIT, MAX_CREDIT, MAX_RATIO, TOO_LARGE, Inflater
from support_engine import blocks_of


def test_only_the_latest_are_kept():
    kept: Latest[int] = Latest(3)
    for number in range(10):
        kept.append(number)
    assert kept == [7, 8, 9]


@pytest.mark.parametrize("bound", [5, 10_000])
def test_outstanding_calls_and_those_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int):
    """MAX_OUTSTANDING holds for CALLs that wait, and for those that were given up."""
    monkeypatch.setattr(stations_of, "MAX_OUTSTANDING", bound)
    links: list[Link] = []
    monkeypatch.setattr(stations_of, "Link", lambda *given: links.append(Link(*given)) or links[-1])
    diagnosis, engine = Diagnosis(), Engine()
    for block in blocks_of(BOMBS["calls-unanswered"](tmp_path / "c.pcap", 700)):
        diagnosis.take(engine.packets(block))
    assert len(links[0].outstanding[0]) <= bound
    diagnosis.take(engine.finish())
    kept = [int(x.id) for x in links[0].close_pending]
    assert len(kept) == min(bound, 700)
    assert kept == list(range(700 - len(kept), 700))


def test_examples_of_flows(tmp_path: Path):
    engine = Engine()
    for block in blocks_of(BOMBS["flows-of-tls"](tmp_path / "c.pcap", 3 * MAX_EXAMPLES)):
        engine.packets(block)
    engine.finish()
    assert engine.summary.flows[Phase.TLS] == 3 * MAX_EXAMPLES
    assert len(engine.summary.examples[Phase.TLS]) == MAX_EXAMPLES


def test_a_direction_saves_up_no_more_than_its_credit():
    """After any number of modest messages, a bomb gets no further than MAX_CREDIT beyond its due."""
    inflater, modest = Inflater(takeover=False), zlib.compressobj(9, zlib.DEFLATED, -15)
    noise = bytes(range(256)) * 256
    payload = modest.compress(noise) + modest.flush(zlib.Z_SYNC_FLUSH)[:-4]
    rounds = 2 * (MAX_CREDIT + FIRST_CREDIT) // max(1, MAX_RATIO * len(payload) - len(noise)) + 2
    for _ in range(min(rounds, 5000)):
        assert inflater.message(payload).problem in (None, TOO_LARGE)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(12 << 20)) + squeezer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    found = inflater.message(bomb)
    assert found.problem == TOO_LARGE
    assert len(found.text) <= MAX_CREDIT + MAX_RATIO * len(bomb)


def test_dialect_files(tmp_path: Path):
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(UsageError, match="more than"):
        choice_in(str(large))
    form = '[[line]]\npattern = "{}"\n'
    with pytest.raises(UsageError):
        dialect_in('name = "x"\n' + form.format("a") * (MAX_FORMS + 1))
    with pytest.raises(UsageError, match="pattern"):
        dialect_in('name = "x"\n' + form.format("a" * (MAX_PATTERN + 1)))


def test_marks(tmp_path: Path):
    session = session_of([str(BOMBS["pings"](tmp_path / "c.pcap", 1))], Options())
    assert session.notes is not None
    message = type("Message", (), {"connection": 0, "ordinal": 0, "time_ns": 0})()
    session.notes.set(message, mark="m" * notes_of.MAX_MARK)
    with pytest.raises(UsageError, match="too long"):
        session.notes.set(message, mark="m" * (notes_of.MAX_MARK + 1))
    session.stop()


def test_damaged_notes_that_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With MAX_ASIDE of them, the damaged file stays what it is, and that is said."""
    monkeypatch.setattr(notes_of, "MAX_ASIDE", 2)
    sidecar = tmp_path / "c.pcap.ocppscope.json"
    for number in range(4):
        sidecar.write_text(f"damaged {number}")
        trouble = notes_of.load_notes(tmp_path / "c.pcap").trouble
        assert "damaged" in trouble
    assert sidecar.read_text() == "damaged 3"
    assert len(list(tmp_path.glob("*.damaged-*"))) == 2


def test_numbers_and_patterns_of_a_filter():
    from ocppscope.query.filter import compile_filter

    compile_filter("latency > 1." + "1" * (MAX_DIGITS - 3) + "s")
    with pytest.raises(FilterError):
        compile_filter("latency > " + "1" * (MAX_DIGITS + 1) + "s")
    assert compile_pattern("a" * MAX_REGEX).length * 1 <= MAX_WORK
    with pytest.raises(FilterError, match="too long"):
        compile_pattern("a" * (MAX_REGEX + 1))
    with pytest.raises(FilterError, match="for ever"):
        compile_pattern(f"a{{0,{MAX_WORK}}}" * 6 + "b")
