"""C-FIND at image level as SCU (PS3.4 C.6.2): can a peer find an object that it took?"""

from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association

from service.config import Peer
from service.scu.association import ContextProposal
from service.scu.client import Scu
from service.scu.outcome import Failure, TransientFailure
from service.scu.part10 import StoredObject

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True, kw_only=True)
class InstanceKey:
    """The UIDs that identify an object: study, series, instance."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str


def place_of(stored: StoredObject) -> InstanceKey:
    """Return the UIDs of a stored object; OSError if it cannot be read."""
    head = dcmread(stored.path, specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
    return InstanceKey(
        study_uid=str(head.StudyInstanceUID),
        series_uid=str(head.SeriesInstanceUID),
        sop_instance_uid=str(head.SOPInstanceUID),
    )


def is_found(scu: Scu, peer: Peer, place: InstanceKey) -> bool | Failure:
    """Return whether the peer finds the object, or why it could not be asked."""
    contexts = [build_context(STUDY_ROOT_FIND, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])]
    return scu.ask(
        peer,
        ContextProposal(contexts=contexts),
        lambda association: _found(association, _query(place), place),
    )


def _query(place: InstanceKey) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = place.study_uid
    query.SeriesInstanceUID = place.series_uid
    query.SOPInstanceUID = place.sop_instance_uid
    return query


def _found(association: Association, query: Dataset, place: InstanceKey) -> bool | Failure:
    found = False
    for status, match in association.send_c_find(query, STUDY_ROOT_FIND):
        if "Status" not in status:
            return TransientFailure(reason="no answer to the query", is_unreachable=True)
        if int(status.Status) in _PENDING:
            found = found or (match is not None and match.get("SOPInstanceUID") == place.sop_instance_uid)
        elif int(status.Status) != 0:
            comment = f": {status.ErrorComment}" if "ErrorComment" in status else ""
            return TransientFailure(reason=f"0x{int(status.Status):04X} to the query{comment}")
    return found
