"""What the API accepts and returns, as OpenAPI describes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from service.application import HIGHEST_PRIORITY, Actor
from service.store import AuditEntry, JobState, JobStatus, ListedJob, SeriesHeader

LARGEST = 2**31 - 1


Printable = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
JobNumber = Annotated[int, Path(ge=1, le=LARGEST, description="The job's number.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of rows.")]
NameText = Annotated[Printable, Field(max_length=64)]


class Problem(BaseModel):
    """An error (RFC 9457). `request` is the number under which the node's log has the details."""

    type: str
    title: str
    status: int
    detail: str
    request: str | None = None
    errors: list[dict[str, Any]] | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "model": Problem,
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, text in {
        400: "The request cannot be read.",
        401: "No session and no valid token.",
        403: "The role or the token's scopes do not permit it.",
        404: "There is no such object.",
        409: "The job's state does not allow it, or an order with this key is being carried out.",
        412: "It has changed since the ETag of If-Match.",
        422: "A value is not allowed, or the order is refused.",
        503: "The database is not available; Retry-After says when to try again.",
    }.items()
}


class JobQuery(BaseModel):
    """Which jobs a list contains."""

    state: list[JobState] = Field(default=[], description="Only these states; absent: all but superseded.")
    rule: NameText = ""
    q: Annotated[Printable, Field(max_length=200)] = Field(
        default="", description="A number, a UID, or parts of name, ID, accession number, description."
    )
    before_id: int | None = Field(
        default=None, ge=1, le=LARGEST, description="Only jobs with a lower number: the next page."
    )
    limit: int = Field(default=50, ge=1, le=200, description="Most rows of a page.")


class ShownSeries(BaseModel):
    """What a series says of itself. Patient, accession number and attributes need the right to see patients."""

    series_uid: str
    study_uid: str
    description: str
    body_part: str
    modality: str
    study_date: str
    patient_id: str | None = None
    patient_name: str | None = None
    accession_number: str | None = None
    attributes: Mapping[str, str] | None = None

    @classmethod
    def of(cls, header: SeriesHeader, actor: Actor) -> "ShownSeries":
        """Return what an actor may see of a series."""
        hidden = (
            set()
            if actor.sees_patients
            else {
                "patient_id",
                "patient_name",
                "accession_number",
                "attributes",
            }
        )
        return cls(**{name: value for name, value in vars(header).items() if name not in hidden})


class ShownJob(BaseModel):
    """A job as `contour-node show --json` prints it, and what its series says of itself (null: not inspected yet)."""

    job: JobStatus
    series: ShownSeries | None

    @classmethod
    def of(cls, listed: ListedJob, actor: Actor) -> "ShownJob":
        """Return what an actor may see of a job."""
        series = None if listed.series is None else ShownSeries.of(listed.series, actor)
        return cls(job=listed.status, series=series)


class Ordered(BaseModel):
    """The outcome of an order: the job that it resulted in, and its state."""

    job: int
    state: JobState


class RerunOrder(BaseModel):
    """What replaces the choice of the rules; empty: nothing."""

    rule: NameText = ""
    model: NameText = ""
    model_version: int | None = Field(default=None, ge=1, le=999999)


class PriorityOrder(BaseModel):
    """A job's new priority; the highest runs first."""

    priority: int = Field(ge=0, le=HIGHEST_PRIORITY)


class ResendOrder(BaseModel):
    """The destination that gets the objects once more."""

    destination: Annotated[NameText, Field(min_length=1)]


class CancelOrder(BaseModel):
    """Why the job is stopped, for its history."""

    reason: Annotated[Printable, Field(max_length=200)] = "cancelled by hand"


class ShownDestination(BaseModel):
    """A destination: its address, its deliveries under way by state, and the last reason for not taking one."""

    name: str
    address: str | None = Field(description="Null: no longer in the settings.")
    under_way: dict[str, int]
    last_words: str


class ShownEcho(BaseModel):
    """A destination's answer to a C-ECHO, and after how many seconds it came."""

    destination: str
    answered: bool
    reason: str
    duration_s: float


class ShownModel(BaseModel):
    """A model of the repository in its default version, and the rules that use it."""

    name: str
    version: int
    description: str
    licence: str
    structures: list[str]
    rules: list[str]


class ShownCheck(BaseModel):
    """One check of the node, as `contour-node health` prints it."""

    name: str
    ok: bool
    is_needed: bool = Field(description="Whether the node is ready only if this check passes.")
    reason: str


class TrailPage(BaseModel):
    """Which entries of the audit trail a list contains."""

    before_id: int | None = Field(default=None, ge=1, le=LARGEST)
    actor: Annotated[Printable, Field(max_length=128)] = ""
    job: int | None = Field(default=None, ge=1, le=LARGEST)
    limit: int = Field(default=50, ge=1, le=200, description="Most rows of a page.")


class ShownTrail(BaseModel):
    """One entry of the audit trail."""

    id: int
    at: datetime
    kind: str
    outcome: str
    role: str
    actor: str
    address: str
    target: str
    job: int | None
    detail: str

    @classmethod
    def of(cls, entry: AuditEntry) -> "ShownTrail":
        """Return an entry in the form that programs get."""
        event = entry.event
        return cls(
            id=entry.id,
            at=entry.at,
            kind=event.kind.value,
            outcome=event.outcome.name.lower(),
            role=event.role,
            actor=event.actor,
            address=event.address,
            target=event.target,
            job=event.job_id,
            detail=event.detail,
        )


def name_next_page(request: Request, response: Response, last: int) -> None:
    """Name, in the header Link, the page that follows a row."""
    address = request.url.include_query_params(before_id=last)
    response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
