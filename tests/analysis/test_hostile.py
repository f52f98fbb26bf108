"""Whatever a payload holds, no rule and no tracker fails: the conversations of all rules, with values replaced."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis

CONVERSATIONS = sorted((Path(__file__).parent / "conversations").glob("*/*.fires.txt"))
ODD = [
    None, True, False, 0, -1, 1 << 70, -(1 << 70), 1e308, -0.5, 0.1, "", " ", "\x00\x1b[31m", "nan", "Infinity",
    "1e400",
    "x" * 3000,
    "2026-11-22T10:00:00Z", "9999-12-31T23:59:59.999999999+23:59", "0001-01-01T00:00:00-23:59", "2026-11-22T10:00:00",
    [], [[]], [None], [{}], {}, {"": {}}, {"id": [1]}, [1, "a", None, {"value": []}],
]  # fmt: skip
MUTATIONS = 6
"""Times that each conversation is played with other values."""


def mutated(value, dice: random.Random, chance: float):
    if dice.random() < chance:
        return dice.choice(ODD)
    if isinstance(value, dict):
        kept = {key: mutated(item, dice, chance) for key, item in value.items() if dice.random() > chance / 2}
        return kept if dice.random() > chance else {**kept, dice.choice(list(kept) or ["x"]): dice.choice(ODD)}
    if isinstance(value, list):
        items = [mutated(item, dice, chance) for item in value]
        return items * (3 if dice.random() < chance else 1)
    return value


def spoilt(line: str, dice: random.Random, chance: float) -> str:
    found = re.match(r"(.*?[→←] )(\[.*\])\s*$", line)
    if found is None:
        return line
    try:
        message = json.loads(found[2])
    except ValueError:
        return line
    if isinstance(message, list) and message:
        message[-1] = mutated(message[-1], dice, chance)
    return found[1] + json.dumps(message)


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.name.removesuffix(".fires.txt"))
def test_odd_values_break_nothing(path):
    lines = path.read_text("utf-8").splitlines()
    for seed in range(MUTATIONS):
        dice = random.Random(f"{path.name} {seed}")
        events = play("\n".join(spoilt(line, dice, 0.05 + 0.1 * (seed % 3)) for line in lines))
        diagnosis = Diagnosis()
        diagnosis.take(events)
        diagnosis.finish(events[-1].time_ns)
        assert not diagnosis.failures
        for one in diagnosis.findings():
            assert "\x1b" not in one.text
            assert len(one.text) < 2000
