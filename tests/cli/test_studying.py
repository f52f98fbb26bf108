"""The diagnosis beside a store: what it publishes, when, and that its failure stops nobody."""

import pytest

from ocppscope.analysis.report import report
from ocppscope.cli import studying
from ocppscope.cli.loading import session_of
from ocppscope.cli.studying import Study, configured
from ocppscope.errors import UsageError
from ocppscope.options import Options
from ocppscope.query.filter import compile_filter
from ocppscope.store.store import Store
from support_cli import CAPTURES
from support_engine import run

SLOW = CAPTURES / "slow_and_missing.pcap"


@pytest.fixture
def session():
    found = session_of([str(SLOW)], Options())
    found.start(lambda: None)
    found._thread.join(60)
    yield found
    found.stop()


def test_a_session_has_a_report_transactions_and_figures(session):
    found = session.report()
    assert found.messages == 26
    assert {one.rule for one in found.findings} >= {"rpc-duplicate-response", "rpc-concurrent-calls"}
    assert found.stations[0].endings  # only at the end: they are for connections that are over
    assert any(row.figure == "latency" for row in session.figures())
    assert session.transactions().pages == ()


def test_rows_are_told_what_was_found_in_them(session):
    for one in session.report().findings:
        rows = [session.store.find(ref.connection, ref.ordinal) for ref in one.evidence if ref.ordinal >= 0]
        for row in rows:
            assert one.rule in {verdict.rule for verdict in session.store.judged.at(row)}
    mask = compile_filter("finding == rpc-duplicate-response").mask(session.store)
    assert mask.sum() == 1


def studied(monkeypatch, now):
    monkeypatch.setattr(studying.time, "monotonic", lambda: now[0])
    return Study(Store(), ["x.pcap"], configured())


def test_snapshots_come_once_a_second_at_most(monkeypatch):
    now = [100.0]
    study = studied(monkeypatch, now)
    events = run(SLOW).events
    study.take(events[:10])
    study.publish_sometimes(("a notice",))
    first = study.report
    assert first.notices == ("a notice",)
    study.take(events[10:])
    now[0] += 0.9
    study.publish_sometimes(())
    assert study.report is first
    now[0] += 0.2
    study.publish_sometimes(())
    assert study.report is not first
    assert study.report.messages > first.messages


def test_figures_are_made_while_reading_only_for_who_asks(monkeypatch):
    now = [100.0]
    study = studied(monkeypatch, now)
    study.take(run(SLOW).events)
    study.publish_sometimes(())
    assert study.figures == ()
    study.is_timed = True
    now[0] += 60
    study.publish_sometimes(())
    assert study.figures
    assert not study.is_timed


def test_a_slow_report_is_made_less_often(monkeypatch):
    now = [100.0]
    study = studied(monkeypatch, now)

    def slow(*given):
        now[0] += 3.0
        return report(*given)

    monkeypatch.setattr(studying, "report", slow)
    study.publish_sometimes(())
    first = study.report
    now[0] += 29.0
    study.take([])
    study.publish_sometimes(())
    assert study.report is first
    now[0] += 2.0
    study.publish_sometimes(())
    assert study.report is not first


def test_a_failure_is_a_notice_and_reading_goes_on(monkeypatch):
    study = studied(monkeypatch, [100.0])

    def fail(events):
        raise RuntimeError("\x1b[31m broken")

    monkeypatch.setattr(study._diagnosis, "take", fail)
    study.take(run(SLOW).events)
    study.take(run(SLOW).events)
    study.finish(("first",))
    first, said = study.report.notices
    assert first == "first"
    assert "This is a bug of ocppscope" in said
    assert "\x1b" not in said


def test_rules_of_the_configuration_count(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "ocppscope").mkdir()
    config = tmp_path / "ocppscope" / "config.toml"
    config.write_text("[rules]\nrpc-duplicate-response = false\n")
    study = Study(Store(), ["x"], configured())
    study.take(run(SLOW).events)
    study.finish(())
    assert "rpc-duplicate-response" not in {one.rule for one in study.report.findings}
    config.write_text("[rules]\nno-such-rule = false\n")
    with pytest.raises(UsageError):
        session_of([str(SLOW)], Options())
