"""The page in a real browser, opened from a file: reading, searching, keys; and that hostile texts run nothing."""

import base64
import json
import re

import pytest
from support_html import HOSTILE, Told, chrome, connection, evidence_of, hostile, message, rows, written  # noqa: F401

from ocppscope.export.evidence import Row
from ocppscope.export.page import assets
from ocppscope.model import Kind, Outcome, Side
from ocppscope.render import html, summary
from ocppscope.store.notes import Note
from ocppscope.store.verdicts import Verdict
from support_cli import CAPTURES

pytestmark = pytest.mark.chromium

NUMBERS = "#rows .row:not(.sub) > :first-child"
ROWS = f"[...document.querySelectorAll('{NUMBERS}')].map((one) => one.textContent).filter(Boolean)"
PICKED = "document.querySelector('#rows .picked:not(.sub) > :first-child')?.textContent ?? ''"
SHOWN = "document.getElementById('shown').textContent"
HIDDEN = "[...document.querySelectorAll('main > section, #filter')].filter((one) => one.hidden).map((one) => one.id)"


@pytest.fixture(scope="module")
def silence():
    return written(evidence_of(CAPTURES / "broken_silence.pcap"))


def is_fine(tab):
    assert tab.complaints() == []
    assert len(tab.addresses()) == 1  # itself


def test_it_begins_with_the_findings(chrome, silence):  # noqa: F811
    tab = chrome.open(silence)
    assert tab.ask(HIDDEN) == ["stations", "filter", "log", "charts"]
    assert tab.ask("document.querySelectorAll('.finding').length") == 7
    is_fine(tab)


def test_without_findings_it_begins_with_the_messages(chrome):  # noqa: F811
    tab = chrome.open(written(Told(rows(3), {0: connection()})))
    assert tab.ask(ROWS) == ["0", "1", "2"]
    is_fine(tab)


def test_evidence_leads_to_its_row_and_the_row_back(chrome, silence):  # noqa: F811
    tab = chrome.open(silence)
    tab.click("#finding-5 > .evidence a.ref")
    assert tab.until(PICKED) == "36"
    assert tab.ask("document.querySelector('#detail h2').textContent") == "→ CALL Heartbeat"
    assert tab.ask("location.hash") == "#row-36"
    tab.click("#detail .remark a[href='#finding-5']")
    assert tab.until("document.querySelector('.finding.target')?.id") == "finding-5"
    tab.click("#finding-5 > .more > .all")
    assert tab.until(SHOWN).startswith("3 of 79 messages")
    assert tab.ask(ROWS) == ["36", "47", "56"]
    is_fine(tab)


@pytest.mark.parametrize(
    ("address", "row", "view"),
    [("#row-17", "17", "messages"), ("#view=ladder&row=17", "17", "ladder"), ("#row-70000", "", "messages"),
     ("#row=17&q=CP-DEAF", "17", "messages")],
)  # fmt: skip
def test_an_address_of_a_row(chrome, silence, address, row, view):  # noqa: F811
    tab = chrome.open(silence, address)
    assert tab.ask(PICKED) == row
    if row:
        assert tab.ask("document.querySelector('nav [aria-selected=true]').dataset.view") == view
        assert tab.ask("document.getElementById('detail').hidden") is False
    is_fine(tab)


def test_an_address_of_a_finding(chrome, silence):  # noqa: F811
    tab = chrome.open(silence, "#finding-0")
    assert tab.ask("document.activeElement.id") == "finding-0"
    assert 0 <= tab.ask("document.getElementById('finding-0').getBoundingClientRect().top") < 800


