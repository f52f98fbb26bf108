"""A log with something unique in every field that must be redacted, of every schema: no form lets any of it out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from ocppscope.export.registry import FORMS, module_of
from ocppscope.model import Side, Version
from ocppscope.ocpp.versions import COVERED
from support_canaries import canaries
from support_cli import run
from support_payloads import SUBJECTS

STATION, USER = "QZXCANARYSTATION7", "QZXCANARYUSER4"
PATH_TOKEN, QUERY_TOKEN = "QZXa8f3C0FFEEd00d1234", "qzx9SecretQuery77"
PASSWORD = "qzxHunter2Password!"
REASON_TAG = "0AQZXTAG77CAFE"
MAIL = "qzx.driver@example-mail.de"


class Field(NamedTuple):
    """The log, and what must not be seen again."""

    path: Path
    planted: list[str]


@pytest.fixture(scope="module", params=COVERED, ids=str)
def field(request, tmp_path_factory) -> Field:
    """A session with a message of each schema of a version, an upgrade, a close, a CALLERROR, and a note."""
    version: Version = request.param
    path = tmp_path_factory.mktemp("canaries") / f"{STATION}.log"
    planted = [STATION, USER, PATH_TOKEN, QUERY_TOKEN, PASSWORD, REASON_TAG, MAIL]
    lines = [
        "-- 2026-11-22 (UTC)",
        f"10:00:00.000 {STATION} → GET /ocpp/{PATH_TOKEN}/{STATION}?token={QUERY_TOKEN} HTTP/1.1",
        "    ...",
        f"    Sec-WebSocket-Protocol: ocpp{version.value}",
        f"    X-Api-Key: {QUERY_TOKEN}",
        f"    Authorization: Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}",
        f"10:00:00.010 {STATION} ← HTTP/1.1 101 Switching Protocols",
        "    ...",
        f"    Sec-WebSocket-Protocol: ocpp{version.value}",
    ]
    for number, subject in enumerate(one for one in SUBJECTS if one.version is version):
        payload, found = canaries(subject)
        planted += found
        time = f"10:{1 + number // 60:02}:{number % 60:02}"
        ask = Side.STATION if number % 2 else Side.CSMS
        arrows = {Side.STATION: "→", Side.CSMS: "←"}
        if subject.response:
            lines.append(f'{time}.000 {STATION} {arrows[ask.other]} [2,"m{number}","{subject.action}",{{}}]')
        lines.append(f"{time}.100 {STATION} {arrows[ask]} {subject.message(payload, f'm{number}').decode()}")
    tag = (
        {"idTag": REASON_TAG} if version is Version.V16 else {"idToken": {"idToken": REASON_TAG, "type": "ISO14443"}}
    )
    lines += [
        f'10:50:00.000 {STATION} → [2,"a1","Authorize",{json.dumps(tag)}]',
        f'10:50:00.100 {STATION} ← [4,"a1","InternalError","no such card {REASON_TAG}",{{"mail":"{MAIL}"}}]',
        f'10:51:00.000 {STATION} ← CLOSE 1000 "bye {REASON_TAG}"',
        f"10:51:00.100 {STATION} ← CLOSED FIN",
    ]
    path.write_text("\n".join(lines) + "\n")
    noted = run("note", str(path), "-Y", 'id == "a1"', "--add", f"{STATION} asks about {REASON_TAG}: write to {MAIL}")
    assert noted.code == 0
    return Field(path, planted)


def test_they_are_seen_where_nothing_is_hidden(field, tmp_path):
    """If nothing were planted, the test below would pass."""
    out = tmp_path / "x.jsonl"
    assert run("export", str(field.path), "-o", str(out), "--show-secrets").code == 0
    seen = out.read_text()
    assert sum(one in seen for one in set(field.planted)) > 50


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_none_survives(field, tmp_path, form):
    out = tmp_path / f"case{form.suffixes[0]}"
    result = run("export", str(field.path), "-o", str(out), "--redact")
    assert result.code == 0, result.err
    texts = [out.read_bytes().decode("latin-1"), result.err.replace(str(out), "").replace(str(field.path), "")]
    if form.is_binary:
        texts += module_of(form).texts(str(out))
    seen = "\n".join(texts).lower()
    assert [one for one in field.planted if one.lower() in seen] == []
