"""HAR: a golden, what the standard and browsers ask of it, and readers that are none of ours."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec.structs import replace
from support_export import (
    CAPTURES,
    HOSTILE,
    NOTED,
    Given,
    capture_evidence,
    check_golden,
    connection,
    hostile,
    is_harmless,
    message,
    noted_evidence,
    read_by_node,
    rows_of,
    written,
)

from ocppscope.export import har
from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened

REQUEST = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}
RESPONSE = {
    "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize",
}  # fmt: skip


def entries(content: bytes) -> list[dict]:
    return json.loads(content)["log"]["entries"]


def test_golden(tmp_path):
    content = written("har", noted_evidence(tmp_path))
    ours = f'"version":"{version("ocppscope")}"'.encode()
    check_golden("remote_start_stop.har", content.replace(ours, b'"version":"0"'))


@pytest.mark.parametrize("name", ["remote_start_stop", "several_stations", "refused_handshakes", "midstream"])
def test_an_entry_a_connection(name):
    evidence = capture_evidence(CAPTURES / f"{name}.pcap")
    made = entries(written("har", evidence))
    assert sorted(int(one["connection"]) for one in made) == sorted(evidence.connections)
    for one in made:
        assert one["_resourceType"] == "websocket"
        assert one["request"].keys() >= REQUEST
        assert one["response"].keys() >= RESPONSE
        assert one["request"]["url"].startswith("ws://")
        assert min(one["timings"].values()) >= -1
        assert one["time"] >= 0
        numbers = [row for row in rows_of(evidence) if row.message.connection == int(one["connection"])]
        data = [said for said in one["_webSocketMessages"] if said["opcode"] in (1, 2)]
        assert [said["data"] for said in data] == [row.message.text.decode() for row in numbers]
        assert [said["type"] for said in data] == [("send", "receive")[row.message.side] for row in numbers]
        for said, row in zip(data, numbers, strict=True):
            assert said["time"] == pytest.approx(row.message.time_ns / 1e9, abs=1e-6)


def test_refused_upgrades_have_their_answer():
    made = entries(written("har", capture_evidence(CAPTURES / "refused_handshakes.pcap")))
    assert {one["response"]["status"] for one in made} >= {401, 404}
    said = {
        header["value"] for one in made for header in one["request"]["headers"] if header["name"] == "Authorization"
    }
    assert all("***" in one for one in said)
    assert said


def test_what_was_said(tmp_path):
    (entry,) = entries(written("har", noted_evidence(tmp_path)))
    said = [one["comment"] for one in entry["_webSocketMessages"] if "comment" in one]
    assert said[0] == f"[a] {NOTED}"
    assert said[1].startswith("note tx-very-short: ")


def test_binary_messages_are_base64():
    row = Row(0, message(b"\x00\xff", binary=True))
    (entry,) = entries(written("har", Given([ConnectionOpened(0, connection()), row])))
    (said,) = entry["_webSocketMessages"]
    assert said["opcode"] == 2
    assert base64.b64decode(said["data"]) == b"\x00\xff"


def test_what_overlaps_is_put_apart_in_bounded_memory(monkeypatch):
    opened = [ConnectionOpened(0, connection(number)) for number in range(3)]
    rows = [Row(n, message(b"[%d]" % n, n, connection=n % 3)) for n in range(300)]
    whole = written("har", Given([*opened, *rows]))
    monkeypatch.setattr(har, "MAX_SPOOL_HELD", 500)
    monkeypatch.setattr(har, "COPY_BYTES", 7)
    held = []
    add = har._Spool.add
    monkeypatch.setattr(har._Spool, "add", lambda self, *one: (add(self, *one), held.append(self._size))[0])
    assert written("har", Given([*opened, *rows])) == whole
    assert max(held) <= 500
    made = entries(whole)
    assert [[said["data"] for said in one["_webSocketMessages"]] for one in made] == [
        [f"[{n}]" for n in range(number, 300, 3)] for number in range(3)
    ]


def test_a_filter_that_leaves_out_how_it_began():
    evidence = capture_evidence(CAPTURES / "several_stations.pcap", wanted="action == Heartbeat")
    made = entries(written("har", evidence))
    assert sum(len(one["_webSocketMessages"]) for one in made) == len(rows_of(evidence)) > 0
    assert all(one["request"]["headers"] for one in made)


def test_hostile_texts():
    evidence = hostile()
    content = written("har", evidence)
    assert is_harmless(content.decode())
    made = entries(content)
    data = [said["data"] for said in made[0]["_webSocketMessages"] if said["opcode"] == 1]
    assert data == [
        row.message.text.decode("utf-8", "replace") for row in rows_of(evidence) if not row.message.binary
    ]
    for one in made:
        assert one["request"]["url"].isascii()
        assert not set(one["request"]["url"]) & set(' <>"{}|\\^`')


def test_a_clock_beyond_the_calendar():
    far = replace(connection(), opened_ns=1 << 62, closed_ns=-5, handshake=None)
    (entry,) = entries(written("har", Given([ConnectionOpened(1 << 62, far)])))
    assert entry["startedDateTime"].startswith("2116-")
    assert entry["time"] >= 0


@pytest.fixture
def archives(tmp_path):
    """Files that somebody else is to read."""
    made = {"hostile": hostile(), "odd": hostile(station=HOSTILE[12] + "/ä ?a=b&c")}
    for name in ("remote_start_stop", "several_stations", "refused_handshakes", "midstream", "malformed"):
        made[name] = capture_evidence(CAPTURES / f"{name}.pcap")
    paths = []
    for name, evidence in made.items():
        paths.append(tmp_path / f"{name}.har")
        paths[-1].write_bytes(written("har", evidence))
    return paths


@pytest.mark.node
def test_a_validator(archives, tmp_path):
    wrong = tmp_path / "wrong.har"
    wrong.write_text(archives[0].read_text().replace('"cookies":[],', "", 1))
    *sound, bad = read_by_node("har.mjs", *archives, wrong)
    assert sound == [[]] * len(archives)
    assert any("cookies" in one for one in bad)


IMPORTER = """(async () => {
  const {HARFormat, Importer} = await import('/devtools/models/har/har.js');
  const read = (text) => Importer.Importer.requestsFromHARLog(new HARFormat.HARRoot(JSON.parse(text)).log);
  return JSON.stringify(%s.map((text) => read(text).map((one) => ({
    url: one.url(), type: one.resourceType().name(), status: one.statusCode,
    frames: one.frames().map(({time, text, opCode, type}) => [time, text, opCode, type]),
  }))));
})()"""


@pytest.mark.chromium
def test_the_importer_of_chromium(archives, tmp_path, project_root):
    """The developer tools' own code, which Chromium serves to who debugs it, reads every message."""
    sys.path.insert(0, str(project_root / "tests" / "tui"))
    try:
        import support_browser
    finally:
        sys.path.pop(0)
    contents = [path.read_text() for path in archives]

    async def read():
        async with support_browser.browser(tmp_path) as driven:
            port = (tmp_path / "profile" / "DevToolsActivePort").read_text().split("\n")[0]
            page = await driven.page(800, 600)
            await page.open(f"http://127.0.0.1:{port}/devtools/devtools_app.html")
            return json.loads(await page.evaluate(IMPORTER % json.dumps(contents)))

    found = asyncio.run(asyncio.wait_for(read(), 90))
    assert len(found) == len(archives)
    for path, requests in zip(archives, found, strict=True):
        made = entries(path.read_bytes())
        frames = [
            [[said["time"], said["data"], said["opcode"], said["type"]] for said in one["_webSocketMessages"]]
            for one in made
        ]
        assert sorted(one["frames"] for one in requests) == sorted(frames)
        assert {one["type"] for one in requests} == {"websocket"}
        assert sorted(one["url"] for one in requests) == sorted(one["request"]["url"] for one in made)


def test_the_readers_are_there():
    programs = {path.name for path in (Path(__file__).parent / "readers").glob("*.mjs")}
    assert programs == {"har.mjs", "hooks.mjs", "mermaid.mjs"}
