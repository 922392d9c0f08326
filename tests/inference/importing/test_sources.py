"""Folders and zips that try to lead out, to be something else, or to be enormous."""

import os
import zipfile
from pathlib import Path

import pytest

from inference.errors import ImportRefused
from inference.importing import sources
from inference.importing.sources import opened


def refused(source: Path, scratch: Path) -> str:
    with pytest.raises(ImportRefused) as reason, opened(source, scratch):
        pass
    assert not (scratch / "unpacked").exists(), "something was unpacked"
    return str(reason.value)


def zipped(file: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return file


@pytest.mark.parametrize(
    "name", ["../out.json", "a/../../out.json", "/etc/out.json", "..\\out.json", "C:/out.json"]
)
def test_a_zip_that_leads_out_is_refused_whole(tmp_path: Path, name: str) -> None:
    source = zipped(tmp_path / "a.zip", ("plans.json", b"{}"), (name, b"{}"))
    assert "leads out of the archive" in refused(source, tmp_path)
    assert not (tmp_path.parent / "out.json").exists()


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("fold_0/checkpoint_final.pth")
    link.external_attr = 0o120777 << 16
    assert "is not a regular file" in refused(zipped(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path)


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", ("plans.json", bytes(64 * 2**20)))
    assert source.stat().st_size < 2**17
    assert f"would unpack to {64 * 2**20} bytes" in refused(source, tmp_path)


def test_sizes_that_are_claimed_are_refused(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", ("weights.pth", os.urandom(1000)))
    content = bytearray(source.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (2**32 - 2).to_bytes(4, "little")
    content[directory + 20 : directory + 24] = (2**31).to_bytes(4, "little")
    source.write_bytes(content)
    with pytest.raises(ImportRefused, match="holds 1000 bytes and says 4294967294"), opened(source, tmp_path):
        pass


def test_a_total_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1500)
    (tmp_path / "f").mkdir()
    for name in ("a", "b"):
        (tmp_path / "f" / name).write_bytes(bytes(1000))
    assert "more than" in refused(tmp_path / "f", tmp_path)


def test_a_sparse_file_counts_as_large_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with (tmp_path / "f" / "checkpoint_final.pth").open("wb") as file:
        file.truncate(100 * 2**30)
    assert "more than 16 GiB" in refused(tmp_path / "f", tmp_path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "nowhere"])
def test_links_in_a_folder_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "plans.json").symlink_to(target)
    assert "plans.json is a link" in refused(tmp_path / "f", tmp_path)


def test_a_pipe_in_a_folder_is_refused_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    os.mkfifo(tmp_path / "f" / "plans.json")
    assert "is not a regular file" in refused(tmp_path / "f", tmp_path)


@pytest.mark.parametrize("content", ["[1]", "{", '"x"', "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "plans.json").write_text(content)
    with opened(tmp_path, tmp_path) as source, pytest.raises(ImportRefused, match=r"plans\.json"):
        source.json("plans.json")


def test_a_zip_and_its_folder_hold_the_same(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", ("x/plans.json", b'{"a": 1}'))
    with opened(source, tmp_path) as files:
        assert files.under("x").json("plans.json") == {"a": 1}
        assert files.ending("plans.json") == ["x/plans.json"]
