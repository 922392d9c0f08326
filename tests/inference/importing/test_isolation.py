"""What a converter's process cannot do: reach the network, grow without end; and what it is not told."""

import subprocess
import sys

import pytest

TRIES = """
import os, socket, sys
{before}
from inference.importing.isolation import Limits, NetworkWithout, shut_in
how = shut_in(Limits(memory_gib=4, cpu_s=60, file_gib=0.001))
print(how)
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=2)
    print("REACHED")
except OSError as error:
    print("refused", type(error).__name__)
try:
    bytearray(6 * 2**30)
    print("LARGE")
except MemoryError:
    print("no memory")
try:
    with open(sys.argv[1], "wb") as file:
        for _ in range(64):
            file.write(bytes(2**16))
            file.flush()
    print("WROTE")
except OSError:
    print("no room")
"""
WITHOUT_NAMESPACES = """
import ctypes
class Libc:
    def __init__(self, real): self.prctl = real.prctl
    def unshare(self, flags): return -1
real = ctypes.CDLL
ctypes.CDLL = lambda *words, **more: Libc(real(*words, **more))
"""
WITHOUT_ANYTHING = WITHOUT_NAMESPACES.replace("self.prctl = real.prctl", "self.prctl = lambda *_: -1")


@pytest.mark.network
@pytest.mark.parametrize(
    ("before", "how"),
    [
        ("", "network"),
        (WITHOUT_NAMESPACES, "seccomp"),
        (WITHOUT_ANYTHING, "native code could still open one"),
    ],
    ids=["as it is here", "without namespaces", "without anything"],
)
def test_the_network_is_out_of_reach_and_limits_hold(tmp_path, before: str, how: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = TRIES.format(before=before, port=listening.getsockname()[1])
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "file")], capture_output=True, text=True, timeout=120
        )
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stderr
    assert how in lines[0] or not before
    assert lines[1].startswith("refused")
    assert lines[2:] == ["no memory", "no room"]
