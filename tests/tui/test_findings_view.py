"""The tree of findings: what is in it, folding, choosing, where it leads; hostile texts; how it looks."""

import pytest
from support_reports import HOSTILE, RULES, SHOWN, finding, ref, report, tree
from support_scope import ScopeSession, drive
from support_views import MemorySession, settled, show
from test_goldens import same_as_golden

from ocppscope.analysis.finding import Ref, Severity
from ocppscope.query.filter import compile_filter
from ocppscope.render import styled
from ocppscope.render.wiretext import columns
from ocppscope.store.store import Store
from ocppscope.store.verdicts import Verdict
from ocppscope.tui import findings_table as table
from ocppscope.tui.findings import FindingsView
from ocppscope.tui.findings_table import Choice, Layout
from ocppscope.tui.seek import row_of
from store.support_store import START, call, closed, exchanges, opened

MS = 1_000_000
EVERYTHING = {("finding", number) for number in range(20)} | {("station", "CP"), ("station", "CP-2")}


@pytest.fixture(autouse=True)
def _rules(monkeypatch):
    monkeypatch.setattr(table, "RULES", RULES)


def listed(found, opened_=frozenset(), choice=None, width=100):
    return table.items(found, set(opened_), choice or Choice(), width)


def heads(items):
    return [one.finding.number for one in items if one.finding is not None]


# --- the tree ------------------------------------------------------------------------------------------------------


def test_only_roots_are_listed_until_they_are_opened():
    assert heads(listed(tree())) == [3, 8]
    assert heads(listed(tree(), {("finding", 3)})) == [3, 5, 8]
    assert heads(listed(tree(), {("finding", 3), ("finding", 5)})) == [3, 5, 1, 8]


def test_an_open_finding_says_all_that_is_known():
    text = styled.text(one.line for one in listed(tree(), EVERYTHING, width=110))
    for words in ("answered nothing for 40 s", "Firmware 1.0 does that", "serial: A1", "12 times within 40.0s",
                  "connection #0", "→ ended: RST", "packet 7", "another finding", "finding == csms-silent",
                  "Ask whether its database was slow", "OCPP-J §4.1.1", "Captured at the CSMS",
                  "Close 1000 after 13 s", "One note."):  # fmt: skip
        assert words in text, words


def test_what_a_shut_finding_explains_is_counted():
    found = tree()
    layout = Layout.of(found, 100)
    root = listed(found)[0]
    assert "[+1]" in styled.plain(layout.head(root.finding, 0, root.explains, is_open=False))
    assert "[+" not in styled.plain(layout.head(root.finding, 0, root.explains, is_open=True))


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(), [3, 8]),
        (Choice(Severity.ERROR), [3]),
        (Choice(station="CP-2"), [8]),
        (Choice(Severity.ERROR, "CP-2"), []),
    ],
)
def test_choices(choice, left):
    items = listed(tree(), choice=choice)
    assert heads(items) == left
    if not left:
        assert "No finding is left: only errors, only CP-2." in styled.plain(items[0].line)


def test_a_root_stays_for_the_sake_of_a_worse_consequence():
    found = report(finding(1, severity=Severity.NOTE), finding(2, severity=Severity.ERROR, root=1))
    assert heads(listed(found, choice=Choice(Severity.ERROR))) == [1]


