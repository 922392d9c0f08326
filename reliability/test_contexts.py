"""Which test functions run which lines: one run of the tests under coverage, with a context a test.

What is kept in a file holds for each test file as long as the code is the same, and the test file with everything below
`tests` that it imports; after a change only the test files that it concerns run again.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
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
_TEST_MODULE = re.compile(r"\btests(?:\.\w+)+|(?<=from )tests(?= import)")
_DRIVER = ("reliability/code_mutations.py", "reliability/mutants.py", "reliability/test_contexts.py", "reliability/warm_tests.py")  # fmt: skip


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

    def only(self, files: Collection[str]) -> "TestContexts":
        """Leave out the tests of other test files."""
        return TestContexts(
            by_line={
                code: {
                    line: kept
                    for line, tests in lines.items()
                    if (kept := frozenset(test for test in tests if _file_of(test) in files)) or not tests
                }
                for code, lines in self.by_line.items()
            },
            seconds={test: seconds for test, seconds in self.seconds.items() if _file_of(test) in files},
            failing=frozenset(test for test in self.failing if _file_of(test) in files),
        )

    def joined(self, other: "TestContexts") -> "TestContexts":
        """Put what was measured of further test files beside this."""
        by_line = {code: dict(lines) for code, lines in self.by_line.items()}
        for code, lines in other.by_line.items():
            mine = by_line.setdefault(code, {})
            for line, tests in lines.items():
                mine[line] = mine.get(line, frozenset()) | tests
        return TestContexts(
            by_line=by_line, seconds=self.seconds | other.seconds, failing=self.failing | other.failing
        )

    def save(self, file: Path, marks: "Checksums") -> None:
        """Write this down, with what it was measured on."""
        names = {
            test: k for k, test in enumerate(sorted(self.seconds | dict.fromkeys(self._covering(), 0.0)))
        }
        by_line = {
            code: {line: sorted(names[test] for test in tests) for line, tests in lines.items()}
            for code, lines in self.by_line.items()
        }
        kept = {"code": marks.code, "test_files": marks.test_files, "tests": list(names), "by_line": by_line}
        kept |= {"seconds": self.seconds, "failing": sorted(self.failing)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))

    @classmethod
    def loaded(cls, file: Path, marks: "Checksums") -> "tuple[TestContexts, frozenset[str]]":
        """Return what holds still of what was saved, and of which test files: none where the code is another."""
        kept = json.loads(file.read_text())
        was = kept["test_files"] if kept.get("code") == marks.code else {}
        same = frozenset(name for name, mark in marks.test_files.items() if was.get(name) == mark)
        if not same:
            return NOTHING, same
        by_line = {
            code: {int(line): frozenset(kept["tests"][k] for k in tests) for line, tests in lines.items()}
            for code, lines in kept["by_line"].items()
        }
        whole = cls(by_line=by_line, seconds=kept["seconds"], failing=frozenset(kept["failing"]))
        return whole.only(same), same

    def _covering(self) -> frozenset[str]:
        return frozenset().union(*(tests for lines in self.by_line.values() for tests in lines.values()))


NOTHING = TestContexts(by_line={}, seconds={}, failing=frozenset())


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """Checksums of what contexts are measured on: the code, and each test file with what it imports below `tests`."""

    code: str
    test_files: dict[str, str]

    @classmethod
    def of(cls, root: Path, packages: Sequence[str], tests: Sequence[str]) -> "Checksums":
        """Return those of a checkout, for some packages and for the test files below `tests`.

        The code is every Python file outside `tests`, and the settings of pytest, but not the driver of mistakes.
        """
        files = sorted(file for file in root.rglob("*.py") if not file.is_relative_to(root / "tests"))
        code = [file for file in files if str(file.relative_to(root)) not in _DRIVER]
        names = sorted({str(file.relative_to(root)) for one in tests for file in _test_files(root / one)})
        return cls(
            code=_checksum(root, [*code, root / "pyproject.toml"], told=repr(sorted(packages))),
            test_files={name: _checksum(root, sorted(_behind(root, root / name))) for name in names},
        )


def contexts_of(
    kept: Path | None, copies: Sequence[Path], packages: Sequence[str], tests: Sequence[str], scratch: Path
) -> TestContexts:
    """Return what the test files below `tests` cover of `packages`: from the file `kept` as far as it holds.

    Raises RuntimeError where pytest cannot run.
    """
    marks = Checksums.of(copies[0], packages, tests)
    known, same = TestContexts.loaded(kept, marks) if kept and kept.is_file() else (NOTHING, frozenset[str]())
    missing = [name for name in marks.test_files if name not in same]
    if not missing:
        return known
    print(f"{len(missing)} of {len(marks.test_files)} test files run to see which lines they run", flush=True)
    contexts = known.joined(measured(copies, packages, missing, scratch))
    if kept:
        contexts.save(kept, marks)
    return contexts


def measured(
    copies: Sequence[Path], packages: Sequence[str], files: Sequence[str], scratch: Path
) -> TestContexts:
    """Run one test file or more, shared out among the copies, and return what they cover of `packages`.

    A server that several tests share counts for the test that started it. Raises RuntimeError if pytest cannot run.
    """
    used = copies[: len(files)]
    shares = [files[k :: len(used)] for k in range(len(used))]
    with ThreadPoolExecutor(len(used)) as pool:
        found = pool.map(lambda copy, share: _measured(copy, share, packages, scratch), used, shares)
        return reduce(TestContexts.joined, found, NOTHING)


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _checksum(root: Path, files: Iterable[Path], told: str = "") -> str:
    digest = hashlib.sha256(told.encode())
    for file in files:
        digest.update(
            str(file.relative_to(root)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest()
        )
    return digest.hexdigest()


def _behind(root: Path, file: Path) -> set[Path]:
    """Return a test file, the conftest.py of its folders, and all that these name below `tests`, directly or not."""
    found: set[Path] = set()
    new = {file}
    while new:
        found |= new
        named = {one for each in new for one in (*_named(root, each), *_conftests(root, each))}
        new = named - found
    return found


def _conftests(root: Path, file: Path) -> Iterable[Path]:
    above = (folder / "conftest.py" for folder in file.parents if folder.is_relative_to(root / "tests"))
    return (one for one in above if one.is_file())


def _named(root: Path, file: Path) -> Iterable[Path]:
    """Return the modules below `tests` that a file names, in imports or in texts; of a folder each module in it."""
    for said in _TEST_MODULE.findall(file.read_text(encoding="utf-8")):
        place = root.joinpath(*said.split("."))
        if place.is_dir():
            yield from place.glob("*.py")
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py")


def _test_files(where: Path) -> Iterable[Path]:
    return where.rglob("test_*.py") if where.is_dir() else (where,)


def _measured(copy: Path, files: Sequence[str], packages: Sequence[str], scratch: Path) -> TestContexts:
    settings, data, report = (scratch / f"{copy.name}.{ending}" for ending in ("ini", "coverage", "xml"))
    settings.write_text(_SETTINGS.format(sources="\n    ".join(packages), data=data))
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
        *("--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=", f"--junitxml={report}"),
        *(f"--basetemp={scratch / copy.name}-tmp", *files),
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
