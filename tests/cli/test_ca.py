"""`ocppscope ca`: shows, exports, issues; never overwrites, never prints a key."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from ocppscope.model import Version
from ocppscope.ocpp.schemas import validator
from support_cli import Done, run

KEY_WORDS = ("PRIVATE", "BEGIN RSA", "BEGIN EC")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """Where it is unless told."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "ocppscope" / "ca"


def ca(*arguments: str | Path) -> Done:
    done = run("ca", *arguments)
    assert not any(word in done.out + done.err for word in KEY_WORDS)
    return done


def test_it_is_made_and_shown(place):
    done = ca()
    assert done.code == 0
    shown = {line.split()[0]: line[11:] for line in done.lines}
    assert shown["directory"] == str(place)
    assert shown["key"] == "RSA, 2048 bits"
    der = Path("root.der")
    assert ca("--export", der).code == 0
    assert shown["SHA-256"].replace(":", "").lower() == hashlib.sha256(der.read_bytes()).hexdigest()
    assert ca().out == done.out


def test_another_place_and_another_kind(tmp_path, place):
    done = ca("--ca", tmp_path / "mine", "--kind", "ec")
    assert "P-256" in done.out
    assert not place.exists()
    assert (tmp_path / "mine" / "ca.key").exists()


def test_export(place):
    assert ca("--export", "-").out == (place / "ca.pem").read_text()
    assert ca("--export", "root.pem").code == 0
    assert Path("root.pem").read_text() == (place / "ca.pem").read_text()
    assert ca("--export", "root.pem").code == 0
    Path("root.pem").write_text("mine")
    done = ca("--export", "root.pem")
    assert (done.code, Path("root.pem").read_text()) == (2, "mine")
    assert "There is a file" in done.err


def test_certificates_for_tests(place):
    done = ca("--issue", "csms.example", "--issue", "::1", "--client", "CP/1", "-o", "made")
    assert done.code == 0
    names = ["CP_1.key", "CP_1.pem", "__1.key", "__1.pem", "csms.example.key", "csms.example.pem"]
    assert sorted(path.name for path in Path("made").iterdir()) == names
    for path in Path("made").glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "PRIVATE KEY" in path.read_text()
    before = Path("made/csms.example.key").read_bytes()
    again = ca("--issue", "csms.example", "-o", "made")
    assert again.code == 2
    assert Path("made/csms.example.key").read_bytes() == before


@pytest.mark.parametrize("option", ["--issue", "--client"])
@pytest.mark.parametrize("name", ["", "a b", "x" * 300, "\x1b[31m"])
def test_names_that_are_none(option, name):
    done = ca(option, name, "-o", "made")
    assert done.code == 2
    assert not Path("made").exists()
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("version", "model", "root"),
    [
        ("1.6", Version.V16, "CentralSystemRootCertificate"),
        ("2.0.1", Version.V201, "CSMSRootCertificate"),
        ("2.1", Version.V21, "CSMSRootCertificate"),
    ],
)
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_the_messages_that_bring_it_and_take_it_away(version, model, root, kind, tmp_path):
    installed = ca("--install", version, "--ca", tmp_path / "x", "--kind", kind).out
    assert json.loads(installed)["certificateType"] == root
    assert json.loads(installed)["certificate"] == (tmp_path / "x" / "ca.pem").read_text()
    deleted = ca("--delete", version, "--ca", tmp_path / "x").out
    for action, payload in (("InstallCertificate", installed), ("DeleteCertificate", deleted)):
        assert validator(model, action).problems(payload.encode()) == ()


def test_where_it_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    done = ca("--ca", tmp_path / "file" / "ca")
    assert done.code == 4
    assert "Not a directory" in done.err
    assert ca("--issue", "a.example", "-o", tmp_path / "file" / "out").code == 4
