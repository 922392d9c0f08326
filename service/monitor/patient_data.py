"""Whose images a job has: asked only for recipients whose settings say so."""

from collections.abc import Iterable

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from service.store import FileStore, JobRepository, StorageUnavailable
from service.store.errors import FileLost


def patient_ids(book: JobRepository, files: FileStore, jobs: Iterable[int]) -> dict[int, str]:
    """Give the Patient ID (0010,0020) by job, from its first image; a job without a readable one is left out."""
    found = {}
    for job_id in jobs:
        for instance in book.instances_of(job_id)[:1]:
            try:
                with files.open(instance.file.path) as file:
                    header = dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
            except (FileLost, StorageUnavailable, InvalidDicomError):
                continue
            if "PatientID" in header:
                found[job_id] = str(header.PatientID)
    return found
