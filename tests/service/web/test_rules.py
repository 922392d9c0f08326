"""Rules on the page: shown, tried on an image and on past series, faults at their place; nothing is changed."""

import csv
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from io import StringIO

import pytest
from pydicom import Dataset
from starlette.testclient import TestClient

from imaging.modality import Modality
from phantoms.dicom import ct_files
from service.application import ActorRole
from service.config import Rule, SeriesFacts
from service.config.matching import RuleTooSlow, limited
from service.config.rules_text import draft_of, rules_text
from service.store import TrailQuery, read_entries
from service.web.rules import judging
from service.web.rules.checking import slow_texts
from service.web.rules.judging import judge
from tests.service.web.conftest import Page
from tests.support.small_node import RULE, settings, small_volume

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
THREE = settings(
    rules=[
        {**RULE, "name": "urgent", "called_aet": "URGENT", "priority": 90},
        {**RULE, "name": "neck", "body_part": "HEAD|NECK", "calling_aets": ["CT1", "CT2"]},
        {**RULE, "name": "mr", "modality": "MR", "series_description": "t1"},
    ]
)
FACTS = SeriesFacts(called_aet="CONTOURNODE", calling_aet="CT1", body_part="neck")


@pytest.fixture
def physicist(page: Page) -> TestClient:
    return page.person("paula", ActorRole.PHYSICIST)


def test_the_text_of_rules_makes_the_same_rules() -> None:
    assert draft_of(rules_text(THREE.rules), THREE).settings == THREE
    assert draft_of("", THREE).settings == THREE.model_copy(update={"rules": ()})


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('[[rules]]\nname = "a"\nmodel = \n', 3, 9, "Invalid value"),
        (
            '[[rules]]\nname = "a"\nmodel = "m"\n\n[[rules]]\nname = "b"\nmodel = "m"\npriority = 101',
            8,
            12,
            "100",
        ),
        ('[[rules]]\nname = "a"\nmodel = "m"\nbody_part = "(a"', 4, 13, "regular expression"),
        ('[[rules]]\nname = "a"\nmodel = "m"\nmodle = 1', 4, 9, "modle"),
        ('[[rules]]\nmodel = "m"', 1, 1, "name"),
        ('[peers.x]\nhost = "h"', 1, 2, "only [[rules]]"),
        (
            '[[rules]]\nname = "a"\nmodel = "m"\n[[rules]]\nname = "a"\nmodel = "m"\nmodality = "MR"',
            2,
            8,
            "2 times",
        ),
        ('[[rules]]\nname = "a"\nmodel = "m"\ndestinations = ["x"]', 4, 17, "x"),
        ("x" * 10_001, 1, 1, "longer"),
    ],
)
def test_each_fault_is_at_its_line_and_column(text: str, line: int, column: int, words: str) -> None:
    draft = draft_of(text, THREE)
    assert draft.settings is None
    fault = draft.faults[0]
    assert (fault.line, fault.column) == (line, column), fault
    assert words in fault.message


def test_the_judge_says_what_the_settings_say_and_why_not() -> None:
    series = [
        FACTS,
        replace(FACTS, called_aet="URGENT"),
        replace(FACTS, body_part="CHEST"),
        replace(FACTS, modality=Modality.MR, series_description="ax T1"),
    ]
    expected = [THREE.rule_for(one) for one in series]
    found = judge(THREE, series, explain=True)
    assert [one.rule for one in found] == ["" if rule is None else rule.name for rule in expected]
    assert [one.rule for one in found] == ["neck", "urgent", "", "mr"]
    urgent, neck, mr = found[2].views
    assert urgent.unmet[0] == "called as CONTOURNODE, not URGENT"
    assert neck.unmet == ("body part 'CHEST' does not match HEAD|NECK",)
    assert len(mr.unmet) == 2


def test_a_regular_expression_that_never_ends_is_named_and_the_page_lives_on() -> None:
    slow = settings(rules=[RULE, {**RULE, "name": "slow", "body_part": "(a+)+$"}])
    with pytest.raises(RuleTooSlow, match=r"rule slow: a regular expression takes more than 2 s"):
        judge(slow, [replace(FACTS, body_part="a" * 64 + "!")])


@pytest.mark.parametrize("pattern", [r"(\d+)+$", r"((ab)+)+$", r"(\W+)+z", "([^-]+)+-"])
def test_a_slow_expression_is_found_by_texts_that_its_letters_do_not_name(pattern: str) -> None:
    rule = Rule.model_validate({**RULE, "series_description": pattern})
    assert any(is_slow(rule, facts) for facts in slow_texts([rule]))


def is_slow(rule: Rule, facts: SeriesFacts) -> bool:
    """Whether matching takes more than 0.2 s of processor time."""
    try:
        with limited([rule], facts, limit_s=0.2):
            rule.matches(facts)
    except RuleTooSlow:
        return True
    return False


