"""The images of one CT or MR series and where they lie, without their pixels: what a structure set refers to."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from imaging.ct.headers import MR_IMAGES, check_kind, header_of, image_class
from imaging.ct.image_kinds import is_beside
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import ImageSeries, SliceReference, SourceFile, plain_attributes, reference_to
from imaging.ct.stack import CT_STACK, check_stack, image_order
from imaging.errors import ImageRefused, RefusalCode
from imaging.mr.volumes import MR_STACK
from imaging.volumes.grid import Grid, Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesHeaders:
    """One CT or MR series as its headers describe it, in the order of the positions along the images' normal.

    `axes_lps` are unit vectors of slice, row and column index; `grid` is None where the images make no regular stack,
    and `without_grid` then says why. `header` is the first image's dataset without pixels and sequences.
    """

    slices: tuple[SliceReference, ...]
    header: Dataset
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    axes_lps: tuple[Vector, Vector, Vector]
    shape_yx: tuple[int, int]
    spacing_yx_mm: tuple[float, float]
    grid: Grid | None
    without_grid: str = ""

    @classmethod
    def of(cls, series: ImageSeries) -> "SeriesHeaders":
        """Return the images of a series whose volume has been read."""
        grid = series.volume.grid
        return cls(
            slices=series.slices,
            header=series.header,
            study_uid=series.study_uid,
            series_uid=series.series_uid,
            frame_of_reference_uid=series.frame_of_reference_uid,
            axes_lps=grid.axes_lps,
            shape_yx=grid.shape_zyx[1:],
            spacing_yx_mm=grid.spacing_zyx_mm[1:],
            grid=grid,
        )


def read_headers(files: Sequence[SourceFile]) -> SeriesHeaders:
    """Return the images of one CT or MR series, however far apart they are; no pixel is decoded.

    Localizers and screen pages are left out. Raises ImageRefused where a file is not an image of the kind, or the
    images are not of one series, frame of reference, orientation and size.
    """
    raws = [raw for file in files if not is_beside(raw := read_raw(file.data, file.name))]
    if not raws:
        raise ImageRefused(RefusalCode.TOO_FEW_SLICES, "no file is an image of the patient. Give the series.")
    kind = image_class(raws[0])
    for raw in raws:
        check_kind(raw, kind)
    headers = [header_of(raw) for raw in raws]
    axes, order = image_order(headers)
    first = headers[order[0]]
    grid, without_grid = None, ""
    try:
        grid = check_stack(headers, MR_STACK if kind is MR_IMAGES else CT_STACK).grid
    except ImageRefused as reason:
        without_grid = reason.message
    return SeriesHeaders(
        slices=tuple(reference_to(headers[k]) for k in order),
        header=plain_attributes(raws[order[0]]),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        axes_lps=axes,
        shape_yx=(first.rows, first.columns),
        spacing_yx_mm=(first.pixel_spacing_mm[0], first.pixel_spacing_mm[1]),
        grid=grid,
        without_grid=without_grid,
    )
