"""Objects that no row names, and rows whose objects are still there: what a kill leaves, and the sweep after it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from service.config import RetentionSettings
from service.store import JobState
from service.store.objects import StoredContent, keep_artifact
from tests.service.retention.test_sweeper import DAY, bring, sweeper
from tests.service.work.test_worker import Server, brainstem_and_larynx, queue_series, worker
from tests.support.memory_object_store import MemoryObjectStore
from tests.support.small_node import SmallNode


def keys(node: SmallNode) -> set[str]:
    return {one.key for one in node.objects.list_objects()}


def put_aged(node: SmallNode, age_s: float) -> str:
    """Put an object that no row names, as long ago as that by the node's clock."""
    key = keep_artifact(node.objects, b"structure set").path
    at = node.clock().timestamp() - age_s
    os.utime(node.files.root / key, (at, at))
    return key


def test_an_object_without_a_row_goes_after_a_day_and_one_with_a_row_stays(small_node: SmallNode) -> None:
    bring(small_node, JobState.DONE)
    (named,) = keys(small_node)
    old, young = put_aged(small_node, DAY + 60), put_aged(small_node, DAY - 60)
    sweeper(small_node, RetentionSettings()).sweep()
    assert keys(small_node) == {named, young}
    assert old not in keys(small_node)


def test_nothing_goes_while_nobody_can_say_what_belongs_to_the_node(small_node: SmallNode) -> None:
    old = put_aged(small_node, 100 * DAY)
    sweep = sweeper(small_node, RetentionSettings())
    sweep.why_held = lambda: "the database is older than the folder"
    sweep.sweep()
    assert keys(small_node) == {old}


class CancelledMeanwhile(MemoryObjectStore):
    """Puts, and has the job cancelled before its row is written."""

    def __init__(self, node: SmallNode) -> None:
        super().__init__()
        self._node = node

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        self._node.changes.cancel(self._node.job().id)


def test_a_result_that_is_not_wanted_any_more_is_deleted_at_once(small_node: SmallNode) -> None:
    queue_series(small_node)
    objects = CancelledMeanwhile(small_node)
    small_node.content = StoredContent(received=small_node.files, published=objects)
    assert worker(small_node, Server(brainstem_and_larynx)).work_one()
    assert small_node.job().state is JobState.CANCELLED
    assert list(objects.list_objects()) == []


MARK_AND_DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from service.config import RetentionSettings
from service.store import Database, DiskGauge, FileStore, RetentionStore
from service.store.objects import FolderObjectStore, StoredContent
from service.retention import RetentionSweep
class Dying(FolderObjectStore):
    def delete(self, key):
        os.kill(os.getpid(), signal.SIGKILL)
root, now = Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
database = Database(sys.argv[1], clock=lambda: now)
settings = RetentionSettings()
RetentionSweep(keeper=RetentionStore(database), gauge=DiskGauge(root, settings), settings=settings, every_s=1,
               content=StoredContent(received=FileStore(root), published=Dying(root)),
               forget_patients=lambda: 0, clock=lambda: now).sweep()
"""


def test_kill_9_between_the_mark_and_the_deletion_is_made_good_by_the_next_sweep(
    small_node: SmallNode, database_url: str
) -> None:
    bring(small_node, JobState.DONE)
    small_node.clock.tick(1000 * DAY)
    arguments = [database_url, str(small_node.files.root), small_node.clock().isoformat()]
    ended = subprocess.run([sys.executable, "-c", MARK_AND_DIE, *arguments], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(keys(small_node)) == 1
    (made,) = small_node.book.artifacts(small_node.job().id)
    assert made.removed_at is not None
    sweeper(small_node, RetentionSettings()).sweep()
    assert keys(small_node) == set()
    assert small_node.book.paths_to_remove() == frozenset()


@pytest.mark.parametrize("data", [b"structure sex", b"", None])
def test_a_damaged_artifact_is_found_and_stays_under_its_key(
    small_node: SmallNode, data: bytes | None
) -> None:
    job = bring(small_node, JobState.DELIVERING)
    (made,) = small_node.book.artifacts(job)
    if data is None:
        small_node.objects.delete(made.path)
    else:
        small_node.objects.put(made.path, data)
    sweep = sweeper(small_node, RetentionSettings(verify_days=1))
    small_node.clock.tick(2 * DAY)
    damaged = sweep.verify(sweep.keeper.to_verify(job_id=job), threading.Event())
    assert [one.file.path for one in damaged] == [made.path]
    assert small_node.objects.exists(made.path) == (data is not None)
    (found,) = small_node.book.artifacts(job)
    assert found.damaged_at is not None
