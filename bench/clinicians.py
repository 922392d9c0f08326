"""The node's contours against the clinicians' on OpenKBP patients: from DICOM CT to the report, by one command.

    .venv/bin/python -m bench.clinicians --data ../shared/data/openkbp --out runs/clinicians

Starts a node on embedded defaults, sends each patient's CT (the slices with complete cross-sections), keeps the
structure set that is delivered beside the clinicians' contours and the dose in a cohort folder, and runs `contour-node
evaluate cohort` on it.
"""

import argparse
import csv
import json
from pathlib import Path
from shutil import rmtree

import numpy as np
import SimpleITK as sitk

from imaging.ct.raw_slice import read_raw
from imaging.ct.series import SourceFile
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.dicom import CtExport, write_ct
from phantoms.dicom_modules import Identity
from service.cli.main import main as contour_node
from service.components import opened_store
from service.demo.node import ended_job, running_node
from service.demo.peers import running_tps, send_series
from service.store import JobState
from training.openkbp import openkbp_split

UP_BACK_LEFT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
ORGANS = {
    "Brainstem": 0, "SpinalCord": 1, "Parotid_R": 2, "Parotid_L": 3, "Esophagus": 4, "Larynx": 5, "Mandible": 6,
}  # fmt: skip


def main() -> None:
    """Contour every patient, then evaluate all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the node, the cohort and the report"
    )
    parser.add_argument("--limit", type=int, help="only the first LIMIT patients")
    arguments = parser.parse_args()
    cohort = arguments.out / "cohort"
    rmtree(arguments.out, ignore_errors=True)
    cohort.mkdir(parents=True)
    with (arguments.data / "patients.csv").open(newline="") as table:
        rows = {row["id"]: row for row in csv.DictReader(table)}
    names = openkbp_split()["val"][: arguments.limit]
    for name in names:
        _write_patient(arguments.data / "val" / name, rows[name], cohort / name)
    _contour(cohort, names, arguments.out)
    words = ["evaluate", "cohort", str(cohort), "--reference-set", "clinician", "--study", "all"]
    raise SystemExit(contour_node([*words, "--out", str(arguments.out / "report")]))


def _write_patient(source: Path, row: dict[str, str], folder: Path) -> None:
    """Write the CT as DICOM, the clinicians' contours and the dose, all on the slices with complete cross-sections.

    Beyond these slices, the source blanked the CT except for stubs round the contours.
    """
    whole = slice(int(row["body_k0"]), int(row["body_k1"]))
    ct = sitk.ReadImage(str(source / "ct.nii.gz"))[:, :, whole]
    dx, dy, dz = ct.GetSpacing()
    array = sitk.GetArrayFromImage(ct).astype(np.int16)
    grid = Grid(
        shape_zyx=array.shape, origin_lps=ct.GetOrigin(), spacing_zyx_mm=(dz, dy, dx), axes_lps=UP_BACK_LEFT
    )
    who = Identity(patient_name=f"OPENKBP^{source.name}", patient_id=f"OPENKBP-{source.name}")
    write_ct(Volume(array_zyx=array, grid=grid), folder / "ct", CtExport(identity=who))
    bits = sitk.ReadImage(str(source / "structures.nii.gz"))[:, :, whole]
    drawn = sitk.GetArrayFromImage(bits)
    (folder / "clinician").mkdir()
    for organ, bit in ORGANS.items():
        mask = sitk.GetImageFromArray(((drawn >> bit) & 1).astype(np.uint8))
        if sitk.GetArrayViewFromImage(mask).any():  # not drawn is not absent
            mask.CopyInformation(bits)  # type: ignore[no-untyped-call]
            sitk.WriteImage(mask, str(folder / "clinician" / f"{organ}.nii.gz"))
    if (source / "dose.nii.gz").is_file():
        sitk.WriteImage(sitk.ReadImage(str(source / "dose.nii.gz"))[:, :, whole], str(folder / "dose.nii.gz"))


def _contour(cohort: Path, names: list[str], out: Path) -> None:
    with (
        running_tps(out) as tps,
        running_node(out / "node", tps.port) as settings,
        opened_store(settings) as store,
    ):
        for name in names:
            paths = sorted((cohort / name / "ct").iterdir())
            files = [SourceFile(name=path.name, data=path.read_bytes()) for path in paths]
            send_series(files, settings.receive.port, settings.receive.ae_title, lambda _number: None)
            uid = _series_uid(files[0].data)
            job = ended_job(store.book, uid, lambda _state: None)
            if job.state is not JobState.DONE:
                raise SystemExit(f"{name}: {job.state}: {job.reason}")
            tps.wait(10)
            (cohort / name / "node.dcm").write_bytes(tps.received[-1].read_bytes())
            print(json.dumps({"patient": name, "contoured": True}), flush=True)


def _series_uid(data: bytes) -> str:
    return read_raw(data, "").text("SeriesInstanceUID")


if __name__ == "__main__":
    main()
