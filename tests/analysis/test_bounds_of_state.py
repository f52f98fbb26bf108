"""Bounds of what is known of a station, reached: the newest of each history is kept, and figures stay right."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace
from test_bounds_of_rules import BOOT, call, clock, diagnosed, found, stamp, station_of
from test_network_rules import REFUSED, attempt, tls

from conversation import play
from ocppscope.acts import Act, comment_of
from ocppscope.analysis import stations as stations_of
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.happenings import ProxyActed
from ocppscope.analysis.payload import Payload
from ocppscope.analysis.report import report
from ocppscope.analysis.state import (
    configuration,
    connections,
    connectors,
    metering,
    meters,
    registration,
    transactions,
)
from ocppscope.analysis.state.metering import layout_of, samples_of
from ocppscope.analysis.state.transactions import same_tag
from ocppscope.analysis.station import MAX_LINKS, Station
from ocppscope.analysis.stations import Stations
from ocppscope.model import ConnectionClosed, Endpoint, PacketComment, Side

SECOND = 1_000_000_000


def known(text: str) -> Station:
    """What is known of the station in the middle of a conversation."""
    diagnosis = Diagnosis()
    diagnosis.take(event for event in play(text) if not isinstance(event, ConnectionClosed))
    assert not diagnosis.failures
    return station_of(diagnosis)


# --- connections --------------------------------------------------------------------------------------------------


def test_connections_that_are_remembered():
    """The latest; how many there were is said."""
    count = MAX_LINKS + 30
    text = "".join(
        f"{clock(at)} #{at + 1} CP → OPEN ocpp1.6\n{clock(at + 0.5)} #{at + 1} CP → CLOSED FIN\n"
        for at in range(count)
    )
    diagnosis = diagnosed(text)
    links = station_of(diagnosis).links
    assert len(links) == MAX_LINKS
    assert links[-1] is station_of(diagnosis).link
    assert [after.seen_ns - before.seen_ns for before, after in pairwise(links)] == [SECOND] * (MAX_LINKS - 1)
    assert report(diagnosis, []).stations[0].connections == count


def test_connections_at_the_same_time_that_are_remembered():
    """The latest pairs: a connection more makes a pair with each that is open."""
    text = "".join(f"{clock(at)} #{at + 1} CP → OPEN ocpp1.6\n" for at in range(8))
    pairs = [(older, newer) for newer in range(8) for older in range(newer)]
    assert len(pairs) > connections.MAX_OVERLAPS
    kept = [(one.older, one.newer) for one in known(text).connections.overlaps]
    assert kept == pairs[-connections.MAX_OVERLAPS :]


def test_the_reason_of_an_end_is_cut():
    """A Close frame has no room for so much: only what is made up does."""
    *events, closed = play(BOOT + f'{clock(5)} CP → CLOSE 1000 "bye"\n{clock(6)} CP → CLOSED FIN\n')
    assert isinstance(closed, ConnectionClosed)
    long = replace(closed, connection=replace(closed.connection, close_reason="r" * 5000))
    (end,) = station_of(diagnosed([*events, long])).connections.ends
    assert end.reason == "r" * connections.MAX_REASON


def test_intervals_of_heartbeats_and_pings_that_are_remembered():
    """The latest: medians are of what was usual when the connection ended."""
    text, at = BOOT, 10.0
    for number in range(2 * connections.MAX_GAPS + 1):
        at += 10 if number <= connections.MAX_GAPS else 20
        text += call(at, f"h{number}", "Heartbeat", {}, {"currentTime": stamp(at)})
        for arrow in "→←":
            text += f'{clock(at)} CP {arrow} PING "{number}"\n'
    station = known(text)
    (watch,) = station.connections.watches.values()
    for gaps in (watch.beat_gaps, *watch.ping_gaps):
        assert gaps == [20 * SECOND] * connections.MAX_GAPS
    (end,) = station_of(diagnosed(text + f"{clock(at + 1)} CP → CLOSED FIN\n")).connections.ends
    assert (end.heartbeat_seen_ns, end.ping_seen_ns) == (20 * SECOND, (20 * SECOND, 20 * SECOND))


@pytest.mark.parametrize("bound", [2, stations_of.MAX_LEGS])
def test_repeated_sessions_that_are_remembered(monkeypatch: pytest.MonkeyPatch, bound: int):
    """Of MAX_LEGS and more the latest. An act on an older one is told of whoever is at the address: none is lost."""
    monkeypatch.setattr(stations_of, "MAX_LEGS", bound)
    opened = [f"{clock(0)} #1 CP → OPEN ocpp1.6 10.0.0.1:1000 -> 10.0.0.9:80"]
    opened += [f"{clock(at)} #{at + 1} CP → OPEN ocpp1.6 10.0.1.{at}:1000 -> 10.0.2.9:80 leg=1" for at in range(1, 6)]
    events = play("\n".join(opened))
    heard: list[str] = []
    bus = Bus()
    bus.subscribe(ProxyActed, lambda told: heard.append(told.station.identity))
    stations = Stations(bus)
    stations.take(events)
    assert len(stations._legs) == min(bound, 5)
    flows = {one.connection.number: one.connection.flow for one in events if hasattr(one, "connection")}
    act = comment_of(Act("held", ""))
    stations.take(
        PacketComment(events[-1].time_ns, 7, number, Side.STATION, act, -1, flows[number]) for number in range(1, 6)
    )
    assert heard == (["CP"] * 5 if bound > 5 else ["10.0.1.1", "10.0.1.2", "10.0.1.3", "CP", "CP"])


def pinged(count: int, gap: float) -> str:
    """Pings of the CSMS without a pong, and what comes of them."""
    text = BOOT + "".join(f'{clock(10 + at * gap)} CP ← PING "{at}"\n' for at in range(count))
    return text + call(10 + count * gap + 15, "h", "Heartbeat", {}, {"currentTime": stamp(0)})


@pytest.mark.parametrize("count", [connections.MAX_PINGS, 3 * connections.MAX_PINGS])
def test_pings_that_wait(count: int):
    """The oldest and the latest: pings that come quickly do not hide that there is no pong."""
    diagnosis = diagnosed(pinged(count, 0.1))
    waiting = list(station_of(diagnosis).links[0].pings[Side.CSMS])
    latest = range(count - connections.MAX_PINGS + 1, count)
    assert waiting == [b"0", *(b"%d" % at for at in latest)]
    assert found(diagnosis, "ws-ping-unanswered")
    answered = known(pinged(count, 0.1) + f'{clock(100)} CP → PONG "{count - 1}"\n')
    assert not any(answered.links[0].pings)


def test_calls_without_an_answer_when_a_connection_ends():
    """The oldest MAX_PENDING are remembered; of those that ended with it, each counts."""
    count = connections.MAX_PENDING + 4
    text = BOOT + "".join(call(10 + at, f"old{at}", "DataTransfer", {"vendorId": f"V{at}"}) for at in range(count))
    diagnosis = diagnosed(text + f"{clock(30)} CP ← CLOSED FIN\n")
    (end,) = station_of(diagnosis).connections.ends
    assert [one.age_ns // SECOND for one in end.pending] == [20 - at for at in range(connections.MAX_PENDING)]
    (one,) = found(diagnosis, "ws-close-with-call-pending")
    assert f"DataTransfer (and {count - 1} more)" in one.text
    young = call(299, "young", "Authorize", {"idTag": "T"})
    (one,) = found(diagnosed(text + young + f"{clock(300)} CP ← CLOSED FIN\n"), "ws-close-with-call-pending")
    assert "1.0 s after Authorize of the station" in one.text


def test_servers_that_were_asked_for_upgrades():
    """The latest: an attempt at any other may be anybody's."""
    servers = [f"10.0.1.{at}" for at in range(1, connections.MAX_SERVERS + 2)]
    text = "".join(
        f"{clock(10 * at)} #{at + 1} CP → OPEN ocpp1.6 10.0.0.5:{40000 + at} -> {server}:9000\n"
        f"{clock(10 * at + 9)} #{at + 1} CP → CLOSED FIN\n"
        for at, server in enumerate(servers)
    )
    diagnosis = Diagnosis()
    diagnosis.take(play(text))
    known_ = station_of(diagnosis).connections
    assert [one.address for one in known_.servers] == servers[1:]
    for server in servers:
        diagnosis.take([attempt(REFUSED, server=Endpoint(server, 9000))])
    assert sum(one.connection < 0 for one in known_.attempts) == connections.MAX_SERVERS


