"""The use cases of backups: make one, and restore a node from one."""

from pathlib import Path

from service.application.actors import Actor, Operation
from service.application.trail import record_action
from service.store import Backup, BackupReport, Database, RestoreReport, make_backup, restore
from service.store.objects import StoredContent


def back_up(
    database: Database, url: str, content: StoredContent, actor: Actor, target: Path, *, with_images: bool
) -> BackupReport:
    """Make a backup in ``target``; the order is in the audit trail, and so in its copy, before anything is copied.

    Raises:
        NotPermitted: the actor's role does not permit it.
        Refused, DatabaseUnavailable, StorageUnavailable: there is no backup.
    """
    what = "with images" if with_images else "without images"
    record_action(database, actor, Operation.BACKUP, detail=f"{what}, to {target}")
    return make_backup(database, url, content, target, with_images=with_images)


def restore_backup(url: str, content: StoredContent, actor: Actor, backup: Backup) -> RestoreReport:
    """Restore a node from a backup, held until a person decides; the restore is the next entry of its audit trail.

    Raises:
        NotAllowed: there already is a database.
        Refused, DatabaseUnavailable, StorageUnavailable: the node is not restored.
    """
    report = restore(url, content, backup)
    database = Database(url)
    try:
        missing = f"{len(report.missing)} files missing, {report.unknown} without a row"
        record_action(database, actor, Operation.RESTORE, detail=f"backup of {backup.made_at}: {missing}")
    finally:
        database.close()
    return report
