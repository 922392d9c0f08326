"""The verb `train`: run the package training in a separate process, since the node's processes do without torch."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from service.cli.output import warn

_NEEDED = ("training", "torch", "safetensors", "SimpleITK", "statsmodels")


def run(arguments: argparse.Namespace) -> int:
    """Pass the rest of the command line to `python -m training`; return its exit code."""
    return hand_over([word for k, word in enumerate(arguments.rest) if k or word != "--"])


def hand_over(words: Sequence[str]) -> int:
    """Run `python -m training` with these arguments; return 1 with a message if training is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        warn(
            f"contour-node: training needs {', '.join(missing)}, not installed: pip install 'contour-node[training]'"
        )
        return 1
    process = subprocess.Popen([sys.executable, "-m", "training", *words])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal interrupts the child too, which ends cleanly
            continue
