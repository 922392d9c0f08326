"""What a person is advised to do follows from what destinations and checks really say."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.store import JobState
from service.web.words import advice_for
from tests.service.web.conftest import Page

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("TPS at tps:104 does not take RT Structure Set Storage", "import settings"),
        ("0xA700 out of resources", "Free some"),
        ("no connection to TPS at tps:104", "could not be reached"),
        ("TPS at tps:104 did not answer the association request", "could not be reached"),
        ("TPS at tps:104 rejected the association: it does not know this node", "does not know this node"),
        ("0xA900 dataset does not match its SOP class: refused", "Fix the cause"),
        ("", "Fix the cause"),
    ],
)
def test_a_failed_job_is_judged_by_its_destinations(
    page: Page, bring: Callable[..., int], said: str, advised: str
) -> None:
    bring()
    failed = replace(page.node.job(), state=JobState.FAILED, destinations=f"tps: 1 failed ({said})")
    advice = advice_for(failed)
    assert advice is not None
    assert advised in advice


def test_a_model_server_that_did_not_answer_is_no_fault_of_a_destination(
    page: Page, bring: Callable[..., int]
) -> None:
    bring()
    reason = "the model server did not answer"
    advice = advice_for(replace(page.node.job(), state=JobState.FAILED, reason=reason, destinations=""))
    assert advice is not None
    assert "Fix the cause" in advice


def test_a_job_that_is_done_needs_no_advice(page: Page, bring: Callable[..., int]) -> None:
    bring()
    assert advice_for(replace(page.node.job(), state=JobState.DONE)) is None
