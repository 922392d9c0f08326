"""The verb `rules`: the active rules, versions, drafts, and changes of the active version."""

import argparse
import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from service.application import RuleOffice
from service.cli.audit import administrator
from service.cli.output import print_table, say, say_json, say_whole
from service.components import Store, model_library, opened_store
from service.config import Settings
from service.config.rules_text import LONGEST_TEXT, rules_text
from service.errors import Refused
from service.rules import RuleBook
from service.store.node.rule_sets import RuleSet, RuleVersions
from service.web.rules.checking import checked, lost_titles

COLUMNS = ("version", "state", "since", "by", "reason")


def run(arguments: argparse.Namespace) -> int:
    """Carry out one act; a text of rules that cannot be activated is refused, with every fault and its place."""
    settings: Settings = arguments.settings_tree
    contracts = model_library(settings)
    with opened_store(settings) as store:
        office = RuleOffice(
            database=store.database,
            settings=settings,
            find_faults=lambda text: checked(text, settings, contracts, store.database).faults,
        )
        book = RuleBook(settings, store.database, lambda: contracts)
        act: Callable[[], int] = partial(ACTS[arguments.act], arguments, office, book, store)
        return act()


def _list(arguments: argparse.Namespace, office: RuleOffice, book: RuleBook, _: Store) -> int:
    """Print the versions, newest first, and which rules are active."""
    found = office.versions(administrator(), limit=arguments.limit)
    held = book.current()
    if arguments.json:
        rows = [_plain(one) for one in found]
        say_json({"holds": held.number, "faults": held.faults, "versions": rows})
        return 0
    print_table(COLUMNS, [_row(one) for one in found])
    which = f"version {held.number} is active" if held.number else "the rules of the settings are active"
    say(f"{which}: {', '.join(rule.name for rule in held.settings.rules) or 'no rule'}")
    for line in filter(None, (held.why_not, book.file_differs())):
        say(f"WARNING: {line}")
    return 0


def _show(arguments: argparse.Namespace, office: RuleOffice, book: RuleBook, _: Store) -> int:
    """Print the text of a version, or of the active rules; with --diff, what it changes in the active ones."""
    holds = _held_text(office, book)
    text = holds if arguments.number is None else office.version(administrator(), arguments.number).text
    if not arguments.diff:
        say_whole(text)
        return 0
    lines = difflib.unified_diff(holds.splitlines(), text.splitlines(), "active", "version", lineterm="")
    say(*lines)
    return 0


def _check(arguments: argparse.Namespace, office: RuleOffice, book: RuleBook, store: Store) -> int:
    """Print what is wrong with a file of rules, each fault with its place; exit code 1 if anything is."""
    draft = checked(_read(arguments.file), office.settings, model_library(office.settings), store.database)
    for fault in draft.faults:
        say(f"{arguments.file}:{fault.line}:{fault.column}: {fault.message}")
    if draft.settings is None:
        return 1
    say(f"{len(draft.settings.rules)} rules without faults: `contour-node rules activate` makes them active")
    lost = lost_titles(book.current().settings, draft.settings)
    if lost:
        say(f"WARNING: the node would no longer answer to {', '.join(lost)}: their senders would be rejected")
    return 0


def _draft(arguments: argparse.Namespace, office: RuleOffice, _: RuleBook, __: Store) -> int:
    made = office.write_draft(administrator(), _read(arguments.file), arguments.reason)
    say(f"draft {made.number}; not active until it is activated")
    return 0


def _discard(arguments: argparse.Namespace, office: RuleOffice, _: RuleBook, __: Store) -> int:
    office.discard(administrator(), arguments.number)
    say(f"draft {arguments.number} is discarded")
    return 0


def _activate(arguments: argparse.Namespace, office: RuleOffice, _: RuleBook, store: Store) -> int:
    seen = _seen(arguments, store)
    if arguments.draft is not None:
        return _said(office.activate_draft(administrator(), arguments.draft, arguments.reason, seen=seen))
    if arguments.file is None:
        raise Refused("name a file with [[rules]], or --draft N")
    return _said(office.activate(administrator(), _read(arguments.file), arguments.reason, seen=seen))


def _rollback(arguments: argparse.Namespace, office: RuleOffice, _: RuleBook, store: Store) -> int:
    seen = _seen(arguments, store)
    return _said(office.roll_back(administrator(), arguments.number, arguments.reason, seen=seen))


def _adopt(arguments: argparse.Namespace, office: RuleOffice, _: RuleBook, store: Store) -> int:
    """Activate the settings file's rules, as they are now."""
    return _said(office.adopt_file(administrator(), arguments.reason, seen=_seen(arguments, store)))


ACTS: Mapping[str, Callable[[argparse.Namespace, RuleOffice, RuleBook, Store], int]] = {
    "list": _list,
    "show": _show,
    "check": _check,
    "draft": _draft,
    "discard": _discard,
    "activate": _activate,
    "rollback": _rollback,
    "adopt": _adopt,
}


def _seen(arguments: argparse.Namespace, store: Store) -> int:
    """Return the version that the person looked at; by default the active one."""
    seen: int | None = arguments.seen
    return RuleVersions(store.database).active_number() if seen is None else seen


def _said(made: RuleSet) -> int:
    say(f"version {made.number} of the rules is active from the next job on; queued jobs keep their own")
    return 0


def _held_text(office: RuleOffice, book: RuleBook) -> str:
    number = book.current().number
    if number:
        return office.version(administrator(), number).text
    return rules_text(office.settings.rules)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Refused(f"{file} cannot be read as text: {error}") from error
    if len(text) > LONGEST_TEXT:
        raise Refused(f"{file} is longer than {LONGEST_TEXT} characters")
    return text


def _row(one: RuleSet) -> tuple[object, ...]:
    at = one.activated_at or one.made_at
    by = one.activated_by or one.author or "the settings file"
    author = f", written by {one.author}" if one.activated_by not in ("", one.author) else ""
    restored = f"restores {one.restores}: " if one.restores is not None else ""
    return one.number, one.state, f"{at:%Y-%m-%d %H:%M}", by + author, restored + one.reason


def _plain(one: RuleSet) -> dict[str, object]:
    times = {
        name: None if at is None else at.isoformat()
        for name, at in (("made_at", one.made_at), ("activated_at", one.activated_at))
    }
    return {**asdict(one), **times, "state": one.state.value}
