"""The verbs for research copies: de-identify what is stored, and bring back what was drawn on it."""

import argparse
import sys

from imaging.deidentify import DeidentificationOptions
from service.cli.audit import account
from service.components import Store, opened_store
from service.retention.research_copies import CopyReport, ResearchCopies, of_job, of_series, removed_of_job
from service.store import AuditEvent, AuditKind, AuditLog, PseudonymRepository, RetentionStore, utc_now


def deidentify(arguments: argparse.Namespace) -> int:
    """Write research copies; exit code 1 where something was left out."""
    retain = not arguments.basic
    options = DeidentificationOptions(
        modified_dates=retain,
        patient_characteristics=retain,
        clean_descriptors=retain,
        harmless_names=frozenset(arguments.keep_name),
        allow_burned_in=arguments.allow_burned_in,
    )
    with opened_store(arguments.settings_tree) as store:
        stored = (
            of_series(store.book, arguments.series)
            if arguments.job is None
            else of_job(store.book, RetentionStore(store.database), arguments.job)
        )
        copies = ResearchCopies(
            pseudonyms=PseudonymRepository(store.database), project=arguments.project, options=options
        )
        gone = [] if arguments.job is None else removed_of_job(store.book, arguments.job)
        written = copies.copy(store.files, stored, arguments.out, gone=gone)
        _put_on_record(store, arguments, written, job_id=arguments.job)
    return _said(written)


def reidentify(arguments: argparse.Namespace) -> int:
    """Write structure sets with their original references, patient and study."""
    with opened_store(arguments.settings_tree) as store:
        copies = ResearchCopies(
            pseudonyms=PseudonymRepository(store.database),
            project=arguments.project,
            options=DeidentificationOptions(),
        )
        written = copies.bring_back(arguments.files, arguments.out)
        _put_on_record(store, arguments, written, job_id=None)
    return _said(written)


def _put_on_record(
    store: Store, arguments: argparse.Namespace, written: CopyReport, *, job_id: int | None
) -> None:
    event = AuditEvent(
        kind=AuditKind.LOOKED_AT,
        role="cli",
        actor=account(),
        target=arguments.name,
        job_id=job_id,
        instance_count=len(written.files),
        detail=f"project {arguments.project}"
        + (f", left out: {written.counts()}" if written.left_out else ""),
    )
    AuditLog(store.database).append([(utc_now(), event)])


def _said(written: CopyReport) -> int:
    for one in written.left_out:
        sys.stdout.write(f"left out: {one.name}: {one.reason}\n")
    sys.stdout.write(f"{len(written.files)} files written to {written.files[0].parent}\n")
    if written.left_out:
        sys.stdout.write(f"{len(written.left_out)} objects left out: {written.counts()}\n")
    return 1 if written.left_out else 0
