"""A real Triton server as a child process: the binary, libraries and python backend of the nvidia-pytriton wheel."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from inference.child_process import children_of, die_with_parent, is_running
from inference.client import TritonClient
from inference.embedded_layout import Layout, lay_out
from inference.errors import ServerNotStarted
from inference.ports import free_port
from inference.self_test import MODEL as SELF_TEST

_LOOPBACK = "127.0.0.1"
_POLL_S = 0.1
_LOG_LINES = 25
_HANDOVER_S = 15.0


@dataclass(kw_only=True)
class _Running:
    process: subprocess.Popen[bytes]
    port: int
    lock: IO[str]
    models: frozenset[int] = frozenset()


class EmbeddedTriton:
    """One server with one model repository, on loopback, for as long as this process lives.

    The server gets SIGTERM from the kernel when its parent ends, kill -9 included. Its log is ``triton.log`` in the
    working directory, which belongs to one server at a time.
    """

    def __init__(
        self,
        *,
        python_environment: Path,
        model_repository: Path,
        working_directory: Path,
        grpc_port: int = 0,
        start_timeout_s: float = 120.0,
        extra_arguments: tuple[str, ...] = (),
    ) -> None:
        """``python_environment`` is a virtual environment with nvidia-pytriton and numpy<2; port 0 is any free one."""
        self._environment = python_environment
        self._repository = model_repository
        self._directory = working_directory
        self._wanted_port = grpc_port
        self._start_timeout_s = start_timeout_s
        self._extra_arguments = extra_arguments
        self._running: _Running | None = None

    @property
    def log_file(self) -> Path:
        """Where the server and its models write."""
        return self._directory / "triton.log"

    @property
    def url(self) -> str:
        """host:port of gRPC; ServerNotStarted before start()."""
        return f"{_LOOPBACK}:{self._started().port}"

    @property
    def process_id(self) -> int:
        """The server's own; its models run in children of it."""
        return self._started().process.pid

    def alive(self) -> bool:
        """Whether the server runs and, once it was ready, the self-test's process does.

        The server does not start a model's process again that was killed. A contouring model's is loaded again by
        the client that finds it dead; for the self-test's, stop() and start() do it.
        """
        if self._running is None or self._running.process.poll() is not None:
            return False
        return self._running.models <= children_of(self._running.process.pid)

    def __enter__(self) -> Self:
        """Start and wait until ready."""
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the process; call from the main thread, because Linux ends the child with the thread that started it.

        Raises ServerNotStarted where the environment is incomplete or another server has the working directory.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("EmbeddedTriton.start() belongs into the main thread")
        if self._running is not None:
            raise RuntimeError("this EmbeddedTriton was started before; stop() it first")
        if not self._repository.is_dir():
            raise ServerNotStarted(f"the model repository {self._repository} is no folder")
        self._directory.mkdir(parents=True, exist_ok=True)
        lock = self._locked()
        try:
            layout = lay_out(self._environment, self._directory)
            layout.remove_shared_memory()
            port = self._wanted_port or free_port()
            with self.log_file.open("wb") as log:
                process = subprocess.Popen(
                    [*layout.command, *self._arguments(layout, port), *self._extra_arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    pass_fds=(
                        lock.fileno(),
                    ),  # the lock is held until the last process of the server is gone
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            lock.write(str(process.pid))
            lock.flush()
        except BaseException:
            lock.close()
            raise
        self._running = _Running(process=process, port=port, lock=lock)

    def wait_ready(self) -> None:
        """Return when the server answers and the self-test's model is loaded; others are loaded when they are needed.

        Raises ServerNotStarted, with the last lines of the log, where the process ends or the time is over.
        """
        running = self._started()
        process = running.process
        deadline = time.monotonic() + self._start_timeout_s
        with TritonClient(self.url, shared_memory=False, timeout_s=1.0) as client:
            while not client.live():
                if process.poll() is not None:
                    raise ServerNotStarted(self._with_log(f"tritonserver ended with {process.returncode}"))
                if time.monotonic() > deadline:
                    raise ServerNotStarted(
                        self._with_log(f"tritonserver was not ready after {self._start_timeout_s} s")
                    )
                time.sleep(_POLL_S)
        running.models = children_of(process.pid)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the server and its models: SIGTERM, then SIGKILL; nothing to do where none runs."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(timeout_s)
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        running.lock.close()
        lay_out(self._environment, self._directory).remove_shared_memory()

    def _started(self) -> _Running:
        if self._running is None:
            raise ServerNotStarted("the embedded Triton server was not started")
        return self._running

    def _locked(self) -> IO[str]:
        """Return the lock of the working directory; a predecessor whose parent was killed needs a moment to end."""
        lock = (self._directory / "lock").open("a+", encoding="ascii")
        deadline = time.monotonic() + min(_HANDOVER_S, self._start_timeout_s)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                _end_orphans(lock)
                if time.monotonic() > deadline:
                    lock.close()
                    raise ServerNotStarted(
                        f"another embedded Triton server still runs in {self._directory}: end it, or choose another "
                        "working directory"
                    ) from error
                time.sleep(_POLL_S)
            else:
                lock.truncate(0)
                return lock

    def _arguments(self, layout: Layout, port: int) -> list[str]:
        return [
            f"--model-repository={self._repository.resolve()}",
            "--model-control-mode=explicit",
            *self._loaded_at_start(),
            f"--backend-directory={layout.backends}",
            f"--backend-config=python,shm-region-prefix-name={layout.shared_memory_prefix}",
            f"--grpc-address={_LOOPBACK}",
            f"--grpc-port={port}",
            "--allow-http=false",
            "--allow-metrics=false",
            "--exit-timeout-secs=5",
            "--disable-auto-complete-config",
        ]

    def _loaded_at_start(self) -> list[str]:
        """Load the self-test's model at once; a contouring model is loaded when a client first needs it."""
        return [f"--load-model={SELF_TEST}"] if (self._repository / SELF_TEST).is_dir() else []

    def _with_log(self, what: str) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [line for line in lines if line.strip() and line[0] not in "|+"]  # the tables of its settings
        return "\n".join([f"{what}; the end of {self.log_file}:", *lines[-_LOG_LINES:]])


def _end_orphans(lock: IO[str]) -> None:
    """End models that go on computing although the server that the lock names is gone."""
    lock.seek(0)
    server = lock.read()
    if server.isdigit() and not is_running(int(server)):
        with suppress(ProcessLookupError):
            os.killpg(int(server), signal.SIGKILL)
