"""Named filters of the configuration file, and every way to get that file wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.errors import UsageError
from ocppscope.query import config
from ocppscope.query.config import config_path, named_filters
from ocppscope.query.filter import compile_filter


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.toml"


def test_filters_are_read(path):
    path.write_text(
        '[other]\nx = 1\n[filters]\nslow = "latency > 2s"\nbad-boot = "@slow and action == BootNotification"\n'
    )
    named = named_filters(path)
    assert dict(named) == {"slow": "latency > 2s", "bad-boot": "@slow and action == BootNotification"}
    assert not compile_filter("@bad-boot", named).is_empty


@pytest.mark.parametrize("content", ["", "# nothing\n", "[keys]\nx = 'y'\n", "[filters]\n"])
def test_no_filters(path, content):
    path.write_text(content)
    assert dict(named_filters(path)) == {}


def test_no_file(tmp_path):
    assert dict(named_filters(tmp_path / "none" / "config.toml")) == {}
    (tmp_path / "file").write_text("")
    assert dict(named_filters(tmp_path / "file" / "config.toml")) == {}


WRONG = [
    # content, line, what is said
    (b'[filters]\nslow = "latency > 2s\n', 2, ""),
    (b'[filters]\nslow = 5\n', 2, "no text"),
    (b'[filters]\n\nok = "error"\nbad = "actoin == x"\n', 4, "no field"),
    (b'[filters]\n"bad" = "actoin == x"\n', 2, "no field"),
    (b'filters.bad = "actoin == x"\n', 1, "no field"),
    (b'[filters]\na = "@b"\nb = "@a"\n', 2, "leads back"),
    (b'[filters]\na = "@nope"\n', 2, "no filter named"),
    (b'[filters]\na = ""\n', 2, "empty"),
    (b'[filters]\n"a b" = "x"\n', 2, "no name"),
    (b'\nfilters = 5\n', 2, "no table"),
    (b'[filters]\na = "\xff"\n', 2, "UTF-8"),
    (b'[filters\n', 1, ""),
    (b'x = ' + b"[" * 50_000, 1, ""),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line", "message"), WRONG, ids=[str(case[0][:30]) for case in WRONG])
def test_what_is_wrong_is_said_with_file_and_line(path, content, line, message):
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        named_filters(path)
    assert caught.value.what.startswith(f"{path}:{line}: ")
    assert message in caught.value.what


def test_bounds(path, monkeypatch):
    monkeypatch.setattr(config, "MAX_FILTERS", 2)
    path.write_text("[filters]\n" + "".join(f'f{n} = "error"\n' for n in range(3)))
    with pytest.raises(UsageError, match="more than 2"):
        named_filters(path)
    monkeypatch.setattr(config, "MAX_CONFIG", 10)
    with pytest.raises(UsageError, match="larger than"):
        named_filters(path)


def test_a_directory_in_its_place(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        named_filters(tmp_path)


@given(st.binary(max_size=60) | st.text("[]filters=\"'\n@a.{}# ", max_size=40).map(str.encode))
def test_no_bytes_make_it_fail(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("c") / "config.toml"
    path.write_bytes(content)
    with suppress(UsageError):
        assert all(named_filters(path).values())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/ocppscope/config.toml"),
        ({"HOME": "/h"}, "/h/.config/ocppscope/config.toml"),
        ({"XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/ocppscope/config.toml"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/ocppscope/config.toml"),
    ],
)
def test_where_it_is_looked_for(environment, expected):
    assert str(config_path(environment)) == expected
