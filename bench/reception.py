"""How fast images are received: the node, DCMTK's storescp, Orthanc and a bare Python receiver, sent to by storescu.

    python -m bench.reception [--reps 3] [--slices 200] [--associations 1,4] [--peers ours,storescp,orthanc,bare]
        [--bare bare_scp.py] [--data DIR] [--peer 'NAME=COMMAND {port} {out}']
        [--ours NAME=HOST:PORT:AET[:PID]] [--tmp DIR]

Every run of ours, of storescp, of Orthanc and of the bare receiver starts a fresh process on an empty folder; passes
are interleaved; medians are given, with the ratio of ours to each. Ours answers once the file outlasts a power cut and
its row is committed; Orthanc syncs its file (SyncStorageArea, its default); the bare receiver (a few lines of Python
that check nothing) syncs its file and has no database; storescp syncs nothing. TCP_NODELAY=1 is set in their
environment: without it, Nagle's algorithm delays each of their answers by 40 ms and there is nothing to compare. A
run counts only if every image got success.
"""

import argparse
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from inference.ports import free_port

STORESCU, STORESCP = "/usr/bin/storescu", "/usr/bin/storescp"
CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, kw_only=True)
class ReceptionRun:
    """One pass."""

    mb_s: float
    images_s: float
    cpu_s: float
    rss_mib: float
    stored: int


class Watch:
    """CPU seconds and peak resident memory of a process and its children, between two moments."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._cpu_s()
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> float:
        """Return the CPU seconds since the start."""
        cpu_s = self._cpu_s() - self._before
        self._done.set()
        self._thread.join()
        return cpu_s

    def _cpu_s(self) -> float:
        own = self._process.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._process.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return float(total)

    def _look(self) -> None:
        while not self._done.wait(0.05):
            tree = [self._process, *self._process.children(recursive=True)]
            try:
                self.peak_bytes = max(self.peak_bytes, sum(one.memory_info().rss for one in tree))
            except psutil.NoSuchProcess:
                continue


def make_series(folder: Path, number: int, slices: int) -> None:
    """Write a CT series of 512 x 512 noise."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(number)
    for index in range(slices):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(CT)
        meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number + 1}.{index + 1}")
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = Dataset()
        ds.file_meta = meta
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SOPClassUID, ds.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
        ds.Modality, ds.PatientID, ds.PatientName = "CT", f"BENCH{number}", f"Bench^{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.3.{number + 1}", f"1.2.3.{number + 1}.0"
        ds.FrameOfReferenceUID = f"1.2.3.{number + 1}.99"
        ds.InstanceNumber = index + 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2 * index], [1, 0, 0, 0, 1, 0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 512
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.PixelSpacing = 15, 1, [1, 1]
        ds.PixelData = noise.integers(-1000, 1000, (512, 512), np.int16).tobytes()
        ds.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)


