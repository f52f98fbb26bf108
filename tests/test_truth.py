"""What the engine finds in a capture against what its peers say that they sent: the score."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ocppscope.model import Kind, Message, Side
from support_engine import CAPTURES, SHARED, SIDES, Run, Truth, groups, is_trusted, octets, run, truth_of

LOSSY = ["capture_loss", "deflate_gap"]
MIDSTREAM = ["midstream", "midstream201"]
UNREADABLE = {"deflate_gap", "midstream"}
"""Captures that hold messages which nobody can read in full: they refer to text that is not in the capture."""
OWN = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
READABLE = [name for name in OWN if name not in UNREADABLE]
MIDSTREAM_TAKEOVER = "CP-MID-TAKEOVER"


def own(name: str) -> tuple[Truth, Run]:
    return truth_of(CAPTURES / f"{name}.truth.jsonl"), run(CAPTURES / f"{name}.pcap")


def first_legs(decoded: Run) -> list[Message]:
    """The messages without those of connections that repeat another one's session."""
    second = {connection.number for connection in decoded.connections.values() if connection.leg_of is not None}
    return [message for message in decoded.messages if message.connection not in second]


# --- expectations from the truth alone ------------------------------------------------------------------------------

CUT_CALL = re.compile(r'\s*\[\s*"?2"?\s*,\s*"([^"]*)"\s*,\s*"(\w*)"')
SHORT_CALLS = ("[2]", "[2,")


def parsed(text: str) -> tuple[Kind, str | None, str]:
    """Kind, id and action as a strict reader has them; of a malformed CALL, what its beginning says."""
    try:
        parts = json.loads(text)
    except ValueError:
        parts = None
    if text in SHORT_CALLS:
        return Kind.CALL, None, ""
    if (parts is None or (isinstance(parts, list) and parts[:1] == ["2"])) and (cut := CUT_CALL.match(text)):
        return Kind.CALL, cut[1], cut[2]
    if not isinstance(parts, list) or len(parts) < 2:
        return Kind.UNPARSED, None, ""
    if parts[0] not in list(Kind)[1:]:
        return Kind.UNPARSED, None, parts[2] if len(parts) > 2 else ""  # shown for what it may have meant
    named = Kind(parts[0]) in (Kind.CALL, Kind.SEND) and len(parts) > 2
    return Kind(parts[0]), str(parts[1]), parts[2] if named else ""


def expected(messages: list[dict[str, Any]]) -> list[tuple[bytes, Kind, str]]:
    """Text, kind and action of each message of a connection, both sides in the order of sending."""
    # The clocks of two peers may put an answer before its CALL; what follows settles what an id may mean then.
    asked = {(e["dir"], parsed(e["text"])[1]): parsed(e["text"])[2] for e in messages if e["text"].startswith("[2")}
    found = []
    for event in messages:
        kind, id_, action = parsed(event["text"])
        other = "csms->cp" if event["dir"] == "cp->csms" else "cp->csms"
        if kind is Kind.CALL:
            asked[event["dir"], id_] = action
        elif kind is Kind.CALLRESULTERROR:
            action = asked.get((event["dir"], id_), "")
        elif kind in (Kind.CALLRESULT, Kind.CALLERROR):
            action = asked.get((other, id_), "")
        found.append((octets(event), kind, action))
    return found


def connection_of(event: dict[str, Any]) -> str:
    """What tells the connections of a truth log apart; the two legs of a relayed session are one."""
    return event["cp"] if event["cp"] == "CP-ANY-01" else event["conn"]


def by_side(events: list[dict[str, Any]], items: list[Any]) -> dict[Side, list[Any]]:
    sides: dict[Side, list[Any]] = {side: [] for side in Side}
    for event, item in zip(events, items, strict=True):
        sides[SIDES[event["dir"]]].append(item)
    return sides


# --- own captures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READABLE)
def test_every_captured_message_is_found_and_nothing_else(name: str) -> None:
    truth, decoded = own(name)
    assert Counter(message.text for message in first_legs(decoded)) == Counter(truth.texts())