FILTERS = [
    ("q=MeterValues", lambda row, text: "MeterValues" in text),
    ("q=metervalues", lambda row, text: "MeterValues" in text),
    ('q="connector 1" charging', lambda row, text: "connector 1" in text and "Charging" in text),
    ("q=EXAMPLE-TAG-20", lambda row, text: "EXAMPLE-TAG-20" in text),
    ("q=nothing-has-this", lambda row, text: False),
    ("station=CP-DEAF", lambda row, text: row.message.connection == 2),
    ("action=Heartbeat", lambda row, text: row.message.action == "Heartbeat"),
    ("kind=CALLRESULT", lambda row, text: row.message.kind is Kind.CALLRESULT),
    ("side=csms", lambda row, text: row.message.side is Side.CSMS),
    ("only=any", lambda row, text: bool(row.verdicts or row.message.problems)),
    ("only=findings", lambda row, text: bool(row.verdicts)),
    ("only=problems", lambda row, text: bool(row.message.problems)),
    ("only=notes", lambda row, text: False),
    ("slow=5", lambda row, text: (row.message.latency_ns or 0) > 5_000_000),
    ("from=18:36:00&to=18:37:00", lambda row, text: 1795372560 <= row.message.time_ns / 1e9 < 1795372621),
    ("from=2026-11-22 18:37", lambda row, text: row.message.time_ns / 1e9 >= 1795372620),
    ("quiet=none&kind=CALL", lambda row, text: row.message.kind is Kind.CALL and (
        row.message.action != "Heartbeat" or bool(row.verdicts))),
]  # fmt: skip


def test_a_filter_shows_what_passes_it(chrome, silence):  # noqa: F811
    messages = [item for item in evidence_of(CAPTURES / "broken_silence.pcap").items() if isinstance(item, Row)]
    tab = chrome.open(silence, size=(1300, 4000))
    for query, passes in FILTERS:
        wanted = [str(row.row) for row in messages if passes(row, text_of(row))]
        tab.ask(f"location.hash = {json.dumps(query)}")
        tab.until(f"{SHOWN}.startsWith('{len(wanted)} of 79 messages')")
        assert tab.ask(ROWS) == wanted, query
    is_fine(tab)


def text_of(row):
    """What is searched of a message."""
    sentences = " ".join(text for _, text in row.verdicts)
    return f"{row.message.action} {row.message.text.decode()} {summary.said(row.message)} {sentences}"


def test_searching_by_keys(chrome, silence):  # noqa: F811
    tab = chrome.open(silence)
    tab.press("/")
    assert tab.ask("document.activeElement.id") == "f-q"
    tab.write("Authorize")
    assert tab.until(f"{SHOWN}.startsWith('4 of') && {SHOWN}").startswith("4 of 79 messages, 0 events")
    assert tab.ask("location.hash") == "#q=Authorize"
    assert tab.ask("document.querySelectorAll('#rows mark').length") == 4
    tab.press("Enter")
    assert tab.ask("document.activeElement.id") == "list"
    tab.press("j")
    assert tab.ask(PICKED) == "26"
    tab.press("Escape", "Escape")
    assert tab.ask(SHOWN).startswith("79 of 79")
    assert tab.ask("document.getElementById('f-q').value") == ""
    is_fine(tab)


def test_moving_by_keys(chrome, silence):  # noqa: F811
    tab = chrome.open(silence, "#row-0")
    seen = []
    for key in ("j", "j", "k", "n", "n", "p", "o", "1", "3", "5", "4"):
        tab.press(key)
        seen.append(
            tab.ask(PICKED)
            if key in "jknpo"
            else tab.ask("document.querySelector('nav [aria-selected=true]').dataset.view")
        )
    assert seen[:3] == ["1", "2", "1"]
    annotated = [str(item.row) for item in evidence_of(CAPTURES / "broken_silence.pcap").items()
                 if isinstance(item, Row) and (item.verdicts or item.message.problems)]  # fmt: skip
    assert seen[3:7] == [annotated[0], annotated[1], annotated[0], str(int(annotated[0]) + 1)]
    assert seen[7:] == ["findings", "messages", "charts", "ladder"]
    tab.ask("document.getElementById('list').focus()")
    tab.press("End")
    assert tab.ask(PICKED) == ""  # the end of a connection comes last
    tab.press("ArrowUp", "ArrowUp", "ArrowUp")
    assert tab.ask(PICKED) == "78"
    tab.press("Home", "PageDown", "PageUp")
    assert tab.ask("document.querySelector('#detail h2').textContent") == "→ OPEN"
    tab.press("?")
    assert tab.ask("document.getElementById('keys').open") is True
    tab.press("Escape")
    assert tab.until("!document.getElementById('keys').open")
    is_fine(tab)


