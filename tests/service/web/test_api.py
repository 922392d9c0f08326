"""The interface for programs: tokens and their scopes, lists, orders that are done once, events that go on."""

import asyncio
import json
from collections.abc import Callable, Collection

import pytest
from starlette.testclient import TestClient

from service.application import ActorRole, TokenScope, create_token, revoke_token
from service.store import AuditLog, EventKind, JobState
from service.store.jobs.transitions import HistoryLine, add_history_line
from service.web.api.stream import _messages
from tests.service.web.conftest import ADMIN, Page

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
READ, OPERATE = TokenScope.READ, TokenScope.OPERATE


def program(page: Page, *scopes: TokenScope, name: str = "script") -> TestClient:
    """A program with a token of these scopes."""
    made = create_token(page.parts.database, ADMIN, name, scopes, days=30)
    client = page.browser()
    client.headers["Authorization"] = f"Bearer {made.secret}"
    return client


def test_a_token_does_what_its_scopes_say_and_nothing_else(page: Page, contoured: int) -> None:
    reader, hand = program(page, READ), program(page, OPERATE, name="hand")
    assert reader.get("/api/v1/jobs").json()[0]["job"]["id"] == contoured
    assert hand.get("/api/v1/jobs").status_code == 403
    refused = reader.post(f"/api/v1/jobs/{contoured}/cancel")
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert "the token's scopes" in refused.json()["detail"]
    assert hand.post(f"/api/v1/jobs/{contoured}/cancel").json() == {"job": contoured, "state": "cancelled"}
    trail = program(page, TokenScope.AUDIT, name="auditor").get("/api/v1/audit", params={"limit": 2})
    assert [one["target"] for one in trail.json()] == ["tokens", "cancel"]
    assert "before_id" in trail.headers["link"]
    last = AuditLog(page.parts.database).entries()[-3].event
    assert (last.actor, last.target, last.job_id) == ("token hand", "cancel", contoured)
    assert reader.get("/").status_code == 303  # a token opens no page
    for path in ("/api/v1/tokens", "/tokens"):
        assert reader.get(path).status_code in (303, 404)


def test_a_token_ends_when_it_is_revoked_or_its_time_is_over(page: Page) -> None:
    one, other = program(page, READ), program(page, READ, name="other")
    revoke_token(page.parts.database, ADMIN, "script")
    answer = one.get("/api/v1/jobs")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert other.get("/api/v1/jobs").status_code == 200
    page.node.clock.tick(31 * 86400)
    assert other.get("/api/v1/jobs").status_code == 401


def test_a_wrong_token_is_not_helped_by_a_session(page: Page) -> None:
    admin = page.person("anna", ActorRole.ADMIN)
    assert admin.get("/api/v1/jobs").status_code == 200
    assert admin.get("/api/v1/jobs", headers={"Authorization": "Bearer cn_wrong"}).status_code == 401


def test_patients_need_a_scope_of_their_own(page: Page, bring: Callable[..., int]) -> None:
    def name(image: object) -> None:
        image.PatientName, image.PatientID = "Kowalski^Anna", "PID-00123"  # type: ignore[attr-defined]

    number = bring(change=name)
    blind, seeing = program(page, READ), program(page, READ, TokenScope.READ_PATIENTS, name="seeing")
    for path in ("/api/v1/jobs", f"/api/v1/jobs/{number}", "/api/v1/series"):
        asked = {"study_uid": page.node.job().study_uid} if path.endswith("series") else {}
        assert "Kowalski" not in blind.get(path, params=asked).text
        assert "Kowalski^Anna" in seeing.get(path, params=asked).text
    assert blind.get("/api/v1/series", params={"patient_id": "PID-00123"}).status_code == 403
    assert len(seeing.get("/api/v1/series", params={"patient_id": "PID-00123"}).json()) == 1
    assert blind.get(f"/api/v1/jobs/{number}/structure-set").status_code == 403


def test_pages_follow_the_link_of_the_one_before(page: Page) -> None:
    for sender in range(5):
        page.node.receive(calling=f"SENDER{sender}", only=slice(0, 2))
    reader = program(page, READ)
    found, address = [], "/api/v1/jobs?limit=2&state=receiving"
    while address:
        answer = reader.get(address)
        found.append([one["job"]["id"] for one in answer.json()])
        address = answer.headers.get("link", "").partition(">")[0].strip("<")
    assert found == [[5, 4], [3, 2], [1]]


def test_a_page_has_at_most_200_rows_asked_for_or_not(page: Page, bring: Callable[..., int]) -> None:
    number = bring()
    line = HistoryLine(kind=EventKind.NOTE, source=JobState.QUEUED, to=JobState.QUEUED, message="said")
    with page.parts.database.writing() as connection:
        for _ in range(201):
            add_history_line(connection, number, page.node.clock.now, line)
    reader, address = program(page, READ), f"/api/v1/jobs/{number}/events"
    assert len(reader.get(address).json()) == len(reader.get(f"{address}?limit=200").json()) == 200
    for limit in (0, 201):
        refused = reader.get(address, params={"limit": limit})
        assert (refused.status_code, "limit" in refused.text) == (422, True)


