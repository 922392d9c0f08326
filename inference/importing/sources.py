"""A foreign folder or zip, checked before anything of it is used: names, kinds and sizes of files."""

import json
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from inference.errors import ImportRefused

MOST_FILES = 20_000
MOST_BYTES = 16 * 2**30
MOST_RATIO = 200  # of a zip entry, unpacked over packed; weights and JSON are far below
LONGEST_JSON = 64 * 2**20
_COPY = 2**20


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """The regular files of a source, by their path inside it with forward slashes."""

    name: str
    files: dict[str, Path]

    def path(self, name: str) -> Path:
        """Return a file's path on disk; ImportRefused where there is none."""
        if name not in self.files:
            raise ImportRefused(f"{self.name}: no file {name}")
        return self.files[name]

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a JSON file; ImportRefused where it is not one, or is larger than 64 MiB."""
        file = self.path(name)
        if file.stat().st_size > LONGEST_JSON:
            raise ImportRefused(
                f"{self.name}: {name} is larger than {LONGEST_JSON} bytes, too large for JSON"
            )
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ImportRefused(f"{self.name}: {name} is not valid JSON: {error}") from error
        if not isinstance(content, dict):
            raise ImportRefused(f"{self.name}: {name} holds {type(content).__name__}, expected an object")
        return content

    def ending(self, name: str) -> list[str]:
        """Return the paths of all files with this name, in order."""
        return sorted(path for path in self.files if PurePosixPath(path).name == name)

    def under(self, folder: str) -> "SourceFiles":
        """Return the files below a folder, by their path there; "" means the whole source."""
        if not folder:
            return self
        files = {
            str(PurePosixPath(path).relative_to(folder)): file
            for path, file in self.files.items()
            if PurePosixPath(path).is_relative_to(folder)
        }
        return SourceFiles(name=f"{self.name}/{folder}", files=files)


@contextmanager
def opened(source: Path, scratch: Path) -> Iterator[SourceFiles]:
    """Check a folder, a zip (unpacked into ``scratch``) or a single file, and yield its files.

    Raises ImportRefused, and unpacks nothing, for links, devices, paths that lead out of the source, and sizes beyond
    the limits.
    """
    if source.is_symlink() and not source.exists():
        raise ImportRefused(f"{source}: a link to nothing")
    if source.is_dir():
        yield SourceFiles(name=source.name, files=_folder(source))
    elif not source.is_file():
        raise ImportRefused(f"{source}: no such file or folder")
    elif source.suffix.lower() == ".zip":
        yield SourceFiles(name=source.name, files=_unpacked(source, scratch / "unpacked"))
    else:
        yield SourceFiles(name=source.name, files={source.name: source})


def _folder(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    total = 0
    for path in folder.rglob("*"):
        status = path.lstat()
        inside = path.relative_to(folder).as_posix()
        if stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            kind = "a link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
            raise ImportRefused(
                f"{folder.name}: {inside} is {kind}; copy the model's own files into a folder"
            )
        files[inside] = path
        total += status.st_size
        _expect_in_limits(folder.name, len(files), total)
    return files


def _unpacked(file: Path, target: Path) -> dict[str, Path]:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            total = 0
            for count, entry in enumerate(entries, start=1):
                _expect_harmless(file.name, entry)
                total += entry.file_size
                _expect_in_limits(file.name, count, total)
            return {entry.filename: _extracted(archive, entry, target, file.name) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ImportRefused(f"{file.name}: not a readable zip: {error}") from error


def _expect_harmless(name: str, entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    where = f"{name}: entry {entry.filename!r}"
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        raise ImportRefused(f"{where} leads out of the archive")
    mode = entry.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise ImportRefused(f"{where} is not a regular file")
    if entry.file_size > MOST_RATIO * max(entry.compress_size, 1) and entry.file_size > _COPY:
        raise ImportRefused(f"{where} would unpack to {entry.file_size} bytes from {entry.compress_size}")


def _expect_in_limits(name: str, count: int, total: int) -> None:
    if count > MOST_FILES:
        raise ImportRefused(f"{name}: more than {MOST_FILES} files")
    if total > MOST_BYTES:
        raise ImportRefused(f"{name}: more than {MOST_BYTES // 2**30} GiB: no model of this kind is so large")


def _extracted(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, name: str) -> Path:
    place = target / entry.filename
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as packed, place.open("xb") as out:
        while block := packed.read(_COPY):
            written += len(block)
            if written > entry.file_size:
                raise ImportRefused(f"{name}: entry {entry.filename!r} is larger than it says")
            out.write(block)
    if written != entry.file_size:
        raise ImportRefused(
            f"{name}: entry {entry.filename!r} holds {written} bytes and says {entry.file_size}"
        )
    return place
