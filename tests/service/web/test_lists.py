"""Lists of jobs: search by what people know, and pages by numbers; on both databases."""

from collections.abc import Callable

import pytest
from pydicom import Dataset

from service.application import ActorRole
from service.store import JobFilter
from tests.service.web.conftest import Page


def named(name: str, number: str, accession: str = "") -> Callable[[Dataset], None]:
    def change(image: Dataset) -> None:
        image.SpecificCharacterSet = "ISO_IR 192"
        image.PatientName, image.PatientID, image.AccessionNumber = name, number, accession

    return change


@pytest.mark.parametrize(
    "text",
    ["kowal", "KOWALSKI anna", "anna kowalski", "id-77", "acc.5", "Phantom", "ł", "1", "study", "series"],
)
def test_a_job_is_found_by_parts_of_what_people_know(
    page: Page, bring: Callable[..., int], text: str
) -> None:
    number = bring(change=named("Kowalski^Anna Łucja", "ID-7719", "ACC.55"))
    status = page.node.job()
    asked = {"study": status.study_uid, "series": status.series_uid}.get(text, text)
    found = page.parts.lists.page(JobFilter(text=asked))
    assert [one.status.id for one in found] == [number]


@pytest.mark.parametrize("text", ["nowak", "kowalski%", "_", "2", "9.9.9", "' OR 1=1 --"])
def test_other_texts_find_nothing_and_say_so(page: Page, bring: Callable[..., int], text: str) -> None:
    bring(change=named("Kowalski^Anna", "ID"))
    assert page.parts.lists.page(JobFilter(text=text)) == []
    answer = page.person("anna", ActorRole.VIEWER).get("/", params={"q": text})
    assert "No matching jobs" in answer.text


def test_pages_go_back_by_the_number_of_the_last_row_and_nothing_is_shown_twice(page: Page) -> None:
    for number in range(3):
        page.node.receive(calling=f"SENDER{number}", only=slice(0, 2))
    found = [one.status.id for one in page.parts.lists.page(JobFilter(limit=2))]
    older = [one.status.id for one in page.parts.lists.page(JobFilter(limit=2, before_id=found[-1]))]
    assert (found, older) == ([3, 2], [1])
