"""What takes in the images that the node fetches by C-GET: the receiver's storage, without its doors."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.audit import FETCHING, AuditWriter
from service.config import Peer, Settings
from service.dimse.file_meta import TransferRoute
from service.receive.cget_receiver import CGetReceiver
from service.receive.store_handler import storage_of
from service.store import AuditLog, InstanceRecorder
from service.wiring.store import Store, disk_gauge


@contextmanager
def fetched_from(peer: Peer, settings: Settings, store: Store) -> Iterator[CGetReceiver]:
    """What keeps what a peer brings, beside a running receiver or without one."""
    origin = TransferRoute(
        calling_aet=peer.ae_title, called_aet=settings.receive.ae_title, peer_host=peer.host
    )
    with (
        InstanceRecorder(store.database) as recorder,
        AuditWriter(AuditLog(store.database), role=FETCHING) as trail,
        CGetReceiver(
            storage_of(settings, store.files, recorder, disk_gauge(settings)), trail, origin
        ) as fetched,
    ):
        yield fetched
