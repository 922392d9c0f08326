"""Pytest in a fork of a process that has already imported the libraries: a run costs no more than its tests."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# Nothing of this project, and no pytest plugin or what imports one (starlette: anyio): pytest would object.
LIBRARIES = (
    *(
        "pytest",
        "numpy",
        "scipy.ndimage",
        "scipy.spatial",
        "scipy.stats",
        "pydicom.pixels",
        "pynetdicom",
        "PIL.Image",
    ),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "alembic.command", "psycopg"),
    *("pydantic", "jinja2", "requests"),
)
KILLED = -signal.SIGKILL


def run_warm(arguments: Sequence[str], copy: Path, log: Path, limit_s: float) -> int:
    """Run pytest in a copy of the checkout; return its exit code, or KILLED if it ran past `limit_s`.

    Whatever the tests started in their process group ends with them.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    process = context.Process(target=_run, args=(list(arguments), copy, log))
    process.start()
    process.join(limit_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return KILLED if process.exitcode is None else process.exitcode


def _run(arguments: list[str], copy: Path, log: Path) -> None:
    os.setsid()
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(copy)  # noqa: TID251  (as a run of pytest there has it)
    os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1")  # noqa: TID251  (for what tests start)
    sys.dont_write_bytecode = True
    root = Path(__file__).parents[1]
    sys.path[:] = [str(copy), *(one for one in sys.path if Path(one).resolve() != root)]
    own = {one.name for one in copy.iterdir()}
    for name in [one for one in sys.modules if one.partition(".")[0] in own]:
        del sys.modules[name]
    import pytest

    code = int(pytest.main(arguments))
    sys.stdout.flush()
    os._exit(code)  # threads that a failed test left must not delay it
