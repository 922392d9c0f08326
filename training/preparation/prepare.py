"""Prepare a dataset from a folder of DICOM or NIfTI, one patient at a time; finished cases are kept."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume
from inference.server.resampling import Axis, to_model_voxels
from training.cases import Case, Spacing, Subset, bit_planes, places_of
from training.dataset import CaseRecord, load_record, write_case, write_index, write_record
from training.preparation.card import write_card
from training.preparation.catalogue import Catalogue
from training.preparation.checks import (
    FINDINGS_FILE,
    Decision,
    Kind,
    PreparationFinding,
    case_findings,
    decided,
    volume_findings,
)
from training.preparation.errors import CaseRefused, PreparationRefused
from training.preparation.names import NAMES_FILE, NameTable, names_table
from training.preparation.sources import Drawn, Source, sources
from training.split import DEFAULT_SHARES, SHARES_TOLERANCE, Split, load_split, save_split

Said = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to prepare: the structures in the order of bits (None: all that the names mean), voxels, and shares.

    ``voxels_mm``: slice and in-plane spacing to average the CT to, as the model will see it; None keeps the CT's own.
    """

    structures: tuple[str, ...] | None = None
    voxels_mm: tuple[float, float] | None = None
    shares: Mapping[Subset, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How a preparation ended."""

    structures: tuple[str, ...]
    cases: int
    refused: int
    unknown_names: tuple[str, ...]


def prepare(source: Path, dataset: Path, wish: Wish, said: Said) -> Prepared:
    """Create or extend a dataset. Raises PreparationRefused or SplitRefused before anything of effect is written.

    dataset.json comes last: a folder without it is not yet a dataset. Run it again after editing names.csv or
    findings.csv; only cases whose files, names or structures changed are made again.
    """
    if not source.is_dir():
        raise PreparationRefused(f"{source}: no such folder")
    if dataset.resolve().is_relative_to(source.resolve()):
        raise PreparationRefused(f"{dataset} lies inside {source}: choose a folder outside it")
    _check(wish)
    dataset.mkdir(parents=True, exist_ok=True)
    split = load_split(dataset) or Split.fresh(**({"shares": wish.shares} if wish.shares else {}))
    with Catalogue(dataset / ".catalogue.sqlite") as catalogue:
        catalogue.add_folder(source)
        names = names_table(catalogue.roi_names(), dataset)
        structures = wish.structures or names.structures
        if not structures:
            raise PreparationRefused(
                f"no ROI name of {source} means a structure of the catalogue; write what they mean into {dataset / NAMES_FILE}"
            )
        made = list(
            _cases(
                catalogue, dataset, split, _Making(structures=structures, names=names, wish=wish, said=said)
            )
        )
        unused = list(catalogue.unused())
    return _finished(dataset, split, structures, made, names, unused)


def _check(wish: Wish) -> None:
    unknown = sorted(set(wish.structures or ()) - CATALOGUE.keys())
    if unknown:
        raise PreparationRefused(
            f"no structure {', '.join(unknown)} in the catalogue; codes are TG-263-like, as Parotid_L"
        )
    if wish.voxels_mm and not all(0 < size < math.inf for size in wish.voxels_mm):
        raise PreparationRefused(
            f"voxels of {wish.voxels_mm[0]:g} x {wish.voxels_mm[1]:g} mm: both are more than 0"
        )
    shares = tuple((wish.shares or DEFAULT_SHARES).values())
    if abs(sum(shares) - 1) > SHARES_TOLERANCE or min(shares) < 0:
        raise PreparationRefused(
            f"shares {', '.join(f'{share:g}' for share in shares)} are not fractions that sum to 1"
        )


@dataclass(frozen=True, kw_only=True)
class _Making:
    structures: tuple[str, ...]
    names: NameTable
    wish: Wish
    said: Said

    @property
    def digest(self) -> str:
        """A digest of what a case depends on besides its files."""
        meanings = [(row.roi_name, row.structure) for row in self.names.rows if row.structure]
        return repr((self.structures, sorted(meanings), self.wish.voxels_mm))


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What is kept in memory of a case: some hundred bytes."""

    name: str
    patient: str | None  # None: refused
    findings: tuple[PreparationFinding, ...]
    volumes_cc: Mapping[str, float]


def _cases(catalogue: Catalogue, dataset: Path, split: Split, how: _Making) -> Iterator[_Made]:
    for source in sources(catalogue):
        patient = split.pseudonym(source.patient_id)
        name = f"{patient}_{split.pseudonym(source.called)[1:7]}"
        try:
            yield _case(source, patient, name, dataset, how)
        except CaseRefused as reason:
            finding = PreparationFinding(
                case=name, structure="", kind=Kind.REFUSED, words=f"{source.called}: {reason}"
            )
            how.said(f"{source.called}: not used: {reason}")
            yield _Made(name=name, patient=None, findings=(finding,), volumes_cc={})


def _case(source: Source, patient: str, name: str, dataset: Path, how: _Making) -> _Made:
    """Make one case, or keep it if it was made from the same files, names and settings."""
    if not source.patient_id:
        raise CaseRefused(
            "Patient ID (0010,0020) is empty: the split is by patient, so give each patient one"
        )
    made_from = hashlib.sha256(f"{source.sha256()} {how.digest}".encode()).hexdigest()
    record = _known(dataset / "cases" / name, made_from)
    if record is None:
        record = _new_case(source, (patient, name, made_from), dataset, how)
    findings = tuple(
        PreparationFinding(case=name, structure=s, kind=Kind(k), words=w) for s, k, w in record.findings
    )
    present = {code: volume for code, volume in record.volume_cc.items() if volume > 0}
    return _Made(name=name, patient=patient, findings=findings, volumes_cc=present)


def _known(folder: Path, made_from: str) -> CaseRecord | None:
    try:
        record = load_record(folder)
    except (OSError, ValueError):
        return None
    return record if record.source_sha256 == made_from else None


def _new_case(source: Source, who: tuple[str, str, str], dataset: Path, how: _Making) -> CaseRecord:
    patient, name, made_from = who
    drawn = source.read(how.names)
    findings = case_findings(name, drawn.volume, drawn.masks, how.structures)
    findings += [
        PreparationFinding(case=name, structure="", kind=Kind.NOTE, words=note) for note in drawn.notes
    ]
    if not set(drawn.masks) & set(how.structures):
        raise CaseRefused("none of its ROIs means a structure that is wanted")
    volume, masks = _on_model_voxels(drawn, how.structures, how.wish.voxels_mm)
    case = _as_case(name, volume, masks)
    voxel_cc = volume.grid.voxel_volume_mm3 / 1000
    volumes = {
        code: round(float(mask.sum()) * voxel_cc, 3) for code, mask in zip(how.structures, masks, strict=True)
    }
    record = CaseRecord(
        patient=patient,
        spacing_zyx_mm=volume.grid.spacing_zyx_mm,
        shape_zyx=volume.grid.shape_zyx,
        drawn={code: bool(flag) for code, flag in zip(how.structures, case.drawn, strict=True)},
        volume_cc=volumes,
        source_sha256=made_from,
        findings=tuple((finding.structure, str(finding.kind), finding.words) for finding in findings),
    )
    write_case(case, record, how.structures, dataset)
    how.said(f"{source.called}: {int(case.drawn.sum())} of {len(how.structures)} structures")
    return record


def _as_case(name: str, volume: Volume, masks: Sequence[np.ndarray]) -> Case:
    rng = np.random.default_rng(list(name.encode()))
    return Case(
        name=name,
        subset=Subset.TEST,  # not used: split.json decides
        hu_zyx=volume.hu_zyx,
        planes=bit_planes(masks),
        drawn=np.array([bool(mask.any()) for mask in masks]),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=volume.grid.spacing_zyx_mm,
    )


def _on_model_voxels(
    drawn: Drawn, structures: Sequence[str], voxels_mm: tuple[float, float] | None
) -> tuple[Volume, list[np.ndarray]]:
    """Return the CT and one mask per structure, averaged to the wanted voxels as in serving; half a voxel counts."""
    grid = drawn.volume.grid
    whole = [drawn.masks.get(code, Mask.empty()).full(grid.shape_zyx) for code in structures]
    if voxels_mm is None:
        return drawn.volume, whole
    wanted: Spacing = (voxels_mm[0], voxels_mm[1], voxels_mm[1])
    axes = tuple(
        Axis(length=length, ratio=target / spacing)
        for length, target, spacing in zip(grid.shape_zyx, wanted, grid.spacing_zyx_mm, strict=True)
    )
    z, y, x = axes
    hu = to_model_voxels(torch.from_numpy(drawn.volume.array_zyx), (z, y, x)).round().numpy().astype(np.int16)
    masks = [
        (to_model_voxels(torch.from_numpy(mask.astype(np.float32)), (z, y, x)) >= 0.5).numpy()
        for mask in whole
    ]
    first = grid.points_lps([(axis.ratio - 1) / 2 for axis in axes])
    coarse = Grid(
        shape_zyx=(hu.shape[0], hu.shape[1], hu.shape[2]),
        origin_lps=(float(first[0]), float(first[1]), float(first[2])),
        spacing_zyx_mm=wanted,
        axes_lps=grid.axes_lps,
    )
    return Volume(array_zyx=hu, grid=coarse), masks


def _finished(
    dataset: Path,
    split: Split,
    structures: tuple[str, ...],
    made: Sequence[_Made],
    names: NameTable,
    unused: Sequence[tuple[Path, str]],
) -> Prepared:
    used = [case for case in made if case.patient is not None]
    volumes: dict[str, dict[str, float]] = {code: {} for code in structures}
    for case in used:
        for code, volume in case.volumes_cc.items():
            volumes[code][case.name] = volume
    findings = [finding for case in made for finding in case.findings] + volume_findings(volumes)
    decisions = decided(findings, dataset)
    left_out = {case for (case, code, _), act in decisions.items() if not code and act is Decision.LEAVE_OUT}
    kept = [case for case in used if case.name not in left_out]
    if not kept:
        raise PreparationRefused(f"no case can be used; {dataset / FINDINGS_FILE} says why")
    placed = split.with_patients([case.patient for case in kept if case.patient])
    save_split(placed, dataset)
    for case in kept:
        without = {
            code
            for (name, code, _), act in decisions.items()
            if name == case.name and act is Decision.LEAVE_OUT
        }
        _mark_drawn(dataset / "cases" / case.name, without)
    write_index(structures, ((case.name, case.patient or "") for case in kept), dataset)
    write_card(dataset, placed, names, unused)
    return Prepared(
        structures=structures, cases=len(kept), refused=len(made) - len(kept), unknown_names=names.unknown
    )


def _mark_drawn(folder: Path, left_out: set[str]) -> None:
    """Record in a case which structures count: those that have voxels and are not left out."""
    record = load_record(folder)
    drawn = {code: volume > 0 and code not in left_out for code, volume in record.volume_cc.items()}
    if drawn != record.drawn:
        write_record(record.model_copy(update={"drawn": drawn}), folder)
