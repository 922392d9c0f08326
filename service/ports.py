"""A TCP port that is in use: reported with its setting and, if /proc tells, the process that has it."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import Refused

_LISTENING = "0A"
_CANNOT = {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}


@contextmanager
def port_named(host: str, port: int, setting: str) -> Iterator[None]:
    """Turn the failure to listen on a port into Refused, naming the port, its setting and the process that has it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        raise Refused(
            f"cannot listen on {host}, port {port} ({setting}): {_why(error, port, setting)}"
        ) from error


def expect_free(host: str, port: int, setting: str) -> None:
    """Return if it is possible to listen on the port now; raise Refused otherwise."""
    with port_named(host, port, setting):
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)


def _why(error: OSError, port: int, setting: str) -> str:
    if error.errno == errno.EACCES:
        return (
            "ports below 1024 need a privilege: set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or choose "
            f"a higher {setting}"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    holder = holder_of(port)
    return f"it is in use by {holder or 'another process'}; end that, or choose another {setting}"


def holder_of(port: int) -> str | None:
    """Name the process that listens on a port; None if /proc does not tell, as for another user's process."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in Path("/proc").iterdir() if inodes else ():
        if process.name.isdigit() and not inodes.isdisjoint(_open_files(process)):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                command = b" ".join(words).decode("utf-8", errors="replace").strip()
                return f"process {process.name} ({command[:120]})"
    return None


def _open_files(process: Path) -> Iterator[str]:
    """Yield the open files of a process; nothing if it belongs to another user or has ended."""
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                yield str(link.readlink())


def _listening(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]
