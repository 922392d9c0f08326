"""A short run of the long fuzzing of every reader; that a find is seen, made small and saved."""

import random
import time
from pathlib import Path

import pytest

from reliability import fuzz_files as fuzzing
from reliability.finds import Find, save
from reliability.fuzz_files import fuzz_files, mutated, outcome
from reliability.readers import FuzzedReader, readers
from reliability.samples import ct_variants, structure_set_variants

INPUTS = 30


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(readers()))
def test_every_reader_ends_in_a_result_or_its_own_error(name: str) -> None:
    report = fuzz_files([name], seed=1, seconds=600, most=INPUTS)
    assert [f"{find.what} (input {find.number})" for find in report.finds] == []
    assert report.inputs == {name: INPUTS}


def test_samples_are_read_before_they_are_mutated() -> None:
    for name, reader in readers().items():
        for sample in reader.samples():
            assert outcome(reader, sample) == "read", name


def test_an_input_is_the_same_each_time() -> None:
    reader = readers()["structure_set"]
    samples = reader.samples()
    assert mutated(reader, samples, 1, 7) == mutated(reader, structure_set_variants(), 1, 7)


def brittle(read_error: type[BaseException]) -> FuzzedReader:
    def read(data: bytes) -> None:
        if b"\xff" in data:
            raise read_error("cannot")

    def mutate(data: bytes, _chance: random.Random) -> bytes:
        return data

    return FuzzedReader(name="brittle", read=read, errors=(ValueError,), samples=ct_variants, mutate=mutate)


def test_an_error_of_another_kind_is_a_find_and_shrinks_to_the_byte_that_makes_it() -> None:
    reader = brittle(KeyError)
    data = b"a" * 500 + b"\xff" + b"b" * 300
    found = outcome(reader, data)
    assert found.startswith("KeyError in test_fuzz_files.py:read")
    assert fuzzing._minimised(reader, data, found) == b"\xff"
    assert outcome(brittle(ValueError), data) == "refused"


def test_an_endless_reader_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_data: bytes) -> None:
        time.sleep(60)

    monkeypatch.setattr(fuzzing, "INPUT_WITHIN_S", 0.2)
    fuzzing.signal.signal(fuzzing.signal.SIGALRM, fuzzing._too_slow)
    reader = FuzzedReader(
        name="slow", read=read, errors=(), samples=ct_variants, mutate=lambda data, _chance: data
    )
    assert fuzzing._timed(reader, b"").startswith("TooSlow")


def test_finds_are_saved_with_the_line_that_repeats_them(tmp_path: Path) -> None:
    find = Find(target="ct", what="KeyError in x.py:y: z", data=b"\1", seed=3, number=9)
    (line,) = save([find], tmp_path)
    assert (tmp_path / "ct-3-9.bin").read_bytes() == b"\1"
    assert f"python -m reliability.fuzz --again {tmp_path}/ct-3-9.bin" in line
