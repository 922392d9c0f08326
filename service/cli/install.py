"""The verbs `init` (settings for this host, and a system service) and `setup` (the embedded model server)."""

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path

from inference.installation import install_server, prove_server
from service.cli.output import say
from service.config import Settings, settings_file_text, shipped, triton_environment
from service.errors import Refused

SETTINGS_NAME = "settings.toml"
SYSTEM_SETTINGS, SYSTEM_STORAGE = Path("/etc/contour-node"), Path("/var/lib/contour-node")
USER = "contour-node"
PORTS = {"port": 11112, "monitor_port": 9180}
PORTS_TRIED = 100
_UNITS = {
    "deploy/systemd/contour-node.service": Path("/etc/systemd/system/contour-node.service"),
    "deploy/logrotate/contour-node": Path("/etc/logrotate.d/contour-node"),
}


def init(arguments: argparse.Namespace) -> int:
    """Write a settings file for this host; with --system, as root, also set up the user, unit and log rotation."""
    root: Path = arguments.root
    folder = _below(root, SYSTEM_SETTINGS) if arguments.system else arguments.into.absolute()
    storage = SYSTEM_STORAGE if arguments.system else folder / "store"
    file = folder / SETTINGS_NAME
    if file.exists():
        raise Refused(f"{file} exists and is not overwritten; edit it, or move it away first")
    text = settings_file_text(
        storage_dir=storage,
        ae_title=arguments.ae_title,
        tps=arguments.tps,
        ports={name: _free_port(first) for name, first in PORTS.items()},
    )
    if arguments.system:
        os.umask(0o022)  # parent folders created here, such as /etc in an image, are readable by everyone
    if arguments.system and root == Path("/"):
        _make_user()
    folder.mkdir(parents=True, exist_ok=True)
    file.touch(0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")
    say(f"{file} written")
    if arguments.system:
        _install_service(root, file)
    else:
        setup_first = "" if triton_environment().exists() else "contour-node setup, once; then "
        say(f"next: {setup_first}contour-node serve --settings {file}")
    return 0


def _install_service(root: Path, file: Path) -> None:
    words = {
        "@PROGRAM@": _program(),
        "@SETTINGS@": str(SYSTEM_SETTINGS / SETTINGS_NAME),
        "@STORAGE@": str(SYSTEM_STORAGE),
    }
    for source, place in _UNITS.items():
        text = shipped(source).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        target = _below(root, place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o644)
        say(f"{target} written")
    storage = _below(root, SYSTEM_STORAGE)
    storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root == Path("/"):
        for path, mode, owner in (
            (file.parent, "750", f"root:{USER}"),
            (file, "640", f"root:{USER}"),
            (storage, "700", f"{USER}:{USER}"),
        ):
            subprocess.run(["chown", owner, str(path)], check=True)
            subprocess.run(["chmod", mode, str(path)], check=True)
    say("next: contour-node setup, once; then systemctl daemon-reload && systemctl enable --now contour-node")


def _program() -> str:
    """Return the command with which the unit starts this program."""
    called = Path(sys.argv[0]).absolute()
    return f"{sys.executable} -m service" if called.name == "__main__.py" else str(called)


def _make_user() -> None:
    """Create the service's user if it does not exist."""
    if subprocess.run(["id", USER], capture_output=True, check=False).returncode == 0:
        return
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_STORAGE)]
    made = subprocess.run(
        [*command, "--shell", "/usr/sbin/nologin", USER], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise Refused(f"the user {USER} cannot be created: {made.stderr.strip()} (--system needs root)")
    say(f"user {USER} created")


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _free_port(first: int) -> int:
    """Return the first free port from ``first`` on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                probe.listen(1)
            except OSError:
                continue
            return port
    raise Refused(f"no port from {first} to {first + PORTS_TRIED - 1} is free")


def setup(arguments: argparse.Namespace) -> int:
    """Install the embedded model server once, and check that it starts and returns a known tensor unchanged."""
    settings: Settings = arguments.settings_tree
    if not settings.triton.embedded:
        raise Refused(
            "the server at triton.url is installed where it runs; without triton.url the node has its own"
        )
    environment = settings.triton.environment
    requirements = shipped("deploy/triton/requirements.txt")
    is_new = install_server(environment, requirements, python=arguments.python, say=say)
    say(f"the model server is {'' if is_new else 'already '}installed in {environment}")
    prove_server(environment, settings.triton.model_repository)
    say("it starts and returns a known tensor unchanged")
    return 0
