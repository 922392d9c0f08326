"""STOW-RS: what is posted is kept as if it came by C-STORE, and nothing is acknowledged that is not."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from starlette.testclient import TestClient

from phantoms.dicom import ct_files
from service.application import TokenScope, create_token
from service.audit import AuditWriter
from service.errors import Refused
from service.receive.store_handler import storage_of
from service.store import AuditLog, JobState
from service.web.dicomweb.store import ObjectIntake
from tests.service.web.conftest import ADMIN, Page
from tests.support.small_node import small_volume

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ADDRESS = "/dicom-web/studies"
BOUNDARY = "a-boundary"
RELATED = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}


@pytest.fixture
def sender(page: Page) -> Iterator[TestClient]:
    """A program whose token may store."""
    with AuditWriter(AuditLog(page.parts.database), role="web") as trail:
        storage = storage_of(page.parts.settings, page.node.files, page.node.recorder, lambda: None)
        intake = ObjectIntake(storage=storage, recorder=page.node.recorder, trail=trail)
        with_intake = replace(page, parts=replace(page.parts, object_intake=intake))
        client = with_intake.browser()
        made = create_token(page.parts.database, ADMIN, "PLANNING", [TokenScope.DICOMWEB_STORE], days=1)
        client.headers["Authorization"] = f"Bearer {made.secret}"
        yield client


def files() -> list[bytes]:
    return [one.data for one in ct_files(small_volume())]


def body(*contents: bytes, end: str = f"\r\n--{BOUNDARY}--\r\n") -> bytes:
    head = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return (b"".join(head + content for content in contents) + end.encode()).removeprefix(b"\r\n")


def kept(page: Page) -> int:
    return page.node.job().slice_count if page.node.book.list_jobs() else 0


def test_a_posted_series_becomes_a_job_of_the_tokens_name(page: Page, sender: TestClient) -> None:
    sent = files()
    answer = sender.post(ADDRESS, content=body(*sent), headers=RELATED)
    assert answer.status_code == 200
    assert len(answer.json()["00081199"]["Value"]) == len(sent)
    assert "00081198" not in answer.json()
    job = page.node.job()
    assert (job.calling_aet, job.called_aet, job.slice_count) == ("PLANNING", "CONTOURNODE", len(sent))
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    assert page.node.job().state is JobState.QUEUED
    (first, *_) = page.node.book.instances_of(job.id)
    written = dcmread(BytesIO(page.node.files.read_whole(first.file)))
    assert written == next(
        one for one in map(dcmread, map(BytesIO, sent)) if one.SOPInstanceUID == first.sop_instance_uid
    )


def test_what_is_not_kept_is_named_and_the_rest_is_kept(page: Page, sender: TestClient) -> None:
    one, two, *_ = files()
    foreign = b"\0" * 128 + b"no DICOM at all" * 20
    answer = sender.post(ADDRESS, content=body(one, foreign, two[:-100]), headers=RELATED)
    assert answer.status_code == 202
    reasons = [row["00081197"]["Value"] for row in answer.json()["00081198"]["Value"]]
    assert reasons == [[0xC000], [0xC000]]
    assert "not a DICOM file" in answer.headers["warning"]
    assert kept(page) == 1
    nothing = sender.post(ADDRESS, content=body(foreign), headers=RELATED)
    assert (nothing.status_code, "00081199" in nothing.json()) == (409, False)


def test_an_object_of_another_study_than_the_address_names_is_refused(page: Page, sender: TestClient) -> None:
    one, *_ = files()
    answer = sender.post(f"{ADDRESS}/1.2.3", content=body(one), headers=RELATED)
    assert (answer.status_code, kept(page)) == (409, 0)
    study = dcmread(BytesIO(one)).StudyInstanceUID
    assert sender.post(f"{ADDRESS}/{study}", content=body(one), headers=RELATED).status_code == 200


def test_another_object_under_a_kept_uid_is_a_conflict(page: Page, sender: TestClient) -> None:
    one, *_ = files()
    assert sender.post(ADDRESS, content=body(one, one), headers=RELATED).status_code == 200
    other = one[:-2] + b"\x55\x55"
    answer = sender.post(ADDRESS, content=body(other), headers=RELATED)
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0111]


@pytest.mark.parametrize(
    ("content", "headers", "status", "is_first_kept"),
    [
        (b"", RELATED, 400, False),
        (b"nothing of the kind", RELATED, 400, False),
        ("other boundary", {"Content-Type": RELATED["Content-Type"].replace("a-b", "b-b")}, 400, False),
        ("no end", RELATED, 400, True),
        ("no last boundary", RELATED, 400, True),
        ("whole", {"Content-Type": "application/dicom"}, 415, False),
        ("whole", {"Content-Type": "multipart/related"}, 415, False),
        ("whole", {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, 415, False),
    ],
)
def test_a_broken_body_is_answered_in_words_and_nothing_is_half_kept(
    page: Page,
    sender: TestClient,
    content: str | bytes,
    headers: dict[str, str],
    status: int,
    is_first_kept: bool,
) -> None:
    one, two, *_ = files()
    made = {
        "no end": body(one, two[:5000], end=""),
        "no last boundary": body(one, two, end=""),
        "other boundary": body(one),
        "whole": body(one),
    }
    sent = content if isinstance(content, bytes) else made[content]
    answer = sender.post(ADDRESS, content=sent, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert kept(page) == int(is_first_kept)
    folder = page.node.files.root
    assert sum(path.stat().st_size > 0 for path in folder.rglob("*.dcm")) == int(is_first_kept)
    assert not list(folder.rglob("*.part"))


def test_only_a_token_with_the_scope_stores_and_its_name_is_an_ae_title(
    page: Page, sender: TestClient
) -> None:
    secret = create_token(page.parts.database, ADMIN, "reader", [TokenScope.READ], days=1).secret
    answer = sender.post(
        ADDRESS, content=body(files()[0]), headers={**RELATED, "Authorization": f"Bearer {secret}"}
    )
    assert (answer.status_code, kept(page)) == (403, 0)
    with pytest.raises(Refused, match="at most 16 characters"):
        create_token(page.parts.database, ADMIN, "a" * 17, [TokenScope.DICOMWEB_STORE], days=1)


def test_a_full_disk_is_said_and_the_sender_may_try_again(page: Page, sender: TestClient) -> None:
    storage = storage_of(page.parts.settings, page.node.files, page.node.recorder, lambda: "disk is full")
    object.__setattr__(sender.app.state.parts.object_intake, "storage", storage)  # type: ignore[attr-defined]
    answer = sender.post(ADDRESS, content=body(files()[0]), headers=RELATED)
    assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (503, True)
    assert "retry-after" in answer.headers
