"""Write a phantom as a DICOM CT series: python -m phantoms --seed 7 --out folder."""

import argparse
import sys
from pathlib import Path

from phantoms.dicom import CtExport, write_ct
from phantoms.dicom_modules import Identity
from phantoms.positions import PatientPosition
from phantoms.regions import REGIONS


def main() -> None:
    """Make one patient and write the series."""
    parser = argparse.ArgumentParser(prog="phantoms", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the CT files")
    parser.add_argument("--region", choices=sorted(REGIONS), default="head_neck")
    parser.add_argument("--seed", type=int, default=0, help="which patient; 0 is the average one")
    parser.add_argument("--position", choices=[str(p) for p in PatientPosition], default="HFS")
    arguments = parser.parse_args()
    phantom = REGIONS[arguments.region](arguments.seed)
    how = CtExport(
        identity=Identity(patient_id=f"PHANTOM-{arguments.seed:04d}"),
        position=PatientPosition(arguments.position),
    )
    paths = write_ct(phantom.volume, arguments.out, how)
    sys.stdout.write(f"{len(paths)} slices in {arguments.out}\n")


if __name__ == "__main__":
    main()
