"""A running node, a TPS, and small phantom series to send."""

from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest

from imaging.ct.series import SourceFile
from imaging.volumes.volume import Masks
from inference.ports import free_port
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from phantoms.head_neck import head_neck_grid, make_head_neck
from phantoms.phantom import Phantom
from tests.support.node import Node, Tps, running_tps, until, write_settings

NUMBERS = count(1)
SMALL = head_neck_grid(spacing_zyx_mm=(3.0, 3.9, 3.9), shape_zyx=(80, 96, 96))


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """The middle-sized patient on a coarse grid."""
    return make_head_neck(grid=SMALL)


@pytest.fixture(scope="session")
def masks(phantom: Phantom) -> Masks:
    return phantom.masks


@pytest.fixture(scope="session")
def series(phantom: Phantom) -> Callable[[str], tuple[SourceFile, ...]]:
    """A CT series of the phantom; another patient id makes another series."""

    def make(patient_id: str) -> tuple[SourceFile, ...]:
        return ct_files(phantom.volume, CtExport(identity=Identity(patient_id=patient_id)))

    return make


@pytest.fixture(scope="session")
def shared_tps() -> Iterator[Tps]:
    with running_tps() as tps:
        yield tps


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory, shared_tps: Tps) -> Iterator[Node]:
    """A whole node on SQLite: one for the tests of a file, for its Triton server takes long to start.

    It ends with the file: a node that only waits takes a fifth of a core, for it polls ten times a second here.
    """
    node = write_settings(tmp_path_factory.mktemp("node"), tps_port=shared_tps.port, port=free_port())
    node.start()
    yield node
    node.stop()


@pytest.fixture
def tps(shared_tps: Tps) -> Tps:
    """The TPS, with nothing received so far."""
    shared_tps.forget()
    return shared_tps


@pytest.fixture
def node(shared_node: Node, tps: Tps) -> Node:
    """The node with all of its roles running, whatever the test before did to them."""
    until(shared_node.is_whole, seconds=120, why="every role runs")
    return shared_node


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """An empty database of a real Postgres server."""
    name = f"node_{next(NUMBERS)}"
    with psycopg.connect(
        host=postgres_server, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql+psycopg://postgres@/{name}?host={postgres_server}"
