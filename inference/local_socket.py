"""Addresses of a Triton server that are Unix sockets: access to the folder decides who may open one."""

import os
from pathlib import Path

SCHEME = "unix:"
ARGUMENTS = (f"--grpc-address={SCHEME}grpc", "--grpc-port=8001")
"""Triton's arguments for a socket in its working directory: it joins address and port to the socket's name."""
_NAME = "grpc:8001"
_LONGEST_PATH = 100  # sockaddr_un has room for 107 bytes


def embedded_url(working_directory: Path) -> str:
    """Return the address of the embedded server that runs in a folder."""
    return f"{SCHEME}{working_directory.absolute() / _NAME}"


class ChannelTarget:
    """The target of a gRPC channel for any address; close it after the channel.

    A path that is too long for a socket address is reached through its folder, which is open until ``close``.
    """

    def __init__(self, url: str) -> None:
        """Make the target of ``url``, which is host:port or ``unix:<absolute path>``."""
        self.target = url
        self._folder: int | None = None
        path = Path(url.removeprefix(SCHEME))
        if not url.startswith(SCHEME) or len(os.fsencode(path)) <= _LONGEST_PATH or not path.parent.is_dir():
            return
        self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.target = f"{SCHEME}/proc/self/fd/{self._folder}/{path.name}"

    def close(self) -> None:
        """Close the folder."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
