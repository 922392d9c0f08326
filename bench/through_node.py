"""Dice per structure on OpenKBP patients through the whole node: DICOM in, RT Structure Set out.

    .venv/bin/python -m bench.through_node --data ../shared/data/openkbp --subset val --out runs/through_node

Starts a node on embedded defaults, sends each patient as a DICOM CT series, rasterises the structure set that is
delivered with our reader, and scores it on the slices with complete cross-sections, each structure where it was
contoured.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from shutil import rmtree

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread

from evaluation.overlap import dice
from imaging.ct.series import SourceFile, read_ct
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from service.components import opened_store
from service.demo.node import ended_job, running_node
from service.demo.peers import running_tps, send_series
from service.store import JobState
from training.cases import Case
from training.openkbp import HN_STRUCTURES, openkbp_cases

UP_BACK_LEFT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def main() -> None:
    """Send every patient; print one row each, then the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--subset", choices=("train", "val"), default="val")
    parser.add_argument("--out", type=Path, required=True, help="folder for the node and the results")
    parser.add_argument("--limit", type=int, help="only the first LIMIT patients")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rmtree(arguments.out / "node", ignore_errors=True)
    rows = []
    with (
        running_tps(arguments.out) as tps,
        running_node(arguments.out / "node", tps.port) as settings,
        opened_store(settings) as store,
    ):
        for case, whole in list(_patients(arguments.data, arguments.subset))[: arguments.limit]:
            files = _series(case.name, arguments.data / arguments.subset / case.name)
            send_series(files, settings.receive.port, settings.receive.ae_title, lambda _number: None)
            uid = str(dcmread(BytesIO(files[0].data)).SeriesInstanceUID)
            job = ended_job(store.book, uid, lambda _state: None)
            if job.state is not JobState.DONE:
                raise SystemExit(f"{case.name}: {job.state}: {job.reason}")
            row = _scores(case, whole, files, tps.received[-1].read_bytes())
            rows.append(row)
            print(json.dumps(row), flush=True)
    _report(rows, arguments.out)


def _patients(data: Path, subset: str) -> Iterable[tuple[Case, slice]]:
    """Yield each patient with the slices that count (those with complete cross-sections)."""

    with (data / "patients.csv").open(newline="") as table:
        whole = {row["id"]: slice(int(row["body_k0"]), int(row["body_k1"])) for row in csv.DictReader(table)}
    for case in openkbp_cases(data, subset):
        yield case, whole[case.name]


def _series(name: str, folder: Path) -> tuple[SourceFile, ...]:
    image = sitk.ReadImage(str(folder / "ct.nii.gz"))
    array = sitk.GetArrayFromImage(image).astype(np.int16)
    dx, dy, dz = image.GetSpacing()  # type: ignore[no-untyped-call]
    grid = Grid(
        shape_zyx=array.shape,
        origin_lps=image.GetOrigin(),  # type: ignore[no-untyped-call]
        spacing_zyx_mm=(dz, dy, dx),
        axes_lps=UP_BACK_LEFT,
    )
    who = Identity(patient_name=f"OPENKBP^{name}", patient_id=f"OPENKBP-{name}")
    return ct_files(Volume(array_zyx=array, grid=grid), CtExport(identity=who))


def _scores(
    case: Case, whole: slice, files: tuple[SourceFile, ...], structure_set: bytes
) -> dict[str, object]:

    began = time.perf_counter()
    found = read_structure_set(structure_set)
    series = read_ct(files)
    masks = masks_on_grid(found, series)
    numbers = {roi.name: roi.number for roi in found.rois}
    row: dict[str, object] = {"patient": case.name}
    for index, code in enumerate(HN_STRUCTURES):
        truth = case.mask(index)
        if not truth.any():
            continue
        number = numbers.get(CATALOGUE[code].name)
        ours = np.zeros(series.volume.grid.shape_zyx, bool)
        if number is not None:
            ours = masks.by_number[number].full(series.volume.grid.shape_zyx)
        row[code] = round(dice(ours[whole], truth), 4)
    row["read_s"] = round(time.perf_counter() - began, 2)
    return row


def _report(rows: list[dict[str, object]], out: Path) -> None:
    means = []
    print("| structure | patients | mean Dice | SD | min | max |\n|---|---|---|---|---|---|")
    for code in HN_STRUCTURES:
        values = np.array([row[code] for row in rows if code in row], float)
        if len(values):
            means.append(values.mean())
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            print(
                f"| {code} | {len(values)} | {values.mean():.3f} | {spread:.3f} | {values.min():.3f} | {values.max():.3f} |"
            )
    print(f"mean of the {len(means)} structures' means: {np.mean(means):.3f}")
    (out / "dice.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
