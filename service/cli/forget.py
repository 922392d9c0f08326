"""The verb `forget`: remove a series sent under the wrong patient, or a patient; list what was delivered."""

import argparse

from service.application import find_series, forget_all, would_forget
from service.cli.audit import administrator
from service.cli.output import print_table, say, say_json
from service.components import node_identity, opened_store
from service.errors import Refused
from service.store import ForgottenSeries

COLUMNS = ("job", "destination", "sent", "object")


def forget(arguments: argparse.Namespace) -> int:
    """Remove the named series or patient, or list what would be removed."""
    if arguments.reason is None and not arguments.dry_run:
        raise Refused("give --reason: it is recorded in the audit trail")
    with opened_store(arguments.settings_tree) as store:
        series, keys = find_series(
            store.database, store.files, series_uid=arguments.series, patient_id=arguments.patient
        )
        if arguments.dry_run:
            gone = would_forget(store.database, administrator(), series)
        else:
            gone = forget_all(
                store.database,
                store.content,
                administrator(),
                series,
                arguments.reason,
                patient_keys=keys,
            )
            node_identity(arguments.settings_tree, store).mark()
    if arguments.json:
        say_json([_plain(one) for one in gone])
    else:
        for one in gone:
            _say(one, "would be removed" if arguments.dry_run else "removed")
    return 0


def _say(one: ForgottenSeries, what: str) -> None:
    jobs = ", ".join(map(str, one.jobs)) or "none"
    say(f"series {one.series.series_uid}: {one.images} images, jobs {jobs}, {one.files} files {what}")
    if one.delivered:
        say("destinations have these objects, and the node cannot take them back:")
        print_table(COLUMNS, [list(row.values()) for row in _delivered(one)])


def _plain(one: ForgottenSeries) -> dict[str, object]:
    return {
        "series_uid": one.series.series_uid,
        "study_uid": one.series.study_uid,
        "images": one.images,
        "jobs": list(one.jobs),
        "files": one.files,
        "delivered": _delivered(one),
    }


def _delivered(one: ForgottenSeries) -> list[dict[str, object]]:
    return [
        {
            "job": row.job_id,
            "destination": row.destination,
            "sent": None if row.sent_at is None else row.sent_at.isoformat(timespec="seconds"),
            "object": row.sop_instance_uid if row.is_certain else f"{row.sop_instance_uid} (perhaps)",
        }
        for row in one.delivered
    ]
