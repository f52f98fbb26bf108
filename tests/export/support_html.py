"""Evidence that says what a test wishes, the page of it taken apart, and a browser that stays open for a module."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ocppscope.analysis.finding import Blame, Finding, Ref, Severity
from ocppscope.analysis.report import Report, StationSummary
from ocppscope.cli.evidence import CaptureEvidence, EvidenceRequest
from ocppscope.export import html
from ocppscope.export.evidence import Row
from ocppscope.export.writing import Job
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    Flow,
    Handshake,
    Kind,
    Message,
    Outcome,
    PacketComment,
    Problem,
    Side,
    Version,
)
from ocppscope.options import Options
from ocppscope.store.notes import NO_NOTE, Note
from ocppscope.store.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from support_browser import Page, browser

START_NS = 1_795_348_800_000_000_000  # 2026-11-22 12:00:00 UTC
SECOND = 1_000_000_000
CODES = {"Escape": 27, "Enter": 13}
"""Windows virtual key codes, which the protocol wants where the browser itself has a use for a key."""
FLOW = Flow(Endpoint("192.0.2.10", 40_000), Endpoint("192.0.2.20", 9000))


class Told(NamedTuple):
    """Implements `Evidence` with what it is told."""

    told: tuple[Any, ...]
    connections: dict[int, Connection]
    report: Report | None = None
    title: str = "told.pcap"
    captures: tuple[str, ...] = ("told.pcap",)
    source: None = None

    def items(self) -> Iterator[Any]:
        return iter(self.told)


def evidence_of(path: Path | str, wanted: str = "") -> CaptureEvidence:
    """A capture as the command line has it."""
    evidence = CaptureEvidence(EvidenceRequest([str(path)], Options(), wanted, quiet=True))
    evidence.prepare()
    return evidence


def written(evidence: Any, form: Any = html) -> bytes:
    """What a form makes of it."""
    out = io.BytesIO()
    form.write(evidence, out, Job())
    return out.getvalue()


def connection(number: int = 0, station: str = "CP-1", **changes: Any) -> Connection:
    upgrade = Handshake(
        "GET", f"/ocpp/{station}", station, "", (("Host", station),), "key", "13", ("ocpp1.6",), (), START_NS,
        status=101, protocol="ocpp1.6", answered_ns=START_NS + 1000, response_headers=(("X-Said", station),),
    )  # fmt: skip
    known = {"handshake": upgrade, "closed_ns": None, "problems": ()} | changes
    return Connection(number, FLOW, START_NS, 1, station, Version.V16, False, **known)


def message(ordinal: int = 0, text: bytes | None = None, **changes: Any) -> Message:
    """A heartbeat of the station, unless it is said otherwise."""
    values: dict[str, Any] = {
        "time_ns": START_NS + ordinal * SECOND, "connection": 0, "ordinal": ordinal, "side": Side.STATION,
        "kind": Kind.CALL, "id": f"id-{ordinal}", "action": "Heartbeat", "wire_size": 50, "packets": (ordinal + 1,),
        "outcome": Outcome.PENDING,
    }  # fmt: skip
    values["text"] = f'[2,"id-{ordinal}","Heartbeat",{{}}]'.encode() if text is None else text
    return Message(**(values | changes))


def rows(count: int) -> tuple[Row, ...]:
    return tuple(Row(row, message(row)) for row in range(count))


HOSTILE = (
    "</script><script>window.ran=1</script>",
    '"><img src=x onerror=window.ran=1>',
    "javascript:window.ran=1",
    "<!--<script>",
    "]]></style><svg onload=window.ran=1>",
    "{{7*7}}{%raw%}<b>",
    "' onmouseover='window.ran=1",
    '<iframe src="http://192.0.2.1/">',
    "\u202eevil\u2066\u200b",
    "\u2028\u2029\0\x1b]52;c;x\x07",
    "\ud800\udfff",
)


def hostile(bad: str) -> Told:
    """Evidence in which a text stands wherever texts from elsewhere do."""
    raw = json.dumps(bad, ensure_ascii=True).encode()
    plain = bad.encode("utf-8", "surrogatepass")
    problem = Problem("ocpp.arity", bad, f"/a/{bad}")
    frame = ControlFrame(START_NS, 0, Side.CSMS, 8, plain, (4,), 1002, bad, (problem,))
    known = connection(0, bad, problems=(Problem("http.target", bad),))
    ended = connection(
        0, bad, closed_ns=START_NS + 9 * SECOND, close_how="close frame", close_code=1002, close_reason=bad
    )
    note = Note(START_NS, bad[:32], bad)
    said = ((Verdict("rpc-callerror", "error", "rpc"), bad), (Verdict(bad, "warning", bad), bad))
    call = message(0, b"[2,%s,%s,{%s:%s}]" % (raw, raw, raw, raw), id=bad, action=bad, problems=(problem,))
    refusal = message(
        1, b'[4,"1",%s,%s,{}]' % (raw, raw), kind=Kind.CALLERROR, side=Side.CSMS, outcome=Outcome.ERROR, reply_to=0,
        latency_ns=7,
    )  # fmt: skip
    items = (
        ConnectionOpened(START_NS, known),
        Row(0, call, said, note),
        Row(1, refusal),
        Row(2, message(2, plain + b"\xff", kind=Kind.UNPARSED, action="", id="")),
        Row(3, message(3, b'[2,"x","BootNotification",{"chargePointModel":%s}]' % raw, action="BootNotification")),
        PacketComment(START_NS, 3, 0, Side.STATION, bad),
        frame,
        ConnectionClosed(START_NS + 9 * SECOND, ended),
    )  # fmt: skip
    refs = (Ref(START_NS, 0, 0, 1, bad), Ref(START_NS, 0, -1, 0, bad), Ref(START_NS, 7, 7, 1, bad))
    found = tuple(
        Finding(
            number, rule, Severity.ERROR, bad, (0,), bad, Blame.CSMS, START_NS, START_NS, 2, refs, {bad: bad}, bad,
            root, bad,
        )
        for number, rule, root in ((0, "rpc-callerror", None), (1, "rpc-callerror", 0), (2, bad, None))
    )  # fmt: skip
    stations = (StationSummary(bad, bad, "1.6", "host", 1, (3, 1), (bad,)),)
    report = Report((bad,), START_NS, START_NS + SECOND, 4, stations, found, (bad,))
    return Told(items, {0: ended}, report, bad, (bad,))


class Parts(HTMLParser):
    """The elements of a page, with the text of those that have no elements in them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self._open = -1
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = len(self.elements) - 1

    def handle_endtag(self, tag: str) -> None:
        self._open = -1

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def text_of(self, wanted: str, **attributes: str) -> list[str]:
        return [
            self.texts.get(place, "")
            for place, (tag, attrs) in enumerate(self.elements)
            if tag == wanted and attributes.items() <= attrs.items()
        ]

    def lines(self) -> list[list[Any]]:
        """What the page holds of messages and events."""
        blocks = [
            self.texts[place]
            for place, (tag, attrs) in enumerate(self.elements)
            if tag == "script" and attrs.get("class") == "rows"
        ]
        return [line for block in blocks for line in json.loads(block)]

    def meta(self) -> dict[str, Any]:
        return json.loads(self.text_of("script", id="meta")[0])


