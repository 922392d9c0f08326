"""A whole node with faults at random instants: nothing acknowledged is lost, no job is lost, none is done twice.

    .venv/bin/python -m reliability.durability --rounds 300 --seed 1 --out runs/durability
    .venv/bin/python -m reliability.durability --rounds 1 --first 17 --seed 1 --out runs/again     # round 17 alone

Each round sends a few small series, strikes one to three times, restarts what died, waits until the node is quiet and
compares: every slice that got 0x0000 has its row and file, every C-STORE got a status or a broken connection, every
complete series ends as done, and the destination has one structure set per version. Exit code 1 if anything is wrong.
"""

import argparse
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from typing_extensions import override

from reliability.faults import Fault, choose, cuts, faults_for
from reliability.invariants import Sight, is_settled, violations
from reliability.kept import missing_slices
from reliability.node import TestedNode, running_trial_node
from reliability.sender import Scanner
from reliability.series import AnswerLog, Series, make_series

_SETTLES_WITHIN_S = 90.0
_GIVES_UP = 0.15
_BY_COMMAND = 0.1


@dataclass(kw_only=True)
class DurabilityRound:
    """One round: what was sent, which faults struck, what was found."""

    number: int
    rng: random.Random
    answers: AnswerLog = field(default_factory=AnswerLog)
    scanners: dict[Scanner, Series] = field(default_factory=dict)
    struck: list[str] = field(default_factory=list)
    starved: bool = False
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @override
    def __str__(self) -> str:
        """Return one line."""
        statuses = ", ".join(f"{n} x 0x{status:04X}" for status, n in sorted(self.answers.statuses.items()))
        return (
            f"round {self.number}: {'; '.join(self.struck)} | {len(self.scanners)} series, {statuses or 'no answer'}, "
            f"{self.answers.broken} cut | {self.seconds:.1f} s {'WRONG' if self.wrong else 'ok'}"
        )


@dataclass
class DurabilityReport:
    """All rounds of a run."""

    rounds: list[DurabilityRound] = field(default_factory=list)
    strikes: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    structure_sets: int = 0
    stores_at_destination: int = 0

    @property
    def wrong(self) -> list[DurabilityRound]:
        """The rounds in which something was wrong."""
        return [one for one in self.rounds if one.wrong]

    @override
    def __str__(self) -> str:
        """Return a few lines."""
        acknowledged = sum(len(one.answers.acknowledged) for one in self.rounds)
        refused = sum(n for one in self.rounds for status, n in one.answers.statuses.items() if status)
        cut = sum(one.answers.broken for one in self.rounds)
        strikes = ", ".join(f"{n} {name}" for name, n in self.strikes.most_common())
        return (
            f"{len(self.rounds)} rounds, {self.strikes.total()} faults ({strikes}), {self.restarts} restarts of roles\n"
            f"{acknowledged} slices acknowledged, {refused} refused, {cut} stores cut; "
            f"{self.structure_sets} structure sets at the destination in {self.stores_at_destination} stores\n"
            f"{len(self.wrong)} rounds in which something was wrong"
        )


def run(
    folder: Path, *, rounds: int, seed: int, first: int = 1, database: str = "sqlite", say: bool = True
) -> DurabilityReport:
    """Run rounds from ``first`` on one node; the seed and a round's number determine all random choices."""
    report = DurabilityReport()
    by_command = random.Random(seed)
    with running_trial_node(
        folder, database=database, by_command=lambda: by_command.random() < _BY_COMMAND
    ) as node:
        for number in range(first, first + rounds):
            one = DurabilityRound(number=number, rng=random.Random(f"{seed}:{number}"))
            report.rounds.append(one)
            _run_round(node, one, seed, report.strikes)
            if say:
                print(one, flush=True)
                for wrong in one.wrong:
                    print(f"    {wrong}", flush=True)
        _check_all(node, report)
        report.restarts = node.restarts
        report.structure_sets = len(node.destination.digests)
        report.stores_at_destination = node.destination.stores
    return report