@pytest.mark.parametrize("name", READABLE)
def test_order_side_kind_and_action(name: str) -> None:
    truth, decoded = own(name)
    ours = groups(first_legs(decoded), lambda m: m.connection)
    theirs = groups(truth.captured, connection_of)
    assert len(ours) == len(theirs)
    for number, messages in ours.items():
        connection = decoded.connections[number]
        events = theirs.get(str(connection.flow.client)) or theirs[connection.station]
        wanted = by_side(events, expected(events))
        for side in Side:
            got = [(m.text, m.kind, m.action) for m in messages if m.side is side]
            assert got == wanted[side], (name, connection.station, side)


@pytest.mark.parametrize("name", [name for name in OWN if name not in MIDSTREAM])
def test_stations_are_known_by_name(name: str) -> None:
    truth, decoded = own(name)
    names = {connection.station for connection in decoded.connections.values()}
    assert names == set(truth.meta["ids"])


@pytest.mark.parametrize("name", [name for name in READABLE if name != "any_interface"])
def test_versions_are_those_of_the_peers(name: str) -> None:
    truth, decoded = own(name)
    agreed = {peer.rpartition("ocpp")[2] for peer in truth.meta["cp"]}
    versions = {decoded.connections[m.connection].version.value for m in decoded.messages}
    assert versions == agreed


@pytest.mark.parametrize("name", [name for name in OWN if name not in LOSSY and name != "any_interface"])
def test_ends_are_as_the_peers_saw_them(name: str) -> None:
    truth, decoded = own(name)
    closes = {event["conn"]: event["text"] for event in truth.events if event["kind"] == "close"}
    for connection in decoded.closed:
        said = closes.get(str(connection.flow.client))
        if connection.handshake is not None and not connection.handshake.upgraded:
            assert said is None
            continue
        assert said is not None
        code, _, reason = said.partition(" ")
        assert (connection.close_code or 1006, connection.close_reason) == (int(code), reason)


def test_refusals_are_as_the_stations_saw_them() -> None:
    truth, decoded = own("refused_handshakes")
    seen = [connection for connection in decoded.opened if connection.handshake and not connection.handshake.upgraded]
    refused = [(event["cp"], int(event["text"])) for event in truth.events if event["kind"] == "reject"]
    assert [(c.station, c.handshake.status) for c in seen if c.handshake] == refused


def test_ids_are_those_that_were_sent() -> None:
    for name in READABLE:
        truth, decoded = own(name)
        known = {event["text"]: parsed(event["text"]) for event in truth.captured}
        for message in decoded.messages:
            kind, id_, _ = known[message.text.decode()]
            if kind is not Kind.UNPARSED and id_ is not None and id_ != "None":
                assert message.id == id_


# --- what is missing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSY)
def test_lost_messages_are_named_with_their_bytes(name: str) -> None:
    truth, decoded = own(name)
    lost = groups(truth.meta["edited"]["changes"], lambda change: SIDES[change["dir"]])
    for side in Side:
        gaps = [gap.lost_bytes for gap in decoded.gaps if gap.side is side]
        assert gaps == [change["len"] for change in lost[side]]
        assert decoded.closed[0].lost_bytes[side] == sum(change["len"] for change in lost[side])


def test_calls_without_a_captured_answer_are_not_called_answered() -> None:
    truth, decoded = own("capture_loss")
    lost = [parsed(event["text"]) for event in truth.messages if not event.get("captured", True)]
    unasked = {id_ for kind, id_, _ in lost if kind is Kind.CALL}
    orphans = {message.id for message in decoded.messages if message.outcome == "orphan"}
    assert orphans == unasked != set()
    unanswered = {id_ for kind, id_, _ in lost if kind is Kind.CALLRESULT}
    ends = {event.id for event in decoded.events if type(event).__name__ == "ExchangeEnd"}
    assert ends == unanswered != set()


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_each_captured_message_is_there_even_if_its_text_is_not(name: str) -> None:
    truth, decoded = own(name)
    theirs = groups(truth.captured, connection_of)
    for number, connection in decoded.connections.items():
        sides = by_side(theirs[str(connection.flow.client)], truth_texts(theirs[str(connection.flow.client)]))
        for side in Side:
            ours = decoded.of(number, side)
            assert len(ours) == len(sides[side])
            for message, text in zip(ours, sides[side], strict=True):
                assert message.text == text or not is_trusted(message)


