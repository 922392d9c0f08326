"""The contract of every object store, and what the folder adds to it: no half object, whatever ends the process."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from io import SEEK_END
from pathlib import Path

import pytest

from service.store import FileDamaged, FileLost, FileStore, StorageFull
from service.store.objects import (
    FolderObjectStore,
    ObjectStore,
    StoredContent,
    file_in_memory,
    keep_artifact,
    read_artifact,
)
from service.store.objects.object_store import is_published, new_key
from tests.support.memory_object_store import MemoryObjectStore


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return FolderObjectStore(tmp_path / "storage") if request.param == "folder" else MemoryObjectStore()


def test_an_object_is_there_as_it_was_put_until_it_is_deleted(objects: ObjectStore) -> None:
    key = new_key()
    assert not objects.exists(key)
    objects.put(key, b"structure set")
    assert objects.exists(key)
    assert objects.get(key) == b"structure set"
    objects.delete(key)
    objects.delete(key)
    assert not objects.exists(key)
    for read in (objects.get, objects.open):
        with pytest.raises(FileLost, match=key):
            read(key)


def test_a_stream_can_seek_and_outlives_the_object(objects: ObjectStore) -> None:
    objects.put(key := new_key(), b"structure set")
    with objects.open(key) as stream:
        assert stream.seek(0, SEEK_END) == 13
        assert stream.seek(10) == 10
        objects.delete(key)
        assert stream.read() == b"set"


def test_a_later_put_takes_the_place_of_the_earlier_one(objects: ObjectStore) -> None:
    key = new_key()
    for data in (b"cut", b"whole"):
        objects.put(key, data)
    assert objects.get(key) == b"whole"
    assert [one.size_bytes for one in objects.list_objects()] == [5]


def test_the_list_has_key_size_and_time_of_every_object(objects: ObjectStore) -> None:
    sizes = {new_key(): size for size in (0, 1, 100_000)}
    for key, size in sizes.items():
        objects.put(key, b"x" * size)
    listed = list(objects.list_objects())
    assert {one.key: one.size_bytes for one in listed} == sizes
    assert [one.key for one in listed] == sorted(sizes)
    assert all(abs(datetime.now(UTC) - one.put_at) < timedelta(minutes=10) for one in listed)


@pytest.mark.parametrize(
    "key", ["", "x", "../artifacts", "artifacts/../x.dcm", "artifacts/ab/x.dcm", "/etc/passwd"]
)
def test_nothing_but_a_key_names_an_object(objects: ObjectStore, key: str) -> None:
    for act in (objects.get, objects.open, objects.exists, objects.delete, lambda key: objects.put(key, b"")):
        with pytest.raises(ValueError, match="key"):
            act(key)


def test_threads_that_put_and_list_at_once_see_whole_objects_alone(objects: ObjectStore) -> None:
    seen: list[int] = []
    writers = [threading.Thread(target=lambda: keep_artifact(objects, b"x" * 200_000)) for _ in range(8)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen += [one.size_bytes for one in objects.list_objects()]
    assert set(seen) <= {200_000}
    assert len(list(objects.list_objects())) == 8
    assert objects.remove_unfinished() == 0


def test_an_artifact_is_given_out_only_as_it_was_kept(objects: ObjectStore) -> None:
    file = keep_artifact(objects, b"structure set")
    content = StoredContent(received=pytest.fail, published=objects)  # type: ignore[arg-type]
    assert is_published(file.path)
    assert content.read_whole(file) == b"structure set"
    assert content.is_whole(file)
    objects.put(file.path, b"structure sex")
    assert not content.is_whole(file)
    with pytest.raises(FileDamaged, match="checksum"):
        read_artifact(objects, file)
    objects.delete(file.path)
    assert not content.is_whole(file)
    with pytest.raises(FileDamaged, match="is no"):
        read_artifact(objects, file)


def test_a_library_that_wants_a_path_gets_one_that_is_on_no_disk() -> None:
    with file_in_memory(b"x" * 100_000) as path:
        assert (path.stat().st_size, path.read_bytes()) == (100_000, b"x" * 100_000)
    assert not path.exists()


def test_the_folder_is_its_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keep_artifact(FolderObjectStore(tmp_path / "storage"), b"structure set")
    finally:
        os.umask(before)
    folders = [path for path in (tmp_path / "storage" / "artifacts").rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_what_earlier_versions_kept_among_the_received_files_is_found_there(tmp_path: Path) -> None:
    older = FileStore(tmp_path).put("1.2.3", b"structure set")
    objects = FolderObjectStore(tmp_path)
    assert read_artifact(objects, older) == b"structure set"
    assert objects.exists(older.path)
    assert list(objects.list_objects()) == []
    with pytest.raises(ValueError, match="new object"):
        objects.put(older.path, b"another")
    objects.delete(older.path)
    assert not objects.exists(older.path)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = FolderObjectStore(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="No space left"):
        objects.put(new_key(), b"structure set")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


PUT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from service.store.objects import FolderObjectStore, keep_artifact
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
objects = FolderObjectStore(Path(sys.argv[1]))
if sys.argv[2] == "while it is put":
    os.fsync = die
keep_artifact(objects, b"structure set" * 100_000)
die()
"""


@pytest.mark.parametrize("instant", ["while it is put", "before its row"])
def test_kill_9_leaves_a_whole_object_or_none(tmp_path: Path, instant: str) -> None:
    objects = FolderObjectStore(tmp_path)
    ended = subprocess.run([sys.executable, "-c", PUT_AND_DIE, str(tmp_path), instant], check=False)
    assert ended.returncode == -signal.SIGKILL
    sizes = [one.size_bytes for one in objects.list_objects()]
    assert sizes == ([] if instant == "while it is put" else [1_300_000])
    assert objects.remove_unfinished() == (1 if instant == "while it is put" else 0)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(sizes)
