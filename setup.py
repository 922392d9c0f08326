"""Puts the models and the files of deploy/ into the wheel, so that it is enough.

Everything else is in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = ("model_repository", "deploy")
ROOT = Path(__file__).parent


class BuildWithModels(build_py):
    """Copies the folders to ``service/shipped``, where service/config/shipped.py looks for them."""

    def run(self) -> None:
        """Build the packages, then add the folders; an editable install takes those of the checkout."""
        super().run()
        if self.editable_mode:
            return
        for name in CARRIED:
            target = Path(self.build_lib) / "service" / "shipped" / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))


setup(cmdclass={"build_py": BuildWithModels})
