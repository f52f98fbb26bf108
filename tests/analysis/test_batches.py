"""Batches of the engine are read without making messages; that must come to the same as reading messages."""

from __future__ import annotations

import pytest

from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import Finding
from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from support_cli import CAPTURES


def found(path, as_messages: bool) -> list[Finding]:
    engine, diagnosis = Engine(), Diagnosis()
    with open_captures([str(path)]) as reader:
        for block in reader.blocks():
            batch = engine.packets(block)
            diagnosis.take(list(batch) if as_messages else batch)
        batch = engine.finish()
        diagnosis.take(list(batch) if as_messages else batch)
    diagnosis.finish(diagnosis.stations.now)
    assert not diagnosis.failures
    return diagnosis.findings()


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_rows_or_messages(path):
    assert found(path, as_messages=True) == found(path, as_messages=False)
