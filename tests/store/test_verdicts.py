"""What the diagnosis says of rows."""

from ocppscope.store.store import Store
from ocppscope.store.verdicts import MAX_VERDICTS, Judged, Verdict
from store.support_store import call

SLOW, LATE = Verdict("rpc-slow-response", "note", "rpc"), Verdict("rpc-late-response", "warning", "rpc")


def test_rows_have_their_verdicts_in_order():
    judged = Judged()
    for row, verdict in ((9, SLOW), (2, LATE), (9, LATE), (9, SLOW)):
        judged.add(row, verdict)
    assert judged.at(9) == (SLOW, LATE)
    assert judged.at(3) == ()
    assert judged.rows(0, 9) == [(2, (LATE,))]
    assert judged.rows(0, 10) == [(2, (LATE,)), (9, (SLOW, LATE))]
    judged.add(1, SLOW)
    assert judged.rows(0, 3) == [(1, (SLOW,)), (2, (LATE,))]
    assert len(judged) == 3


def test_bounds(monkeypatch):
    monkeypatch.setattr("ocppscope.store.verdicts.MAX_MARKED", 2)
    judged = Judged()
    assert [judged.add(row, SLOW) for row in range(3)] == [True, True, False]
    assert judged.refused == 1
    for number in range(MAX_VERDICTS + 3):
        judged.add(0, Verdict(f"r{number}", "note", "rpc"))
    assert len(judged.at(0)) == MAX_VERDICTS
    monkeypatch.setattr("ocppscope.store.verdicts.MAX_SETS", 1)
    assert not judged.add(1, LATE)


def test_a_judged_row_is_amended():
    with Store() as store:
        store.take([call(0), call(1)])
        since = store.amended()[1]
        store.judge(0, 1, SLOW)
        store.judge(0, 77, SLOW)
        rows, _ = store.amended(since)
        assert rows is not None
        assert rows.tolist() == [1]
        assert store.judged.at(1) == (SLOW,)
