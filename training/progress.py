"""Progress for people: a bar with the time left on a terminal, lines elsewhere."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

_LOSS_MEMORY = 0.95


class Progress(Protocol):
    """What the loop reports."""

    def advance(self, loss: float) -> None:
        """Count one step."""

    def said(self, figures: Mapping[str, float]) -> None:
        """Report a validation."""


class ShowProgress(Protocol):
    """Opens a display of a run's progress."""

    def __call__(self, *, total: int, done: int) -> AbstractContextManager[Progress]:
        """Start at ``done`` of ``total`` steps."""


class _Silent:
    def advance(self, loss: float) -> None:
        pass

    def said(self, figures: Mapping[str, float]) -> None:
        pass


@contextmanager
def silent(*, total: int, done: int) -> Iterator[Progress]:  # noqa: ARG001 # the signature is that of `shown`
    """Show no progress."""
    yield _Silent()


class _Shown:
    def __init__(self, bar: RichProgress, console: Console, total: int, done: int) -> None:
        self._bar, self._console = bar, console
        self._task = bar.add_task("training", total=total, completed=done, loss="")
        self._mean: float | None = None

    def advance(self, loss: float) -> None:
        self._mean = loss if self._mean is None else _LOSS_MEMORY * self._mean + (1 - _LOSS_MEMORY) * loss
        self._bar.update(self._task, advance=1, loss=f"loss {self._mean:.4f}")

    def said(self, figures: Mapping[str, float]) -> None:
        task = self._bar.tasks[0]
        values = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        left = task.time_remaining
        remaining = "" if left is None else f", about {left / 60:.0f} min left"
        self._console.print(f"step {task.completed:.0f} of {task.total:.0f}{remaining}: {values}")


@contextmanager
def shown(*, total: int, done: int) -> Iterator[Progress]:
    """Show a bar on standard error with steps, time spent and time left; every validation is a separate line."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with RichProgress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield _Shown(bar, console, total, done)