def test_the_partner_the_raw_text_and_the_tree(chrome, silence):  # noqa: F811
    tab = chrome.open(silence, "#row-4")
    assert "its CALL #0" in tab.ask("document.querySelector('#detail .bar').textContent")
    assert tab.ask("document.querySelectorAll('#detail .tree details').length") == 2
    tab.click("#detail .bar button:nth-of-type(2)")
    text = tab.ask("document.querySelector('#detail .tree').textContent")
    held = [item for item in evidence_of(CAPTURES / "broken_silence.pcap").items() if isinstance(item, Row)]
    assert text == held[4].message.text.decode()
    tab.click("#detail .bar button:nth-of-type(1)")
    assert tab.until(f"{PICKED} === '0'")
    assert "its answer #4" in tab.ask("document.querySelector('#detail .bar').textContent")
    is_fine(tab)


def test_notes_and_findings_stand_below_their_row(chrome):  # noqa: F811
    row = Row(0, message(), ((Verdict("rpc-callerror", "error", "rpc"), "It failed."),), Note(0, "A", "look here"))
    tab = chrome.open(written(Told((row, *rows(3)[1:]), {0: connection()})))
    assert tab.ask("[...document.querySelectorAll('#rows .sub')].map((one) => one.textContent)") == [
        "▲ rpc-callerror It failed.", "✎ A look here"]  # fmt: skip
    is_fine(tab)


def test_the_ladder(chrome, silence):  # noqa: F811
    tab = chrome.open(silence, "#view=ladder")
    assert tab.ask("[...document.querySelectorAll('#heads .name')].map((one) => one.textContent)") == [
        "CP-IDLE", "CP-UNHEARD", "CP-DEAF", "CP-IDLER", "CSMS"]  # fmt: skip
    assert tab.ask("document.querySelectorAll('#rows .row:not(.sub) svg .shaft').length") == tab.ask(
        "document.querySelectorAll('#rows .row:not(.sub)').length"
    )
    is_fine(tab)


def test_what_belongs_to_no_connection_has_a_place_on_the_ladder(chrome):  # noqa: F811
    tab = chrome.open(written(evidence_of(CAPTURES / "tls" / "tls12_rsa.pcapng")), "#view=ladder")
    assert tab.ask("document.querySelectorAll('#rows .row').length") > 3
    assert "NaN" not in tab.ask("document.getElementById('list').innerHTML")
    tab.ask("location.hash = 'view=charts'")
    assert tab.until("document.getElementById('charts').textContent") == "There is nothing to draw."
    is_fine(tab)


def test_more_stations_than_lanes(chrome):  # noqa: F811
    known = {number: connection(number, f"CP-{number}") for number in range(20)}
    items = tuple(Row(row, message(row, connection=row)) for row in range(20))
    tab = chrome.open(written(Told(items, known)), "#view=ladder")
    assert tab.ask("[...document.querySelectorAll('#heads .name')].map((one) => one.textContent)") == [
        "stations",
        "CSMS",
    ]
    assert "CP-7" in tab.ask("document.getElementById('rows').textContent")
    is_fine(tab)


@pytest.mark.parametrize("name", ["broken_silence", "broken201", "broken_figures", "refused_handshakes"])
def test_charts(chrome, name):  # noqa: F811
    tab = chrome.open(written(evidence_of(CAPTURES / f"{name}.pcap")), "#view=charts")
    titles = tab.ask("[...document.querySelectorAll('figcaption')].map((one) => one.firstChild.textContent.trim())")
    assert {"Latency", "Connections", "Latency by action"} <= set(titles)
    if name == "broken201":
        assert {"Energy of CS-SEQ TX-CS-SEQ", "Power of CS-SEQ TX-CS-SEQ"} <= set(titles)
    if name == "broken_silence":
        assert "Time between heartbeats" in titles
    assert not re.search("NaN|Infinity|undefined", tab.ask("document.getElementById('charts').innerHTML"))
    tab.click("#charts .dot")
    assert tab.until(PICKED).isdigit()
    is_fine(tab)


