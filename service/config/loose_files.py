"""Files that the node trusts but that somebody else could change, and secrets that somebody else could read."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import BaseModel

from service.config.settings import Settings

_SECRETS = ("_file", "key")  # endings of settings that name a secret's file


def loose_files(settings_file: Path | None, settings: Settings) -> list[str]:
    """Say for each file and folder in the settings what another user could do to it, and the remedy."""
    storage = settings.node.storage_dir
    trusted = {0, os.geteuid()}
    if os.geteuid() == 0 and storage.exists():
        trusted.add(storage.stat().st_uid)  # run by root: the node's own user may change the node's files
    found = (
        [] if settings_file is None else list(_loose(settings_file.absolute(), "the settings file", trusted))
    )
    for key, path in _paths(settings, ""):
        is_secret = key.endswith(_SECRETS)
        if is_secret or key.endswith(("certificate", "ca", "template")):
            found += _loose(path, key, trusted, is_secret=is_secret)
    found += _loose(storage, "node.storage_dir", trusted, is_secret=True)
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


def _loose(path: Path, setting: str, trusted: Collection[int], *, is_secret: bool = False) -> Iterator[str]:
    try:
        status, folder = path.stat(), path.parent.stat()
    except OSError:
        return  # the part that reads it reports that it is missing
    mode = stat.S_IMODE(status.st_mode)
    name = f"{path} ({setting}, mode {mode:04o})"
    if status.st_uid not in trusted:
        yield f"{name} belongs to user {status.st_uid}, who can change it: chown root {path}"
    if mode & 0o022:
        yield f"{name} can be changed by other users: chmod go-w {path}"
    if is_secret and mode & 0o007:
        yield f"{name} is open to every user: chmod o= {path}"
    if folder.st_uid not in trusted or (folder.st_mode & 0o002 and not folder.st_mode & stat.S_ISVTX):
        yield f"{name} is in a folder in which another user can replace it: {path.parent}"
