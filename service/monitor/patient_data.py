"""The patients of a job: read only for recipients whose settings ask for it."""

from collections.abc import Iterable, Iterator

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from service.store import FileStore, JobRepository, StorageUnavailable, StoredInstance
from service.store.errors import FileLost


def patient_ids(book: JobRepository, files: FileStore, jobs: Iterable[int]) -> dict[int, str]:
    """Return the Patient ID (0010,0020) by job, from every image, as they may differ; jobs without one are left out."""
    found = {}
    for job_id in jobs:
        ids = dict.fromkeys(_ids_in(files, book.instances_of(job_id)))
        if ids:
            found[job_id] = " and ".join(ids)
    return found


def _ids_in(files: FileStore, images: Iterable[StoredInstance]) -> Iterator[str]:
    for image in images:
        try:
            with files.open(image.file.path) as file:
                header = dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
        except (FileLost, StorageUnavailable, InvalidDicomError):
            continue
        if "PatientID" in header:
            yield str(header.PatientID)
