"""Every route asks for a right; what a request may not do, it does not do."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.routing import APIRoute

from service.application import ActorRole, Operation
from service.store import AuditLog, JobState
from service.web.access import anyone
from service.web.app import ROUTERS
from service.web.security import HEADERS, MOST_BODY_BYTES
from tests.service.web.conftest import Page, make_page
from tests.support.small_node import SmallNode

UIDS = {"study": "1.2", "series": "1.3", "series_uid": "1.3", "instance": "1.4", "numbers": "1"}
PUBLIC = {"/oidc/sign-in", "/oidc/callback", "/language", "/sign-in", "/invitation/{secret}"}
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
ORDERS = ("retry", "rerun", "cancel", "priority", "resend")
FORMS = {"priority": {"priority": "90"}, "resend": {"destination": "tps"}}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rights(route: APIRoute) -> set[Operation | None]:
    calls = [dependency.call for dependency in route.dependant.dependencies]
    found: set[Operation | None] = {call.action for call in calls if hasattr(call, "action")}
    return found | ({None} if anyone in calls else set())


def test_every_route_names_its_right_or_is_one_of_the_few_that_answer_anybody(page: Page) -> None:
    assert len(ROUTES) > 20
    for route in ROUTES:
        expected = {None} if route.path in PUBLIC else set(Operation)
        assert rights(route), route.path
        assert rights(route) <= expected, route.path


def test_without_a_session_no_page_and_no_data_is_given(page: Page, contoured: int) -> None:
    browser = page.browser()
    for route in ROUTES:
        if route.path in PUBLIC:
            continue
        path = route.path.format(number=contoured, index=0, name="tps", version=1, **UIDS)
        for method in route.methods:
            answer = browser.request(method, path)
            assert answer.status_code == (401 if path.startswith(("/api/", "/dicom-web/")) else 303), path
            assert "PHANTOM" not in answer.text.upper()


def test_a_viewer_sees_no_order_and_giving_one_by_hand_is_refused_and_recorded(
    page: Page, contoured: int
) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    text = viewer.get(f"/jobs/{contoured}").text
    assert not any(f"/jobs/{contoured}/{order}" in text for order in ORDERS)
    for order in ORDERS:
        answer = viewer.post(f"/jobs/{contoured}/{order}", data=FORMS.get(order, {}))
        assert (answer.status_code, "may not" in answer.text) == (403, True)
    assert page.node.job().state is JobState.DELIVERING
    for path in ("/audit", "/people"):
        assert viewer.get(path).status_code == 403


def test_an_operators_order_is_done_and_recorded_with_name_and_address(page: Page, contoured: int) -> None:
    operator = page.person("otto", ActorRole.OPERATOR)
    assert operator.post(f"/jobs/{contoured}/cancel").status_code == 303
    assert page.node.job().state is JobState.CANCELLED
    last = AuditLog(page.parts.database).entries()[-1].event
    assert (last.actor, last.target, last.job_id, last.address) == ("otto", "cancel", contoured, "testclient")


def test_patients_are_hidden_from_those_who_may_not_see_them(page: Page, bring: Callable[..., int]) -> None:
    def name(image: object) -> None:
        image.PatientName, image.PatientID = "Kowalski^Anna", "PID-00123"  # type: ignore[attr-defined]

    number = bring(change=name)
    seeing = page.person("anna", ActorRole.VIEWER)
    blind = page.person("bob", ActorRole.PHYSICIST, sees_patients=False)
    assert '<td class="patient">Kowalski Anna PID-00123</td>' in seeing.get("/").text  # never cut off
    for path in ("/", f"/jobs/{number}"):
        assert "Kowalski Anna" in seeing.get(path).text
        text = blind.get(path).text
        assert "Kowalski" not in text
        assert "PID-00123" not in text
        assert "KA. ..123" in text
    assert "Kowalski" not in blind.get("/?q=kowalski").text.replace('value="kowalski"', "")


def test_each_look_is_in_the_trail_before_the_answer_and_once_a_minute(page: Page, contoured: int) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    for _ in range(3):
        assert viewer.get(f"/jobs/{contoured}").status_code == 200
        assert viewer.get(f"/jobs/{contoured}/viewer").status_code == 200
    looks = [
        entry.event.target
        for entry in AuditLog(page.parts.database).entries()
        if entry.event.job_id == contoured
    ]
    assert sorted(look for look in looks if look == "show") == ["show", "show"]  # the job, and its images


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_an_order_from_a_page_of_another_site_is_refused(
    page: Page, contoured: int, headers: dict[str, str], status: int
) -> None:
    operator = page.person("otto", ActorRole.OPERATOR)
    assert operator.post(f"/jobs/{contoured}/cancel", headers=headers).status_code == status
    assert page.node.job().state is (JobState.CANCELLED if status == 303 else JobState.DELIVERING)


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("127.0.0.1", 200), ("evil.example", 421)])
def test_requests_for_other_host_names_are_refused(page: Page, host: str, status: int) -> None:
    page.person("anna", ActorRole.ADMIN)
    assert page.browser(host).get("/sign-in").status_code == status


def test_a_host_name_of_the_settings_is_answered(small_node: SmallNode) -> None:
    page = make_page(small_node, web={"names": ["contours.example"]})
    assert page.browser("contours.example").get("/sign-in").status_code == 200


def test_every_answer_carries_the_headers_and_no_inline_script(page: Page, contoured: int) -> None:
    admin = page.person("anna", ActorRole.ADMIN)
    paths = (
        "/",
        f"/jobs/{contoured}",
        f"/jobs/{contoured}/viewer",
        "/people",
        "/static/page.js",
        "/nowhere",
        "/sign-in",
    )
    for path in (*paths, f"/api/v1/jobs/{contoured}/ct"):
        answer = admin.get(path)
        assert all(answer.headers[name] == value for name, value in HEADERS.items()), path
        assert "no-" in answer.headers["cache-control"]
        assert "<script>" not in answer.text
        assert " style=" not in answer.text.split("<svg", 1)[0]
        assert "onclick" not in answer.text or path.startswith("/static")


def test_a_form_that_is_too_large_is_refused_whether_it_says_so_or_not(page: Page) -> None:
    page.person("anna", ActorRole.ADMIN)
    browser = page.browser()
    assert browser.post("/sign-in", data={"name": "x" * MOST_BODY_BYTES}).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"name=" + b"x" * 4096

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/sign-in", content=endless(), headers=form).status_code >= 400
