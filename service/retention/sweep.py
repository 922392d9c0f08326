"""The role retention: remove expired files and verify the others, at a limited rate."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from service.config import RetentionSettings
from service.errors import TryAgain
from service.store import (
    Clock,
    DiskGauge,
    DiskLevel,
    ExpiredFile,
    RetainedKind,
    RetentionPolicy,
    RetentionStore,
    VerifiableFile,
    utc_now,
)
from service.store.objects import ListedObject, StoredContent

log = logging.getLogger(__name__)
SWEEP_S = 600.0  # a removal may come ten minutes late
VERIFY_RATE_BYTES = 20e6  # in a second, so that reception and delivery have the disk to themselves
AT_ONCE = 200  # rows in a transaction
VERIFIED_AT_ONCE = 5000  # finding what is due means scanning the rows of every file
UNNAMED_FOR = timedelta(days=1)
"""Minimum age of an object without a row before it is removed: far longer than a job takes to write the row."""


@dataclass(frozen=True, kw_only=True)
class RemovalReport:
    """What one sweep removed, or would remove."""

    kind: RetainedKind
    belongs_to: str
    study_uid: str
    files: int
    size_bytes: int


@dataclass(kw_only=True)
class RetentionSweep:
    """Removes and verifies files; one per node."""

    keeper: RetentionStore
    content: StoredContent
    gauge: DiskGauge
    settings: RetentionSettings
    forget_patients: Callable[[], int]  # of series of which no file is left; gives their number
    every_s: float = SWEEP_S
    verify_rate_bytes: float = VERIFY_RATE_BYTES
    clock: Clock = utc_now
    clock_doubt: Callable[[], str] = lambda: ""  # why the clock cannot be right; empty: it may
    why_held: Callable[[], str] = lambda: ""  # why the rows may not be the node's; empty: they are

    def run(self, stop: threading.Event) -> None:
        """Sweep every `every_s`, and verify in between, until `stop` is set."""
        while not stop.is_set():
            try:
                self.sweep()
                self.verify_due(stop)
            except TryAgain as reason:
                log.warning("nothing removed or verified: %s", reason)
            stop.wait(self.every_s)

    def due(self) -> list[RemovalReport]:
        """Return the files that the next sweep would remove, by series and job."""
        return list(_by_owner(self.keeper.expired(self.policy())))

    def sweep(self) -> list[RemovalReport]:
        """Remove expired files, unless the clock cannot be right.

        Below the warning level, also remove images of delivered jobs if the settings say so.
        """
        doubt = self.clock_doubt()
        if doubt:
            log.error("nothing is removed: %s", doubt)
            return []
        unlink_removed(self.keeper, self.content)  # what an earlier sweep marked before it was stopped
        gone = self._remove(self.policy(), lambda: True)
        if self.settings.make_room and self.gauge.room() is not DiskLevel.ENOUGH:
            early = RetentionPolicy(
                done_images=timedelta(0), ended_images=None, other_objects=None, results=None
            )
            gone += self._remove(early, lambda: self.gauge.room() is not DiskLevel.ENOUGH)
        self._remove_unnamed()
        emptied = self.forget_patients()
        if emptied:
            log.info("forgot the patients of %d series of which no file is left", emptied)
        removed = list(_by_owner(gone))
        for kind in RetainedKind:
            files = [one for one in gone if one.kind is kind]
            if files:
                log.info(
                    "removed %d files (%s), %.1f MB, of %d series or jobs",
                    len(files),
                    kind,
                    sum(one.size_bytes for one in files) / 1e6,
                    len({one.belongs_to for one in files}),
                )
        return removed

    def verify_due(self, stop: threading.Event) -> list[VerifiableFile]:
        """Verify files not verified for `verify_days`, at no more than the set rate; return damaged ones."""
        if self.settings.verify_days is None:
            return []
        before = self.clock() - timedelta(days=self.settings.verify_days)
        damaged: list[VerifiableFile] = []
        while not stop.is_set():
            some = self.keeper.to_verify(before, limit=VERIFIED_AT_ONCE)
            if not some:
                break
            damaged += self.verify(some, stop)
        return damaged

    def verify(self, checkable: Iterable[VerifiableFile], stop: threading.Event) -> list[VerifiableFile]:
        """Verify these files now; return those that are missing or damaged."""
        damaged: list[VerifiableFile] = []
        for one in checkable:
            if stop.is_set():
                break
            whole = self.content.is_whole(one.file, pace=self._pace(stop))
            if self.keeper.checked(one, whole=whole) and not whole:
                self.content.take_out(one.file.path)
                log.error("the stored file of %s is missing or damaged: %s", one.name, one.file.path)
                damaged.append(one)
        return damaged

    def policy(self) -> RetentionPolicy:
        """Return the retention periods of the settings."""
        keep = self.settings
        return RetentionPolicy(
            done_images=_period(keep.done_images_days),
            ended_images=_period(keep.ended_images_days),
            other_objects=_period(keep.other_objects_days),
            results=_period(keep.results_days),
        )

    def _remove(self, policy: RetentionPolicy, wanted: Callable[[], bool]) -> list[ExpiredFile]:
        gone: list[ExpiredFile] = []
        while wanted():
            some = self.keeper.mark(policy, self.keeper.expired(policy, limit=AT_ONCE))
            if not some:
                break
            unlink_removed(self.keeper, self.content)
            gone += some
        return gone

    def _remove_unnamed(self) -> None:
        """Remove objects stored but never recorded: the process died in between, and the job made them again."""
        published = self.content.published
        published.remove_unfinished()
        if self.why_held():
            return
        before = self.clock() - UNNAMED_FOR
        old = [one for one in published.list_objects() if one.put_at < before]
        gone: list[ListedObject] = []
        for start in range(0, len(old), AT_ONCE):
            some = old[start : start + AT_ONCE]
            unnamed = self.keeper.unnamed([one.key for one in some])
            gone += [one for one in some if one.key in unnamed]
        for one in gone:
            published.delete(one.key)
        if gone:
            size_bytes = sum(one.size_bytes for one in gone)
            log.info("removed %d objects that no job names, %.1f MB", len(gone), size_bytes / 1e6)

    def _pace(self, stop: threading.Event) -> Callable[[int], None]:
        def wait(size_bytes: int) -> None:
            stop.wait(size_bytes / self.verify_rate_bytes)

        return wait


def unlink_removed(keeper: RetentionStore, content: StoredContent) -> None:
    """Delete files and objects whose rows are gone or marked as removed; a file written since then stays.

    Raises:
        StorageUnavailable: one cannot be removed now; the rest is left for the next sweep.
    """
    for path, marked_at in keeper.to_unlink():
        content.remove(path, marked_at=marked_at)
        keeper.unlinked(path, marked_at)


def _period(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _by_owner(expired: Collection[ExpiredFile]) -> Iterator[RemovalReport]:
    sums: dict[tuple[RetainedKind, str], RemovalReport] = {}
    for one in expired:
        key = (one.kind, one.belongs_to)
        nothing = RemovalReport(
            kind=one.kind, belongs_to=one.belongs_to, study_uid=one.study_uid, files=0, size_bytes=0
        )
        so_far = sums.get(key, nothing)
        sums[key] = replace(so_far, files=so_far.files + 1, size_bytes=so_far.size_bytes + one.size_bytes)
    yield from sums.values()
