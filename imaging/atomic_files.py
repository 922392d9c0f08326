"""Files that are replaced as a whole: a reader finds the old file or the new one, and so does the next start.

Every module outside `service` that writes a file which outlives its process writes it here. Files of the node's own
storage folder are written by `service.store.files`, which holds locks on them and names what a full disk raises.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """Yield a temporary path in the file's folder; when the block ends, give what was written there the file's name.

    The bytes and the name are on the disk when this returns. Where the block raises, the temporary file is removed and
    ``file`` is as it was. The temporary name holds the process id: two processes may write the same file, and the last
    one wins.

    Raises:
        OSError: the folder is missing, the disk is full, or nothing was written to the temporary path.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield part
        _sync(part)
        part.replace(file)
        _sync(file.parent)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(file: Path, text: str) -> None:
    """Write a text as UTF-8 in place of whatever the file held; raises OSError as ``atomic_file`` does."""
    with atomic_file(file) as part:
        part.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
