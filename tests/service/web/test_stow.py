"""STOW-RS: what is posted is kept as if it came by C-STORE, and nothing is acknowledged that is not."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from starlette.testclient import TestClient

from phantoms.dicom import ct_files
from service.application import TokenScope, create_token
from service.audit import AuditWriter
from service.errors import Refused
from service.receive.store_handler import storage_of
from service.store import AuditLog, JobState
from service.web.dicomweb import store
from service.web.dicomweb.store import ObjectIntake
from tests.service.web.conftest import ADMIN, Page
from tests.support.small_node import small_volume

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FAILED, OTHER = "00081198", "0008119A"
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


def reasons(said: dict[str, Any], sequence: str) -> list[int]:
    return [row["00081197"]["Value"][0] for row in said[sequence]["Value"]]


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
    said = answer.json()
    assert reasons(said, FAILED) == [0xC000]
    assert said[FAILED]["Value"][0]["00081155"]["Value"] == [dcmread(BytesIO(two)).SOPInstanceUID]
    assert reasons(said, OTHER) == [0xC000]
    assert said["00081190"]["Value"][0].endswith(f"/studies/{dcmread(BytesIO(one)).StudyInstanceUID}")
    assert "not a DICOM file" in answer.headers["warning"]
    assert kept(page) == 1
    nothing = sender.post(ADDRESS, content=body(foreign), headers=RELATED)
    assert (nothing.status_code, "00081199" in nothing.json()) == (409, False)
    assert nothing.json()["00081190"] == {"vr": "UR"}


def test_an_object_of_another_study_than_the_address_names_is_refused(page: Page, sender: TestClient) -> None:
    one, *_ = files()
    answer = sender.post(f"{ADDRESS}/1.2.3", content=body(one), headers=RELATED)
    assert (answer.status_code, reasons(answer.json(), FAILED), kept(page)) == (409, [0xA900], 0)
    study = dcmread(BytesIO(one)).StudyInstanceUID
    assert sender.post(f"{ADDRESS}/{study}", content=body(one), headers=RELATED).status_code == 200


def test_another_object_under_a_kept_uid_is_a_conflict(page: Page, sender: TestClient) -> None:
    one, *_ = files()
    assert sender.post(ADDRESS, content=body(one, one), headers=RELATED).status_code == 200
    other = one[:-2] + b"\x55\x55"
    answer = sender.post(ADDRESS, content=body(other), headers=RELATED)
    assert reasons(answer.json(), FAILED) == [0x0111]


def test_a_transfer_syntax_and_a_class_that_are_not_taken_have_their_reasons(
    page: Page, sender: TestClient
) -> None:
    one, two, three, *_ = files()
    sent = body(
        one.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1),
        two.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.9\0", 1),
        three,
    )
    answer = sender.post(ADDRESS, content=sent, headers=RELATED)
    assert (answer.status_code, kept(page)) == (202, 1)
    assert reasons(answer.json(), FAILED) == [0xC122, 0x0122]


@pytest.mark.parametrize(
    ("content", "headers", "status", "is_first_kept"),
    [
        (b"", RELATED, 400, False),
        ("cut in its only part", RELATED, 400, False),
        (b"nothing of the kind", RELATED, 400, False),
        ("other boundary", {"Content-Type": RELATED["Content-Type"].replace("a-b", "b-b")}, 400, False),
        ("whole", {"Content-Type": "application/dicom"}, 415, False),
        ("whole", {"Content-Type": "multipart/related"}, 415, False),
        ("whole", {"Content-Type": RELATED["Content-Type"].replace("dicom", "dicom+json")}, 415, False),
        ("whole", {"Content-Type": RELATED["Content-Type"].replace("dicom", "dicom+xml")}, 415, False),
        ("whole", {"Content-Type": "application/dicom+json"}, 415, False),
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
    one = files()[0]
    made = {
        "cut in its only part": body(one[:5000], end=""),
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


@pytest.mark.parametrize("length", [140, 900, 5000, None])
def test_a_body_that_ends_too_early_is_a_failure_beside_what_is_kept(
    page: Page, sender: TestClient, length: int | None
) -> None:
    one, two, *_ = files()
    answer = sender.post(ADDRESS, content=body(one, two[:length], end=""), headers=RELATED)
    assert (answer.status_code, kept(page)) == (202, 1)
    said = answer.json()
    assert [row["00081155"]["Value"] for row in said["00081199"]["Value"]] == [
        [dcmread(BytesIO(one)).SOPInstanceUID]
    ]
    assert reasons(said, OTHER if length == 140 else FAILED) == [0xC000]
    assert "ends" in answer.headers["warning"]
    assert not list(page.node.files.root.rglob("*.part"))


def test_thousands_of_parts_are_each_answered_and_too_many_are_not_read(
    page: Page, sender: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = sender.post(ADDRESS, content=body(*[b""] * 3_000), headers=RELATED)
    assert (answer.status_code, len(answer.json()[OTHER]["Value"])) == (409, 3_000)
    monkeypatch.setattr(store, "MOST_PARTS", 2)
    answer = sender.post(ADDRESS, content=body(*files()[:3]), headers=RELATED)
    assert (answer.status_code, kept(page)) == (202, 2)
    assert "at most 2 objects" in answer.headers["warning"]


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
