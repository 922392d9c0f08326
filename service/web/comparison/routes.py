"""A job's structure set beside another, for the viewer and for programs."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, HTTPException, Query, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from service.application import Operation, compare_job, list_kept_sets
from service.config import JobPurpose
from service.store import FileDamaged
from service.store.jobs.kept_sets import KeptSet, SetOrigin
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import PROBLEMS, JobNumber
from service.web.comparison.running import on_series, run_comparison
from service.web.comparison.task import ComparisonTask
from service.web.images import ImagesGone

router = APIRouter(prefix="/api/v1/jobs/{number}/comparison", tags=["images"], responses=PROBLEMS)
Viewing = Annotated[Visitor, Depends(permits(Operation.VIEW_IMAGES))]
Destination = Annotated[
    str, Query(max_length=64, description="Whose set A is, where profiles made them differ.")
]
Tolerance = Annotated[float, Query(ge=0.1, le=20, description="Of the surface Dice, in mm.")]
TOLERANCE_MM = 2.0
PRIVATE = {"Cache-Control": "private, no-store"}


class ShownKeptSet(BaseModel):
    """A structure set of the job's series that the node keeps, other than the job's own."""

    key: str = Field(description="Names it in `second`.")
    origin: SetOrigin
    job: int | None = Field(description="Whose result it is or revises; null: of no job.")
    purpose: JobPurpose | None
    model: str
    sender: str = Field(description="The host that sent it; empty: it belongs to a job.")
    at: datetime
    sop_instance_uid: str

    @classmethod
    def of(cls, one: KeptSet) -> "ShownKeptSet":
        """Return what programs get."""
        names = ("key", "origin", "purpose", "model", "sender", "at", "sop_instance_uid")
        return cls(job=one.job_id, **{name: getattr(one, name) for name in names})


class ComparedStructure(BaseModel):
    """A structure by its common name (TG-263 where it is known), in set A, the job's own, and set B.

    `state` is "compared"; "missing" (A is empty); "spurious" (B is empty); "both empty"; "only in a"; "only in b"; or
    "not comparable", with the reason. A metric that the state does not define is null or absent.
    """

    name: str
    a: int | None = Field(description="ROI Number in A.")
    b: int | None = Field(description="ROI Number in B.")
    b_name: str
    state: str
    reason: str
    metrics: dict[str, float | None] = Field(
        description="By the names of `contour-node evaluate --json`; A is under evaluation, B the reference."
    )
    slices: list[tuple[int, float, float]] = Field(
        description="Slice of /ct, mm2 that only A has, mm2 that only B has; by voxels; no row: nothing differs."
    )


class DrawnOutline(BaseModel):
    """One closed contour in index coordinates of /ct."""

    slice: float
    points: list[float] = Field(description="x, y, x, y, ...")


class DrawnStructure(BaseModel):
    """One ROI of set B."""

    number: int
    name: str
    type: str
    colour: tuple[int, int, int]
    contours: list[DrawnOutline]


class DrawnSet(BaseModel):
    """Set B as its file has it."""

    sop_instance_uid: str
    label: str
    approval: str
    structures: list[DrawnStructure]


class ShownComparison(BaseModel):
    """Two structure sets on the same images. `notes` say what was left out, and what is not certain."""

    tolerance_mm: float
    second: DrawnSet
    structures: list[ComparedStructure]
    notes: list[str]


@router.get("/sets")
def sets(request: Request, visitor: Viewing, number: JobNumber) -> list[ShownKeptSet]:
    """Give the structure sets that the job's own may be compared with, newest first.

    Results of other jobs of the series, and sets that were sent to the node and are drawn on it.
    """
    parts = parts_of(request)
    kept = list_kept_sets(parts.database, visitor.actor, number)
    series_uid = parts.images.series_uid(number)
    return [ShownKeptSet.of(one) for one in on_series(kept, series_uid, parts.content)]


@router.get("", response_model=ShownComparison)
def compare_kept(
    request: Request,
    visitor: Viewing,
    number: JobNumber,
    second: Annotated[str, Query(pattern=r"^(artifact|received)-[1-9][0-9]{0,9}$")],
    destination: Destination = "",
    tolerance_mm: Tolerance = TOLERANCE_MM,
) -> JSONResponse:
    """Compare the job's set (A) with one that the node keeps (B), as `sets` names it."""
    parts = parts_of(request)
    kept = {one.key: one for one in list_kept_sets(parts.database, visitor.actor, number)}
    if second not in kept:
        raise HTTPException(404, f"job {number} has no set {second} to be compared with")

    def read() -> bytes:
        try:
            return parts.content.read_whole(kept[second].file)
        except FileDamaged as reason:
            raise ImagesGone(f"the second set was removed after its time or is damaged: {reason}") from reason

    wanted = _Wanted(number, destination, tolerance_mm)
    return _answer(request, visitor, wanted, second.replace("-", " "), read)


@router.post("/file", response_model=ShownComparison)
def compare_file(
    request: Request,
    visitor: Viewing,
    number: JobNumber,
    file: Annotated[UploadFile, File(description="An RT Structure Set of the same images, at most 64 MiB.")],
    destination: Destination = "",
    tolerance_mm: Tolerance = TOLERANCE_MM,
) -> JSONResponse:
    """Compare the job's set (A) with a file (B), which is read and forgotten."""
    data = file.file.read()
    digest = hashlib.sha256(data).hexdigest()
    wanted = _Wanted(number, destination, tolerance_mm)
    return _answer(request, visitor, wanted, f"a file of SHA-256 {digest}", lambda: data)


class _Wanted:
    def __init__(self, number: int, destination: str, tolerance_mm: float) -> None:
        self.number, self.destination, self.tolerance_mm = number, destination, tolerance_mm


def _answer(
    request: Request, visitor: Visitor, wanted: _Wanted, called: str, read: Callable[[], bytes]
) -> JSONResponse:
    parts = parts_of(request)

    def compare() -> dict[str, Any]:
        own = parts.images.result(wanted.number, wanted.destination)
        second = read()
        series = parts.images.series(wanted.number).series
        return run_comparison(ComparisonTask.of(series, wanted.tolerance_mm), own, second)

    found = compare_job(parts.database, visitor.actor, wanted.number, called, compare)
    if not visitor.actor.sees_patients:
        found["second"]["label"] = ""
    return JSONResponse(found, headers=PRIVATE)
