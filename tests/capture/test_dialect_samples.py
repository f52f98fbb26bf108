"""Each dialect: what is read of a sample against what a person counts in it."""

from __future__ import annotations

import pytest

from ocppscope.model import Outcome, Side
from support_logs import FOREIGN, OWN, read

BOOT = "BootNotification"
OWN_SAMPLES = {
    "2w-proxy.log": ["> CALL 7 Heartbeat", "< CALLRESULT 7 Heartbeat"],
    "citrineos.log": ["> CALLRESULT q-1 -", "> CALLRESULT q-2 -", "> CALLERROR q-3 -"],
    "evcc.log": [
        "> CALL s-1 StatusNotification", "< CALLRESULT s-1 StatusNotification", "< CALL 99 ChangeAvailability",
        "> CALLERROR 99 ChangeAvailability",
    ],
    "everest-console.log": ["> CALL - Heartbeat", "< CALLRESULT - Heartbeat", "< CALL - Reset"],
    "everest.log": ["> CALL a-1 Authorize", "< CALLRESULT a-1 Authorize", "< CALL k-1 -"],
    "general_arrows.log": [
        "> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat", "< CALL 2 ClearCache", "> CALLRESULT 2 ClearCache",
    ],
    "general_bare.log": [
        f"> CALL 1 {BOOT}", f"< CALLRESULT 1 {BOOT}", "< CALL 2 TriggerMessage", "> CALLRESULT 2 TriggerMessage",
    ],
    "general_json.log": ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat"],
    "general_quoted.log": ["< CALL 1 Reset", "> CALLRESULT 1 Reset"],
    "general_words.log": ["> CALL 1 Authorize", "< CALLRESULT 1 Authorize", "< CALL 2 Reset"],
    "java-oca.log": [f"> CALL j-1 {BOOT}", f"< CALLRESULT j-1 {BOOT}"],
    "microocpp.log": [
        "> CALL 1000001 Heartbeat", "< CALLRESULT 1000001 Heartbeat", "< CALL u-1 UnlockConnector",
        "> CALLRESULT u-1 UnlockConnector",
    ],
    "mobilityhouse.log": ["< CALL c-1 GetConfiguration", "> CALLRESULT c-1 GetConfiguration", "> CALL h-1 Heartbeat"],
    "mobilityhouse_station.log": [f"> CALL b-1 {BOOT}", f"< CALLRESULT b-1 {BOOT}", "< CALL x-1 DataTransfer"],
    "ocpp-core.log": [
        "> CALL o-1 Heartbeat", "< CALLRESULT o-1 Heartbeat", "< CALL o-2 Reset", "> CALLRESULT o-2 Reset",
    ],
    "ocpp-go.log": ["> CALL g-1 StatusNotification", "< CALLRESULT g-1 StatusNotification"],
    "ocpp-go_station.log": ["> CALL g-2 Heartbeat", "< CALLRESULT g-2 Heartbeat"],
    "rows.jsonl": ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat"],
    "steve.log": [
        f"> CALL b-1 {BOOT}", f"< CALLRESULT b-1 {BOOT}", "< CALL r-1 Reset", "> CALLRESULT r-1 Reset",
        "> CALL h-1 Heartbeat",
    ],
    "table.csv": ["> CALL 1 Authorize", "< CALLRESULT 1 Authorize"],
    "table.md": ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat"],
    "text.log": ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat", "> CALL 9c01 Authorize"],
    "trace.jsonl": ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat"],
    "websockets.log": ["> CALL w-1 Heartbeat", "< CALLRESULT w-1 Heartbeat", "> CALL w-2 MeterValues"],
    "websockets_client.log": ["> CALL w-3 Heartbeat", "< CALLRESULT w-3 Heartbeat"],
}  # fmt: skip
FOREIGN_SAMPLES = {
    "chargetime_java_slf4j.log": ("java-oca", [f"> CALL 0f3c {BOOT}", f"< CALLRESULT 0f3c {BOOT}"]),
    "citrineos_tslog.log": ("citrineos", ["> CALLRESULT 6f1a -"]),
    "evcc_docker_recv_send.log": (
        "evcc",
        [
            "> CALL 76414aac-0000-4009-10dc-9db4a463d314 StatusNotification",
            "< CALLRESULT 76414aac-0000-4009-10dc-9db4a463d314 StatusNotification",
            "< CALL 4080794000 RemoteStartTransaction", "> CALLRESULT 4080794000 RemoteStartTransaction",
            "> CALL fda7467f-0000-4092-1080-6a3a60cf511c StartTransaction",
            "< CALLRESULT fda7467f-0000-4092-1080-6a3a60cf511c StartTransaction",
        ],
    ),
    "evcc_recv_sent_nested_json.log": (
        "evcc",
        [
            "> CALL 2717 StatusNotification", "< CALLRESULT 2717 StatusNotification", "> CALL 2718 Heartbeat",
            "< CALLRESULT 2718 Heartbeat", "< CALL 4222561000 TriggerMessage",
            "> CALLRESULT 4222561000 TriggerMessage",
        ],
    ),
    "everest_console_ansi_no_payload.log": ("everest-console", [f"> CALL - {BOOT}", f"< CALLRESULT - {BOOT}"]),
    "everest_libocpp_file.log": (
        "everest",
        [
            f"> CALL 7e348825-0000-4b38-a5ba-c3624b8ea09f {BOOT}",
            f"< CALLRESULT 7e348825-0000-4b38-a5ba-c3624b8ea09f {BOOT}",
        ],
    ),
    "homeassistant_empty_id.log": (
        "mobilityhouse",
        [
            "> CALL 4011002223500000 MeterValues", "< CALLRESULT 4011002223500000 MeterValues",
            "> CALL t99o4weaxjsy5tl100000000 StatusNotification",
            "< CALLRESULT t99o4weaxjsy5tl100000000 StatusNotification",
        ],
    ),
    "microocpp_serial_arduino.log": (
        "microocpp",
        [
            f"> CALL 1000001 {BOOT}", f"< CALLRESULT 1000001 {BOOT}",
            "< CALL 2ca2be69-0000-4a91-949e-69e59ba015c4 RemoteStartTransaction",
            "> CALLRESULT 2ca2be69-0000-4a91-949e-69e59ba015c4 RemoteStartTransaction",
            "> CALL 1000002 MeterValues",
        ],
    ),
    "mobilityhouse_with_structlog.log": (
        "mobilityhouse",
        [
            f"> CALL dabbadd0-0000-48a0-9c11-8de787bab0ac {BOOT}",
            f"< CALLRESULT dabbadd0-0000-48a0-9c11-8de787bab0ac {BOOT}",
            "> CALL dabbadd0-0001 StartTransaction", "< CALLERROR dabbadd0-0001 StartTransaction",
        ],
    ),
    "ocpp_2w_proxy_caret.log": ("2w-proxy", ["> CALL 77 Heartbeat", "< CALLRESULT 77 Heartbeat"]),
    "ocpp_core_trace.log": ("ocpp-core", [f"> CALL a8141dd9 {BOOT}", f"< CALLRESULT a8141dd9 {BOOT}"]),
    "python_websockets_frames_debug.log": (
        "websockets",
        [
            "> CALL 2978a360-0000-461d-b782-469bf31ea8fe MeterValues",
            "< CALLRESULT 2978a360-0000-461d-b782-469bf31ea8fe MeterValues",
        ],
    ),
    "steve_docker_compose_prefix.log": (
        "steve",
        [
            "> CALL cc6930f6-bf8d-477d-9c1e-000000000001 DataTransfer",
            "< CALLRESULT cc6930f6-bf8d-477d-9c1e-000000000001 DataTransfer",
        ],
    ),
    "steve_spaces.log": ("steve", [f"> CALL 6a73f5c6-0001 {BOOT}", f"< CALLRESULT 6a73f5c6-0001 {BOOT}"]),
}  # fmt: skip
DIALECT_OF = {
    "general_quoted.log": "general-quoted", "rows.jsonl": "jsonl", "table.csv": "table", "table.md": "table",
}  # fmt: skip


