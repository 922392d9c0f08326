"""Services of docker-compose.yml without a container engine: their users, mounts and rights, on local programs.

Each service runs in a mount namespace of its own, on a root that holds the system's programs, this Python and the rooms
that `deploy/node/Dockerfile` copies, and that cannot be written. All share one network in which every service's name is
127.0.0.1 and nothing else exists. It needs root, and nothing but util-linux.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.container_root import Plan, as_user

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = Path(__file__).with_name("container_root.py")
DOCKERFILE = REPOSITORY / "deploy/node/Dockerfile"
HOME = "/home/contour"
SYSTEM = ("/bin", "/sbin", "/lib", "/lib64")
NAMESPACES = ("--mount", "--uts", "--net")

# Brings the loopback device up (SIOCSIFFLAGS: IFF_UP) and holds the network until its input ends.
HOLD_NETWORK = """
import fcntl, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))
print("up", flush=True)
sys.stdin.read()
"""


def missing() -> str:
    """Why no container can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "only root can make namespaces"
    tried = subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@dataclass(frozen=True, kw_only=True)
class Service:
    """What docker-compose.yml says of one service of the node."""

    name: str
    uid: int
    gid: int
    command: list[str]
    health_check: list[str]
    tmpfs: list[tuple[str, str]]
    read_only: list[tuple[str, str]]
    volumes: list[tuple[str, str]]  # those that can be written: name of the volume, path in the container

    @property
    def writable(self) -> set[str]:
        """The only places that can be written."""
        return {place for place, _ in self.tmpfs} | {place for _, place in self.volumes}


def services() -> dict[str, Service]:
    """The services of docker-compose.yml that run the node's image."""
    tree = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    return {
        name: _service(name, one) for name, one in tree.items() if one["image"].startswith("contour-node:")
    }


def _service(name: str, tree: Mapping[str, Any]) -> Service:
    uid, gid = tree["user"].split(":")
    mounts = [mount.split(":") for mount in tree["volumes"]]
    assert (tree["read_only"], tree["cap_drop"]) == (True, ["ALL"])
    assert tree["security_opt"] == ["no-new-privileges:true"]
    return Service(
        name=name,
        uid=int(uid),
        gid=int(gid),
        command=["contour-node", *tree["command"]],
        health_check=tree.get("healthcheck", {}).get("test", ["CMD"])[1:],
        tmpfs=[(place, options) for place, options in (mount.split(":") for mount in tree["tmpfs"])],
        read_only=[(str(REPOSITORY / m[0]), m[1]) for m in mounts if m[2:] == ["ro"]],
        volumes=[(m[0], m[1]) for m in mounts if m[2:] != ["ro"]],
    )


@dataclass(frozen=True, kw_only=True)
class Container:
    """A running service; its process is the role itself."""

    service: Service
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the role, with its rights and in its file system, as `docker exec` does."""
        enter = ["nsenter", f"--target={self.process.pid}", *NAMESPACES, "--root", "--wd"]
        return subprocess.run(
            [*enter, *as_user(self.service.uid, self.service.gid, list(command))],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=dict(self.environment),
        )

    def status(self) -> dict[str, str]:
        """What the kernel says of the role's process, by proc(5)'s names."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {key: " ".join(words.split()) for key, _, words in (line.partition(":") for line in lines)}

    def writable_mounts(self) -> set[str]:
        """Where the role's process has a file system mounted that can be written."""
        lines = Path(f"/proc/{self.process.pid}/mountinfo").read_text().splitlines()
        return {line.split()[4] for line in lines if "ro" not in line.split()[5].split(",")}

    def wait(self) -> int:
        """The exit code of a service that ends by itself."""
        return self.process.wait(60)


@dataclass(kw_only=True)
class Pod:
    """Where containers run: their network and their volumes."""

    folder: Path
    network: int  # the process that holds the network
    environment: Mapping[str, str]
    _stack: ExitStack = field(default_factory=ExitStack)

    def volume(self, name: str) -> Path:
        """The folder of a volume."""
        return self.folder / "volumes" / name

    def start(self, service: Service) -> Container:
        """Start a service; it is stopped with the pod."""
        environment = {
            "HOME": HOME,
            "PATH": f"{sys.prefix}/bin:/usr/bin",
            "PYTHONPATH": "/app",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.environment,
        }
        for name, _ in service.volumes:
            if not self.volume(name).exists():
                self.volume(name).mkdir(parents=True)
                os.chown(self.volume(name), service.uid, -1)  # a new volume takes the owner from the image
        plan = json.dumps(asdict(self._plan(service, environment)))
        log = self.folder / f"{service.name}.log"
        with log.open("wb") as file:
            enter = ["nsenter", f"--net=/proc/{self.network}/ns/net", "unshare", "--mount", "--uts"]
            process = subprocess.Popen([*enter, sys.executable, ENTRY, plan], stdout=file, stderr=file)
        self._stack.callback(_stop, process)
        return Container(service=service, process=process, environment=environment, log=log)

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine in the pod's network: a scanner, say."""
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.network}/ns/net", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=REPOSITORY,
        )

    def _plan(self, service: Service, environment: dict[str, str]) -> Plan:
        root = self.folder / "roots" / service.name
        root.mkdir(parents=True)
        return Plan(
            root=str(root),
            hostname=service.name,
            links={path: str(Path(path).readlink()) for path in SYSTEM if Path(path).is_symlink()},
            files={
                "/etc/passwd": f"contour:x:{service.uid}:{service.gid}::{HOME}:/bin/sh\n",
                "/etc/hosts": f"127.0.0.1 localhost {' '.join(_names())}\n",
            },
            owned=[HOME],
            read_only=[*_programs(), *_rooms(), *service.read_only],
            writable=[(str(self.volume(name)), place) for name, place in service.volumes],
            tmpfs=service.tmpfs,
            uid=service.uid,
            gid=service.gid,
            environment=environment,
            command=["/usr/bin/env", *service.command],  # found by PATH, as an engine does
        )


@contextmanager
def running_pod(folder: Path, environment: Mapping[str, str]) -> Iterator[Pod]:
    """A pod whose services get the environment; what still runs at its end is stopped."""
    holder = subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", HOLD_NETWORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        pod = Pod(folder=folder, network=holder.pid, environment=environment)
        with pod._stack:
            yield pod
        holder.stdin.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    finally:
        process.kill()


def _names() -> list[str]:
    return list(yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"])


def _programs() -> list[tuple[str, str]]:
    """This machine's programs and the Python that runs the tests, where they are."""
    places = ["/usr", *(path for path in SYSTEM if not Path(path).is_symlink() and Path(path).exists())]
    for prefix in (sys.base_prefix, sys.prefix, str(Path(sys.prefix).resolve())):
        if not any(Path(prefix).is_relative_to(place) for place in places):
            places.append(prefix)
    return [(place, place) for place in [*places, "/etc/ld.so.cache"]]


def _rooms() -> list[tuple[str, str]]:
    """The rooms that the image gets."""
    copied = [line.split() for line in DOCKERFILE.read_text().splitlines() if line.startswith("COPY ")]
    rooms = [words[1] for words in copied if len(words) == 3 and (REPOSITORY / words[1]).is_dir()]
    return [(str(REPOSITORY / room), f"/app/{room}") for room in rooms]
