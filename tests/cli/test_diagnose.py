"""`diagnose` and `rules` as a user runs them."""

from __future__ import annotations

import json
import re

import pytest

from support_cli import CAPTURES, run

SLOW, CLEAN, REFUSED = (
    str(CAPTURES / f"{name}.pcap") for name in ("slow_and_missing", "remote_start_stop", "refused_handshakes")
)


def test_text_begins_with_the_worst_root():
    result = run("diagnose", REFUSED)
    assert result.code == 0
    assert re.match(r"error +CP", result.out)
    assert "blame:" in result.out
    assert re.search(r"\d+ errors?.* in \d+ messages", result.out)


def test_a_clean_session_has_nothing_above_note():
    result = run("diagnose", CLEAN, "--fail-on", "warning")
    assert result.code == 0
    assert not re.search(r"^(error|warning)", result.out, re.M)


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("warning", 1), ("note", 1)])
def test_fail_on(level, code):
    assert run("diagnose", REFUSED, "--fail-on", level).code == code


def test_json():
    whole = json.loads(run("diagnose", SLOW, "--format", "json").out)
    assert whole["format"] == 1
    assert whole["stations"][0]["identity"] == "CP-SLOW-01"
    assert {one["rule"] for one in whole["findings"]} >= {"rpc-slow-response", "rpc-duplicate-response"}
    assert all(one["evidence"] and one["advice"] for one in whole["findings"])


def test_sarif():
    whole = json.loads(run("diagnose", SLOW, "--format", "sarif").out)
    (run_,) = whole["runs"]
    rules = run_["tool"]["driver"]["rules"]
    for result in run_["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["locations"]


def test_markdown_and_html():
    assert run("diagnose", SLOW, "--format", "markdown").out.startswith("# Diagnosis of ")
    page = run("diagnose", SLOW, "--format", "html").out
    assert page.startswith("<!doctype html>")
    assert "<script" not in page


def test_one_rule_and_its_limit():
    result = run("diagnose", SLOW, "--enable", "rpc-slow-response", "--limit", "rpc-slow-response.note=5.9", "--full")
    assert result.out.count("rpc-slow-response:") == 1
    assert "Try" not in result.err
    assert not run(
        "diagnose", SLOW, "--enable", "rpc-slow-response", "--disable", "rpc-slow-response"
    ).out.startswith("note")


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--enable", "rpc-slow"), "Did you mean rpc-slow-response?"),
        (("--limit", "rpc-slow-response.x=1"), "no limit 'x'"),
        (("--limit", "nonsense"), "There is no rule 'nonsense'"),
    ],
)
def test_wrong_options(args, what):
    result = run("diagnose", SLOW, *args)
    assert result.code == 2
    assert what in result.err


def test_configuration(tmp_path, monkeypatch):
    (tmp_path / "ocppscope").mkdir()
    (tmp_path / "ocppscope" / "config.toml").write_text("[rules]\nrpc-slow-response = false\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert "rpc-slow-response" not in run("diagnose", SLOW).out
    (tmp_path / "ocppscope" / "config.toml").write_text("[rules.rpc-slow-response]\nwrn = 2\n")
    result = run("diagnose", SLOW)
    assert result.code == 2
    assert "no limit 'wrn'" in result.err


def test_rules():
    listed = run("rules").out
    assert listed.count("\n") > 200
    page = run("rules", "rpc-slow-response").out
    assert page == run("rules", "--explain", "rpc-slow-response").out
    assert "Limit warn: 10 s" in page
    assert run("rules", "rpc-slow").code == 2


def test_findings_in_the_log():
    shown = run("log", SLOW, "--findings").out
    assert re.search(r"^    ▲ note rpc-slow-response  The CSMS took", shown, re.M)
    only = run("log", SLOW, "-Y", "finding == rpc-slow-response", "--format", "jsonl").out.splitlines()
    assert {json.loads(line)["action"] for line in only} == {"Authorize", "TriggerMessage"}
    assert run("log", SLOW, "-Y", "finding.severity >= note", "--jobs", "2").out
    with open(SLOW, "rb") as capture:
        piped = run("log", "-", "-Y", "finding", stdin=capture.read())
    assert piped.code == 2
    assert "read twice" in piped.err


@pytest.mark.parametrize("form", ["markdown", "html", "sarif"])
def test_what_is_shared_names_nobody(form):
    path = str(CAPTURES / "broken_silence.pcap")
    assert "EXAMPLE-APP-21" not in run("diagnose", path, "--format", form).out
    assert "EXAMPLE" in run("diagnose", path, "--format", form, "--show-secrets").out
    assert "EXAMPLE-APP-21" in run("diagnose", path).out
