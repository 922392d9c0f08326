"""The viewer: its page, and the voxels and contours that it draws."""

from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response

from service.application import Operation, require_patients, show_job
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import PROBLEMS, JobNumber
from service.web.images import content_tag
from service.web.rendering import page
from service.web.translation import marked
from service.web.words import patient_label

router = APIRouter(include_in_schema=False)
Viewing = Annotated[Visitor, Depends(permits(Operation.VIEW_IMAGES))]
data = APIRouter(
    prefix="/api/v1/jobs/{number}",
    tags=["images"],
    responses=PROBLEMS,
    dependencies=[Depends(permits(Operation.VIEW_IMAGES))],
)
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _given_as(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of an answer that is not JSON."""
    return {200: {"content": {media_type: {"schema": BINARY}}, "description": "The bytes."}}


VOXELS, DICOM = _given_as("application/octet-stream"), _given_as("application/dicom")
PRIVATE = {"Cache-Control": "private, no-store"}
WINDOWS = (
    (marked("Soft tissue"), 40, 400),
    (marked("Lung"), -500, 1500),
    (marked("Bone"), 400, 1800),
    (marked("Brain"), 40, 80),
)


@router.get("/jobs/{number}/viewer")
def viewer(request: Request, visitor: Viewing, number: JobNumber) -> Response:
    """Show the viewer of a job; the look is in the audit trail before the page is."""
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "images", number))
    found = show_job(parts.database, visitor.actor, number, is_recorded=is_recorded)
    destinations = list(dict.fromkeys(one.destination for one in found.deliveries if one.removed_at is None))
    return page(
        request,
        "viewer.html",
        visitor,
        job=found.status,
        series=found.series,
        label=patient_label(found.series, sees_patients=visitor.actor.sees_patients),
        structures=found.structures,
        destinations=destinations,
        windows=WINDOWS,
    )


@data.get("/ct")
def ct(request: Request, number: JobNumber) -> Response:
    """Return the grid of a job's volume: shape (z, y, x), spacing in mm, origin and axes in LPS, patient position.

    Voxels are int16, little endian, index order z, y, x: Hounsfield units for CT, values times `factor` for MR.
    `window` is the initial level and width.
    """
    viewed = parts_of(request).images.series(number)
    series, grid = viewed.series, viewed.series.volume.grid
    body = {
        "shape_zyx": grid.shape_zyx,
        "spacing_zyx_mm": grid.spacing_zyx_mm,
        "origin_lps": grid.origin_lps,
        "axes_lps": grid.axes_lps,
        "patient_position": series.patient_position,
        "unit": viewed.unit,
        "factor": viewed.factor,
        "window": viewed.window,
        "images": [one.sop_instance_uid for one in series.slices],
    }
    return JSONResponse(body, headers={**PRIVATE, "ETag": f'"{content_tag(number, series)}"'})


@data.get("/ct/slices/{index}", response_class=Response, responses=VOXELS)
def ct_slice(request: Request, number: JobNumber, index: int) -> Response:
    """Return one slice as int16, little endian, row by row (see /ct)."""
    viewed = parts_of(request).images.series(number)
    if not 0 <= index < len(viewed.voxels_zyx):
        raise HTTPException(404, f"job {number} has no slice {index}")
    return _voxels(viewed.voxels_zyx[index : index + 1], is_folded=False)


@data.get("/ct/voxels", response_class=Response, responses=VOXELS)
def ct_voxels(
    request: Request,
    number: JobNumber,
    first: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=4096)] = 4096,
    encoding: Annotated[str, Query(pattern="^(|planes)$")] = "",
) -> Response:
    """Return some or all slices.

    With `encoding=planes`, for slow networks: the differences along x (modulo 65536), folded so that small ones of
    either sign are small numbers, first their low bytes and then their high bytes, compressed by zstd. The header
    X-Voxels is then "planes", or "raw" if the browser does not accept zstd.
    """
    viewed = parts_of(request).images.series(number)
    takes_zstd = "zstd" in request.headers.get("accept-encoding", "")
    is_folded = encoding == "planes" and takes_zstd
    return _voxels(viewed.voxels_zyx[first : first + count], is_folded=is_folded)


@data.get("/structures")
def structures(request: Request, visitor: Viewing, number: JobNumber) -> Response:
    """Return what was measured and found for each structure.

    Volume of the mask in cc, slices, pieces, probability, findings.
    """
    found = show_job(parts_of(request).database, visitor.actor, number, is_recorded=False)
    return JSONResponse([asdict(one) for one in found.structures], headers=PRIVATE)


@data.get("/contours")
def contours(
    request: Request,
    number: JobNumber,
    destination: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Return the contours of the file that was sent, in index coordinates of the volume (see /ct)."""
    return JSONResponse(parts_of(request).images.contours(number, destination), headers=PRIVATE)


@data.get("/structure-set", response_class=Response, responses=DICOM)
def structure_set(
    request: Request,
    visitor: Viewing,
    number: JobNumber,
    destination: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Return the RT Structure Set file that was made for a destination; it names the patient."""
    require_patients(visitor.actor, "the file names the patient")
    body = parts_of(request).images.result(number, destination)
    name = f"job-{number}{f'-{destination}' if destination else ''}.dcm"
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="application/dicom", headers=headers)


def _voxels(array: NDArray[np.int16], *, is_folded: bool) -> Response:
    if is_folded:
        body, how = folded_planes(array), {"Content-Encoding": "zstd", "X-Voxels": "planes"}
    else:
        body, how = np.ascontiguousarray(array, "<i2").tobytes(), {"X-Voxels": "raw"}
    return Response(body, media_type="application/octet-stream", headers={**PRIVATE, **how})


def folded_planes(array: NDArray[np.int16]) -> bytes:
    """Return voxels as zstd-compressed byte planes of folded differences along x (see ct_voxels)."""
    from zstandard import ZstdCompressor

    values = np.ascontiguousarray(array, np.int16)
    steps = values.copy()
    steps[..., 1:] -= values[..., :-1]
    folded = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    planes = np.empty((2, folded.size), np.uint8)
    planes[0] = (folded & 0xFF).ravel()
    planes[1] = (folded >> 8).ravel()
    return ZstdCompressor(level=1).compress(planes.tobytes())