def truth_texts(events: list[dict[str, Any]]) -> list[bytes]:
    return [octets(event) for event in events]


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_bytes_of_an_unreadable_text_are_right_where_they_are_given(name: str) -> None:
    truth, decoded = own(name)
    theirs = groups(truth.captured, connection_of)
    for number, connection in decoded.connections.items():
        events = theirs[str(connection.flow.client)]
        sides = by_side(events, truth_texts(events))
        for side in Side:
            for message, text in zip(decoded.of(number, side), sides[side], strict=True):
                assert not message.text or len(message.text) == len(text)
                assert all(ours in (0, real) for ours, real in zip(message.text, text, strict=False))


def test_before_the_first_gap_of_a_compressed_direction_all_is_read() -> None:
    truth, decoded = own("deflate_gap")
    for way, side in SIDES.items():
        events = [event for event in truth.messages if event["dir"] == way]
        first = next(index for index, event in enumerate(events) if not event.get("captured", True))
        ours = decoded.of(0, side)[:first]
        assert [m.text for m in ours] == truth_texts(events[:first])
        assert all(is_trusted(message) for message in ours)


def test_midstream_sessions_without_takeover_are_read_in_full() -> None:
    truth, decoded = own("midstream")
    wanted = Counter(octets(event) for event in truth.captured if event["cp"] != MIDSTREAM_TAKEOVER)
    assert not wanted - Counter(message.text for message in decoded.messages)
    unreadable = [message for message in decoded.messages if not is_trusted(message)]
    assert len({message.connection for message in unreadable}) == 1


@pytest.mark.parametrize("name", MIDSTREAM)
def test_guessed_versions_say_so(name: str) -> None:
    _, decoded = own(name)
    assert decoded.connections
    assert all(connection.version_guessed for connection in decoded.connections.values())


# --- tshark ---------------------------------------------------------------------------------------------------------

BEYOND = ["deflate_gap", "fragmented", "loss_reorder", "malformed", "midstream", "midstream201", "swapped_segments"]
"""Captures in which tshark 4.0 reads less than there is."""


def tshark_finds(tshark: str, capture: Path, ports: list[int]) -> Counter[bytes]:
    decode = [option for port in sorted(set(ports)) for option in ("-d", f"tcp.port=={port},http")]
    fields = ["-T", "json", "-e", "websocket.payload.text"]
    command = [tshark, "-r", str(capture), *decode, "-Y", "websocket.payload.text", *fields]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    packets = json.loads(output or "[]")
    texts = [text for packet in packets for text in packet["_source"]["layers"]["websocket.payload.text"]]
    return Counter(text.encode() for text in texts)


@pytest.mark.tshark
@pytest.mark.parametrize("name", OWN)
def test_at_least_what_tshark_finds(tshark: str, name: str) -> None:
    truth, decoded = own(name)
    wanted = Counter(truth.texts())
    theirs = wanted & tshark_finds(tshark, CAPTURES / f"{name}.pcap", truth.meta["ports"])
    ours = wanted & Counter(message.text for message in first_legs(decoded))
    assert not theirs - ours
    assert (ours.total() > theirs.total()) is (name in BEYOND), (ours.total(), theirs.total())


# --- captures of other peers ----------------------------------------------------------------------------------------

