"""What leaves the node for one job: a structure set for each kind of destination, and what the rule asks for beside it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from imaging.beside import (
    BesideNotWritable,
    BesideRequest,
    BesideStructure,
    make_capture,
    make_report,
    make_segmentation,
)
from imaging.errors import StructureSetNotWritable
from imaging.export import Change, RoiMask, export
from imaging.profiles import PROFILES
from imaging.rtstruct import Producer, StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE
from imaging.uids import derived_uid
from service.config import Beside, ProfileName, Rule, Settings
from service.errors import Refused
from service.store import ClaimedJob
from service.work.pipeline import Contoured


@dataclass(frozen=True, kw_only=True)
class Made:
    """One object as a file's bytes, what to call it, who gets it, and what people should know of it."""

    key: str
    data: bytes
    destinations: tuple[str, ...]
    notes: tuple[str, ...] = ()


def objects(job: ClaimedJob, contoured: Contoured, rule: Rule, settings: Settings) -> Iterator[Made]:
    """Everything that goes out, structure sets first; the same bytes for every attempt at the job.

    Raises Refused where the model found nothing, or no valid object can hold what it found.
    """
    if not any(mask.voxels() for mask in contoured.segmentation.masks.by_code.values()):
        spec = contoured.spec
        raise Refused(
            f"the model {spec.name} found none of its structures ({', '.join(spec.labels)}) in this series; "
            "check that the CT shows the region the rule is for"
        )
    names = settings.destinations_for(rule, job.calling_aet)
    by_profile: dict[ProfileName, list[str]] = defaultdict(list)
    for name in names:
        peer = settings.peer(name)
        if peer is not None:  # destinations_for gives only names that have one
            by_profile[peer.profile].append(name)
    try:
        for profile, destinations in by_profile.items():
            yield _structure_set(job, contoured, profile, destinations)
        for kind in rule.beside:
            yield _beside(job, contoured, rule, kind, names)
    except (StructureSetNotWritable, BesideNotWritable) as reason:
        raise Refused(str(reason)) from reason


def _structure_set(
    job: ClaimedJob, contoured: Contoured, profile: ProfileName, destinations: Sequence[str]
) -> Made:
    exported = export(_request(job, contoured, profile), _rois(contoured), PROFILES[profile])
    return Made(
        key=f"structure set {profile}",
        data=write_structure_set(exported.request),
        destinations=tuple(destinations),
        notes=tuple(_told(profile, change) for change in exported.changes),
    )


def _rois(contoured: Contoured) -> list[RoiMask]:
    segmentation = contoured.segmentation
    return [
        RoiMask(
            structure=CATALOGUE[code],
            name=CATALOGUE[code].name,
            mask=segmentation.masks.by_code[code],
            description=f"Mean probability inside: {segmentation.mean_probability[code]:.2f}",
        )
        for code in contoured.spec.labels
    ]


def _request(job: ClaimedJob, contoured: Contoured, profile: ProfileName) -> StructureSetRequest:
    job_uid, spec = str(job.uid), contoured.spec
    made = f"UNAPPROVED, for research use. Contoured without a person by {spec.name} version {spec.version}."
    return StructureSetRequest(
        series=contoured.series,
        rois=(),
        label=f"CN {spec.name}"[:16],
        description=" ".join([made, *contoured.segmentation.notes]),
        sop_instance_uid=derived_uid("structure set", profile, job_uid),
        series_instance_uid=derived_uid("structure set series", profile, job_uid),
        created=job.queued_at.astimezone(),
        producer=_producer(contoured),
    )


def _beside(
    job: ClaimedJob, contoured: Contoured, rule: Rule, kind: Beside, destinations: Sequence[str]
) -> Made:
    segmentation = contoured.segmentation
    request = BesideRequest(
        series=contoured.series,
        structures=[
            BesideStructure(
                structure=CATALOGUE[code],
                mask=segmentation.masks.by_code[code],
                mean_probability=segmentation.mean_probability[code],
            )
            for code in contoured.spec.labels
        ],
        notes=segmentation.notes,
        producer=_producer(contoured),
        job_uid=str(job.uid),
        created=job.queued_at.astimezone(),
    )
    make = {
        Beside.SEGMENTATION: make_segmentation,
        Beside.REPORT: lambda r: make_report(r, cites_segmentation=Beside.SEGMENTATION in rule.beside),
        Beside.CAPTURE: make_capture,
    }[kind]
    return Made(key=str(kind), data=make(request), destinations=tuple(destinations))


def _producer(contoured: Contoured) -> Producer:
    return Producer(
        manufacturer="Contour Node",
        model_name="Contour Node",
        software_version=version("contour-node"),
        algorithm_name=contoured.spec.name,
        algorithm_version=str(contoured.spec.version),
    )


def _told(profile: ProfileName, change: Change) -> str:
    where = f"{change.roi}: " if change.roi else ""
    return f"profile {profile}: {where}{change.what}: {change.before} -> {change.after} ({change.why})"