@pytest.mark.parametrize("others", [1, 2, 3])
def test_addresses_that_are_remembered(monkeypatch: pytest.MonkeyPatch, others: int):
    """Those heard of last: a station that is heard of again and again is not forgotten, however many others are."""
    monkeypatch.setattr(connections, "MAX_ADDRESSES", 2)
    text = f"{clock(0)} #1 CP → OPEN ocpp1.6 10.0.0.5:40000 -> 10.0.0.9:9000\n"
    for at in range(1, others + 1):
        text += f"{clock(at)} #{20 + at} CP → OPEN ocpp1.6 10.0.0.5:4100{at} -> 10.0.0.9:9000\n"
        text += f"{clock(at)} #{10 + at} CP-{at} → OPEN ocpp1.6 10.0.1.{at}:40000 -> 10.0.0.9:9000\n"
    diagnosis = Diagnosis()
    diagnosis.take(one for one in play(text) if not isinstance(one, ConnectionClosed))
    origin = station_of(diagnosis).connections.origin
    diagnosis.take([attempt(REFUSED)])
    assert origin is not None
    assert origin.heard_ns == attempt(REFUSED).time_ns
    origins = [one.connections.origin for one in diagnosis.stations.by_identity.values()]
    assert len({id(one) for one in origins}) == others + 1  # each keeps its own
    again = f"{clock(9)} #99 X → OPEN ocpp1.6 10.0.1.1:50000 -> 10.0.0.9:9000\n"
    diagnosis.take(one for one in play(text + again) if one.connection.handshake.station == "X")
    origin = diagnosis.stations.by_identity["X"].connections.origin
    assert origin is not None
    assert origin.stations == ({"CP-1", "X"} if others == 1 else {"X"})  # the others were heard of later


