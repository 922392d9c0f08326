"""Another version of the rules holds by the page, the interface and the terminal: judged, said why, rolled back."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from imaging.modality import Modality
from service.application import ActorRole, TokenScope, create_token
from service.config.rules_text import rules_text
from service.store import AuditLog, AuditOutcome
from service.store.node.rule_sets import RuleVersions
from tests.service.web.conftest import ADMIN, Page, make_page
from tests.support.small_node import RULE, SmallNode

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def physicist(page: Page) -> TestClient:
    return page.person("paula", ActorRole.PHYSICIST)


def text_of(page: Page, **changes: Any) -> str:
    return rules_text([rule.model_copy(update=changes) for rule in page.parts.settings.rules])


def holds(page: Page) -> tuple[int, list[str]]:
    held = page.parts.rules.current()
    return held.number, [rule.name for rule in held.settings.rules]


def test_a_text_is_activated_with_a_reason_and_the_next_series_follows_it(
    page: Page, physicist: TestClient
) -> None:
    browsers_text = text_of(page, name="neck").replace("\n", "\r\n")
    form = {"text": browsers_text, "seen": "0", "reason": "the neck needs the mask"}
    assert physicist.post("/rules/activate", data={**form, "reason": ""}).status_code == 422
    answer = physicist.post("/rules/activate", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules")
    shown = physicist.get("/rules").text
    for words in ("Version 2", "paula", "the neck needs the mask"):
        assert words in shown, words
    assert holds(page) == (2, ["neck"])
    assert "\r" not in RuleVersions(page.parts.database).version(2).text
    stale = physicist.post("/rules/activate", data={**form, "text": text_of(page, name="lung")})
    assert stale.status_code == 412
    assert "the rules have changed since you looked at them" in stale.text
    assert "lung" in stale.text  # what was typed is still there
    history = physicist.get("/rules/history").text
    assert "-name = &#34;head-neck&#34;" in history
    back = physicist.post("/rules/rollback", data={"number": "1", "seen": "2", "reason": "as before"})
    assert back.status_code == 303
    assert holds(page) == (3, ["head-neck"])
    late = physicist.post("/rules/rollback", data={"number": "2", "seen": "2", "reason": "again"})
    assert (late.status_code, "Not done" in late.text) == (412, True)
    trail = [entry.event for entry in AuditLog(page.parts.database).entries()]
    assert [
        one.target for one in trail if one.target.startswith("rules ") and one.outcome is AuditOutcome.SUCCESS
    ] == [
        "rules activate",
        "rules rollback",
    ]


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"model": "lung_gtv"}, "line 3, column 9", "there are: hn_oar"),
        ({"body_part": "(a+)+$"}, "line 3, column 13", "takes more than 2 s"),
        ({"template": Path("/none.toml")}, "line 4, column 12", "none.toml"),
        ({"template": Path("none.toml")}, "line 4, column 12", "is not an absolute path"),
        ({"model_version": 77}, "line 4, column 17", "no version 77"),
        ({"modality": Modality.MR}, "line 3, column 12", "takes CT"),
    ],
)
def test_rules_with_faults_are_kept_as_a_draft_and_never_hold(
    page: Page, physicist: TestClient, change: dict[str, Any], place: str, words: str
) -> None:
    text = text_of(page, **change)
    saved = physicist.post("/rules/draft", data={"text": text, "reason": "not ready"})
    assert saved.status_code == 303
    shown = physicist.get(saved.headers["location"])
    assert shown.status_code == 422
    for said in (place, words, "Draft 2", "disabled"):
        assert said in shown.text, said
    for form in ({"saved": "2"}, {}):
        answer = physicist.post(
            "/rules/activate", data={"text": text, "seen": "0", "reason": "all the same", **form}
        )
        assert (answer.status_code, place in answer.text) == (422, True)
    assert holds(page) == (0, ["head-neck"])
    assert physicist.post("/rules/discard", data={"number": "2"}).status_code == 303
    assert "Saved drafts" not in physicist.get("/rules").text


def test_rules_that_lose_an_ae_title_say_so_before_they_hold(page: Page, physicist: TestClient) -> None:
    page.parts.office.activate(ADMIN, text_of(page, called_aet="NECK"), "a title of its own", seen=0)
    shown = physicist.post("/rules/try", data={"text": text_of(page), "number": "5"}).text
    assert "would no longer accept associations for <strong>NECK</strong>" in shown


def test_a_second_person_activates_what_the_first_wrote(small_node: SmallNode) -> None:
    page = make_page(small_node, web={"rules_need_two": True})
    anna, ben = page.person("anna", ActorRole.PHYSICIST), page.person("ben", ActorRole.ADMIN)
    form = {"text": text_of(page, name="neck"), "seen": "0", "reason": "two"}
    alone = anna.post("/rules/activate", data=form)
    assert (alone.status_code, "need two people" in alone.text) == (422, True)
    address = anna.post("/rules/draft", data=form).headers["location"]
    assert anna.post("/rules/activate", data={**form, "saved": "2"}).status_code == 422
    assert "Two people" in ben.get(address).text
    assert ben.post("/rules/activate", data={**form, "saved": "2"}).status_code == 303
    assert holds(page) == (2, ["neck"])
    assert "written by anna" in ben.get("/rules").text


def test_programs_do_the_same_with_the_scope_rules_and_an_etag(page: Page) -> None:
    database = page.parts.database
    secret = create_token(database, ADMIN, "planner", [TokenScope.RULES], days=1).secret
    reader = create_token(database, ADMIN, "reader", [TokenScope.READ], days=1).secret
    program = page.browser()
    program.headers["Authorization"] = f"Bearer {secret}"
    found = program.get("/api/v1/rules")
    assert (found.headers["etag"], found.json()["version"]) == ('"rules-0"', 0)
    text = text_of(page, name="neck")
    wrong = text.replace("hn_oar", "lung")
    assert program.post("/api/v1/rules/check", json={"text": text}).json() == {
        "faults": [],
        "lost_titles": [],
    }
    refused = program.post("/api/v1/rules/activate", json={"text": wrong, "reason": "x"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0] | {"detail": ""} == {
        "in": "text",
        "line": 3,
        "column": 9,
        "detail": "",
    }
    order = {"text": text, "reason": "by a program"}
    done = program.post("/api/v1/rules/activate", json=order, headers={"If-Match": '"rules-0"'})
    assert (done.status_code, done.json()["number"], done.json()["author"]) == (200, 2, "token planner")
    late = program.post("/api/v1/rules/activate", json=order, headers={"If-Match": '"rules-0"'})
    assert late.status_code == 412
    assert [one["number"] for one in program.get("/api/v1/rules/versions?limit=1").json()] == [2]
    assert program.get("/api/v1/rules/versions/9").status_code == 404
    back = program.post("/api/v1/rules/versions/1/rollback", json={"reason": "back"})
    assert (back.status_code, back.json()["restores"]) == (200, 1)
    program.headers["Authorization"] = f"Bearer {reader}"
    assert program.get("/api/v1/rules").status_code == 403
    assert program.post("/api/v1/rules/activate", json=order).status_code == 403


def test_what_the_page_shows_of_other_things_follows_the_version(page: Page, physicist: TestClient) -> None:
    page.parts.office.activate(ADMIN, text_of(page, name="renamed"), "x", seen=0)
    assert "renamed" in physicist.get("/models").text
    assert "renamed" in physicist.get("/").text
    assert page.parts.settings.rules[0].name == RULE["name"]