def command_of(name: str, port: int, out: Path, extra: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of a receiver."""
    if name == "ours":
        return [sys.executable, "-m", "service", "receive"], {
            "CONTOUR_NODE_NODE__STORAGE_DIR": str(out),
            "CONTOUR_NODE_NODE__LOG_LEVEL": "WARNING",
            "CONTOUR_NODE_RECEIVE__HOST": "127.0.0.1",
            "CONTOUR_NODE_RECEIVE__PORT": str(port),
            "CONTOUR_NODE_RECEIVE__AE_TITLE": "ANY-SCP",
        }
    if name == "storescp":
        options = ["+B", "--fork", "-pdu", "131072", "-od", str(out), str(port)]
        return [STORESCP, *options], {"TCP_NODELAY": "1"}
    if name == "orthanc":
        settings = out / "orthanc.json"
        folders = {"StorageDirectory": str(out), "IndexDirectory": str(out)}
        ports = {"DicomPort": port, "HttpPort": free_port(), "DicomAet": "ANY-SCP"}
        access = {"RemoteAccessAllowed": False, "DicomAlwaysAllowStore": True, "Plugins": []}
        settings.write_text(json.dumps(folders | ports | access))
        return ["Orthanc", str(settings)], {"TCP_NODELAY": "1"}
    if name == "bare":
        return [sys.executable, extra["bare"], str(port), str(out), "--fsync"], {}
    return shlex.split(extra[name].format(port=port, out=out)), {}


@contextmanager
def receiver(name: str, tmp: Path, extra: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Yield port and process id of a fresh receiver on an empty folder."""
    out, port = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=tmp)), free_port()
    command, environment = command_of(name, port, out, extra)
    with (tmp / "peer.log").open("w") as log:
        inherited = {"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(tmp)}
        process = subprocess.Popen(command, env=inherited | environment, stdout=log, stderr=log)
        try:
            wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(60)


def level_the_ground(folders: list[Path]) -> None:
    """Give every run the same start.

    Nothing is left to be written, no memory to be reclaimed, and the images are in the page cache.
    """
    os.sync()
    with suppress(PermissionError):  # only root can
        Path("/proc/sys/vm/drop_caches").write_text("3")
    for file in (file for folder in folders for file in folder.iterdir()):
        file.read_bytes()


def wait_for(port: int) -> None:
    """Return once the port accepts connections; TimeoutError where it never does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
            continue
        time.sleep(0.5)
        return
    raise TimeoutError(f"nobody listens on port {port}")


def send(host: str, port: int, aet: str, folders: list[Path], pid: int | None, tmp: Path) -> ReceptionRun:
    """Send every folder over its own association, all at once."""
    files = [file for folder in folders for file in folder.iterdir()]
    size_bytes = sum(file.stat().st_size for file in files)
    watch = Watch(pid) if pid is not None else None
    logs = [tmp / f"storescu{index}.log" for index in range(len(folders))]
    begin = time.perf_counter()
    senders = []
    for folder, log in zip(folders, logs, strict=True):
        command = [STORESCU, "-v", "-aec", aet, "-pdu", "131072", host, str(port), "+sd", str(folder)]
        with log.open("w") as stream:
            senders.append(subprocess.Popen(command, stdout=stream, stderr=stream))
    for sender in senders:
        sender.wait()
    wall_s = time.perf_counter() - begin
    cpu_s = watch.end() if watch is not None else float("nan")
    return ReceptionRun(
        mb_s=size_bytes / 1e6 / wall_s,
        images_s=len(files) / wall_s,
        cpu_s=cpu_s,
        rss_mib=watch.peak_bytes / 2**20 if watch is not None else float("nan"),
        stored=sum(log.read_text().count("(Success)") for log in logs),
    )


def print_table(runs: dict[tuple[str, int], list[ReceptionRun]], slices: int) -> None:
    """Print a table for each number of associations, fastest first."""
    for count in sorted({count for _, count in runs}):
        rows = sorted(
            ((name, taken) for (name, number), taken in runs.items() if number == count),
            key=lambda row: -statistics.median(run.mb_s for run in row[1]),
        )
        print(f"\n{count} association(s), {slices} images each")
        print("| receiver | MB/s | best | images/s | CPU s | peak MiB | stored | runs |\n" + "|---" * 8 + "|")
        for name, taken in rows:
            middle = [
                statistics.median(getattr(run, key) for run in taken)
                for key in ("mb_s", "images_s", "cpu_s", "rss_mib")
            ]
            best = max(run.mb_s for run in taken)
            stored = min(run.stored for run in taken)
            print(
                f"| {name} | {middle[0]:.0f} | {best:.0f} | {middle[1]:.0f} | {middle[2]:.2f} | {middle[3]:.0f} "
                f"| {stored}/{count * slices} | {len(taken)} |"
            )
        if any(name == "ours" for name, _ in rows):
            print_ratios({name: statistics.median(run.mb_s for run in taken) for name, taken in rows})


def print_ratios(mb_s: dict[str, float]) -> None:
    """Print the ratio of ours to each of the others."""
    others = [f"{mb_s['ours'] / speed:.2f}x {name}" for name, speed in mb_s.items() if name != "ours"]
    print("ours: " + ", ".join(others))


def in_turn(names: list[str], turn: int) -> list[str]:
    """Return the names rotated, so that each comes first in turn."""
    first = turn % max(1, len(names))
    return names[first:] + names[:first]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--associations", default="1,4")
    parser.add_argument("--peers", default="ours,storescp,orthanc,bare")
    parser.add_argument(
        "--bare", default="../shared/bench/cstore/bare_scp.py", help="the bare receiver's program"
    )
    parser.add_argument(
        "--data", type=Path, help="folder with ct0, ct1, ...: one series each; absent: noise is made"
    )
    parser.add_argument("--peer", action="append", default=[], help="NAME=COMMAND {port} {out}")
    parser.add_argument(
        "--ours", action="append", default=[], help="NAME=HOST:PORT:AET[:PID], already running"
    )
    parser.add_argument("--tmp", type=Path, help="where images are made and stored; tmpfs takes the disk out")
    options = parser.parse_args()
    named = dict(peer.split("=", 1) for peer in options.peer)
    extra = {"bare": options.bare, **named}
    running = dict(ours.split("=", 1) for ours in options.ours)
    counts = [int(count) for count in options.associations.split(",")]
    names = [name for name in options.peers.split(",") if name not in ("", "none")]
    runs: dict[tuple[str, int], list[ReceptionRun]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
        tmp = Path(folder)
        data = options.data or tmp
        for number in range(max(counts) if options.data is None else 0):
            make_series(data / f"ct{number}", number, options.slices)
        for turn in range(options.reps):
            for count in counts:
                folders = [data / f"ct{number}" for number in range(count)]
                for name in in_turn([*names, *named], turn):
                    level_the_ground(folders)
                    with receiver(name, tmp, extra) as (port, pid):
                        runs[name, count].append(send("127.0.0.1", port, "ANY-SCP", folders, pid, tmp))
                for name, where in running.items():
                    host, port_text, aet, *rest = where.split(":")
                    pid_given = int(rest[0]) if rest else None
                    runs[name, count].append(send(host, int(port_text), aet, folders, pid_given, tmp))
        print_table(runs, options.slices)


if __name__ == "__main__":
    main()
