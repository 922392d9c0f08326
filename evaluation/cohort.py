"""A cohort: every patient's sets of contours against a reference, a row per structure; nothing is left out silently."""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from evaluation.contour_set import ContourSet
from evaluation.dicom_folder import DicomFolder
from evaluation.dose_comparison import DoseComparison, compare_doses
from evaluation.errors import EvaluationRefused
from evaluation.geometry import DEFAULT_TOLERANCES_MM, Comparison
from evaluation.nifti import is_image
from evaluation.pair import PairState
from evaluation.patients import CohortFolders, PatientFolder
from evaluation.readers import ReaderRow, reader_rows
from evaluation.reading import read_both, read_contours, read_dose_file, read_volume
from evaluation.set_comparison import SetComparison, compare_sets
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Volume

MOST_NAMES = 4
CURVE_GY = np.linspace(0.0, 80.0, 161)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a cohort is evaluated: the reference's label, tolerances, doses for Vx, readers, names paired by hand."""

    reference: str
    tolerances_mm: tuple[float, ...] = DEFAULT_TOLERANCES_MM
    dose_at_gy: tuple[float, ...] = ()
    readers: tuple[str, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CohortRow:
    """A structure of a patient in a set against the reference: state, metrics, doses, reasons for missing values."""

    patient: str
    set_label: str
    structure: str
    state: PairState
    values: Mapping[str, float | None]
    reasons: Mapping[str, str] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    reference_curve: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PatientResult:
    """A patient's rows, and what could not be compared with the reason."""

    name: str
    rows: tuple[CohortRow, ...] = ()
    readers: tuple[ReaderRow, ...] = ()
    remarks: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class CohortResult:
    """Every patient's result, in order, and the names of patients who lack a set or the reference."""

    options: Options
    set_labels: tuple[str, ...]
    patients: tuple[PatientResult, ...]
    incomplete: tuple[str, ...]

    @property
    def rows(self) -> list[CohortRow]:
        """The rows of all patients."""
        return [row for patient in self.patients for row in patient.rows]

    @property
    def remarks(self) -> list[str]:
        """Every remark once, the most frequent first, with the patients whom it concerns."""
        names: dict[str, list[str]] = {}
        for patient in self.patients:
            for remark in dict.fromkeys(patient.remarks):
                names.setdefault(remark, []).append(patient.name)
        ordered = sorted(names.items(), key=lambda item: -len(item[1]))
        return [
            f"{remark} ({', '.join(who) if len(who) <= MOST_NAMES else f'{len(who)} patients'})"
            for remark, who in ordered
        ]

    @property
    def structures(self) -> tuple[str, ...]:
        """Every structure that some patient has, by name."""
        return tuple(sorted({row.structure for row in self.rows}))


def evaluate_cohort(
    folders: CohortFolders,
    options: Options,
    processes: int = 2,
    progress: Callable[[str], None] = lambda _name: None,
) -> CohortResult:
    """Evaluate every patient in separate processes; a patient who cannot be evaluated gets a result with the reason."""
    one = partial(evaluate_patient, options=options)
    results: list[PatientResult] = []
    with ProcessPoolExecutor(max_workers=processes) as pool:
        for result in pool.map(one, folders.patients):
            results.append(result)
            progress(result.name)
    labels = sorted({label for patient in folders.patients for label in patient.sets} - {options.reference})
    return CohortResult(
        options=options,
        set_labels=tuple(labels),
        patients=tuple(results),
        incomplete=folders.incomplete,
    )


def evaluate_patient(patient: PatientFolder, options: Options) -> PatientResult:
    """Compare one patient's sets with the reference, with dose values where the folder has a dose."""
    rows: list[CohortRow] = []
    remarks: list[str] = []
    try:
        sets = read_patient(patient, options.reference).sets
        for label, contour_set in sets.items():
            if label == options.reference:
                continue
            compared = compare_sets(contour_set, sets[options.reference], options.tolerances_mm, options.same)
            doses, words = _doses(patient, compared, options)
            rows += _rows(patient.name, label, compared, doses)
            remarks += [*_remarks(label, compared), *words]
        labels = [label for label in options.readers if label in sets]
        readers, words = reader_rows(
            patient.name, {label: sets[label] for label in labels}, options.tolerances_mm
        )
    except (EvaluationRefused, OSError) as reason:
        return PatientResult(name=patient.name, failure=str(reason))
    return PatientResult(
        name=patient.name, rows=tuple(rows), readers=tuple(readers), remarks=(*remarks, *words)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PatientSets:
    """A patient's sets by label, all on one grid, and the CT on that grid, if there is one."""

    sets: Mapping[str, ContourSet]
    volume: Volume | None


def read_patient(patient: PatientFolder, reference: str) -> PatientSets:
    """Return every set of a patient on the CT's grid, or on the reference's where the folder has no CT."""
    if patient.ct is not None:
        series = None if is_image(patient.ct) else DicomFolder.of(patient.ct).read_ct()
        volume = canonical(series.volume) if series else read_volume(patient.ct)
        sets = {
            label: read_contours(path, series or volume.grid, label).on_grid(volume.grid)
            for label, path in patient.sets.items()
        }
        return PatientSets(sets=sets, volume=volume)
    read: dict[str, ContourSet] = {}
    for label, path in patient.sets.items():
        if label != reference:
            read[label], read[reference] = read_both(path, patient.sets[reference])
    grid = read[reference].grid
    return PatientSets(
        sets={label: one.labelled(label).on_grid(grid) for label, one in read.items()},
        volume=read[reference].volume,
    )


def _doses(
    patient: PatientFolder, compared: SetComparison, options: Options
) -> tuple[Mapping[str, DoseComparison], list[str]]:
    """Return the doses of one set, or why there are none: a dose that cannot be used does not affect the geometry."""
    if patient.dose is None:
        return {}, []
    try:
        dose = read_dose_file(patient.dose)
        return compare_doses(compared, dose, options.dose_at_gy), [f"dose: {note}" for note in dose.notes]
    except EvaluationRefused as reason:
        return {}, [f"no dose: {reason}"]


def _rows(
    patient: str, label: str, compared: SetComparison, doses: Mapping[str, DoseComparison]
) -> list[CohortRow]:
    return [
        _row(patient, label, name, comparison, doses.get(name))
        for name, comparison in compared.by_structure.items()
    ]


def _row(
    patient: str, label: str, structure: str, comparison: Comparison, dose: DoseComparison | None
) -> CohortRow:
    values = dict(comparison.values)
    reasons: dict[str, str] = {}
    curves: list[tuple[float, ...]] = [(), ()]
    if dose is not None:
        for prefix, part in (
            ("dose_", dose.values),
            ("reference_dose_", dose.reference_values),
            ("", dose.differences),
        ):
            values |= {prefix + name: value for name, value in part.values.items()}
            reasons |= {prefix + name: words for name, words in part.reasons.items()}
        curves = [
            () if dvh.refusal else tuple(float(v) for v in dvh.curve(CURVE_GY))
            for dvh in (dose.found, dose.reference)
        ]
    return CohortRow(
        patient=patient,
        set_label=label,
        structure=structure,
        state=comparison.state,
        values=values,
        reasons=reasons,
        curve=curves[0],
        reference_curve=curves[1],
    )


def _remarks(label: str, compared: SetComparison) -> list[str]:
    lists = (
        (f"only in {label}", compared.unmatched),
        (f"only in the reference, not in {label}", compared.unmatched_reference),
    )
    return [
        *(f"{title}: {', '.join(names)}" for title, names in lists if names),
        *(f"not compared: {name}: {reason}" for name, reason in compared.refused.items()),
        *compared.notes,
    ]
