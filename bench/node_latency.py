"""From the last slice received to the structure set delivered, for a 512x512x200 CT: stage by stage, and memory.

    .venv/bin/python -m bench.node_latency --out runs/node_latency --repeat 3

Each run sends a different phantom patient to one node on embedded defaults (quiet time 3 s, no GPU). Memory is the
proportional set size of the node's processes together, sampled ten times a second, and the shared memory through
which the volume travels.
"""

import argparse
import itertools
import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from shutil import rmtree

import psutil
from pydicom import dcmread

from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from phantoms.head_neck import head_neck_grid, make_head_neck
from service.components import opened_store
from service.demo.node import ended_job, running_node
from service.demo.peers import running_tps, send_series
from service.store import EventKind, JobRepository, JobState, JobStatus

MIB = 2**20


def main() -> None:
    """Print one JSON row per run, then the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--slices", type=int, default=200)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rmtree(arguments.out / "node", ignore_errors=True)
    grid = head_neck_grid(shape_zyx=(arguments.slices, 512, 512), spacing_zyx_mm=(2.0, 0.9765625, 0.9765625))
    volume = make_head_neck(grid=grid).volume
    rows = []
    with (
        running_tps(arguments.out) as tps,
        running_node(arguments.out / "node", tps.port) as settings,
        opened_store(settings) as store,
    ):
        for number in range(arguments.repeat):
            files = ct_files(volume, CtExport(identity=Identity(patient_id=f"BENCH-{number}")))
            uid = str(dcmread(BytesIO(files[0].data)).SeriesInstanceUID)
            with _memory_watched() as peak:
                send_series(files, settings.receive.port, settings.receive.ae_title, lambda _number: None)
                job = ended_job(store.book, uid, lambda _state: None)
            if job.state is not JobState.DONE:
                raise SystemExit(f"{job.state}: {job.reason}")
            rows.append(_seconds(store.book, job) | {"peak_mib": round(peak[0] / MIB)})
            print(json.dumps(rows[-1]), flush=True)
    stages = dict.fromkeys(key for row in rows for key in row)
    medians = {key: round(statistics.median(row.get(key, 0.0) for row in rows), 2) for key in stages}
    print(json.dumps({"median": medians}))
    (arguments.out / "latency.json").write_text(json.dumps(rows, indent=1))


def _seconds(book: JobRepository, job: JobStatus) -> dict[str, float]:
    """Return the seconds spent in each stage after the last slice, in order; their sum is the total."""
    marks: list[tuple[str, float]] = [("quiet and checks", 0.0)]
    for event in book.events(job.id):
        after = (event.at - job.last_received_at).total_seconds()
        if event.kind is EventKind.STAGE:
            marks.append((event.message, after))
        elif event.kind is EventKind.CLOSED:
            marks.append(("queued", after))
        elif event.kind is EventKind.FINISHED:
            marks.append(("sending", after))
        elif event.kind is EventKind.DONE:
            marks.append(("done", after))
    row: dict[str, float] = {}
    for (name, start), (_, end) in itertools.pairwise(marks):
        row[name] = round(row.get(name, 0.0) + end - start, 3)
    return row | {"total": round(marks[-1][1], 3)}


@contextmanager
def _memory_watched() -> Iterator[list[int]]:
    """Yield a list of one value: the peak of the children's summed memory in bytes while the context is open."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peak[0] = max(peak[0], _memory_bytes())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _memory_bytes() -> int:
    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_full_info().pss
        except psutil.Error:
            continue
    return total


if __name__ == "__main__":
    main()
