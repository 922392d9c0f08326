"""How many planted faults `validate` finds, and how many false alarms it raises on sets that planning systems wrote.

    python -m bench.planted_faults --data ../shared/data

The faults are the tables of tests/imaging/test_validation.py and test_validation_faults.py, each planted alone in a
valid set. A false alarm is a finding on a planning system's set that is not among the set's real faults;
those were examined one by one and are listed in KNOWN below. The exit code is 1 for a missed fault or false alarm.
"""

import argparse
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from imaging.ct.series import SourceFile
from imaging.ct.series_headers import SeriesHeaders, read_headers
from imaging.errors import ImageRefused
from imaging.export.profiles import PROFILES
from imaging.validation import series_named, validate
from tests.imaging.structure_sets import ct_series
from tests.imaging.test_validation import ECLIPSE, ONE_THING, REQUIRED, WARNINGS, drop, spoiled
from tests.imaging.test_validation_faults import FAULTS, NO_FAULTS, no_fault

KNOWN = {
    "Eclipse 16.1": {"number-twice ObservationNumber", "type-unknown RTROIInterpretedType"},
    "Pinnacle 9.7": {
        "missing OperatorsName",
        "missing ReferencedSOPClassUID",
        "missing ReferencedSOPInstanceUID",
    },
    "MIM, de-identified": {"missing OperatorsName", "too-long-sh StudyID"},
    "OpenKBP": set(),
}


def main() -> int:
    """Print both counts; return 0 where nothing is missed and no alarm is false, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dicom/")
    dicom = parser.parse_args().data / "dicom"
    missed = list(_missed())
    print(f"planted faults: {_planted()}, missed: {len(missed)} {missed or ''}")
    alarms = [
        name
        for name in NO_FAULTS
        for p in PROFILES.values()
        if validate(no_fault(name), p, series=ct_series())
    ]
    print(f"right but unusual files: {len(NO_FAULTS)}, alarms on them: {len(alarms)} {alarms or ''}")
    false_alarms = _of_planning_systems(dicom)
    return 1 if missed or alarms or false_alarms else 0


def _planted() -> int:
    return sum(len(table) for table in (ONE_THING, WARNINGS, FAULTS)) + len(
        " ".join(REQUIRED.values()).split()
    )


def _missed() -> Iterator[str]:
    for name, (change, profile, code, _) in ONE_THING.items():
        if code not in {f.code for f in validate(spoiled(change), profile)}:
            yield name
    for table, series in ((WARNINGS, None), (FAULTS, ct_series())):
        for name, (change, code, _) in table.items():
            if code not in {f.code for f in validate(spoiled(change), ECLIPSE, series=series)}:
                yield name
    for keyword in " ".join(REQUIRED.values()).split():
        if not any(f.path.startswith(keyword) for f in validate(spoiled(drop(keyword)), ECLIPSE)):
            yield f"no {keyword}"


def _of_planning_systems(dicom: Path) -> int:
    """Print a line per system and return the number of false alarms over all profiles."""
    total = 0
    for system, sets in _sets(dicom).items():
        found: Counter[str] = Counter()
        with_ct = 0
        for data, images in sets:
            with_ct += images is not None
            for profile in PROFILES.values():
                found.update({_named(f.code, f.path) for f in validate(data, profile, series=images)})
        false = {name: count for name, count in found.items() if name not in KNOWN[system]}
        total += sum(false.values())
        true = ", ".join(sorted(set(found) - set(false))) or "nothing"
        print(
            f"{system}: {len(sets)} sets, {with_ct} with their CT, {len(PROFILES)} profiles; found: {true}; false: {false or 0}"
        )
    return total


def _named(code: str, path: str) -> str:
    return f"{code} {path.rsplit('.', 1)[-1].partition(' ')[0]}"


def _sets(dicom: Path) -> dict[str, list[tuple[bytes, SeriesHeaders | None]]]:
    openkbp = [
        ((folder / "RS.dcm").read_bytes(), _images([f.read_bytes() for f in folder.glob("CT.*.dcm")]))
        for folder in sorted((dicom / "openkbp").iterdir())
        if folder.is_dir()
    ]
    return {
        "OpenKBP": openkbp,
        "Eclipse 16.1": _archived(dicom / "eclipse-head-phantom.tar.xz", r"/RS\.[^/]*\.dcm$", ct=False),
        "Pinnacle 9.7": _archived(dicom / "pinnacle-lung-4d.tar.xz", r"-47\.35/1-1\.dcm$", ct=True),
        "MIM, de-identified": _archived(dicom / "mim-sarcoma-16.tar.xz", r"/mask/RS\.dcm$", ct=False),
    }


def _archived(archive: Path, pattern: str, *, ct: bool) -> list[tuple[bytes, SeriesHeaders | None]]:
    """Return the sets of an archive, each with the CT that it refers to if `ct`.

    Those of Eclipse and MIM come with a copy of the CT that has other UIDs.
    """
    with tarfile.open(archive) as opened:
        files = {m.name: h.read() for m in opened if m.isfile() and (h := opened.extractfile(m)) is not None}
    sets = [data for name, data in files.items() if re.search(pattern, name)]
    others = [data for data in files.values() if data not in sets]
    return [(data, _images(others, series_named(data)) if ct else None) for data in sets]


def _images(files: list[bytes], named: tuple[str, ...] | None = None) -> SeriesHeaders | None:
    uids = [uid.encode() for uid in named or ()]
    chosen = [
        SourceFile(name="", data=f) for f in files if named is None or any(uid in f[:8000] for uid in uids)
    ]
    try:
        return read_headers(chosen)
    except ImageRefused as reason:
        print(f"no CT: {reason.message}")
        return None


if __name__ == "__main__":
    sys.exit(main())
