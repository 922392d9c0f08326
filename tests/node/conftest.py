"""A running node, a TPS, and small phantom series to send."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imaging.ct import SourceFile
from imaging.volume import Masks
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from phantoms.head_neck import head_neck_grid, make_head_neck
from phantoms.phantom import Phantom
from tests.support.node import Node, Tps, running_tps, write_settings

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


@pytest.fixture
def tps() -> Iterator[Tps]:
    with running_tps() as tps:
        yield tps


@pytest.fixture
def node(tmp_path: Path, tps: Tps) -> Iterator[Node]:
    """A whole node on SQLite that is running."""
    node = write_settings(tmp_path, tps_port=tps.port, ports=free_ports())
    node.start()
    yield node
    node.stop()


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
