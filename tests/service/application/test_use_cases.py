"""Use cases of jobs: what a role may do, and that a change and its audit entry are there together or not at all."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine, event

from service.application import (
    PERMITTED,
    Actor,
    ActorKind,
    ActorRole,
    NotPermitted,
    Operation,
    cancel_job,
    change_models,
    list_jobs,
    prioritise_job,
    prove_trail,
    record_action,
    rerun_job,
    resend_job,
    retry_job,
    show_events,
    show_job,
)
from service.store import (
    AuditKind,
    AuditLog,
    AuditOutcome,
    Database,
    InstanceRecorder,
    JobState,
    NotAllowed,
)
from tests.support.actors import OPERATOR
from tests.support.arrivals import Node
from tests.support.clock import ManualClock
from tests.support.small_node import settings

ENTRY = "INSERT INTO audit_event"
Change = Callable[[Database, Actor, int], object]
CHANGES: dict[Operation, tuple[Change, JobState]] = {
    Operation.CANCEL: (cancel_job, JobState.QUEUED),
    Operation.RETRY: (retry_job, JobState.FAILED),
    Operation.RERUN: (rerun_job, JobState.DONE),
    Operation.PRIORITY: (partial(prioritise_job, priority=90), JobState.QUEUED),
    Operation.RESEND: (partial(resend_job, destination="tps", settings=settings()), JobState.DONE),
}
KEEP_THE_STATE = {Operation.RERUN, Operation.PRIORITY, Operation.RESEND}
DETAIL = {Operation.PRIORITY: "90", Operation.RESEND: "tps"}
VIEWS: dict[Operation, Change] = {Operation.SHOW: show_job, Operation.EVENTS: show_events}
OF_MODELS = (
    Operation.MODELS_DEFAULT,
    Operation.MODELS_IMPORT,
    Operation.MODELS_REMOVE,
    Operation.MODELS_CALIBRATE,
)
OF_NO_JOB: dict[Operation, Callable[[Database, Actor], object]] = {
    Operation.JOBS: list_jobs,
    Operation.AUDIT: prove_trail,
    **{
        operation: partial(change_models, operation=operation, change=lambda: None, what="hn: 1 -> 2")
        for operation in OF_MODELS
    },
    **{
        operation: partial(record_action, operation=operation)
        for operation in Operation
        if operation not in {*CHANGES, *VIEWS, Operation.JOBS, Operation.AUDIT, *OF_MODELS}
    },
}


@pytest.fixture
def node(database_url: str) -> Iterator[Node]:
    database = Database(database_url, clock=ManualClock())
    with InstanceRecorder(database) as recorder:
        yield Node(database=database, clock=ManualClock(), recorder=recorder)
    database.close()


def entries(database: Database) -> list[tuple[AuditKind, str, str, int | None, AuditOutcome, str]]:
    """The entries of persons: kind, actor, operation, job, outcome, detail."""
    found = (entry.event for entry in AuditLog(database).entries())
    return [
        (one.kind, one.actor, one.target, one.job_id, one.outcome, one.detail)
        for one in found
        if one.role == OPERATOR.entry
    ]


@pytest.mark.parametrize("operation", list(CHANGES))
def test_a_change_and_its_entry_are_there_together(node: Node, operation: Operation) -> None:
    change, state = CHANGES[operation]
    job = node.job_in(state)
    change(node.database, replace(OPERATOR, address="10.0.0.9"), job)
    assert len(node.book.list_jobs()) == (2 if operation is Operation.RERUN else 1)
    assert (node.book.job(job).state is state) is (operation in KEEP_THE_STATE)
    (entry,) = entries(node.database)
    assert entry == (
        AuditKind.ORDERED,
        OPERATOR.name,
        operation.value,
        job,
        AuditOutcome.SUCCESS,
        DETAIL.get(operation, ""),
    )
    last = AuditLog(node.database).entries()[-1].event
    assert (last.address, last.study_uid) == ("10.0.0.9", "1.2.3")


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute"])
@pytest.mark.parametrize("operation", list(CHANGES))
def test_an_error_beside_the_entry_leaves_neither(node: Node, operation: Operation, moment: str) -> None:
    change, state = CHANGES[operation]
    job = node.job_in(state)
    before = [(one.id, one.state, node.book.events(one.id)) for one in node.book.list_jobs()]
    with failing_at(moment), pytest.raises(RuntimeError, match="between the two"):
        change(node.database, OPERATOR, job)
    assert [(one.id, one.state, node.book.events(one.id)) for one in node.book.list_jobs()] == before
    assert entries(node.database) == []
    change(node.database, OPERATOR, job)  # and nothing is locked or half done
    assert len(entries(node.database)) == 1


@contextmanager
def failing_at(moment: str) -> Iterator[None]:
    """Raise at the statement that writes the audit entry."""

    def fail(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith(ENTRY):
            raise RuntimeError("between the two")

    event.listen(Engine, moment, fail)
    try:
        yield
    finally:
        event.remove(Engine, moment, fail)


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from service.application import cancel_job
from service.store import Database
from tests.support.actors import OPERATOR

url, job, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def kill(connection, cursor, statement, *more):
    if statement.startswith("INSERT INTO audit_event"):
        os.kill(os.getpid(), signal.SIGKILL)

if moment != "never":
    event.listen(Engine, moment, kill)
cancel_job(Database(url), OPERATOR, job)
"""


