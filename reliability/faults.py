"""The faults of a trial: each strikes once, lasts a moment, and is over when its function returns."""

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from reliability.node import BUSY_TIMEOUT_S, LEASE_S, ROLES, TestedNode
from reliability.proxy import ConnectionCut, Treatment

Strike = Callable[[TestedNode, random.Random], str]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault with its name; ``strike`` returns in words what it did."""

    name: str
    strike: Strike
    weight: float = 1.0
    starves: bool = False  # a role that starts meanwhile lacks what it needs, and may end


def faults_for(node: TestedNode) -> list[Fault]:
    """Return the faults that are possible on this machine."""
    found = [
        Fault(name="kill one", strike=kill_one, weight=4),
        Fault(name="kill role", strike=kill_role, weight=3),
        Fault(name="kill all", strike=kill_all, weight=2),
        Fault(name="kill again", strike=kill_again),
        Fault(name="freeze", strike=freeze, weight=2),
        Fault(name="cut", strike=cut_open, weight=2),
        Fault(name="database away", strike=database_away, weight=2, starves=True),
        Fault(name="model server", strike=kill_model_server, weight=0.4),
    ]
    if node.files_disk.is_mounted:
        found.append(Fault(name="disk full", strike=disk_full, weight=2, starves=True))
        found.append(Fault(name="read-only", strike=read_only, weight=2, starves=True))
    return found


def choose(faults: Sequence[Fault], rng: random.Random) -> list[Fault]:
    """Choose one to three of them."""
    return rng.choices(faults, [fault.weight for fault in faults], k=rng.choice((1, 1, 2, 3)))


def cuts(rng: random.Random) -> tuple[list[ConnectionCut], list[ConnectionCut]]:
    """Return how the next inward and the next outward connections are treated."""
    inward = [_cut(rng, 30000) for _ in range(rng.choice((0, 0, 1, 2, 4)))]
    outward = [_cut(rng, 6000) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    return inward, outward


def kill_one(node: TestedNode, rng: random.Random) -> str:
    """Kill one process with `kill -9`."""
    process = rng.choice(node.processes)
    node.kill(process)
    return f"kill {process.role}"


def kill_role(node: TestedNode, rng: random.Random) -> str:
    """Kill every process of one role with `kill -9`."""
    role = rng.choice(sorted(set(ROLES)))
    node.kill(*node.of(role))
    return f"kill every {role}"


def kill_all(node: TestedNode, rng: random.Random) -> str:
    """Kill every role with `kill -9`."""
    node.kill(*rng.sample(node.processes, len(node.processes)))
    return "kill all"


def kill_again(node: TestedNode, rng: random.Random) -> str:
    """Kill every role with `kill -9`, and again while they start."""
    node.kill(*node.processes)
    node.start()
    time.sleep(rng.random() * 0.8)
    node.kill(*node.processes)
    return "kill all twice"


def freeze(node: TestedNode, rng: random.Random) -> str:
    """Let a worker or sender sleep, perhaps beyond its lease, so that another has its work when it wakes."""
    process = rng.choice([*node.of("work"), *node.of("send")] or node.processes)
    process.freeze()
    time.sleep(LEASE_S * rng.uniform(0.3, 1.8))
    process.thaw()
    return f"freeze {process.role}"


def cut_open(node: TestedNode, _chance: random.Random) -> str:
    """Reset every open connection, as `tcpkill` does."""
    return f"reset {node.inward_proxy.cut_all()} in, {node.outward_proxy.cut_all()} out"


def database_away(node: TestedNode, rng: random.Random) -> str:
    """Stop Postgres without a checkpoint, or lock the SQLite file, perhaps for longer than a writer waits."""
    if node.postgres:
        node.postgres.stop_at_once()
        time.sleep(rng.uniform(0.05, 2.0))
        node.postgres.start()
        return "postgres stopped"
    other = sqlite3.connect(node.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
    try:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(BUSY_TIMEOUT_S * rng.uniform(0.2, 1.8))
        other.execute("ROLLBACK")
    finally:
        other.close()
    return "database locked"


def disk_full(node: TestedNode, rng: random.Random) -> str:
    """Fill the disk of the files, that of the SQLite database, or both."""
    disks = [node.files_disk, node.database_disk]
    chosen = rng.choice((disks, disks[:1], disks[1:]))
    with ExitStack() as stack:
        for disk in chosen:
            stack.enter_context(disk.filled())
        time.sleep(rng.uniform(0.05, 1.0))
    return f"full: {', '.join(disk.folder.name for disk in chosen)}"


def read_only(node: TestedNode, rng: random.Random) -> str:
    """Make the file system of the stored objects read-only for a moment."""
    with node.files_disk.read_only() as done:
        time.sleep(rng.uniform(0.05, 1.0) if done else 0.0)
    return "read-only" if done else "read-only was not possible"


def kill_model_server(node: TestedNode, _chance: random.Random) -> str:
    """Kill the model server with `kill -9`."""
    node.kill_triton()
    return "kill model server"


def _cut(rng: random.Random, longest_bytes: int) -> ConnectionCut:
    treatment = rng.choice([one for one in Treatment if one is not Treatment.NONE])
    of_answers = rng.random() < 0.4
    return ConnectionCut(
        treatment=treatment,
        after_bytes=rng.randrange(500 if of_answers else longest_bytes),
        seconds=rng.uniform(0.2, 1.0) if treatment is Treatment.STALL else rng.uniform(0.0, 0.01),
        of_answers=of_answers,
    )
