"""What a diagnosis comes to: the stations in a few words."""

from __future__ import annotations

import pytest

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.report import report

REFUSED = "CP-1 → REFUSED 404 Not Found, offered"
BOOT = 'CP-1 → [2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["CP-1 → OPEN ocpp1.6"], "1.6"),
        (["CP-1 → OPEN none", BOOT], "1.6"),  # without a subprotocol: as its messages say
        (["CP-1 → OPEN none"], "?"),
        ([f"{REFUSED} ocpp1.6"], "1.6"),
        ([f"{REFUSED} ocpp1.6 ocpp2.0.1"], "?"),
        ([f"{REFUSED} ocpp1.6", f"{REFUSED} ocpp2.0.1"], "2.0.1"),
        (["CP-1 → OPEN ocpp2.0.1", f"{REFUSED} ocpp1.6"], "2.0.1"),
        (["CP-1 → OPEN ocpp2.0.1", "CP-1 → CLOSED FIN", "CP-1 → OPEN none"], "2.0.1"),
    ],
)
def test_the_version_of_a_station_is_one_that_is_known(lines: list[str], version: str) -> None:
    events = play("".join(f"10:00:0{n}.000 {line}\n" for n, line in enumerate(lines)))
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    (station,) = report(diagnosis, ["x.pcap"]).stations
    assert station.version == version
