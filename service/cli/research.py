"""The verbs for research copies: de-identify stored objects, re-identify structure sets drawn on the copies."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from imaging.deidentify import (
    DeidentificationOptions,
    DeidentificationRefused,
    find_identifiers,
    identifiers_of,
    listed_identities,
    together,
)
from service.application import Operation, record_action
from service.cli.audit import account, administrator
from service.cli.output import say
from service.components import Store, opened_store
from service.errors import Refused
from service.retention.research_copies import CopyReport, ResearchCopies, of_job, of_series, removed_of_job
from service.store import AuditEvent, AuditKind, AuditLog, PseudonymRepository, RetentionStore, utc_now


def deidentify(arguments: argparse.Namespace) -> int:
    """Write research copies, or audit them; exit code 1 if something was left out, or found."""
    if arguments.audit is not None:
        return audit(arguments.audit, arguments.original, arguments.identifiers)
    if arguments.out is None:
        raise Refused("give --out FOLDER, the folder to write to")
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
        order = f"project {arguments.project}, {len(stored)} objects to {arguments.out}"
        record_action(
            store.database, administrator(), Operation.DEIDENTIFY, job_id=arguments.job, detail=order
        )
        written = copies.copy(store.content, stored, arguments.out, gone=gone)
        _put_on_record(store, arguments, written)
    return _said(written)


def audit(folder: Path, originals: Sequence[Path], listed: Path | None) -> int:
    """Print every attribute in the folder's files that holds an identifier of the originals or of the list.

    Exit code 1 if one was found or a file could not be read. The database is not needed.
    """
    if not originals and listed is None:
        raise Refused("give --original or --identifiers: an audit searches for known identifiers")
    copies = _files_below(folder)
    if not copies:
        raise Refused(f"{folder} contains no files")
    known = [identifiers_of(path.read_bytes(), str(path)) for one in originals for path in _files_below(one)]
    lines = [] if listed is None else listed.read_text(encoding="utf-8").splitlines()
    whom = together([*known, listed_identities(lines)])
    found = unreadable = 0
    for path in copies:
        try:
            for one in find_identifiers(path.read_bytes(), whom, str(path)):
                found += 1
                say(f"{path}: {one.keyword} {one.tag} {one.vr} holds an identifier")
        except DeidentificationRefused as reason:
            unreadable += 1
            say(f"not examined: {reason}")
    say(f"{len(copies)} files, {found} attributes with an identifier, {unreadable} not readable")
    return 1 if found or unreadable else 0


def _files_below(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def reidentify(arguments: argparse.Namespace) -> int:
    """Write structure sets with their original references, patient and study restored."""
    with opened_store(arguments.settings_tree) as store:
        copies = ResearchCopies(
            pseudonyms=PseudonymRepository(store.database),
            project=arguments.project,
            options=DeidentificationOptions(),
        )
        order = f"project {arguments.project}, {len(arguments.files)} objects to {arguments.out}"
        record_action(store.database, administrator(), Operation.REIDENTIFY, detail=order)
        written = copies.bring_back(arguments.files, arguments.out)
        _put_on_record(store, arguments, written)
    return _said(written)


def _put_on_record(store: Store, arguments: argparse.Namespace, written: CopyReport) -> None:
    """Record what was written; the audit trail already has the order itself."""
    event = AuditEvent(
        kind=AuditKind.LOOKED_AT,
        role="cli",
        actor=account(),
        target=arguments.name,
        job_id=vars(arguments).get("job"),
        instance_count=len(written.files),
        detail=f"project {arguments.project}"
        + (f", left out: {written.counts()}" if written.left_out else ""),
    )
    AuditLog(store.database).append([(utc_now(), event)])


def _said(written: CopyReport) -> int:
    for one in written.left_out:
        say(f"left out: {one.name}: {one.reason}")
    say(f"{len(written.files)} files written to {written.files[0].parent}")
    if written.left_out:
        say(f"{len(written.left_out)} objects left out: {written.counts()}")
    return 1 if written.left_out else 0
