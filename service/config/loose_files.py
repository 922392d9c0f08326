"""Files that the node believes and that somebody else could change, and secrets that somebody else could read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from service.config.settings import Settings

_SECRETS = ("_file", "key")  # how the names of settings end that name a secret's file


def loose_files(settings_file: Path | None, settings: Settings) -> list[str]:
    """Say for each file and folder of the settings what another user could do to it, and the remedy."""
    found = [] if settings_file is None else list(_loose(settings_file.absolute(), "the settings file"))
    for key, path in _paths(settings, ""):
        is_secret = key.endswith(_SECRETS)
        if is_secret or key.endswith(("certificate", "ca", "template")):
            found += _loose(path, key, is_secret=is_secret)
    found += _loose(settings.node.storage_dir, "node.storage_dir", is_secret=True)
    return found


def _paths(part: object, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(part, Path):
        yield key, part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _paths(getattr(part, name), f"{key}.{name}".lstrip("."))
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _paths(value, f"{key}.{name}")
    elif isinstance(part, tuple):
        for number, value in enumerate(part):
            yield from _paths(value, f"{key}.{number}")


def _loose(path: Path, setting: str, *, is_secret: bool = False) -> Iterator[str]:
    try:
        status, folder = path.stat(), path.parent.stat()
    except OSError:
        return  # whoever reads it says that it is missing
    mode = stat.S_IMODE(status.st_mode)
    name = f"{path} ({setting}, mode {mode:04o})"
    if not _is_trusted(status.st_uid):
        yield f"{name} belongs to user {status.st_uid}, who can change it: chown root {path}"
    if mode & 0o022:
        yield f"{name} can be changed by other users: chmod go-w {path}"
    if is_secret and mode & 0o007:
        yield f"{name} is open to every user: chmod o= {path}"
    if not _is_trusted(folder.st_uid) or (folder.st_mode & 0o002 and not folder.st_mode & stat.S_ISVTX):
        yield f"{name} stands in a folder in which another user can put something in its place: {path.parent}"


def _is_trusted(user: int) -> bool:
    return user in {0, os.geteuid()}
