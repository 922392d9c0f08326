"""The scanner that sends and the TPS that receives, as DICOM peers of the node."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import RTStructureSetStorage
from pynetdicom import AE, evt

from imaging.ct.series import SourceFile
from service.errors import Refused, TryAgain
from service.scu.reactor_pause import pause_reactor

SUCCESS = 0x0000
VERIFICATION = "1.2.840.10008.1.1"
SCANNER_AET = "DEMO_SCANNER"
TPS_AET = "DEMO_TPS"


@dataclass(kw_only=True)
class Tps:
    """A storage SCP on a free loopback port that writes what it receives to a folder."""

    folder: Path
    port: int = 0
    received: list[Path] = field(default_factory=list)
    _arrived: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        """Tell whether a structure set has arrived, waiting at most this long."""
        return self._arrived.wait(seconds)

    def keep(self, event: evt.Event) -> int:
        """Handle one C-STORE: write the file as it arrived."""
        path = self.folder / "structure_set.dcm"
        path.write_bytes(event.encoded_dataset())
        self.received.append(path)
        self._arrived.set()
        return SUCCESS


@contextmanager
def running_tps(folder: Path) -> Iterator[Tps]:
    """Open a TPS that listens until the context ends."""
    tps = Tps(folder=folder)
    entity = AE(TPS_AET)
    entity.add_supported_context(RTStructureSetStorage)
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, tps.keep)])
    assert server is not None  # start_server returns one if it does not block
    tps.port = int(server.server_address[1])
    try:
        yield tps
    finally:
        server.shutdown()


def send_series(
    files: Sequence[SourceFile], port: int, called_aet: str, progress: Callable[[int], None]
) -> None:
    """Send every file on one association, as a scanner does; raises at the first one that the node does not accept."""
    datasets = [dcmread(BytesIO(file.data)) for file in files]
    entity = AE(SCANNER_AET)
    wanted = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
    for sop_class_uid, transfer_syntax_uid in sorted(wanted):
        entity.add_requested_context(sop_class_uid, transfer_syntax_uid)
    association = entity.associate("127.0.0.1", port, ae_title=called_aet, max_pdu=0)
    if not association.is_established:
        raise TryAgain(f"the node's receiver at port {port} did not accept an association")
    pause_reactor(association)
    try:
        for number, (file, dataset) in enumerate(zip(files, datasets, strict=True), 1):
            answer = association.send_c_store(dataset)
            if "Status" not in answer or answer.Status != SUCCESS:
                raise Refused(f"the node did not accept {file.name}: {answer}")
            progress(number)
    finally:
        association.release()
