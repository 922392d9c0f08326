"""False alarms of the checks before inference: what they report on real CTs that have no fault.

python -m bench.false_alarms [--data ../shared/data/openkbp] FOLDER...

Every CT series under the folders (DICOM, unpacked) is put through the checks of headers, pixels and values; every
patient of OpenKBP through those of values. Printed are the numbers examined and each refusal or note with its series.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from imaging.ct.plausible_hu import check_hounsfield, check_neighbours
from imaging.ct.series import SourceFile, check_series, read_ct
from imaging.errors import ImageRefused
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from training.openkbp import openkbp_cases

_SHOWN = 160
_VALUES = (check_hounsfield, check_neighbours)


def main() -> None:
    """Print what every check reported."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="OpenKBP as NIfTI")
    parser.add_argument("folders", nargs="*", type=Path)
    arguments = parser.parse_args()
    series = [files for folder in arguments.folders for files in _series(folder)]
    report(f"{len(series)} series of DICOM", [(_name(files), _of_series(files)) for files in series])
    if arguments.data:
        volumes = list(_openkbp(arguments.data))
        report(f"{len(volumes)} volumes of OpenKBP", volumes)


def report(title: str, said: Sequence[tuple[str, list[str]]]) -> None:
    """Print a line for each alarm and the count of each kind."""
    kinds = Counter(alarm.split(":", 1)[0] for _, alarms in said for alarm in alarms)
    print(f"{title}: {dict(kinds) or 'no alarm'}")
    for name, alarms in said:
        for alarm in alarms:
            print(f"  {name}: {alarm[:_SHOWN]}")


def _series(folder: Path) -> Iterator[list[Path]]:
    """Yield the files of each CT series that has more than one image."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            image = dcmread(
                file, stop_before_pixels=True, specific_tags=["Modality", "SeriesInstanceUID", "Rows"]
            )
        except InvalidDicomError:
            continue
        if image.get("Modality") == "CT" and "Rows" in image:
            found[f"{folder}{image.get('SeriesInstanceUID')}"].append(file)
    yield from (files for files in found.values() if len(files) > 1)


def _name(files: Sequence[Path]) -> str:
    return f"{files[0].parent} ({len(files)} images)"


def _of_series(files: Sequence[Path]) -> list[str]:
    """Return what the checks report on one series; the first refusal ends it, as in the node."""
    sources = [SourceFile(name=file.name, data=file.read_bytes()) for file in files]
    try:
        notes = check_series(sources).notes
        series = read_ct(sources)
    except ImageRefused as reason:
        return [f"refused {reason.code}: {reason.message}"]
    return [f"note: {note}" for note in (*notes, *series.notes)] + _of_values(series.volume)


def _of_values(volume: Volume) -> list[str]:
    said = []
    for check in _VALUES:
        try:
            check(volume)
        except ImageRefused as reason:
            said.append(f"refused {reason.code} by {check.__name__}: {reason.message}")
    return said


def _openkbp(root: Path) -> Iterator[tuple[str, list[str]]]:
    for subset in ("train", "val"):
        for case in openkbp_cases(root, subset):
            grid = Grid(
                shape_zyx=case.hu_zyx.shape,
                origin_lps=(0.0, 0.0, 0.0),
                spacing_zyx_mm=case.spacing_zyx_mm,
                axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
            )
            yield case.name, _of_values(Volume(array_zyx=case.hu_zyx, grid=grid))


if __name__ == "__main__":
    main()
