"""Nobody but the node's user can read or write a volume or call the embedded server; nothing of it outlives a death."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imaging.volumes.volume import Volume
from inference.child_process import children_of
from inference.client import TritonClient
from inference.embedded import EmbeddedTriton
from inference.errors import AnswerLost, ModelFailed, ServerNotStarted
from inference.input_checksum import input_sha256
from inference.shared_memory_files import FOLDER
from inference.shared_region import SharedRegion, remove_leftovers
from tests.inference.test_embedded import PARENT, gone
from tests.support.models import moody_contract
from tests.support.second_user import READABLE_OR_WRITABLE, open_folder, second_user
from tests.support.triton import KNOWN_TENSOR, MOODY, REPOSITORY, running_triton, triton_server
from tests.support.volumes import air, volume

pytestmark = [pytest.mark.triton, pytest.mark.network]
SLEEP, OTHER_VOLUME = 2001, 2006

CALL = """
import os, socket, sys
try:
    print("listed", os.listdir(sys.argv[1]))
except OSError:
    pass
with socket.socket(socket.AF_UNIX) as caller:
    try:
        caller.connect(sys.argv[1] + "/grpc:8001")
        print("called")
    except OSError:
        pass
"""


@pytest.fixture
def server() -> Iterator[EmbeddedTriton]:
    with open_folder() as folder, running_triton(folder, KNOWN_TENSOR, MOODY) as server:
        yield server


def in_mood(mood: int, spacing_z_mm: float = 2.5) -> Volume:
    array = air((20, 61, 73))
    array[0, 0, 0] = mood
    return volume(array, (spacing_z_mm, 0.9, 1.1))


def seen_by_another() -> str:
    return second_user(READABLE_OR_WRITABLE, FOLDER, "contour-*")


def test_another_user_reads_and_writes_no_volume_during_a_job_and_after_it(server: EmbeddedTriton) -> None:
    with TritonClient(server.url, shared_memory=True, timeout_s=30) as client:
        job = threading.Thread(target=client.infer, args=(moody_contract(), in_mood(SLEEP, spacing_z_mm=4.0)))
        client.models.make_ready(moody_contract())
        job.start()
        during = seen_by_another()
        assert any(FOLDER.glob("contour-node-*")), "the volume was there to be read"
        job.join()
    assert any(FOLDER.glob("contour-triton-*"))
    assert (during, seen_by_another()) == ("", "")


def test_another_user_cannot_call_the_server(server: EmbeddedTriton) -> None:
    assert second_user(CALL, server.url.removeprefix("unix:").rpartition("/")[0]) == ""
    sockets = subprocess.run(["ss", "-tlnpH"], capture_output=True, text=True, check=False).stdout
    assert f"pid={server.process_id}," not in sockets


def test_a_folder_of_another_user_is_not_served_from() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    with open_folder() as folder:
        (folder / "triton").mkdir()
        os.chown(folder / "triton", 64321, 64321)
        with pytest.raises(ServerNotStarted, match="belongs to user 64321"):
            triton_server(folder, KNOWN_TENSOR).start()


def test_an_answer_about_another_volume_is_discarded(server: EmbeddedTriton) -> None:
    for shared_memory in (True, False):
        with (
            TritonClient(server.url, shared_memory=shared_memory, timeout_s=30) as client,
            pytest.raises(ModelFailed, match="contoured a volume other than the one"),
        ):
            client.infer(moody_contract(), in_mood(OTHER_VOLUME))


def test_the_checksum_is_of_values_type_shape_and_spacing() -> None:
    image, spacing = np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.array([3, 1, 1], np.float32)
    changed = image.copy()
    changed[1, 2, 3] += 1
    others = ((changed, spacing), (image.reshape(3, 2, 4), spacing), (image.astype(np.uint16), spacing))
    sums = {input_sha256(*one).tobytes() for one in ((image, spacing), *others, (image, spacing[::-1]))}
    assert len(sums) == 5
    assert np.array_equal(input_sha256(np.ascontiguousarray(image[:, ::-1]), spacing),
                          input_sha256(image[:, ::-1], spacing))  # fmt: skip


def test_a_server_that_dies_with_the_volume_is_told_from_one_that_was_not_there(
    server: EmbeddedTriton,
) -> None:
    with TritonClient(server.url, shared_memory=True, timeout_s=30) as client:
        client.models.make_ready(moody_contract())
        killer = threading.Timer(1.0, os.kill, (server.process_id, signal.SIGKILL))
        killer.start()
        with pytest.raises(AnswerLost):
            client.infer(moody_contract(), in_mood(SLEEP, spacing_z_mm=30.0))


def test_what_a_killed_server_left_is_gone_when_any_other_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, tmp_path / "first"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        regions = set(
            re.findall(f"{FOLDER}/contour-triton-[0-9a-f-]+", Path(f"/proc/{server}/maps").read_text())
        )
        models = children_of(server)
        for process in (parent.pid, server, *models):
            os.kill(process, signal.SIGKILL)
    assert all(gone(process) for process in (server, *models))
    assert regions
    with open_folder() as elsewhere, running_triton(elsewhere, KNOWN_TENSOR):
        assert not [region for region in regions if Path(region).exists()]


def test_a_volume_whose_owner_was_killed_a_moment_ago_is_removed(tmp_path: Path) -> None:
    code = "import time; from inference.shared_region import SharedRegion as R; r = R(4096); print(r.name, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        name = owner.stdout.readline().strip()
        remove_leftovers()
        assert (FOLDER / name).exists(), "its owner lives"
        owner.kill()
    assert name in remove_leftovers()
    with SharedRegion(4096) as mine:
        assert mine.name not in remove_leftovers()


def test_a_path_too_long_for_a_socket_is_reached_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80) / ("e" * 40)
    with (
        running_triton(deep, KNOWN_TENSOR) as server,
        TritonClient(server.url, shared_memory=True, timeout_s=10) as client,
    ):
        assert len(server.url) > 120
        client.check()
