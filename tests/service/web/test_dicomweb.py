"""DICOMweb: what is kept is found and given as it is stored; who may not see patients gets nothing."""

import json
from collections.abc import Callable
from email import message_from_bytes
from io import BytesIO
from itertools import count
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from sqlalchemy import update
from starlette.testclient import TestClient

from phantoms.dicom import ct_files
from service.application import ActorRole, TokenScope, create_token
from service.store import AuditLog
from service.store.tables.schema import instance
from tests.service.web.conftest import ADMIN, Page
from tests.support.small_node import small_volume

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
READ = TokenScope.DICOMWEB_READ
ROOT = "/dicom-web/studies"
AS_STORED = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
PLAIN = {"Accept": 'multipart/related; type="application/octet-stream"'}


def program(page: Page, *scopes: TokenScope, name: str = "viewer") -> TestClient:
    client = page.browser()
    secret = create_token(page.parts.database, ADMIN, name, scopes, days=30).secret
    client.headers["Authorization"] = f"Bearer {secret}"
    return client


def named(image: Any) -> None:
    image.PatientName, image.PatientID, image.StudyDate = "Kowalski^Anna", "PID-00123", "20260301"


def parts_of(answer: Any) -> list[tuple[str, bytes]]:
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content)
    assert message.is_multipart()
    # the parser of mail takes bytes as they are when they are cut at the boundary
    boundary = message.get_boundary() or ""
    pieces = answer.content.split(f"--{boundary}".encode())[1:-1]
    found = []
    for piece in pieces:
        header, _, body = piece.partition(b"\r\n\r\n")
        found.append((header.decode().partition(": ")[2].strip(), body[:-2]))
    return found


def first_uids(client: TestClient, study: str, modality: str) -> tuple[str, str]:
    rows = client.get(f"{ROOT}/{study}/series", params={"Modality": modality}).json()
    series = rows[0]["0020000E"]["Value"][0]
    one = client.get(f"{ROOT}/{study}/series/{series}/instances").json()[0]
    return series, one["00080018"]["Value"][0]


def test_a_study_is_found_with_the_set_that_the_node_made(page: Page, contoured: int) -> None:
    client, study = program(page, READ), page.node.job().study_uid
    (row,) = client.get(ROOT, params={"StudyInstanceUID": study, "limit": 101, "includefield": "all"}).json()
    assert row["0020000D"]["Value"] == [study]
    assert row["00080061"]["Value"] == ["CT", "RTSTRUCT"]
    assert row["00201206"]["Value"] == [2]
    series, uid = first_uids(client, study, "RTSTRUCT")
    answer = client.get(
        f"{ROOT}/{study}/series/{series}/instances/{uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"'},
    )
    ((kind, content),) = parts_of(answer)
    assert kind == "application/dicom"
    assert dcmread(BytesIO(content)).StructureSetROISequence
    assert content == page.parts.images.result(contoured)
    single = client.get(
        f"{ROOT}/{study}/series/{series}/instances/{uid}", headers={"Accept": "application/dicom"}
    )
    assert (single.headers["content-type"], single.content) == ("application/dicom", content)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"PatientName": "kowal*"}, 1),
        ({"PatientName": "KOWALSKI^ANNA"}, 1),
        ({"PatientName": "kowal"}, 0),
        ({"PatientName": "k?walski^*"}, 1),
        ({"PatientName": "k%"}, 0),
        ({"00100020": "PID-00123"}, 1),
        ({"PatientID": "PID-0012"}, 0),
        ({"StudyDate": "20260301"}, 1),
        ({"StudyDate": "20260101-20260228"}, 0),
        ({"StudyDate": "20260101-"}, 1),
        ({"StudyDate": "-20260301"}, 1),
        ({"ModalitiesInStudy": "CT"}, 1),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyInstanceUID": "1.2.3"}, 0),
        ({"offset": "1"}, 0),
    ],
)
def test_studies_are_found_by_their_keys(
    page: Page, bring: Callable[..., int], asked: dict[str, str], found: int
) -> None:
    bring(change=named)
    answer = program(page, READ).get(ROOT, params=asked)
    assert answer.status_code == (200 if found else 204)
    assert len(answer.json() if found else []) == found


def test_pages_of_instances_count_those_that_fit(page: Page) -> None:
    numbers = count()

    def all_but_one_a_capture(image: Dataset) -> None:
        if next(numbers) != 1:
            image.SOPClassUID = SecondaryCaptureImageStorage

    page.node.receive(change=all_but_one_a_capture)
    kept = dcmread(BytesIO(next(iter(ct_files(small_volume(), None))).data), stop_before_pixels=True)
    client = program(page, READ)
    address = f"{ROOT}/{kept.StudyInstanceUID}/series/{kept.SeriesInstanceUID}/instances"
    asked = {"SOPClassUID": CTImageStorage, "limit": "1"}
    (row,) = client.get(address, params=asked).json()
    assert row["00080016"]["Value"] == [CTImageStorage]
    assert client.get(address, params=asked | {"offset": "1"}).status_code == 204


