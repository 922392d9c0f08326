"""A folder of DICOM files, searched once.

It yields CT or MR series, structure sets and doses, by what the files state.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import CTImageStorage, MRImageStorage, RTDoseStorage, RTStructureSetStorage

from evaluation.errors import EvaluationRefused
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import ImageSeries, SourceFile, read_images
from imaging.errors import ImageRefused


@dataclass(frozen=True, kw_only=True)
class DicomFolder:
    """The radiotherapy objects in a folder and below: CT slices by Series Instance UID, structure sets, doses.

    Where there is no CT, `ct` are the MR slices.
    """

    path: Path
    ct: dict[str, list[Path]]
    structure_sets: list[Path]
    doses: list[Path]

    @classmethod
    def of(cls, path: Path) -> "DicomFolder":
        """Search a folder; files that are not DICOM, or of other kinds, are ignored."""
        by_modality: dict[str, dict[str, list[Path]]] = {
            uid: defaultdict(list) for uid in (CTImageStorage, MRImageStorage)
        }
        by_class: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            try:
                raw = read_raw(file.read_bytes(), "")
            except ImageRefused:
                continue
            by_class[raw.text("SOPClassUID")].append(file)
            if raw.text("SOPClassUID") in by_modality:
                by_modality[raw.text("SOPClassUID")][raw.text("SeriesInstanceUID")].append(file)
        return cls(
            path=path,
            ct=dict(by_modality[CTImageStorage] or by_modality[MRImageStorage]),
            structure_sets=by_class[RTStructureSetStorage],
            doses=by_class[RTDoseStorage],
        )

    def sources(self, named: tuple[str, ...] = ()) -> list[SourceFile]:
        """Return the files of the CT series that `named` (Series Instance UIDs) refers to, or else of the only one.

        Raises EvaluationRefused where that is not exactly one series.
        """
        chosen = next((uid for uid in named if uid in self.ct), None)
        if chosen is None and len(self.ct) != 1:
            raise EvaluationRefused(
                f"{self.path} has {len(self.ct)} CT series, and none that the structure set refers to"
            )
        paths = self.ct[chosen or next(iter(self.ct))]
        return [SourceFile(name=path.name, data=path.read_bytes()) for path in paths]

    def read_ct(self, named: tuple[str, ...] = ()) -> ImageSeries:
        """Return the series of `sources`; EvaluationRefused says why it cannot be read."""
        try:
            return read_images(self.sources(named))
        except ImageRefused as reason:
            raise EvaluationRefused(f"{self.path}: {reason.message}") from reason
