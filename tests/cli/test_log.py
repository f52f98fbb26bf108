"""`ocppscope log`: goldens, formats, filters, legs, hostile peers."""

import csv
import io
import json

import pytest

from support_cli import CAPTURES, START_NS, Session, frame, run, same_as_golden, write

GOLDEN = ["remote_start_stop", "refused_handshakes", "malformed", "slow_and_missing", "any_interface", "capture_loss"]
NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
CALL = '[2,"19223201","Heartbeat",{}]'
RESULT = '[3,"19223201",{"currentTime":"2026-11-22T12:00:00Z"}]'


@pytest.mark.parametrize("name", GOLDEN)
def test_text(name):
    done = run("log", CAPTURES / f"{name}.pcap")
    assert done.code == 0
    same_as_golden(f"{name}.log", done.out + done.err)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_rows(form):
    done = run("log", "--format", form, CAPTURES / "slow_and_missing.pcap")
    assert (done.code, done.err) == (0, "")
    same_as_golden(f"slow_and_missing.{form}", done.out)


def test_full_and_events():
    same_as_golden("ipv6.full.log", run("log", "--full", "--pings", "-c", "6", CAPTURES / "ipv6.pcap").out)
    done = run("log", "--format", "jsonl", "--events", CAPTURES / "refused_handshakes.pcap")
    same_as_golden("refused_handshakes.events.jsonl", done.out)
    assert {json.loads(line)["type"] for line in done.lines} == {"message", "opened", "closed", "frame"}


@pytest.mark.parametrize("name", NAMES)
def test_formats_agree_on_the_messages(name):
    capture = CAPTURES / f"{name}.pcap"
    rows = [json.loads(line) for line in run("log", "--format", "jsonl", capture).lines]
    assert rows
    assert all(row["type"] == "message" for row in rows)
    table = list(csv.DictReader(io.StringIO(run("log", "--format", "csv", capture).out, newline=""), strict=True))
    assert [(str(row["row"]), row["kind"]) for row in rows] == [(row["row"], row["kind"]) for row in table]
    kinds = ("CALL ", "CALLRESULT ", "CALLERROR ", "CALLRESULTERROR ", "SEND ", "UNPARSED ")
    text = [line for line in run("log", capture).lines if any(f"{a} {kind}" in line for kind in kinds for a in "→←")]
    assert len(text) == len(rows)


def test_no_command_means_log(tmp_path):
    capture = CAPTURES / "ipv6.pcap"
    expected = run("log", capture).out
    assert run(capture).out == expected
    assert run("-r", capture).out == expected
    assert run("--debug", "-r", capture).out == expected
    assert run("-", stdin=capture.read_bytes()).out == expected


def test_several_captures_are_one():
    first, second = CAPTURES / "ocpp16_plain.pcap", CAPTURES / "ocpp201.pcap"
    rows = [json.loads(line) for line in run("-r", second, first, "--format", "jsonl").lines]
    assert [row["row"] for row in rows] == list(range(88))
    assert [row["time_ns"] for row in rows] == sorted(row["time_ns"] for row in rows)


@pytest.mark.parametrize("text", ["bootnotification", "BOOT", '"Example Vendor"'])
def test_filter_by_text(text):
    done = run("log", "-Y", text, CAPTURES / "ocpp16_plain.pcap", "--format", "jsonl")
    assert done.lines
    assert all(text.strip('"').lower() in json.loads(line)["text"].lower() or "Boot" in line for line in done.lines)


FILTERS = [
    (
        "action == MeterValues and payload.connectorId == 1",
        lambda row: 'MeterValues",{"connectorId":1' in row["text"],
    ),
    ("kind == CALLRESULT && latency > 5ms", lambda row: row["kind"] == "CALLRESULT" and row["latency_ns"] > 5e6),
    ("side == csms and not (kind in {CALLRESULT})", lambda row: row["side"] == "csms" and row["kind"] == "CALL"),
    ("row < 7", lambda row: row["row"] < 7),
    ("delta > 50ms and row > 0", lambda row: row["row"] > 0),
    ("packet > 20", lambda row: row["packets"][0] > 20),
]