def test_the_time_limit_grows_with_rules_and_series(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: list[float] = []
    series = [replace(FACTS, body_part=f"NECK {number}") for number in range(1000)]
    task = {
        "rules": [rule.model_dump(mode="json") for rule in THREE.rules],
        "series": [asdict(one) for one in series],
    }
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps({**task, "explain": False})))
    monkeypatch.setattr(signal, "setitimer", lambda _, limit_s: limits.append(limit_s))
    judging._main()
    assert limits == [pytest.approx(2 + 3 * 1000 * 1e-5), 0]
    *names, answers = capsys.readouterr().out.splitlines()
    assert names == ["urgent", "neck", "mr"]
    assert {one["rule"] for one in json.loads(answers)} == {"neck"}


@pytest.mark.parametrize("words", ["not a task", '{"rules": [{}], "series": [], "explain": false}'])
def test_a_process_that_ends_in_an_error_is_told_with_its_last_words(words: str) -> None:
    with pytest.raises(RuntimeError, match=r"matches rules ended with 1: [\s\S]*Error"):
        judging._run(words)


@SQLITE
def test_a_dropped_image_goes_to_the_rule_that_the_assembler_takes(
    page: Page, physicist: TestClient, bring: Callable[..., int]
) -> None:
    bring(calling="CT1")
    image = ct_files(small_volume())[0].data
    form = {"text": rules_text(page.parts.settings.rules), "calling": "CT1"}
    text = physicist.post("/rules/drop", data=form, files={"image": ("x.dcm", image)}).text
    assert page.node.job().rule == "head-neck"
    assert "Rule head-neck applies" in text
    other = form["text"].replace("model =", 'body_part = "CHEST"\nmodel =')
    text = physicist.post("/rules/drop", data={**form, "text": other}, files={"image": ("x.dcm", image)}).text
    assert "No rule applies" in text
    assert "does not match CHEST" in text
    junk = physicist.post("/rules/drop", data=form, files={"image": ("x.dcm", b"junk")})
    assert (junk.status_code, "not a CT or MR image" in junk.text) == (422, True)


@SQLITE
def test_a_draft_is_tried_on_past_series_and_changes_nothing(
    page: Page, physicist: TestClient, bring: Callable[..., int]
) -> None:
    bring(calling="CT1")
    bring(calling="CT2")
    before = page.parts.settings
    text = rules_text(before.rules) + '\n[[rules]]\nname = "two"\nmodel = "hn_oar"\n'
    draft = text.replace('name = "head-neck"', 'name = "head-neck"\ncalling_aets = ["CT1"]')
    answer = physicist.post("/rules/try", data={"text": draft, "number": "10"}).text
    assert "1 of the last 2 series would change" in answer
    assert "<td>head-neck</td><td>two</td>" in answer
    assert page.parts.settings is before
    unchanged = physicist.post("/rules/try", data={"text": rules_text(before.rules)}).text
    assert "0 of the last 2 series would change" in unchanged


@SQLITE
def test_the_series_that_would_change_are_a_table_that_no_spreadsheet_computes(
    page: Page, physicist: TestClient, bring: Callable[..., int]
) -> None:
    def formula(image: Dataset) -> None:
        image.SeriesDescription = '=HYPERLINK("http://example.org")'

    bring(calling="CT1", change=formula)
    bring(calling="CT2", change=formula)
    draft = '[[rules]]\nname = "neck"\nmodel = "hn_oar"\ncalling_aets = ["CT1"]\n'
    answer = physicist.post("/rules/back-test.csv", data={"text": draft})
    assert answer.headers["content-type"].startswith("text/csv")
    heads, first, second = csv.reader(answer.content.decode("utf-8-sig").splitlines())
    assert heads[:3] == ["Job", "Active rules", "Draft"]
    assert first[:3] == ["2", "head-neck", "(no rule)"]
    assert (second[2], second[-1]) == ("neck", '\'=HYPERLINK("http://example.org")')
    assert "PHANTOM" not in answer.text.upper()
    with page.parts.database.reading() as connection:
        last = read_entries(connection, TrailQuery(limit=1))[-1].event
    assert (last.actor, last.detail) == ("paula", "a draft tried on the last 500 series, taken away as CSV")
    faulty = physicist.post("/rules/back-test.csv", data={"text": "rules ="})
    assert (faulty.status_code, "line 1" in faulty.text) == (422, True)


@SQLITE
def test_a_draft_that_cannot_hold_says_where(page: Page, physicist: TestClient) -> None:
    draft = '[[rules]]\nname = "a"\nmodel = "lung_gtv"\ntemplate = "/none.toml"\n'
    answer = physicist.post("/rules/try", data={"text": draft})
    assert answer.status_code == 422
    for words in ("line 3, column 9", "there are: hn_oar", "line 4, column 12", "no template"):
        assert words in answer.text, words
    assert "lung_gtv&#34;" in answer.text  # what was typed is still there


@SQLITE
def test_rules_are_for_physicists_and_admins(page: Page) -> None:
    operator = page.person("otto", ActorRole.OPERATOR)
    assert operator.get("/rules").status_code == 403
    assert operator.post("/rules/try", data={"text": ""}).status_code == 403
    assert 'href="/rules"' not in operator.get("/").text
