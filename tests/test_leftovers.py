"""What a test leaves behind is found, and by the session that it belongs to."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inference.shared_region import SharedRegion
from tests import plugin_leftovers
from tests.plugin_leftovers import MARK, leftovers


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_leftovers, "PATIENCE_S", 0.5)


def test_a_process_is_found_by_its_mark_even_where_its_parent_is_gone() -> None:
    orphan = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=-3, stderr=-3).pid)"
    made = subprocess.run(
        [sys.executable, "-c", orphan],
        env={**os.environ, MARK: "this"},
        capture_output=True,
        text=True,
        check=True,
    )
    process_id = int(made.stdout)
    try:
        assert any(line.startswith(f"process {process_id}: ") for line in leftovers("this"))
        assert not any(str(process_id) in line for line in leftovers("another"))
    finally:
        os.kill(process_id, 9)
    assert not any(str(process_id) in line for line in leftovers("this"))


def test_the_fork_server_of_multiprocessing_is_no_leftover_but_what_it_started_is() -> None:
    program = (
        "import multiprocessing as m, os, time\n"
        "from tests import plugin_leftovers as p\n"
        "p.PATIENCE_S = 0.5\n"
        "if __name__ == '__main__':\n"
        "    child = m.get_context('forkserver').Process(target=time.sleep, args=(60,))\n"
        "    child.start()\n"
        "    print(len(p.leftovers('this')))\n"
        "    child.kill(); child.join()\n"
        "    print(len(p.leftovers('this')))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, MARK: "this"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.split() == ["1", "0"], made.stderr


@pytest.mark.parametrize(
    ("left", "processes", "wanted", "code"),
    [
        ("pass", ["-n", "1"], ["--require-clean"], 0),
        ("subprocess.Popen(['sleep', '8'])", ["-n", "1"], ["--require-clean"], 1),
        ("subprocess.Popen(['sleep', '8'])", [], [], 0),
    ],
)
def test_a_run_that_must_be_clean_fails_by_what_was_left_and_by_nothing_else(
    tmp_path: Path, left: str, processes: list[str], wanted: list[str], code: int
) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests import plugin_leftovers\n"
        "plugin_leftovers.PATIENCE_S = 0.5\n"
        "pytest_plugins = ['tests.plugin_leftovers']\n",
        encoding="utf-8",
    )
    (tmp_path / "test_it.py").write_text(f"import subprocess\ndef test_it():\n    {left}\n", encoding="utf-8")
    options = ["-q", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *processes, *wanted, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert ("sleep 8" in run.stdout, "left behind" in run.stdout) == (left != "pass", left != "pass")


def test_a_listening_socket_and_a_region_of_shared_memory_are_found() -> None:
    before = set(leftovers("none"))
    with socket.create_server(("127.0.0.1", 0)) as server, SharedRegion(4096) as region:
        found = set(leftovers("none")) - before
        assert any(str(server.getsockname()[1]) in line for line in found)
        assert any(region.name in line for line in found)
    assert set(leftovers("none")) == before
