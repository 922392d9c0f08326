"""Images and a model maker's answers: which file or series belongs to which answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.dicom_folder import DicomFolder
from evaluation.errors import EvaluationRefused
from evaluation.nifti import is_image, stem
from imaging.ct.series import SourceFile
from imaging.errors import StructureSetUnreadable
from imaging.rtstruct.reading import read_structure_set

_FIRST_CHANNEL, _SECOND_CHANNEL = "_0000", "_0001"


@dataclass(frozen=True, kw_only=True)
class MakerPair:
    """One image and the maker's answer for it: an image file, or the files of a DICOM series with its UID."""

    name: str
    files: tuple[Path, ...]
    reference: Path
    series_uid: str = ""

    def sources(self) -> list[SourceFile]:
        """Return the bytes of a DICOM series."""
        return [SourceFile(name=file.name, data=file.read_bytes()) for file in self.files]


@dataclass(frozen=True, kw_only=True)
class _Image:
    files: tuple[Path, ...]
    series_uid: str = ""


def maker_pairs(images: Path, against: Path) -> list[MakerPair]:
    """Pair the images and answers in two folders; EvaluationRefused names any without exactly one partner.

    Images are NIfTI files (nnU-Net's `_0000` is not part of the name) or DICOM series. An answer belongs to an image as
    a structure set that refers to its series, or as a file or folder of its name, followed by `_` and more where
    no other fits (`case1_trans.nii.gz`); a series is named by its folder, or by its UID. A single image takes the
    whole folder of answers where nothing in it has its name.
    """
    found = _images(images)
    if not against.is_dir():
        raise EvaluationRefused(f"{against}: no such folder")
    structure_sets = _by_series(against)
    answers: dict[str, Path] = {}
    for name, image in found.items():
        answer = structure_sets.get(image.series_uid) or _named(name, image, against)
        if answer is not None:
            answers[name] = answer
    if not answers and len(found) == 1:
        answers = dict.fromkeys(found, against)
    _expect_whole(images, against, found, answers)
    return [
        MakerPair(name=name, files=image.files, reference=answers[name], series_uid=found[name].series_uid)
        for name, image in found.items()
    ]


def _images(folder: Path) -> dict[str, _Image]:
    if not folder.is_dir():
        raise EvaluationRefused(f"{folder}: no such folder")
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and is_image(file)]
    second = [file.name for file in files if stem(file).endswith(_SECOND_CHANNEL)]
    if second:
        raise EvaluationRefused(f"{folder}: {second[0]} is a second channel; models here take one image")
    found = {stem(file).removesuffix(_FIRST_CHANNEL): _Image(files=(file,)) for file in files}
    if found:
        return found
    series = DicomFolder.of(folder).ct
    if not series:
        raise EvaluationRefused(
            f"{folder}: no images; expected NIfTI files in the folder itself, or DICOM series in it or below"
        )
    return _named_series(folder, series)


def _named_series(folder: Path, series: Mapping[str, Sequence[Path]]) -> dict[str, _Image]:
    """Name a series by its folder if it is the only one there, otherwise by its UID."""
    homes = {uid: {file.relative_to(folder).parts[0] for file in files} for uid, files in series.items()}
    found = {}
    for uid, files in series.items():
        (home, *others) = sorted(homes[uid])
        alone = (
            not others and (folder / home).is_dir() and sum(home in other for other in homes.values()) == 1
        )
        found[home if alone else uid] = _Image(files=tuple(files), series_uid=uid)
    return found


def _by_series(against: Path) -> dict[str, Path]:
    """Return structure sets by the UID of the series that they refer to."""
    found: dict[str, Path] = {}
    for file in DicomFolder.of(against).structure_sets:
        try:
            uids = read_structure_set(file.read_bytes()).referenced_series_uids
        except StructureSetUnreadable as reason:
            raise EvaluationRefused(f"{file}: {reason}") from reason
        for uid in uids:
            if uid in found:
                raise EvaluationRefused(f"{found[uid]} and {file} both refer to the series {uid}; keep one")
            found[uid] = file
    return found


def _named(name: str, image: _Image, against: Path) -> Path | None:
    entries = {
        _entry_name(path): path for path in sorted(against.iterdir()) if path.is_dir() or is_image(path)
    }
    for wanted in (name, image.series_uid):
        if wanted in entries:
            return entries[wanted]
    longer = [path for entry, path in entries.items() if entry.startswith(f"{name}_")]
    if len(longer) > 1:
        names = ", ".join(path.name for path in longer)
        raise EvaluationRefused(
            f"{against}: {names} all begin with the image's name {name}; keep one of them"
        )
    return longer[0] if longer else None


def _entry_name(path: Path) -> str:
    return path.name if path.is_dir() else stem(path)


def _expect_whole(
    images: Path, against: Path, found: Mapping[str, _Image], answers: Mapping[str, Path]
) -> None:
    without = [name for name in found if name not in answers]
    if without:
        raise EvaluationRefused(
            f"{against}: no answer for {', '.join(without)} of {images}; expected a file or folder of that name, or an RTSTRUCT "
            "that refers to the series"
        )
    used = {path.resolve() for path in answers.values()}
    left = [
        path.name
        for path in sorted(against.iterdir())
        if is_image(path) and not any(path.resolve().is_relative_to(one) for one in used)
    ]
    if left:
        raise EvaluationRefused(f"{images}: no image for the answers {', '.join(left)} of {against}")
