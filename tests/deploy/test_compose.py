"""The container files against the settings, the command line and the packages they speak of."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.main import _parser
from service.config import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("receive", "assemble", "work", "send", "retention", "monitor")
PASSWORD_URL = "postgresql+psycopg://contour:secret@postgres:5432/contour"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(ROOT / "deploy/settings.docker.toml", {"CONTOUR_NODE_DATABASE__URL": PASSWORD_URL})


def test_every_role_is_a_service_whose_command_the_command_line_knows(compose: dict[str, Any]) -> None:
    for role in (*ROLES, "migrate", "forward-audit"):
        command = compose["services"][role]["command"]
        parsed = _parser().parse_args(command)
        assert parsed.name == role
        assert str(parsed.settings) == "/etc/contour-node/settings.toml"


def test_the_settings_file_is_mounted_where_the_commands_read_it(compose: dict[str, Any]) -> None:
    for role in ROLES:
        mounts = compose["services"][role]["volumes"]
        assert "./deploy/settings.docker.toml:/etc/contour-node/settings.toml:ro" in mounts


def test_the_environment_sets_a_key_that_exists_and_names_the_database_service(
    compose: dict[str, Any], settings: Settings
) -> None:
    environment = compose["services"]["receive"]["environment"]
    (variable,) = environment
    url = environment[variable].replace("${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD in .env}", "secret")
    assert (variable, url) == ("CONTOUR_NODE_DATABASE__URL", PASSWORD_URL)
    assert settings.database_url == url
    postgres = compose["services"]["postgres"]["environment"]
    assert (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]) == ("contour", "contour")


def test_the_published_port_is_the_one_the_node_listens_on(
    compose: dict[str, Any], settings: Settings
) -> None:
    assert compose["services"]["receive"]["ports"] == [f"{settings.receive.port}:{settings.receive.port}"]
    assert settings.receive.host == "0.0.0.0"
    assert f"EXPOSE {settings.receive.port}" in (ROOT / "deploy/node/Dockerfile").read_text()


def test_the_destination_is_the_orthanc_of_the_same_file(compose: dict[str, Any], settings: Settings) -> None:
    tps, orthanc = (
        settings.destinations["tps"],
        json.loads((ROOT / "deploy/orthanc/orthanc.json").read_text()),
    )
    assert tps.host in compose["services"]
    assert (tps.ae_title, tps.port) == (orthanc["DicomAet"], orthanc["DicomPort"])
    aet, host, port = orthanc["DicomModalities"]["node"]
    assert (aet, port) == (settings.receive.ae_title, settings.receive.port)
    assert host in compose["services"]


def test_triton_serves_the_repository_the_node_reads_and_by_grpc(
    compose: dict[str, Any], settings: Settings
) -> None:
    host, port = settings.triton.url.split(":")
    assert (host in compose["services"], port) == (True, "8001")
    assert settings.triton.embedded is False
    assert settings.triton.shared_memory is False
    for service in ("work", "triton"):
        assert "./model_repository:/models:ro" in compose["services"][service]["volumes"]
    assert settings.triton.model_repository == Path("/models")
    assert "--model-repository=/models" in (ROOT / "deploy/triton/Dockerfile").read_text()
    for rule in settings.rules:
        assert (ROOT / "model_repository" / rule.model / "1" / "contract.json").exists()


def test_triton_has_numpy_below_2_in_the_one_list_that_both_of_its_environments_install() -> None:
    requirements = (ROOT / "deploy/triton/requirements.txt").read_text()
    assert re.search(r"^numpy<2$", requirements, re.MULTILINE)
    assert "COPY deploy/triton/requirements.txt" in (ROOT / "deploy/triton/Dockerfile").read_text()
    assert "-r deploy/triton/requirements.txt" in (ROOT / "Makefile").read_text()


def test_what_runs_in_triton_imports_no_room_that_its_image_lacks() -> None:
    program = "import sys, inference.server.runtimes.catalogue, inference.contract; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rooms = {name.split(".")[0] for name in loaded.stdout.split()}
    assert rooms.isdisjoint({"imaging", "service", "phantoms", "pydicom", "tritonclient"})
    assert (
        "COPY inference /opt/tritonserver/backends/python/inference"
        in (ROOT / "deploy/triton/Dockerfile").read_text()
    )


# What Python 3.11 and 3.12 added to modules of 3.10.
NEWER = {
    "typing": {
        "Self",
        "Never",
        "LiteralString",
        "Required",
        "NotRequired",
        "Unpack",
        "assert_never",
        "override",
    },
    "enum": {"StrEnum", "verify"},
    "datetime": {"UTC"},
    "itertools": {"batched"},
    "tomllib": {"load", "loads"},
}


def newer_than_python_3_10(source: str) -> list[str]:
    """Names that Python 3.10 cannot import; a SyntaxError where it cannot read the source at all."""
    imports = [
        n for n in ast.walk(ast.parse(source, feature_version=(3, 10))) if isinstance(n, ast.ImportFrom)
    ]
    names = [(node.module or "", alias.name) for node in imports for alias in node.names]
    return [f"{module}.{name}" for module, name in names if name in NEWER.get(module, ())]


def test_what_runs_in_triton_runs_on_the_python_of_its_image() -> None:
    """NVIDIA's image up to 24.10 has Python 3.10; the embedded server has the one of its environment."""
    ours = [*(ROOT / "inference/server").rglob("*.py"), *(ROOT / "model_repository").rglob("*.py")]
    ours += [ROOT / "inference" / name for name in ("__init__.py", "errors.py", "postprocess.py")]
    ours += (ROOT / "inference/contract").rglob("*.py")
    assert {str(path): newer_than_python_3_10(path.read_text()) for path in ours} == {
        str(path): [] for path in ours
    }
    assert newer_than_python_3_10("from typing import Annotated, Self") == ["typing.Self"]


def test_the_node_image_has_the_rooms_the_node_imports_and_no_torch() -> None:
    image = (ROOT / "deploy/node/Dockerfile").read_text()
    for room in ("imaging", "inference", "phantoms", "service"):
        assert f"COPY {room} {room}" in image
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [name for name in project["dependencies"] if name.startswith("torch")]


def test_the_node_runs_as_nobody_special_on_a_read_only_file_system(compose: dict[str, Any]) -> None:
    assert re.search(r"^USER 10001:10001$", (ROOT / "deploy/node/Dockerfile").read_text(), re.MULTILINE)
    for name, service in compose["services"].items():
        if str(service["image"]).startswith("contour-node:"):
            assert (service["read_only"], service["user"]) == (True, "10001:10001"), name
            assert service["cap_drop"] == ["ALL"], name
            assert all("noexec" in mount for mount in service["tmpfs"]), name
            writable = [mount for mount in service["volumes"] if not mount.endswith(":ro")]
            assert writable == ["store:/var/lib/contour-node"], name
            assert "privileged" not in service, name


def test_nothing_that_holds_data_can_gain_privileges(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "orthanc":  # plays the TPS, holds nothing
            assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_secret_stands_in_a_file() -> None:
    for file in ("docker-compose.yml", "deploy/settings.docker.toml", "deploy/node/Dockerfile"):
        assert "secret" not in (ROOT / file).read_text()


def test_every_volume_and_dependency_that_is_named_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), mount
        for other in service.get("depends_on", {}):
            assert other in compose["services"]
