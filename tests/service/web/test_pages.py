"""Lists, one job, and what the other pages say; text of strangers is shown and never obeyed."""

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset

from phantoms.dicom import CtExport
from service.application import ActorRole
from service.errors import TryAgain
from service.store import DatabaseUnavailable, JobState
from tests.service.web.conftest import Page
from tests.service.work.test_worker import Server, bug, nonsense, worker
from tests.support.small_node import settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOSTILE = "<script>alert(1)</script>[/q]\u202e"


def test_an_empty_node_says_where_to_send(page: Page) -> None:
    text = page.person("anna", ActorRole.VIEWER).get("/").text
    assert "No series received yet" in text
    assert "CONTOURNODE" in text
    assert "11112" in text


def test_a_job_number_in_the_search_leads_to_the_job(page: Page, bring: Callable[..., int]) -> None:
    number = bring()
    answer = page.person("anna", ActorRole.VIEWER).get("/", params={"q": str(number)})
    assert answer.headers["location"] == f"/jobs/{number}"


@pytest.mark.parametrize("place", ["name", "description", "sender"])
def test_text_of_strangers_is_shown_and_never_obeyed(
    page: Page, bring: Callable[..., int], place: str
) -> None:
    def change(image: Dataset) -> None:
        image.SpecificCharacterSet = "ISO_IR 192"
        if place == "name":
            image.PatientName = HOSTILE
        if place == "description":
            image.SeriesDescription = HOSTILE

    how: dict[str, Any] = {"calling": "<b>[/q]</b>"} if place == "sender" else {}
    number = bring(change=change, **how)
    viewer = page.person("anna", ActorRole.VIEWER)
    for path in ("/", f"/jobs/{number}", f"/jobs/{number}/viewer"):
        text = viewer.get(path).text
        assert "<script>alert" not in text
        assert "<b>[/q]" not in text
        assert "\u202e" not in text


def test_one_job_says_its_stages_what_to_do_and_each_slice(page: Page, contoured: int) -> None:
    text = page.person("otto", ActorRole.OPERATOR).get(f"/jobs/{contoured}").text
    for words in (
        "received",
        "queued",
        "contoured",
        "delivering",
        "Brainstem",
        "none missing",
        "waiting to be sent",
    ):
        assert words in text, words


def test_a_series_with_a_hole_shows_where(page: Page, bring: Callable[..., int]) -> None:
    number = bring(how=CtExport(dropped=(3,)))
    assert page.node.job().state is JobState.WAITING
    text = page.person("otto", ActorRole.OPERATOR).get(f"/jobs/{number}").text
    assert "1 missing" in text
    assert 'class="hole"' in text
    assert "No action needed" in text


def test_a_failed_job_is_first_and_says_what_to_do_and_retrying_it_helps(
    page: Page, bring: Callable[..., int]
) -> None:
    number = bring()
    for _ in range(3):
        worker(page.node, Server(nonsense), settings(work={"max_attempts": 1})).work_one()
        page.node.clock.tick(60)
    assert page.node.job().state is JobState.FAILED
    operator = page.person("otto", ActorRole.OPERATOR)
    text = operator.get(f"/jobs/{number}").text
    assert "What to do:" in text
    assert "masks of another grid" in text
    seen = text.split('name="seen" value="')[1].split('"')[0]
    page.node.changes.retry(number)  # somebody else was quicker
    stale = operator.post(f"/jobs/{number}/retry", data={"seen": seen})
    assert (stale.status_code, "changed since you looked at it" in stale.text) == (412, True)
    assert page.node.job().state is JobState.QUEUED


def test_a_job_that_is_not_there_says_so(page: Page) -> None:
    viewer = page.person("anna", ActorRole.VIEWER)
    answer = viewer.get("/jobs/4711")
    assert (answer.status_code, "there is no job 4711" in answer.text) == (404, True)
    problem = viewer.get("/api/v1/jobs/4711/ct")
    assert problem.headers["content-type"] == "application/problem+json"
    assert "there is no job 4711" in problem.json()["detail"]
    assert viewer.get("/nowhere").status_code == 404
    assert viewer.get("/jobs/x").status_code == 422


def test_a_fault_of_the_node_has_a_number_and_no_details(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = page.person("anna", ActorRole.VIEWER)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the node")

    monkeypatch.setattr(type(page.parts.lists), "versions", broken)
    page.node.receive(only=slice(0, 2))
    answer = viewer.get("/jobs/1")
    assert (answer.status_code, "Request" in answer.text) == (500, True)
    assert "secret" not in answer.text


def test_a_database_that_is_away_is_said_and_asked_for_again(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = page.person("anna", ActorRole.VIEWER)

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("the database does not answer: locked")

    monkeypatch.setattr(type(page.parts.sessions), "find", away)
    answer = viewer.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "the database does not answer" in answer.text
    assert issubclass(DatabaseUnavailable, TryAgain)


def test_the_other_pages_stand(page: Page, contoured: int) -> None:
    admin = page.person("anna", ActorRole.ADMIN)
    words = {
        "/destinations": "1 waiting to be sent",
        "/models": "hn_oar",
        "/node": "Checked",
        "/audit": "signed in",
        "/people": "can sign in",
        f"/audit?job={contoured}": "Audit trail",
    }
    for path, word in words.items():
        answer = admin.get(path)
        assert (answer.status_code, word in answer.text) == (200, True), path


def test_an_admin_makes_a_link_changes_a_role_and_ends_a_person(page: Page) -> None:
    admin = page.person("anna", ActorRole.ADMIN)
    text = admin.post("/people/invite", data={"name": "ben", "role": "viewer"}).text
    link = text.split("http://localhost")[1].split("<")[0].strip()
    browser = page.browser()
    good = {"password": "another quiet sentence", "again": "another quiet sentence"}
    assert browser.post(link, data=good).status_code == 303
    assert admin.post("/people/change", data={"name": "ben", "role": "operator"}).status_code == 303
    ben = page.parts.accounts.find("ben")
    assert ben is not None
    assert (ben.role, ben.sees_patients) == ("operator", False)
    assert admin.post("/people/end", data={"name": "ben"}).status_code == 303
    assert browser.post("/sign-in", data={"name": "ben", **good}).status_code == 401
    refused = admin.post("/people/change", data={"name": "anna", "role": "viewer"})
    assert (refused.status_code, "last admin" in refused.text) == (409, True)
    assert admin.post("/people/invite", data={"name": "<b>", "role": "viewer"}).status_code == 422


def test_a_crash_of_a_worker_is_a_stage_that_ended_badly(page: Page, bring: Callable[..., int]) -> None:
    number = bring()
    worker(page.node, Server(bug)).work_one()
    text = page.person("otto", ActorRole.OPERATOR).get(f"/jobs/{number}").text
    assert "patient name" not in text
    assert "waiting for the next attempt" in text
