"""The verbs for jobs: list them, view one, change one."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from service.application import (
    cancel_job,
    checked_wanted,
    list_jobs,
    prioritise_job,
    rerun_job,
    resend_job,
    retry_job,
    send_now_to,
    show_events,
    show_job,
)
from service.cli.audit import administrator
from service.cli.output import print_table, say, say_json
from service.components import model_library, opened_store, rule_book
from service.config import JobPurpose, Peer, Settings, WebDestination
from service.errors import Refused
from service.store import (
    ArtifactKind,
    ArtifactRole,
    ArtifactStatus,
    JobState,
    JobStatus,
    Wanted,
    artifact_words,
)

LIST_COLUMNS = ("job", "state", "sender", "slices", "rule", "received", "what")
ARTIFACT_COLUMNS = ("artifact", "what", "made by", "bytes", "made", "file", "path")
Word = TypeVar("Word", bound=StrEnum)
DELIVERY_COLUMNS = (
    "destination",
    "what",
    "state",
    "attempts",
    "next attempt",
    "sent",
    "confirmed",
    "said",
)
STRUCTURE_COLUMNS = (
    "structure",
    "code",
    "sent",
    "cc",
    "slices",
    "pieces",
    "probability",
    "trust",
    "edges",
    "findings",
)
SHORTENED_TO = 60  # `show` has the whole text


def jobs(arguments: argparse.Namespace) -> int:
    """List jobs, newest first."""
    states = [_word(JobState, "state", word) for word in arguments.state]
    purposes = [_word(JobPurpose, "purpose", word) for word in arguments.purpose]
    with opened_store(arguments.settings_tree) as store:
        rows = list_jobs(
            store.database, administrator(), states=states, purposes=purposes, limit=arguments.limit
        )
    if arguments.json:
        return _print_json([_plain(row) for row in rows])
    _print_table([_short(row) for row in rows], LIST_COLUMNS)
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show one job with its artifacts, its deliveries and its structures."""
    with opened_store(arguments.settings_tree) as store:
        found = show_job(store.database, administrator(), arguments.job)
    job = _plain(found.status)
    job["artifacts"] = [_artifact_plain(row) for row in found.artifacts]
    job["deliveries"] = [_plain(row) for row in found.deliveries]
    job["structures"] = [dataclasses.asdict(row) for row in found.structures]
    if arguments.json:
        return _print_json(job)
    artifacts, deliveries, structures = job.pop("artifacts"), job.pop("deliveries"), job.pop("structures")
    _print_table([{"what": key, "value": value} for key, value in job.items()], ("what", "value"))
    if artifacts:
        _print_table([_artifact(row) for row in artifacts], ARTIFACT_COLUMNS)
    if deliveries:
        _print_table([_delivery(row) for row in deliveries], DELIVERY_COLUMNS)
    elif artifacts:
        say("no destination: the result is kept but not delivered")
    if structures:
        _print_table([_structure(row) for row in structures], STRUCTURE_COLUMNS)
    return 0


def events(arguments: argparse.Namespace) -> int:
    """Show a job's history, oldest event first."""
    with opened_store(arguments.settings_tree) as store:
        rows = [_plain(row) for row in show_events(store.database, administrator(), arguments.job)]
    if arguments.json:
        return _print_json(rows)
    _print_table(rows, ("at", "kind", "from_state", "to_state", "message"))
    return 0


def retry(arguments: argparse.Namespace) -> int:
    """Queue a failed or refused job again."""
    with opened_store(arguments.settings_tree) as store:
        state = retry_job(store.database, administrator(), arguments.job)
    return print_order(arguments, {"job": arguments.job, "state": state.value})


def rerun(arguments: argparse.Namespace) -> int:
    """Contour the job's slices again as a new version, with another rule or model if one is named."""
    settings: Settings = arguments.settings_tree
    wanted = Wanted(rule=arguments.rule, model=arguments.model, model_version=arguments.model_version)
    models = model_library(settings) if wanted.model else ()
    with opened_store(settings) as store:
        checked_wanted(rule_book(settings, store.database).current().settings, models, wanted)
        number = rerun_job(store.database, administrator(), arguments.job, wanted)
    return print_order(arguments, {"job": number, "state": JobState.RECEIVING.value})


def cancel(arguments: argparse.Namespace) -> int:
    """Stop a job."""
    with opened_store(arguments.settings_tree) as store:
        cancel_job(store.database, administrator(), arguments.job)
    return print_order(arguments, {"job": arguments.job, "state": JobState.CANCELLED.value})


def priority(arguments: argparse.Namespace) -> int:
    """Change a job's priority."""
    with opened_store(arguments.settings_tree) as store:
        before = prioritise_job(store.database, administrator(), arguments.job, arguments.priority)
    return print_order(arguments, {"job": arguments.job, "priority": arguments.priority, "before": before})


def resend(arguments: argparse.Namespace) -> int:
    """Send a job's objects to a destination once more."""
    with opened_store(arguments.settings_tree) as store:
        ruled = rule_book(arguments.settings_tree, store.database).current().settings
        copies = resend_job(store.database, administrator(), arguments.job, arguments.destination, ruled)
    answer = {"job": arguments.job, "destination": copies.destination, "objects": copies.objects}
    return print_order(arguments, answer)


