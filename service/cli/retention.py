"""The verbs `retention` (what would be removed) and `verify` (are stored files intact?)."""

import argparse
import math
import threading
from dataclasses import replace
from typing import Any

from service.application import Operation, accept_clock, record_action
from service.cli.audit import administrator
from service.cli.output import say, say_json
from service.cli.roles import run_role
from service.components import opened_store
from service.config import Settings
from service.retention import RemovalReport
from service.store import RetainedKind, RetentionStore, VerifiableFile
from service.wiring import retention_sweep


def retention(arguments: argparse.Namespace) -> int:
    """Run the role retention, or list what it would remove."""
    settings: Settings = arguments.settings_tree
    if arguments.clock_is_right:
        with opened_store(settings) as store:
            accept_clock(store.database, administrator())
        say("the clock is accepted as right from now on")
        return 0
    if not arguments.dry_run:
        return run_role("retention", settings)
    with opened_store(settings) as store:
        record_action(store.database, administrator(), Operation.RETENTION)
        due = retention_sweep(settings, store).due()
    if arguments.json:
        return _print_json([_plain(one, settings) for one in due])
    for one in due:
        say(
            f"{one.belongs_to}: {one.files} files ({one.kind}), {one.size_bytes / 1e6:.1f} MB: {_why(one, settings)}"
        )
    total = sum(one.size_bytes for one in due)
    say(f"{sum(one.files for one in due)} files, {total / 1e6:.1f} MB would be removed")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Compare stored files with their checksums; exit code 1 if one is missing or damaged.

    Without --all or --job, verify the files that are due, as the role retention does, but at full speed.
    """
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        verifier = replace(retention_sweep(settings, store), verify_rate_bytes=math.inf)
        if arguments.job is not None:
            store.book.job(arguments.job)
        what = "all" if arguments.all else "" if arguments.job is None else "its files"
        record_action(store.database, administrator(), Operation.VERIFY, job_id=arguments.job, detail=what)
        if arguments.all or arguments.job is not None:
            asked = RetentionStore(store.database).to_verify(job_id=arguments.job)
            damaged = verifier.verify(asked, threading.Event())
        else:
            damaged = verifier.verify_due(threading.Event())
    if arguments.json:
        _print_json([{"name": one.name, "path": one.file.path} for one in damaged])
    else:
        _print_damaged(damaged)
    return 1 if damaged else 0


def _print_damaged(damaged: list[VerifiableFile]) -> None:
    for one in damaged:
        say(f"missing or damaged: {one.name} ({one.file.path})")
    if not damaged:
        say("every file that was read is intact")


def _why(one: RemovalReport, settings: Settings) -> str:
    retention = settings.retention
    return {
        RetainedKind.IMAGES: f"every job that has them was delivered over {retention.done_images_days} days ago, "
        f"or ended otherwise over {retention.ended_images_days} days ago",
        RetainedKind.OTHERS: f"received over {retention.other_objects_days} days ago and opened no job",
        RetainedKind.ARTIFACTS: f"its job was done, or ended otherwise, over {retention.results_days} days ago",
    }[one.kind]


def _plain(one: RemovalReport, settings: Settings) -> dict[str, Any]:
    return {
        "belongs_to": one.belongs_to,
        "kind": one.kind.value,
        "files": one.files,
        "size_bytes": one.size_bytes,
        "why": _why(one, settings),
    }


def _print_json(value: object) -> int:
    say_json(value)
    return 0
