"""The interface as its own description says, by schemathesis: no fault of the node, nothing that is not described."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.application import TokenScope, create_token
from tests.service.web.conftest import ADMIN, Page
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker

pytest.importorskip("schemathesis")
pytestmark = [
    pytest.mark.network,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
NEVER_ENDS, CALLS_A_PEER = "/api/v1/events", "/api/v1/destinations/{name}/echo"


def test_every_route_answers_as_it_is_described(served: tuple[Page, str], tmp_path: Path) -> None:
    page, address = served
    for sender in range(3):
        page.node.receive(calling=f"SENDER{sender}")
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    assert worker(page.node, Server(brainstem_and_larynx)).work_one()
    token = create_token(page.parts.database, ADMIN, "fuzz", list(TokenScope), days=1).secret
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/openapi.json"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--checks", "all"),
            # An order that fits the description may still be refused: the job's state decides.
            *("--exclude-checks", "positive_data_acceptance"),
            *("--exclude-path", NEVER_ENDS, "--exclude-path", CALLS_A_PEER),
            *("--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "1"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,  # where it keeps what it found
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "Tested: 33" in run.stdout
