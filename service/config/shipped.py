"""What comes with the program: the models and the files of deploy/; and where the model server's environment belongs.

A wheel has them inside the package; in a checkout they are where developers edit them.
"""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CARRIED = _PACKAGE / "shipped"


def shipped(name: str) -> Path:
    """Return the place of a shipped folder or file, by its path in the checkout."""
    return (_CARRIED if _CARRIED.is_dir() else _PACKAGE.parent) / name


def shipped_models() -> Path:
    """Return the model repository that came with the program."""
    return shipped("model_repository")


def triton_environment() -> Path:
    """Return the folder in which `contour-node setup` makes the Python environment of the embedded model server.

    It belongs to this installation of the program, whoever runs it and from wherever; an upgrade keeps it.
    """
    if _CARRIED.is_dir():
        return Path(sys.prefix) / "share" / "contour-node" / "triton"
    return _PACKAGE.parent / ".venv-triton"
