import errno
import fcntl
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import FileLost, FileStore, StorageFull, StorageUnavailable
from service.store.files.part_files import translated


def test_a_file_is_kept_byte_for_byte_with_its_header(file_store: FileStore) -> None:
    stored = file_store.put("1.2.3", iter([b"data", b"", b"set"]), header=b"\0" * 128 + b"DICM")
    assert file_store.read(stored.path) == b"\0" * 128 + b"DICM" + b"dataset"
    assert (stored.size_bytes, stored.header_bytes) == (139, 132)
    assert stored.sha256 == hashlib.sha256(b"dataset").hexdigest()
    assert file_store.verify(stored)
    with file_store.open(stored.path) as stream:
        assert stream.read(1) == b"\0"


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(
    file_store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, header, data = os.write, b"head" * 5, bytes(range(256))
    monkeypatch.setattr(os, "writev", lambda descriptor, buffers: write(descriptor, b"".join(buffers)[:7]))
    monkeypatch.setattr(os, "write", lambda descriptor, buffer: write(descriptor, bytes(buffer)[:50]))
    stored = file_store.put("1.2.3", iter([memoryview(data), memoryview(data)]), header=header)
    assert file_store.read(stored.path) == header + data + data
    assert file_store.verify(stored)


def test_a_start_that_takes_a_new_part_file_for_an_orphan_costs_nothing(
    file_store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, starts = fcntl.flock, iter([True, True])

    def late(descriptor: int, how: int) -> None:
        if next(starts, False):
            for part in tmp_path.rglob("*.part"):
                part.unlink()
        lock(descriptor, how)

    monkeypatch.setattr("service.store.files.part_files.fcntl.flock", late)
    stored = file_store.put("1.2.3", b"dataset")
    assert file_store.verify(stored)
    assert not list(tmp_path.rglob("*.part"))


def test_a_header_without_data_is_written(file_store: FileStore) -> None:
    stored = file_store.put("1.2.3", iter(()), header=b"head")
    assert (file_store.read(stored.path), stored.size_bytes) == (b"head", 4)


def test_the_same_bytes_have_one_path_and_others_have_their_own(file_store: FileStore) -> None:
    first = file_store.put("1.2.3", b"dataset")
    assert file_store.put("1.2.3", [b"data", b"set"]) == first
    others = [file_store.put("1.2.3", b"another"), file_store.put("1.2.4", b"dataset")]
    assert len({first.path, *(other.path for other in others)}) == 3
    assert file_store.read(first.path) == b"dataset"


def test_what_came_first_stays_whoever_sends_it_again(file_store: FileStore, tmp_path: Path) -> None:
    first = file_store.put("1.2.3", b"dataset", header=b"from A")
    again = file_store.put("1.2.3", b"dataset", header=b"from B")
    assert (first.is_new, again.is_new) == (True, False)
    assert again == first
    assert file_store.read(first.path) == b"from Adataset"
    assert len(_files(tmp_path)) == 1


def test_a_file_that_is_cut_gives_way_to_the_whole_one(file_store: FileStore, tmp_path: Path) -> None:
    stored = file_store.put("1.2.3", b"dataset")
    (tmp_path / "storage" / stored.path).write_bytes(b"data")
    assert file_store.put("1.2.3", b"dataset").is_new
    assert file_store.verify(stored)


def test_a_disk_that_cannot_sync_leaves_nothing(file_store: FileStore, tmp_path: Path) -> None:
    def broken(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(StorageUnavailable, match="durable"):
        FileStore(tmp_path / "storage", sync=broken).put("1.2.3", b"dataset")
    assert _files(tmp_path) == []


@pytest.mark.parametrize("uid", ["../../../etc/passwd", "/etc/passwd", "", "a\0b", "x" * 5000, "ä/ö"])
def test_no_uid_leaves_the_storage_folder(file_store: FileStore, tmp_path: Path, uid: str) -> None:
    stored = file_store.put(uid, b"dataset")
    assert (tmp_path / "storage" / stored.path).resolve().is_relative_to(tmp_path / "storage" / "objects")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "objects/00/../../x", "parts/a.part"])
def test_only_paths_of_stored_files_are_opened(file_store: FileStore, path: str) -> None:
    with pytest.raises(ValueError, match="not the path"):
        file_store.read(path)


def test_a_sender_that_stops_in_the_middle_leaves_nothing(file_store: FileStore, tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"data"
        raise ConnectionResetError("the association was lost")

    with pytest.raises(ConnectionResetError):
        file_store.put("1.2.3", interrupted())
    assert _files(tmp_path) == []


def test_a_file_that_is_lost_or_changed_is_noticed(file_store: FileStore, tmp_path: Path) -> None:
    stored = file_store.put("1.2.3", b"dataset", header=b"h")
    (tmp_path / "storage" / stored.path).write_bytes(b"hdatasex")
    assert not file_store.verify(stored)
    file_store.discard(stored)
    assert not file_store.verify(stored)
    with pytest.raises(FileLost, match=stored.path):
        file_store.read(stored.path)
    file_store.discard(stored)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_no_space_no_quota_and_read_only_are_told_apart_from_a_broken_disk(number: int) -> None:
    with pytest.raises(StorageFull), translated("x"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(StorageUnavailable) as caught, translated("x"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert not isinstance(caught.value, StorageFull)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_a_full_disk(small_disk: Path) -> None:
    files = FileStore(small_disk / "storage")
    kept = files.put("1.1", b"x" * 100_000)
    with pytest.raises(StorageFull, match="No space left"):
        files.put("1.2", (b"x" * 100_000 for _ in range(100)))
    assert files.verify(kept)
    assert list((small_disk / "storage" / "parts").iterdir()) == []
    assert files.verify(files.put("1.3", b"x" * 100_000))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_read_only_disk_is_no_disk(small_disk: Path) -> None:
    files = FileStore(small_disk / "storage")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageFull, match="Read-only"):
        files.put("1.1", b"dataset")


def test_recovery_removes_the_parts_of_the_dead_and_leaves_those_of_the_living(
    file_store: FileStore, tmp_path: Path
) -> None:
    parts = tmp_path / "storage" / "parts"
    (parts / "of-a-dead-process.part").write_bytes(b"half")

    def slow() -> Iterator[bytes]:
        yield b"data"
        assert FileStore(tmp_path / "storage").remove_parts() == ("of-a-dead-process.part",)
        yield b"set"

    stored = file_store.put("1.2.3", slow())
    assert file_store.read(stored.path) == b"dataset"
    assert list(parts.iterdir()) == []


def test_a_killed_writer_leaves_a_part_that_the_next_start_removes(tmp_path: Path) -> None:
    FileStore(tmp_path / "storage")
    code = (
        "import sys, time, pathlib; from service.store import FileStore\n"
        "def chunks():\n    yield b'half'\n    print('writing', flush=True)\n    time.sleep(600)\n"
        "FileStore(pathlib.Path(sys.argv[1])).put('1.2.3', chunks())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "storage")], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        files = FileStore(tmp_path / "storage")
        assert files.remove_parts() == ()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(files.remove_parts()) == 1
    assert _files(tmp_path) == []


def test_memory_does_not_grow_with_the_object(file_store: FileStore) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = bytes(1 << 20)
    file_store.put("1.2.3", (chunk for _ in range(200)))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 50 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=False).returncode != 0:
        pytest.skip("this container may not mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def _files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
