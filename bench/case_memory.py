"""Peak memory of one case, measured over node and model server, beside the estimate by which cases are admitted.

    .venv/bin/python -m bench.case_memory [--models hn_oar ...] [--shapes 100x512x512 ...]

Measured is the anonymous memory of the client's, the server's and its models' processes above its level before the
case, and the size of the shared memory. The body fills four fifths of each slice: no scanner sends a worse case.
"""

import argparse
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from inference.case_memory import memory_need_bytes
from inference.child_process import children_of
from inference.client import TritonClient
from inference.contract import load_contracts
from inference.embedded import EmbeddedTriton
from inference.segment import segment
from inference.shared_memory_files import FOLDER

ROOT = Path(__file__).resolve().parents[1]
GB = 1e9
SPACING_MM = (2.5, 0.8, 0.8)
EVERY_S = 0.05
AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["hn_oar", "phantom_lung_gtv", "phantom_cervix_ctv"])
    parser.add_argument("--shapes", nargs="+", default=["60x512x512", "200x512x512", "60x1024x1024"])
    arguments = parser.parse_args()
    contracts = load_contracts(ROOT / "model_repository")
    print("| model | slices x rows x columns | measured, GB | estimated, GB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for text in arguments.shapes:
                z, y, x = (int(part) for part in text.split("x"))
                contract = contracts[model]
                volume = whole_body((z, y, x))
                with (
                    EmbeddedTriton(
                        python_environment=ROOT / ".venv-triton",
                        model_repository=ROOT / "model_repository",
                        working_directory=Path(folder),
                    ) as server,
                    TritonClient(server.url, shared_memory=True, timeout_s=3600) as client,
                ):
                    client.models.make_ready(contract)
                    with Peak(server.process_id) as peak:
                        segment(volume, contract, client)
                estimate = memory_need_bytes(contract, volume.grid)
                print(f"| {model} | {text} | {peak.bytes / GB:.2f} | {estimate / GB:.2f} |", flush=True)


def whole_body(shape_zyx: tuple[int, int, int]) -> Volume:
    """Make a block of soft tissue with noise and bone, in air (HU)."""
    rng = np.random.default_rng(0)
    array = np.full(shape_zyx, -1000, np.int16)
    _, y, x = shape_zyx
    inside = np.s_[:, y // 20 : -y // 20, x // 20 : -x // 20]
    array[inside] = rng.integers(-60, 120, array[inside].shape, np.int16)
    array[:, y // 2 : y // 2 + 20, x // 2 : x // 2 + 20] = 800
    grid = Grid(shape_zyx=shape_zyx, spacing_zyx_mm=SPACING_MM, origin_lps=(0.0, 0.0, 0.0), axes_lps=AXES)
    return Volume(array_zyx=array, grid=grid)


class Peak:
    """The peak of memory above its level at the start, while the context is open."""

    def __init__(self, server: int) -> None:
        self._pids = [psutil.Process().pid, server, *children_of(server)]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.bytes = 0

    def __enter__(self) -> "Peak":
        self._first = self._now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(EVERY_S):
            self.bytes = max(self.bytes, self._now() - self._first)

    def _now(self) -> int:
        shared = sum(path.stat().st_blocks * 512 for path in FOLDER.glob("contour-*") if path.exists())
        return shared + sum(_anonymous_bytes(pid) for pid in self._pids)


def _anonymous_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
