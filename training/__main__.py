"""The commands of training: `contour-node train ...` runs `python -m training ...`.

Exit code 0: done, 1: failed, 2: usage error, 130: interrupted; the same command resumes an interrupted run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from inference.errors import ContractRefused
from training.cases import CaseSource, NotForTraining, Subset
from training.checkpoints import CheckpointRefused
from training.dataset import Dataset, DatasetRefused
from training.distributed import World, joined_world
from training.finetuning.command import add_verb
from training.loop import TrainingRun, TrainingStopped
from training.measured import measured
from training.openkbp import OpenKbp
from training.organ_task import OrganTask
from training.precision import Precision, chosen_precision
from training.preparation.errors import PreparationRefused
from training.preparation.prepare import Wish, prepare
from training.progress import shown, silent
from training.publish import NotPublished, comparison_images, publish
from training.recipe import Recipe, RecipeRefused, load_recipe, load_recipe_json
from training.roles import role_recipe
from training.run_record import RECIPE_FILE, THRESHOLDS_FILE, begin, write_thresholds
from training.split import SplitRefused
from training.strata import StrataRun, is_stratified
from training.study import load_study, run_study
from training.thresholds import chosen_thresholds
from training.trial import trial
from training.validation import NotScored, as_table, scores

_REFUSALS = (
    CheckpointRefused, ContractRefused, DatasetRefused, NotForTraining, NotPublished, NotScored, PreparationRefused, RecipeRefused, SplitRefused,
    TrainingStopped, OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every expected failure is one line on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run_verb(parsed))
    except _REFUSALS as reason:
        sys.stderr.write(f"contour-node train: {reason}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "contour-node train: interrupted; the same command resumes from the last checkpoint\n"
        )
        return 130


def _prepare(parsed: argparse.Namespace) -> int:
    shares = dict(zip(Subset, parsed.shares, strict=True)) if parsed.shares else None
    structures = tuple(parsed.structures.split(",")) if parsed.structures else None
    voxels = (parsed.voxels_mm[0], parsed.voxels_mm[1]) if parsed.voxels_mm else None
    wish = Wish(structures=structures, voxels_mm=voxels, shares=shares)
    made = prepare(parsed.source, parsed.out, wish, _said)
    print(
        f"{parsed.out}: {made.cases} cases with {', '.join(made.structures)}; {made.refused} not used (findings.csv)"
    )
    if made.unknown_names:
        print(
            f"{len(made.unknown_names)} ROI names have no meaning yet (names.csv): {', '.join(made.unknown_names[:10])}"
        )
    return 0


def _trial(parsed: argparse.Namespace) -> int:
    with joined_world() as world:
        recipe = load_recipe(parsed.recipe)
        if not is_stratified(recipe):
            return _tried(_task(parsed, world), world)
        torch.set_num_threads(parsed.threads)
        _said("of several networks the first is tried: the anchors'")
        return _tried(OrganTask(role_recipe(recipe, "anchor"), _source(parsed), world.device), world)


def _tried(task: OrganTask, world: World) -> int:
    recipe = task.recipe
    precision = chosen_precision(recipe.precision, world.device)
    found = trial(task, world, precision, _said)
    for words in found.warnings:
        print(f"warning: {words}")
    for words in found.faults:
        print(f"FAULT: {words}")
    print(
        f"{precision.name} ({precision.reason}): {found.step_s:.2f} s per step, {found.validation_s:.0f} s per validation, "
        f"about {found.hours:.1f} hours for {recipe.schedule.steps} steps"
    )
    return 1 if found.faults else 0


def _said(words: str) -> None:
    sys.stderr.write(words + "\n")


def _run(parsed: argparse.Namespace) -> int:
    with joined_world() as world:
        recipe = load_recipe(parsed.recipe)
        if is_stratified(recipe):
            return _run_strata(parsed, recipe, world)
        task = _task(parsed, world)
        new = not (parsed.out / "checkpoint.pt").exists()
        if new and not parsed.no_trial and world.size == 1 and _tried(task, world):
            _said("contour-node train: the trial found faults; nothing was trained")
            return 1
        precision = chosen_precision(task.recipe.precision, world.device)
        world.alone(lambda: _begun(parsed, task.recipe, precision))
        run = TrainingRun(task, task.recipe.schedule, parsed.out, world, precision)
        state = run.train(shown if world.leads else silent)
        if world.leads:
            print(
                f"{parsed.out}: {state.step} steps, best mean {state.best_mean:.4f} at step {state.best_step}"
            )
    return 0


def _run_strata(parsed: argparse.Namespace, recipe: Recipe, world: World) -> int:
    torch.set_num_threads(parsed.threads)
    source, data = _source(parsed), parsed.data or parsed.openkbp
    if not (parsed.out / "run.json").exists() and not parsed.no_trial:
        first = OrganTask(role_recipe(recipe, "anchor"), source, world.device)
        if _tried(first, world):
            _said("contour-node train: the trial found faults; nothing was trained")
            return 1
    run = StrataRun(
        recipe=recipe,
        source=source,
        data=data,
        folder=parsed.out,
        world=world,
        precision=chosen_precision(recipe.precision, world.device),
        said=_said,
        show=shown,
    )
    state, _ = run.train()
    print(
        f"{parsed.out}: {state.step} steps of all networks, mean of the whole pipeline {state.best_mean:.4f}"
    )
    return 0


def _begun(parsed: argparse.Namespace, recipe: Recipe, precision: Precision) -> None:
    begin(parsed.out, recipe, _source(parsed), parsed.data or parsed.openkbp, precision)


def _publish(parsed: argparse.Namespace) -> int:
    source = _source(parsed)
    names = [*source.names(Subset.VAL), *source.names(Subset.TRAIN)]
    contract = publish(parsed.run, parsed.repository, comparison_images(source, names), parsed.weights)
    limits = (
        "has no plausibility limits"
        if contract.plausibility is None
        else "has the limits of an earlier version"
    )
    print(
        f"version {contract.version} {limits}; learn its own: python -m training.plausibility",
        file=sys.stderr,
    )
    mean = contract.provenance.validation_mean_dice
    print(f"{contract.name} version {contract.version}: sha256 {contract.package_sha256}, mean Dice {mean}")
    return 0


def _thresholds(parsed: argparse.Namespace) -> int:
    torch.set_num_threads(parsed.threads)
    recipe = load_recipe_json(parsed.run / RECIPE_FILE)
    chosen, table = chosen_thresholds(recipe, _source(parsed), parsed.run, parsed.patients)
    for code, row in table.items():
        print(
            code, {threshold: round(float(np.mean(values)), 4) for threshold, values in row.items() if values}
        )
    write_thresholds(parsed.run, chosen)
    print(f"{parsed.run / THRESHOLDS_FILE}: {chosen}")
    return 0


def _validate(parsed: argparse.Namespace) -> int:
    torch.set_num_threads(parsed.threads)
    found = []
    for score in scores(parsed.version, _source(parsed)):
        _said(
            f"{score.patient} {score.structure}: Dice {score.dice:.3f}, surface Dice {score.surface_dice:.3f}"
        )
        found.append(score)
    print(as_table(found))
    return 0


def _study(parsed: argparse.Namespace) -> int:
    torch.set_num_threads(parsed.threads)
    study, source = load_study(parsed.study, parsed.recipe), _source(parsed)
    print(run_study(study, source, parsed.data or parsed.openkbp, parsed.out, said=_said, show=shown))
    return 0


def _task(parsed: argparse.Namespace, world: World) -> OrganTask:
    torch.set_num_threads(parsed.threads)
    source = _source(parsed)
    return OrganTask(measured(load_recipe(parsed.recipe), source), source, world.device)


def _source(parsed: argparse.Namespace) -> CaseSource:
    if parsed.openkbp is not None:
        try:
            return OpenKbp(parsed.openkbp)
        except KeyError as error:
            raise DatasetRefused(str(error.args[0])) from error
    return Dataset(parsed.data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contour-node train", description="Prepare data, train and publish models."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    made = verbs.add_parser("prepare", help="a dataset from a folder of DICOM or NIfTI")
    made.set_defaults(run_verb=_prepare)
    made.add_argument("source", type=Path, help="the folder; searched with everything below it")
    made.add_argument("--out", type=Path, required=True, help="the dataset's folder, made or extended")
    made.add_argument(
        "--structures", help="codes of the catalogue, separated by commas; default: all that the names mean"
    )
    made.add_argument(
        "--voxels-mm", type=float, nargs=2, metavar=("SLICE", "IN_PLANE"), help="average the CT to these"
    )
    made.add_argument(
        "--shares",
        type=float,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        help="of a new split; default: 0.7 0.15 0.15",
    )
    for name, run_verb, what in (
        ("trial", _trial, "minutes that find the mistakes of a recipe or a dataset"),
        ("run", _run, "train by a recipe, or resume; begins with a trial"),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.set_defaults(run_verb=run_verb)
        verb.add_argument("recipe", type=Path, help="a recipe (TOML)")
        _data(verb)
        verb.add_argument("--threads", type=int, default=2)
        if name == "run":
            verb.add_argument("--out", type=Path, required=True, help="the run's folder")
            verb.add_argument("--no-trial", action="store_true", help="start at once")
    _model_verbs(verbs)
    return parser


def _model_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    chosen = verbs.add_parser(
        "thresholds", help="choose a run's thresholds on training patients, for its version"
    )
    chosen.set_defaults(run_verb=_thresholds)
    chosen.add_argument("run", type=Path, help="the run's folder")
    chosen.add_argument("--patients", type=int, default=24, help="how many training patients (default: 24)")
    scored = verbs.add_parser("validate", help="score a published version on the validation patients")
    scored.set_defaults(run_verb=_validate)
    scored.add_argument("version", type=Path, help="a version's folder, as model_repository/hn_oar/2")
    compared = verbs.add_parser("study", help="train recipes side by side, and print their table")
    compared.set_defaults(run_verb=_study)
    compared.add_argument("study", type=Path, help="a study file (TOML)")
    compared.add_argument(
        "--recipe", type=Path, help="the recipe of the rows that name none, instead of the study's"
    )
    compared.add_argument(
        "--out", type=Path, required=True, help="folder of the runs; finished runs are not repeated"
    )
    for verb in (chosen, scored, compared):
        verb.add_argument("--threads", type=int, default=2)
        _data(verb)
    add_verb(verbs)
    published = verbs.add_parser("publish", help="publish a run as the next version of a Triton model")
    published.set_defaults(run_verb=_publish)
    published.add_argument("run", type=Path, help="the run's folder")
    published.add_argument(
        "--repository", type=Path, default=Path("model_repository"), help="default: model_repository"
    )
    published.add_argument("--weights", choices=("best", "last"), default="best")
    _data(published)


def _data(verb: argparse.ArgumentParser) -> None:
    data = verb.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="a prepared dataset")
    data.add_argument("--openkbp", type=Path, help="the OpenKBP developer set")


if __name__ == "__main__":
    sys.exit(main())
