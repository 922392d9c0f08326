"""Run inside new namespaces, as root: makes the file system of a container as told, and becomes its process.

    unshare --mount --uts python container_root.py '<PLAN as JSON>'

Only the standard library: it runs before anything is mounted. The plan's keys are the fields of `Plan`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is where in the container; paths in it are absolute."""

    root: str  # an empty folder outside, on which the container's root is mounted
    hostname: str
    links: dict[str, str]  # path in the container -> target
    files: dict[str, str]  # path in the container -> text
    owned: list[str]  # folders that belong to the user, whatever may be written there
    read_only: list[tuple[str, str]]  # path outside, path in the container
    writable: list[tuple[str, str]]  # the same
    tmpfs: list[tuple[str, str]]  # path in the container, options of mount
    uid: int
    gid: int
    environment: dict[str, str]
    command: list[str]


DEVICES = ("null", "zero", "full", "random", "urandom")


def main(plan: Plan) -> None:
    """Never returns: the process becomes the plan's command."""
    os.umask(0o022)
    socket.sethostname(plan.hostname)
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", plan.root)
    _fill(plan)
    _mount("-o", "remount,bind,ro", plan.root)
    os.chroot(plan.root)
    os.chdir("/")
    os.execve("/usr/bin/setpriv", as_user(plan.uid, plan.gid, plan.command), plan.environment)


def as_user(uid: int, gid: int, command: list[str]) -> list[str]:
    """`cap_drop: [ALL]`, `no-new-privileges` and `user` of docker-compose.yml as one command line."""
    return [
        "/usr/bin/setpriv",
        f"--reuid={uid}",
        f"--regid={gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
        *command,
    ]


def _fill(plan: Plan) -> None:
    for place, target in plan.links.items():
        _inside(plan, place).symlink_to(target)
    for place, text in plan.files.items():
        _inside(plan, place).write_text(text)
    for place in plan.owned:
        _inside(plan, place).mkdir()
        shutil.chown(_inside(plan, place), plan.uid, plan.gid)
    for place, options in plan.tmpfs:
        _inside(plan, place).mkdir()
        _mount("-t", "tmpfs", "-o", options, "tmpfs", str(_inside(plan, place)))
    for source, place in plan.read_only:  # after tmpfs: this Python may lie under /tmp
        _bind(source, _inside(plan, place))
        _mount("-o", "remount,bind,ro", str(_inside(plan, place)))
    for name in DEVICES:
        _bind(f"/dev/{name}", _inside(plan, f"/dev/{name}"))
        _mount("-o", "remount,bind,ro", str(_inside(plan, f"/dev/{name}")))
    _inside(plan, "/proc").mkdir()
    _mount("-t", "proc", "-o", "ro", "proc", str(_inside(plan, "/proc")))
    for source, place in plan.writable:
        _bind(source, _inside(plan, place))


def _inside(plan: Plan, place: str) -> Path:
    path = Path(plan.root) / place.removeprefix("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _bind(source: str, target: Path) -> None:
    if Path(source).is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    _mount("--bind", source, str(target))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
