"""Would a test notice? Small random changes to the code, each against the tests that run the changed line.

    .venv/bin/python -m reliability.mutants --number 150 --seed 1
    .venv/bin/python -m reliability.mutants --number 50 --seed 1 2 3 --package imaging --out runs/mutants.json
    .venv/bin/python -m reliability.mutants --seed 4 --contexts runs/contexts.json    # measures what changed since

Works on copies in a folder beside the checkout, which is removed at the end, with every process that the tests started.
Changes that no test noticed are printed, for somebody to read. Exit code 1 if fewer than `--least` % were noticed.
"""

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue

import psutil

from reliability.code_mutations import CodeMutation, draw
from reliability.test_contexts import TestContexts, contexts_of
from reliability.warm_tests import run_warm

PACKAGES = ("imaging", "inference", "service", "evaluation")
_LEFT_OUT = ("service/store/migrations/versions/", "service/demo/")
_MARK = "MUTANTS_RUN"
_USAGE_ERROR, _NO_TESTS = 4, 5
_CONTROL_TESTS = 100
_FIRST_S = (
    2.0  # the quickest tests run first, by themselves: most mistakes are noticed before the rest is even read
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one change: noticed or not, by how many of the tests that run its line."""

    mutation: CodeMutation
    noticed: bool
    tests: int
    tests_run: int

    @property
    def line(self) -> str:
        """The outcome in one line."""
        one = self.mutation
        change = f"{one.before!r} -> {one.after!r}" if len(one.before) < 60 else f"{one.before[:57]!r}..."
        run = f"{self.tests_run} of {self.tests} tests" if self.tests else "run by no test"
        return (
            f"{'noticed ' if self.noticed else 'SURVIVED'} {one.file}:{one.line} {one.kind}: {change} ({run})"
        )


def main() -> int:
    """Draw, run and print; return 0 if enough changes were noticed."""
    arguments = _arguments()
    root = Path(__file__).parents[1]
    packages = arguments.package or list(PACKAGES)
    outcomes: dict[int, list[Outcome]] = {}
    with _scratch(root) as scratch:
        copies = [_copy(root, scratch / f"copy-{number}") for number in range(arguments.jobs)]
        files = [name for name in _files(root, packages) if (copies[0] / name).is_file()]
        tests = arguments.tests or [f"tests/{one}" for one in packages if (root / "tests" / one).is_dir()]
        sources = sorted({one.partition("/")[0] for one in packages})
        print(f"which test runs which line: {' '.join(tests)}", flush=True)
        contexts = contexts_of(arguments.contexts, copies, sources, tests, scratch)
        for copy in copies:
            compileall.compile_dir(copy, quiet=2)  # the runs themselves write no bytecode
        if contexts.failing:
            print(f"left out, because they fail without a change: {', '.join(sorted(contexts.failing))}")
        trial = _Trial(contexts=contexts, copies=copies, scratch=scratch, limit_s=arguments.limit_s)
        trial.check()
        for seed in arguments.seed:
            drawn = draw(copies[0], files, arguments.number, seed)
            outcomes[seed] = list(trial.outcomes(drawn))
            print(_summary(seed, outcomes[seed]), flush=True)
    if arguments.out:
        rows = {seed: [asdict(one) for one in found] for seed, found in outcomes.items()}
        arguments.out.write_text(json.dumps(rows, indent=1))
    every = [one for found in outcomes.values() for one in found]
    return 0 if 100 * sum(one.noticed for one in every) >= arguments.least * len(every) else 1


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """Copies of the checkout, each for one change at a time."""

    contexts: TestContexts
    copies: Sequence[Path]
    scratch: Path
    limit_s: float

    def check(self) -> None:
        """Run the quickest tests without a change; RuntimeError if one fails, since it would notice every change."""
        passing = set(self.contexts.seconds) - self.contexts.failing
        quickest = sorted(passing, key=lambda test: self.contexts.seconds[test])[:_CONTROL_TESTS]
        if self._noticed(self.copies[0], quickest):
            said = (self.scratch / f"{self.copies[0].name}.log").read_text(errors="replace")
            raise RuntimeError(f"tests fail without any change:\n{said[-4000:]}")

    def outcomes(self, drawn: Sequence[CodeMutation]) -> Iterator[Outcome]:
        """Yield what became of each change, in order, and print it."""
        free: SimpleQueue[Path] = SimpleQueue()
        for copy in self.copies:
            free.put(copy)
        with ThreadPoolExecutor(len(self.copies)) as pool:
            for outcome in pool.map(lambda one: self._outcome(one, free), drawn):
                print(outcome.line, flush=True)
                yield outcome

    def _outcome(self, mutation: CodeMutation, free: "SimpleQueue[Path]") -> Outcome:
        tests = self.contexts.tests_of(mutation.file, mutation.line)
        chosen = self._within_limit(tests)
        copy = free.get()
        file = copy / mutation.file
        whole, written = file.read_bytes(), file.stat().st_mtime_ns
        try:
            file.write_bytes(mutation.applied(whole))
            os.utime(file, (0, 0))  # older than any bytecode, so that it is compiled
            noticed = any(self._noticed(copy, batch) for batch in self._batches(chosen) if batch)
        finally:
            file.write_bytes(whole)
            os.utime(file, ns=(written, written))
            free.put(copy)
        return Outcome(mutation=mutation, noticed=noticed, tests=len(tests), tests_run=len(chosen))

    def _within_limit(self, tests: Sequence[str]) -> list[str]:
        """Return the quickest tests that fit into the limit together, at least one."""
        return list(tests[: max(1, self._number_within(tests, self.limit_s))])

    def _batches(self, tests: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        first = self._number_within(tests, _FIRST_S)
        return tests[:first], tests[first:]

    def _number_within(self, tests: Sequence[str], seconds: float) -> int:
        together = accumulate(self.contexts.seconds.get(test, 0.0) for test in tests)
        return sum(so_far <= seconds for so_far in together)

    def _noticed(self, copy: Path, tests: Sequence[str]) -> bool:
        """Run the tests until one fails; a run that takes far longer than without the change counts as noticed."""
        listed, log = self.scratch / f"{copy.name}.tests", self.scratch / f"{copy.name}.log"
        listed.write_text("\n".join(tests))
        arguments = [
            *("-x", "-q", "-n", "0", "-p", "no:cacheprovider"),
            *(f"--basetemp={self.scratch / copy.name}-tmp", f"@{listed}"),
        ]
        code = run_warm(arguments, copy, log, limit_s=60 + 5 * self.limit_s)
        if code == _USAGE_ERROR and "not found" in log.read_text(errors="replace"):
            raise RuntimeError(f"pytest does not know the tests in {listed}: {log.read_text()[-2000:]}")
        return code not in (0, _NO_TESTS)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """Open a folder beside the checkout, where `../shared` and the other environments are found.

    Everything in it is removed at the end, and processes that the tests left running are killed.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".mutants-", dir=root.parent))
    os.environ[_MARK] = str(scratch)  # noqa: TID251  (children inherit it and are recognised by it)
    if (root.parent / "shared").exists():
        (scratch / "shared").symlink_to((root.parent / "shared").resolve())
    try:
        yield scratch
    finally:
        left = _marked(str(scratch))
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)
        shutil.rmtree(scratch)


