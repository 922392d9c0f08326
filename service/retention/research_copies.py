"""Write research copies of stored objects, and re-identify structure sets that researchers made on them."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from imaging.deidentify import (
    DeidentificationOptions,
    DeidentificationRefused,
    OriginalIdentity,
    ProjectKey,
    ReidentificationRefused,
    ResearchCopy,
    deidentify,
    patient_key,
    reidentify,
    replacements_in,
    study_attributes,
)
from imaging.errors import PARSE_ERRORS
from service.errors import Refused
from service.store import (
    FileDamaged,
    JobRepository,
    PseudonymLink,
    PseudonymRepository,
    RetentionStore,
    StoredFile,
    artifact_words,
)
from service.store.objects import StoredContent

log = logging.getLogger(__name__)

GONE = "its file has expired and was removed"


@dataclass(frozen=True, kw_only=True)
class StoredItem:
    """A stored object and the name shown for it."""

    name: str
    file: StoredFile


@dataclass(frozen=True, kw_only=True)
class OmittedObject:
    """An object of which there is no copy."""

    name: str
    reason: str
    sort: str  # the kind under which it is counted: the name of its SOP class, or what happened to its file


@dataclass(frozen=True, kw_only=True)
class CopyReport:
    """The files written, and the objects left out with the reason."""

    files: tuple[Path, ...]
    left_out: tuple[OmittedObject, ...]

    def counts(self) -> str:
        """Describe the omitted objects by their numbers; empty if there are none."""
        sorts = Counter(one.sort for one in self.left_out)
        return ", ".join(f"{number} {sort}" for sort, number in sorted(sorts.items()))


def removed_of_job(book: JobRepository, job_id: int) -> list[OmittedObject]:
    """Return the outputs of a job that retention has removed: they cannot be copied."""
    return [
        OmittedObject(
            name=f"job {job_id}, {artifact_words(one.role, one.kind)}",
            reason=GONE,
            sort="expired and removed",
        )
        for one in book.artifacts(job_id)
        if one.removed_at is not None
    ]


def of_job(book: JobRepository, keeper: RetentionStore, job_id: int) -> list[StoredItem]:
    """Return a job's images and its kept artifacts, each object once."""
    job = book.job(job_id)
    found = {
        one.file.path: StoredItem(name=one.name, file=one.file) for one in keeper.to_verify(job_id=job_id)
    }
    if len(book.instances_of(job_id)) < job.slice_count:
        raise Refused(
            f"images of job {job_id} have expired and were removed; a research copy would be incomplete"
        )
    return list(found.values())


def of_series(book: JobRepository, series_uid: str) -> list[StoredItem]:
    """Return every stored object of a series."""
    found = [
        StoredItem(name=f"image {one.sop_instance_uid}", file=one.file)
        for one in book.instances_of_series(series_uid)
    ]
    if not found:
        raise Refused(f"nothing is stored of series {series_uid}")
    return found


@dataclass(frozen=True, kw_only=True)
class ResearchCopies:
    """One project's copies out and structure sets back."""

    pseudonyms: PseudonymRepository
    project: str
    options: DeidentificationOptions

    def copy(
        self,
        content: StoredContent,
        stored: Sequence[StoredItem],
        folder: Path,
        *,
        gone: Sequence[OmittedObject] = (),
    ) -> CopyReport:
        """Write a research copy of each object to ``folder``; the link back is recorded before each copy is written.

        Objects that cannot be de-identified are left out and named, along with those already ``gone``; Refused if
        nothing remains.
        """
        key = ProjectKey(self.pseudonyms.secret(self.project))
        written: list[Path] = []
        left_out = list(gone)
        for number, one in enumerate(stored, 1):
            try:
                data = content.read_whole(one.file)
            except FileDamaged as reason:
                left_out.append(OmittedObject(name=one.name, reason=str(reason), sort="damaged or missing"))
                continue
            try:
                made = deidentify(data, key, self.options, one.name)
            except DeidentificationRefused as reason:
                left_out.append(OmittedObject(name=one.name, reason=str(reason), sort=_class_of(data)))
                continue
            self.pseudonyms.remember(self.project, _link(data, made))
            target = folder / made.pseudonym
            target.mkdir(parents=True, exist_ok=True)
            written.append(target / f"{made.modality}.{number:04d}.dcm")
            written[-1].write_bytes(made.data)
        if not written:
            reasons = "; ".join(f"{one.name}: {one.reason}" for one in left_out)
            raise Refused(reasons or "nothing is stored that could be copied")
        log.info(
            "project %s: %d research copies written, %d left out", self.project, len(written), len(left_out)
        )
        return CopyReport(files=tuple(written), left_out=tuple(left_out))

    def bring_back(self, sources: Sequence[Path], folder: Path) -> CopyReport:
        """Write each structure set to ``folder`` with its original references, patient and study; all or none."""
        self.pseudonyms.check(self.project)
        back = list(self._brought_back(sources))
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in zip(sources, back, strict=True):
            (folder / path.name).write_bytes(data)
        log.info("project %s: %d objects brought back", self.project, len(back))
        return CopyReport(files=tuple(folder / path.name for path in sources), left_out=())

    def _brought_back(self, sources: Sequence[Path]) -> Iterator[bytes]:
        if len({path.name for path in sources}) < len(sources):
            raise Refused("two of the files have the same name; re-identify them one by one")
        for path in sources:
            try:
                data = path.read_bytes()
                uids = self.pseudonyms.originals(self.project, replacements_in(data, path.name))
                origin = OriginalIdentity(
                    uids=uids, studies=self.pseudonyms.studies(self.project, set(uids.values()))
                )
                yield reidentify(data, origin, path.name)
            except ReidentificationRefused as reason:
                raise Refused(str(reason)) from reason


def _class_of(data: bytes) -> str:
    """Return the name of an object's SOP class."""
    try:
        header = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=["SOPClassUID"])
        return str(UID(str(header.SOPClassUID)).name)
    except (*PARSE_ERRORS, InvalidDicomError):
        return "not readable as DICOM"


def _link(data: bytes, made: ResearchCopy) -> PseudonymLink:
    header = dcmread(
        BytesIO(data),
        stop_before_pixels=True,
        specific_tags=["StudyInstanceUID", "PatientID", "IssuerOfPatientID", "SpecificCharacterSet"],
    )
    return PseudonymLink(
        patient_key=patient_key(header),
        pseudonym=made.pseudonym,
        study_uid=str(header.StudyInstanceUID),
        study_attributes=study_attributes(data),
        uids=made.uids,
    )
