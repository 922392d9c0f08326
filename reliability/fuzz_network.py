"""Malformed conversations against a running receiver, which must continue to answer everybody else."""

import random
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from reliability.conversations import CALLED, CALLING, Conversation, conversation
from reliability.finds import Find
from reliability.kept import missing_slices
from reliability.roles import RoleProcess
from reliability.sender import listens
from reliability.series import AnswerLog, Slice, make_series
from reliability.wire import ConnectionBroken, NoAnswer, WirePeer
from service.config import load_settings
from service.store import Database, FileStore, JobRepository

IN_A_BATCH = 40
MOST_HELD = 40
_IDLE_S = 2
_ANSWERS_WITHIN_S = 20.0  # of a C-ECHO: far more than it takes, even on a busy machine
_MOST_GROWTH_BYTES = 150 << 20
_WARM_UP_BATCHES = 10
_LINGER_S = 0.02
_PAUSES = 10
_UNFORESEEN = ("Exception in thread", "Exception ignored", "bug in this program")


@dataclass
class NetworkReport:
    """What was sent, how the receiver coped with it, and what was found."""

    conversations: int = 0
    bytes_sent: int = 0
    slowest_echo_s: float = 0.0
    echoes: int = 0
    memory_bytes: list[int] = field(default_factory=list)
    threads_at_rest: tuple[int, int] = (0, 0)
    answers: AnswerLog = field(default_factory=AnswerLog)
    finds: list[Find] = field(default_factory=list)

    @override
    def __str__(self) -> str:
        """Return one line."""
        return (
            f"network: {self.conversations} conversations, {self.bytes_sent >> 20} MiB; {self.echoes} C-ECHOs, slowest "
            f"{self.slowest_echo_s:.3f} s; {len(self.answers.acknowledged)} good slices kept; memory grew by "
            f"{self.growth_bytes / (1 << 20):.1f} MiB to {self.memory_bytes[-1] >> 20} MiB; threads at rest "
            f"{self.threads_at_rest[0]} before, {self.threads_at_rest[1]} after; {len(self.finds)} finds"
        )

    @property
    def growth_bytes(self) -> int:
        """How much memory grew between the end of the warm-up and the end."""
        return self.memory_bytes[-1] - self.memory_bytes[min(_WARM_UP_BATCHES, len(self.memory_bytes) - 1)]