@pytest.mark.parametrize("room", [2, 3])
def test_what_may_concern_ocpp_is_kept(monkeypatch: pytest.MonkeyPatch, room: int):
    """The latest attempts and TLS connections; that there were others is said."""
    monkeypatch.setattr(stations_of, "MAX_HELD", room)
    elsewhere = Endpoint("10.0.9.9", 443)
    diagnosis = diagnosed([attempt(REFUSED, syns=3, server=elsewhere), tls(), tls()])
    assert len(found(diagnosis, "tcp-connect-refused")) == (room == 3)
    assert diagnosis.stations.let_go == (room == 2)
    said = "1 TCP attempts and TLS connections were let go: they might have concerned OCPP."
    assert list(report(diagnosis, []).notices) == [said] * (room == 2)


# --- boots and connectors -----------------------------------------------------------------------------------------


def test_boots_that_are_remembered():
    """The latest: rules compare a boot with those before it."""
    text = f"{clock(0)} CP → OPEN ocpp1.6\n"
    for at in range(1, registration.MAX_BOOTS + 20):
        payload = {"chargePointVendor": "V", "chargePointModel": "M"}
        answer = {"status": "Accepted", "currentTime": stamp(at), "interval": at}
        text += call(at, f"b{at}", "BootNotification", payload, answer)
    boots = known(text).registration.boots
    assert [one.interval_ns for one in boots] == [at * SECOND for at in range(20, registration.MAX_BOOTS + 20)]


def test_statuses_that_are_remembered():
    """The latest of a connector; what it is now does not depend on them."""
    text, count = BOOT, connectors.MAX_CHANGES + 9
    for at in range(count):
        payload = {"connectorId": 1, "errorCode": "NoError", "status": f"S{at}"}
        text += call(10 + at, f"s{at}", "StatusNotification", payload, {})
    connector = known(text).connectors.places[1, 0]
    assert [one.status for one in connector.changes] == [f"S{at}" for at in range(9, count)]
    assert connector.status == f"S{count - 1}"


