"""Which jobs a list shows: every filter at its limits, and what destinations said last."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.config import JobPurpose
from service.store import CloseOutcome, ContouringOrder, JobState
from service.store.jobs import job_lists
from service.store.jobs.job_lists import JobFilter, JobLists
from tests.support.arrivals import Node, received

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lists(node: Node) -> JobLists:
    """The lists of a node that got a series a minute, 1.2.1 to 1.2.4."""
    for number in range(1, 5):
        node.receive(received(1, series=f"1.2.{number}"))
        node.clock.tick(60)
    return JobLists(node.database)


def numbers(lists: JobLists, **wanted: Any) -> list[int]:
    return [one.status.id for one in lists.page(replace(JobFilter(), **wanted))]


def test_a_page_ends_before_a_job_and_begins_with_the_newest(lists: JobLists) -> None:
    assert numbers(lists) == [4, 3, 2, 1]
    assert numbers(lists, limit=2) == [4, 3]
    assert numbers(lists, before_id=3) == [2, 1]
    assert numbers(lists, before_id=3, limit=1) == [2]
    assert [one.status.id for one in lists.of({2, 4})] == [4, 2]


def test_since_is_the_time_of_the_last_image_itself(node: Node, lists: JobLists) -> None:
    at = node.clock.now - timedelta(minutes=3)  # of the second
    assert numbers(lists, since=at) == [4, 3, 2]
    assert numbers(lists, since=at + timedelta(seconds=1)) == [4, 3]


def test_superseded_jobs_are_shown_where_they_are_asked_for(node: Node, lists: JobLists) -> None:
    for one in node.series.open_jobs()[:2]:
        node.close_series(one)
    node.receive(received(2, series="1.2.1"))
    assert numbers(lists) == [5, 4, 3, 2]
    assert numbers(lists, states=(JobState.SUPERSEDED,)) == [1]
    assert numbers(lists, states=(JobState.QUEUED, JobState.SUPERSEDED)) == [2, 1]
    assert numbers(lists, rule="hn") == [2]
    assert [one.version for one in lists.versions(node.book.job(5))] == [2, 1]
    assert lists.counts() == {JobState.RECEIVING: 3, JobState.QUEUED: 1, JobState.SUPERSEDED: 1}


def test_a_person_is_needed_for_what_failed_until_something_took_its_place(
    node: Node, lists: JobLists
) -> None:
    for one in node.series.open_jobs()[:3]:
        assert node.series.refuse(one, "tilted")
    node.receive(received(2, series="1.2.1"))
    assert [one.status.id for one in lists.needing_a_person()] == [3, 2]
    assert [one.status.id for one in lists.needing_a_person(limit=1)] == [3]


def test_rules_are_counted_for_as_many_days_and_without_shadow_jobs(node: Node, lists: JobLists) -> None:
    order = ContouringOrder(rule="hn", model="hn_oar", model_version=1, priority=50)
    trial = replace(order, model_version=2, purpose=JobPurpose.SHADOW)
    for one in node.series.open_jobs():
        rule = "hn" if one.id < 4 else "pelvis"
        assert node.series.close_series(one, replace(order, rule=rule), [trial]) is CloseOutcome.QUEUED
    assert len(node.book.list_jobs(purposes=[JobPurpose.SHADOW])) == 4
    assert lists.by_rule() == {"hn": 3, "pelvis": 1}
    node.clock.tick(7 * 86400 - 180)  # a week after the second job's image, to the second
    assert lists.by_rule() == {"hn": 2, "pelvis": 1}
    assert lists.by_rule(days=6) == {}


def test_a_text_finds_a_job_by_number_and_uids_whole(lists: JobLists) -> None:
    assert numbers(lists, text=" 3 ") == [3]
    assert numbers(lists, text="1.2.3") == [4, 3, 2, 1], "the study's, and the series of the third"
    assert numbers(lists, text="1.2.4") == [4]
    assert numbers(lists, text="1.2.") == numbers(lists, text="4711") == numbers(lists, text="9" * 30) == []


def test_changes_are_told_from_an_event_on(node: Node, lists: JobLists) -> None:
    newest = lists.newest_event()
    assert lists.changed_since(newest) == (newest, frozenset())
    assert lists.changed_since(0) == (newest, {1, 2, 3, 4})
    assert lists.changed_since(0, limit=2) == (node.book.events(2)[-1].id, {1, 2})
    assert [event.job_id for event in lists.events_after(node.book.events(2)[-1].id, 1)] == [3]


def test_the_newest_words_of_a_destination_stand_however_many_wait(
    node: Node, lists: JobLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lists, "MOST_ASKED", 2)
    for one, words in zip(node.series.open_jobs(), ("first", "second", "third", ""), strict=True):
        node.close_series(one)
        assert node.finish(node.claimed(), "tps")
        sending = node.outbox.claim_delivery("s1", lease_s=60)
        assert sending is not None
        if words:
            assert node.outbox.rejected(sending, reason=words)
            assert lists.last_words() == {"tps": words}
    assert lists.last_words() == {"tps": "third"}
