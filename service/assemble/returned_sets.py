"""Structure sets that planning systems send back: each is kept as an artifact of the job whose result it revises."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread

from imaging.errors import PARSE_ERRORS
from service.store import (
    ArtifactKind,
    FileDamaged,
    NewArtifact,
    ReturnedSetRepository,
    SetReferences,
    StoredInstance,
)
from service.store.objects import StoredContent, keep_artifact

log = logging.getLogger(__name__)

_TAGS = ("SOPInstanceUID", "PredecessorStructureSetSequence", "ReferencedFrameOfReferenceSequence")


@dataclass(frozen=True, kw_only=True)
class ReturnedSets:
    """Examines each received structure set once; one that belongs to no job is left to retention."""

    repository: ReturnedSetRepository
    content: StoredContent

    def poll_once(self) -> int:
        """Examine the sets received since the last call; return how many were kept as artifacts."""
        kept = 0
        while (received := self.repository.unseen()) is not None:
            kept += sum(self._keep(one) for one in received.sets)
            self.repository.seen(received.up_to)
        return kept

    def _keep(self, received: StoredInstance) -> bool:
        try:
            data = self.content.received.read_whole(received.file)
            references = references_of(data)
        except (FileDamaged, *PARSE_ERRORS) as reason:
            about = {"sop_instance_uid": received.sop_instance_uid, "reason": str(reason)}
            log.warning("a received structure set cannot be read, so its job is not known", extra=about)
            return False
        found = self.repository.job_of(received, references)
        if found is None:
            return False
        job_id, how = found
        returned = NewArtifact(
            kind=ArtifactKind.STRUCTURE_SET,
            file=keep_artifact(self.content.published, data),
            sop_instance_uid=received.sop_instance_uid,
            provenance={"linked_by": how.value},
        )
        if self.repository.keep(job_id, returned, how):
            log.info("job %d: a structure set was sent back, recognised by %s", job_id, how.value)
            return True
        self.content.published.delete(returned.file.path)  # already kept
        return False


def references_of(data: bytes) -> SetReferences:
    """Read the references of a structure set; raises one of PARSE_ERRORS if it is not one."""
    dataset = dcmread(BytesIO(data), specific_tags=list(_TAGS))
    return SetReferences(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        predecessor_uids=tuple(
            _texts(dataset, "PredecessorStructureSetSequence", "ReferencedSOPInstanceUID")
        ),
        series_uids=tuple(_series(dataset)),
    )


def _series(dataset: Dataset) -> Iterator[str]:
    for frame in dataset.get("ReferencedFrameOfReferenceSequence", None) or ():
        for study in frame.get("RTReferencedStudySequence", None) or ():
            yield from _texts(study, "RTReferencedSeriesSequence", "SeriesInstanceUID")


def _texts(dataset: Dataset, sequence: str, keyword: str) -> Iterator[str]:
    for item in dataset.get(sequence, None) or ():
        text = str(item.get(keyword, None) or "")
        if text:
            yield text