@pytest.mark.parametrize("more", [0, 3])
def test_settings_that_are_remembered(more: int):
    """MAX_KEYS of them, whose changes are followed; that there were others is said."""
    count = configuration.MAX_KEYS + more
    text = BOOT
    for begin in range(0, count, 1024):
        some = [{"key": f"K{at}", "readonly": False, "value": "1"} for at in range(begin, min(count, begin + 1024))]
        text += call(5, f"g{begin}", "GetConfiguration", {}, {"configurationKey": some}, by="←")
    change = {"key": "K0", "value": "2"}
    text += call(6, "c", "ChangeConfiguration", change, {"status": "Accepted"}, by="←")
    diagnosis = diagnosed(text)
    settings = station_of(diagnosis).configuration
    assert len(settings.settings) == configuration.MAX_KEYS
    assert settings.text("K0") == "2"
    said = f"{more} values of the configuration were not remembered, since there were too many."
    assert list(report(diagnosis, []).notices) == [said] * (more > 0)


# --- meters and transactions --------------------------------------------------------------------------------------


def sample(words: int) -> dict[str, str]:
    return {"value": "5", "measurand": "Power.Active.Import", **{f"word{at}": "x" for at in range(words - 2)}}


@pytest.mark.parametrize(("words", "kept"), [(metering._MAX_WORDS, True), (metering._MAX_WORDS + 1, False)])
def test_samples_with_many_words_leave_no_layout(words: int, kept: bool):
    """They are read one by one instead, which comes to the same."""
    sampled = [sample(words)]
    found = samples_of([Payload({"timestamp": stamp(0), "sampledValue": sampled})])
    assert [one.value for one in found] == [5.0]
    assert (layout_of([one.kind for one in found], sampled) is not None) is kept
    deep = [{"value": "5", "unitOfMeasure": {"unit": "W", "multiplier": 0, "customData": "x"}}]
    kinds = [one.kind for one in samples_of([Payload({"sampledValue": deep})])]
    assert layout_of(kinds, deep) is None


def session(at: float, number: int, id_: object = None, *, tag: str = "T", connector: int = 1) -> str:
    payload = {"connectorId": connector, "idTag": tag, "meterStart": 0, "timestamp": stamp(at)}
    answer = {"transactionId": number if id_ is None else id_, "idTagInfo": {"status": "Accepted"}}
    return call(at, f"start{number}", "StartTransaction", payload, answer)


def measured(at: float, number: int, connector: int = 1) -> str:
    value = {"timestamp": stamp(at), "sampledValue": [{"value": str(int(at) * 10), "unit": "Wh"}]}
    payload = {"connectorId": connector, "transactionId": number, "meterValue": [value]}
    return call(at, f"meter{number}-{at}", "MeterValues", payload, {})


def stopped(at: float, number: int, reason: str = "Local") -> str:
    payload = {"transactionId": number, "meterStop": int(at) * 10, "timestamp": stamp(at), "reason": reason}
    return call(at, f"stop{number}", "StopTransaction", payload, {})


def with_readings(station: Station) -> list[str]:
    return [one.id for one in station.transactions.latest if one.energy]


def test_transactions_of_which_the_readings_are_remembered():
    """The latest MAX_MEASURED; what older ones came to stays known."""
    text, count = BOOT, transactions.MAX_MEASURED + 6
    for number in range(1, count + 1):
        at = 20 * number
        text += session(at, number) + measured(at + 5, number) + measured(at + 10, number) + stopped(at + 15, number)
    station = known(text)
    assert with_readings(station) == [str(number) for number in range(7, count + 1)]
    assert [one.energy_wh for one in station.transactions.latest] == [
        (20 * number + 15) * 10.0 for number in range(1, count + 1)
    ]


