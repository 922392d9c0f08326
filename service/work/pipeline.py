"""One job, from its stored slices to a structure set: the steps in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from imaging.contours import contours
from imaging.ct import CtSeries, SourceFile, read_ct
from imaging.errors import ImageRefused
from imaging.rtstruct import Producer, RoiContours, StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE
from imaging.uids import derived_uid
from inference.segment import Segmentation, segment
from inference.spec import ModelSpec
from service.errors import Refused
from service.store import ClaimedJob, FileStore, StoredInstance
from service.work.model_server import ModelServer

SetStage = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A structure set as a file's bytes, and what people should know of it."""

    structure_set: bytes
    notes: tuple[str, ...]


def contour(
    job: ClaimedJob, sources: Sequence[SourceFile], spec: ModelSpec, server: ModelServer, stage: SetStage
) -> Result:
    """The structure set of one job; the same bytes for every attempt at the job.

    Raises:
        Refused: the images cannot be contoured, or the model found nothing in them.
        ModelUnavailable, ModelFailed: as the server has it.
    """
    stage("reading")
    try:
        series = read_ct(sources)
    except ImageRefused as reason:
        raise Refused(reason.message) from reason
    stage("contouring")
    segmentation = segment(series.volume, spec, server)
    stage("writing")
    structure_set = write_structure_set(_request(job, series, segmentation, spec))
    return Result(structure_set=structure_set, notes=segmentation.notes)


def load_sources(files: FileStore, instances: Sequence[StoredInstance]) -> list[SourceFile]:
    """The stored objects of a job, named by SOP Instance UID."""
    return [
        SourceFile(name=instance.sop_instance_uid, data=files.read(instance.file.path))
        for instance in instances
    ]


def _request(
    job: ClaimedJob, series: CtSeries, segmentation: Segmentation, spec: ModelSpec
) -> StructureSetRequest:
    rois = []
    for code in spec.labels:
        mask = segmentation.masks.by_code[code]
        if mask.voxels() == 0:
            continue
        structure = CATALOGUE[code]
        rois.append(
            RoiContours(
                structure=structure,
                name=structure.name,
                contours=contours(mask, segmentation.masks.grid),
                description=_doubt(segmentation.mean_probability[code]),
            )
        )
    if not rois:
        raise Refused(
            f"the model {spec.name} found none of its structures ({', '.join(spec.labels)}) in this series; "
            "check that the CT shows the region the rule is for"
        )
    job_uid = str(job.uid)
    return StructureSetRequest(
        series=series,
        rois=rois,
        label=f"CN {spec.name}"[:16],
        description=_description(spec, segmentation),
        sop_instance_uid=derived_uid("structure set", job_uid),
        series_instance_uid=derived_uid("structure set series", job_uid),
        created=job.queued_at.astimezone(),
        producer=Producer(
            manufacturer="Contour Node",
            model_name="Contour Node",
            software_version=version("contour-node"),
            algorithm_name=spec.name,
            algorithm_version=str(spec.version),
        ),
    )


def _doubt(mean_probability: float) -> str:
    return f"Mean probability inside: {mean_probability:.2f}"


def _description(spec: ModelSpec, segmentation: Segmentation) -> str:
    parts = [
        f"UNAPPROVED, for research use. Contoured without a person by {spec.name} version {spec.version}.",
        *segmentation.notes,
    ]
    return " ".join(parts)
