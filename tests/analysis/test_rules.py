"""For each rule a conversation in which it fires and one in which it must stay silent.

`conversations/GROUP/RULE.fires.txt` and `RULE.silent.txt`, with more words before the last two where there are
several
(`RULE.late.fires.txt`). A first line `# severity: error` says how bad the finding has to be, `# says: …` a part of
its sentence, `# times: 3` that there is one finding that counts so many. Rules about what a conversation cannot say
(TCP, TLS) have tests named `test_fires_…` and `test_silent_…` after them instead.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.test_network_rules import FIRES, SILENT
from conversation import play
from ocppscope.analysis import rules
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import Finding, Severity
from ocppscope.analysis.registry import MODULES, RULES, load

HERE = Path(__file__).parent
CONVERSATIONS = sorted((HERE / "conversations").glob("*/*.txt"))
load()


def findings(path: Path) -> list[Finding]:
    events = play(path)
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return diagnosis.findings()


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.name.removesuffix(".txt"))
def test_conversation(path: Path) -> None:
    rule, *_, expected = path.name.removesuffix(".txt").split(".")
    assert rule in RULES
    assert path.parent.name == RULES[rule].group
    found = [one for one in findings(path) if one.rule == rule]
    if expected == "silent":
        assert not found
        return
    assert expected == "fires"
    assert found
    asked = dict(re.findall(r"^# (severity|says|times): (.+)$", path.read_text("utf-8"), re.M))
    if "severity" in asked:
        assert max(one.severity for one in found) is Severity[asked["severity"].upper()]
    if "says" in asked:
        assert any(asked["says"] in one.text for one in found), [one.text for one in found]
    if "times" in asked:
        assert [one.count for one in found] == [int(asked["times"])]
    for one in found:
        assert one.evidence
        assert one.text.endswith(".")


def test_every_rule_has_both() -> None:
    names = {path.name for path in CONVERSATIONS}
    tests = "".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    for rule in RULES:
        for expected in ("fires", "silent"):
            told = any(name.startswith(f"{rule}.") and name.endswith(f"{expected}.txt") for name in names)
            table = FIRES if expected == "fires" else SILENT
            named = f"def test_{expected}_{rule.replace('-', '_')}" in tests
            assert told or named or table.get(rule), f"{rule}: {expected}"


def test_every_module_of_rules_is_loaded():
    modules = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(MODULES)


def test_the_order_is_that_of_the_modules_whichever_is_imported_first():
    before = list(load().items())
    count = sum(rule.check.__module__.endswith(f".{MODULES[-1]}") for _, rule in before)
    RULES.clear()
    RULES.update([*before[-count:], *before[:-count]])
    assert list(load().items()) == before