@pytest.mark.parametrize(("text", "fits"), FILTERS)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_filter(text, fits, jobs):
    path = CAPTURES / "ocpp16_plain.pcap"
    every = [json.loads(line) for line in run("log", path, "--format", "jsonl").lines]
    done = run("log", "-Y", text, path, "--format", "jsonl", "--jobs", jobs)
    shown = [json.loads(line) for line in done.lines]
    wanted = [row for row in every if fits(row)]
    if text.startswith("delta"):
        times = [row["time_ns"] for row in every]
        wanted = [row for row in wanted if row["time_ns"] - times[row["row"] - 1] > 50e6]
    assert 0 < len(wanted) < len(every)
    assert shown == wanted


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("latncy > 2s", "There is no field “latncy” (“latncy”, character 1)", "Did you mean “latency”?"),
        ("latency > 2", "“2” is no value of “latency” (“2”, character 11)", "2s or 2ms"),
        ("action ==", "", ""),
        ("@nothing", "There is no filter named “nothing”", "[filters]"),
    ],
)
def test_a_wrong_filter_says_where(text, sentence, hint):
    for command in ("log", "stations"):
        done = run(command, "-Y", text, CAPTURES / "ocpp16_plain.pcap")
        assert done.code == 2
        assert done.err.startswith("ocppscope: The filter is wrong: ")
        assert sentence in done.err
        assert hint in done.err
        assert done.out == ""


def test_a_filter_with_a_name(tmp_path, monkeypatch):
    (tmp_path / "ocppscope").mkdir()
    (tmp_path / "ocppscope" / "config.toml").write_text('[filters]\nboot = "action == BootNotification"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done = run("log", "-Y", "@boot and kind == CALL", CAPTURES / "several_stations.pcap", "--format", "jsonl")
    assert {json.loads(line)["action"] for line in done.lines} == {"BootNotification"}


def test_filter_by_station_keeps_its_connection_lines():
    done = run("log", "-Y", "fleet-03", CAPTURES / "several_stations.pcap")
    assert all("CP-FLEET-03" in line for line in done.lines[1:] if not line.startswith("    !"))
    assert " OPEN " in done.out
    assert " CLOSED " in done.out


def test_filter_keeps_row_numbers():
    whole = {json.loads(line)["row"]: line for line in run(CAPTURES / "ipv6.pcap", "--format", "jsonl").lines}
    some = run(CAPTURES / "ipv6.pcap", "--format", "jsonl", "-Y", "StatusNotification").lines
    assert 0 < len(some) < len(whole)
    assert all(whole[json.loads(line)["row"]] == line for line in some)


def test_a_filter_that_matches_nothing_says_so():
    done = run("log", "-Y", "nosuchthing", CAPTURES / "ipv6.pcap")
    assert (done.code, done.out) == (0, "")
    assert done.err == "note: none of the 34 messages passes the filter\n"
    assert run("log", "-q", "-Y", "nosuchthing", CAPTURES / "ipv6.pcap").err == ""


def test_count_stops_after_so_many_messages():
    assert len(run("log", "-c", "5", "--format", "jsonl", CAPTURES / "ipv6.pcap").lines) == 5
    assert run("log", "-c", "0", CAPTURES / "ipv6.pcap").code == 2


def test_a_repeated_leg_is_folded_and_said():
    capture = CAPTURES / "any_interface.pcap"
    folded, whole = run("log", capture), run("log", "--legs", capture)
    assert "36 messages not shown" in folded.err
    assert "repeats the session of #0" in folded.out
    rows = [json.loads(line) for line in run("--format", "jsonl", capture).lines]
    assert (len(rows), {row["connection"] for row in rows}) == (36, {0})
    both = [json.loads(line) for line in run("--format", "jsonl", "--legs", capture).lines]
    assert len(both) == 72
    assert whole.err == ""
    names = {row["row"]: (row["connection"], row["ordinal"]) for row in both}
    assert all(names[row["row"]] == (row["connection"], row["ordinal"]) for row in rows)


def test_timeout_decides_what_is_late():
    capture = CAPTURES / "slow_and_missing.pcap"
    assert "[LATE" not in run(capture).out
    shown = run("--timeout", "4", capture).out
    assert shown.count("[LATE") == 2
    assert shown.count(" TIMEOUT ") == 2


def test_decode_as(tmp_path):
    session = Session()
    session.packets.clear()  # the capture begins after the handshakes
    session.say(0, CALL).say(1, RESULT).say(0, '[2,"2","Heartbeat",{}]').say(1, '[3,"2",{"currentTime":"x"}]')
    capture = write(tmp_path / "a.pcap", session)
    version = {json.loads(line)["version"] for line in run(capture, "--format", "jsonl").lines}
    assert version == {"?"}
    rows = [json.loads(line) for line in run(capture, "--format", "jsonl", "-d", "tcp.port==9000,ocpp2.0.1").lines]
    assert {(row["version"], row["version_guessed"]) for row in rows} == {("2.0.1", False)}


@pytest.mark.parametrize(
    "rule", ["tcp.port==0,ocpp1.6", "tcp.port==9000", "tcp.port==9000,ocpp3", "udp.port==1,ocpp1.6"]
)
def test_decode_as_refuses(rule):
    done = run(CAPTURES / "ipv6.pcap", "-d", rule)
    assert done.code == 2
    assert "tcp.port==9000,ocpp1.6" in done.err


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("a", "12:00:00.004 "),
        ("ad", "2026-11-22 12:00:00.004 "),
        ("ud.6", "2026-11-22 12:00:00.004000 "),
        ("r", "    0.004000 "),
        ("d", "    0.000000 "),
        ("dd.3", "    0.000 "),
        ("e", "1795348800.004000 "),
    ],
)
def test_time_formats(tmp_path, form, start):
    session = Session().upgrade()
    assert session.clock == START_NS + 4_000_000
    capture = write(tmp_path / "a.pcap", session.say(0, CALL))
    (line,) = [line for line in run("-t", form, "-Y", "19223201", capture).lines if " CALL " in line]
    assert line.startswith(start)


