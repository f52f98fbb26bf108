"""The recording's file: whole blocks or nothing, rotation, full disks and files that somebody takes away."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocppscope.capture import pcapngout
from ocppscope.errors import UsageError
from ocppscope.proxy import spool
from ocppscope.proxy.spool import RETRY_NS, SLOW_NS, Rotation, Spool
from proxy.support_proxy import blocks, small_files

HEADER = pcapngout.section("a test") + pcapngout.interface(pcapngout.ETHERNET, "a test")
SECOND = 1_000_000_000


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_795_348_800 * SECOND

    def __call__(self) -> int:
        return self.now


def block(number: int, size: int = 100) -> bytes:
    """A packet that can be told from others."""
    return pcapngout.packet(0, number, number.to_bytes(4) + bytes(size - 4))


def numbers(*paths: Path | str) -> list[int]:
    """Which packets are in the files."""
    return [int.from_bytes(body[20:24]) for path in paths for kind, body in blocks(Path(path)) if kind == 6]


class Made:
    """A spool below a directory, on a clock of the test's."""

    def __init__(self, directory: Path, **rotation: int) -> None:
        self.clock = Clock()
        self.turned: list[str] = []
        self.first = str(directory / "field.pcapng")
        self.spool = Spool(
            self.first,
            HEADER,
            rotation=Rotation(**rotation),
            rotated=self.turned.append,
            clock=self.clock,
            steady=self.clock,
        )
        self.first = self.spool.path

    @property
    def paths(self) -> list[str]:
        return [self.first, *self.turned]


# --- one file -------------------------------------------------------------------------------------------------------


def test_what_is_written_is_there_at_once(tmp_path: Path):
    made = Made(tmp_path)
    assert numbers(made.first) == []
    for number in range(5):
        assert made.spool.write(block(number))
        assert numbers(made.first) == list(range(number + 1))
    assert made.spool.write(b"")
    assert made.spool.total_bytes == 5 * len(block(0))
    made.spool.close()
    made.spool.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path):
    made = Made(tmp_path)
    assert os.stat(made.first).st_mode & 0o777 == 0o600
    made.spool.close()


def test_a_recording_is_not_overwritten(tmp_path: Path):
    (tmp_path / "field.pcapng").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        Made(tmp_path)
    (tmp_path / "link.pcapng").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is there already"):
        Spool(str(tmp_path / "link.pcapng"), HEADER)
    assert (tmp_path / "field.pcapng").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["nowhere/field.pcapng", "file/field.pcapng", "x" * 300])
def test_a_place_where_nothing_can_be_written(tmp_path: Path, name: str):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no directory|cannot be written"):
        Spool(str(tmp_path / name), HEADER)


def test_a_disk_that_is_full_from_the_beginning(tmp_path: Path):
    with small_files(10), pytest.raises(UsageError, match="cannot be written"):
        Made(tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(0, 700), sizes=st.lists(st.integers(4, 300), min_size=1, max_size=8))
def test_a_full_disk_leaves_whole_blocks(tmp_path_factory: pytest.TempPathFactory, room: int, sizes: list[int]):
    """Whatever room there is: what `write` confirms is there, nothing else is, and it goes on once there is room."""
    made = Made(tmp_path_factory.mktemp("full"))
    expected = []
    with small_files(len(HEADER) + room):
        for number, size in enumerate(sizes):
            if made.spool.write(block(number, size)):
                expected.append(number)
                assert not made.spool.is_failing
            else:
                assert made.spool.is_failing
            assert numbers(made.first) == expected
    made.clock.now += RETRY_NS
    assert made.spool.write(block(99))
    assert not made.spool.is_failing
    assert numbers(made.first) == [*expected, 99]
    made.spool.close()


def test_after_a_failure_the_disk_has_its_rest(tmp_path: Path):
    made = Made(tmp_path)
    with small_files(len(HEADER)):
        assert not made.spool.write(block(1))
        assert "cannot be written (File too large); traffic goes on" in made.spool.trouble
        made.clock.now += RETRY_NS
        assert not made.spool.write(block(2))
    made.clock.now += RETRY_NS - 1
    assert not made.spool.write(block(3)), "there is room, but it is not tried yet"
    assert made.spool.lost_bytes == 3 * len(block(0))
    made.clock.now += 1
    assert made.spool.write(block(4))
    assert numbers(made.first) == [4]
    made.spool.close()


def test_a_slow_disk_is_noticed(tmp_path: Path):
    made = Made(tmp_path)
    made.spool._steady = iter((0, SLOW_NS + 1, 2 * SLOW_NS, 2 * SLOW_NS)).__next__
    made.spool.write(block(1))
    made.spool.write(block(2))
    assert made.spool.slow_writes == 1
    made.spool.close()