PEERS = SHARED / "peers"
WHOLE = {
    "01_ocpp16_vcp_mobilityhouse_plain": 72,
    "08_ocpp201_sapsim_ocpprpc": 58,
    "13_ocpp21_mobilityhouse_ocpprpc": 95,
    "16_ocpp16_sapsim_citrineos": 114,
    "22_deflate_node_node_takeover": 156,
    "43_subprotocol_mismatch": 38,
    "50_csms_killed_midsession_sapsim": 96,
    "61_any_interface_sll2": 86,
    "82_call_timeouts_late_and_never": 54,
    "93_fuzz_ocppwsio_cli_vs_ocpprpc": 382,
}
"""Captures that hold all messages of their logs, and how many those are."""
NEVER_SENT = {"82_call_timeouts_late_and_never": 1}
"""Messages that a peer wrote into a connection which was gone: in its log, not on the wire."""


def others(name: str) -> tuple[Truth, Run]:
    return truth_of(PEERS / f"{name}.jsonl"), run(PEERS / f"{name}.pcapng")


@pytest.mark.shared
def test_no_peers_are_forgotten() -> None:
    names = {path.stem for path in PEERS.glob("*.pcapng")}
    encrypted = {"31_wss_tls12_mutual_keylog_openocpp_mobilityhouse"}
    assert names == {*WHOLE, "65_mirror_port_losing_2pct", "69_midstream_plain"} | encrypted


@pytest.mark.shared
@pytest.mark.parametrize("name", WHOLE)
def test_every_message_of_other_peers_is_found(name: str) -> None:
    truth, decoded = others(name)
    ours, wanted = Counter(m.text for m in first_legs(decoded)), Counter(truth.texts())
    assert not ours - wanted
    assert (wanted - ours).total() == NEVER_SENT.get(name, 0)
    assert ours.total() == WHOLE[name]


@pytest.mark.shared
@pytest.mark.parametrize("name", WHOLE)
def test_order_side_kind_and_action_of_other_peers(name: str) -> None:
    truth, decoded = others(name)
    stations = groups(truth.messages, lambda event: event["cp"])
    for station, events in stations.items():
        numbers = [c.number for c in decoded.connections.values() if c.station == station and c.leg_of is None]
        wanted = by_side(events, expected(events))
        for side in Side:
            got = [(m.text, m.kind, m.action) for number in numbers for m in decoded.of(number, side)]
            assert Counter(text for text, _, _ in got) <= Counter(text for text, _, _ in wanted[side])
            on_the_wire = Counter(text for text, _, _ in got)
            assert got == [item for item in wanted[side] if on_the_wire[item[0]]], (station, side)


@pytest.mark.shared
def test_a_mirror_port_that_loses_packets() -> None:
    truth, decoded = others("65_mirror_port_losing_2pct")
    ours, wanted = Counter(m.text for m in decoded.messages), Counter(truth.texts())
    missing = wanted - ours
    assert not ours - wanted
    assert (ours.total(), missing.total()) == (211, 5)
    assert all(is_trusted(message) for message in decoded.messages)
    # Each lost message is a gap of its size: the text and the frame header, of 2, 4, 6 or 8 bytes.
    heads = {Side.STATION: 6, Side.CSMS: 2}
    sides = {octets(event): SIDES[event["dir"]] for event in truth.messages}
    sizes = Counter((sides[text], len(text) + heads[sides[text]] + 2 * (len(text) > 125)) for text in missing)
    assert Counter((gap.side, gap.lost_bytes) for gap in decoded.gaps) == sizes


@pytest.mark.shared
@pytest.mark.tshark
def test_a_mirror_port_as_tshark_reads_it(tshark: str) -> None:
    truth, decoded = others("65_mirror_port_losing_2pct")
    theirs = tshark_finds(tshark, PEERS / "65_mirror_port_losing_2pct.pcapng", truth.meta["ports"])
    assert not (theirs & Counter(truth.texts())) - Counter(m.text for m in decoded.messages)


@pytest.mark.shared
def test_a_sniffer_that_came_late() -> None:
    truth, decoded = others("69_midstream_plain")
    assert len(decoded.connections) == 1
    assert decoded.connections[0].version_guessed
    for way, side in SIDES.items():
        sent = [octets(event) for event in truth.messages if event["dir"] == way]
        ours = [message.text for message in decoded.of(0, side)]
        assert ours == sent[-len(ours) :]
    assert len(decoded.messages) == 48
