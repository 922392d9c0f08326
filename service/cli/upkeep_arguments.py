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


def rules(verb: argparse.ArgumentParser) -> None:
    """Add the acts of the verb `rules`."""
    acts = verb.add_subparsers(dest="act", required=True, metavar="ACT")
    listed = acts.add_parser("list", help="the versions and drafts, newest first, and which is active")
    listed.add_argument("--limit", type=int, default=50, help="most rows (default: 50)")
    listed.add_argument("--json", action="store_true", help="print JSON")
    show = acts.add_parser("show", help="print the active rules, or those of a version")
    show.add_argument("number", type=int, nargs="?", help="the version (default: the active one)")
    show.add_argument("--diff", action="store_true", help="what it would change in the active ones")
    check = acts.add_parser("check", help="what is wrong with a file of [[rules]], by line and column")
    draft = acts.add_parser(
        "draft", help="keep a file of [[rules]] as a draft, with its faults if it has any"
    )
    for act in (check, draft):
        act.add_argument("file", type=Path, help="TOML with [[rules]] and nothing else")
    draft.add_argument("--reason", default="", help="why")
    discard = acts.add_parser("discard", help="end a draft")
    back = acts.add_parser("rollback", help="activate an earlier version again, as a new one")
    for act in (discard, back):
        act.add_argument("number", type=int, help="its number")
    activate = acts.add_parser(
        "activate", help="activate a file of [[rules]], or a draft, from the next job on"
    )
    activate.add_argument("file", type=Path, nargs="?", help="TOML with [[rules]] and nothing else")
    activate.add_argument("--draft", type=int, metavar="N", help="this draft, as it is")
    adopt = acts.add_parser("adopt", help="activate the rules of the settings file, as they are now")
    for act in (back, activate, adopt):
        act.add_argument(
            "--reason", type=_words, required=True, help="why; history and audit trail keep it, so no patient"
        )
        act.add_argument(
            "--seen", type=int, metavar="N", help="refuse if another version than this one is active by now"
        )
