"""Versions of the rules: what holds, who may change it, and what the audit trail says of it; on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.application import Actor, ActorRole, FaultyRules, NotPermitted, RuleOffice
from service.config.rules_text import RuleFault, rules_text
from service.errors import Refused
from service.store import AuditLog, AuditOutcome, Database, NotAllowed
from service.store.errors import NoSuchRuleSet, RulesChanged
from service.store.node.rule_sets import RuleVersions
from service.store.states import RuleSetState
from tests.support.actors import OPERATOR
from tests.support.small_node import RULE, settings

ANNA = replace(OPERATOR, name="anna", role=ActorRole.PHYSICIST, entry="web")
BEN = replace(ANNA, name="ben")
FILE = rules_text(settings().rules)
NECK = FILE.replace("head-neck", "neck")
LUNG = FILE.replace("head-neck", "lung")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    yield found
    found.close()


def office(database: Database, *, faults: tuple[RuleFault, ...] = (), **changes: object) -> RuleOffice:
    return RuleOffice(database=database, settings=settings(**changes), find_faults=lambda _: faults)


def texts(database: Database) -> dict[int, str]:
    """The text of each version that holds or held."""
    found = office(database).versions(ANNA)
    return {one.number: one.text for one in found if one.state in ("active", "replaced")}


def entries(database: Database) -> list[tuple[str, str, AuditOutcome, str]]:
    found = (entry.event for entry in AuditLog(database).entries())
    return [(one.actor, one.target, one.outcome, one.detail) for one in found if one.target != "rules"]


def test_the_files_rules_are_the_first_version_and_an_old_text_comes_back_as_a_new_one(
    database: Database,
) -> None:
    here, versions = office(database), RuleVersions(database)
    assert versions.active_number() == 0
    assert here.activate(ANNA, NECK, " the neck  has a mask ", seen=0).number == 2
    assert versions.active_number() == 2
    before = versions.before_versions()
    assert before is not None
    assert (before.number, before.text, before.is_from_file, before.author) == (1, FILE, True, "")
    assert here.activate(BEN, LUNG, "lungs", seen=2).based_on == 2
    back = here.roll_back(BEN, 1, "as it was", seen=3)
    assert (back.number, back.text, back.restores, back.state) == (4, FILE, 1, RuleSetState.ACTIVE)
    assert texts(database) == {1: FILE, 2: NECK, 3: LUNG, 4: FILE}
    assert entries(database) == [
        ("anna", "rules activate", AuditOutcome.SUCCESS, "after version 0:  the neck  has a mask "),
        ("ben", "rules activate", AuditOutcome.SUCCESS, "after version 2: lungs"),
        ("ben", "rules rollback", AuditOutcome.SUCCESS, "to version 1, after version 3: as it was"),
    ]
    assert here.version(ANNA, 2).reason == "the neck has a mask"


def test_a_stale_page_is_refused_and_nothing_changes(database: Database) -> None:
    here = office(database)
    here.activate(ANNA, NECK, "one", seen=0)
    for seen in (0, 1, 9):
        with pytest.raises(RulesChanged, match="version 2 by anna is active"):
            here.activate(BEN, LUNG, "two", seen=seen)
    assert RuleVersions(database).active_number() == 2
    assert entries(database)[-1][2] is AuditOutcome.MINOR_FAILURE


def test_of_two_at_once_one_holds(database: Database) -> None:
    def activate(number: int) -> str:
        try:
            text = FILE.replace("head-neck", f"rule-{number}")
            office(database).activate(ANNA, text, "at once", seen=0)
        except RulesChanged:
            return "late"
        return "first"

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(activate, range(4))) == ["first", *["late"] * 3]
    assert len(texts(database)) == 2


def test_a_draft_holds_for_nobody_until_it_is_activated_and_never_with_faults(database: Database) -> None:
    wrong = office(database, faults=(RuleFault(line=3, column=9, message="no such model"),))
    draft = wrong.write_draft(ANNA, NECK, "to be looked at")
    assert (draft.state, RuleVersions(database).active_number()) == (RuleSetState.DRAFT, 0)
    with pytest.raises(FaultyRules, match="line 3, column 9: no such model"):
        wrong.activate_draft(ANNA, draft.number, "now", seen=0)
    with pytest.raises(FaultyRules, match="line 3, column 9"):
        wrong.activate(ANNA, NECK, "now", seen=0)
    assert RuleVersions(database).active_number() == 0
    assert [one.number for one in RuleVersions(database).drafts()] == [draft.number]
    held = office(database).activate_draft(BEN, draft.number, "seen by two", seen=0)
    assert (held.number, held.author, held.activated_by) == (draft.number, "anna", "ben")
    with pytest.raises(NotAllowed, match="is active, not a draft"):
        office(database).discard(ANNA, draft.number)
    other = office(database).write_draft(ANNA, LUNG)
    office(database).discard(BEN, other.number)
    with pytest.raises(NotAllowed, match="is discarded"):
        office(database).activate_draft(BEN, other.number, "x", seen=held.number)
    with pytest.raises(NotAllowed, match="never been active"):
        office(database).roll_back(BEN, other.number, "x", seen=held.number)
    with pytest.raises(NoSuchRuleSet, match="no version 99"):
        office(database).roll_back(BEN, 99, "x", seen=held.number)


def test_where_rules_need_two_the_author_does_not_suffice_but_for_what_held_before(
    database: Database,
) -> None:
    two = office(database, web={"rules_need_two": True})
    with pytest.raises(Refused, match="save a draft"):
        two.activate(ANNA, NECK, "alone", seen=0)
    draft = two.write_draft(ANNA, NECK)
    with pytest.raises(Refused, match="anna wrote draft 2"):
        two.activate_draft(ANNA, draft.number, "alone", seen=0)
    held = two.activate_draft(BEN, draft.number, "both", seen=0)
    assert two.roll_back(ANNA, 1, "at night", seen=held.number).text == FILE


def test_rules_of_the_environment_are_locked(database: Database) -> None:
    here = office(database)
    here.settings._locked_rules = "the environment sets CONTOUR_NODE_RULES"
    with pytest.raises(Refused, match="locked: the environment sets CONTOUR_NODE_RULES"):
        here.activate(ANNA, NECK, "x", seen=0)
    assert texts(database) == {}


def test_the_file_is_adopted_again_as_a_new_version(database: Database) -> None:
    office(database).activate(ANNA, NECK, "one", seen=0)
    changed = office(database, rules=[{**RULE, "name": "by-hand"}])
    held = changed.adopt_file(BEN, "edited on the host", seen=2)
    assert (held.is_from_file, "by-hand" in held.text) == (True, True)
    newest, before = RuleVersions(database).newest_from_file(), RuleVersions(database).before_versions()
    assert newest is not None
    assert before is not None
    assert (newest.number, before.number) == (3, 1)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_a_reason_is_needed(database: Database, reason: str) -> None:
    with pytest.raises(Refused, match=r"give a reason|printable"):
        office(database).activate(ANNA, NECK, reason, seen=0)
    assert RuleVersions(database).active_number() == 0


def test_only_physicists_and_admins_change_rules(database: Database) -> None:
    def everything(actor: Actor) -> None:
        here = office(database)
        with pytest.raises(NotPermitted, match="physicist, admin"):
            here.activate(actor, NECK, "x", seen=0)
        with pytest.raises(NotPermitted):
            here.write_draft(actor, NECK)
        with pytest.raises(NotPermitted):
            here.adopt_file(actor, "x", seen=0)
        with pytest.raises(NotPermitted):
            here.versions(actor)

    everything(replace(ANNA, role=ActorRole.OPERATOR))
    everything(replace(ANNA, role=ActorRole.VIEWER))
    assert RuleVersions(database).active_number() == 0