class Chrome:
    """A browser that is asked without `await`."""

    def __init__(self, place: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = browser(place)
        self._tab: Page | None = None
        self.place = place
        self._browser = self._loop.run_until_complete(self._context.__aenter__())

    def close(self) -> None:
        try:
            self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        finally:
            self._loop.close()

    def open(
        self, page: bytes, address: str = "", *, name: str = "page.html", size: tuple[int, int] = (1300, 800)
    ) -> Tab:
        """A page from a file, as who gets it by mail opens it."""
        file = self.place / name
        file.write_bytes(page)
        if self._tab is not None:
            self._run(self._tab.ask("Page.close"))  # a tab behind others is slow
        tab = self._tab = self._run(self._browser.page(*size))
        self._run(tab.open(f"{file.as_uri()}{address}"))
        return Tab(self._run, tab)

    def _run(self, awaited: Any) -> Any:
        return self._loop.run_until_complete(awaited)


class Tab:
    """One page in it."""

    def __init__(self, run: Any, page: Page) -> None:
        self._run = run
        self.page = page

    def ask(self, script: str) -> Any:
        """What an expression gives."""
        given = self._run(self.page.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True))
        assert "exceptionDetails" not in given, given["exceptionDetails"]
        return given["result"].get("value")

    def command(self, method: str, **parameters: Any) -> Any:
        return self._run(self.page.ask(method, **parameters))

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
            code = {"windowsVirtualKeyCode": CODES[key]} if key in CODES else {}
            for kind in ("keyDown", "keyUp"):
                self.command(
                    "Input.dispatchKeyEvent", type=kind, key=key, **code, **(text if kind == "keyDown" else {})
                )

    def write(self, text: str) -> None:
        self.command("Input.insertText", text=text)

    def navigate(self, url: str) -> None:
        """Goes there, until the page is loaded."""
        loads = len(self.page.said("Page.loadEventFired"))
        self.command("Page.navigate", url=url)
        self._run(self.page.until(lambda: len(self.page.said("Page.loadEventFired")) > loads))

    def snapshot_text(self) -> str:
        """All text of the page that is laid out, also where no script may run."""
        snapshot = self.command("DOMSnapshot.captureSnapshot", computedStyles=[])
        texts = snapshot["documents"][0]["layout"]["text"]
        return " ".join(snapshot["strings"][place] for place in texts if place >= 0)

    def click(self, selector: str) -> None:
        """A real click in the middle of an element."""
        box = self.ask(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            "one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            self.command("Input.dispatchMouseEvent", type=kind, **where)

    def until(self, script: str) -> Any:
        """Waits until an expression is true; what it gives."""
        given = self.ask(
            "new Promise((done, failed) => { const end = Date.now() + 20000; const look = () => {"
            f"const found = {script}; if (found) done(found);"
            "else if (Date.now() > end) failed(new Error('in vain')); else setTimeout(look, 20); }; look(); })"
        )
        assert given, script
        return given

    def frame(self) -> None:
        """Until the next picture is drawn."""
        self.ask("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def complaints(self) -> list[str]:
        """Errors that the browser told: a broken policy, an exception."""
        said = self.page.said
        logged = [event["entry"]["text"] for event in said("Log.entryAdded") if event["entry"]["level"] == "error"]
        return logged + [str(event["exceptionDetails"]) for event in said("Runtime.exceptionThrown")]

    def addresses(self) -> list[str]:
        """Everything that it asked for."""
        return [event["request"]["url"] for event in self.page.said("Network.requestWillBeSent")]


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser for all tests of a module."""
    driven = Chrome(tmp_path_factory.mktemp("chrome"))
    try:
        yield driven
    finally:
        driven.close()


__all__ = ["HOSTILE", "NO_NOTE", "Chrome", "Parts", "Tab", "Told", "chrome", "evidence_of", "hostile", "written"]
