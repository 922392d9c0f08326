"""How the web page expresses states, reasons and times. Every state has a word, a sign and a colour."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.store import DeliveryState, JobState, JobStatus, SeriesHeader
from service.store.states import RuleSetState
from service.web.translation import _, marked, number


@dataclass(frozen=True, kw_only=True)
class StateWords:
    """How a state is shown: its word, a sign of one character, and the name of its colour in the style sheet."""

    word: str
    sign: str
    tone: str


JOB_STATES: Mapping[JobState, StateWords] = {
    JobState.RECEIVING: StateWords(word=marked("receiving"), sign="↓", tone="moving"),
    JobState.WAITING: StateWords(word=marked("waiting"), sign="◷", tone="waiting"),
    JobState.QUEUED: StateWords(word=marked("queued"), sign="≡", tone="moving"),
    JobState.RUNNING: StateWords(word=marked("contouring"), sign="▶", tone="moving"),
    JobState.DELIVERING: StateWords(word=marked("delivering"), sign="↑", tone="moving"),
    JobState.DONE: StateWords(word=marked("done"), sign="✓", tone="good"),
    JobState.RETRYING: StateWords(word=marked("retrying"), sign="↻", tone="waiting"),
    JobState.FAILED: StateWords(word=marked("failed"), sign="!", tone="bad"),
    JobState.REFUSED: StateWords(word=marked("refused"), sign="✕", tone="bad"),
    JobState.NOTHING_TO_CONTOUR: StateWords(word=marked("nothing to contour"), sign="-", tone="quiet"),
    JobState.CANCELLED: StateWords(word=marked("cancelled"), sign="⊘", tone="quiet"),
    JobState.SUPERSEDED: StateWords(word=marked("superseded"), sign="»", tone="quiet"),
}
DELIVERY_STATES: Mapping[DeliveryState, StateWords] = {
    DeliveryState.STANDBY: StateWords(word=marked("on standby"), sign="·", tone="quiet"),
    DeliveryState.PENDING: StateWords(word=marked("waiting to be sent"), sign="◷", tone="waiting"),
    DeliveryState.SENDING: StateWords(word=marked("sending"), sign="↑", tone="moving"),
    DeliveryState.UNCONFIRMED: StateWords(word=marked("sent, not confirmed yet"), sign="?", tone="waiting"),
    DeliveryState.CONFIRMING: StateWords(word=marked("awaiting confirmation"), sign="?", tone="moving"),
    DeliveryState.SENT: StateWords(word=marked("sent"), sign="✓", tone="good"),
    DeliveryState.REJECTED: StateWords(word=marked("rejected"), sign="✕", tone="bad"),
    DeliveryState.FAILED: StateWords(word=marked("failed"), sign="!", tone="bad"),
    DeliveryState.WITHDRAWN: StateWords(word=marked("no longer needed"), sign="-", tone="quiet"),
}

RULE_STATES: Mapping[RuleSetState, str] = {
    RuleSetState.DRAFT: marked("draft"),
    RuleSetState.ACTIVE: marked("active"),
    RuleSetState.REPLACED: marked("replaced"),
    RuleSetState.DISCARDED: marked("discarded"),
}

ROLES = (marked("viewer"), marked("operator"), marked("physicist"), marked("admin"))

_ADVICE: tuple[tuple[JobState, str, str], ...] = (
    (
        JobState.FAILED,
        r"does not take|0x0122",
        marked(
            "The destination does not accept this kind of object. Allow RT Structure Sets from this node in its "
            "import settings, then retry."
        ),
    ),
    (
        JobState.FAILED,
        r"out of resources",
        marked("The destination is out of space. Free some there, then retry."),
    ),
    (
        JobState.FAILED,
        r"no connection to|no answer|did not answer|has no address|cannot be resolved",
        marked(
            "The destination could not be reached. Check under Destinations whether it answers, then retry."
        ),
    ),
    (
        JobState.FAILED,
        r"rejected the association",
        marked("The destination does not know this node. Enter its AE title and address there, then retry."),
    ),
    (
        JobState.REFUSED,
        r"incomplete|missing|positions",
        marked("Send the series again; the node adds the missing slices."),
    ),
    (
        JobState.REFUSED,
        r"damaged",
        marked("Send the series again; the damaged image is replaced."),
    ),
    (
        JobState.REFUSED,
        r"no peer with host and port",
        marked("Add the sender to the peers in the settings, then retry."),
    ),
    (
        JobState.NOTHING_TO_CONTOUR,
        r"no rule matches",
        marked("If it should be contoured, add a rule for it, then retry."),
    ),
)
_OTHERWISE: Mapping[JobState, str] = {
    JobState.FAILED: marked("Fix the cause given in the reason, then retry. The contours are kept."),
    JobState.REFUSED: marked(
        "The series cannot be contoured as it is. Fix the cause given in the reason at the scanner or sender, then send it again."
    ),
    JobState.WAITING: marked("No action needed: the node continues as soon as what is missing arrives."),
    JobState.RETRYING: marked("No action needed: the node will try again."),
}


def advice_for(status: JobStatus) -> str | None:
    """Return what a person can do about a job; None if nothing is wrong.

    For a failed job it depends on what its destinations said, for any other on its own reason.
    """
    about = status.destinations if status.state is JobState.FAILED else status.reason
    for state, pattern, advice in _ADVICE:
        if status.state is state and re.search(pattern, about, re.IGNORECASE):
            return _(advice)
    otherwise = _OTHERWISE.get(status.state)
    return None if otherwise is None else _(otherwise)


def patient_label(series: SeriesHeader | None, *, sees_patients: bool) -> str:
    """Return the patient's name and ID; without the right to see patients, the initials and the end of the ID."""
    if series is None:
        return ""
    name = " ".join(series.patient_name.split("=", 1)[0].replace("^", " ").split())
    end = f"..{series.patient_id[-3:]}" if len(series.patient_id) > 3 else ""
    if sees_patients:
        return " ".join(filter(None, (name or _("(no name)"), series.patient_id)))
    initials = "".join(part[0] for part in name.split()[:2])
    return " ".join(filter(None, (f"{initials}." if initials else "", end))) or _("(hidden)")


def duration(seconds: float) -> str:
    """Return a time span in words, in one unit."""
    if seconds < 0:
        return ""
    if seconds < 100:
        return _("%(number)s s", number=number(seconds, 1 if seconds < 10 else 0))
    minutes = seconds / 60
    if minutes < 100:
        return _("%(number)s min", number=number(minutes))
    hours = minutes / 60
    return (
        _("%(number)s h", number=number(hours))
        if hours < 48
        else _("%(number)s d", number=number(hours / 24))
    )


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, or how far it is in the future."""
    if at is None:
        return ""
    seconds = (now - at).total_seconds()
    return (
        _("%(time)s ago", time=duration(seconds))
        if seconds >= 0
        else _("in %(time)s", time=duration(-seconds))
    )
