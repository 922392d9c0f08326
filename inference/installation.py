"""Installs the Python environment of the embedded server, and verifies that a server runs from it."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from inference.client import TritonClient
from inference.embedded import EmbeddedTriton
from inference.embedded_layout import expect_shared_library
from inference.errors import ServerNotStarted
from inference.self_test import MODEL as SELF_TEST

INSTALLED = ".installed"
"""The file that marks an environment as complete; `make triton` writes the same one."""
TORCH = "torch==2.13.0"


def install_server(environment: Path, requirements: Path, *, python: str, say: Callable[[str], None]) -> bool:
    """Create the environment if it is not complete; return whether it was created.

    Every user may read it, because root installs it and the service runs as another user.

    Raises ServerNotStarted with what is missing, or the last lines of pip's output.
    """
    if (environment / INSTALLED).exists():
        let_everybody_read(environment)
        return False
    say(
        f"making {environment} (about 0.5 GB to fetch, 1.5 GB on disk; 3 GB more where torch comes with CUDA)"
    )
    interpreter = environment / "bin" / "python"
    _run(
        [python or sys.executable, "-m", "venv", str(environment)],
        "Debian and Ubuntu: apt install python3-venv",
    )
    expect_shared_library(interpreter)
    pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    _run([*pip, TORCH], "the package index has to be reachable")
    _run([*pip, "-r", str(requirements)], "the package index has to be reachable")
    (environment / INSTALLED).touch()
    let_everybody_read(environment)
    return True


def let_everybody_read(environment: Path) -> None:
    """Make a folder of programs, and its parents up to the installation's, readable for all, whatever the umask.

    It contains no patient data. Files of other users stay as they are.
    """
    above = [one for one in environment.absolute().parents if one.is_relative_to(sys.prefix)]
    for path in (*above, environment, *environment.rglob("*")):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
            continue
        is_for_all = stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_IXUSR
        path.chmod(stat.S_IMODE(found.st_mode) | (0o055 if is_for_all else 0o044))


def prove_server(environment: Path, model_repository: Path) -> None:
    """Start a server from an environment and check a known tensor; raises ServerNotStarted or ModelFailed."""
    with (
        tempfile.TemporaryDirectory(prefix="contour-node-") as folder,
        EmbeddedTriton(
            python_environment=environment,
            model_repository=model_repository,
            working_directory=Path(folder) / SELF_TEST,
        ) as server,
        TritonClient(server.url, shared_memory=True, timeout_s=60) as client,
    ):
        client.check()


def _run(command: list[str], remedy: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ServerNotStarted(f"{command[0]} does not run: {error.strerror}") from error
    if ran.returncode != 0:
        end = "\n".join((ran.stderr or ran.stdout).strip().splitlines()[-5:])
        raise ServerNotStarted(f"`{' '.join(command)}` failed ({remedy}):\n{end}")