class Target:
    """A receiver in a separate process."""

    def __init__(self, folder: Path, *, by_command: bool = False) -> None:
        """``by_command``: start it as a command, so that it has this process's environment."""
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.settings_file = folder / "settings.toml"
        self.settings_file.write_text(
            f'[node]\nstorage_dir = "{(folder / "store").resolve()}"\nlog_level = "ERROR"\n'
            f'[receive]\nhost = "127.0.0.1"\nport = {self.port}\nae_title = "{CALLED}"\n'
            f"network_timeout_s = {_IDLE_S}\nmax_associations = 128\n"
            "max_connections_per_minute = 1000000\n"
        )
        self.log_file = folder / "receive.log"
        self.process = RoleProcess("receive", self.settings_file, self.log_file, by_command=by_command)
        deadline = time.monotonic() + 60
        while not listens(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the receiver does not listen; see {self.log_file}")
            time.sleep(0.02)

    def complaints(self) -> list[str]:
        """Return the unforeseen errors in the log, such as those that ended a thread."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return [line for line in lines if any(words in line for words in _UNFORESEEN)]

    def threads(self) -> int:
        """Return how many threads it has."""
        return self._status("Threads")

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        return self._status("VmRSS") * 1024

    def _status(self, name: str) -> int:
        """Return a number that Linux reports of the process; raise ConnectionBroken if it is gone."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
        except (OSError, StopIteration) as error:
            raise ConnectionBroken("the receiver has ended") from error


@contextmanager
def running_target(folder: Path, *, by_command: bool = False) -> Iterator[Target]:
    """Open a receiver until the context ends."""
    target = Target(folder, by_command=by_command)
    try:
        yield target
    finally:
        if target.process.is_alive():
            target.process.kill()


def fuzz_network(
    folder: Path,
    *,
    seed: int,
    seconds: float,
    most: int = 1 << 60,
    say: Callable[[str], None] = lambda _line: None,
) -> NetworkReport:
    """Send batches of conversations for this many seconds, or ``most`` conversations.

    After each batch, other senders must be served at once.
    """
    report = NetworkReport()
    deadline = time.monotonic() + seconds
    with running_target(folder) as target:
        at_rest = target.threads()
        held: deque[socket.socket] = deque()
        good = _good_slices(seed)
        while time.monotonic() < deadline and report.conversations < most and not report.finds:
            batch = [conversation(seed, report.conversations + number) for number in range(IN_A_BATCH)]
            for one in batch:
                _talk(target.port, one, held)
                report.bytes_sent += len(one.data)
            report.conversations += len(batch)
            _look_after(target, report, next(good), batch, seed)
            if len(report.memory_bytes) % 25 == 0:
                say(_progress(report))
        for connection in held:
            connection.close()
        if not report.finds:
            _at_the_end(target, report, at_rest, seed)
    return report


def repeat(folder: Path, data: bytes) -> str:
    """Feed a saved stream to a new receiver; return ``read`` if it serves others afterwards, or what went wrong."""
    report = NetworkReport()
    with running_target(folder) as target:
        one = Conversation(number=0, pdus=(data,))
        _talk(target.port, one, deque())
        _look_after(target, report, next(_good_slices(0)), [one], 0)
    return report.finds[0].what if report.finds else "read"


def _talk(port: int, one: Conversation, held: deque[socket.socket]) -> None:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    with suppress(OSError):
        for number, sent in enumerate(one.pdus):
            if one.drips and number < 2:
                for place in range(min(300, len(sent))):
                    connection.sendall(sent[place : place + 1])
                sent = sent[300:]
            connection.sendall(sent)
            if one.pause_s and number < _PAUSES:
                time.sleep(one.pause_s)
    if one.is_held:
        held.append(connection)
        if len(held) > MOST_HELD:
            held.popleft().close()
        return
    connection.settimeout(_LINGER_S)
    with suppress(OSError):
        while connection.recv(65536):
            pass
    connection.close()


def _look_after(
    target: Target, report: NetworkReport, good: Slice, batch: list[Conversation], seed: int
) -> None:
    """Send a C-ECHO and a correct C-STORE after a batch; an error is a find of the whole batch."""
    wrong = ""
    try:
        began = time.monotonic()
        with WirePeer(target.port, timeout_s=_ANSWERS_WITHIN_S) as peer:
            peer.associate(called=CALLED, calling=CALLING)
            status = peer.echo()
            report.slowest_echo_s = max(report.slowest_echo_s, time.monotonic() - began)
            report.echoes += 1
            stored = peer.store(good.sop_instance_uid, good.data_set)
            report.answers.answered(good, stored)
            peer.release()
        if status or stored:
            wrong = f"C-ECHO answered 0x{status:04X}, C-STORE 0x{stored:04X}"
        report.memory_bytes.append(target.memory_bytes())
    except (ConnectionBroken, NoAnswer) as error:
        wrong = f"others are not served: {error}"
    if not target.process.is_alive():
        wrong = f"the receiver ended with {target.process.exit_code()}"
    wrong = wrong or "; ".join(target.complaints()[:1])
    if wrong:
        culprit = _culprit(batch) if len(batch) > 1 else batch[0]
        report.finds.append(
            Find(target="network", what=wrong, data=culprit.data, seed=seed, number=culprit.number)
        )


def _culprit(batch: list[Conversation]) -> Conversation:
    """Return the conversation after which a new receiver fails alone; if there is none, the batch as one."""
    for one in batch:
        with tempfile.TemporaryDirectory() as folder:
            if repeat(Path(folder), one.data) != "read":
                return one
    return Conversation(number=batch[0].number, pdus=tuple(one.data for one in batch))


def _at_the_end(target: Target, report: NetworkReport, threads_at_rest: int, seed: int) -> None:
    """Check that every connection's thread has ended, memory has not grown, and every correct slice is kept."""
    wrong = []
    deadline = time.monotonic() + 60
    while target.threads() > threads_at_rest and time.monotonic() < deadline:
        time.sleep(0.1)
    report.threads_at_rest = (threads_at_rest, target.threads())
    if target.threads() > threads_at_rest:
        wrong.append(f"{target.threads() - threads_at_rest} threads have not ended")
    if report.growth_bytes > _MOST_GROWTH_BYTES:
        wrong.append(f"memory grew by {report.growth_bytes >> 20} MiB")
    settings = load_settings(target.settings_file, {})
    database = Database(settings.database_url)
    wrong += missing_slices(
        JobRepository(database), FileStore(settings.node.storage_dir), report.answers.slices()
    )
    database.close()
    report.finds += [
        Find(target="network", what=one, data=b"", seed=seed, number=report.conversations) for one in wrong
    ]


def _good_slices(seed: int) -> Iterator[Slice]:
    """Yield slices that nobody has sent before."""
    rng = random.Random(seed)
    while True:
        yield from make_series(f"GOOD-{seed}-{rng.getrandbits(60)}", 10, CALLING).slices


def _progress(report: NetworkReport) -> str:
    return (
        f"network: {report.conversations} conversations, slowest C-ECHO {report.slowest_echo_s:.2f} s, "
        f"{report.memory_bytes[-1] >> 20} MiB"
    )
