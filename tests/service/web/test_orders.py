"""Orders about one job and about many, by the page's forms."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from service.application import ActorRole
from service.store import AuditLog, JobState
from tests.service.web.conftest import Page

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def operator(page: Page) -> TestClient:
    return page.person("otto", ActorRole.OPERATOR)


def deliver(page: Page) -> None:
    while (claim := page.node.outbox.claim_delivery("s", lease_s=60)) is not None:
        page.node.outbox.sent(claim)


def test_a_done_job_is_sent_again_and_contoured_again_by_a_named_model(
    page: Page, operator: TestClient, contoured: int
) -> None:
    deliver(page)
    text = operator.get(f"/jobs/{contoured}").text
    assert "Send job 1 again" in text
    assert "Change priority" not in text  # nothing is left to be done
    assert operator.post(f"/jobs/{contoured}/resend", data={"destination": "tps"}).status_code == 303
    assert [one.state.value for one in page.node.book.deliveries(contoured)] == ["pending"]
    refused = operator.post(f"/jobs/{contoured}/resend", data={"destination": "x"})
    assert (refused.status_code, "there are: tps" in refused.text) == (422, True)
    model = next(iter(page.parts.models.values()))
    answer = operator.post(
        f"/jobs/{contoured}/rerun", data={"rule": "head-neck", "model": f"{model.name} {model.version}"}
    )
    assert answer.headers["location"] == "/jobs/2"
    assert "rule head-neck, model hn_oar" in page.node.book.events(2)[0].message
    for wrong in ({"rule": "none"}, {"model": "none"}, {"model": "hn_oar x"}):
        assert operator.post(f"/jobs/{contoured}/rerun", data=wrong).status_code == 422


def test_priority_is_changed_on_the_page_and_by_an_old_page_refused(
    page: Page, operator: TestClient, bring: Callable[..., int]
) -> None:
    number = bring()
    seen = operator.get(f"/jobs/{number}").text.split('name="seen" value="')[1].split('"')[0]
    form = {"priority": "90", "seen": seen}
    assert operator.post(f"/jobs/{number}/priority", data=form).status_code == 303
    assert page.node.job().priority == 90
    assert operator.post(f"/jobs/{number}/priority", data={**form, "priority": "1"}).status_code == 412
    assert operator.post(f"/jobs/{number}/priority", data={"priority": "101"}).status_code == 422
    assert page.node.job().priority == 90


def test_an_order_about_many_jobs_says_what_was_not_done_and_is_undone(
    page: Page, operator: TestClient
) -> None:
    for sender in range(3):
        page.node.receive(calling=f"SENDER{sender}", only=slice(0, 2))
    text = operator.post(
        "/work/orders", data={"order": "cancel", "jobs": ["1", "3", "4711"], "query": "group=other"}
    ).text
    assert "2 jobs cancelled. 1 not done: there is no job 4711." in text
    assert text.count('class="mark"') == 2  # the list it came from, with its filter
    assert 'value="retry cancelled"' in text
    undo = {"order": "retry cancelled", "jobs": ["1", "3"]}
    assert "2 jobs resumed" in operator.post("/work/orders", data=undo).text
    assert {one.state for one in page.node.book.list_jobs()} == {JobState.RECEIVING}
    orders = [entry.event for entry in AuditLog(page.parts.database).entries() if entry.event.actor == "otto"]
    done = [(one.target, one.job_id) for one in orders if one.target in ("cancel", "retry")]
    assert done == [("cancel", 1), ("cancel", 3), ("cancel", 4711), ("retry", 1), ("retry", 3)]


def test_all_that_a_filter_finds_is_shown_and_ordered_at_once(
    page: Page, operator: TestClient, bring: Callable[..., int]
) -> None:
    numbers = [bring(calling=sender) for sender in ("A", "B", "C")]
    text = operator.get("/?rows=1&group=under-way").text
    assert text.count('class="mark"') == 1
    assert "Show up to 500" in text
    shown = operator.get("/?rows=500&group=under-way").text
    assert (shown.count('class="mark"'), "Show up to" in shown) == (3, False)
    form = {"order": "cancel", "query": "group=other&rows=500", "jobs": [str(one) for one in numbers]}
    text = operator.post("/work/orders", data=form).text
    assert "3 jobs cancelled" in text
    assert "3 other" in text  # counted again, not a few seconds old
    assert text.count('class="mark"') == 3
    assert operator.get("/?rows=501").status_code == 422


def test_what_was_made_urgent_gets_the_priority_back_that_it_had(
    page: Page, operator: TestClient, bring: Callable[..., int]
) -> None:
    number = bring()
    page.node.changes.prioritise(number, 33)
    text = operator.post("/work/orders", data={"order": "urgent", "jobs": [str(number)]}).text
    assert page.node.job().priority == 90
    assert f'value="{number}:33"' in text
    operator.post("/work/orders", data={"order": "usual", "jobs": [f"{number}:33"]})
    assert page.node.job().priority == 33


def test_what_waits_for_a_destination_is_sent_now_by_who_may(
    page: Page, operator: TestClient, contoured: int
) -> None:
    claim = page.node.outbox.claim_delivery("s", lease_s=60)
    assert claim is not None
    assert "Send now" not in operator.get("/destinations").text  # it is being sent
    page.node.outbox.retry_later(claim, reason="no answer", max_attempts=3, delay_s=900)
    assert "Send now" in operator.get("/destinations").text
    assert page.node.outbox.claim_delivery("s", lease_s=60) is None
    viewer = page.person("vera", ActorRole.VIEWER)
    assert "Send now" not in viewer.get("/destinations").text
    assert viewer.post("/destinations/tps/send-now").status_code == 403
    assert operator.post("/destinations/tps/send-now").headers["location"] == "/destinations"
    assert page.node.outbox.claim_delivery("s", lease_s=60) is not None
    last = AuditLog(page.parts.database).entries()[-1].event
    assert (last.actor, last.target, last.detail) == ("otto", "send now", "tps")
    assert operator.post("/destinations/x/send-now").status_code == 422


def test_jobs_are_sent_again_to_those_who_got_them(page: Page, operator: TestClient, contoured: int) -> None:
    form = {"order": "resend", "jobs": [str(contoured)]}
    assert "nothing has been sent for job 1 yet" in operator.post("/work/orders", data=form).text
    deliver(page)
    assert "1 job queued to be sent again" in operator.post("/work/orders", data=form).text
    assert page.node.outbox.claim_delivery("s", lease_s=60) is not None


@pytest.mark.parametrize("form", [{"order": "delete"}, {"order": "retry", "jobs": ["x"]}, {"jobs": ["1"]}])
def test_an_order_that_is_none_is_refused(operator: TestClient, form: dict[str, object]) -> None:
    assert operator.post("/work/orders", data=form).status_code == 422
