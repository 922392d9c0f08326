"""A database that is seconds behind its storage folder: whatever was sent in these seconds, the folder knows of it."""

import os
import shutil
import threading
import time
from pathlib import Path

from service.application import decide_recovery, recovery_question
from service.config import Peer
from service.store import NodeIdentity, Outbox
from service.store.files.sqlite_copy import copy_sqlite
from tests.service.receive.samples import SERIES
from tests.service.store.test_lost_database import StoreAndFolder
from tests.support.actors import ADMINISTRATOR
from tests.support.office import Office, eventually, sender, settings

AWAY = Peer(ae_title="TPS", host="127.0.0.1", port=1)


def test_a_copy_from_before_a_delivery_is_held_though_it_is_of_the_same_minute(tmp_path: Path) -> None:
    office = Office(tmp_path)
    job = office.delivering(1, "tps")
    assert office.identity.mark()
    copy_sqlite(office.path, tmp_path / "seconds_ago.sqlite")
    with sender(office, settings({"tps": AWAY})):
        eventually(lambda: office.book.deliveries(job)[0].attempts >= 2)
    assert office.identity.why_held() == ""
    office.close()
    for name in ("node.sqlite", "node.sqlite-wal", "node.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "seconds_ago.sqlite", office.path)
    node = StoreAndFolder(tmp_path / "store", f"sqlite:///{office.path}")
    assert "older than the storage folder" in node.start()
    question = recovery_question(node.database, node.files, ADMINISTRATOR)
    assert question is not None
    assert [one.id for one in question.uncertain] == [job]
    decide_recovery(node.database, node.files, node.identity, ADMINISTRATOR, delivers=False)
    assert Outbox(node.database).claim_delivery("s", lease_s=60) is None
    node.database.close()


def test_a_copy_from_before_a_series_came_contours_it_under_the_same_uids(tmp_path: Path) -> None:
    place = tmp_path / "node.sqlite"
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    node.start()
    assert node.identity.mark()
    node.database.close()
    shutil.copy(place, tmp_path / "seconds_ago.sqlite")
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    node.receive(1)
    node.receive(2)
    uid = node.contoured()  # and nothing was sent
    node.database.close()
    shutil.copy(tmp_path / "seconds_ago.sqlite", place)
    again = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    assert again.start() == ""  # nobody has anything twice, and what came is there
    assert {one.sop_instance_uid for one in again.book.instances_of_series(SERIES)} == {
        f"{SERIES}.1",
        f"{SERIES}.2",
    }
    assert again.contoured() == uid
    again.database.close()


def test_a_file_of_a_clock_that_was_ahead_is_not_taken_for_one_that_came_since(tmp_path: Path) -> None:
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{tmp_path / 'node.sqlite'}")
    node.start()
    path = node.receive()
    ahead_s = time.time() + 86400
    os.utime(node.root / path, (ahead_s, ahead_s))
    node.database.close()
    lost = StoreAndFolder(tmp_path / "storage", f"sqlite:///{tmp_path / 'new.sqlite'}")
    assert "it is new, or was emptied" in lost.start()
    question = recovery_question(lost.database, lost.files, ADMINISTRATOR)
    assert question is not None
    assert ([one.series_uid for one in question.uncertain], question.new) == ([SERIES], [])
    lost.database.close()


def test_many_may_mark_at_once_and_nobody_sees_a_mismatch(tmp_path: Path) -> None:
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{tmp_path / 'node.sqlite'}")
    node.start()
    seen: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.append(NodeIdentity(node.database, node.root).why_held())
            seen.append(NodeIdentity(node.database, node.root).settle())
            time.sleep(0.001)

    def mark() -> None:
        assert all(NodeIdentity(node.database, node.root).mark() for _ in range(15))

    markers = [threading.Thread(target=mark) for _ in range(4)]
    looker = threading.Thread(target=look)
    for thread in (looker, *markers):
        thread.start()
    for thread in markers:
        thread.join()
    ended.set()
    looker.join()
    assert set(seen) == {""}
    assert '"generation": 60' in (node.root / "node.json").read_text()
    node.database.close()


def test_two_kills_between_database_and_folder_are_no_mismatch(tmp_path: Path) -> None:
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{tmp_path / 'node.sqlite'}")
    node.start()
    for _ in range(3):
        before = (node.root / "node.json").read_bytes()
        assert node.identity.mark()
        ahead = (node.root / "node.json").read_bytes()
        (node.root / "node.json").write_bytes(before)
        assert node.identity.why_held() == ""
        assert node.identity.mark()  # the folder catches up first
        assert (node.root / "node.json").read_bytes() != ahead
        assert node.start() == ""
    node.database.close()
