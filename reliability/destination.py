"""The planning system of a trial: a storage SCP that remembers every structure set that it accepted."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import RTStructureSetStorage
from pynetdicom import AE, evt

from reliability.series import SUCCESS, data_set_of
from reliability.wire import VERIFICATION

AE_TITLE = "TPS"


@dataclass
class RecordingDestination:
    """Objects by SOP Instance UID, with the digests of all forms in which each arrived."""

    digests: dict[str, set[str]] = field(default_factory=dict)
    series_of: dict[str, str] = field(default_factory=dict)  # the CT series that the object refers to
    stores: int = 0
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, event: evt.Event) -> int:
        """Handle one C-STORE."""
        file = event.encoded_dataset()
        read = dcmread(BytesIO(file))
        uid = str(read.SOPInstanceUID)
        images = read.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        series_uid = str(images.RTReferencedSeriesSequence[0].SeriesInstanceUID)
        with self._lock:
            self.stores += 1
            self.digests.setdefault(uid, set()).add(hashlib.sha256(data_set_of(file)).hexdigest())
            self.series_of[uid] = series_uid
        return SUCCESS

    def objects_of(self, series_uid: str) -> dict[str, set[str]]:
        """Return the digests of the objects that refer to a CT series, by SOP Instance UID."""
        with self._lock:
            return {uid: self.digests[uid] for uid, series in self.series_of.items() if series == series_uid}


@contextmanager
def running_destination() -> Iterator[RecordingDestination]:
    """Open a destination that listens on a free loopback port until the context ends."""
    destination = RecordingDestination()
    entity = AE(AE_TITLE)
    entity.add_supported_context(RTStructureSetStorage)
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, destination.keep)]
    )
    assert server is not None  # start_server returns one if it does not block
    destination.port = int(server.server_address[1])
    try:
        yield destination
    finally:
        server.shutdown()
