"""The trust score against the real Dice on patients left out: ROC, calibration, weights, a page.

    .venv/bin/python -m bench.trust --cohort runs/clinicians/cohort --report runs/clinicians/report --out runs/trust

Takes the cohort and the values that `bench.clinicians` left, measures every structure without the reference,
and, for each patient in turn, learns the score on all others and scores that patient.
"""

import argparse
import csv
from pathlib import Path

from evaluation.dicom_folder import DicomFolder
from evaluation.reading import read_contours
from evaluation.report.page import write_page
from evaluation.report.trust import trust_page
from evaluation.trust import Instance, assess, learn
from imaging.anatomy import body_profile, estimate_regions, placements
from imaging.structures import CATALOGUE
from imaging.volumes.orientation import canonical
from inference.contract import ModelContract, load_contracts
from inference.judgement import judge
from inference.trust import TrustCase, measurements

GOOD_DICE = 0.7
PROBABILITY = "Mean probability inside:"


def main() -> None:
    """Measure, assess, print and write the page and the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohort", type=Path, required=True, help="folder of patients with ct and node.dcm")
    parser.add_argument("--report", type=Path, required=True, help="folder with values.csv of that cohort")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--model", default="hn_oar")
    arguments = parser.parse_args()
    contract = load_contracts(arguments.models)[arguments.model]
    with (arguments.report / "values.csv").open(newline="") as table:
        dice = {(r["patient"], r["structure"]): float(r["dice"]) for r in csv.DictReader(table) if r["dice"]}
    instances = [
        Instance(
            patient=folder.name, code=code, measured=measured, dice=dice[folder.name, CATALOGUE[code].name]
        )
        for folder in sorted(path for path in arguments.cohort.iterdir() if path.is_dir())
        for code, measured in _measured(folder, contract).items()
        if (folder.name, CATALOGUE[code].name) in dice
    ]
    quality = assess(instances, GOOD_DICE)
    weights = learn(
        instances, GOOD_DICE, f"{len({i.patient for i in instances})} patients, {len(instances)} structures"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "trust.json").write_text(weights.model_dump_json(indent=1))
    write_page(trust_page(quality, weights), arguments.out / "trust")
    print(
        f"{len(instances)} structures, {quality.good.count(False)} under Dice {GOOD_DICE}: AUC {quality.auc:.2f} "
        f"({quality.auc_low:.2f} to {quality.auc_high:.2f}), by the structure alone {quality.auc_structure_alone:.2f}; "
        f"Brier {quality.brier:.3f} against {quality.brier_constant:.3f}; rank correlation {quality.rank_correlation:.2f}"
    )
    for score, share, number in quality.calibration:
        print(f"scored {score:.2f}: {share:.2f} of {number} good")
    print({name: round(weight, 2) for name, weight in weights.weights.items()})


def _measured(folder: Path, contract: ModelContract) -> dict[str, dict[str, float]]:
    series = DicomFolder.of(folder / "ct").read_ct()
    upright = canonical(series.volume)
    found = read_contours(folder / "node.dcm", series)
    codes = {structure.name: code for code, structure in CATALOGUE.items()}
    masks = {codes[name]: mask for name, mask in found.masks.items() if name in codes}
    profile = body_profile(upright)
    placed = placements(masks, upright, profile, estimate_regions(profile))
    limits = contract.plausibility
    assert found.structure_set is not None
    stated = {
        codes[roi.name]: float(roi.description.removeprefix(PROBABILITY).split()[0])
        for roi in found.structure_set.rois
        if roi.name in codes and roi.description.startswith(PROBABILITY)
    }
    findings = judge(limits, placed) if limits is not None else ()
    case = TrustCase(masks=masks, placed=placed, findings=findings, mean_probability=stated)
    return measurements(contract, case)


if __name__ == "__main__":
    main()