def dialect_of(name: str) -> str:
    return DIALECT_OF.get(name, name.partition(".")[0].partition("_")[0])


def test_every_sample_is_counted() -> None:
    assert {path.name for path in OWN.iterdir() if path.is_file()} == OWN_SAMPLES.keys()


@pytest.mark.parametrize("name", OWN_SAMPLES)
def test_our_own_samples(name: str) -> None:
    found = read(OWN / name)
    assert found.counted == OWN_SAMPLES[name]
    assert f"recognised as {dialect_of(name)}: " in found.notices[0]


@pytest.mark.shared
@pytest.mark.parametrize("name", FOREIGN_SAMPLES)
def test_samples_of_real_layout(name: str) -> None:
    dialect, counted = FOREIGN_SAMPLES[name]
    found = read(FOREIGN / name)
    assert found.counted == counted
    assert f"recognised as {dialect}: " in found.notices[0]


@pytest.mark.shared
def test_no_sample_is_left_out() -> None:
    assert {path.name for path in FOREIGN.iterdir()} == FOREIGN_SAMPLES.keys()


@pytest.mark.parametrize("name", OWN_SAMPLES)
def test_only_what_is_cut_or_not_shown_has_that_problem(name: str) -> None:
    marked = {"everest.log": 1, "everest-console.log": 3, "microocpp.log": 1, "ocpp-core.log": 2, "text.log": 1,
              "websockets.log": 1}  # fmt: skip
    problems = [problem.code for message in read(OWN / name).messages for problem in message.problems]
    assert problems == ["ws.lost-bytes"] * marked.get(name, 0)


