"""What the screens save is what the command `export` writes: the same items, from the store, not the capture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support_reports import finding, ref, report
from support_views import MemorySession

from ocppscope.analysis.registry import load
from ocppscope.cli.loading import session_of
from ocppscope.errors import AccessError
from ocppscope.export.evidence import Evidence, Row
from ocppscope.export.registry import BY_NAME
from ocppscope.export.writing import STEP, LeakError
from ocppscope.model import ControlFrame, ExchangeEnd, Outcome, Side
from ocppscope.options import Options
from ocppscope.store.verdicts import Verdict
from ocppscope.tui import saving
from ocppscope.tui.evidence import StoreEvidence
from ocppscope.tui.saving import Saved, SaveRequest, save
from store.support_store import START, call, closed, opened, result
from support_cli import CAPTURES, run

DEADLINE = 60.0
KEY = bytes(32)
JSONL = BY_NAME["jsonl"]


def whole(capture: Path) -> Any:
    """A session that has read all of a capture."""
    session = session_of([str(capture)], Options())
    session.start(lambda: None)
    end = time.monotonic() + DEADLINE
    while not session.progress().done:
        assert time.monotonic() < end
        time.sleep(0.01)
    return session


def written(session: Any, path: Path, **changes: Any) -> list[dict[str, Any]]:
    request = SaveRequest(path, JSONL, None, redact=False)._replace(**changes)
    done = save(session, request, KEY, lambda: False, lambda _: None)
    assert done.trouble == ""
    return [json.loads(line) for line in path.read_text().splitlines()]


def rules_of(line: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in line.pop("findings", None) or ()}


@pytest.mark.parametrize(
    "name",
    [
        "remote_start_stop",
        "malformed",
        "broken_transactions",
        "slow_and_missing",
        "capture_loss",
        "refused_handshakes",
    ],
)
def test_it_is_what_the_command_exports(name, tmp_path):
    capture = tmp_path / f"{name}.pcap"
    capture.write_bytes((CAPTURES / capture.name).read_bytes())
    assert run("note", capture, "-Y", "row in {1..3}", "--add", "look here", "--mark", "a").code == 0
    session = whole(capture)
    try:
        ours = written(session, tmp_path / "screens.jsonl")
    finally:
        session.stop()
    assert run("export", "--legs", capture, "-o", tmp_path / "command.jsonl").code == 0
    theirs = [json.loads(line) for line in (tmp_path / "command.jsonl").read_text().splitlines()]
    assert [rules_of(one) for one in ours] == [rules_of(one) for one in theirs]
    assert ours == theirs
    assert sum("look here" in json.dumps(one) for one in ours) == 3


def session_with(*events: Any, **options: Any) -> MemorySession:
    session = MemorySession(events, **options)
    session.done = True
    return session


def items(evidence: Evidence) -> list[Any]:
    return [item.row if isinstance(item, Row) else type(item).__name__ for item in evidence.items()]


def ping(number: int = 0) -> ControlFrame:
    return ControlFrame(START, number, Side.CSMS, 9, b"", (1,))


def end(ordinal: int, number: int = 0) -> ExchangeEnd:
    return ExchangeEnd(START, number, ordinal, Side.STATION, "0", "Heartbeat", Outcome.TIMEOUT, 1)


EVENTS = (
    opened(0), opened(1), call(0, "BootNotification"), ping(), result(1, 0), call(0, connection=1), ping(1),
    end(0, 1), call(2, "Authorize"), closed(1), closed(0),
)  # fmt: skip


def test_all_rows_come_with_all_that_happened_in_order():
    session = session_with(*EVENTS)
    evidence = StoreEvidence(session)
    expected = ["ConnectionOpened", "ConnectionOpened", 0, "ControlFrame", 1, 2, "ControlFrame", "ExchangeEnd", 3]
    for _ in range(2):
        assert items(evidence) == [*expected, "ConnectionClosed", "ConnectionClosed"]
    assert len(evidence) == 4
    assert set(evidence.connections) == {0, 1}
    session.stop()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 3], ["ConnectionOpened", 0, 3, "ConnectionClosed"]),
        ([2], ["ConnectionOpened", 2, "ExchangeEnd", "ConnectionClosed"]),
        ([], []),
    ],
)
def test_some_rows_come_with_what_concerns_them(rows, expected):
    session = session_with(*EVENTS)
    evidence = StoreEvidence(session, np.array(rows, np.int64))
    assert items(evidence) == expected
    assert set(evidence.connections) == {0, 1}  # shown or not
    session.stop()


def test_what_comes_later_is_not_in_it():
    session = session_with(opened(), call(0))
    evidence = StoreEvidence(session)
    session.store.take([ping(), call(2), closed()])
    assert items(evidence) == ["ConnectionOpened", 0]
    session.stop()


def test_a_call_does_not_know_its_answer():
    session = session_with(opened(), call(0), result(1, 0))
    assert session.store.message(0).outcome is Outcome.ANSWERED
    seen = [item.message.outcome for item in StoreEvidence(session).items() if isinstance(item, Row)]
    assert seen == [Outcome.PENDING, Outcome.ANSWERED]
    session.stop()


def test_rows_that_are_gone_are_left_out_and_counted():
    session = session_with(opened(), *(call(number) for number in range(40)), retain=20, chunk_rows=8)
    evidence = StoreEvidence(session)
    first = session.store.first
    assert first > 0
    assert items(evidence) == list(range(first, 40))
    session.store.take(call(number) for number in range(40, 56))
    assert items(evidence) == list(range(session.store.first, 40))
    assert evidence.left_out == session.store.first - first > 0
    assert set(evidence.connections) == {0}  # its opening is gone, too
    session.stop()


def test_verdicts_have_the_sentence_of_the_finding_or_the_title_of_the_rule():
    load()
    session = session_with(opened(), call(0), call(2))
    rule = "rpc-slow-response"
    session.told = report(finding(1, rule, evidence=(ref(0),)))
    for ordinal in (0, 2):
        session.store.judge(0, ordinal, Verdict(rule, "warning", "rpc"))
    session.store.judge(0, 2, Verdict("of-another-version", "note", "rpc"))
    first, second = (item for item in StoreEvidence(session).items() if isinstance(item, Row))
    assert [text for _, text in first.verdicts] == ["The CSMS took 1.5 s to answer Authorize."]
    assert [text for _, text in second.verdicts] == [load()[rule].title, ""]
    session.stop()


def test_the_report_names_files_without_their_directories():
    session = session_with(opened(), call(0))
    session.told = report(captures=("/home/somebody/secret/x.pcap",))
    found = StoreEvidence(session).report
    assert found is not None
    assert found.captures == ("a test",)
    session.stop()


# --- saving --------------------------------------------------------------------------------------------------------


class FakeRedactor:
    """Hides the word EXAMPLE where it has met it, and remembers what it met."""

    def __init__(self, *, found: tuple[Any, ...] = ()) -> None:
        self.met: list[Any] = []
        self.found = found

    def event(self, event: Any) -> Any:
        self.met.append(event)
        return event

    def connection(self, connection: Any) -> Any:
        return connection

    def words(self, text: str) -> str:
        return text

    def time(self, time_ns: int) -> int:
        return time_ns

    def leaks(self, text: str) -> Any:
        return list(self.found)

    def tally(self) -> dict[str, int]:
        return {"driver token": 3, "address": 1}


class Leaked:
    kind, excerpt = "driver token", "idTag: ⟨…⟩"


@pytest.fixture
def fake(monkeypatch):
    made = FakeRedactor()
    monkeypatch.setattr(saving.Hiding, "redactor", lambda self, key: made)
    return made


def test_the_redactor_meets_everything_before_some_rows_are_written(fake, tmp_path):
    session = session_with(*EVENTS)
    told: list[Saved] = []
    request = SaveRequest(tmp_path / "x.jsonl", JSONL, np.array([3]), redact=True)
    done = save(session, request, KEY, lambda: False, told.append)
    everything = [item.message if isinstance(item, Row) else item for item in StoreEvidence(session).items()]
    assert fake.met[: len(EVENTS)] == everything
    assert len(fake.met) == len(EVENTS) + 3
    assert [one.is_meeting for one in told] == [True, False]
    assert "1 message as jsonl" in done.sentence
    assert done.sentence.endswith("redacted: 1 address, 3 driver token.")
    session.stop()


def test_leaks_are_listed_and_nothing_is_written(fake, tmp_path):
    fake.found = (Leaked(),)
    session = session_with(*EVENTS)
    done = save(session, SaveRequest(tmp_path / "x.jsonl", JSONL, None, True), KEY, lambda: False, lambda _: None)
    assert "driver token: idTag: ⟨…⟩" in done.trouble
    assert "--show-secrets" not in done.trouble
    assert list(tmp_path.iterdir()) == []
    session.stop()


@pytest.mark.parametrize("redact", [False, True])
def test_saving_can_be_cancelled(fake, tmp_path, redact):
    session = session_with(opened(), *(call(number) for number in range(STEP + 1)))
    path = tmp_path / "x.jsonl"
    done = save(session, SaveRequest(path, JSONL, None, redact), KEY, lambda: True, lambda _: None)
    assert done.is_cancelled
    assert "cancelled" in done.sentence
    assert not path.exists()
    session.stop()


def test_progress_is_told(tmp_path):
    session = session_with(opened(), *(call(number) for number in range(4 * STEP)))
    told: list[Saved] = []
    done = save(session, SaveRequest(tmp_path / "x.jsonl", JSONL, None, False), KEY, lambda: False, told.append)
    assert told[0].sentence == "Saving: 0 % (Esc cancels)"
    assert len({one.sentence for one in told}) >= 4
    assert (done.rows, done.of) == (4 * STEP, 4 * STEP)
    session.stop()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AccessError("There is no room.", "Make some."), "There is no room. Make some."),
        (LeakError("It is in it.", "--show-secrets"), "It is in it. Leave these messages out"),
        (ZeroDivisionError("x"), "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_is_a_sentence(tmp_path, monkeypatch, error, said):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(saving, "write_file", fail)
    session = session_with(*EVENTS)
    done = save(session, SaveRequest(tmp_path / "x.jsonl", JSONL, None, False), KEY, lambda: False, lambda _: None)
    assert said in done.trouble
    assert done.sentence.startswith("Not saved (F2 shows all of it): ")
    session.stop()


def test_a_tag_does_not_survive_and_stays_the_same_pseudonym(tmp_path):
    session = whole(CAPTURES / "remote_start_stop.pcap")
    try:
        tag = "DEMO-APP-7731"
        plain = written(session, tmp_path / "plain.jsonl")
        assert tag in json.dumps(plain)
        texts = []
        for name in ("one", "two"):
            written(session, tmp_path / f"{name}.jsonl", redact=True)
            texts.append((tmp_path / f"{name}.jsonl").read_text())
        assert tag not in texts[0]
        assert texts[0] == texts[1]  # the same key
    finally:
        session.stop()
