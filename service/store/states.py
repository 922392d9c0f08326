"""The states of jobs, deliveries and rule versions, and which state of a job may follow which."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    RECEIVING = "receiving"
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    REFUSED = "refused"
    NOTHING_TO_CONTOUR = (
        "nothing_to_contour"  # only localizers or screenshots, or no rule matches: not a failure
    )
    RETRYING = "retrying"  # an attempt failed; the next comes at not_before
    FAILED = "failed"  # for good, until a person decides
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """Where one object stands on its way to one destination."""

    STANDBY = "standby"  # for a fallback destination, until it is needed
    PENDING = "pending"
    SENDING = "sending"
    UNCONFIRMED = "unconfirmed"  # the destination took it and has not yet said that it keeps it
    CONFIRMING = "confirming"
    SENT = "sent"
    REJECTED = "rejected"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class DeliveryKind(StrEnum):
    """What is delivered."""

    RESULT = "result"
    FAILURE_REPORT = "failure_report"  # that there is no result, and why


class ArtifactRole(StrEnum):
    """Why the node keeps an artifact."""

    RESULT = "result"
    FAILURE_REPORT = "failure_report"
    RETURNED = "returned"  # sent back by a planning system, drawn on the series that a job contoured


class ArtifactKind(StrEnum):
    """What sort of object an artifact is."""

    STRUCTURE_SET = "structure_set"
    SEGMENTATION = "segmentation"
    REPORT = "report"
    CAPTURE = "capture"
    UNKNOWN = "unknown"  # made before artifacts were recorded


def artifact_words(role: ArtifactRole, kind: ArtifactKind) -> str:
    """Name an artifact for people: "structure set", "failure report (capture)", "returned structure set"."""
    words = "object" if kind is ArtifactKind.UNKNOWN else kind.value.replace("_", " ")
    if role is ArtifactRole.FAILURE_REPORT:
        return f"failure report ({words})"
    return f"returned {words}" if role is ArtifactRole.RETURNED else words


class RecordOutcome(StrEnum):
    """What became of a recorded instance."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    OTHER_SYNTAX = "other syntax"


class CloseOutcome(StrEnum):
    """What became of an attempt to close a series."""

    QUEUED = "queued"
    CHANGED = "changed"
    ALREADY_CONTOURED = "already contoured"


class EventKind(StrEnum):
    """What happened to a job."""

    OPENED = "opened"
    WAITING = "waiting"
    CLOSED = "closed"
    CLAIMED = "claimed"
    LEASE_EXPIRED = "lease expired"
    STAGE = "stage"
    POSTPONED = "postponed"
    RETRYING = "retrying"
    FAILED = "failed"
    REFUSED = "refused"
    NOTHING_TO_CONTOUR = "nothing to contour"
    FINISHED = "finished"
    NOTE = "note"
    SENT = "sent"
    SEND_FAILED = "send failed"
    SEND_REJECTED = "send rejected"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    FALLBACK = "fallback"
    FAILURE_REPORT = "failure report"
    DONE = "done"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    SUPERSEDED = "superseded"
    SENT_AGAIN = "sent again"
    CONFLICT = "conflict"


_J = JobState
OPEN = frozenset({_J.RECEIVING, _J.WAITING})
# Where a job stays until a person acts; these are reported by failure reports.
FAILED_FOR_GOOD = frozenset({_J.REFUSED, _J.FAILED})
CLAIMABLE = frozenset({_J.QUEUED, _J.RETRYING})
# The states that a newer version of the same series ends. Done, refused and cancelled jobs keep their state.
ENDED_BY_A_NEWER_VERSION = frozenset({_J.QUEUED, _J.RUNNING, _J.RETRYING, _J.DELIVERING, _J.FAILED})
# Jobs whose images may be contoured again for the same sender; the index job_content lists the same states.
FORGOTTEN = frozenset({_J.SUPERSEDED, _J.CANCELLED, _J.REFUSED})
CANCELLABLE = ENDED_BY_A_NEWER_VERSION | OPEN
RETRYABLE = frozenset({_J.RETRYING, _J.FAILED, _J.REFUSED, _J.NOTHING_TO_CONTOUR, _J.CANCELLED})
RERUNNABLE = RETRYABLE | {_J.DONE}
# Jobs with work left, whose order priority decides.
PRIORITISABLE = frozenset({_J.QUEUED, _J.RUNNING, _J.RETRYING, _J.DELIVERING, _J.FAILED})
# Deliveries that a destination has yet to take or to confirm.
UNDER_WAY = frozenset(
    {DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNCONFIRMED, DeliveryState.CONFIRMING}
)
# Jobs whose results can be sent once more.
RESENDABLE = frozenset({_J.DELIVERING, _J.DONE})

_AFTER_LOOKING = (_J.QUEUED, _J.REFUSED, _J.NOTHING_TO_CONTOUR, _J.CANCELLED, _J.SUPERSEDED)

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    _J.RECEIVING: frozenset({_J.WAITING, *_AFTER_LOOKING}),
    _J.WAITING: frozenset({_J.WAITING, *_AFTER_LOOKING}),
    _J.QUEUED: frozenset({_J.RUNNING, _J.CANCELLED, _J.SUPERSEDED}),
    _J.RUNNING: frozenset(
        {
            _J.RUNNING,
            _J.QUEUED,
            _J.DELIVERING,
            _J.DONE,  # kept and not delivered
            _J.RETRYING,
            _J.FAILED,
            _J.REFUSED,
            _J.CANCELLED,
            _J.SUPERSEDED,
        }
    ),
    _J.RETRYING: frozenset({_J.RUNNING, _J.QUEUED, _J.CANCELLED, _J.SUPERSEDED}),
    _J.DELIVERING: frozenset({_J.DONE, _J.FAILED, _J.CANCELLED, _J.SUPERSEDED}),
    _J.FAILED: frozenset({_J.QUEUED, _J.DELIVERING, _J.CANCELLED, _J.SUPERSEDED}),
    _J.REFUSED: frozenset({_J.RECEIVING, _J.QUEUED}),
    _J.NOTHING_TO_CONTOUR: frozenset({_J.RECEIVING}),
    _J.CANCELLED: frozenset({_J.RECEIVING, _J.QUEUED, _J.DELIVERING}),
    _J.DONE: frozenset(),
    _J.SUPERSEDED: frozenset(),
}


class RuleSetState(StrEnum):
    """Where a version of the rules stands."""

    DRAFT = "draft"
    ACTIVE = "active"  # in force; one at most
    REPLACED = "replaced"  # was in force
    DISCARDED = "discarded"  # a draft that nobody wants any more
