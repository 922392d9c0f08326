"""Isolates the process of a converter: no network, and limits on memory, processor time and the size of files.

The process isolates itself before it reads any foreign byte. Linux only.
"""

import ctypes
import platform
import resource
import sys
from typing import Any

from inference.contract.values import ContractPart

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
# architecture of the audit record, number of the system call socket()
_SOCKET_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_GIB = 2**30


class Limits(ContractPart):
    """The limits of a converter."""

    memory_gib: float = 16.0  # address space
    cpu_s: int = 1800
    file_gib: float = 8.0
    wall_s: float = 3600.0


class NetworkWithout:
    """How the network was blocked, as the user reads it."""

    NAMESPACE = "a network namespace of its own, without devices"
    SECCOMP = "a seccomp filter that refuses sockets"
    HOOK = (
        "Python's own sockets refused; the system offers neither a network namespace nor seccomp here, so native code "
        "could still open one"
    )


def shut_in(limits: Limits) -> str:
    """Apply the limits and block the network for good; return how. Call once, before any thread starts."""
    cpu = int(limits.cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    for kind, gib in (
        (resource.RLIMIT_AS, limits.memory_gib),
        (resource.RLIMIT_FSIZE, limits.file_gib),
        (resource.RLIMIT_CORE, 0.0),
    ):
        resource.setrlimit(kind, (int(gib * _GIB), int(gib * _GIB)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return NetworkWithout.NAMESPACE
    if without_sockets(libc):
        return NetworkWithout.SECCOMP
    sys.addaudithook(_refuse_sockets)
    return NetworkWithout.HOOK


def without_sockets(libc: ctypes.CDLL) -> bool:
    """Install a seccomp filter under which socket() fails with EPERM; return False where there is no support."""
    if platform.machine() not in _SOCKET_CALLS:
        return False
    architecture, number = _SOCKET_CALLS[platform.machine()]
    program = (_Instruction * 6)(
        _Instruction(0x20, 0, 0, 4),  # load the architecture
        _Instruction(0x15, 0, 2, architecture),  # another one: refuse
        _Instruction(0x20, 0, 0, 0),  # load the number of the call
        _Instruction(0x15, 0, 1, number),  # socket(): refuse, else allow
        _Instruction(0x06, 0, 0, 0x00050001),  # EPERM
        _Instruction(0x06, 0, 0, 0x7FFF0000),  # allow
    )
    filters = _Program(6, ctypes.cast(program, ctypes.POINTER(_Instruction)))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filters), 0, 0) == 0)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def _refuse_sockets(event: str, _arguments: tuple[Any, ...]) -> None:
    if event.startswith("socket."):
        raise PermissionError(f"{event}: a converter has no network")
