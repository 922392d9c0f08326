"""Another user of this host, without rights.

What a colleague's account, or a hijacked service, could do to the node.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UID = 64321
SYSTEM_PYTHON = Path("/usr/bin/python3")


def second_user(code: str, *arguments: object) -> str:
    """What a Python program prints that runs as another user; skips where there can be none."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None or not SYSTEM_PYTHON.exists():
        pytest.skip("a second user takes root, setpriv and /usr/bin/python3")
    ran = subprocess.run(
        ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", SYSTEM_PYTHON, "-I", "-c", code,
         *map(str, arguments)],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="contour-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


READABLE_OR_WRITABLE = """
import os, sys
from pathlib import Path
for pattern in sys.argv[2:]:
    for path in sorted(Path(sys.argv[1]).rglob(pattern)):
        for right, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY)):
            try:
                os.close(os.open(path, flags))
            except OSError:
                continue
            print(right, path)
"""
"""Prints what it could open of a folder, by patterns of names."""