def test_wrong_time_format():
    assert run(CAPTURES / "ipv6.pcap", "-t", "noon").code == 2


def test_csv_cannot_show_events():
    done = run("log", "--format", "csv", "--events", CAPTURES / "ipv6.pcap")
    assert (done.code, done.out) == (2, "")


def test_websockets_without_ocpp_are_shown_on_request(tmp_path):
    session = Session().upgrade(path="/chat", protocol="chat").say(0, "hello").say(1, "world")
    capture = write(tmp_path / "a.pcap", session)
    assert '"text"' not in run(capture, "--format", "jsonl").out
    rows = [json.loads(line) for line in run(capture, "--format", "jsonl", "--all-websockets").lines]
    assert [row["text"] for row in rows] == ["hello", "world"]


# --- terminals and hostile peers --------------------------------------------------------------------------------


HOSTILE = [
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x9b2J\x1b[31m\x1b[2J",
    "\u202etxt.exe\u2066",
    "a\r\nb\x00\x08",
    "[/nope] [bold]",
]


def hostile_capture(path):
    session = Session().upgrade(path="/ocpp/CP-%1B%5B2J%E2%80%AE1")
    for number, text in enumerate(HOSTILE):
        session.say(
            0, text, json.dumps([2, f"{number}{text}", text, {text: text, "idTag": text}], ensure_ascii=False)
        )
        session.say(1, json.dumps([4, f"{number}{text}", text, text, {text: text}], ensure_ascii=False))
        session.send(0, frame(text.encode(), masked=True, opcode=9))
    session.say(0, b"\xff\xfe\x9b", json.dumps([2, "x" * 40, "Heartbeat", {"x": "y" * 1_000_000}]))
    session.send(0, frame(b"\x03\xe8\x1b[2J", masked=True, opcode=8))
    return write(path / "hostile.pcap", session)


@pytest.mark.parametrize(
    "arguments",
    [
        ["log"],
        ["log", "--full", "--pings"],
        ["log", "--format", "jsonl", "--events"],
        ["log", "--format", "csv"],
        ["stations"],
        ["stations", "--handshake"],
        ["stations", "--format", "jsonl"],
    ],
)
def test_nothing_from_the_wire_is_obeyed_by_a_terminal(tmp_path, arguments):
    done = run(*arguments, "--color", "never", hostile_capture(tmp_path))
    assert done.code == 0
    assert len(done.lines) > 0
    for line in done.out.replace("\r\n", "\n").split("\n") + done.err.split("\n"):
        assert line.isprintable()


def test_lines_are_bounded_whatever_a_peer_sends(tmp_path):
    done = run("log", hostile_capture(tmp_path))
    assert max(map(len, done.lines)) < 600


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_terminal_is_coloured_and_not_overrun(tmp_path, width, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    capture = CAPTURES / "malformed.pcap"
    coloured = run("log", capture, terminal=True, width=width)
    plain = run("log", capture, "--color", "never", terminal=True, width=width)
    assert "\x1b[" in coloured.out
    assert "\x1b" not in plain.out
    assert max(map(len, plain.lines)) <= width


@pytest.mark.parametrize(("name", "setting"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_unwanted(monkeypatch, name, setting):
    monkeypatch.setenv(name, setting)
    assert "\x1b" not in run("log", CAPTURES / "ipv6.pcap", terminal=True, width=100).out
    assert "\x1b" in run(CAPTURES / "ipv6.pcap", "--color", "always").out
