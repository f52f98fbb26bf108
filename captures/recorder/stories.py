"""What stations and CSMSs say to each other in the scenarios: parts that several recordings share.

All identities, tags, serials and passwords are made up.
"""

import asyncio
from typing import Any

from stage import Peer

NOW = "$now"  # the speaking peer fills in its own clock
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"


def status16(connector: int, status: str) -> dict[str, Any]:
    return {"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": NOW}


async def boot16(station: Peer, cp: str, connectors: int = 1) -> None:
    await station.call(
        cp,
        "BootNotification",
        {
            "chargePointVendor": "Example Vendor",
            "chargePointModel": "EX-22",
            "chargePointSerialNumber": f"SN-{cp}",
            "firmwareVersion": "1.4.2",
        },
    )
    for connector in range(connectors + 1):
        await station.call(cp, "StatusNotification", status16(connector, "Available"))


def meter16(connector: int, wh: int, watts: int, transaction: int | None = None) -> dict[str, Any]:
    sampled = [
        {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": str(watts), "measurand": "Power.Active.Import", "unit": "W"},
    ]
    of = {} if transaction is None else {"transactionId": transaction}
    return {"connectorId": connector, **of, "meterValue": [{"timestamp": NOW, "sampledValue": sampled}]}


async def charge16(station: Peer, cp: str, tag: str, samples: int, pause: float = 0.05) -> None:
    """A transaction begun by a card at the station, with its connector's states and meter values."""
    transaction = 48213
    await station.call(cp, "StatusNotification", status16(1, "Preparing"))
    await station.call(cp, "Authorize", {"idTag": tag})
    start = {"connectorId": 1, "idTag": tag, "meterStart": 120_400, "timestamp": NOW}
    await station.call(cp, "StartTransaction", start)
    await station.call(cp, "StatusNotification", status16(1, "Charging"))
    for number in range(1, samples + 1):
        await asyncio.sleep(pause)
        await station.call(cp, "MeterValues", meter16(1, 120_400 + 180 * number, 10_800, transaction))
    stop = {"transactionId": transaction, "meterStop": 120_400 + 180 * samples, "timestamp": NOW, "idTag": tag}
    await station.call(cp, "StopTransaction", {**stop, "reason": "Local"})
    await station.call(cp, "StatusNotification", status16(1, "Finishing"))
    await station.call(cp, "StatusNotification", status16(1, "Available"))


def event2(kind: str, trigger: str, number: int, wh: float, state: str = "Charging", **more: Any) -> dict[str, Any]:
    """A TransactionEvent of OCPP 2.x."""
    sampled = {"value": wh, "measurand": "Energy.Active.Import.Register", "unitOfMeasure": {"unit": "Wh"}}
    return {
        "eventType": kind,
        "timestamp": NOW,
        "triggerReason": trigger,
        "seqNo": number,
        "transactionInfo": {"transactionId": "TX-EXAMPLE-0001", "chargingState": state, **more},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": NOW, "sampledValue": [sampled]}],
    }


async def boot2(station: Peer, cp: str, evses: int = 1) -> None:
    identity = {
        "model": "EX-50",
        "vendorName": "Example Vendor",
        "serialNumber": f"SN-{cp}",
        "firmwareVersion": "3.0.1",
    }
    await station.call(cp, "BootNotification", {"chargingStation": identity, "reason": "PowerUp"})
    for evse in range(1, evses + 1):
        await status2(station, cp, evse, "Available")


async def status2(station: Peer, cp: str, evse: int, status: str) -> None:
    payload = {"timestamp": NOW, "connectorStatus": status, "evseId": evse, "connectorId": 1}
    await station.call(cp, "StatusNotification", payload)


async def charge2(station: Peer, cp: str, token: str, samples: int) -> None:
    """A transaction of OCPP 2.x: Started, Updated …, Ended."""
    await status2(station, cp, 1, "Occupied")
    id_token = {"idToken": token, "type": "ISO14443"}
    await station.call(cp, "Authorize", {"idToken": id_token})
    started = event2("Started", "Authorized", 0, 5000.0, "EVConnected")
    await station.call(cp, "TransactionEvent", {**started, "idToken": id_token})
    await station.call(cp, "TransactionEvent", event2("Updated", "ChargingStateChanged", 1, 5000.0))
    for number in range(samples):
        await asyncio.sleep(0.05)
        energy = 5000.0 + 250.5 * (number + 1)
        await station.call(cp, "TransactionEvent", event2("Updated", "MeterValuePeriodic", 2 + number, energy))
    ended = event2("Ended", "EVDeparted", 2 + samples, 5000.0 + 250.5 * samples, "Idle", stoppedReason="Local")
    await station.call(cp, "TransactionEvent", ended)
    await status2(station, cp, 1, "Available")


async def asked16(csms: Peer, cp: str) -> None:
    """What a CSMS asks a 1.6 station on an ordinary day."""
    await csms.call(cp, "GetConfiguration", {"key": ["HeartbeatInterval", "ConnectionTimeout"]})
    await csms.call(cp, "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "30"})
    await csms.call(cp, "TriggerMessage", {"requestedMessage": "Heartbeat"})


def local_list(entries: int) -> dict[str, Any]:
    """A SendLocalList request of some 90 bytes an entry."""
    tags = [{"idTag": f"EXAMPLE-{number:06d}", "idTagInfo": {"status": "Accepted"}} for number in range(entries)]
    return {"listVersion": 7, "updateType": "Full", "localAuthorizationList": tags}


async def together(*tasks: Any) -> None:
    await asyncio.gather(*tasks)
