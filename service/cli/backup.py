"""The verbs `backup` and `restore`."""

import argparse
from collections import Counter
from collections.abc import Sequence

from service.application import back_up, restore_backup
from service.cli.audit import administrator
from service.cli.output import say, say_json
from service.components import opened_store
from service.config import Settings
from service.store import NamedFile, read_backup
from service.store.files.owner import owned
from service.store.objects import StoredContent


def backup(arguments: argparse.Namespace) -> int:
    """Back up the running node; return 1 and name the files if stored files are missing."""
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        made = back_up(
            store.database,
            settings.database_url,
            store.content,
            administrator(),
            arguments.folder,
            with_images=arguments.images,
        )
    if arguments.json:
        say_json({**vars(made), "folder": str(made.folder), "missing": [vars(one) for one in made.missing]})
    else:
        images = (
            f"{made.files_copied} files copied, {made.files_kept} in earlier backups"
            if arguments.images
            else "no images"
        )
        say(f"{made.folder}: the database, {images}")
        _say_missing(made.missing)
    return 1 if made.missing else 0


def restore(arguments: argparse.Namespace) -> int:
    """Restore a node from a backup; return 1 and name the files if stored files are missing."""
    settings: Settings = arguments.settings_tree
    found, root = read_backup(arguments.backup), settings.node.storage_dir
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with owned(root, alone=True):  # no node may start while this runs
        content = StoredContent.in_folder(root)
        report = restore_backup(settings.database_url, content, administrator(), found)
    if arguments.json:
        say_json({**vars(report), "missing": [vars(one) for one in report.missing]})
    else:
        say(
            f"restored the database of {found.made_at}: {report.files_there} stored files were there, {report.files_copied} "
            f"copied, {len(report.missing)} missing, {report.unknown} without a row"
        )
        _say_missing(report.missing)
        say("the node is held: start it, then decide with `contour-node recover`")
    return 1 if report.missing else 0


def _say_missing(missing: Sequence[NamedFile]) -> None:
    for owner, number in sorted(Counter(one.belongs_to for one in missing).items()):
        say(f"missing: {number} files of {owner}")
