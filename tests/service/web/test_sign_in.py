"""Who gets in: first run, links, passwords, waits, and what ends a session."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from service.application import ActorRole, change_person, invite_person, secret_sha256
from service.store import AuditKind, AuditLog
from service.web.throttles import AddressWaits
from tests.service.web.conftest import ADMIN, PASSWORD, Page, make_page
from tests.support.small_node import SmallNode

TRY = {"name": "anna", "password": "not the password"}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def sign_ins(page: Page) -> list[tuple[str, str, str]]:
    entries = [entry.event for entry in AuditLog(page.parts.database).entries()]
    return [(one.kind.value, one.actor, one.detail) for one in entries if one.kind is AuditKind.SIGNED_IN]


def test_a_fresh_node_shows_how_to_make_an_admin_and_nothing_else(page: Page) -> None:
    browser = page.browser()
    assert browser.get("/").headers["location"] == "/sign-in?next=%2F"
    first = browser.get("/sign-in")
    assert "contour-node web-admin NAME" in first.text
    assert "<form" not in first.text

    secret = invite_person(page.parts.database, ADMIN, "anna", ActorRole.ADMIN, sees_patients=True)
    link = f"/invitation/{secret}"
    assert "anna" in browser.get(link).text
    passwords = {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(link, data=passwords).headers["location"] == "/sign-in"
    assert browser.post(link, data=passwords).status_code == 409
    assert "this link was used" in browser.get(link).text
    assert "<form" in browser.get("/sign-in").text


@pytest.mark.parametrize(
    ("password", "again", "words"),
    [
        ("too short", "too short", "12 to 256 characters"),
        ("long enough, but", "not the same...", "do not match"),
        ("anna anna anna 1", "anna anna anna 1", "too easy to guess"),
        ("password1234", "password1234", "too easy to guess"),
        ("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "too easy to guess"),
    ],
)
def test_a_poor_password_is_refused_at_the_form_and_the_link_stays(
    page: Page, password: str, again: str, words: str
) -> None:
    secret = invite_person(page.parts.database, ADMIN, "anna", ActorRole.ADMIN, sees_patients=True)
    browser = page.browser()
    answer = browser.post(f"/invitation/{secret}", data={"password": password, "again": again})
    assert (answer.status_code, words in answer.text) == (422, True)
    good = {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(f"/invitation/{secret}", data=good).status_code == 303


def test_after_five_wrong_passwords_even_the_right_one_waits_and_each_try_is_in_the_trail(page: Page) -> None:
    page.person("anna", ActorRole.VIEWER)
    browser = page.browser()
    answers = [browser.post("/sign-in", data=TRY) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert "You can try again in 30 s" in answers[-1].text
    refused = browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})
    assert (refused.status_code, "Try again in 30 s" in refused.text) == (429, True)
    assert sign_ins(page)[1:] == [
        *[("signed in", "anna", "refused: wrong name or password")] * 5,
        ("signed in", "anna", "refused: has to wait"),
    ]
    page.node.clock.tick(31)
    assert browser.post("/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 303


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(page: Page) -> None:
    page.person("anna", ActorRole.ADMIN)
    browser = page.browser()
    texts = {browser.post("/sign-in", data={**TRY, "name": name}).text for name in ("anna", "nobody")}
    assert len(texts) == 1


def test_an_address_waits_after_many_failures_whatever_the_names(page: Page) -> None:
    waits = AddressWaits()
    now = page.node.clock()
    for _ in range(19):
        waits.failed("10.0.0.1", now)
    assert waits.until("10.0.0.1", now) is None
    waits.failed("10.0.0.1", now)
    assert waits.until("10.0.0.1", now) == now + timedelta(seconds=30)
    assert waits.until("10.0.0.2", now) is None
    waits.succeeded("10.0.0.1")
    assert waits.until("10.0.0.1", now) is None


def test_a_session_that_ended_leads_to_the_form_and_back_to_the_same_place(page: Page) -> None:
    browser = page.person("anna", ActorRole.VIEWER)
    assert browser.get("/?group=done").status_code == 200
    page.node.clock.tick(31 * 60)
    assert browser.get("/?group=done").headers["location"] == "/sign-in?next=%2F%3Fgroup%3Ddone"
    back = browser.post("/sign-in", data={"name": "anna", "password": PASSWORD, "next": "/?group=done"})
    assert back.headers["location"] == "/?group=done"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "x"])
def test_signing_in_never_leads_to_another_site(page: Page, elsewhere: str) -> None:
    page.person("anna", ActorRole.VIEWER)
    form = {"name": "anna", "password": PASSWORD, "next": elsewhere}
    assert page.browser().post("/sign-in", data=form).headers["location"] == "/"


def test_signing_out_and_a_change_of_role_end_the_session_at_once(page: Page) -> None:
    one, other = page.person("anna", ActorRole.ADMIN), page.person("ben", ActorRole.OPERATOR)
    assert one.post("/sign-out").status_code == 303
    assert one.get("/").status_code == 303
    assert other.get("/").status_code == 200
    change_person(page.parts.database, ADMIN, "ben", role=ActorRole.VIEWER)
    assert other.get("/").status_code == 303


def test_a_session_used_at_another_address_ends_and_the_trail_says_so(page: Page) -> None:
    owner = page.person("anna", ActorRole.ADMIN)
    thief = page.browser(address="10.0.0.9")
    thief.cookies = owner.cookies
    assert thief.post("/people/invite", data={"name": "eve", "role": "admin"}).status_code == 303
    assert page.parts.accounts.find("eve") is None
    assert owner.get("/").headers["location"] == "/sign-in?next=%2F"
    entry = AuditLog(page.parts.database).entries()[-1].event
    assert (entry.kind, entry.actor, entry.address) == (AuditKind.SIGNED_OUT, "anna", "10.0.0.9")
    assert entry.detail == (
        "refused: the session was opened at testclient and used at 10.0.0.9; it has ended"
    )


def test_a_site_whose_addresses_change_keeps_sessions_and_sees_each_address_in_the_trail(
    small_node: SmallNode,
) -> None:
    page = make_page(small_node, web={"session_keeps_address": False})
    owner = page.person("anna", ActorRole.VIEWER)
    other = page.browser(address="10.0.0.9")
    other.cookies = owner.cookies
    assert [browser.get("/").status_code for browser in (owner, other, owner)] == [200] * 3
    looks = [one.event for one in AuditLog(page.parts.database).entries() if one.event.target == "jobs"]
    assert [one.address for one in looks] == ["testclient", "10.0.0.9"]


def test_somebody_is_signed_out_of_every_browser_by_themselves_or_by_an_admin(page: Page) -> None:
    admin = page.person("root", ActorRole.ADMIN)
    for signs_out in ("anna", "root"):
        first = page.person("anna", ActorRole.VIEWER)
        second = page.browser()
        second.post("/sign-in", data={"name": "anna", "password": PASSWORD})
        assert [one.get("/").status_code for one in (first, second)] == [200, 200]
        if signs_out == "anna":
            assert second.post("/sign-out/everywhere").headers["location"] == "/sign-in"
        else:
            assert 'action="/people/sign-out"' in admin.get("/people").text
            assert admin.post("/people/sign-out", data={"name": "anna"}).status_code == 303
        assert [one.get("/").status_code for one in (first, second)] == [303, 303]
        last = AuditLog(page.parts.database).entries()[-1].event
        assert (last.actor, last.target, last.detail) == (
            ("anna", "everywhere", "") if signs_out == "anna" else ("root", "change user", last.detail)
        )
    assert "anna: signed out everywhere" in last.detail
    assert admin.get("/").status_code == 200
    assert admin.post("/people/sign-out", data={"name": "nobody"}).status_code == 409


def test_the_cookie_is_out_of_reach_of_scripts_and_the_database_holds_only_its_hash(page: Page) -> None:
    page.person("anna", ActorRole.VIEWER)
    answer = page.browser().post("/sign-in", data={"name": "anna", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    secret = re.match(r"contour-node=([^;]+)", cookie)
    assert secret is not None
    assert page.parts.sessions.find(secret_sha256(secret[1])) is not None
    assert page.parts.sessions.find(secret[1]) is None


@pytest.mark.parametrize("make", [lambda b: b.cookies.set("contour-node", "made up")])
def test_a_made_up_cookie_opens_nothing(page: Page, make: Callable[[TestClient], None]) -> None:
    page.person("anna", ActorRole.ADMIN)
    browser = page.browser()
    make(browser)
    assert browser.get("/").status_code == 303
