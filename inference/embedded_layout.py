"""Where the parts of the nvidia-pytriton wheel are, and the folders and environment that its server needs."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import inference
from inference.errors import ServerNotStarted

_PROBE = """
import ctypes, json, pathlib, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
library = "libpython%s.so.1.0" % version
config = sysconfig.get_config_vars()
places = [config.get("LIBDIR") or "", "%s/%s" % (config.get("LIBDIR"), config.get("MULTIARCH")), sys.base_prefix + "/lib"]
found = [place for place in places if (pathlib.Path(place) / library).is_file()]
if not found:
    try:
        ctypes.CDLL(library)
    except OSError:
        found = None
print(json.dumps({"version": version, "packages": sysconfig.get_path("purelib"),
                  "library": library, "library_places": found}))
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to start the server: the command with its environment, and the backends' folder."""

    command: tuple[str, ...]
    backends: Path


def lay_out(python_environment: Path, working_directory: Path) -> Layout:
    """Create the backend folder in the working directory, again if need be.

    The backend's interpreter ignores PYTHONPATH; it takes its packages from the environment whose ``python3`` is
    first in PATH, and it has the backend's own folder on its import path. Models import only ``inference`` of the
    project: a link to that package alone is put there, not to the folder that contains it, where the node's own
    numpy may be too. Raises ServerNotStarted where the environment lacks something.
    """
    python = python_environment / "bin" / "python"
    if not python.exists():
        raise ServerNotStarted(
            f"{python}: no such interpreter; `contour-node setup` makes this environment, in a checkout `make triton`"
        )
    facts = _probe(python)
    packages = Path(facts["packages"])
    server = packages / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / facts["version"] / "triton_python_backend_stub"
    for needed in (server / "bin" / "tritonserver", stub):
        if not needed.is_file():
            raise ServerNotStarted(f"{needed} is missing: install nvidia-pytriton into {python_environment}")
    directory = working_directory.resolve()
    backends = _backends(directory / "backends", server, stub)
    libraries = [str(packages / "nvidia_pytriton.libs"), *facts["library_places"]]
    command = (
        "/usr/bin/env",
        f"LD_LIBRARY_PATH={':'.join(libraries)}",
        f"PATH={python.parent.absolute()}:{os.defpath}",
        "OMP_WAIT_POLICY=passive",  # waiting threads leave the processor to the node
        str(server / "bin" / "tritonserver"),
    )
    return Layout(command=command, backends=backends)


def _probe(python: Path) -> dict[str, str]:
    ran = subprocess.run([python, "-I", "-c", _PROBE], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ServerNotStarted(f"{python} does not run: {ran.stderr.strip()}")
    facts: dict[str, str] = json.loads(ran.stdout)
    if facts["library_places"] is None:
        raise ServerNotStarted(
            f"{facts['library']} is missing: Triton's python backend needs Python as a shared library "
            f"(Debian and Ubuntu: apt install libpython{facts['version']})"
        )
    return facts


def expect_shared_library(python: Path) -> None:
    """Check that an interpreter can serve models; ServerNotStarted where its shared library is missing."""
    _probe(python)


def _backends(folder: Path, server: Path, stub: Path) -> Path:
    for source in (*(server / "backends" / "python").iterdir(), stub):
        if source.is_file():
            _link(folder / "python" / source.name, source)
    _link(folder / "python" / "inference", Path(inference.__file__).resolve().parent)
    return folder


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
    link.symlink_to(target)
