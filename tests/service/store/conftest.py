from collections.abc import Iterator

import pytest

from service.store import Database, InstanceRecorder
from tests.support.arrivals import Node
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def node(database_url: str, clock: ManualClock) -> Iterator[Node]:
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        yield Node(database=database, clock=clock, recorder=recorder)
    database.close()
