"""A run's curves: losses.csv, validation.csv, a picture per validation, TensorBoard events where installed."""

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imaging.atomic_files import atomic_file

_LOSSES_A_ROW = 20


class Curves:
    """Appends what a run measures; a resumed run replaces what an interrupted one wrote after its checkpoint."""

    def __init__(self, folder: Path, *, first_step: int, active: bool) -> None:
        """Open the curves; ``active`` is False in those processes of a distributed run that only compute."""
        self._folder, self._active = folder, active
        self._losses: list[float] = []
        self._board = _board(folder) if active else None
        for name in ("losses.csv", "validation.csv") if active else ():
            _cut(folder / name, first_step)

    def loss(self, step: int, loss: float, rate: float) -> None:
        """Add a step's loss; every 20th step writes the mean since the last row."""
        if not self._active:
            return
        self._losses.append(loss)
        if step % _LOSSES_A_ROW == 0:
            mean = float(np.mean(self._losses))
            _append(
                self._folder / "losses.csv", {"step": step, "loss": round(mean, 5), "rate": f"{rate:.3e}"}
            )
            if self._board:
                self._board.add_scalar("loss", mean, step)
            self._losses = []

    def validation(self, step: int, figures: Mapping[str, float], shown: NDArray[np.uint8] | None) -> None:
        """Write one row of figures and the picture ``predictions/step_NNNNNN.png``."""
        row = {"step": step, **{name: round(value, 4) for name, value in figures.items()}}
        _append(self._folder / "validation.csv", row)
        if shown is not None:
            (self._folder / "predictions").mkdir(exist_ok=True)
            Image.fromarray(shown).save(self._folder / "predictions" / f"step_{step:06d}.png")
        if self._board:
            for name, value in figures.items():
                self._board.add_scalar(f"validation/{name}", value, step)
            if shown is not None:
                self._board.add_image("prediction", shown, step, dataformats="HWC")
            self._board.flush()


def _board(folder: Path) -> Any:
    """Return TensorBoard's writer, or None where it is not installed: the CSV files have the same content."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter  # not at the top: an optional package

    return SummaryWriter(str(folder / "tensorboard"))


def _append(file: Path, row: Mapping[str, object]) -> None:
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _cut(file: Path, last_step: int) -> None:
    """Remove the rows of steps after ``last_step``."""
    if not file.exists():
        return
    with file.open(newline="", encoding="utf-8") as rows:
        reader = csv.DictReader(rows)
        names, kept = list(reader.fieldnames or ()), [row for row in reader if int(row["step"]) <= last_step]
    with atomic_file(file) as part, part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(kept)
