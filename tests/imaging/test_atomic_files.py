"""A file is replaced as a whole, or not at all."""

from pathlib import Path

import pytest

from imaging.atomic_files import atomic_file, write_atomically


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    write_atomically(file, "old\n")
    with atomic_file(file) as part:
        part.write_text("Größe\n", encoding="utf-8")
        assert part.parent == file.parent
        assert file.read_text(encoding="utf-8") == "old\n"
    assert file.read_text(encoding="utf-8") == "Größe\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("written", ["", "half"])
def test_what_breaks_off_leaves_the_old_file_and_no_other(tmp_path: Path, written: str) -> None:
    file = tmp_path / "split.json"
    write_atomically(file, "old")

    def broken() -> None:
        with atomic_file(file) as part:
            if written:
                part.write_text(written, encoding="utf-8")
            raise ValueError("the encoder stopped")

    with pytest.raises(ValueError, match="encoder"):
        broken()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_bytes_and_name_are_synced_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append("folder" if place.is_dir() else "part" if place.suffix == ".part" else place.name)

    monkeypatch.setattr("imaging.atomic_files.os.fsync", sync)
    write_atomically(tmp_path / "curves.csv", "step\n")
    assert synced == ["part", "folder"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        write_atomically(tmp_path / "absent" / "curves.csv", "")
