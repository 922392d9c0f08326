"""Arguments of the verbs for maintenance: `backup`, `restore`, `recover`, `forget`."""

import argparse
from pathlib import Path


def backup(made: argparse.ArgumentParser, back: argparse.ArgumentParser) -> None:
    """Add the arguments of the verbs `backup` and `restore`."""
    made.add_argument("folder", type=Path, help="folder of all backups; each gets its own subfolder")
    made.add_argument(
        "--images",
        action="store_true",
        help="also the stored files; files of earlier backups are not copied again",
    )
    back.add_argument("backup", type=Path, help="the folder of one backup, with its backup.json")


def recover(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `recover`."""
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "--hold", action="store_true", help="cancel jobs that may have been delivered before, and continue"
    )
    which.add_argument(
        "--deliver", action="store_true", help="contour and deliver all jobs, again if need be"
    )


def forget(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `forget`."""
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("--series", metavar="UID", help="this Series Instance UID")
    what.add_argument(
        "--patient", metavar="ID", help="every series with an image of this Patient ID (0010,0020)"
    )
    verb.add_argument(
        "--reason", type=_words, help="why; recorded in the audit trail, so do not name a patient"
    )
    verb.add_argument("--dry-run", action="store_true", help="list what would be removed; remove nothing")


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("give a reason")
    return text.strip()
