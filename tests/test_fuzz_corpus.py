"""Each target of the fuzzer holds for its seeds, for all that ever failed, and for some mutations of both."""

from __future__ import annotations

import dis
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fuzz.comparisons import spare_arrays
from fuzz.corpus import MAX_SEED, REGRESSIONS, SEEDS, inputs
from fuzz.limits import HangError, TooSlowError, timed
from fuzz.mutate import MAX_INPUT, mutants
from fuzz.tape import joined, packed, pieces, records, split
from fuzz.targets import BY_NAME, TARGETS, module_of, words_of

from conftest import ROOT

NAMES = [one.name for one in TARGETS]
HANGS = 20
"""Seconds of processor time after which an input hangs, with the machine and the tests as they may be."""


def attempt(name: str, data: bytes) -> None:
    try:
        timed(module_of(name).target, data, HANGS, HANGS)
    except HangError as error:
        raise AssertionError(str(error)) from None


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_what_failed_once(name: str) -> None:
    paths = [*inputs(SEEDS, name), *inputs(REGRESSIONS, name)]
    assert inputs(SEEDS, name), "no seeds"
    for path in paths:
        try:
            attempt(name, path.read_bytes())
        except Exception as error:
            error.add_note(f"input: {path}")
            raise


@pytest.mark.parametrize("name", NAMES)
def test_mutations(name: str) -> None:
    kept = [path.read_bytes() for path in (*inputs(SEEDS, name), *inputs(REGRESSIONS, name))]
    words = words_of(module_of(name))
    for number, data in enumerate(mutants(kept, random.Random(f"{name} 1"), BY_NAME[name].rounds, words)):
        try:
            attempt(name, data)
        except Exception as error:
            error.add_note(f"mutation {number}: {data!r}")
            raise


def test_the_corpus_is_small() -> None:
    paths = [path for one in NAMES for folder in (SEEDS, REGRESSIONS) for path in inputs(folder, one)]
    assert sum(path.stat().st_size for path in paths) < 1 << 20
    assert max(path.stat().st_size for one in NAMES for path in inputs(SEEDS, one)) <= MAX_SEED


def test_there_is_no_input_without_a_target() -> None:
    folders = {path.name for folder in (SEEDS, REGRESSIONS) if folder.is_dir() for path in folder.iterdir()}
    assert folders <= set(NAMES)


def test_each_module_that_a_target_is_there_for_exists() -> None:
    names = {".".join(path.relative_to(ROOT / "src/ocppscope").with_suffix("").parts) for path in ROOT.rglob("*.py")
             if path.is_relative_to(ROOT / "src/ocppscope")}  # fmt: skip
    for one in TARGETS:
        for begin in one.covers:
            assert any(name.startswith(begin) for name in names), (one.name, begin)


# --- the tools themselves -------------------------------------------------------------------------------------------


def test_records_are_read_as_they_were_packed() -> None:
    steps = [(0, b"abc"), (255, b""), (7, bytes(300))]
    assert list(records(packed(steps))) == steps
    assert list(records(packed(steps)[:-1]))[-1] == (7, bytes(299))
    assert list(records(b"\1")) == [(1, b"")]


def test_two_parts() -> None:
    assert split(joined(b"x" * 16, b"yz")) == (b"x" * 16, b"yz")
    assert split(b"") == (b"", b"")


@pytest.mark.parametrize("data", [b"", b"a", bytes(500)])
def test_pieces_are_the_whole(data: bytes) -> None:
    assert b"".join(pieces(data)) == data


def test_mutations_are_bounded_and_the_same_each_time() -> None:
    first, second = (list(mutants([b"seed", bytes(MAX_INPUT)], random.Random(1), 300)) for _ in range(2))
    assert first == second
    assert max(map(len, first)) <= MAX_INPUT
    assert len(set(first)) > 250


def test_a_slow_input_is_a_failure() -> None:
    with pytest.raises(TooSlowError):
        timed(lambda data: sum(range(300_000)) and None, b"", 0.0)


def test_a_hanging_input_is_broken_off() -> None:
    with pytest.raises(HangError):
        timed(lambda data: any(one for one in iter(int, 1)) and None, b"", hang=0.05)


def test_comparisons_of_arrays_are_not_traced() -> None:
    traced: list[object] = []

    def native(one: object, other: object, operation: int, place: int, constant: bool) -> bool:
        traced.append((one, other))
        return one < other  # type: ignore[operator, no-any-return]

    atheris = SimpleNamespace(_trace_cmp=native, version_dependent=SimpleNamespace(CMP_OP_SHIFT_AMOUNT=4))
    for _ in range(2):
        spare_arrays(atheris)  # type: ignore[arg-type]
    compare = atheris._trace_cmp
    array = np.arange(3)
    assert compare(1, array, dis.cmp_op.index("<") << 4, 0, True).tolist() == [False, False, True]
    assert compare(array, array, dis.cmp_op.index(">=") << 4, 0, False).tolist() == [True, True, True]
    assert traced == []
    assert compare(1, 2, 0, 0, False) is True
    assert traced == [(1, 2)]


def test_a_run_without_atheris_tries_the_corpus(tmp_path) -> None:
    table = tmp_path / "table"
    command = [sys.executable, "-m", "fuzz.run", "--seconds", "0.2", "--work", str(tmp_path), "--table", str(table)]
    done = subprocess.run([*command, "jsontext"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [cell.strip() for cell in table.read_text().splitlines()[-1].split("|")]
    assert cells[1] == "jsontext"
    assert int(cells[3].replace(",", "")) > len(inputs(SEEDS, "jsontext"))
