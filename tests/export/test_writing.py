"""Files come whole or not at all, under their own name only at the end, and not with what should be hidden."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocppscope.errors import AccessError, CaptureError, UsageError
from ocppscope.export import writing
from ocppscope.export.evidence import Row
from ocppscope.export.registry import BY_NAME, BY_SUFFIX, FORMS, form_of, module_of
from ocppscope.export.writing import SCAN_BYTES, STEP, CancelledError, Job, LeakError, write_file, write_stream
from ocppscope.model import Kind, Message, Side
from ocppscope.redaction.leaks import Leak

TEXT, PARQUET = BY_NAME["text"], BY_NAME["parquet"]
MESSAGE = Message(0, 0, 0, Side.STATION, Kind.CALL, "1", "Heartbeat", b'[2,"1","Heartbeat",{}]', 24, (1,))


class Rows:
    """Evidence of so many rows; only what `write` below asks for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def items(self):
        return (Row(number, MESSAGE) for number in range(self._count))


class Finder:
    """A redactor whose scan looks for one word."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def leaks(self, text: str) -> list[Leak]:
        at = text.find(self._secret)
        return [Leak("driver token", "idTag: ⟨…⟩", at)] if at >= 0 else []

    def tally(self) -> dict[str, int]:
        return {"driver token": 3}


def plain(evidence, out, job):
    for row in job.through(evidence.items()):
        out.write(b"%d\n" % row.row)


@pytest.fixture(autouse=True)
def form(monkeypatch):
    """A form that writes a number a row."""
    module = SimpleNamespace(write=plain)
    monkeypatch.setattr(writing, "module_of", lambda form: module)
    return module


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_file_is_written_for_its_owner_alone(tmp_path):
    done = write_file(Rows(3), TEXT, tmp_path / "x.log", Job())
    assert (tmp_path / "x.log").read_bytes() == b"0\n1\n2\n"
    assert (done.rows, done.size, done.redacted) == (3, 6, {})
    assert (tmp_path / "x.log").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["x.log"]


def test_a_file_that_exists_is_kept_unless_asked(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_file(Rows(1), TEXT, path, Job())
    assert path.read_text() == "mine"
    write_file(Rows(1), TEXT, path, Job(), replace=True)
    assert path.read_text() == "0\n"
    assert names(tmp_path) == ["x.log"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, form):
    path = tmp_path / "x.log"

    def late(evidence, out, job):
        path.write_text("theirs")
        plain(evidence, out, job)

    form.write = late
    with pytest.raises(UsageError, match="exists already"):
        write_file(Rows(1), TEXT, path, Job())
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["x.log"]


def test_nothing_is_left_of_a_cancelled_export(tmp_path):
    asked = []

    def cancelled() -> bool:
        asked.append(names(tmp_path))
        return len(asked) > 1

    with pytest.raises(CancelledError):
        write_file(Rows(10 * STEP), TEXT, tmp_path / "x.log", Job(cancelled=cancelled))
    assert len(asked) == 2
    assert all(one != [] and "x.log" not in one for one in asked)  # under another name while it is written
    assert names(tmp_path) == []


def test_progress_is_told(tmp_path):
    told = []
    write_file(Rows(3 * STEP + 1), TEXT, tmp_path / "x.log", Job(told.append))
    assert told == [STEP, 2 * STEP, 3 * STEP]


@pytest.mark.parametrize("error", [CaptureError("It is gone."), ValueError("ours"), KeyboardInterrupt()])
def test_nothing_is_left_where_a_form_fails(tmp_path, form, error):
    def failing(evidence, out, job):
        out.write(b"half")
        raise error

    form.write = failing
    with pytest.raises(type(error)):
        write_file(Rows(1), TEXT, tmp_path / "x.log", Job())
    assert names(tmp_path) == []


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(AccessError, match="cannot be written"):
        write_file(Rows(1), TEXT, tmp_path / "no" / "x.log", Job())


def test_a_full_disk(tmp_path, form):
    def full(evidence, out, job):
        raise OSError(28, "No space left on device")

    form.write = full
    with pytest.raises(AccessError, match="No space left"):
        write_file(Rows(1), TEXT, tmp_path / "x.log", Job())
    assert names(tmp_path) == []


@pytest.mark.parametrize("at", [0, SCAN_BYTES - 3, SCAN_BYTES, 3 * SCAN_BYTES + 17])
def test_a_leak_is_found_wherever_it_stands(tmp_path, form, at):
    form.write = lambda evidence, out, job: out.write(b" " * at + b"04A1B2C3" + b" " * 100)
    with pytest.raises(LeakError, match="driver token: idTag: ⟨…⟩") as raised:
        write_file(Rows(1), TEXT, tmp_path / "x.log", Job(), redactor=Finder("04A1B2C3"))
    assert "04A1B2C3" not in str(raised.value)
    assert names(tmp_path) == []
    out = io.BytesIO()
    with pytest.raises(LeakError):
        write_stream(Rows(1), TEXT, out, Job(), redactor=Finder("04A1B2C3"))
    assert out.getvalue() == b""


def test_the_scan_of_a_form_that_is_no_text_asks_the_form(tmp_path, form):
    form.texts = lambda path: iter(["nothing", "04A1B2C3"])
    with pytest.raises(LeakError):
        write_file(Rows(1), PARQUET, tmp_path / "x.parquet", Job(), redactor=Finder("04A1B2C3"))
    form.texts = lambda path: iter(["nothing"])
    assert write_file(Rows(1), PARQUET, tmp_path / "x.parquet", Job(), redactor=Finder("04A1B2C3")).redacted == {
        "driver token": 3
    }


def test_a_stream():
    out = io.BytesIO()
    assert write_stream(Rows(2), TEXT, out, Job()).rows == 2
    assert out.getvalue() == b"0\n1\n"


# --- the registry ---------------------------------------------------------------------------------------------------


def test_every_form_has_a_module_and_suffixes_of_its_own():
    suffixes = [suffix for form in FORMS for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes)) == len(BY_SUFFIX)
    for one in FORMS:
        module = module_of(one)
        assert callable(module.write)
        assert not one.is_binary or callable(module.texts)


@pytest.mark.parametrize(("path", "name"), [("a.HTML", "html"), ("b.pcapng", "pcapng"), ("c/d.log", "text")])
def test_the_form_of_a_file(path, name):
    assert form_of(path).name == name
    assert form_of(path, "csv").name == "csv"


@pytest.mark.parametrize("path", ["a", "a.foo", ".html"])
def test_a_file_of_no_known_form(path):
    with pytest.raises(UsageError) as raised:
        form_of(path)
    assert "--format" in raised.value.hint


def test_the_command_names_all_forms():
    from ocppscope.cli.export import FORMS as NAMED

    assert tuple(form.name for form in FORMS) == NAMED
