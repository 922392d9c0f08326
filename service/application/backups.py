"""The use cases of backups: make one, and make a node from one."""

from pathlib import Path

from service.application.actors import Actor, Operation
from service.application.trail import record_action
from service.store import Backup, BackupReport, Database, RestoreReport, make_backup, restore
from service.store.objects import StoredContent


def back_up(
    database: Database, url: str, content: StoredContent, actor: Actor, target: Path, *, with_images: bool
) -> BackupReport:
    """Make a backup below ``target``; the order is in the trail, and in the copy of it, before anything is copied.

    Raises:
        NotPermitted: the actor's role does not permit it.
        Refused, DatabaseUnavailable, StorageUnavailable: there is no backup.
    """
    what = "with images" if with_images else "without images"
    record_action(database, actor, Operation.BACKUP, detail=f"{what}, to {target}")
    return make_backup(database, url, content, target, with_images=with_images)


def restore_backup(url: str, content: StoredContent, actor: Actor, backup: Backup) -> RestoreReport:
    """Make a node from a backup, held until a person decides; that it was restored is the next entry of its trail.

    Raises:
        NotAllowed: there is a database already.
        Refused, DatabaseUnavailable, StorageUnavailable: it is not restored.
    """
    report = restore(url, content, backup)
    database = Database(url)
    try:
        missing = f"{len(report.missing)} files missing, {report.unknown} without a row"
        record_action(database, actor, Operation.RESTORE, detail=f"backup of {backup.made_at}: {missing}")
    finally:
        database.close()
    return report
