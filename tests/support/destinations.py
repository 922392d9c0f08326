import gc
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt

from inference import ports
from service.config import Peer

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def structure_set(uid: str = "1.2.3.1", transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """Gives a Part 10 file of a small structure set."""
    ds = Dataset()
    ds.SOPClassUID = RTSTRUCT
    ds.SOPInstanceUID = uid
    ds.Modality = "RTSTRUCT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.10", "1.2.3.20"
    contour = Dataset()
    contour.ContourData = ["1.50", "2.25", "-3.0"] * 2000
    ds.ROIContourSequence = Sequence([contour])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTSTRUCT, uid
    meta.TransferSyntaxUID = transfer_syntax_uid
    buffer = io.BytesIO()
    file = FileDataset("", ds, file_meta=meta, preamble=bytes(128))
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def data_set_of(part10: bytes) -> bytes:
    """Gives the bytes behind the File Meta Information."""
    return part10[144 + int.from_bytes(part10[140:144], "little") :]


@dataclass(kw_only=True)
class Destination:
    """A storage SCP of pynetdicom that remembers what it got."""

    peer: Peer
    got: list[tuple[str, str, bytes]] = field(default_factory=list)  # calling AE, transfer syntax, dataset
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How a destination answers."""

    status: Callable[[evt.Event], int | Dataset] = lambda _: 0
    sop_class: str = RTSTRUCT
    transfer_syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT)
    calling_aets: tuple[str, ...] = ()
    checks_called_aet: bool = False
    maximum_associations: int = 10
    port: int = 0


@pytest.fixture
def start_destination() -> Iterator[Callable[[Behaviour], Destination]]:
    """Starts storage SCPs on free ports."""
    with ExitStack() as stack:

        def start(behaviour: Behaviour = Behaviour()) -> Destination:
            entity = AE("TPS")
            entity.add_supported_context(behaviour.sop_class, list(behaviour.transfer_syntaxes))
            if behaviour.sop_class != VERIFICATION:
                entity.add_supported_context(VERIFICATION)
            entity.require_calling_aet = list(behaviour.calling_aets)
            entity.require_called_aet = behaviour.checks_called_aet
            entity.maximum_associations = behaviour.maximum_associations

            def store(event: evt.Event) -> int | Dataset:
                sent = (
                    event.assoc.requestor.ae_title,
                    str(event.context.transfer_syntax),
                    event.request.DataSet.getvalue(),
                )
                with destination.lock:
                    destination.got.append(sent)
                return behaviour.status(event)

            server = entity.start_server(
                ("127.0.0.1", behaviour.port),
                block=False,
                ae_title="TPS",
                evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_C_ECHO, behaviour.status)],
            )
            stack.callback(server.shutdown)
            destination = Destination(
                peer=Peer(ae_title="TPS", host="127.0.0.1", port=server.server_address[1])
            )
            return destination

        yield start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # sockets that pynetdicom's server left open
        gc.collect()


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    return ports.free_port()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A stored structure set in explicit VR little endian."""
    path = tmp_path / "rs.dcm"
    path.write_bytes(structure_set())
    return path