def test_an_order_on_what_has_changed_since_is_refused(page: Page, bring: Callable[..., int]) -> None:
    number = bring()
    hand = program(page, READ, OPERATE)
    seen = hand.get(f"/api/v1/jobs/{number}")
    tag = seen.headers["etag"]
    assert tag.startswith('"queued-')
    assert hand.get(f"/api/v1/jobs/{number}", headers={"If-None-Match": tag}).status_code == 304
    order = {"json": {"priority": 90}, "headers": {"If-Match": tag}}
    assert hand.post(f"/api/v1/jobs/{number}/priority", **order).status_code == 200
    late = hand.post(f"/api/v1/jobs/{number}/priority", **order)
    assert (late.status_code, "changed since" in late.json()["detail"]) == (412, True)
    broken = {**order, "headers": {"If-Match": "yesterday"}}
    assert hand.post(f"/api/v1/jobs/{number}/priority", **broken).status_code == 422
    anyhow = {**order, "headers": {"If-Match": "*"}}
    assert hand.post(f"/api/v1/jobs/{number}/priority", **anyhow).status_code == 200


def test_the_same_order_with_the_same_key_is_done_once(page: Page, contoured: int) -> None:
    while (claim := page.node.outbox.claim_delivery("s", lease_s=60)) is not None:
        page.node.outbox.sent(claim)
    hand = program(page, OPERATE)
    key = {"Idempotency-Key": "order-1"}
    answers = [hand.post(f"/api/v1/jobs/{contoured}/rerun", headers=key) for _ in range(2)]
    assert [(one.status_code, one.headers["location"]) for one in answers] == [(201, "/api/v1/jobs/2")] * 2
    assert len(page.node.book.list_jobs()) == 2
    other = hand.post(f"/api/v1/jobs/{contoured}/rerun", headers=key, json={"rule": "head-neck"})
    assert (other.status_code, "another order" in other.json()["detail"]) == (422, True)
    refused = [hand.post("/api/v1/jobs/2/retry", headers={"Idempotency-Key": "order-2"}) for _ in range(2)]
    assert [one.status_code for one in refused] == [409, 409]  # what was refused is not kept
    assert "cannot be retried" in refused[1].json()["detail"]
    page.node.clock.tick(86401)
    assert hand.post(f"/api/v1/jobs/{contoured}/rerun", headers=key).status_code == 409  # a new order


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jobs/1/priority", {"priority": 101}),
        ("jobs/1/priority", {}),
        ("jobs/1/rerun", {"rule": "x\u0000"}),
        ("jobs/1/resend", {"destination": "\ud800"}),
        ("jobs/0/retry", {}),
        ("jobs/99999999999/retry", {}),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(page: Page, path: str, body: dict[str, object]) -> None:
    answer = program(page, OPERATE).post(
        f"/api/v1/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["pointer"]
    assert problem["request"]


def test_events_go_on_where_a_program_left_off(page: Page, bring: Callable[..., int]) -> None:
    number = bring()
    known = page.node.book.events(number)

    class _Asking:
        async def is_disconnected(self) -> bool:
            return False

    async def read(after: int, jobs: Collection[int] = ()) -> list[str]:
        async def signals():  # type: ignore[no-untyped-def] # one sign that something happened
            page.node.changes.cancel(number)
            yield "event: jobs\n\n"

        stream = _messages(_Asking(), page.parts, signals(), after, frozenset(jobs))  # type: ignore[arg-type]
        return [message async for message in stream]

    messages = asyncio.run(read(known[0].id))
    assert [int(one.split("\n")[0][4:]) for one in messages[:-1]] == [one.id for one in known[1:]]
    last = json.loads(messages[-1].split("data: ")[1])
    assert (last["job_id"], last["to_state"]) == (number, JobState.CANCELLED.value)


def test_the_rest_of_the_node_is_told(page: Page, contoured: int) -> None:
    reader = program(page, READ)
    assert reader.get("/api/v1/destinations").json() == [
        {"name": "tps", "address": "TPS at 127.0.0.1:104", "under_way": {"pending": 1}, "last_words": ""}
    ]
    assert reader.get("/api/v1/models").json()[0]["rules"] == ["head-neck"]
    assert reader.get("/api/v1/health").json() == []
    assert reader.get(f"/api/v1/jobs/{contoured}/deliveries").json()[0]["state"] == "pending"
    ids = [one["id"] for one in reader.get(f"/api/v1/jobs/{contoured}/events").json()]
    rest = reader.get(f"/api/v1/jobs/{contoured}/events", params={"after_id": ids[2], "limit": 2}).json()
    assert [one["id"] for one in rest] == ids[3:5]
    assert reader.get("/api/v1/jobs/4711").status_code == 404
    paths = reader.get("/api/v1/openapi.json").json()["paths"]
    assert "post" in paths["/api/v1/jobs/{number}/rerun"]
    assert all(path.startswith("/api/v1/") for path in paths)


def test_a_token_is_made_shown_once_and_revoked_on_the_page(page: Page) -> None:
    admin = page.person("anna", ActorRole.ADMIN)
    form = {"name": "tps-script", "scopes": ["read", "operate"], "days": "10"}
    secret = admin.post("/tokens/make", data=form).text.split("<code>cn_")[1].split("<")[0]
    client = page.browser()
    client.headers["Authorization"] = f"Bearer cn_{secret}"
    assert client.get("/api/v1/jobs").status_code == 200
    listed = admin.get("/tokens").text
    assert secret not in listed
    assert "operate, read" in listed
    assert admin.post("/tokens/make", data=form).status_code == 409
    assert admin.post("/tokens/revoke", data={"name": "tps-script"}).status_code == 303
    assert client.get("/api/v1/jobs").status_code == 401
    for wrong in ({"scopes": []}, {"days": "0"}, {"name": "a b"}):
        assert admin.post("/tokens/make", data={**form, **wrong}).status_code == 422
    assert page.person("otto", ActorRole.PHYSICIST).get("/tokens").status_code == 403