def send_now(arguments: argparse.Namespace) -> int:
    """Send now what waits for its next attempt to reach a destination."""
    with opened_store(arguments.settings_tree) as store:
        ruled = rule_book(arguments.settings_tree, store.database).current().settings
        objects = send_now_to(store.database, administrator(), arguments.destination, ruled)
    return print_order(arguments, {"destination": arguments.destination, "objects": objects})


def _short(job: JobStatus) -> dict[str, object]:
    """Return a job as one line: its state and the beginning of the reason."""
    what = job.stage or job.reason or job.destinations or job.completeness
    if job.purpose is not JobPurpose.CLINICAL:
        what = f"{job.purpose}: {what}"
    return {
        "job": f"{job.id} v{job.version}",
        "state": job.state.value,
        "sender": job.calling_aet,
        "slices": _slices(job),
        "rule": job.rule,
        "received": job.received_at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00"),
        "what": what if len(what) <= SHORTENED_TO else what[: SHORTENED_TO - 1] + "…",
    }


def _slices(job: JobStatus) -> str:
    """Return the number of images received, and of how many if the sender reports more."""
    is_short = job.expected_images is not None and job.slice_count < job.expected_images
    return f"{job.slice_count} of {job.expected_images}" if is_short else str(job.slice_count)


def _artifact(row: Mapping[str, Any]) -> dict[str, object]:
    """Return an artifact as a table row: what it is, which model made it, and whether its file exists."""
    gone = f"removed {row['removed_at']}" if row["removed_at"] else "kept"
    return {
        "artifact": row["id"],
        "what": artifact_words(ArtifactRole(row["role"]), ArtifactKind(row["kind"])),
        "made by": " ".join(str(part) for part in (row["model"], row["model_version"]) if part),
        "bytes": row["size_bytes"],
        "made": row["created_at"],
        "file": f"DAMAGED {row['damaged_at']}" if row["damaged_at"] else gone,
        "path": row["path"],
    }


def _artifact_plain(row: ArtifactStatus) -> dict[str, Any]:
    return {**_plain(row), "provenance": dict(row.provenance)}


def _delivery(row: Mapping[str, Any]) -> dict[str, object]:
    """Return a delivery as a table row: what it is, its state, and its next step."""
    what = "failure report" if row["kind"] == "failure_report" else "result"
    asked = f"not yet, asked {row['confirmation_requests']} times" if row["confirmation_requests"] else ""
    return {
        "destination": row["destination"],
        "what": f"{what}, in place of {row['fallback_for']}" if row["fallback_for"] else what,
        "state": row["state"],
        "attempts": row["attempts"],
        "next attempt": row["not_before"] if row["state"] in ("pending", "unconfirmed") else "",
        "sent": row["sent_at"],
        "confirmed": row["confirmed_at"] or asked,
        "said": row["reason"] or row["note"],
    }


def _structure(row: Mapping[str, Any]) -> dict[str, object]:
    """Return a structure as a table row.

    Its findings are in words; contact with the edge of the field of view has its own column.
    """
    said = [finding["words"] for finding in row["findings"] if finding["check"] != "edge"]
    return {
        "structure": row["name"],
        "code": row["code"] or "derived",
        "sent": "yes" if row["is_sent"] else "no",
        "cc": f"{row['volume_cc']:.2f}",
        "slices": row["slices"],
        "pieces": row["pieces"],
        "probability": _two_places(row["mean_probability"]),
        "trust": _two_places(row["trust"]),
        "edges": ", ".join(row["edges"]),
        "findings": "; ".join(said),
    }


def _two_places(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _word(kind: type[Word], what: str, word: str) -> Word:
    try:
        return kind(word)
    except ValueError as error:
        known = ", ".join(one.value for one in kind)
        raise Refused(f"no {what} {word!r}; there are: {known}") from error


def _plain(row: Any) -> dict[str, Any]:
    return {field.name: _value(vars(row)[field.name]) for field in dataclasses.fields(row)}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value if value is None or isinstance(value, int | float) else str(value)


def _print_json(value: object) -> int:
    say_json(value)
    return 0


def print_order(arguments: argparse.Namespace, answer: Mapping[str, object]) -> int:
    """Print the outcome of an order, on one line or as JSON."""
    if arguments.json:
        return _print_json(answer)
    say(", ".join(f"{key}: {value}" for key, value in answer.items() if value != ""))
    return 0


def _print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    print_table(columns, [[row[column] for column in columns] for row in rows])


def echo(arguments: argparse.Namespace) -> int:
    """Send a C-ECHO to a peer, or a query to a DICOMweb server; exit code 1 with the reason if it does not answer."""
    from service.scu.client import Scu
    from service.scu.outcome import Sent
    from service.send.stow import probe

    settings: Settings = arguments.settings_tree
    destination = settings.destination(arguments.destination)
    if isinstance(destination, WebDestination):
        outcome = probe(destination, timeout_s=destination.timeout_s)
    elif isinstance(destination, Peer):
        outcome = Scu(calling_aet=settings.send.ae_title, timeout_s=destination.timeout_s).echo(destination)
    else:
        known = ", ".join(settings.peers) or "none"
        raise Refused(f"no peer {arguments.destination} in the settings; there are: {known}")
    answered = isinstance(outcome, Sent)
    reason = outcome.note if isinstance(outcome, Sent) else outcome.reason
    print_order(arguments, {"destination": arguments.destination, "answered": answered, "reason": reason})
    return 0 if answered else 1
