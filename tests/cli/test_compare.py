"""`ocppscope compare`: what it prints in each form, its exit codes, and pages that are safe to open and to share."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support_cli import CAPTURES, Session, run, write

PAIR = CAPTURES / "compare"
CONVERSATIONS = Path(__file__).parents[1] / "compare" / "conversations"
HOSTILE = (
    '<script>document.title="broken"</script><img src=x onerror="document.title=\'broken\'">',
    "</style><script>document.title='broken'</script>",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[2J\u202eevil",
)


def hostile(path, day):
    """A session whose every text is an attack."""
    session = Session().upgrade(path="/ocpp/CP-1")
    for number, text in enumerate(HOSTILE):
        payload = json.dumps({"vendorId": text, "data": f"2026-11-{day}T10:00:00Z", text[:40]: number})
        session.say(0, f'[2,"{number}","DataTransfer",{payload}]', json.dumps([2, f"x{number}", text[:40], {}]))
        session.say(1, f'[3,"{number}",{{"status":"Accepted"}}]', json.dumps([4, f"x{number}", text, text, {}]))
    return write(path, session)


def test_text():
    done = run("compare", PAIR / "station.pcap", PAIR / "csms.pcap")
    assert (done.code, done.err) == (0, "")
    assert "One session seen from two places" in done.out
    assert "never arrived at B: StatusNotification" in done.out


def test_exit_codes():
    good, bad = CONVERSATIONS / "good.txt", CONVERSATIONS / "bad.txt"
    assert run("compare", good, bad, "--fail-on-difference").code == 1
    assert run("compare", good, bad).code == 0
    assert run("compare", good, good, "--fail-on-difference").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "no capture"),
        ((PAIR / "station.pcap",), 2, "1 was named"),
        ((PAIR / "station.pcap",) * 3, 2, "3 were named"),
        (("-", "-"), 2, "one capture, not two"),
        ((PAIR / "station.pcap", "nowhere.pcap"), 3, "nowhere.pcap"),
        ((PAIR / "station.pcap", PAIR / "csms.pcap", "--as", "sessions", "--station", "X"), 2, "no station 'X'"),
        ((PAIR / "station.pcap", PAIR / "csms.pcap", "--view", "--format", "json"), 2, "--view"),
        ((PAIR / "station.pcap", "-", "--view"), 2, "terminal"),
    ],
)
def test_what_cannot_be_done_is_said(words, code, said):
    done = run("compare", *words)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_view_needs_a_terminal():
    done = run("compare", PAIR / "station.pcap", PAIR / "csms.pcap", "--view")
    assert (done.code, done.out) == (2, "")
    assert "need a terminal" in done.err


def test_json():
    done = run("compare", PAIR / "station.pcap", PAIR / "csms.pcap", "--format", "json")
    found = json.loads(done.out)
    assert (found["format"], found["mode"], found["clock"]["station_side"]) == (1, "vantage", "A")
    (lost,) = [one for one in found["differences"] if one["code"] == "not-arrived"]
    marked = [line for line in lost["ladder"] if line["mark"] == "only A"]
    assert marked[0]["b"] is None
    assert json.loads(marked[0]["a"]["text"])[2] == "StatusNotification"
    legs = next(one for one in found["tables"] if one["id"] == "legs")
    assert {row["from"] for row in legs["rows"]} == {"→", "←"}
    assert legs["units"]["p50"] == "ns"


def test_one_from_standard_input():
    done = run("compare", PAIR / "station.pcap", "-", stdin=(PAIR / "csms.pcap").read_bytes())
    assert "never arrived at B" in done.out


def test_forced_modes():
    both = PAIR / "station.pcap", PAIR / "csms.pcap"
    assert "As was asked for: two sessions." in run("compare", *both, "--as", "sessions").out
    other = run("compare", CAPTURES / "clean16.pcap", CAPTURES / "clean21.pcap", "--as", "vantage")
    assert "No connection is in both captures" in other.out


def test_nothing_from_the_wire_reaches_a_terminal(tmp_path):
    a, b = hostile(tmp_path / "a.pcap", 21), hostile(tmp_path / "b.pcap", 22)
    for form in ("text", "json", "html"):
        done = run("compare", a, b, "--format", form, "--full", "--color", "never", "--show-secrets")
        assert done.code == 0, done.err
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out or form == "json"


# --- html ---------------------------------------------------------------------------------------------------------


def page_of(*words):
    done = run("compare", *words, "--format", "html")
    assert done.code == 0, done.err
    return done.out


def test_a_page_asks_for_nothing_and_has_no_script(tmp_path):
    page = page_of(hostile(tmp_path / "a.pcap", 21), hostile(tmp_path / "b.pcap", 22), "--show-secrets")
    assert "<script" not in page
    assert re.findall(r'(?:src|href|action)\s*=\s*"[^"]*"', page) == []
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "{{" not in re.sub(r"\{\{ 7\*7 \}\}", "", html.unescape(page))


def test_a_page_hides_names_unless_asked_not_to():
    good, bad = CONVERSATIONS / "good.txt", CONVERSATIONS / "bad.txt"
    page = page_of(good, bad)
    for name in ("CP-GOOD", "CP-BAD", "TAG-1", "TAG-77"):
        assert name not in page
    assert "ConcurrentTx" in page
    assert "CP-GOOD" in page_of(good, bad, "--show-secrets")


def test_a_secret_that_changed_on_the_way_is_not_in_the_page(tmp_path):
    """A field-level difference is made anew from what may be shown."""

    def capture(name, secret):
        session = Session().upgrade()
        session.say(0, '[2,"1","Heartbeat",{}]').say(1, '[3,"1",{"currentTime":"2026-11-22T10:00:00Z"}]')
        session.say(0, '[2,"2","Heartbeat",{}]').say(1, '[3,"2",{"currentTime":"2026-11-22T10:01:00Z"}]')
        call = json.dumps([2, "3", "ChangeConfiguration", {"key": "AuthorizationKey", "value": secret}])
        session.say(1, call).say(0, '[3,"3",{"status":"Accepted"}]')
        return write(tmp_path / name, session)

    pair = capture("a.pcap", "4f6e65536563726574"), capture("b.pcap", "416e6f7468657231")
    assert "4f6e65536563726574" in run("compare", *pair).out
    page = page_of(*pair)
    assert "4f6e65536563726574" not in page
    assert "416e6f7468657231" not in page
    assert "changed" in page


@pytest.mark.chromium
def test_nothing_of_a_page_runs(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_of(hostile(tmp_path / "a.pcap", 21), hostile(tmp_path / "b.pcap", 22), "--show-secrets"))
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser is not None
    done = subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=90,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    assert "a.pcap and " in title[1]
    assert "<script" not in done.stdout
    assert "<img" not in done.stdout
    assert "&lt;script&gt;" in done.stdout
