"""A checkpoint is read as tensors alone; what is none, lies about its size or would run code is refused by its name."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from inference.errors import ImportRefused
from inference.importing import tensors
from inference.importing.tensors import expect_honest_sizes, load_tensors

MIB = 2**20


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


def refused(file: Path) -> str:
    with pytest.raises(ImportRefused) as reason:
        load_tensors(file, "fold_0.pth")
    assert str(reason.value).startswith("fold_0.pth: ")
    return str(reason.value)


def claiming(file: Path, beyond_twice: int) -> Path:
    """An archive whose one entry says that it holds twice the file's bytes and so many more."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", bytes(100))
    content = bytearray(file.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (2 * len(content) + beyond_twice).to_bytes(4, "little")
    file.write_bytes(content)
    return file


def test_values_come_back(tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(3)}, tmp_path / "a.pth")
    assert load_tensors(tmp_path / "a.pth", "a")["weight"].tolist() == [0, 1, 2]


def test_an_archive_may_claim_twice_its_bytes_and_a_mebibyte_and_no_byte_more(tmp_path: Path) -> None:
    expect_honest_sizes(claiming(tmp_path / "a.pth", MIB), "a")
    assert "torch does not write such a file" in refused(claiming(tmp_path / "b.pth", MIB + 1))


def test_no_archive_may_claim_more_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"weight": torch.zeros(3)}, file := tmp_path / "a.pth")
    with zipfile.ZipFile(file) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    monkeypatch.setattr(tensors, "_CLAIMED_MOST", claimed)
    load_tensors(file, "a")
    monkeypatch.setattr(tensors, "_CLAIMED_MOST", claimed - 1)
    assert f"claims {claimed} bytes in a file of {file.stat().st_size}" in refused(file)


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    """Its end is in order, its directory is not."""
    content = bytearray(claiming(tmp_path / "a.pth", 0).read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at : at + 4] = b"spam"
    (tmp_path / "a.pth").write_bytes(content)
    assert zipfile.is_zipfile(tmp_path / "a.pth")
    assert "not a readable archive: Bad magic number" in refused(tmp_path / "a.pth")


def test_code_and_what_is_no_checkpoint_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": Harmful()}, tmp_path / "code.pth")
    assert "it would run code when loaded" in refused(tmp_path / "code.pth")
    (tmp_path / "pickled.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    assert "Ask its maker for a checkpoint" in refused(tmp_path / "pickled.pth")
    for content, reason in ((b"no checkpoint", "Unsupported operand 110"), (b"", "EOFError")):
        (tmp_path / "text.pth").write_bytes(content)
        assert refused(tmp_path / "text.pth") == f"fold_0.pth: cannot be read as a checkpoint: {reason}"


def test_what_takes_too_much_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise MemoryError

    torch.save({}, tmp_path / "a.pth")
    monkeypatch.setattr(torch, "load", load)
    assert "takes more memory than an import may" in refused(tmp_path / "a.pth")
