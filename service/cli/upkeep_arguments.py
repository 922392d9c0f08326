"""What the verbs take by which an admin keeps the node: backups, recovery, what is forgotten, the clock."""

import argparse
from pathlib import Path


def backup(made: argparse.ArgumentParser, back: argparse.ArgumentParser) -> None:
    """Add the arguments of the verbs `backup` and `restore`."""
    made.add_argument("folder", type=Path, help="folder of all backups; each gets a folder of its own in it")
    made.add_argument(
        "--images", action="store_true", help="the stored files too; those of earlier backups are kept"
    )
    back.add_argument("backup", type=Path, help="the folder of one backup, with its backup.json")


def recover(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `recover`."""
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "--hold", action="store_true", help="cancel what may have been delivered before, and go on"
    )
    which.add_argument(
        "--deliver", action="store_true", help="contour and deliver all of it, again if need be"
    )


def forget(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `forget`."""
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("--series", metavar="UID", help="this Series Instance UID")
    what.add_argument(
        "--patient", metavar="ID", help="every series with an image of this Patient ID (0010,0020)"
    )
    verb.add_argument(
        "--reason", type=_words, help="why; it stands in the audit trail, so name no patient in it"
    )
    verb.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("give a reason")
    return text.strip()
