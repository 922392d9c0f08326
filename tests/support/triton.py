"""A real Triton server for tests, with the models a test asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference.embedded import EmbeddedTriton
from tests.support.models import MOODY as MOODY

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = REPOSITORY / ".venv-triton"
KNOWN_TENSOR = REPOSITORY / "model_repository" / "known_tensor"
HN_OAR = REPOSITORY / "model_repository" / "hn_oar"


def triton_server(folder: Path, *models: Path, extra_arguments: tuple[str, ...] = ()) -> EmbeddedTriton:
    """A server, not started, with these model folders; everything it makes lies in ``folder``."""
    if not ENVIRONMENT.is_dir():
        pytest.skip(f"{ENVIRONMENT} is missing: make triton")
    repository = folder / "models"
    repository.mkdir(parents=True, exist_ok=True)
    for model in models:
        (repository / model.name).symlink_to(model)
    return EmbeddedTriton(
        python_environment=ENVIRONMENT,
        model_repository=repository,
        working_directory=folder / "triton",
        extra_arguments=extra_arguments,
    )


@contextmanager
def running_triton(folder: Path, *models: Path) -> Iterator[EmbeddedTriton]:
    """Such a server, ready."""
    with triton_server(folder, *models) as server:
        yield server
