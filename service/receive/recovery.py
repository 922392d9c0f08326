"""Startup recovery: record files without a row again, and log inconsistencies.

After a power cut the newest rows may be lost while their files exist: a slice is durable by its file.
"""

import hashlib
import logging
import os
from dataclasses import dataclass

from service.dimse import file_meta
from service.dimse.dataset import DatasetReader, MalformedDataset
from service.dimse.file_meta import FileMeta, ForeignFileMeta
from service.errors import Refused
from service.receive.store_handler import received_instance
from service.store import (
    FileLost,
    FileStore,
    InstanceRecorder,
    JobRepository,
    ReceivedFile,
    ReceivedInstance,
    RecordOutcome,
    StoredFile,
    path_of,
)

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RecoveryReport:
    """What startup recovery found in storage folder and database; paths are relative to the storage folder."""

    unfinished: int
    """Parts of objects that were never acknowledged; they are removed."""
    recorded: tuple[str, ...]
    """Complete files that had no row and have one now."""
    set_aside: tuple[str, ...]
    """Files that do not match their names, or that no row can describe: never acknowledged, moved to ``unverified``."""
    undelivered: tuple[str, ...]
    """Files made by this node that no job refers to; they stay."""
    damaged: tuple[ReceivedFile, ...]
    """Recorded instances whose file is missing or has another size: something else has changed the folder."""


class _Unverified(Exception):
    """The file is not what its name says."""


def recover(files: FileStore, book: JobRepository, recorder: InstanceRecorder) -> RecoveryReport:
    """Reconcile files and rows, and log the findings; objects may be received meanwhile.

    Raises:
        StorageUnavailable: the folder cannot be read.
        DatabaseUnavailable: rows cannot be read or written; what was done so far stays done.
    """
    unfinished = len(files.remove_parts())
    made = book.artifact_paths()
    recorded: list[str] = []
    set_aside: list[str] = []
    undelivered: list[str] = []
    damaged: list[ReceivedFile] = []
    for folder, there in files.folders():
        rows = book.received_in(folder)
        damaged += [row for path, row in rows.items() if _is_lost(files, row, there.get(path))]
        for path in sorted(there.keys() - rows.keys() - made - book.paths_to_remove()):
            try:
                (recorded if _index(files, path, recorder) else undelivered).append(path)
            except FileLost:  # its writer has discarded it since
                continue
            except (_Unverified, Refused) as reason:
                place = files.set_aside(path)
                set_aside.append(path)
                log.error("a file without a row was moved to %s", place, extra={"reason": str(reason)})  # noqa: TRY400
    book.mark_damaged([row.path for row in damaged])
    for row in damaged:
        about = {"sop_instance_uid": row.sop_instance_uid, "series_uid": row.series_uid}
        log.error("the file %s is gone or cut; its jobs fail until it is sent again", row.path, extra=about)
    found = RecoveryReport(
        unfinished=unfinished,
        recorded=tuple(recorded),
        set_aside=tuple(set_aside),
        undelivered=tuple(undelivered),
        damaged=tuple(damaged),
    )
    log.log(
        logging.ERROR if damaged or set_aside else logging.INFO,
        "start: %d unfinished objects removed, %d files recorded again, %d set aside, %d results that no job names, "
        "%d recorded files gone or cut",
        found.unfinished,
        len(recorded),
        len(set_aside),
        len(undelivered),
        len(damaged),
    )
    return found


def _is_lost(files: FileStore, row: ReceivedFile, listed: os.stat_result | None) -> bool:
    if row.removed_at is not None or row.damaged_at is not None:  # already known
        return False
    if listed is not None and listed.st_size == row.size_bytes:
        return False
    try:  # check again: `pull` may have stored it since the folder was listed
        with files.open(row.path) as stream:
            return os.fstat(stream.fileno()).st_size != row.size_bytes
    except FileLost:
        return True


def _index(files: FileStore, path: str, recorder: InstanceRecorder) -> bool:
    """Record a file that has no row; return whether it holds an instance to record."""
    instance = _read(files, path)
    if instance is None:
        return False
    files.secure(path)
    if recorder.record(instance) in (RecordOutcome.CONFLICT, RecordOutcome.OTHER_SYNTAX):
        raise _Unverified(f"{instance.sop_instance_uid} is kept with other content")
    return True


def _read(files: FileStore, path: str) -> ReceivedInstance | None:
    """Return the instance to record for a file, or None if the node itself made the file."""
    with files.open(path) as stream:
        head = stream.read(file_meta.HEADER_BYTES)
        digest = hashlib.sha256()
        size_bytes = len(head)
        try:
            meta = file_meta.decode(head)
        except ForeignFileMeta:
            digest.update(head)
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
            if path.endswith(f"-{digest.hexdigest()[:40]}.dcm"):
                return None
            raise _Unverified("it is cut or changed") from None
        reader = DatasetReader(meta.transfer_syntax_uid)
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                size_bytes += len(chunk)
                digest.update(chunk)
                reader.feed(chunk)
            identity = reader.finish()
        except MalformedDataset as error:
            raise _Unverified(str(error)) from error
    file = StoredFile(path=path, size_bytes=size_bytes, sha256=digest.hexdigest(), header_bytes=len(head))
    return _checked(meta, received_instance(meta, identity, file))


def _checked(meta: FileMeta, instance: ReceivedInstance) -> ReceivedInstance:
    if path_of(instance.sop_instance_uid, instance.file.sha256) != instance.file.path:
        raise _Unverified("its name is that of another content")
    if (meta.sop_class_uid, meta.sop_instance_uid) != (instance.sop_class_uid, instance.sop_instance_uid):
        raise _Unverified("head and dataset name two instances")
    return instance