STATIONS = {
    "2w-proxy.log": "YARD", "citrineos.log": "hall-3", "general_json.log": "PARK-2", "general_words.log": "LAKE-1",
    "java-oca.log": "station", "microocpp.log": "BOX 1", "mobilityhouse.log": "DEPOT/7", "ocpp-go.log": "DOCK-1",
    "rows.jsonl": "BAY-1", "steve.log": "GARAGE-1", "table.csv": "QUAY-1", "text.log": "PIER-1",
    "trace.jsonl": "MOLE-1", "websockets.log": "LOT-9",
}  # fmt: skip


@pytest.mark.parametrize("name", STATIONS)
def test_stations_have_the_names_of_the_log(name: str) -> None:
    assert {one.station for one in read(OWN / name).run.opened} == {STATIONS[name]}


def test_texts_are_as_they_were_on_the_wire() -> None:
    texts = {name: read(OWN / name).messages[0].text.decode() for name in OWN_SAMPLES}
    assert texts["everest.log"] == r'[2,"a-1","Authorize",{"idTag":"tag ] with \"brackets [\""}]'
    assert texts["evcc.log"].endswith(r'"info":"{\"a\":[1,2]}"}]')
    assert texts["ocpp-go.log"].endswith(r'"info":"a \"quoted\" word"}]')
    assert texts["citrineos.log"] == '[3,"q-1",{"status":"Accepted"}]'
    assert texts["table.csv"] == '[2,"1","Authorize",{"idTag":"A;B"}]'
    assert texts["websockets_client.log"] == '[2,"w-3","Heartbeat",{}]'


def test_what_else_the_samples_tell() -> None:
    steve = read(OWN / "steve.log").run
    assert [(one.station, one.close_how, one.close_code, one.close_reason) for one in steve.closed] == [
        ("GARAGE-1", "close frame", 1001, "going away"),
        ("GARAGE-1", "end of capture", None, ""),
    ]
    assert [(one.side, one.opcode) for one in steve.controls] == [(Side.CSMS, 9), (Side.STATION, 10)]
    frames = read(OWN / "websockets.log").run
    assert frames.opened[0].handshake is not None
    assert (frames.opened[0].handshake.protocol, frames.opened[0].problems) == ("ocpp1.6", ())
    assert [(one.opcode, one.payload) for one in frames.controls] == [
        (9, b"abcd"),
        (10, b"abcd"),
        (8, b"\x03\xe8bye"),
    ]
    client = read(OWN / "websockets_client.log").run
    assert [(one.side, one.payload) for one in client.controls] == [(Side.CSMS, b"\x01\x02")]


def test_what_is_named_only_is_paired_by_its_action() -> None:
    call, answer, other = read(OWN / "everest-console.log").messages
    assert (call.text, call.outcome, answer.outcome, answer.reply_to) == (b"", Outcome.PENDING, Outcome.ANSWERED, 0)
    assert (answer.latency_ns, other.outcome) == (100_000_000, Outcome.PENDING)
