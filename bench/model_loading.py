"""The embedded model server: seconds to start, memory with nothing loaded, seconds and memory of each model.

    .venv/bin/python -m bench.model_loading --out runs/model_loading

Memory is the proportional set size of the server and its models' processes; processor seconds are those of the model's
process until it was ready. Each model is loaded cold, measured, and unloaded again before the next.
"""

import argparse
import json
import time
from pathlib import Path
from shutil import rmtree

import psutil

from inference.child_process import children_of
from inference.client import TritonClient
from inference.contract import load_contracts
from inference.embedded import EmbeddedTriton

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20


def main() -> None:
    """Print one JSON row for the start and one per model of the repository."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repository", type=Path, default=ROOT / "model_repository")
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    server = EmbeddedTriton(
        python_environment=ROOT / ".venv-triton",
        model_repository=arguments.repository,
        working_directory=arguments.out,
    )
    started = time.monotonic()
    with server, TritonClient(server.url, shared_memory=True, timeout_s=60) as client:
        client.check()
        _print(
            {
                "start_s": _since(started),
                "installed": len(load_contracts(arguments.repository)),
                **_mib(server),
            }
        )
        for name, contract in load_contracts(arguments.repository).items():
            cold = time.monotonic()
            client.models.make_ready(contract)
            _print({"model": name, "cold_s": _since(cold), "cold cpu_s": _cpu_s(server), **_mib(server)})
            client.models.unload(name, contract.version)
        left = time.monotonic()
        while len(children_of(server.process_id)) > 1 and time.monotonic() - left < 60:
            time.sleep(0.2)
        _print({"unloaded": True, "gone_after_s": _since(left), **_mib(server)})


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _mib(server: EmbeddedTriton) -> dict[str, int]:
    process = psutil.Process(server.process_id)
    tree = [process, *process.children(recursive=True)]
    return {"processes": len(tree), "pss_mib": round(sum(p.memory_full_info().pss for p in tree) / MIB)}


def _cpu_s(server: EmbeddedTriton) -> float:
    """Return the processor seconds of the newest model's process since it started."""
    newest = max(children_of(server.process_id), key=lambda pid: psutil.Process(pid).create_time())
    times = psutil.Process(newest).cpu_times()
    return round(float(times.user + times.system), 1)


def _print(row: dict[str, object]) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
