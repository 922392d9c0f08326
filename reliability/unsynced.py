"""The role receive on a storage that never syncs a file, which the power trial must detect."""

from service.audit import AuditWriter
from service.cli.roles import stopped_by_signals
from service.components import disk_gauge, opened_for_role
from service.config import Settings
from service.logs import start_log
from service.receive.recovery import recover
from service.receive.server import Receiver
from service.store import AuditLog, Commitments, FileStore, InstanceRecorder


def receive_without_sync(settings: Settings) -> int:
    """Run the role receive without syncing files and folders; the database syncs as usual."""
    start_log("receive", settings.node.log_level, settings.node.log_format)
    stop = stopped_by_signals()
    with (
        opened_for_role(settings) as (store, _),
        InstanceRecorder(store.database) as recorder,
        AuditWriter(AuditLog(store.database), role="receive") as trail,
    ):
        files = FileStore(settings.node.storage_dir, sync=lambda _descriptor: None)
        recover(files, store.book, recorder)
        commitments, has_room = Commitments(store.database), disk_gauge(settings)
        with Receiver(settings, files, recorder, trail, commitments=commitments, has_room=has_room):
            while not stop.wait(0.5):
                pass
    return 0
