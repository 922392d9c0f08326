"""A rerun by another rule, or with another model, than the rules say."""

from dataclasses import dataclass, replace

import pytest

from inference.contract import ModelContract
from service.application import checked_wanted
from service.errors import Refused
from service.store import JobState, Wanted
from service.work.worker import Worker
from tests.service.work.test_worker import TEMPLATE, Server, brainstem_and_larynx, worker
from tests.support.small_node import RULE, SmallNode, model, settings
from tests.support.small_node import only as only_rules

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BOTH = settings(
    rules=[RULE, {"name": "trial", "model": "hn_oar", "called_aet": "NOBODY", "purpose": "evaluation"}]
)
OTHER = model().model_copy(update={"name": "hn_other", "version": 3})


@dataclass(frozen=True)
class TwoModels:
    def version(self, name: str, version: int) -> ModelContract | None:
        return next((one for one in (model(), OTHER) if (one.name, one.version) == (name, version)), None)


def hand(node: SmallNode) -> Worker:
    found = worker(node, Server(brainstem_and_larynx), BOTH)
    return replace(
        found, rules=only_rules(BOTH, {"head-neck": TEMPLATE, "trial": TEMPLATE}), models=TwoModels()
    )


def done(node: SmallNode, only: slice = slice(None)) -> int:
    node.receive(only=only)
    node.clock.tick(20)
    node.assembler(BOTH).poll_once()
    assert hand(node).work_one()
    job = node.job().id
    while (claim := node.outbox.claim_delivery("s", lease_s=60)) is not None:
        node.outbox.sent(claim)
    return job


@SQLITE
def test_a_rerun_by_another_rule_follows_that_rule_and_a_later_one_the_rules_again(
    small_node: SmallNode,
) -> None:
    job = done(small_node)
    second = small_node.changes.rerun(job, rule="trial")
    assert "run again by hand by rule trial" in small_node.book.events(second)[0].message
    small_node.assembler(BOTH).poll_once()
    assert (small_node.book.job(second).rule, small_node.book.job(second).state) == ("trial", JobState.QUEUED)
    assert hand(small_node).work_one()
    assert small_node.book.job(second).state is JobState.DONE  # an evaluation: kept, not delivered
    third = small_node.changes.rerun(second)
    small_node.assembler(BOTH).poll_once()
    assert small_node.book.job(third).rule == "head-neck"


@SQLITE
def test_a_late_image_keeps_what_the_person_asked_for(small_node: SmallNode) -> None:
    second = small_node.changes.rerun(done(small_node, only=slice(0, 5)), rule="trial")
    small_node.assembler(BOTH).poll_once()
    small_node.receive(only=slice(5, None))
    third = small_node.job().id
    assert third != second
    small_node.clock.tick(20)
    small_node.assembler(BOTH).poll_once()
    assert small_node.job().rule == "trial"


@SQLITE
def test_a_rerun_with_another_model_is_contoured_by_it(small_node: SmallNode) -> None:
    job = done(small_node)
    second = small_node.changes.rerun(job, model="hn_other")
    assembler = small_node.assembler(BOTH)
    assembler.models = {"hn_oar": model(), "hn_other": OTHER}
    assembler.poll_once()
    status = small_node.book.job(second)
    assert (status.rule, status.model, status.model_version) == ("head-neck", "hn_other", 3)
    assert hand(small_node).work_one()
    assert small_node.book.job(second).state is JobState.DELIVERING


@SQLITE
@pytest.mark.parametrize(
    ("what", "words"), [("rule", "rule gone, which is no longer"), ("model", "model gone, which")]
)
def test_what_is_not_there_any_more_refuses_the_job_with_the_reason(
    small_node: SmallNode, what: str, words: str
) -> None:
    second = small_node.changes.rerun(done(small_node), **{what: "gone"})
    small_node.assembler(BOTH).poll_once()
    status = small_node.book.job(second)
    assert (status.state, words in status.reason) == (JobState.REFUSED, True)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(rule="gone"), "there are: head-neck, trial"),
        (Wanted(model="gone"), "there are: hn_oar"),
        (Wanted(model_version=2), "without the model"),
    ],
)
def test_an_order_names_what_this_node_has(wanted: Wanted, words: str) -> None:
    with pytest.raises(Refused, match=words):
        checked_wanted(BOTH, ["hn_oar"], wanted)
    assert checked_wanted(BOTH, ["hn_oar"], replace(Wanted(), rule="trial")).words == "rule trial"
