"""What no linter knows: the size of modules, and DICOM values that would be invented."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("imaging", "inference", "service", "phantoms", "training", "evaluation", "bench", "reliability")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
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
