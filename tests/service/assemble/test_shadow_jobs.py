"""A series is contoured once for the clinic, and any number of times beside that: kept, never delivered."""

from collections.abc import Mapping
from typing import Any

import pytest

from service.config import JobPurpose, Settings
from service.store import ArtifactKind, EventKind, FailureReportQueue, JobState, JobStatus, NotAllowed
from service.work import Worker
from tests.service.work.test_worker import Server, brainstem_and_larynx, nonsense
from tests.support.models import OneModel
from tests.support.small_node import RULE, SmallNode, model, only, settings

SHADOW = {"name": "next-model", "model": "hn_oar", "purpose": "shadow", "priority": 100}
OTHER = {**SHADOW, "name": "third-model", "companions": ["segmentation"]}
RULES = [SHADOW, OTHER, {**RULE, "on_failure": "capture"}]


def queue_all(node: SmallNode, rules: list[Mapping[str, Any]]) -> Settings:
    tree = settings(rules=rules)
    node.receive()
    node.clock.tick(20)
    node.assembler(tree).poll_once()
    return tree


def worker(node: SmallNode, tree: Settings, server: Server) -> Worker:
    return Worker(
        name="w1",
        queue=node.queue,
        content=node.content,
        server=server,
        models=OneModel(model()),
        rules=only(tree),
        settings=tree,
    )


def by_rule(node: SmallNode) -> dict[str, JobStatus]:
    return {job.rule: job for job in node.book.list_jobs()}


def test_shadow_jobs_run_beside_the_clinical_one_and_are_never_delivered(small_node: SmallNode) -> None:
    tree = queue_all(small_node, RULES)
    jobs = by_rule(small_node)
    clinical = jobs["head-neck"]
    assert {name: (job.purpose, job.shadow_of, job.state) for name, job in jobs.items()} == {
        "head-neck": (JobPurpose.CLINICAL, None, JobState.QUEUED),
        "next-model": (JobPurpose.SHADOW, clinical.id, JobState.QUEUED),
        "third-model": (JobPurpose.SHADOW, clinical.id, JobState.QUEUED),
    }
    assert [e.message for e in small_node.book.events(jobs["next-model"].id)] == [
        f"beside job {clinical.id}: rule next-model, model hn_oar {model().version}"
    ]
    contours = worker(small_node, tree, Server(brainstem_and_larynx))
    assert contours.work_one()
    assert by_rule(small_node)["head-neck"].state is JobState.DELIVERING  # first, whatever the priorities
    assert contours.work_one()
    assert contours.work_one()
    assert not contours.work_one()
    jobs = by_rule(small_node)
    assert {jobs[name].state for name in ("next-model", "third-model")} == {JobState.DONE}
    kinds = {name: [one.kind for one in small_node.book.artifacts(job.id)] for name, job in jobs.items()}
    assert kinds == {
        "head-neck": [ArtifactKind.STRUCTURE_SET],
        "next-model": [ArtifactKind.STRUCTURE_SET],
        "third-model": [ArtifactKind.STRUCTURE_SET, ArtifactKind.SEGMENTATION],
    }
    (kept,) = small_node.book.artifacts(jobs["next-model"].id)
    assert (kept.model, kept.model_version, kept.weights_sha256) == (
        "hn_oar",
        model().version,
        model().package_sha256,
    )
    assert kept.provenance["rule"] == "next-model"
    assert small_node.objects.get(kept.path)
    delivery = small_node.outbox.claim_delivery("s", lease_s=60)
    assert delivery is not None
    assert delivery.job_id == clinical.id
    assert small_node.outbox.claim_delivery("s", lease_s=60) is None


def test_a_shadow_job_that_fails_tells_nobody_and_can_be_retried(small_node: SmallNode) -> None:
    tree = queue_all(small_node, RULES)
    assert worker(small_node, tree, Server(brainstem_and_larynx)).work_one()
    failing = worker(small_node, tree, Server(nonsense))
    for _ in range(4):
        small_node.clock.tick(60)
        failing.work_one()
    shadow = by_rule(small_node)["next-model"]
    assert shadow.state is JobState.FAILED
    assert FailureReportQueue(small_node.database).next_failure() is None
    assert small_node.changes.retry(shadow.id) is JobState.QUEUED
    with pytest.raises(NotAllowed, match="is a shadow job of job"):
        small_node.changes.rerun(by_rule(small_node)["third-model"].id)


def test_a_newer_version_ends_the_shadow_jobs_of_the_older_and_has_its_own(small_node: SmallNode) -> None:
    tree = settings(rules=RULES)
    small_node.receive(only=slice(0, 10))
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    assert worker(small_node, tree, Server(brainstem_and_larynx)).work_one()
    small_node.receive(only=slice(10, None))
    old = [job for job in small_node.book.list_jobs() if job.version == 1]
    assert {(job.purpose, job.state) for job in old} == {
        (JobPurpose.CLINICAL, JobState.SUPERSEDED),
        (JobPurpose.SHADOW, JobState.SUPERSEDED),
    }
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    new = [job for job in small_node.book.list_jobs() if job.version == 2]
    assert sorted(job.rule for job in new if job.state is JobState.QUEUED) == [
        "head-neck",
        "next-model",
        "third-model",
    ]


def test_images_that_come_again_open_no_job_because_of_a_shadow(small_node: SmallNode) -> None:
    tree = queue_all(small_node, RULES)
    small_node.changes.cancel(by_rule(small_node)["next-model"].id)
    small_node.receive()
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    assert len(small_node.book.list_jobs()) == 3
    assert by_rule(small_node)["next-model"].state is JobState.CANCELLED


@pytest.mark.parametrize("purpose", ["clinical", "evaluation"])
def test_a_rule_without_destinations_keeps_its_results(small_node: SmallNode, purpose: str) -> None:
    rule = {"name": "kept", "model": "hn_oar", "purpose": purpose, "companions": ["report", "capture"]}
    tree = queue_all(small_node, [rule])
    assert worker(small_node, tree, Server(brainstem_and_larynx)).work_one()
    job = by_rule(small_node)["kept"]
    assert (job.state, job.purpose, job.destinations) == (JobState.DONE, JobPurpose(purpose), "")
    assert [one.kind for one in small_node.book.artifacts(job.id)] == [
        ArtifactKind.STRUCTURE_SET,
        ArtifactKind.REPORT,
        ArtifactKind.CAPTURE,
    ]
    assert EventKind.SENT not in {event.kind for event in small_node.book.events(job.id)}


def test_a_job_keeps_its_purpose_when_its_rule_changes(small_node: SmallNode) -> None:
    queue_all(small_node, [{**RULE, "purpose": "evaluation", "destinations": []}])
    now_clinical = settings(rules=[RULE])
    assert worker(small_node, now_clinical, Server(brainstem_and_larynx)).work_one()
    assert by_rule(small_node)["head-neck"].state is JobState.DONE
    assert small_node.outbox.claim_delivery("s", lease_s=60) is None


def test_jobs_are_listed_by_purpose(small_node: SmallNode) -> None:
    queue_all(small_node, RULES)
    shadows = small_node.book.list_jobs(purposes=[JobPurpose.SHADOW])
    assert {job.rule for job in shadows} == {"next-model", "third-model"}
    queued = small_node.book.list_jobs(purposes=[JobPurpose.CLINICAL], states=[JobState.QUEUED])
    assert [job.rule for job in queued] == ["head-neck"]