def test_keys_name_one_line_each():
    keys = [one.key for one in listed(tree(), EVERYTHING, width=60)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_no_line_of_a_fact_is_wider_than_the_screen(width):
    found = report(
        finding(0, text="wörd " * 60, measured={"x": "漢字" * 60, "y": "a" * 300}, evidence=(ref(0, what="x" * 300),))
    )
    for item in listed(found, EVERYTHING, width=width):
        assert styled.width(item.line) <= max(width, 36)


def test_a_chain_of_any_depth_is_listed():
    count = 3000
    found = report(*(finding(number, root=number - 1 if number else None) for number in range(count)))
    items = listed(found, {("finding", number) for number in range(count)})
    assert heads(items) == list(range(count))
    assert max(styled.width(one.line) for one in items) <= 100


@pytest.mark.parametrize("name", ["CP-1", 'a"b', "a\\", "é x", "", HOSTILE, "x" * 200])
def test_filters_find_the_messages_of_a_finding(name):
    text = table.filter_of(finding(0, station=name))
    assert text.isprintable()
    with Store() as store:
        store.take([opened(0, station=name), call(0), call(1)])
        store.judge(0, 1, Verdict("rpc-slow-response", "warning", "rpc"))
        assert compile_filter(text).mask(store).tolist() == [False, True]


def test_nothing_from_the_wire_gets_through():
    found = report(
        finding(
            0,
            station=HOSTILE,
            text=HOSTILE,
            quirk=HOSTILE,
            measured={HOSTILE: HOSTILE},
            evidence=(ref(0, what=HOSTILE),),
        ),
        notices=(HOSTILE,),
    )
    items = listed(found, EVERYTHING)
    layout = Layout.of(found, 100)
    lines = [one.line or (layout.head(one.finding, 0, 0, is_open=True) if one.finding else ()) for one in items]
    text = styled.text(lines)
    assert SHOWN in text
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "\u202e" not in text


# --- the summary ---------------------------------------------------------------------------------------------------


def summed(found, *, done=True, percent=None, choice=None):
    return styled.plain(table.summary(found, done=done, percent=percent, choice=choice or Choice()))


def test_the_summary_counts_roots_and_says_where_it_was_captured():
    said = summed(tree())
    assert "✗ 1 error · ! 1 warning · 2 explained by them · 7 messages · captured at the CSMS" in said
    assert "notices below: 1" in said


def test_the_summary_says_that_it_is_not_complete():
    assert "40 % read, not complete" in summed(tree(), done=False, percent=40)
    assert "reading, not complete" in summed(None, done=False)
    assert "There is no diagnosis." in summed(None)


def test_nothing_found_is_said_honestly():
    nothing = styled.text(one.line for one in listed(report()))
    assert "Nothing was found in 7 messages." in nothing
    assert "what no rule looks for can still be wrong" in " ".join(nothing.split())
    assert "nothing found" in summed(report())
    empty = styled.text(one.line for one in listed(report(messages=0, stations=())))
    assert "no OCPP message was seen" in empty


# --- where it leads ------------------------------------------------------------------------------------------------


def test_places_lead_to_rows():
    with Store() as store:
        store.take([opened(), *exchanges(3), opened(1), call(0, connection=1, time_ns=START + 40 * MS), opened(2)])
        assert row_of(store, ref(4)) == (4, "")
        assert row_of(store, ref(40)) == (None, "That message is not kept any more.")
        for at, row in ((-5, 0), (0, 0), (2, 2), (3, 3), (500, 5)):
            assert row_of(store, Ref(START + at * MS, 0)) == (row, "")
        assert row_of(store, Ref(START, 1)) == (6, "")
        row, said = row_of(store, Ref(START + 3 * MS, 2))
        assert row == 3
        assert "#2 has no messages" in said
        assert row_of(store, Ref(START + 900 * MS))[0] == 6
    with Store() as store:
        assert row_of(store, Ref(START)) == (None, "There are no messages.")


def tab(check, found, size=(80, 24), events=None):
    session = MemorySession([opened(), *exchanges(4)] if events is None else events)
    session.told, session.done = found, True
    show(FindingsView, session, check, size)


def test_enter_opens_and_shuts_and_follows_evidence():
    async def check(host, pilot):
        view = host.view
        assert view.do_open(None) == ""
        await settled(host, pilot)
        items = view.list.items
        assert heads(items) == [3, 5, 8]
        places = [at for at, one in enumerate(items) if one.ref is not None]
        view.list.move_to(places[1])
        view.do_open(None)
        view.list.move_to(places[3])
        assert "this is what was said then" in view.do_open(None)
        view.list.move_to(next(at for at, one in enumerate(items) if one.filter))
        view.do_open(None)
        await settled(host, pilot)
        assert host.posted == [
            ("opened", 2), ("opened", 0), ("filter", 'finding == csms-silent and station == "CP"'),
        ]  # fmt: skip
        view.do_fold_finding(None)  # on a fact: shuts the finding that it belongs to
        assert heads(view.list.items) == [3, 8]
        assert view.list.cursor == 0

    tab(check, tree(), size=(80, 40))


def test_folding_all_and_choosing():
    async def check(host, pilot):
        view = host.view
        view.do_fold_findings(None)
        await settled(host, pilot)
        assert len(view.list.opened) == 4  # two roots, two stations
        view.do_fold_findings(None)
        assert not view.list.opened
        assert view.do_choose_severity(None) == "Shown: only warnings and worse."
        assert view.do_choose_severity(None) == "Shown: only errors."
        assert heads(view.list.items) == [3]
        assert view.do_choose_severity(None) == "Shown: all findings."
        view.list.move_to(1)
        assert view.do_choose_station(None) == "Shown: only CP-2."
        assert heads(view.list.items) == [8]
        assert view.do_choose_station(None) == "Shown: all findings."

    tab(check, tree())


def test_the_cursor_stays_while_more_is_found():
    async def check(host, pilot):
        view = host.view
        view.list.move_to(1)
        host.view.session.told = report(finding(9, severity=Severity.ERROR, station="CP-9"), *tree().findings)
        view.grown()
        await settled(host, pilot)
        assert view.list.item.finding.number == 8
        assert view.list.cursor == 2

    tab(check, tree())


def test_without_a_diagnosis_there_is_nothing():
    async def check(host, pilot):
        assert "There is no diagnosis." in host.screen_text()[0]
        assert host.view.do_open(None) == "There is nothing to be opened."
        assert host.view.do_fold_finding(None) == ""
        assert "no finding under the cursor" in host.view.do_choose_station(None)

    tab(check, None)


def test_a_finding_that_is_wanted_is_opened_with_its_roots():
    async def check(host, pilot):
        view = host.view
        view.do_choose_severity(None)
        assert view.show_finding(1)
        await settled(host, pilot)
        assert view.list.item.finding.number == 1
        assert heads(view.list.items) == [3, 5, 1, 8]
        assert not view.show_finding(77)

    tab(check, tree(), size=(80, 60))


# --- in the application --------------------------------------------------------------------------------------------


def judged():
    session = ScopeSession([opened(0, station="CP"), *exchanges(20), closed(0, station="CP")])
    session.told = tree()
    session.store.judge(0, 6, Verdict("csms-silent", "error", "rpc"))
    session.store.judge(0, 9, Verdict("rpc-slow-response", "warning", "rpc"))
    session.store.judge(0, 12, Verdict("rpc-late-response", "note", "rpc"))
    session.store.judge(0, 0, Verdict("csms-silent", "error", "rpc"))
    return session


def test_e_and_w_stop_at_findings_and_the_details_tell_them():
    async def check(d):
        assert "✗ csms-silent  The CSMS answered nothing for 40 s. (12 times)" in d.text
        await d.press("e")
        assert d.row == 6
        assert "✗ csms-silent" in d.text
        assert any(line.startswith(" ✗") for line in d.lines)
        await d.press("e")
        assert "No further error" in d.told
        await d.press("E")
        assert d.row == 0
        await d.press("w")
        assert d.row == 9
        await d.press("w")
        assert "No further warning" in d.told
        await d.press("W", "1", "2", "g")
        assert "· rpc-late-response  An answer came late." in d.text

    drive(check, judged())


def test_evidence_is_shown_in_messages_even_if_the_filter_hides_it():
    async def check(d):
        await d.press("/")
        await d.type("kind == CALLRESULT")
        await d.press("enter", "f5", "enter")
        assert "csms-silent" in d.text
        items = d.scope.show.list.items
        d.scope.show.list.move_to([at for at, one in enumerate(items) if one.ref is not None][1])
        await d.press("enter")
        assert d.scope.view == "messages"
        assert d.row == 2
        assert d.scope.shown is None
        assert "The filter was taken away" in d.told

    drive(check, judged())


@pytest.mark.parametrize("size", [(80, 30), (120, 40)], ids=["80", "120"])
def test_screen(size):
    async def check(d):
        await d.press("f5", "enter")
        same_as_golden(f"findings-{size[0]}.txt", "".join(f"{line}\n" for line in d.lines))

    drive(check, judged(), size=size)


def test_sentences_fit_whatever_they_are_made_of():
    for text in ("one two three " * 20, "漢字" * 100, "x" * 300, "", HOSTILE):
        assert all(columns(line) <= 30 for line in table.sentences(text, 30))
