"""Keys named on the command line, in the environment, and inside captures."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import support_cli
from conftest import SHARED
from ocppscope.cli import keys
from ocppscope.errors import UsageError

TLS = SHARED / "tls"
LINE = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != keys.ENVIRONMENT}
    return subprocess.run(
        [sys.executable, "-m", "ocppscope", *words],
        capture_output=True, text=True, check=False, timeout=60, env=clean | environment,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv(keys.ENVIRONMENT, raising=False)


def test_a_key_log_that_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "POLL_SECONDS", 0.0)
    path = tmp_path / "keys.log"
    path.write_bytes(b"# a comment\n" + LINE[:30])
    found = keys.Keys([str(path)])
    assert found.is_expected
    assert not found.secrets.version
    with path.open("ab") as file:
        file.write(LINE[30:])
    found.poll()
    assert found.secrets.of(bytes.fromhex("ab" * 32)) == {"CLIENT_RANDOM": bytes.fromhex("cd" * 48)}
    found.close()


def test_the_key_logs_of_a_run_are_closed_with_it(tmp_path, monkeypatch):
    opened, as_usual = [], keys._opened
    monkeypatch.setattr(keys, "_opened", lambda path: opened.append(as_usual(path)) or opened[-1])
    path = tmp_path / "keys.log"
    path.write_bytes(LINE)
    assert not support_cli.run("stations", support_cli.CAPTURES / "ocpp16_plain.pcap", "--keylog", path).code
    assert [file.closed for file in opened] == [True]
    assert not keys._open


def test_what_is_read_of_a_key_log_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "MAX_KEY_LOG_BYTES", 10)
    path = tmp_path / "keys.log"
    path.write_bytes(LINE)
    found = keys.Keys([str(path)])
    assert not found.secrets.version
    found.close()


def test_the_environment_counts_if_nothing_is_named(tmp_path, monkeypatch):
    path = tmp_path / "keys.log"
    path.write_bytes(LINE)
    monkeypatch.setenv(keys.ENVIRONMENT, str(path))
    found = keys.Keys()
    assert found.secrets.version
    found.close()
    monkeypatch.setenv(keys.ENVIRONMENT, str(tmp_path / "none"))
    assert not keys.Keys().is_expected


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        keys.Keys([str(tmp_path / "none")])
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(UsageError):
        keys.Keys(server_keys=[str(tmp_path / "key.pem")])


@pytest.mark.shared
def test_every_command_takes_keys():
    capture, log = str(TLS / "t13_mtls.pcap"), str(TLS / "t13_mtls.keys")
    for words in (["log"], ["stations"], ["timing"], ["log", "--jobs", "2"], ["diagnose"]):
        shown = "Heartbeat" if words == ["timing"] else "CP000"
        told = run(*words, "--keylog", log, capture)
        assert shown in told.stdout, (words, told.stderr)
        assert shown in run(*words, capture, **{keys.ENVIRONMENT: log}).stdout
        assert shown not in run(*words, capture).stdout
    secret = next(line.split()[2] for line in (TLS / "t13_mtls.keys").read_text().splitlines() if line[:1] != "#")
    assert secret not in told.stdout + told.stderr


@pytest.mark.shared
def test_keys_inside_a_capture_need_no_option():
    assert "CP000" in run("log", str(TLS / "t13_aes128gcm_dsb.pcapng")).stdout
    assert "CP000" in run("log", "--jobs", "2", str(TLS / "t13_aes128gcm_dsb.pcapng")).stdout


@pytest.mark.shared
@pytest.mark.tshark
@pytest.mark.parametrize("words", [["log"], ["stations"]])
def test_tshark_may_decrypt_instead(words):
    capture, log = str(TLS / "t12_ecdhe_rsa_gcm128.pcap"), str(TLS / "t12_ecdhe_rsa_gcm128.keys")
    ours = run(*words, "--keylog", log, capture).stdout
    theirs = run(*words, "--tls-engine", "tshark", "--keylog", log, capture).stdout
    assert ours.count("CP000") == theirs.count("CP000") > 0
    if words == ["log"]:
        assert ours.count("CALLRESULT") == theirs.count("CALLRESULT") == 40


def test_tshark_cannot_read_a_pipe_again():
    told = run("log", "--tls-engine", "tshark", "-")
    assert told.returncode == 2
    assert "pipe" in told.stderr


@pytest.mark.shared
def test_keys_of_others_leave_it_encrypted_and_say_so():
    told = run("log", "--keylog", str(TLS / "t13_mtls.keys"), str(TLS / "t13_aes128gcm.pcap"))
    assert "1 TLS connection" in told.stderr
    assert "CALL" not in told.stdout
