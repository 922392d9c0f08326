"""The node's services as docker-compose.yml runs them: as nobody special, on a file system that cannot be written.

Without a container engine: the namespaces, mounts and rights are the kernel's own, the programs are this machine's and
not the image's (deploy/README.md tells what else was run). The database is SQLite on the volume, and there is no model
server.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from phantoms.dicom import ct_files
from service.config import Settings, load_settings
from tests.support.container import HOME, REPOSITORY, Container, Pod, missing, running_pod, services
from tests.support.node import until
from tests.support.small_node import small_volume

pytestmark = [pytest.mark.network, pytest.mark.skipif(bool(missing()), reason=f"no containers: {missing()}")]

STORE = "/var/lib/contour-node"
ROLES = (
    "receive",
    "assemble",
    "monitor",
)  # the light ones: all share one image, user and mounts (test_compose.py)
EROFS = 30

# A scanner: sends the files to the port, one association, and fails unless each is answered with success.
SCANNER = """
import sys
from pydicom import dcmread
from pynetdicom import AE
images = [dcmread(name) for name in sys.argv[3:]]
entity = AE("SCANNER")
entity.add_requested_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)
association = entity.associate("127.0.0.1", int(sys.argv[1]), ae_title=sys.argv[2])
answers = [association.send_c_store(image).Status for image in images] if association.is_established else [-1]
association.release()
sys.exit(str(answers) if any(answers) else 0)
"""

# Tries to write in each folder; prints the error number (0: written) for each.
WRITER = """
import json, pathlib, sys
found = {}
for folder in sys.argv[1:]:
    try:
        file = pathlib.Path(folder, "probe")
        file.touch()
        file.unlink()
        found[folder] = 0
    except OSError as error:
        found[folder] = error.errno
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(REPOSITORY / "deploy/settings.docker.toml", {})


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    url = f"sqlite:///{STORE}/contour-node.sqlite"
    environment = {
        "CONTOUR_NODE_DATABASE__URL": url,
        "CONTOUR_NODE_ASSEMBLE__QUIET_S": "1",
    }
    with running_pod(tmp_path_factory.mktemp("pod"), environment) as pod:
        yield pod


@pytest.fixture(scope="module")
def node(pod: Pod) -> dict[str, Container]:
    """The roles, with the database made first, as docker-compose.yml orders it."""
    migrate = pod.start(services()["migrate"])
    assert migrate.wait() == 0, migrate.log.read_text()
    return {role: pod.start(services()[role]) for role in ROLES}


# The node's own page; it is 503 here, for not every role runs.
PAGE = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/health/ready")
print(connection.getresponse().read().decode())
"""


def working_parts(node: dict[str, Container], settings: Settings) -> set[str]:
    """What works, as the role monitor sees it."""
    for container in node.values():
        assert container.process.poll() is None, container.log.read_text()
    page = node["monitor"].run("python", "-c", PAGE, str(settings.monitor.port))
    if page.returncode != 0:
        return set()
    return {check["name"] for check in json.loads(page.stdout).get("checks", []) if check["ok"]}


@pytest.fixture(scope="module")
def ready(node: dict[str, Container], settings: Settings) -> dict[str, Container]:
    """The node once it says itself that images can be sent to it and that its roles live."""
    needed = {"database", "storage", "receiver", "role receive", "role assemble"}
    until(lambda: needed <= working_parts(node, settings), seconds=120, why=f"all of {needed} work")
    return node


def test_the_health_checks_of_the_containers_find_their_roles(ready: dict[str, Container]) -> None:
    for role in ("receive", "monitor"):
        asked = ready[role].run(*ready[role].service.health_check)
        assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize("role", ROLES)
def test_the_kernel_says_that_a_role_is_nobody_special(ready: dict[str, Container], role: str) -> None:
    service, status = ready[role].service, ready[role].status()
    assert service.uid > 0
    assert status["Uid"].split() == [str(service.uid)] * 4
    assert status["Gid"].split() == [str(service.gid)] * 4
    assert status["Groups"] == ""
    assert {int(status[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("role", ROLES)
def test_the_kernel_says_that_only_the_places_of_the_compose_file_can_be_written(
    ready: dict[str, Container], role: str
) -> None:
    assert ready[role].writable_mounts() == ready[role].service.writable == {"/tmp", STORE}


def test_who_tries_to_write_elsewhere_is_told_that_the_file_system_is_read_only(
    ready: dict[str, Container],
) -> None:
    elsewhere = ("/", "/app", "/app/service", "/etc", "/usr/bin", "/models", HOME, sys.prefix)
    tried = ready["receive"].run("python", "-c", WRITER, *elsewhere, "/tmp", STORE)
    assert json.loads(tried.stdout) == dict.fromkeys(elsewhere, EROFS) | {"/tmp": 0, STORE: 0}


def test_what_a_scanner_sends_is_kept_indexed_and_assembled(
    ready: dict[str, Container], pod: Pod, settings: Settings, tmp_path: Path
) -> None:
    images = ct_files(small_volume())
    files = [tmp_path / f"{number}.dcm" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(image.data)
    words = [str(settings.receive.port), settings.receive.ae_title, *map(str, files)]
    sent = pod.command(sys.executable, "-c", SCANNER, *words)
    assert sent.returncode == 0, sent.stderr + ready["receive"].log.read_text()

    stored = [path for path in pod.volume("store").rglob("*.dcm") if path.is_file()]
    assert len(stored) == len(images)
    assert {path.stat().st_uid for path in stored} == {ready["receive"].service.uid}
    uid = str(dcmread(files[0], specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    job = until(lambda: assembled(ready, uid), seconds=60, why="the series is assembled")
    assert (job["rule"], job["slice_count"]) == (settings.rules[0].name, len(images))
    verified = verb(ready["receive"], "verify", "--all")
    assert verified.returncode == 0, verified.stderr


def verb(container: Container, *words: str) -> subprocess.CompletedProcess[str]:
    return container.run("contour-node", *words, "--json", "--settings", "/etc/contour-node/settings.toml")


def assembled(node: dict[str, Container], series_uid: str) -> dict[str, Any] | None:
    listed = verb(node["assemble"], "jobs")
    assert listed.returncode == 0, listed.stderr
    (job,) = json.loads(listed.stdout)
    assert job["series_uid"] == series_uid
    return None if job["state"] == "receiving" else job


def test_without_its_volume_a_service_says_where_it_cannot_write(pod: Pod) -> None:
    homeless = replace(services()["migrate"], name="homeless", volumes=[])
    container = pod.start(homeless)
    assert container.wait() == 1
    said = container.log.read_text()
    assert STORE in said
    assert "Read-only file system" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("role", ROLES)
def test_a_role_ends_in_order_when_its_container_is_stopped(ready: dict[str, Container], role: str) -> None:
    ready[role].process.terminate()
    assert ready[role].wait() == 0, ready[role].log.read_text()
    assert "Traceback" not in ready[role].log.read_text()
