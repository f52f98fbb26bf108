"""What the diagnosis keeps depends on stations and on what is open, not on how much is said."""

from __future__ import annotations

import gc

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis

DAY = "-- 2026-11-22 (UTC)\n"


def objects_after(rounds: int) -> int:
    """Objects that are alive after so many transactions of one station."""
    diagnosis = Diagnosis()
    lines = [DAY + "00:00:00.000 CP-1 → OPEN ocpp1.6"]
    for n in range(rounds):
        at = n * 40
        clock = [f"{(at + s) // 3600:02}:{(at + s) // 60 % 60:02}:{(at + s) % 60:02}" for s in range(40)]
        stamp = [f"2026-11-22T{one}Z" for one in clock]
        lines.append(
            f"""{clock[0]} CP-1 → [2,"s{n}","StartTransaction",{{"connectorId":1,"idTag":"T{n}","meterStart":{n * 1000},"timestamp":"{stamp[0]}"}}]
{clock[1]} CP-1 ← [3,"s{n}",{{"transactionId":{n + 1},"idTagInfo":{{"status":"Accepted"}}}}]"""
        )
        for m in range(2, 12):
            value = f'{{"value":"{n * 1000 + m}","measurand":"Energy.Active.Import.Register"}},{{"value":"11000","measurand":"Power.Active.Import"}}'
            lines.append(
                f"""{clock[m]} CP-1 → [2,"m{n}-{m}","MeterValues",{{"connectorId":1,"transactionId":{n + 1},"meterValue":[{{"timestamp":"{stamp[m]}","sampledValue":[{value}]}}]}}]
{clock[m]} CP-1 ← [3,"m{n}-{m}",{{}}]"""
            )
        lines.append(
            f"""{clock[20]} CP-1 → [2,"e{n}","StopTransaction",{{"transactionId":{n + 1},"meterStop":{n * 1000 + 11},"timestamp":"{stamp[20]}"}}]
{clock[21]} CP-1 ← [3,"e{n}",{{}}]"""
        )
    diagnosis.take(play("\n".join(lines)))
    gc.collect()
    before = len(gc.get_objects())
    del diagnosis
    gc.collect()
    return before - len(gc.get_objects())


def test_more_transactions_leave_nothing_more():
    few, many = objects_after(200), objects_after(600)
    assert many < few * 1.1
