"""The act `models calibrate`: write plausibility limits learned from local cases into a version's contract."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.dicom_folder import DicomFolder
from evaluation.errors import EvaluationRefused
from evaluation.maker_answers import codes_of
from evaluation.plausible_limits import (
    LEAST_SAMPLES,
    Sample,
    learn,
    length_mm,
    measured_samples,
    write_limits,
)
from evaluation.reading import read_contours
from imaging.modality import Modality
from imaging.volumes.orientation import canonical, canonical_masks
from imaging.volumes.volume import Mask
from inference.contract import ModelContract
from inference.contract.plausibility import Plausibility
from inference.segment import Predictor, segment
from service.application import Operation, change_models
from service.cli.audit import administrator
from service.cli.local_cases import CT_FOLDER, case_folders, model_server, reference_of
from service.cli.model_arguments import LABELS, same_names
from service.cli.output import print_table, say, warn
from service.components import opened_store
from service.errors import Refused

COLUMNS = ("structure", "patients", "volume, cc: median", "5 % to 95 %", "plausible")
FEW = 30  # patients; with fewer, the next patient may well lie outside the range of all of them
# The parts of the body that a model for each region needs to see, from the feet up.
REGIONS: Mapping[str, tuple[str, ...]] = {
    "head": ("head",),
    "head_neck": ("neck", "head"),
    "thorax": ("thorax",),
    "abdomen": ("abdomen",),
    "pelvis": ("pelvis",),
    "extremity": ("legs",),
    "whole_body": ("legs", "pelvis", "abdomen", "thorax", "neck", "head"),
}


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Contour every case, measure the drawn structures and those found that agree with them, and write the limits."""
    settings = arguments.settings_tree
    try:
        same = same_names(arguments.same, LABELS, may_be_empty=True)
        cases = case_folders(arguments.cases)
        with (
            opened_store(settings) as store,
            model_server(settings, arguments.model, arguments.version, may_start=True) as (server, contract),
        ):
            samples = [
                sample
                for case in cases
                for sample in _samples(
                    case, reference_of(case, arguments.reference_set), contract, server, same
                )
            ]
            limits = limits_from(samples, contract)
            _say(samples, limits, contract)
            if arguments.dry_run:
                return 0
            folder = settings.triton.model_repository / contract.name / str(contract.version)
            what = (
                f"{contract.name} version {contract.version}: plausibility limits from {limits.learned_from}"
            )
            write = partial(write_limits, folder, limits)
            change_models(store.database, administrator(), Operation.MODELS_CALIBRATE, write, what)
    except EvaluationRefused as reason:
        raise Refused(str(reason)) from reason
    say(f"written to {folder / 'contract.json'}; in force from the next job on")
    return 0


def limits_from(samples: Sequence[Sample], contract: ModelContract) -> Plausibility:
    """Learn limits for each structure that was drawn in enough patients; raise Refused if there is none."""
    patients = drawn_in(samples, contract)
    enough = {code for code, count in patients.items() if count >= LEAST_SAMPLES}
    if not enough:
        raise Refused(
            f"no structure of {contract.name} is drawn in {LEAST_SAMPLES} patients: "
            f"{', '.join(f'{code} in {count}' for code, count in patients.items())}; limits from fewer mean nothing"
        )
    regions = REGIONS[contract.body_region]
    short = [sample.name for sample in samples if not length_mm(sample.regions, regions)]
    if short:
        raise Refused(
            f"{', '.join(dict.fromkeys(short))}: the CT shows no {' or '.join(regions)}, the part of the body that "
            f"{contract.name} is for; leave the case out"
        )
    kept = [
        replace(sample, placed={code: placed for code, placed in sample.placed.items() if code in enough})
        for sample in samples
    ]
    counts = ", ".join(f"{code} {patients[code]}" for code in contract.labels if code in enough)
    learned_from = f"local patients, drawn and found by the model: {counts}"
    return learn(kept, contract.labels, regions, learned_from)


def drawn_in(samples: Sequence[Sample], contract: ModelContract) -> dict[str, int]:
    """Return in how many patients each of the model's structures was drawn."""
    drawn = [sample for sample in samples if sample.is_drawn]
    return {code: sum(code in sample.placed for sample in drawn) for code in contract.labels}


def _samples(
    case: Path, reference: Path, contract: ModelContract, server: Predictor, same: Mapping[str, str]
) -> list[Sample]:
    series = DicomFolder.of(case / CT_FOLDER).read_ct()
    if series.modality is Modality.MR:
        raise Refused(f"{case.name}: MR has no Hounsfield units, so no plausibility limits apply to it")
    volume = canonical(series.volume)
    drawn = _drawn(read_contours(reference, series).on_grid(volume.grid).masks, contract, same)
    found = canonical_masks(segment(series.volume, contract, server).masks)
    return list(measured_samples(case.name, volume, drawn, found.by_code))


def _drawn(masks: Mapping[str, Mask], contract: ModelContract, same: Mapping[str, str]) -> dict[str, Mask]:
    codes = codes_of([*masks], contract, same)
    return {codes[name]: mask for name, mask in masks.items() if codes.get(name) and mask.crop_zyx.any()}


def _say(samples: Sequence[Sample], limits: Plausibility, contract: ModelContract) -> None:
    patients, rows = drawn_in(samples, contract), []
    for code, count in patients.items():
        volumes = [s.placed[code].volume_cc for s in samples if code in s.placed and s.is_drawn]
        low, middle, high = np.quantile(volumes, (0.05, 0.5, 0.95)) if volumes else (np.nan,) * 3
        learned = limits.of(code)
        span = "none: too few" if learned is None else f"{learned.volume_cc[0]:g} to {learned.volume_cc[1]:g}"
        rows.append((code, count, f"{middle:.2f}", f"{low:.2f} to {high:.2f}", span))
    print_table(COLUMNS, rows)
    few = [count for code, count in patients.items() if LEAST_SAMPLES <= count < FEW]
    if few:
        warn(
            f"contour-node: with {min(few)} patients, about 2 of {min(few) + 1} further ones of the same kind lie outside "
            "the range seen, before the margin: watch what is left out as implausible, and calibrate again with more"
        )
