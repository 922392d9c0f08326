"""What the demo shows at the end: the job, its timing, and the contours on the CT."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from imaging.ct.series import SourceFile, read_ct
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.rendering import picture
from imaging.volumes.volume import Masks
from service.store import JobEvent, JobStatus


def print_job(console: Console, job: JobStatus, events: Sequence[JobEvent]) -> None:
    """Print the job's non-empty fields, and the seconds from its last slice to each event."""
    row = Table("job_status", "", title="the job (a row of the view job_status)", title_justify="left")
    for name, value in vars(job).items():
        if value not in (None, ""):
            row.add_row(name, str(value))
    console.print(row)
    times = Table("s after the last slice", "event", "message", title="timing", title_justify="left")
    for event in events:
        after = (event.at - job.last_received_at).total_seconds()
        times.add_row(f"{after:7.2f}", event.kind.value, event.message)
    console.print(times)
    if job.delivered_at is not None:
        total = (job.delivered_at - job.last_received_at).total_seconds()
        console.print(f"from the last slice received to the structure set delivered: {total:.1f} s")


def write_picture(files: Sequence[SourceFile], structure_set: bytes, path: Path) -> None:
    """Draw the contours that came back, read from the file itself, over the CT that was sent."""
    series = read_ct(files)
    found = read_structure_set(structure_set)
    by_number = masks_on_grid(found, series).by_number
    codes = {structure.name: code for code, structure in CATALOGUE.items()}
    by_code = {
        codes.get(roi.name, roi.name): by_number[roi.number] for roi in found.rois if roi.number in by_number
    }
    drawn = picture(
        series.volume,
        Masks(grid=series.volume.grid, by_code=by_code),
        title="UNAPPROVED - for research use only",
    )
    Image.fromarray(drawn).save(path)
