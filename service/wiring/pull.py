"""What takes in the images that the node fetches by C-GET: the receiver's storage, without its doors."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.audit import FETCHING, Trail
from service.config import Peer, Settings
from service.receive.fetched import Fetched
from service.receive.file_meta import Origin
from service.receive.storage import storage_of
from service.store import AuditLog, Recorder
from service.wiring.store import Store, disk_gauge


@contextmanager
def fetched_from(peer: Peer, settings: Settings, store: Store) -> Iterator[Fetched]:
    """What keeps what a peer brings, beside a running receiver or without one."""
    origin = Origin(calling_aet=peer.ae_title, called_aet=settings.receive.ae_title, peer_host=peer.host)
    with (
        Recorder(store.database) as recorder,
        Trail(AuditLog(store.database), role=FETCHING) as trail,
        Fetched(storage_of(settings, store.files, recorder, disk_gauge(settings)), trail, origin) as fetched,
    ):
        yield fetched
