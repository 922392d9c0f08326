"""Every role follows the version of the rules that holds, without a restart; what does not fit contours nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.application import ActorRole, RuleOffice
from service.assemble import Assembler
from service.config import Settings
from service.config.rules_text import rules_text
from service.errors import Refused, TryAgain
from service.monitor.checks import check_rules
from service.receive.upkeep import FollowedRules
from service.rules import RuleBook
from service.store import DatabaseUnavailable, InstanceRecorder, JobState, JobStatus
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker
from tests.support.actors import OPERATOR
from tests.support.small_node import RULE, SmallNode, model, settings

ANNA = replace(OPERATOR, name="anna", role=ActorRole.PHYSICIST)
TWO_PEERS = {"archive": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": 105}}
FILE = settings(peers=TWO_PEERS)
NECK = rules_text(FILE.rules).replace("head-neck", "neck").replace('"tps"', '"archive"')
MODELS = {"hn_oar": model()}


def book(node: SmallNode, tree: Settings = FILE) -> RuleBook:
    return RuleBook(tree, node.database, lambda: MODELS, loads_templates=True)


def activate(node: SmallNode, text: str, seen: int, tree: Settings = FILE) -> int:
    office = RuleOffice(database=node.database, settings=tree, find_faults=lambda _: ())
    return office.activate(ANNA, text, "because", seen=seen).number


def assembler(node: SmallNode, rules: RuleBook, tree: Settings = FILE) -> Assembler:
    return replace(node.assembler(tree), rules=rules.current)


@pytest.fixture
def send(small_node: SmallNode) -> Callable[[Assembler], JobStatus]:
    """Send another series, let the assembler look at it, and give its job."""
    numbers = iter(range(1, 99))

    def sent(judge: Assembler, description: str = "neck", **how: Any) -> JobStatus:
        number = next(numbers)

        def change(image: Any) -> None:
            image.SeriesDescription = description
            for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
                setattr(image, keyword, f"{image[keyword].value}.{number}")

        small_node.receive(change=change, **how)
        small_node.clock.tick(20)
        why = judge.follow_rules()
        if not why:
            judge.poll_once()
        return small_node.job()

    return sent


def test_the_next_series_follows_and_a_queued_job_keeps_its_version(
    small_node: SmallNode, send: Callable[..., JobStatus]
) -> None:
    rules = book(small_node)
    judge = assembler(small_node, rules)
    first = send(judge)
    version = activate(small_node, NECK, 0)
    second = send(judge)
    assert [first.rule, second.rule] == ["head-neck", "neck"]
    assert f"version {version} of the rules" in small_node.book.events(second.id)[-1].message
    contours = replace(
        worker(small_node, Server(brainstem_and_larynx), FILE), rules=rules.for_job, models=_Models()
    )
    assert contours.work_one()
    assert contours.work_one()
    assert [small_node.book.job(job.id).state for job in (first, second)] == [JobState.DELIVERING] * 2
    sent_to = {job.id: small_node.book.deliveries(job.id)[0].destination for job in (first, second)}
    assert sent_to == {first.id: "tps", second.id: "archive"}
    office = RuleOffice(database=small_node.database, settings=FILE, find_faults=lambda _: ())
    office.roll_back(ANNA, 1, "as before", seen=version)
    assert send(judge).rule == "head-neck"


class _Models:
    def version(self, name: str, version: int) -> object:
        return MODELS[name] if MODELS[name].version == version else None


def test_a_version_that_does_not_fit_the_settings_any_more_contours_nothing_and_says_so(
    small_node: SmallNode, send: Callable[..., JobStatus]
) -> None:
    number = activate(small_node, NECK.replace('name = "neck"', 'name = "neck"\ncalled_aet = "NECK"'), 0)
    queued = send(assembler(small_node, book(small_node)), called="NECK")
    without = settings()  # the destination archive is gone
    rules = book(small_node, without)
    held = rules.current()
    assert "'archive' is not a destination" in held.why_not
    assert "NECK" in held.settings.called_aets  # images go on being taken
    waiting = send(assembler(small_node, rules, without), called="NECK")
    assert waiting.state is JobState.RECEIVING
    (check,) = check_rules(held, rules.file_differs())
    assert (check.ok, f"version {number}" in check.reason) == (False, True)
    with pytest.raises(TryAgain, match="does not fit this node"):
        rules.for_job(number)
    contours = replace(worker(small_node, Server(brainstem_and_larynx), without), rules=rules.for_job)
    assert contours.work_one()
    job = small_node.book.job(queued.id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert "archive" in job.reason
    activate(small_node, rules_text(without.rules), number, without)
    with pytest.raises(Refused, match="run the job again"):
        rules.for_job(number)


def test_a_template_that_is_missing_holds_the_node_until_it_is_back(
    small_node: SmallNode, tmp_path: Path
) -> None:
    template = tmp_path / "neck.toml"
    activate(small_node, NECK.replace("[[rules]]\n", f'[[rules]]\ntemplate = "{template}"\n'), 0)
    rules = book(small_node)
    assert str(template) in rules.current().why_not
    template.write_text('name = "neck"\nversion = "1"\n')
    assert "template" not in rules.current().why_not or "structure" in rules.current().why_not


def test_a_settings_file_that_was_changed_beside_the_versions_is_told_of(small_node: SmallNode) -> None:
    assert book(small_node).file_differs() == ""
    number = activate(small_node, NECK, 0)
    assert book(small_node).file_differs() == ""  # as it was when the version took its place
    edited = settings(peers=TWO_PEERS, rules=[{**RULE, "priority": 60}])
    rules = book(small_node, edited)
    assert "contour-node rules adopt" in rules.file_differs()
    assert rules.current().number == number
    assert [check.name for check in check_rules(rules.current(), rules.file_differs()) if not check.ok] == [
        "rules of the settings"
    ]
    locked = settings(peers=TWO_PEERS)
    locked._locked_rules = "the environment sets CONTOUR_NODE_RULES"
    assert book(small_node, locked).current().number == 0
    assert f"version {number} is not active" in book(small_node, locked).file_differs()


def test_the_receiver_answers_to_new_titles_and_waits_for_a_database_that_is_away(
    small_node: SmallNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[frozenset[str]] = []

    class _Receiver:
        def answer_to(self, called_aets: frozenset[str]) -> None:
            titles.append(called_aets)

    receiver: Any = _Receiver()
    with InstanceRecorder(small_node.database) as recorder:
        rules = RuleBook(FILE, small_node.database)
        followed = FollowedRules(rules, recorder)
        followed.follow(receiver)
        assert titles == []
        activate(small_node, NECK.replace('name = "neck"', 'name = "neck"\ncalled_aet = "NECK"'), 0)
        followed.follow(receiver)
        followed.follow(receiver)
        assert titles == [frozenset({"CONTOURNODE", "NECK"})]

        def away() -> None:
            raise DatabaseUnavailable("gone")

        monkeypatch.setattr(rules, "current", away)
        followed.follow(receiver)
        assert followed.settings.called_aets == titles[0]


def test_a_regular_expression_that_never_ends_refuses_its_series_and_the_next_one_is_judged(
    small_node: SmallNode, send: Callable[..., JobStatus]
) -> None:
    slow = settings(
        rules=[{**RULE, "name": "slow", "series_description": "(a+)+$", "calling_aets": ["CT1"]}, RULE]
    )
    judge = small_node.assembler(slow)
    refused = send(judge, "a" * 60 + "!", calling="CT1")
    assert refused.state is JobState.REFUSED
    assert re.search("rule slow: a regular expression takes more than 2 s", refused.reason)
    assert send(judge, calling="CT2").rule == "head-neck"
