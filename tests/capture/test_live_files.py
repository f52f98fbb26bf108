"""The files of a recording: rotation, ring, names, rights, and a disk that is full and has room again."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture.live_files import RETRY_SECONDS, LiveFiles, creation_error, file_name
from ocppscope.capture.live_request import LiveRequest
from ocppscope.errors import AccessError, CaptureError, UsageError

HEADER = b"HEADER"
NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC


class Told:
    """What a recording tells, and a clock that stands."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.troubles: list[str] = []
        self.now = NOON
        self.set = 0.0  # by so much the clock was set

    def record(self, out: object, **wishes: object) -> LiveFiles:
        request = LiveRequest("eth0", str(out), **wishes)
        return LiveFiles(
            request, HEADER, opened=self.files.append, trouble=self.troubles.append,
            clock=lambda: self.now + self.set, steady=lambda: self.now,
        )  # fmt: skip

    @property
    def contents(self) -> list[bytes]:
        return [Path(path).read_bytes() for path in self.files if os.path.exists(path)]


@contextmanager
def room(file_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond it: a write fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_one_file_has_the_name_that_was_asked_for(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out.pcapng")
    assert told.contents == [HEADER], "it is there, and can be read, before there is a packet"
    files.write([b"one", b"two"], 2)
    files.close()
    assert told.files == [str(tmp_path / "out.pcapng")]
    assert told.contents == [b"HEADERonetwo"]
    assert stat.S_IMODE(os.stat(told.files[0]).st_mode) == 0o600


def test_an_older_file_of_that_name_is_replaced(tmp_path):
    (tmp_path / "out").write_bytes(b"of yesterday, and long")
    told = Told()
    told.record(tmp_path / "out").close()
    assert told.contents == [HEADER]


def test_rotation_by_size(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out.pcapng", rotate_bytes=10)
    for number in range(5):
        files.write([b"%d" % number * 3], 1)
    files.close()
    assert told.contents == [b"HEADER000111", b"HEADER222333", b"HEADER444"]
    assert [os.path.basename(path) for path in told.files] == [
        f"out_0000{number}_20261122120000.pcapng" for number in (1, 2, 3)
    ]


def test_rotation_by_time(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out.pcapng", rotate_seconds=60)
    for seconds in (0, 59, 60, 61, 200):
        told.now = NOON + seconds
        files.write([b"%d," % seconds], 1)
    files.close()
    assert told.contents == [b"HEADER0,59,", b"HEADER60,61,", b"HEADER200,"]
    assert told.files[1].endswith("out_00002_20261122120100.pcapng")


@pytest.mark.parametrize("step", [-86_400, 86_400])
def test_rotation_by_time_when_the_clock_is_set(tmp_path, step):
    """A file lasts as long as it was asked for; its name says what the clock says."""
    told = Told()
    files = told.record(tmp_path / "out.pcapng", rotate_seconds=60)
    told.set = step
    for seconds in (0, 59, 60, 61):
        told.now = NOON + seconds
        files.write([b"%d," % seconds], 1)
    files.close()
    assert told.contents == [b"HEADER0,59,", b"HEADER60,61,"]
    assert told.files[1].endswith(f"out_00002_202611{22 + step // 86_400}120100.pcapng")


def test_the_ring_keeps_the_latest(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out.pcapng", rotate_bytes=1, keep=2)
    for number in range(5):
        files.write([b"%d" % number], 1)
    files.close()
    assert told.contents == [b"HEADER3", b"HEADER4"]
    assert sorted(map(str, tmp_path.iterdir())) == told.files[-2:]


def test_further_files_have_the_header_as_it_is_then(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out", rotate_bytes=1)
    files.write([b"interface"], 0)
    files.header += b"interface"
    files.write([b"packet"], 1)
    files.close()
    assert told.contents == [b"HEADERinterface", b"HEADERinterfacepacket"]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20), limit=st.integers(6, 200))
def test_a_full_disk_leaves_whole_records(tmp_path_factory, sizes, limit):
    """Those written are a beginning; with room again, the rest of a broken one comes first."""
    told = Told()
    files = told.record(tmp_path_factory.mktemp("full") / "out")
    records = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
    with room(limit):
        files.write(records, len(records))
        during = told.contents[0]
    files.write([b"after"], 1)
    files.close()
    whole = HEADER + b"".join(records)
    assert during == whole[: max(limit, len(HEADER))]
    ends = [len(HEADER) + sum(sizes[:count]) for count in range(len(sizes) + 1)]
    last = next(count for count, end in enumerate(ends) if end >= min(len(during), ends[-1]))
    assert told.contents[0] == whole[: ends[last]] + b"after"
    assert files.unwritten == len(records) - last
    if len(during) < len(whole):
        assert len(told.troubles) == (2 if files.unwritten or len(during) < ends[last] else 0)


def test_what_does_not_fit_is_counted_and_said_once(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out")
    with room(8):
        files.write([b"1234", b"5678"], 2)
        files.write([b"9"], 1)
        files.write([b"statistics"], 0)
        assert files.unwritten == 2
        assert len(told.troubles) == 1
        assert "File too large" in told.troubles[0]
    files.write([b"later"], 1)
    assert told.contents == [b"HEADER1234later"]
    assert "can be written again" in told.troubles[1]
    files.close()


def test_an_end_on_a_full_disk(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out")
    with room(8):
        files.write([b"1234"], 1)
        files.close()
    assert told.contents == [b"HEADER12"]
    assert "cut off" in told.troubles[-1]


def test_no_further_file_can_be_made(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out", rotate_bytes=1)
    full = patch("ocppscope.capture.live_files.os.open", side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with full as opening:
        files.write([b"a"], 1)
        files.write([b"b"], 1)
        assert opening.call_count == 1, "it is not tried again with every packet"
        told.now += RETRY_SECONDS
        files.write([b"c"], 1)
        assert opening.call_count == 2
    told.now += RETRY_SECONDS
    files.write([b"d"], 1)
    files.close()
    assert told.contents == [b"HEADERabc", b"HEADERd"]
    assert "No space left" in told.troubles[0]


def test_no_file_is_left_that_has_no_header(tmp_path):
    told = Told()
    with room(3), pytest.raises(CaptureError, match="cannot be written"):
        told.record(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_all_can_be_removed(tmp_path):
    told = Told()
    files = told.record(tmp_path / "out", rotate_bytes=1)
    files.write([b"a"], 1)
    files.write([b"b"], 1)
    files.close()
    files.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="no file"):
            Told().record(name)


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (PermissionError(errno.EACCES, "no"), AccessError, "may not be written"),
        (FileNotFoundError(errno.ENOENT, "no"), CaptureError, "directory does not exist"),
        (OSError(errno.EROFS, "Read-only file system"), CaptureError, "Read-only file system"),
    ],
)
def test_why_a_file_cannot_be_made(tmp_path, error, kind, word):
    assert isinstance(creation_error("out", error), kind)
    with (
        patch("ocppscope.capture.live_files.os.open", side_effect=error),
        pytest.raises(kind, match=word),
    ):
        Told().record(tmp_path / "out")


def test_names_keep_directory_and_suffix():
    assert file_name("/data/a.b.pcapng", 12, NOON) == "/data/a.b_00012_20261122120000.pcapng"
    assert file_name("out", 1, NOON) == "out_00001_20261122120000"
