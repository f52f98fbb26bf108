"""What a peer sends to spoil an export: nothing of it is left in the clear, and nothing of it stops the export."""

from __future__ import annotations

import pytest

from ocppscope.model import Kind, Version
from ocppscope.redaction import leaks
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

TAG = "D3ADB33FCAFE01"


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor(Policy(b"k" * 32))
    shown(made, f'[2,"1","Authorize",{{"idTag":"{TAG}"}}]')
    return made


def shown(redactor: Redactor, text: str, action: str = "Authorize") -> str:
    given = {"version": Version.V16, "kind": Kind.CALL, "action": action}
    return redactor.message_text(text.encode(), **given).decode()


@pytest.mark.parametrize(
    "identity",
    [
        "4111111111111111",
        "a@b.example",
        "10.20.30.40",
        "00:11:22:33:44:55",
        "https://u:p@h.example/",
        "Bearer abc12345",
    ],
)
def test_a_message_id_that_looks_like_a_secret_gets_a_pseudonym(redactor: Redactor, identity: str) -> None:
    text = shown(redactor, f'[2,"{identity}","Heartbeat",{{}}]', "Heartbeat")
    assert identity not in text
    assert redactor.leaks(text) == []
    assert shown(redactor, f'[3,"{identity}",{{}}]').split('"')[1] == text.split('"')[1]


@pytest.mark.parametrize("identity", ["cd613e30-d8f1-4adf-91b7-584a2265b1f5", "17", "1795341600250"])
def test_an_ordinary_message_id_stays(redactor: Redactor, identity: str) -> None:
    text = f'[2,"{identity}","Heartbeat",{{}}]'
    assert shown(redactor, text, "Heartbeat") == text


@pytest.mark.parametrize("said", [TAG, "hunter2secret", "192.0.2.7", "a@b.example"])
def test_what_stands_in_the_place_of_the_type_is_not_left(redactor: Redactor, said: str) -> None:
    text = shown(redactor, f'[{said},"1","Authorize",{{}}]')
    assert said not in text
    assert redactor.leaks(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f'[2,"1","Authorize",{{"idTag":"{TAG}":',
        f'[2,"1","Authorize",{{"{TAG}":',
        f'[2,"1","Authorize",{{"{TAG}":}}]',
        f'[2,"1","Authorize","x {TAG}":{{}}]',
    ],
)
def test_a_value_that_turns_into_a_name_is_redacted(redactor: Redactor, text: str) -> None:
    assert TAG not in shown(redactor, text)


def test_a_secret_in_a_field_that_stays_stops_no_export(redactor: Redactor) -> None:
    text = shown(redactor, '[2,"1","Reset",{"type":"x -----BEGIN PRIVATE KEY-----abc"}]', "Reset")
    assert "BEGIN" not in text
    assert redactor.leaks(text) == []


def test_what_lost_its_letters_is_no_leak(redactor: Redactor) -> None:
    assert redactor.leaks("x@x.xxxxxxx") == []
    assert redactor.leaks("x@x.xxxxxxy") != []


def test_words_give_the_same_pseudonym_each_time(redactor: Redactor) -> None:
    text = f'e",{{"idTag":"{TAG}"}}] {TAG} {{"idTag":"{TAG}"}}'
    pseudonym = redactor.words(TAG)
    assert redactor.words(text) == text.replace(TAG, pseudonym)
    assert redactor.leaks(redactor.words(text)) == []


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (
            f"-----BEGIN PRIVATE KEY-----password=hunter2hunter2 MIIBVgIBADANBgkq {TAG} a -----BEGIN",
            "MIIBVgIBADANBgkq",
        ),
        (f"-----BEGIN PRIVATE KEY-----password=hunter2hunter2 MIIBVgIBADANBgkq {TAG} a -----BEGIN", TAG),
        ("the contract is SKBPRTWNUUG18", "SKBPRTWNUUG18"),
    ],
)
def test_nothing_is_left_of_a_secret_with_another_in_it_nor_of_one_with_few_digits(
    redactor: Redactor, text: str, secret: str
) -> None:
    assert secret not in redactor.words(text)
    assert redactor.leaks(redactor.words(text)) == []


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('[2,"1","StopTransaction",{"transactionId":12345678901234567}]', "12345678901234567"),
        ('[2,"1","Reset",{"type"::5}]', "::5"),
        ('[2,"1","Reset",{"type":"Soft"}SKBPRTWNUUG18]', "SKBPRTWNUUG18"),
        ("222222222232222", "222222222232222"),
    ],
)
def test_what_looks_like_a_secret_in_a_place_of_its_own_stops_no_export(
    redactor: Redactor, text: str, secret: str
) -> None:
    found = shown(redactor, text, "Reset")
    assert secret not in found
    assert redactor.leaks(found) == []


@pytest.mark.parametrize(
    "tag", ["https://u:pass@h.example", "EX22T11:a@b.example}]", "10.0.1.2/7", "é-XAMPLETOKEN02", "x-DE8AAC12345678"]
)
def test_a_pseudonym_is_no_leak_though_a_part_of_it_looks_like_a_secret(redactor: Redactor, tag: str) -> None:
    for _ in range(2):
        text = shown(redactor, f'[2,"1","Authorize",{{"idTag":"{tag}"}}]')
        assert tag not in text
        assert redactor.leaks(text) == []


def test_how_long_a_string_may_be_that_is_looked_at_for_a_pseudonym(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(redactor, '[2,"1","Authorize",{"idTag":"10.0.1.2/7"}]')
    assert redactor.leaks(text) == []
    monkeypatch.setattr(leaks, "MAX_IDENTIFIER", 5)
    assert [one.kind for one in redactor.leaks(text)] == ["IPv4 address"]


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Sec-WebSocket-Accept: abc password=hunter2hunter2", "hunter2hunter2"),
        (f"Sec-WebSocket-Key: {TAG} and more", TAG),
        ("Sec-WebSocket-Secret: hunter2hunter2", "hunter2hunter2"),
        ("Referer: https://proxy.example/https://user:pass@h.example/", "pass"),
        ("Referer: https://10.20.30.40.nip.io/a", "10.20.30.40"),
    ],
)
def test_nothing_is_left_in_a_header_that_is_not_what_it_should_be(
    redactor: Redactor, line: str, secret: str
) -> None:
    head = redactor.request_head(f"GET /CP-1 HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n".encode()).decode()
    assert secret not in head
    assert redactor.leaks(head) == []


def test_the_key_of_a_handshake_stays(redactor: Redactor) -> None:
    head = b"GET /CP-1 HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert redactor.request_head(head).partition(b"\r\n")[2] == head.partition(b"\r\n")[2]
