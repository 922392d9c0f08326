"""Memory of each process of an idle node, and the processor time of its imports.

    python -m bench.processes [--tmp DIR]

Starts a whole node on an empty SQLite database in a temporary folder (its model server too, where .venv-triton is
installed), waits until no process grows any more, and prints one line per process: resident memory, the part that it
shares with no other (USS), and the processor seconds of a fresh Python that imports what it runs. The model
server itself, a child of the role triton, is left out.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from inference.ports import free_ports
from service.supervise import role_command

ROOT = Path(__file__).resolve().parents[1]
TRITON = ROOT / ".venv-triton"
MIB = 1 << 20
QUIET_S, LONGEST_S = 3.0, 120.0
SETTINGS = """
[node]
storage_dir = "{storage}"
[receive]
host = "127.0.0.1"
port = {receive}
[triton]
{server}
environment = "{environment}"
model_repository = "{models}"
[monitor]
port = 0
[audit.syslog]
host = "127.0.0.1"
port = {syslog}
transport = "udp"
[peers.tps]
ae_title = "TPS"
host = "127.0.0.1"
port = 104
[[rules]]
name = "all"
model = "hn_oar"
destinations = ["tps"]
"""
IMPORTS = """
import sys, time
from pkgutil import resolve_name
import service.cli.main
if sys.argv[1] == "serve":
    import service.supervise, service.tls
    resolve_name("service.cli.roles:serve")
elif sys.argv[1] != "--help":
    from service.cli.roles import WITHOUT_DATABASE
    from service.wiring import ROLES
    ROLES[sys.argv[1]]()
    if sys.argv[1] not in WITHOUT_DATABASE:
        import service.audit, service.monitor.heartbeat_thread, service.store
print(time.process_time())
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tmp", type=Path, help="folder for temporary files")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().tmp) as folder:
        memory = node_memory(Path(folder))
    print("| process | resident, MiB | of its own, MiB | imports, s |\n|---|---|---|---|")
    for name, (resident, own) in memory.items():
        print(f"| {name} | {resident} | {own} | {import_s(name):.2f} |")
    print(f"| all | {sum(r for r, _ in memory.values())} | {sum(o for _, o in memory.values())} | |")
    print(f"| `--help` | | | {import_s('--help'):.2f} |")


def node_memory(folder: Path) -> dict[str, tuple[int, int]]:
    """Return resident memory and USS in MiB of each process of an idle node."""
    receive, syslog = free_ports(2)
    file = folder / "node.toml"
    file.write_text(
        SETTINGS.format(
            storage=folder / "store",
            receive=receive,
            syslog=syslog,
            server="" if TRITON.exists() else f'url = "unix:{folder}/none"',
            environment=TRITON,
            models=ROOT / "model_repository",
        )
    )
    with (folder / "log").open("w") as log:
        node = subprocess.Popen(role_command(("serve",), file), cwd=ROOT, stdout=log, stderr=log)
        try:
            return {name: _memory(process) for name, process in _settled(psutil.Process(node.pid)).items()}
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(60)


def import_s(name: str) -> float:
    """Return processor seconds until Python has imported what a process runs, its start included; median of three."""
    command = [sys.executable, "-c", IMPORTS, name]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(run.stdout) for run in runs)


def _settled(serve: psutil.Process) -> dict[str, psutil.Process]:
    """Return the processes of the node by role, once none of them grows."""
    deadline = time.monotonic() + LONGEST_S
    before: dict[str, int] = {}
    while time.monotonic() < deadline:
        time.sleep(QUIET_S)
        found = {"serve": serve} | {child.cmdline()[3]: child for child in serve.children()}
        now = {name: process.memory_info().rss // MIB for name, process in found.items()}
        if len(now) > 6 and now == before:
            return found
        before = now
    raise SystemExit(f"the node was still growing after {LONGEST_S:g} s: {before}")


def _memory(process: psutil.Process) -> tuple[int, int]:
    used = process.memory_full_info()
    return used.rss // MIB, used.uss // MIB


if __name__ == "__main__":
    main()
