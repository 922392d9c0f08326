"""How fast images are taken in by STOW-RS, beside C-STORE of the same images to the same node; and memory.

    python -m bench.stow [--reps 3] [--slices 100] [--tmp DIR]

The roles `receive` and `web` run at once over one storage folder; each pass sends a series of its own by storescu, on
one association, and then another by STOW-RS, in one request. Figures are medians; the processor time is the role's.
"""

import argparse
import http.client
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.reception import STORESCU, Watch, make_series
from inference.ports import free_port
from service.application import Actor, ActorKind, ActorRole, TokenScope, create_token
from service.config import load_settings
from service.store import Database, upgrade
from service.supervise import role_command

ADMIN = Actor(kind=ActorKind.PERSON, name="bench", role=ActorRole.ADMIN, entry="cli", sees_patients=True)
BOUNDARY = "bench"
STARTS_WITHIN_S = 60


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One series sent."""

    seconds: float
    cpu_s: float
    peak_bytes: int


def main() -> None:
    """Send, and print the medians with their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--tmp", type=Path, help="where the storage folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.tmp) as folder:
        _measure(Path(folder).resolve(), arguments.reps, arguments.slices)


def _measure(folder: Path, reps: int, slices: int) -> None:
    ports = {"receive": free_port(), "web": free_port()}
    settings_file, token = _made(folder, ports)
    roles = {role: subprocess.Popen(role_command((role,), settings_file)) for role in ports}
    passes: dict[str, list[Pass]] = {role: [] for role in roles}
    try:
        for port in ports.values():
            wait_for(port)
        for number in range(2 * (reps + 1)):
            role = list(roles)[number % 2]
            series = folder / f"{number}"
            make_series(series, number, slices)
            watch, began = Watch(roles[role].pid), time.monotonic()
            _send_all(series, ports[role]) if role == "receive" else _post_all(series, ports[role], token)
            seconds = time.monotonic() - began
            passes[role].append(Pass(seconds=seconds, cpu_s=watch.end(), peak_bytes=watch.peak_bytes))
    finally:
        for process in roles.values():
            process.terminate()
            process.wait()
    for role, name in (("receive", "C-STORE"), ("web", "STOW-RS")):
        counted = passes[role][1:]  # the first pass of each warms up
        print(
            f"{name}: {slices / statistics.median(one.seconds for one in counted):6.1f} images/s, "
            f"{statistics.median(one.cpu_s for one in counted) / slices * 1000:5.2f} ms of the processor an image, "
            f"at most {max(one.peak_bytes for one in counted) >> 20} MiB"
        )
    pairs = list(zip(passes["receive"], passes["web"], strict=True))[1:]
    ratios = [posted.seconds / sent.seconds for sent, posted in pairs]
    said = ", ".join(f"{one:.2f}" for one in ratios)
    print(f"STOW-RS takes {statistics.median(ratios):.2f} times as long ({said})")


def _made(folder: Path, ports: dict[str, int]) -> tuple[Path, str]:
    """Return the settings of a new node, and a token that may store."""
    settings_file = folder / "node.toml"
    settings_file.write_text(
        f'[node]\nstorage_dir = "{folder / "store"}"\nlog_level = "WARNING"\n'
        f'[receive]\nhost = "127.0.0.1"\nport = {ports["receive"]}\n[web]\nport = {ports["web"]}\n'
    )
    settings = load_settings(settings_file, {})
    settings.node.storage_dir.mkdir()
    upgrade(settings.database_url)
    database = Database(settings.database_url)
    made = create_token(database, ADMIN, "BENCH", [TokenScope.DICOMWEB_STORE], days=1)
    database.close()
    return settings_file, made.secret


def wait_for(port: int) -> None:
    """Wait until a role listens on a port of this machine; RuntimeError if it does not within a minute."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"a role does not listen within {STARTS_WITHIN_S} s")


def _send_all(series: Path, port: int) -> None:
    command = [
        "env",
        "TCP_NODELAY=1",  # without it each answer waits 40 ms
        STORESCU,
        "-aec",
        "CONTOURNODE",
        "-xe",
        "-pdu",
        "131072",
        "+sd",
        "127.0.0.1",
        str(port),
        str(series),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _post_all(series: Path, port: int, token: str) -> None:
    def body() -> Iterator[bytes]:
        for file in sorted(series.iterdir()):
            yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            yield file.read_bytes()
            yield b"\r\n"
        yield f"--{BOUNDARY}--\r\n".encode()

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
    }
    connection.request("POST", "/dicom-web/studies", body=body(), headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise RuntimeError(f"not all are kept: {answer.status} {answer.read()[:500]!r}")
    connection.close()


if __name__ == "__main__":
    main()
