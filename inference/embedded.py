"""A Triton server as a child process: the binary, libraries and python backend of the nvidia-pytriton wheel."""

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

from inference.child_process import children_of, is_running
from inference.client import TritonClient
from inference.embedded_layout import Layout, lay_out
from inference.embedded_memory import ServerMemory
from inference.errors import ServerNotStarted
from inference.local_socket import ARGUMENTS as SOCKET_ARGUMENTS
from inference.local_socket import embedded_url
from inference.private_files import keep_private
from inference.self_test import MODEL as SELF_TEST

_POLL_S = 0.1
_LOG_LINES = 25
_HANDOVER_S = 15.0


@dataclass(kw_only=True)
class _Running:
    process: subprocess.Popen[bytes]
    memory: ServerMemory
    lock: IO[str]
    models: frozenset[int] = frozenset()


class EmbeddedTriton:
    """One server with one model repository, for as long as this process lives, and for this process's user alone.

    It listens on a Unix socket in the working directory, which no other user may enter, and no other user can open its
    shared memory. The kernel sends the server SIGTERM when its parent ends, even by kill -9. Its log is
    ``triton.log`` in the working directory, which belongs to one server at a time.
    """

    def __init__(
        self,
        *,
        python_environment: Path,
        model_repository: Path,
        working_directory: Path,
        start_timeout_s: float = 120.0,
        extra_arguments: tuple[str, ...] = (),
    ) -> None:
        """Prepare a server; ``python_environment`` is a virtual environment with nvidia-pytriton and numpy<2."""
        self._environment = python_environment
        self._repository = model_repository
        self._directory = working_directory
        self._start_timeout_s = start_timeout_s
        self._extra_arguments = extra_arguments
        self._running: _Running | None = None

    @property
    def log_file(self) -> Path:
        """Where the server and its models write."""
        return self._directory / "triton.log"

    @property
    def url(self) -> str:
        """The address of its socket; ServerNotStarted before start()."""
        self._started()
        return embedded_url(self._directory)

    @property
    def process_id(self) -> int:
        """The id of the server's process; its models run in children of it."""
        return self._started().process.pid

    def alive(self) -> bool:
        """Tell whether the server runs and, once it has been ready, the self-test's process too.

        The server does not restart a model's process that was killed. A contouring model is loaded again by
        the client that finds it dead; the self-test needs stop() and start().
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
        """Start the process; call it in the main thread, because Linux ends the child with the thread that started it.

        Raises ServerNotStarted where the environment is incomplete or another server uses the working directory.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("EmbeddedTriton.start() must be called in the main thread")
        if self._running is not None:
            raise RuntimeError("this EmbeddedTriton was started before; stop() it first")
        if not self._repository.is_dir():
            raise ServerNotStarted(f"the model repository {self._repository} is not a folder")
        _make_private(self._directory)
        lock = self._locked()
        try:
            memory = ServerMemory()
        except BaseException:
            lock.close()
            raise
        try:
            process = self._process(lock, memory)
            lock.write(str(process.pid))
            lock.flush()
        except BaseException:
            memory.remove()
            lock.close()
            raise
        self._running = _Running(process=process, memory=memory, lock=lock)

    def _process(self, lock: IO[str], memory: ServerMemory) -> subprocess.Popen[bytes]:
        layout = lay_out(self._environment, self._directory)
        with self.log_file.open("wb") as log:
            return subprocess.Popen(
                [*layout.command, *self._arguments(layout, memory), *self._extra_arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                # held until the server's last process has ended
                pass_fds=(lock.fileno(), memory.descriptor),
                start_new_session=True,
                preexec_fn=keep_private,
            )

    def wait_ready(self) -> None:
        """Wait until the server answers and the self-test's model is loaded; other models are loaded when needed.

        Raises ServerNotStarted, with the last lines of the log, where the process ends or the time runs out.
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
        exposed = running.memory.open_to_others()
        if exposed:
            raise ServerNotStarted(
                f"other users could open the server's shared memory: {', '.join(exposed)}; this system accepts no seccomp "
                "filter, so run Triton in a container of its own (triton.url; docs/security.md)"
            )
        running.models = children_of(process.pid)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the server and its models: SIGTERM, then SIGKILL; do nothing where none runs."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(timeout_s)
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        running.memory.remove()
        running.lock.close()

    def _started(self) -> _Running:
        if self._running is None:
            raise ServerNotStarted("the embedded Triton server was not started")
        return self._running

    def _locked(self) -> IO[str]:
        """Lock the working directory, return the lock; a predecessor whose parent was killed needs a moment to end."""
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

    def _arguments(self, layout: Layout, memory: ServerMemory) -> list[str]:
        return [
            f"--model-repository={self._repository.resolve()}",
            "--model-control-mode=explicit",
            *self._loaded_at_start(),
            f"--backend-directory={layout.backends}",
            f"--backend-config=python,shm-region-prefix-name={memory.prefix}",
            *SOCKET_ARGUMENTS,
            "--allow-http=false",
            "--allow-metrics=false",
            "--exit-timeout-secs=5",
            "--disable-auto-complete-config",
        ]

    def _loaded_at_start(self) -> list[str]:
        """Return arguments that load the self-test's model at once; contouring models are loaded when first needed."""
        return [f"--load-model={SELF_TEST}"] if (self._repository / SELF_TEST).is_dir() else []

    def _with_log(self, what: str) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [
            line for line in lines if line.strip() and line[0] not in "|+"
        ]  # not the tables of its settings
        return "\n".join([f"{what}; the end of {self.log_file}:", *lines[-_LOG_LINES:]])


def _make_private(folder: Path) -> None:
    """Create a folder that only this user may enter; ServerNotStarted where it is another user's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise ServerNotStarted(
            f"{folder} belongs to user {owner}, and the server would run as user {os.geteuid()}: whoever owns the folder "
            "could call the server; run the node as one user"
        )
    folder.chmod(0o700)


def _end_orphans(lock: IO[str]) -> None:
    """End model processes that still run although the server named in the lock is gone."""
    lock.seek(0)
    server = lock.read()
    if server.isdigit() and not is_running(int(server)):
        with suppress(ProcessLookupError):
            os.killpg(int(server), signal.SIGKILL)
