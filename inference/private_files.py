"""A child process whose files no other user may open, whatever modes its own code sets.

The shared memory of Triton's python backend holds patients' volumes. It is created by Boost, which sets the mode
0644 with fchmod after shm_open, despite any umask. A seccomp filter, which the kernel passes on to every child and
which needs no privileges, answers fchmod with success and does nothing: the mode that the umask gave stays.
"""

import ctypes
import os
import platform
from pathlib import Path

from inference.child_process import die_with_parent

UMASK = 0o077
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
# linux/audit.h and the system call tables: the architecture's number, and that of fchmod.
_ARCHITECTURES = {"x86_64": (0xC000003E, 91), "aarch64": (0xC00000B7, 52)}
# linux/bpf_common.h, linux/seccomp.h
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _SUCCESS_WITHOUT_EFFECT = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def _program() -> _Program | None:
    if platform.machine() not in _ARCHITECTURES:
        return None
    architecture, fchmod = _ARCHITECTURES[platform.machine()]
    instructions = (_Instruction * 6)(
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT),
        _Instruction(_JUMP_IF_EQUAL, 0, 3, architecture),
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
        _Instruction(_JUMP_IF_EQUAL, 0, 1, fchmod),
        _Instruction(_RETURN, 0, 0, _SUCCESS_WITHOUT_EFFECT),
        _Instruction(_RETURN, 0, 0, _ALLOW),
    )
    return _Program(length=len(instructions), instructions=instructions)


_LIBC = ctypes.CDLL(
    None
)  # loaded, and the program built, before any fork: between fork and exec only plain calls are safe
_PROGRAM = _program()


def keep_private() -> None:
    """Let this process end with its parent, and its files be its user's alone; for a Popen's ``preexec_fn``.

    Where the kernel accepts no filter, the call only sets the umask: check what was created
    (``open_to_others``).
    """
    die_with_parent()
    os.umask(UMASK)
    if _PROGRAM is not None:
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _LIBC.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_PROGRAM), 0, 0)


def open_to_others(folder: Path, pattern: str) -> list[str]:
    """List the files matching a pattern that another user could read or write, with their modes."""
    modes = {path: path.stat().st_mode & 0o777 for path in sorted(folder.glob(pattern))}
    return [f"{path} (mode {mode:04o})" for path, mode in modes.items() if mode & 0o077]
