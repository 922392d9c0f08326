"""Queries to a peer's archive: C-FIND (PS3.4 C.4.1) in the Study Root model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association

from service.config import Peer
from service.scu.association import ContextProposal
from service.scu.client import Scu
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure

UNCOMPRESSED: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
_PENDING = (0xFF00, 0xFF01)
_SUCCESS = 0x0000


@dataclass(frozen=True, kw_only=True)
class FoundStudy:
    """A study in a peer's archive."""

    study_uid: str
    patient: tuple[str, str]  # Patient ID and its issuer: to tell patients apart, never shown
    date: str
    description: str


@dataclass(frozen=True, kw_only=True)
class FoundSeries:
    """A series in a peer's archive; ``images`` is None if the peer does not report their number."""

    study_uid: str
    series_uid: str
    modality: str
    description: str
    images: int | None


def find_studies(scu: Scu, peer: Peer, keys: Mapping[str, str]) -> list[FoundStudy] | Failure:
    """Return the studies that match every key (keyword and value), or the failure."""
    wanted = _identifier(
        "STUDY", ("StudyInstanceUID", "PatientID", "IssuerOfPatientID", "StudyDate", "StudyDescription")
    )
    for keyword, value in keys.items():
        setattr(wanted, keyword, value)
    found = _matches(scu, peer, wanted)
    return found if isinstance(found, Failure) else [_study(match) for match in found if _has_study(match)]


def find_series(scu: Scu, peer: Peer, *, study_uid: str, series_uid: str = "") -> list[FoundSeries] | Failure:
    """Return the series of a study, or only the named one; or the failure."""
    keywords = ("SeriesInstanceUID", "Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances")
    wanted = _identifier("SERIES", keywords)
    wanted.StudyInstanceUID, wanted.SeriesInstanceUID = study_uid, series_uid
    found = _matches(scu, peer, wanted)
    if isinstance(found, Failure):
        return found
    series = [_series(match, study_uid) for match in found if _text(match, "SeriesInstanceUID")]
    return [one for one in series if series_uid in ("", one.series_uid)]


def count_images(scu: Scu, peer: Peer, *, study_uid: str, series_uid: str) -> int | Failure:
    """Return how many images of a series the peer has ((0020,1209)), or why that is not known."""
    found = find_series(scu, peer, study_uid=study_uid, series_uid=series_uid)
    if isinstance(found, Failure):
        return found
    if not found:
        return PermanentRefusal(reason=f"{peer.ae_title} does not know the series")
    if not found[0].images:
        return PermanentRefusal(reason=f"{peer.ae_title} does not say how many images a series has")
    return found[0].images


def _identifier(level: str, keywords: tuple[str, ...]) -> Dataset:
    wanted = Dataset()
    wanted.SpecificCharacterSet = "ISO_IR 192"
    wanted.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(wanted, keyword, None)
    return wanted


def _matches(scu: Scu, peer: Peer, wanted: Dataset) -> list[Dataset] | Failure:
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = (
        False  # keep patient data out of the logs
    )
    proposal = ContextProposal(contexts=[build_context(STUDY_ROOT_FIND, UNCOMPRESSED)])
    return scu.ask(
        peer,
        proposal,
        lambda association: _gathered(association.send_c_find(wanted, STUDY_ROOT_FIND), association),
    )


def _gathered(
    answers: Iterator[tuple[Dataset, Dataset | None]], association: Association
) -> list[Dataset] | Failure:
    title = str(association.acceptor.ae_title)
    found: list[Dataset] = []
    for status, match in answers:
        if "Status" not in status:
            return TransientFailure(
                reason=f"{title} ended the association or was silent: does it know this node?"
            )
        code = int(status.Status)
        if code in _PENDING and match is not None:
            found.append(match)
        elif code != _SUCCESS:
            comment = f": {status.ErrorComment}" if "ErrorComment" in status else ""
            return PermanentRefusal(reason=f"{title} answered the query with 0x{code:04X}{comment}")
    return found


def _has_study(match: Dataset) -> bool:
    return bool(_text(match, "StudyInstanceUID"))


def _study(match: Dataset) -> FoundStudy:
    return FoundStudy(
        study_uid=_text(match, "StudyInstanceUID"),
        patient=(_text(match, "PatientID"), _text(match, "IssuerOfPatientID")),
        date=_text(match, "StudyDate"),
        description=_text(match, "StudyDescription"),
    )


def _series(match: Dataset, study_uid: str) -> FoundSeries:
    count = _text(match, "NumberOfSeriesRelatedInstances")
    return FoundSeries(
        study_uid=study_uid,
        series_uid=_text(match, "SeriesInstanceUID"),
        modality=_text(match, "Modality"),
        description=_text(match, "SeriesDescription"),
        images=int(count) if count.isdecimal() else None,
    )


def _text(match: Dataset, keyword: str) -> str:
    value = match.get(keyword)
    return "" if value is None else str(value).strip()