def test_readings_of_those_that_stop_late_are_forgotten_too():
    """A transaction that goes on while many others begin is over some day."""
    count = transactions.MAX_MEASURED + 6
    text = BOOT + "".join(
        session(10 + number, number, connector=number) + measured(40 + number, number, number)
        for number in range(1, count + 1)
    )
    assert len(with_readings(known(text))) == count  # they all go on
    text += "".join(stopped(100 + number, number) for number in range(1, count + 1))
    text += session(200, 99, connector=1) + measured(210, 99)
    latest = [*range(count - transactions.MAX_MEASURED + 2, count + 1), 99]
    assert with_readings(known(text)) == [str(number) for number in latest]


def test_ids_tokens_and_words_of_a_transaction_are_cut():
    """What is as long as the schemas allow is whole; of what is longer, the schema check tells."""
    most = transactions.MAX_ID
    text = BOOT + session(10, 1, "i" * 5000, tag="t" * 5000) + stopped(20, 1)
    text = text.replace('"transactionId": 1,', f'"transactionId": "{"i" * 5000}",').replace(
        '"Local"', f'"{"r" * 5000}"'
    )
    diagnosis = diagnosed(text)
    (one,) = station_of(diagnosis).transactions.latest
    assert (one.id, one.tag, one.reason) == ("i" * most, "t" * most, "r" * most)
    assert {"schema-wrong-type", "idtag-length"} <= {finding.rule for finding in diagnosis.findings()}


def test_long_tokens_of_2_1_are_told_apart():
    """There they may have 255 characters."""
    info = {"transactionId": "x"}
    event = {
        "eventType": "Started", "timestamp": stamp(10), "triggerReason": "Authorized", "seqNo": 0,
        "transactionInfo": info, "idToken": {"idToken": "t" * 254 + "1", "type": "eMAID"},
    }  # fmt: skip
    text = BOOT.replace("1.6", "2.1") + call(10, "e", "TransactionEvent", event, {})
    (one,) = known(text).transactions.latest
    assert one.tag == "t" * 254 + "1"
    assert not same_tag(one.tag, "t" * 254 + "2")


@pytest.mark.parametrize(("size", "read"), [(metering.MAX_NUMBER, True), (metering.MAX_NUMBER + 1, False)])
@pytest.mark.parametrize("before", [0, 2])
def test_digits_of_a_number(size: int, read: bool, before: int):
    """What is longer is told as no number, whether or not samples before it were like it."""
    text = BOOT + session(10, 1)
    for number in range(before + 1):
        value = str(100 + number) if number < before else "0" * (size - 3) + "200"
        sampled = [{"value": value, "unit": "Wh", "context": "Sample.Periodic"}]
        payload = {
            "connectorId": 1,
            "transactionId": 1,
            "meterValue": [{"timestamp": stamp(20 + number), "sampledValue": sampled}],
        }
        text += call(20 + number, f"m{number}", "MeterValues", payload, {})
    diagnosis = diagnosed(text)
    assert bool(found(diagnosis, "meter-not-numeric")) is not read
    (one,) = station_of(diagnosis).transactions.latest
    assert (200.0 in [value for _, value in one.energy]) is read


def test_long_words_make_no_kind_that_is_remembered():
    most = metering.MAX_NUMBER
    for size in (most, most + 1):
        (one,) = samples_of([Payload({"sampledValue": [{"value": "1", "measurand": "m" * size}]})])
        assert (one.kind.name is not None) is (size == most)
        assert one.measurand == "m" * size


@pytest.mark.parametrize("size", [36, meters.MAX_NAME, meters.MAX_NAME + 50])
def test_long_ids_name_their_transaction(size: int):
    """An id is cut alike wherever it stands."""
    assert meters.MAX_NAME == transactions.MAX_ID
    id_ = "i" * size
    text = BOOT + session(10, 1, id_)
    for at in (30, 40):
        text += measured(at, 1).replace('"transactionId": 1,', f'"transactionId": "{id_}",')
    assert not found(diagnosed(text), "meter-without-txid")
    assert found(
        diagnosed(text.replace(f'1, "transactionId": "{id_}"', '1, "transactionId": -1')), "meter-without-txid"
    )