def test_a_key_that_is_not_known_is_ignored_and_named(page: Page, bring: Callable[..., int]) -> None:
    bring()
    answer = program(page, READ).get(ROOT, params={"PatientWeight": "80", "x\r\nSet-Cookie: a": "b"})
    assert len(answer.json()) == 1
    assert answer.headers["warning"] == '299 contour-node "not searched by: PatientWeight, xSetCookiea"'
    wrong = program(page, READ, name="other").get(ROOT, params={"StudyDate": "yesterday"})
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")


def test_metadata_and_frames_are_those_of_the_files(page: Page, bring: Callable[..., int]) -> None:
    bring()
    client, study = program(page, READ), page.node.job().study_uid
    series, uid = first_uids(client, study, "CT")
    rows = client.get(f"{ROOT}/{study}/series/{series}/metadata").json()
    assert len(rows) == page.node.job().slice_count
    assert rows[0]["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    assert "7FE00010" not in rows[0]
    address = f"{ROOT}/{study}/series/{series}/instances/{uid}"
    image = dcmread(BytesIO(client.get(address, headers={"Accept": "application/dicom"}).content))
    ((kind, pixels),) = parts_of(client.get(f"{address}/frames/1", headers=AS_STORED))
    assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert pixels == image.PixelData
    missing = client.get(f"{address}/frames/2", headers=AS_STORED)
    assert (missing.status_code, "1 frames" in missing.json()["detail"]) == (404, True)


def three_frames(image: Dataset) -> np.ndarray[Any, Any]:
    array = np.stack([image.pixel_array + step for step in range(3)])
    image.NumberOfFrames = 3
    image.PixelData = array.tobytes()
    return array


@pytest.mark.parametrize("syntax", [RLELossless, DeflatedExplicitVRLittleEndian, None])
def test_several_frames_come_as_they_are_stored_or_decoded(page: Page, syntax: Any) -> None:
    kept: list[Any] = []

    def change(image: Dataset) -> None:
        kept.append(three_frames(image))
        if syntax == RLELossless:
            image.compress(RLELossless)
        elif syntax == DeflatedExplicitVRLittleEndian:
            image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    page.node.receive(only=slice(0, 1), change=change)
    client, study = program(page, READ), page.node.job().study_uid
    series, uid = first_uids(client, study, "CT")
    address = f"{ROOT}/{study}/series/{series}/instances/{uid}/frames/3,1"
    plain = parts_of(client.get(address, headers=PLAIN))
    assert [content for _, content in plain] == [kept[0][2].tobytes(), kept[0][0].tobytes()]
    stored = parts_of(client.get(address, headers=AS_STORED))
    assert ("image/dicom-rle" in stored[0][0]) == (syntax == RLELossless)
    if syntax == RLELossless:
        assert all(len(content) < len(kept[0][0].tobytes()) for _, content in stored)


def test_a_look_is_in_the_trail_by_study_and_a_blind_program_gets_nothing(
    page: Page, bring: Callable[..., int]
) -> None:
    bring(change=named)
    study = page.node.job().study_uid
    client = program(page, READ)
    for _ in range(3):
        assert client.get(f"{ROOT}/{study}/series").status_code == 200
    looks = [entry.event for entry in AuditLog(page.parts.database).entries()]
    assert [one.study_uid for one in looks if one.target == "dicomweb read"] == [study]
    blind = program(page, TokenScope.READ, name="blind")
    person = page.person("bob", ActorRole.PHYSICIST, sees_patients=False)
    seeing = page.person("anna", ActorRole.VIEWER)
    for path in (ROOT, f"{ROOT}/{study}/series", f"{ROOT}/{study}/metadata", f"{ROOT}/{study}"):
        for visitor in (blind, person):
            answer = visitor.get(path)
            assert (answer.status_code, "Kowalski" in answer.text) == (403, False)
        assert seeing.get(path).status_code == 200
        assert page.browser().get(path).status_code == 401


def test_what_retention_removed_is_answered_in_words(page: Page, bring: Callable[..., int]) -> None:
    bring()
    client, study = program(page, READ), page.node.job().study_uid
    series, uid = first_uids(client, study, "CT")
    (row,) = [one for one in page.node.book.instances_of(page.node.job().id) if one.sop_instance_uid == uid]
    (page.node.files.root / row.file.path).unlink()
    answer = client.get(f"{ROOT}/{study}/series/{series}/instances/{uid}")
    assert (answer.status_code, "removed by retention" in answer.json()["detail"]) == (410, True)
    with page.parts.database.writing() as connection:
        gone = update(instance).where(instance.c.sop_instance_uid == uid)
        connection.execute(gone.values(removed_at=page.node.clock()))
    answer = client.get(f"{ROOT}/{study}/series/{series}/instances/{uid}/frames/1")
    assert (answer.status_code, "Removed by retention" in answer.json()["detail"]) == (410, True)
    assert client.get(f"{ROOT}/1.2.3/series").status_code == 404
    assert json.loads(client.get(f"{ROOT}/..%2f/series").text)["status"] in (404, 422)
