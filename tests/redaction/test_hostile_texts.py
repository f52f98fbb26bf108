"""What a peer sends to spoil an export: nothing of it is left in the clear, and nothing of it stops the export."""

from __future__ import annotations

import pytest

from ocppscope.model import Kind, Version
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
