"""`contour-node train finetune`: a version adapted to other contours, every way side by side."""

import argparse
import sys
from pathlib import Path

import torch

from training.dataset import Dataset
from training.finetuning.start import Start
from training.finetuning.tuning import FineTuning
from training.finetuning.ways import WAYS, Budget
from training.progress import shown


def add_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `contour-node train`."""
    verb = verbs.add_parser(
        "finetune", help="adapt a version to other contours; structures that get worse keep their weights"
    )
    verb.set_defaults(run_verb=_finetune)
    verb.add_argument("version", type=Path, help="a version's folder, as model_repository/phantom_rectum/1")
    verb.add_argument(
        "--recipe", type=Path, required=True, help="the recipe by which the version was trained"
    )
    verb.add_argument("--data", type=Path, required=True, help="the new patients: a prepared dataset")
    verb.add_argument("--old", type=Path, help="old patients: replayed, and scored for what is forgotten")
    verb.add_argument("--out", type=Path, required=True, help="the folder; finished work is not repeated")
    verb.add_argument(
        "--ways", nargs="+", choices=WAYS, default=["budgeted", "scratch"], help="default: budgeted scratch"
    )
    verb.add_argument(
        "--patients", type=int, nargs="+", metavar="N", help="train on the first N; several make a curve"
    )
    usual = Budget()
    verb.add_argument("--steps", type=int, default=usual.steps, help=f"of each way; default: {usual.steps}")
    verb.add_argument(
        "--replay-share", type=float, default=usual.replay_share, help="of samples; default: 0.3"
    )
    verb.add_argument("--folds", type=int, default=usual.folds, help="of the study's way; default: 5")
    verb.add_argument("--epochs", type=int, default=usual.epochs, help="of each fold; default: 60")
    verb.add_argument("--seed", type=int, default=usual.seed)
    verb.add_argument("--threads", type=int, default=2)


def _finetune(parsed: argparse.Namespace) -> int:
    torch.set_num_threads(parsed.threads)
    tuning = FineTuning(
        start=Start.of(parsed.version, parsed.recipe),
        new=Dataset(parsed.data),
        data=parsed.data,
        old=None if parsed.old is None else Dataset(parsed.old),
        folder=parsed.out,
        ways=tuple(parsed.ways),
        budget=Budget(
            steps=parsed.steps,
            folds=parsed.folds,
            epochs=parsed.epochs,
            replay_share=parsed.replay_share,
            seed=parsed.seed,
        ),
        said=_said,
        show=shown,
    )
    print(tuning.run(parsed.patients or [None]))
    return 0


def _said(words: str) -> None:
    sys.stderr.write(words + "\n")
