"""What the trackers of boots and connectors keep, and that it does not grow without end."""

import json

import pytest

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.happenings import unregistered
from ocppscope.analysis.state import connectors, registration
from ocppscope.analysis.station import Station
from ocppscope.analysis.stations import Stations

BOOT = '[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
ACCEPTED = '[3,"b",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]'


def station_of(*lines: str, bus: Bus | None = None) -> Station:
    """What is known after these messages, one a second: `>` from the station, `<` from the CSMS."""
    arrows = {">": "→", "<": "←"}
    said = [f"10:{n // 60:02}:{n % 60:02} CP {arrows[one[0]]} {one[1:]}" for n, one in enumerate(lines, 1)]
    stations = Stations(bus or Bus())
    stations.take(play("\n".join(["10:00:00 CP → OPEN ocpp1.6", *said])))
    return stations.by_identity["CP"]


def status(n: int, connector: int, text: str = "Available", **more: str) -> str:
    payload = {"connectorId": connector, "errorCode": "NoError", "status": text, **more}
    return f'>[2,"{n}","StatusNotification",{json.dumps(payload)}]'


def test_names_of_a_boot_are_cut():
    long = BOOT.replace('"V"', '"' + "V" * 5000 + '"')
    assert len(station_of(f">{long}").registration.vendor) == registration.MAX_NAME


def test_requests_are_bounded():
    ask = [
        f'<[2,"{n}","TriggerMessage",{{"requestedMessage":"Kind{n}"}}]' for n in range(registration.MAX_REQUESTS + 5)
    ]
    assert len(station_of(*ask).registration.requested) == registration.MAX_REQUESTS


def test_connectors_and_their_words_are_bounded():
    many = [status(n, n) for n in range(connectors.MAX_CONNECTORS + 5)]
    found = station_of(*many, status(9999, 1, "S" * 5000, info="i" * 5000)).connectors
    assert len(found.places) == connectors.MAX_CONNECTORS
    assert len(found.status((1, 0))) == len(found.places[1, 0].info) == connectors.MAX_WORD


def test_availability_is_bounded_and_the_latest_counts():
    def change(n: int, kind: str) -> list[str]:
        payload = json.dumps({"connectorId": n, "type": kind})
        return [f'<[2,"{n}{kind}","ChangeAvailability",{payload}]', f'>[3,"{n}{kind}",{{"status":"Scheduled"}}]']

    many = [line for n in range(connectors.MAX_CONNECTORS + 5) for line in change(n, "Inoperative")]
    found = station_of(*many[:6], *change(1, "Operative")).connectors
    assert (ordered := found.ordered((1, 0))) is not None
    assert ordered.operative
    assert ordered.scheduled
    assert (whole := found.ordered((3, 0))) is not None
    assert not whole.operative
    assert len(station_of(*many).connectors.availability) == connectors.MAX_CONNECTORS


@pytest.mark.parametrize(
    ("before", "explained"),
    [
        ((), False),
        (('<[2,"r","Reset",{"type":"Soft"}]', '>[3,"r",{"status":"Accepted"}]'), True),
        (('<[2,"r","Reset",{"type":"Soft"}]', '>[3,"r",{"status":"Rejected"}]'), False),
        (
            ('<[2,"t","TriggerMessage",{"requestedMessage":"BootNotification"}]', '>[3,"t",{"status":"Accepted"}]'),
            True,
        ),
        (('>[2,"f","FirmwareStatusNotification",{"status":"Installing"}]',), True),
        (('>[2,"f","FirmwareStatusNotification",{"status":"Idle"}]',), False),
    ],
)
def test_what_explains_a_boot(before, explained):
    assert station_of(*before, f">{BOOT}", f"<{ACCEPTED}").registration.boots[-1].explained is explained


def test_the_phase_before_acceptance():
    bus, told = Bus(), []
    bus.subscribe(unregistered(), lambda x: told.append(x.id))
    station_of(status(1, 1), f">{BOOT}", status(2, 1), '<[2,"c","Reset",{}]', f"<{ACCEPTED}", status(3, 1), bus=bus)
    assert told == ["b", "2"]


def test_a_call_that_was_passed_over_is_marked():
    found = station_of(status(1, 1), status(2, 1), status(3, 1), '<[3,"2",{}]', status(4, 1))
    assert found.link is not None
    assert [(x.id, x.passed) for x in found.link.close_pending] == [("1", True), ("3", False), ("4", False)]
