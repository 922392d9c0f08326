"""The node's roles as separate processes: forked from a parent that has imported them, or started as commands."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from inference.child_process import die_with_parent
from service.cli.roles import run_role
from service.config import Settings, load_settings
from service.supervise import role_command

_REPOSITORY = Path(__file__).resolve().parents[1]
_STOP_S = 30.0


def forking_context() -> ForkServerContext:
    """Return a context whose processes start in 20 ms, because their parent has already imported the libraries."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.roles", "reliability.role_libraries"])
    return context


class RoleProcess:
    """One process of one role, in its own process group; its log is appended to a file."""

    def __init__(
        self,
        role: str,
        settings_file: Path,
        log_file: Path,
        *,
        by_command: bool = False,
        run: Callable[[Settings], int] | None = None,
    ) -> None:
        """Start it.

        ``by_command``: as `contour-node ROLE`, a second slower. ``run``: what to run in place of the role.
        """
        self.role = role
        self.started_at = time.monotonic()
        self._process: BaseProcess | subprocess.Popen[bytes]
        if by_command:
            with log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    role_command((role,), settings_file),
                    cwd=_REPOSITORY,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )
        else:
            self._process = forking_context().Process(
                target=_run_role, args=(role, settings_file, log_file, run), daemon=True
            )
            self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def is_alive(self) -> bool:
        """Tell whether it is running."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll() is None
        return self._process.is_alive()

    def exit_code(self) -> int | None:
        """Return its exit code; None while it is running."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it with `kill -9`, and wait until it is gone."""
        self._process.kill()
        self._wait()

    def stop(self) -> int | None:
        """Send SIGTERM, and return the exit code that it ends with."""
        self._process.terminate()
        self._wait()
        return self.exit_code()

    def freeze(self) -> None:
        """Send SIGSTOP: it exists, but does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _wait(self) -> None:
        if isinstance(self._process, subprocess.Popen):
            self._process.wait(_STOP_S)
        else:
            self._process.join(_STOP_S)
        if self.is_alive():
            raise RuntimeError(f"{self.role} (process {self.pid}) did not end within {_STOP_S:g} s")


def _run_role(role: str, settings_file: Path, log_file: Path, run: Callable[[Settings], int] | None) -> None:
    """Do what `contour-node ROLE` does, in the new process."""
    os.setpgid(0, 0)
    die_with_parent()
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    settings = load_settings(settings_file, {})
    sys.exit(run_role(role, settings) if run is None else run(settings))
