"""The node's roles as processes of their own: forked from a parent that has imported them, or by the command line."""

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
    """Return a context whose processes begin in 20 ms: their parent has already imported the libraries."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.roles", "reliability.role_libraries"])
    return context


class RoleProcess:
    """One process of one role, in a process group of its own; its log is appended to a file."""

    def __init__(
        self,
        role: str,
        settings_file: Path,
        log_file: Path,
        *,
        by_command: bool = False,
        run: Callable[[Settings], int] | None = None,
    ) -> None:
        """``by_command``: as `contour-node ROLE` starts it, a second slower. ``run``.

        Something else in the role's place.
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
        """Whether it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll() is None
        return self._process.is_alive()

    def exit_code(self) -> int | None:
        """None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self._wait()

    def stop(self) -> int | None:
        """SIGTERM, and the exit code it ends with."""
        self._process.terminate()
        self._wait()
        return self.exit_code()

    def freeze(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _wait(self) -> None:
        if isinstance(self._process, subprocess.Popen):
            self._process.wait(_STOP_S)
        else:
            self._process.join(_STOP_S)
        if self.is_alive():
            raise RuntimeError(f"{self.role} (process {self.pid}) did not end within {_STOP_S:g} s")


def _run_role(role: str, settings_file: Path, log_file: Path, run: Callable[[Settings], int] | None) -> None:
    """In the new process: what `contour-node ROLE` does."""
    os.setpgid(0, 0)
    die_with_parent()
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    settings = load_settings(settings_file, {})
    sys.exit(run_role(role, settings) if run is None else run(settings))
