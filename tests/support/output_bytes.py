"""Every object that the node makes for fixed jobs, and their checksums.

`python -m tests.support.output_bytes` rewrites the checksums that tests/service/work/test_output_bytes.py compares:
read the difference, and name its reason where it is committed.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from imaging.ct.failed_series import failed_series
from imaging.ct.series import SourceFile
from imaging.export.profiles import PROFILES
from imaging.outputs.failure_object import FailureReport, failure_page, failure_structure_set
from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract
from phantoms.dicom import ct_files
from service.store import ClaimedJob
from service.store.records import Replaced
from service.template import Template, default_template
from service.work.case import OutputObject, PipelineRequest
from service.work.origin import producer
from service.work.pipeline import run_pipeline
from tests.support.models import HN_CODES, model_contract
from tests.support.small_node import settings, small_volume

CHECKSUMS = Path(__file__).parents[1] / "service/work/files/output_bytes.json"
QUEUED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PEER = {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}
DESTINATIONS: dict[str, dict[str, Any]] = {
    **{name: {**PEER, "profile": name} for name in PROFILES},
    "smooth": {**PEER, "boundary": "smooth", "fallback": "monaco-spare"},
    "decimated": {**PEER, "profile": "eclipse", "boundary": "decimated", "boundary_tolerance_mm": 0.3},
    "monaco-spare": {**PEER, "profile": "monaco", "boundary": "smooth"},
}
COMPANIONS = ["segmentation", "report", "capture"]
TEMPLATE = Template.model_validate(
    {
        "template": 1,
        "name": "derived",
        "structure": [
            {"name": "Hirnstamm", "from": "Brainstem", "number": 7, "colour": "#102030"},
            {
                "name": "PRV_Brainstem",
                "from": "Brainstem",
                "type": "AVOIDANCE",
                "steps": [{"margin_mm": 3}],
            },
            {"name": "BODY", "external": True},
        ],
    }
)
# The node's own version and no other: a release is no change of what is written.
_SOFTWARE_VERSION = re.compile(
    rb"(\x18\x00(?:\x20|\x19)\x10.{4})" + re.escape(version("contour-node").encode()), re.DOTALL
)


class FixedPredictor:
    """A model server whose answer is worked out from the grid's shape in whole numbers."""

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        """Return a ball, a tube with a hole, two pieces and a plate at the edge; the other structures stay empty."""
        shape = volume.grid.shape_zyx
        planes = np.zeros((contract.planes, *shape), np.uint8)
        for number, mask in enumerate(_masks(shape)):
            planes[number // 8] |= mask.astype(np.uint8) << (number % 8)
        share = np.linspace(0.5, 0.96875, len(contract.labels), dtype=np.float32)
        return Prediction(planes=planes, mean_probability=share)


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One job with its rule's settings and template."""

    job: ClaimedJob
    request: PipelineRequest


def checksums(objects: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of every object, by its case and its key within the job."""
    return {name: _digest(data) for name, data in objects.items()}


def pixel_checksums(objects: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of the pixels of each page with text, which Pillow's fonts draw."""
    return {
        name: _sha256(dcmread(BytesIO(data)).PixelData) for name, data in objects.items() if _is_page(data)
    }


def every_object() -> Iterator[tuple[str, bytes]]:
    """Yield every object with its name: those of a first job, of a job that replaces it, and of a failed one."""
    sources = _series()
    first = _case(_job(1), [*DESTINATIONS][:-1], default_template())
    made = list(_made(first, sources))
    yield from ((f"first: {one.key}", one.data) for one in made)
    uids = frozenset(one.sop_instance_uid for one in made)
    later = replace(
        _job(2),
        set_version=2,
        replaces=Replaced(job_id=1, uid=first.job.uid, sop_instance_uids=uids),
        doubt="some images are missing",
        expected_images=99,
    )
    for one in _made(_case(later, ["standard", "eclipse"], TEMPLATE), sources):
        yield f"later: {one.key}", one.data
    yield from _failed(sources)


def _digest(data: bytes) -> str:
    """Return the checksum of a file; of a page with text, without its pixels."""
    if _is_page(data):
        pixels = bytes(dcmread(BytesIO(data)).PixelData)
        data = data.replace(pixels, b"pixels")
    return _sha256(_SOFTWARE_VERSION.sub(lambda found: found[1] + b"#", data))


def _is_page(data: bytes) -> bool:
    found = dcmread(BytesIO(data), stop_before_pixels=True)
    return bool(found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _series() -> list[SourceFile]:
    """Return the phantom's images, which state their time zone: the machine's must not stand in the objects."""
    found = []
    for file in ct_files(small_volume()):
        image = dcmread(BytesIO(file.data))
        image.TimezoneOffsetFromUTC = "+0100"
        buffer = BytesIO()
        image.save_as(buffer)
        found.append(SourceFile(name=file.name, data=buffer.getvalue()))
    return found


def _job(number: int) -> ClaimedJob:
    return ClaimedJob(
        id=number,
        uid=UUID(int=number),
        version=1,
        series_uid="1.2.3",
        study_uid="1.2",
        called_aet="CONTOURNODE",
        calling_aet="SCANNER",
        rule="head-neck",
        model="golden",
        model_version=1,
        content_hash="0" * 64,
        priority=50,
        attempt=1,
        worker="w",
        lease_number=1,
        received_at=QUEUED_AT,
        queued_at=QUEUED_AT,
        slice_count=12,
    )


def _case(job: ClaimedJob, destinations: list[str], template: Template) -> _Case:
    rule = {"name": "head-neck", "model": "golden", "destinations": destinations, "companions": COMPANIONS}
    tree = settings(peers=DESTINATIONS, rules=[rule])
    contract = model_contract("golden", HN_CODES, left_right_pairs=[["Parotid_L", "Parotid_R"]])
    return _Case(
        job=job,
        request=PipelineRequest(rule=tree.rules[0], contract=contract, template=template, settings=tree),
    )


def _made(case: _Case, sources: list[SourceFile]) -> Iterator[OutputObject]:
    return run_pipeline(case.job, sources, case.request, FixedPredictor(), lambda _stage: None)


def _failed(sources: list[SourceFile]) -> Iterator[tuple[str, bytes]]:
    report = FailureReport(
        series=failed_series(sources),
        reason="job 3 was refused: slices are missing",
        producer=producer("golden", "1"),
        job_uid=str(UUID(int=3)),
        created=QUEUED_AT,
    )
    for name, profile in PROFILES.items():
        yield f"failed: structure set {name}", failure_structure_set(report, profile)
    yield "failed: page", failure_page(report)


def _masks(shape: tuple[int, int, int]) -> list[NDArray[np.bool_]]:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle_z, middle_y, middle_x = (size // 2 for size in shape)
    from_axis = (y - middle_y) ** 2 + (x - middle_x) ** 2
    inside = (z > 1) & (z < shape[0] - 2)
    return [
        from_axis + 4 * (z - middle_z) ** 2 <= 30,
        inside & (from_axis <= 49) & (from_axis >= 9),
        inside & (y < 6) & ((x < 5) | (x > shape[2] - 6)),
        np.broadcast_to((z < 3) & (x < 4), shape),
    ]


def written() -> Mapping[str, Any]:
    """Return what the file holds: checksums, and those of drawn pixels with the version of Pillow that drew them."""
    made = dict(every_object())
    return {"objects": checksums(made), "pixels": {"pillow": version("pillow"), **pixel_checksums(made)}}


if __name__ == "__main__":
    CHECKSUMS.parent.mkdir(exist_ok=True)
    CHECKSUMS.write_text(json.dumps(written(), indent=1) + "\n")
