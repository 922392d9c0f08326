"""Learn where a model's structures are plausible, for its contract: python -m training.plausibility --data ...

Measured are the training patients' drawn structures, the model's own answers on them where these are right, and
phantoms in the same way (`evaluation.plausible_limits` computes the limits).
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from evaluation.plausible_limits import Sample, learn, measured_samples, write_limits
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume
from inference.contract import ModelContract, load_contract
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.catalogue import load_predictor
from training.cases import Case
from training.openkbp import openkbp_cases
from training.phantom_cases import phantom_case

PHANTOMS = 40
FIRST_PHANTOM = 9000  # seeds that no training run used


def volume_of(case: Case) -> Volume:
    """Return the case's CT in canonical orientation, from an origin that differs between cases."""
    z, y, x = case.hu_zyx.shape
    grid = Grid(
        shape_zyx=(z, y, x),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=case.spacing_zyx_mm,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return Volume(array_zyx=case.hu_zyx, grid=grid)


def samples_of(case: Case, labels: Sequence[str], found: Mapping[str, Mask]) -> Iterator[Sample]:
    """Yield samples of what was drawn in a case, and of what agrees with it in the model's answer."""
    drawn = {code: Mask.from_full(case.mask(index)) for index, code in enumerate(labels) if case.drawn[index]}
    yield from measured_samples(case.name, volume_of(case), drawn, found)


def predictor(version: Path) -> tuple[ModelContract, ServedPredictor]:
    """Return a published version's contract and predictor, as it is served except for the mirrored second pass."""
    contract = load_contract(version)
    runtime = contract.native
    once = runtime.model_copy(update={"pipeline": runtime.pipeline.model_copy(update={"mirror": False})})
    quick = contract.model_copy(update={"runtime": once})
    return quick, load_predictor(quick, version, torch.device("cpu"))


def found_in(volume: Volume, contract: ModelContract, model: ServedPredictor) -> dict[str, Mask]:
    """Return the model's answer for a volume in canonical orientation."""
    with torch.inference_mode():
        answer = model.predict(volume.array_zyx, volume.grid.spacing_zyx_mm)
    return {
        code: Mask.from_full((answer.planes[index // 8] >> np.uint8(index % 8) & 1).astype(np.bool_))
        for index, code in enumerate(contract.labels)
    }


def collected(cases: Iterable[Case], contract: ModelContract, model: ServedPredictor) -> Iterator[Sample]:
    """Yield the samples of cases, and print progress."""
    for case in cases:
        found = found_in(volume_of(case), contract, model)
        yield from samples_of(case, contract.labels, found)
        print(f"{case.name}: {sum(bool(m.voxels()) for m in found.values())} structures", flush=True)


def main() -> None:
    """Learn from OpenKBP's training patients and from phantoms, and write the model's contract.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--version", type=Path, default=Path("model_repository/hn_oar/2"))
    parser.add_argument(
        "--regions", nargs="+", default=["neck", "head"], help="body regions the model is for"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    contract, model = predictor(arguments.version)
    samples = list(collected(openkbp_cases(arguments.data, "train"), contract, model))
    patients = len({sample.name for sample in samples})
    phantoms = (phantom_case(seed) for seed in range(FIRST_PHANTOM, FIRST_PHANTOM + PHANTOMS))
    samples += collected(phantoms, contract, model)
    source = f"{patients} training patients of OpenKBP, drawn and found by the model, and {PHANTOMS} phantoms"
    write_limits(arguments.version, learn(samples, contract.labels, arguments.regions, source))


if __name__ == "__main__":
    main()