def _run_round(node: TestedNode, one: DurabilityRound, seed: int, strikes: Counter[str]) -> None:
    began = time.monotonic()
    rng = one.rng
    node.wait_until_listening()
    for number in range(rng.choice((1, 2, 3))):
        series = make_series(f"{seed}-{one.number}-{number}", rng.randint(6, 20), f"SCANNER{number}")
        one.scanners[Scanner(series, node.inward_proxy.port, one.answers)] = series
    inward, outward = cuts(rng)
    node.inward_proxy.order(*inward)
    node.outward_proxy.order(*outward)
    one.struck += [f"in: {cut}" for cut in inward] + [f"out: {cut}" for cut in outward]
    for scanner in one.scanners:
        scanner.start()
    if rng.random() < _GIVES_UP:
        threading.Timer(rng.uniform(0, 0.5), next(iter(one.scanners)).gives_up.set).start()
    for fault in choose(faults_for(node), rng):
        strikes[fault.name] += 1
        _strike(node, one, fault, began)
    _settle(node, one)
    node.inward_proxy.forget_orders()
    node.outward_proxy.forget_orders()
    one.wrong += _check(node, one)
    one.seconds = time.monotonic() - began


def _strike(node: TestedNode, one: DurabilityRound, fault: Fault, began: float) -> None:
    rng = one.rng
    time.sleep(rng.uniform(0, 0.15) if rng.random() < 0.5 else rng.uniform(0, 1.2))
    at_s = time.monotonic() - began
    one.starved = one.starved or fault.starves
    one.struck.append(f"{fault.strike(node, rng)} at {at_s:.2f} s")
    time.sleep(rng.uniform(0, 0.2))
    _restart(node, one)


def _restart(node: TestedNode, one: DurabilityRound) -> None:
    for ended in node.restart_dead():
        one.struck.append(ended)
        if not one.starved:
            one.wrong.append(f"{ended}, although nothing was done to it")


def _settle(node: TestedNode, one: DurabilityRound) -> None:
    """Return when every scanner has ended and nothing more happens to any series."""
    deadline = time.monotonic() + _SETTLES_WITHIN_S
    with node.book() as book:
        while time.monotonic() < deadline:
            _restart(node, one)
            if not any(scanner.is_alive() for scanner in one.scanners) and all(
                is_settled(book, series.series_uid) for series in one.scanners.values()
            ):
                return
            time.sleep(0.05)
    one.wrong.append(f"not quiet within {_SETTLES_WITHIN_S:g} s")


def _check(node: TestedNode, one: DurabilityRound) -> list[str]:
    found = one.answers.wrong()
    with node.book() as book:
        sight = Sight(book=book, content=node.content, destination=node.destination)
        found += missing_slices(book, sight.content.received, one.answers.slices())
        for scanner, series in one.scanners.items():
            if not (scanner.has_sent_all or scanner.gives_up.is_set()):
                found.append(f"series {series.series_uid} was never accepted completely")
            found += violations(sight, series, is_whole=scanner.has_sent_all)
    return found


def _check_all(node: TestedNode, report: DurabilityReport) -> None:
    """Check every round once more at the end, because a later fault could have spoiled it."""
    for one in report.rounds:
        again = [f"at the end: {wrong}" for wrong in _check(node, one)]
        one.wrong += again if not one.wrong else []


def main() -> None:
    """Print one line per round and the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    report = run(
        arguments.out,
        rounds=arguments.rounds,
        seed=arguments.seed,
        first=arguments.first,
        database=arguments.database,
    )
    print(f"seed {arguments.seed}, {arguments.database}: {report}")
    for one in report.wrong:
        print(f"repeat: --seed {arguments.seed} --first {one.number} --rounds 1: {one.wrong[0]}")
    raise SystemExit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