@pytest.mark.parametrize(
    ("moment", "code", "state", "count"),
    [
        ("before_cursor_execute", -9, JobState.QUEUED, 0),
        ("after_cursor_execute", -9, JobState.QUEUED, 0),
        ("never", 0, JobState.CANCELLED, 1),
    ],
)
def test_a_process_killed_between_change_and_entry_leaves_neither(
    node: Node, database_url: str, moment: str, code: int, state: JobState, count: int
) -> None:
    job = node.job_in(JobState.QUEUED)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, database_url, str(job), moment], timeout=120, check=False
    )
    assert ended.returncode == code
    assert node.book.job(job).state is state
    assert len(entries(node.database)) == count


def test_a_refused_change_changes_nothing_and_is_recorded_with_the_reason(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    history = node.book.events(job)
    with pytest.raises(NotAllowed, match="is done and cannot be cancelled"):
        cancel_job(node.database, OPERATOR, job)
    with pytest.raises(NotAllowed, match="there is no job 4711"):
        retry_job(node.database, OPERATOR, 4711)
    assert node.book.events(job) == history
    first, second = entries(node.database)
    assert first[2:5] == ("cancel", job, AuditOutcome.MINOR_FAILURE)
    assert "is done and cannot be cancelled" in first[5]
    assert second[2:] == ("retry", 4711, AuditOutcome.MINOR_FAILURE, "there is no job 4711")


@pytest.mark.parametrize("role", list(ActorRole))
@pytest.mark.parametrize("operation", [*CHANGES, *VIEWS])
def test_each_role_may_do_what_the_table_says(node: Node, operation: Operation, role: ActorRole) -> None:
    act, state = CHANGES.get(operation, (VIEWS.get(operation), JobState.QUEUED))
    assert act is not None
    actor = Actor(kind=ActorKind.PERSON, name="someone", role=role, entry="cli")
    job = node.job_in(state)
    if role is not ActorRole.VIEWER or operation in VIEWS:
        act(node.database, actor, job)
        assert entries(node.database)[0][4] is AuditOutcome.SUCCESS
        return
    with pytest.raises(
        NotPermitted, match=f"someone is viewer and may not {operation}; one of these may: operator"
    ):
        act(node.database, actor, job)
    assert node.book.job(job).state is state
    (entry,) = entries(node.database)
    assert entry[1:5] == ("someone", operation.value, job, AuditOutcome.MINOR_FAILURE)


@pytest.mark.parametrize("role", list(ActorRole))
@pytest.mark.parametrize("operation", list(OF_NO_JOB))
def test_a_look_or_an_order_about_no_job_is_in_the_trail_whoever_makes_it(
    node: Node, operation: Operation, role: ActorRole
) -> None:
    actor = Actor(kind=ActorKind.PERSON, name="someone", role=role, entry="cli", detail="for alice")
    if role in PERMITTED[operation]:
        OF_NO_JOB[operation](node.database, actor)
    else:
        with pytest.raises(NotPermitted):
            OF_NO_JOB[operation](node.database, actor)
    (entry,) = entries(node.database)
    assert entry[1:4] == ("someone", operation.value, None)
    assert (entry[4] is AuditOutcome.SUCCESS) is (role in PERMITTED[operation])
    assert entry[5].endswith("for alice")


def test_the_choice_of_a_version_is_not_made_where_the_trail_cannot_have_it(node: Node) -> None:
    def choose() -> None:
        raise NotAllowed("no such version")

    with pytest.raises(NotAllowed):
        change_models(node.database, OPERATOR, Operation.MODELS_DEFAULT, choose, "hn: 1 -> 9")
    assert entries(node.database)[0][4:] == (AuditOutcome.MINOR_FAILURE, "hn: 1 -> 9; no such version")


def test_every_operation_has_a_line_in_the_table_of_permissions() -> None:
    assert set(PERMITTED) == set(Operation)
    assert set(CHANGES) | set(VIEWS) | set(OF_NO_JOB) == set(Operation)
    assert all(ActorRole.ADMIN in roles for roles in PERMITTED.values())


def test_whoever_views_a_job_is_recorded_with_what_was_shown(node: Node) -> None:
    job = node.job_in(JobState.DELIVERING)
    found = show_job(node.database, OPERATOR, job)
    assert (found.status.id, [one.destination for one in found.deliveries]) == (job, ["tps"])
    assert list(show_events(node.database, OPERATOR, job)) == node.book.events(job)
    with pytest.raises(NotAllowed, match="there is no job 4711"):
        show_events(node.database, OPERATOR, 4711)
    assert [(kind, target, outcome) for kind, _, target, _, outcome, _ in entries(node.database)] == [
        (AuditKind.LOOKED_AT, "show", AuditOutcome.SUCCESS),
        (AuditKind.LOOKED_AT, "events", AuditOutcome.SUCCESS),
        (AuditKind.LOOKED_AT, "events", AuditOutcome.MINOR_FAILURE),
    ]
