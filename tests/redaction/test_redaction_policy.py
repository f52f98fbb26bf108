"""The file that holds the key of the pseudonyms."""

from __future__ import annotations

import stat

import pytest

from ocppscope.errors import UsageError
from ocppscope.redaction.policy import KEY_BYTES, MAX_KEY_FILE, new_key, read_key


def test_a_file_is_made_and_read_again(tmp_path):
    path = tmp_path / "key"
    key = read_key(path)
    assert len(key) == KEY_BYTES
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == key.hex() + "\n"


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31, "00" * 33, "00" * MAX_KEY_FILE, "é" * 64])
def test_what_is_no_key(tmp_path, content):
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        read_key(path)
    assert "00" * 16 not in error.value.what
    assert error.value.hint


def test_where_no_file_can_be(tmp_path):
    with pytest.raises(UsageError, match="cannot be made"):
        read_key(tmp_path / "nowhere" / "key")
    with pytest.raises(UsageError, match="cannot be read"):
        read_key(tmp_path)


def test_keys_differ():
    assert new_key() != new_key()
