"""Which test functions run which lines: one run of the tests under coverage, with one context per test."""

import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

_SETTINGS = """[run]
source =
    {sources}
patch = subprocess
parallel = true
sigterm = true
data_file = {data}
context = ${{PYTEST_CURRENT_TEST-}}
"""
_FUNCTION = re.compile(r"(tests/[^|\s]+?\.py::\w+)")


@dataclass(frozen=True, kw_only=True)
class TestContexts:
    """By file and line of the code, the test functions that run it; their seconds; those that fail without a change."""

    __test__ = False

    by_line: dict[str, dict[int, frozenset[str]]]
    seconds: dict[str, float]
    failing: frozenset[str]

    def tests_of(self, file: str, line: int) -> list[str]:
        """Return the tests that run a line, the quickest first.

        For a line that runs at import, these are the tests of the whole file.
        """
        lines = self.by_line.get(file, {})
        found = lines.get(line, frozenset())
        if not found and line in lines:
            found = frozenset().union(*lines.values())
        return sorted(found - self.failing, key=lambda test: (self.seconds.get(test, 0.0), test))

    def save(self, file: Path, tree: str) -> None:
        """Save it for the tree on which it was measured."""
        names = {
            test: k for k, test in enumerate(sorted(self.seconds | dict.fromkeys(self._covering(), 0.0)))
        }
        by_line = {
            code: {line: sorted(names[test] for test in tests) for line, tests in lines.items()}
            for code, lines in self.by_line.items()
        }
        kept = {"tree": tree, "tests": list(names), "by_line": by_line}
        kept |= {"seconds": self.seconds, "failing": sorted(self.failing)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))

    @classmethod
    def loaded(cls, file: Path, tree: str) -> "TestContexts | None":
        """Return what was saved, None if it was measured on another tree."""
        kept = json.loads(file.read_text())
        if kept["tree"] != tree:
            return None
        by_line = {
            code: {int(line): frozenset(kept["tests"][k] for k in tests) for line, tests in lines.items()}
            for code, lines in kept["by_line"].items()
        }
        return cls(by_line=by_line, seconds=kept["seconds"], failing=frozenset(kept["failing"]))

    def _covering(self) -> frozenset[str]:
        return frozenset().union(*(tests for lines in self.by_line.values() for tests in lines.values()))


def measured(
    copies: Sequence[Path], packages: Sequence[str], tests: Sequence[str], scratch: Path
) -> TestContexts:
    """Run the test files below `tests`, divided among the copies, and return what they cover of `packages`.

    A server that several tests share counts for the test that started it. Raises RuntimeError if pytest cannot run.
    """
    files = sorted({file.relative_to(copies[0]) for one in tests for file in _test_files(copies[0] / one)})
    with ThreadPoolExecutor(len(copies)) as pool:
        shares = [files[k :: len(copies)] for k in range(len(copies))]
        found = list(pool.map(lambda copy, share: _measured(copy, share, packages, scratch), copies, shares))
    by_line: dict[str, dict[int, frozenset[str]]] = defaultdict(dict)
    for one in found:
        for file, lines in one.by_line.items():
            for line, names in lines.items():
                by_line[file][line] = by_line[file].get(line, frozenset()) | names
    return TestContexts(
        by_line=dict(by_line),
        seconds={test: seconds for one in found for test, seconds in one.seconds.items()},
        failing=frozenset().union(*(one.failing for one in found)),
    )


def _test_files(where: Path) -> Iterable[Path]:
    return where.rglob("test_*.py") if where.is_dir() else (where,)


def _measured(copy: Path, files: Sequence[Path], packages: Sequence[str], scratch: Path) -> TestContexts:
    settings, data, report = (scratch / f"{copy.name}.{ending}" for ending in ("ini", "coverage", "xml"))
    settings.write_text(_SETTINGS.format(sources="\n    ".join(packages), data=data))
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
        *("--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=", f"--junitxml={report}"),
        *(f"--basetemp={scratch / copy.name}-tmp", *map(str, files)),
    ]
    log = scratch / f"{copy.name}.log"
    code = run_quietly(command, copy, log, limit_s=None)
    if code not in (0, 1) or not report.is_file():
        raise RuntimeError(f"pytest ended with {code}:\n{log.read_text(errors='replace')[-4000:]}")
    seconds, failing = _times(report)
    return TestContexts(by_line=_lines(data, copy), seconds=seconds, failing=failing)


def run_quietly(command: Sequence[str], folder: Path, log: Path, limit_s: float | None) -> int | None:
    """Run a command; return its exit code, or None if it ran past `limit_s` and was killed with what it had started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},  # noqa: TID251
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _times(report: Path) -> tuple[dict[str, float], frozenset[str]]:
    seconds: dict[str, float] = defaultdict(float)
    failing = set()
    for case in ET.parse(report).iter("testcase"):
        module = case.get("classname", "").replace(".", "/")
        test = f"{module}.py::{case.get('name', '').partition('[')[0]}"
        seconds[test] += float(case.get("time", 0.0))
        if case.find("failure") is not None or case.find("error") is not None:
            failing.add(test)
    return dict(seconds), frozenset(failing)


def _lines(data_file: Path, root: Path) -> dict[str, dict[int, frozenset[str]]]:
    data = CoverageData(str(data_file))
    data.read()
    found = {}
    for file in data.measured_files():
        if Path(file).is_relative_to(root):
            contexts = data.contexts_by_lineno(file)
            found[str(Path(file).relative_to(root))] = {
                line: frozenset(name for context in names for name in _FUNCTION.findall(context))
                for line, names in contexts.items()
            }
    return found
