"""The verbs `check` (is every part of the node present and usable?) and `migrate`."""

import argparse

from inference.contract import ModelLibrary
from inference.errors import ModelFailed, ModelUnavailable
from service.cli.output import say
from service.cli.store_owner import expect_own
from service.components import (
    model_library,
    opened_for_role,
    opened_store,
    prepare,
    triton_client,
)
from service.config import Settings, SettingsRefused, loose_files
from service.rules import HeldRules, RuleBook, rule_contract
from service.store import guard_trail
from service.tls import check_certificates


def check(arguments: argparse.Namespace) -> int:
    """Print whether each part of the node is usable; exit code 1 if one is not."""
    settings: Settings = arguments.settings_tree
    problems = 0
    contracts = model_library(settings)
    check_certificates(settings)
    _line("settings", "valid")
    held = _check_rules(settings, contracts)
    problems += int(bool(held.faults))
    for danger in loose_files(arguments.settings, settings):
        _line("WARNING", danger)
    _line("models", ", ".join(f"{s.name} version {s.version}" for s in contracts.values()))
    expect_own(
        settings.node.storage_dir
    )  # an embedded server cannot open another user's shared memory, not even root's
    try:
        with triton_client(settings) as server:
            server.check()
            needed = [rule_contract(rule, contracts) for rule in held.settings.rules if not held.faults]
            for _, contract in sorted({(one.name, one.version): one for one in needed}.items()):
                server.models.make_ready(contract)
        _line("model server", "answers, returns a known tensor unchanged, loads the models of all rules")
    except (ModelUnavailable, ModelFailed) as reason:
        _line("model server", f"NOT READY: {reason}")
        problems += 1
    return 1 if problems else 0


def _check_rules(settings: Settings, contracts: ModelLibrary) -> HeldRules:
    """Print which rules are active and whether they can be used; SettingsRefused if the settings file's cannot."""
    with opened_store(settings) as store:
        store.database.check()
        book = RuleBook(settings, store.database, lambda: contracts)
        held, differs = book.current(), book.file_differs()
    if held.faults and not held.number:
        raise SettingsRefused("\n".join(held.faults))
    _line("database", "answers")
    which = f"version {held.number}" if held.number else "of the settings"
    _line("rules", f"NOT USABLE: {held.why_not}" if held.faults else f"{which}, with every rule's template")
    if differs:
        _line("WARNING", differs)
    for rule in held.settings.rules:
        if not rule.destinations and not rule.return_to_sender:
            _line(
                f"rule {rule.name}",
                f"{rule.purpose}; without destinations: results are kept but not delivered",
            )
    return held


def _line(what: str, how: str) -> None:
    say(f"{what}: {how}")


def migrate(arguments: argparse.Namespace) -> int:
    """Upgrade the database's schema to this version."""
    settings: Settings = arguments.settings_tree
    prepare(settings)
    with opened_for_role(settings) as (store, _), store.database.writing() as connection:
        guard_trail(connection)
    return 0