# --- several files --------------------------------------------------------------------------------------------------


def test_files_by_size(tmp_path: Path):
    made = Made(tmp_path, max_bytes=len(HEADER) + 3 * len(block(0)))
    for number in range(10):
        assert made.spool.write(block(number))
    assert [numbers(path) for path in made.paths] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    names = [os.path.basename(path) for path in made.paths]
    assert names == [f"field_0000{number}_20261122120000.pcapng" for number in (1, 2, 3, 4)]
    assert made.spool.path == made.paths[-1]
    assert made.spool.total_bytes == 10 * len(block(0))
    made.spool.close()


def test_a_block_that_is_larger_than_a_file_has_one_for_itself(tmp_path: Path):
    made = Made(tmp_path, max_bytes=500)
    for number in range(3):
        assert made.spool.write(block(number, 2000))
    assert [numbers(path) for path in made.paths] == [[0], [1], [2]]
    made.spool.close()


def test_files_by_time(tmp_path: Path):
    made = Made(tmp_path, max_ns=60 * SECOND)
    for number in range(5):
        made.spool.write(block(number))
        made.clock.now += 25 * SECOND
    assert [numbers(path) for path in made.paths] == [[0, 1, 2], [3, 4]]
    assert [re.findall(r"\d{14}", path) for path in made.paths] == [["20261122120000"], ["20261122120115"]]
    made.spool.close()


def test_only_so_many_are_kept(tmp_path: Path):
    made = Made(tmp_path, max_bytes=300, keep=2)
    for number in range(7):
        made.spool.write(block(number))
    left = sorted(tmp_path.iterdir())
    assert [str(path) for path in left] == made.paths[-2:]
    assert numbers(*left) == [3, 4, 5, 6][-len(numbers(*left)) :]
    made.spool.close()


def test_a_kept_file_that_somebody_removed(tmp_path: Path):
    """Then there is nothing to make room of, and nothing is lost of what comes."""
    made = Made(tmp_path, max_bytes=200, keep=2)
    made.spool.write(block(0))
    made.spool.write(block(1))
    os.unlink(made.paths[0])
    for number in range(2, 6):
        assert made.spool.write(block(number))
    assert not made.spool.trouble
    assert numbers(*sorted(tmp_path.iterdir())) == [4, 5]
    made.spool.close()


def test_a_number_comes_again_after_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spool, "MAX_ROTATED", 3)
    made = Made(tmp_path, max_bytes=200)
    for number in range(7):
        made.clock.now += SECOND
        assert made.spool.write(block(number))
    assert [re.search(r"_(\d+)_", path)[1] for path in made.paths] == [f"0000{n}" for n in (1, 2, 3, 1, 2, 3, 1)]
    assert numbers(*made.paths) == list(range(7))
    made.spool.close()


def test_a_directory_that_goes_away(tmp_path: Path):
    """The old file takes no more, a new one cannot be made: said, and tried again."""
    there = tmp_path / "there"
    there.mkdir()
    made = Made(there, max_bytes=200)
    assert made.spool.write(block(0))
    shutil.rmtree(there)
    assert not made.spool.write(block(1))
    assert "No such file or directory" in made.spool.trouble
    there.mkdir()
    assert not made.spool.write(block(2))
    made.clock.now += RETRY_NS
    assert made.spool.write(block(3))
    assert numbers(made.spool.path) == [3]
    made.spool.close()


def test_a_full_disk_at_the_border(tmp_path: Path):
    """A file whose header does not fit is not left behind."""
    made = Made(tmp_path, max_bytes=len(HEADER) + 3 * len(block(0)))
    assert all(made.spool.write(block(number)) for number in range(3))
    with small_files(len(HEADER) - 1):
        assert not made.spool.write(block(3))
    assert [str(path) for path in tmp_path.iterdir()] == made.paths == [made.first]
    made.clock.now += RETRY_NS
    assert made.spool.write(block(4))
    assert [numbers(path) for path in made.paths] == [[0, 1, 2], [4]]
    made.spool.close()


@pytest.mark.parametrize(
    ("name", "pattern"), [("field", r"field_00001_\d{14}\.pcapng"), ("a.b.cap", r"a\.b_00001_\d{14}\.cap")]
)
def test_names(tmp_path: Path, name: str, pattern: str):
    made = Spool(str(tmp_path / name), HEADER, rotation=Rotation(max_bytes=1))
    assert re.fullmatch(pattern, os.path.basename(made.path))
    made.close()
