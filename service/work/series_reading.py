"""Step "read": turn the job's stored slices into a CT (in Hounsfield units) or MR series with verified geometry."""

from collections.abc import Iterator, Sequence

from imaging.ct.plausible_hu import check_hounsfield, check_neighbours
from imaging.ct.series import ImageSeries, SourceFile, read_images
from imaging.errors import ImageRefused
from imaging.modality import Modality
from imaging.mr.signal import check_signal
from imaging.volumes.volume import Volume
from service.errors import Refused
from service.store import FileDamaged, FileStore, StoredInstance
from service.work.case import CaseChecks


class DamagedImage(Refused):
    """An image's stored file cannot be used; `path` is its file."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def load_sources(files: FileStore, instances: Sequence[StoredInstance]) -> list[SourceFile]:
    """Load the stored objects of a job, named by SOP Instance UID.

    Raises:
        DamagedImage: a file is missing, or differs from the object that was received.
    """
    return [
        SourceFile(name=instance.sop_instance_uid, data=_intact(files, instance)) for instance in instances
    ]


def _intact(files: FileStore, instance: StoredInstance) -> bytes:
    try:
        return files.read_whole(instance.file)
    except FileDamaged as reason:
        message = f"the stored image {instance.sop_instance_uid} is missing or damaged; send the series again"
        raise DamagedImage(message, reason.path) from reason


def read_series(sources: Sequence[SourceFile], checks: CaseChecks) -> tuple[ImageSeries, list[str]]:
    """Read a CT or MR series and check its pixel values; the notes are for the job's history.

    Raises:
        Refused: the images cannot be contoured; the message names tag, object and remedy.
    """
    try:
        series = read_images(sources, checks.rescale_types)
        if series.modality is Modality.MR:
            check_signal(series.volume)
            return series, list(series.notes)
        return series, [*series.notes, *_doubts(series.volume, refuse=checks.refuse_doubtful)]
    except ImageRefused as reason:
        raise Refused(reason.message) from reason


def _doubts(volume: Volume, *, refuse: bool) -> Iterator[str]:
    """Yield a note for each sign against Hounsfield units of a single scan; with `refuse`, raise the first."""
    for check in (check_hounsfield, check_neighbours):
        try:
            check(volume)
        except ImageRefused as doubt:
            if refuse:
                raise
            yield doubt.message
