"""A real Triton server for the tests of this room."""

from collections.abc import Iterator

import pytest

from inference.embedded import EmbeddedTriton
from tests.support.triton import KNOWN_TENSOR, MOODY, running_triton


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    """A server with the known tensor and a model that does what the CT says; shared, so never harm it."""
    with running_triton(tmp_path_factory.mktemp("triton"), KNOWN_TENSOR, MOODY) as server:
        yield server