def test_a_page_of_many_rows_shows_few_of_them(chrome):  # noqa: F811
    tab = chrome.open(written(Told(rows(30_000), {0: connection()})))
    assert tab.ask("document.querySelectorAll('#rows .row').length") < 100
    assert tab.ask("document.getElementById('list').getAttribute('aria-rowcount')") == "30001"
    tab.ask("document.getElementById('list').focus()")
    tab.press("End")
    assert tab.until(PICKED) == "29999"
    assert tab.ask("document.querySelectorAll('#rows .row').length") < 100
    tab.ask("document.getElementById('list').scrollTop = 22 * 15000")
    assert tab.until(f"{ROWS}.includes('15000')")
    is_fine(tab)


def test_for_those_who_do_not_see_it(chrome, silence):  # noqa: F811
    tab = chrome.open(silence, "#row-5")
    names = {
        node["role"]["value"]: node for node in tab.command("Accessibility.getFullAXTree")["nodes"] if "role" in node
    }
    assert {"grid", "row", "gridcell", "columnheader", "tablist", "tab", "search", "complementary"} <= set(names)
    assert tab.ask("document.getElementById('list').getAttribute('aria-activedescendant')") == tab.ask(
        "document.querySelector('#rows [aria-selected=true]').id"
    )
    fields = "[...document.querySelectorAll('input, select, button')]"
    assert tab.ask(f"{fields}.filter((one) => !one.ariaLabel && !one.textContent && !one.labels?.length).length") == 0


def test_on_paper(chrome, silence):  # noqa: F811
    tab = chrome.open(silence)
    paper = base64.b64decode(tab.command("Page.printToPDF")["data"])
    assert paper.startswith(b"%PDF")
    assert tab.ask("document.getElementById('paper')") is None
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    assert tab.ask("document.querySelectorAll('#paper tbody tr').length") == 106
    is_fine(tab)


def test_without_scripts_findings_and_stations_can_be_read(chrome, silence):  # noqa: F811
    tab = chrome.open(b"<p>", name="other.html")
    tab.command("Emulation.setScriptExecutionDisabled", value=True)
    file = chrome.place / "page.html"
    file.write_bytes(silence)
    tab.navigate(file.as_uri())
    text = tab.snapshot_text()
    assert "The CSMS does not answer the station" in text
    assert "101 ocpp1.6" in text
    assert "need JavaScript" in text


# --- hostile texts

EVERYWHERE = """(async () => {
  const wait = () => new Promise((done) => setTimeout(done, 5));
  for (const tab of document.querySelectorAll('nav [role=tab]')) { tab.click(); await wait(); }
  for (const one of document.querySelectorAll('details')) one.open = true;
  for (const view of ['messages', 'ladder']) {
    document.querySelector(`[data-view=${view}]`).click();
    for (let at = 0; at < document.querySelectorAll('#rows .row').length; at += 1) {
      document.querySelectorAll('#rows .row')[at].click();
      for (const one of document.querySelectorAll('#detail details')) one.open = true;
      const buttons = [...document.querySelectorAll('#detail .bar button')];
      const raw = buttons.find((one) => /raw|tree/.test(one.textContent));
      if (raw) raw.click();
    }
  }
  for (const one of document.querySelectorAll('.only, .all')) one.click();
  dispatchEvent(new Event('beforeprint'));
  for (let turn = 0; turn < 20; turn += 1) await wait();
})()"""
STRANGE = (
    "document.querySelectorAll('img, iframe, object, embed, link, base, form[action], script:not([type])').length"
)
LINKS = "[...document.querySelectorAll('[href]')].every((one) => one.getAttribute('href').startsWith('#'))"


