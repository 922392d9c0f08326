"""Backups under load and after kill -9, and nodes made from them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from service.application import decide_recovery
from service.errors import Refused
from service.store import AuditLog, JobState, NotAllowed, Outbox, make_backup, read_backup, restore
from service.store.objects import StoredContent
from tests.service.receive.samples import SERIES
from tests.service.store.test_lost_database import StoreAndFolder
from tests.support.actors import ADMINISTRATOR


@pytest.fixture(autouse=True)
def postgres_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client programs of the server that the tests start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pgserver

    programs = Path(pgserver.__file__).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def second_url(empty_database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Another empty database of the same kind."""
    if empty_database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'second' / 'node.sqlite'}"
    from tests.conftest import NUMBERS, _create_database, _postgres_url

    folder, name = request.getfixturevalue("postgres_server"), f"second_{next(NUMBERS)}"
    _create_database(folder, name)
    return _postgres_url(folder, name)


def test_yesterdays_backup_beside_todays_files_sends_nothing_twice_and_lists_what_is_lost(
    tmp_path: Path, empty_database_url: str, second_url: str
) -> None:
    root, url = tmp_path / "storage", empty_database_url
    node = StoreAndFolder(root, url)
    node.start()
    lost = node.receive(2)
    node.receive(1)
    node.contoured()
    made = make_backup(node.database, url, node.content, tmp_path / "backups", with_images=False)
    node.sent()
    node.receive(series="1.2.3.99")
    node.identity.mark()
    node.database.close()
    (root / lost).unlink()

    report = restore(second_url, StoredContent.in_folder(root), read_backup(made.folder))
    assert [one.path for one in report.missing] == [lost]
    assert report.missing[0].belongs_to == f"series {SERIES}"
    assert report.unknown == 1
    again = StoreAndFolder(root, second_url)
    assert "restored from the backup" in again.start()
    assert again.identity.why_held() != ""
    decided = decide_recovery(again.database, again.files, again.identity, ADMINISTRATOR, delivers=False)
    assert {one.series_uid for one in decided.uncertain} == {SERIES, "1.2.3.99"}
    assert Outbox(again.database).claim_delivery("s", lease_s=60) is None
    assert {job.state for job in again.book.list_jobs()} == {JobState.CANCELLED}
    found = AuditLog(again.database).check()
    assert (found.broken, found.unguarded) == ("", "")
    with pytest.raises(NotAllowed, match=r"there is a database|has tables"):
        restore(second_url, StoredContent.in_folder(root), read_backup(made.folder))
    again.database.close()


def test_a_backup_with_images_makes_a_node_on_another_machine(
    tmp_path: Path, empty_database_url: str, second_url: str
) -> None:
    node = StoreAndFolder(tmp_path / "storage", empty_database_url)
    node.start()
    node.receive(1)
    node.contoured()
    first = make_backup(
        node.database, empty_database_url, node.content, tmp_path / "backups", with_images=True
    )
    assert (first.files_copied, first.files_kept) == (2, 0)
    node.receive(2)
    shutil.move(first.folder, first.folder.with_name("yesterday"))
    made = make_backup(
        node.database, empty_database_url, node.content, tmp_path / "backups", with_images=True
    )
    assert (made.files_copied, made.files_kept, made.missing) == (1, 2, [])
    node.database.close()
    report = restore(second_url, StoredContent.in_folder(tmp_path / "elsewhere"), read_backup(made.folder))
    assert (report.files_copied, report.missing, report.unknown) == (3, [], 0)
    again = StoreAndFolder(tmp_path / "elsewhere", second_url)
    assert all(again.files.verify(one.file) for one in again.book.instances_of_series(SERIES))
    result = again.book.result(1)
    assert result is not None
    assert again.content.read_whole(result).startswith(b"a structure set")
    again.database.close()


LOAD = """
import sys
from pathlib import Path
from tests.service.store.test_lost_database import StoreAndFolder
from service.store import AuditEvent, AuditKind, AuditLog
node = StoreAndFolder(Path(sys.argv[1]), sys.argv[2])
number = 0
while True:
    number += 1
    node.receive(number)
    AuditLog(node.database).append([(node.database.clock(), AuditEvent(kind=AuditKind.STARTED))])
    print(number, flush=True)
"""


def test_a_backup_under_load_is_one_moment_and_one_that_is_killed_is_none(
    tmp_path: Path, empty_database_url: str, second_url: str
) -> None:
    root = tmp_path / "storage"
    node = StoreAndFolder(root, empty_database_url)
    node.start()
    load = subprocess.Popen(
        [sys.executable, "-c", LOAD, str(root), empty_database_url], stdout=subprocess.PIPE, text=True
    )
    assert load.stdout is not None
    for _ in range(3):
        load.stdout.readline()
    drain = threading.Thread(target=load.stdout.read)
    drain.start()
    made = make_backup(
        node.database, empty_database_url, node.content, tmp_path / "backups", with_images=True
    )
    load.send_signal(signal.SIGKILL)
    load.wait()
    drain.join()
    load.stdout.close()
    node.database.close()
    assert made.missing == []
    report = restore(second_url, StoredContent.in_folder(tmp_path / "elsewhere"), read_backup(made.folder))
    assert report.missing == []
    again = StoreAndFolder(tmp_path / "elsewhere", second_url)
    images = again.book.instances_of_series(SERIES)
    assert len(images) >= 3
    assert AuditLog(again.database).check().broken == ""
    again.database.close()
    (made.folder / "backup.json").unlink()  # what kill -9 leaves: it is written last
    with pytest.raises(Refused, match="is not a complete backup"):
        read_backup(made.folder)


def test_a_damaged_or_newer_backup_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    node = StoreAndFolder(tmp_path / "storage", url)
    node.start()
    made = make_backup(node.database, url, node.content, tmp_path / "backups", with_images=False)
    node.database.close()
    manifest = made.folder / "backup.json"
    words = manifest.read_text()
    manifest.write_text(words.replace('"schema": "00', '"schema": "99'))
    with pytest.raises(Refused, match="newer version"):
        read_backup(made.folder)
    manifest.write_text(words)
    with (made.folder / "database.sqlite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Refused, match="checksum"):
        read_backup(made.folder)


def test_a_backup_with_images_names_each_file_that_is_lost_or_cut_and_has_the_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    node = StoreAndFolder(tmp_path / "storage", url)
    node.start()
    lost, cut, whole = (node.receive(number) for number in (1, 2, 3))
    (tmp_path / "storage" / lost).unlink()
    (tmp_path / "storage" / cut).write_bytes(b"cut")
    made = make_backup(node.database, url, node.content, tmp_path / "backups", with_images=True)
    node.database.close()
    assert ({one.path for one in made.missing}, made.files_copied) == ({lost, cut}, 1)
    copies = [file for file in (tmp_path / "backups" / "objects").rglob("*") if file.is_file()]
    assert copies == [tmp_path / "backups" / whole]