def _marked(mark: str) -> list[psutil.Process]:
    """Return the processes, except this one, that the tests left running."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _copy(root: Path, folder: Path) -> Path:
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed:
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    if (root / ".venv-triton").exists():
        (folder / ".venv-triton").symlink_to((root / ".venv-triton").resolve())
    return folder


def _files(root: Path, packages: Sequence[str]) -> list[str]:
    listed = _git(root, "ls-files", "--", *packages)
    return [name for name in listed if name.endswith(".py") and not name.startswith(_LEFT_OUT)]


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _summary(seed: int, outcomes: Sequence[Outcome]) -> str:
    noticed = sum(one.noticed for one in outcomes)
    untested = sum(not one.tests for one in outcomes)
    share = f"{100 * noticed / len(outcomes):.0f} %" if outcomes else "nothing to change"
    return f"seed {seed}: {len(outcomes)} changes, {noticed} noticed ({share}), {untested} run by no test"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--number", type=int, default=150, help="changes per seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--package", nargs="+", help=f"folders below the checkout; default: {' '.join(PACKAGES)}"
    )
    parser.add_argument("--tests", nargs="+", help="test folders; default: those of the packages")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--limit-s", type=float, default=30.0, help="seconds of tests for one change, as timed without it"
    )
    parser.add_argument("--least", type=float, default=0.0, help="per cent that must be noticed")
    parser.add_argument(
        "--contexts",
        type=Path,
        help="a file that keeps which test runs which line; only what changed is measured again",
    )
    parser.add_argument("--out", type=Path, help="a JSON file with every change")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