@pytest.mark.parametrize("bad", [*HOSTILE[:3], " ".join(HOSTILE[3:])])
def test_hostile_texts_run_nothing(chrome, bad):  # noqa: F811
    tab = chrome.open(written(hostile(bad)))
    tab.ask(EVERYWHERE)
    assert tab.ask("typeof window.ran") == "undefined"
    assert tab.ask(STRANGE) == 1  # its own script
    assert tab.ask(LINKS) is True
    assert re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029]", tab.ask("document.body.innerText")) is None
    is_fine(tab)


def test_hostile_texts_are_shown(chrome):  # noqa: F811
    tab = chrome.open(written(hostile(HOSTILE[0])), "#row-0")
    detail = tab.ask("document.getElementById('detail').innerText")
    assert detail.count("</script><script>window.ran=1</script>") > 3


def test_the_trap_would_snap(chrome):  # noqa: F811
    """Were the text not escaped and the policy not there, the browser would run it."""
    bad = written(hostile("MARK")).replace(b"MARK", HOSTILE[0].encode())
    policy = html.policy(assets.style(), assets.script()).encode()
    assert policy in bad
    tab = chrome.open(bad.replace(policy, b""))
    assert tab.ask("window.ran") == 1


def test_the_policy_stops_what_would_slip_through(chrome):  # noqa: F811
    bad = "<script>window.ran=1</script><img src=x onerror=window.ran=2><p style='position:fixed'>"
    tab = chrome.open(written(Told(rows(2), {0: connection()})).replace(b"<main>", f"<main>{bad}".encode(), 1))
    assert tab.ask("typeof window.ran") == "undefined"
    assert len([text for text in tab.complaints() if "Content Security Policy" in text]) >= 3
    tab.ask("fetch('http://192.0.2.1/').catch(() => 0)")
    assert all(not address.startswith("http") for address in tab.addresses())


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 60_000,
        b"[" * 25_000 + b"]" * 25_000,
        b'{"a":' * 9000 + b"1" + b"}" * 9000,
        b"[" + b",".join(b"%d" % number for number in range(12_000)) + b"]",
        b'[2,"1","A",{"a":"' + b"\\u202e" * 3000 + b'"}]',
        b'"' + b"\\" * 60_001,
        b"[" + b"x" * (10 << 20),
        b"\0" * 5000,
    ],
    ids=["open", "deep", "deep-objects", "wide", "bidi", "backslashes", "10MB", "nul"],
)
def test_large_and_deep_texts_break_nothing(chrome, text):  # noqa: F811
    tab = chrome.open(written(Told((Row(0, message(0, text)), *rows(3)[1:]), {0: connection()})), "#row-0")
    tab.ask(EVERYWHERE)
    assert tab.ask("document.querySelectorAll('#detail *').length") < 20_000
    is_fine(tab)


def test_json_is_shown_as_it_was_written(chrome):  # noqa: F811
    text = b'[2,"1","A",{"2":12345678901234567890,"1":1.0,"1":-0e9,"e":"\\u00e9\\ud800"}]'
    tab = chrome.open(written(Told((Row(0, message(0, text)),), {0: connection()})), "#row-0")
    shown = tab.ask("[...document.querySelectorAll('#detail .leaf')].map((one) => one.textContent)")
    assert shown == ["2", '"1"', '"A"', '"2": 12345678901234567890', '"1": 1.0', '"1": -0e9', '"e": "\\u00e9\\ud800"']


def test_problems_and_outcomes(chrome):  # noqa: F811
    late = message(
        1,
        b'[3,"id-0",{}]',
        kind=Kind.CALLRESULT,
        side=Side.CSMS,
        outcome=Outcome.LATE,
        reply_to=0,
        latency_ns=40 * 10**9,
    )
    tab = chrome.open(written(Told((Row(0, message()), Row(1, late)), {0: connection()})))
    assert "LATE: after the timeout" in tab.ask("document.getElementById('rows').textContent")
    assert tab.ask("document.querySelector('#rows .slow').textContent") == "40.0s"
