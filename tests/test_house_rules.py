"""Rules that no linter has: the size of modules, names, words, and DICOM values that would be invented."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("imaging", "inference", "service", "phantoms", "training", "evaluation", "bench", "reliability")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 300  # lines


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_dicom_value_has_a_default(path: Path) -> None:
    """``getattr(dataset, "Keyword", default)`` is how missing geometry becomes an invented one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            assert len(node.args) < 3, f"{path}:{node.lineno}"


FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "marshal.loads", "shelve.open"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def dangers(source: str) -> list[str]:
    """Ways by which data becomes code: line and what stands there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = {module or "", *(alias.name for alias in node.names)} if module is None else {module}
            found += [f"{node.lineno}: import {n}" for n in names if n.split(".")[0] in FORBIDDEN_IMPORTS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if (
                name in FORBIDDEN_CALLS
                or given.get("shell", "False") != "False"
                or given.get("allow_pickle", "False") != "False"
                or (name.endswith("torch.load") and given.get("weights_only") != "True")
            ):
                found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_data_never_becomes_code(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy.x, dill",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "eval(x)",
        "exec(x)",
        "subprocess.run(x, shell=True)",
        "yaml.load(x)",
        "os.system(x)",
    ],
)
def test_the_rule_sees_what_it_is_for(line: str) -> None:
    assert len(dangers(line)) == 1
    assert dangers("torch.load(f, weights_only=True)\nnp.load(f)\nmodel.eval()\nyaml.safe_load(x)") == []


SHORTEST = 40  # lines
VALUES = "a value or error type that several modules share"
FUNCTION = "one function that several modules share"
LIBRARY = "the form is a library's: an entry point, or Alembic's"
SHORT_MODULES = {
    "imaging/modality.py": VALUES,
    "service/__main__.py": LIBRARY,
    "service/cli/train.py": "it imports nothing of the node: training runs in a process with other libraries",
    "service/config/checks.py": "one section of the settings",
    "service/config/secrets.py": FUNCTION,
    "service/config/section.py": VALUES,
    "service/config/shipped.py": "it knows where a wheel and a checkout keep things, and nothing of settings",
    "service/config/study_requirements.py": "one section of the settings",
    "service/config/tls.py": "one section of the settings",
    "service/dimse/statuses.py": VALUES,
    "service/errors.py": VALUES,
    "service/monitor/errors.py": VALUES,
    "service/monitor/node_status.py": VALUES,
    "service/monitor/patient_data.py": "the only place where a notification reads patient data",
    "service/receive/context.py": VALUES,
    "service/scu/outcome.py": VALUES,
    "service/send/transport.py": VALUES,
    "service/store/errors.py": VALUES,
    "service/store/files/disk_room.py": FUNCTION,
    "service/store/files/sqlite_copy.py": FUNCTION,
    "service/application/backups.py": "two use cases",
    "service/store/jobs/wanted.py": VALUES,
    "service/store/migrations/env.py": LIBRARY,
    "service/store/migrations/schema_history.py": VALUES,
    "service/store/tables/structure_schema.py": "one table",
    "service/text.py": FUNCTION,
    "imaging/contours/areas.py": FUNCTION,
    "imaging/contours/hole_encoding.py": VALUES,
    "imaging/deidentify/errors.py": VALUES,
    "imaging/deidentify/files.py": FUNCTION,
    "imaging/deidentify/names.py": FUNCTION,
    "imaging/deidentify/options.py": VALUES,
    "imaging/deidentify/terms.py": VALUES,
    "imaging/dicom/uids.py": FUNCTION,
    "imaging/masks/hounsfield.py": VALUES,
    "imaging/outputs/page.py": FUNCTION,
    "imaging/rtstruct/roi_numbers.py": FUNCTION,
    "imaging/sides.py": FUNCTION,
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_short_module_has_a_reason() -> None:
    """One act is not spread over many files: a short one joins its neighbour, or says here why it stands alone."""
    counted = [path for path in MODULES if relative(path).startswith(("service/", "imaging/"))]
    short = {
        relative(path)
        for path in counted
        if len(path.read_text(encoding="utf-8").splitlines()) < SHORTEST
        and path.name != "__init__.py"
        and "migrations/versions" not in relative(path)
    }
    assert short - SHORT_MODULES.keys() == set()


def test_no_public_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(relative(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


OUTPUT = "service/cli/output.py"


def unfiltered_output(source: str) -> list[str]:
    """Ways by which foreign text reaches a terminal as markup or control characters."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if name in ("print", "sys.stdout.write", "Table", "Console") and not (
            name == "Console" and "stderr=True" in ast.unparse(node)
        ):
            found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if relative(p).startswith("service/cli/") and relative(p) != OUTPUT],
    ids=relative,
)
def test_verbs_print_through_one_module(path: Path) -> None:
    assert unfiltered_output(path.read_text(encoding="utf-8")) == []


def test_the_rule_of_output_can_fail() -> None:
    assert unfiltered_output("print(x)\nTable(x)\nsay(x)") == ["1: print", "2: Table"]


NOT_OURS = re.compile(
    r"\b(desks?|lanes?|ledgers?|tally|tallies|parcels?|doors?|pulse|teller|anew|for ever|by itself|is told|are told|was told)\b"
)
"""Words that only their author understands, or that are no idiomatic English (docs/glossary.md has the right ones)."""
REVISED = ("service", "imaging", "inference", "evaluation", "training", "phantoms", "bench", "reliability")


def prose_faults(source: str) -> list[str]:
    return [
        f"{number}: {found.group()}"
        for number, line in enumerate(source.splitlines(), 1)
        for found in NOT_OURS.finditer(line)
    ]


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if p.relative_to(ROOT).parts[0] in REVISED and "migrations" not in p.parts],
    ids=relative,
)
def test_the_glossarys_words_are_used(path: Path) -> None:
    assert prose_faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path",
    sorted(
        path for path in (ROOT / "docs").rglob("*.md") if path.name not in ("glossary.md", "0038-house.md")
    ),
    ids=relative,
)
def test_the_documents_use_the_glossarys_words(path: Path) -> None:
    assert prose_faults(path.read_text(encoding="utf-8")) == []


def test_the_rule_of_words_can_fail() -> None:
    assert prose_faults("desk.lane\nthe peer is told\noutdoors and planes") == [
        "1: desk",
        "1: lane",
        "2: is told",
    ]


NO_DOCUMENTS = ("node_modules", "demo", "runs", "build")
DOCUMENTS = [
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in NO_DOCUMENTS for part in path.relative_to(ROOT).parts)
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_prose_of_documents_is_at_most_120_characters_wide(path: Path) -> None:
    """Tables, code, and what cannot be broken are left as they are."""
    wide, is_code = [], False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        is_code ^= line.startswith("```")
        is_prose = not is_code and not line.startswith(("|", "    ", "![", "# "))
        if is_prose and len(line) > 120 and " " in line.strip()[2:]:
            wide.append(f"{number}: {len(line)} characters")
    assert wide == []
