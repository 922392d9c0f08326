"""The answer to a STOW request: the Store Instances Response Module (PS3.18 Annex I) as DICOM JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import HTTPException
from starlette.responses import JSONResponse, Response

from service.dimse.statuses import Status
from service.errors import TryAgain
from service.receive.store_handler import Response as Answer
from service.web.dicomweb.kept import DICOM_JSON

RETRIEVE_URL, FAILED_SOPS, REFERENCED_SOPS, OTHER_FAILURES = "00081190", "00081198", "00081199", "0008119A"
LONGEST_WARNING = 1000


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """What became of one part."""

    sop_class_uid: str
    sop_instance_uid: str
    answer: Answer
    failure_reason: int = 0
    """Where it is another than the status of C-STORE."""


def nameless(comment: str) -> StoredPart:
    """Return a failure that belongs to no object that is known."""
    answer = Answer(status=Status.CANNOT_UNDERSTAND, comment=comment)
    return StoredPart(sop_class_uid="", sop_instance_uid="", answer=answer)


def stored_answer(outcomes: Sequence[StoredPart], base: str) -> Response:
    """Return the answer to a request with these parts.

    Args:
        outcomes: what became of each.
        base: the address of the DICOMweb service.

    Raises:
        HTTPException: 400, there was no part.
        TryAgain: nothing is kept, for want of room or of the database.
    """
    if not outcomes:
        raise HTTPException(400, "The body has no part.")
    failed = [one for one in outcomes if one.answer.status is not Status.SUCCESS]
    reasons = dict.fromkeys(one.answer.comment for one in failed)
    if len(failed) == len(outcomes) and all(one.answer.status is Status.OUT_OF_RESOURCES for one in failed):
        raise TryAgain("; ".join(reasons))
    kept = [one for one in outcomes if one.answer.status is Status.SUCCESS]
    sequences = {
        FAILED_SOPS: [{**_named(one), **_reason(one)} for one in failed if one.sop_instance_uid],
        REFERENCED_SOPS: [_kept(one, base) for one in kept],
        OTHER_FAILURES: [_reason(one) for one in failed if not one.sop_instance_uid],
    }
    body = {
        RETRIEVE_URL: _study_address(kept, base),
        **{tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items},
    }
    status = 200 if not failed else 202 if kept else 409
    headers = {"Warning": f'299 contour-node "{_header_text("; ".join(reasons))}"'} if failed else {}
    return JSONResponse(body, status, headers, media_type=DICOM_JSON)


def _header_text(text: str) -> str:
    """Return a text that may stand between quotes in a header (RFC 9110 5.6.4)."""
    return re.sub(r"[^ !#-\[\]-~]", "?", text)[:LONGEST_WARNING]


def _study_address(kept: Sequence[StoredPart], base: str) -> dict[str, object]:
    """Return where the study is fetched; empty where the objects are of several, or none is kept."""
    studies = {one.answer.kept.study_uid for one in kept if one.answer.kept is not None}
    return {"vr": "UR", "Value": [f"{base}/studies/{studies.pop()}"]} if len(studies) == 1 else {"vr": "UR"}


def _named(one: StoredPart) -> dict[str, object]:
    return {
        "00081150": {"vr": "UI", "Value": [one.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [one.sop_instance_uid]},
    }


def _reason(one: StoredPart) -> dict[str, object]:
    return {"00081197": {"vr": "US", "Value": [one.failure_reason or int(one.answer.status)]}}


def _kept(one: StoredPart, base: str) -> dict[str, object]:
    identity = one.answer.kept
    if identity is None:
        raise AssertionError("a kept object has an identity")
    address = f"{base}/studies/{identity.study_uid}/series/{identity.series_uid}/instances/{identity.sop_instance_uid}"
    return {**_named(one), RETRIEVE_URL: {"vr": "UR", "Value": [address]}}
