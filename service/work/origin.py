"""The origin of a result: producer, number of images and whether that is all of them, the set that it replaces."""

from importlib.metadata import version

from imaging.dicom.uids import derived_uid
from imaging.rtstruct.writing import Producer
from service.store import ClaimedJob, path_of

LABEL_LIMIT = 16  # Structure Set Label (3006,0002), SH
IN_DOUBT = "PART?"


def producer(algorithm_name: str, algorithm_version: str) -> Producer:
    """Return the equipment and algorithm that the node's objects name."""
    return Producer(
        manufacturer="Contour Node",
        model_name="Contour Node",
        software_version=version("contour-node"),
        algorithm_name=algorithm_name,
        algorithm_version=algorithm_version,
    )


def label(job: ClaimedJob, model: str) -> str:
    """Return the Structure Set Label.

    "CN hn_oar"; "CN hn_oar v2" for a later set; "CN hn_oar PART?" for a doubtful one.
    """
    suffix = f" v{job.set_version}" if job.set_version > 1 else ""
    ending = suffix + (f" {IN_DOUBT}" if job.doubt else "")
    return f"CN {model}"[: LABEL_LIMIT - len(ending)].rstrip() + ending


def origin_notes(job: ClaimedJob) -> list[str]:
    """Return sentences on the origin for readers who only see the result; no patient data."""
    if job.expected_images is None:
        whole = "; whether the series has more is not known"
    else:
        whole = f" of the {job.expected_images} that {job.calling_aet} counts"
    notes = [f"From {job.slice_count} images{whole}."] if job.slice_count else []
    if job.doubt:
        notes.append(f"May be of a part of the series: {job.doubt}.")
    if job.replaces is not None:
        notes.append(
            f"Version {job.set_version}, from more or other images or a new run: replaces the set of job "
            f"{job.replaces.job_id}."
        )
    return notes


def predecessor_uid(job: ClaimedJob, profile: str) -> str:
    """Return the SOP Instance UID of the set in this profile that this job's set replaces.

    Empty if there was none.
    """
    replaced = job.replaces
    if replaced is None:
        return ""
    sop_instance_uid = derived_uid("structure set", profile, str(replaced.uid))
    if sop_instance_uid in replaced.sop_instance_uids:
        return sop_instance_uid
    stored_as = derived_uid(f"structure set {profile}", str(replaced.uid))  # in the path, by earlier versions
    is_there = any(path == path_of(stored_as, sha256) for path, sha256 in replaced.files)
    return sop_instance_uid if is_there else ""
