"""Phantoms as a clinic would export patients: a CT series and an RT Structure Set each, to try `train prepare` on.

    python -m training.phantom_dicom --site rectum --out data/export --count 12

The patients differ from those of `training.phantom_cases`. Nothing trained on them may contour a person.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from imaging.contours.exact import contours
from imaging.ct.series import SourceFile, read_ct
from imaging.dicom.uids import derived_uid
from imaging.rtstruct.writing import Producer, RoiContours, StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE
from phantoms.dicom import CtExport, write_ct
from phantoms.dicom_modules import Identity
from phantoms.phantom import Phantom
from training.phantom_cases import SITES

_DRAWN = datetime(2026, 1, 1, tzinfo=UTC)
_PRODUCER = Producer(
    manufacturer="Contour Node",
    model_name="phantoms",
    software_version="1",
    algorithm_name="known by construction",
    algorithm_version="1",
)


def export_patient(phantom: Phantom, folder: Path, patient_id: str) -> None:
    """Write one patient's CT images and structure set into a folder.

    Structures without any voxel are left out.
    """
    files = write_ct(
        phantom.volume,
        folder,
        CtExport(identity=Identity(patient_id=patient_id, patient_name="PHANTOM^EXPORT", body_part="")),
    )
    series = read_ct([SourceFile(name=file.name, data=file.read_bytes()) for file in files])
    rois = [
        RoiContours(
            structure=CATALOGUE[code],
            name=CATALOGUE[code].name,
            contours=contours(mask, series.volume.grid),
            description="",
        )
        for code, mask in phantom.masks.by_code.items()
        if mask.crop_zyx.any()
    ]
    request = StructureSetRequest(
        series=series,
        rois=rois,
        label="PHANTOM",
        description="",
        sop_instance_uid=derived_uid("phantom structure set", patient_id),
        series_instance_uid=derived_uid("phantom structure sets", patient_id),
        created=_DRAWN,
        producer=_PRODUCER,
    )
    (folder / "RS.dcm").write_bytes(write_structure_set(request))


def main() -> None:
    """Export a site's phantoms, one folder per patient."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--site", choices=sorted(SITES), default="rectum")
    parser.add_argument("--count", type=int, default=12, help="patients")
    arguments = parser.parse_args()
    for seed in range(arguments.count):
        phantom = SITES[arguments.site].draw(seed, np.random.default_rng([20261127, seed]))
        name = f"{arguments.site}-{seed:03d}"
        export_patient(phantom, arguments.out / name, name)


if __name__ == "__main__":
    main()
