"""A database with a long history, made in one go: what years of work leave behind, and a day's work in progress."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert

from service.store import (
    ArtifactKind,
    ArtifactRole,
    Database,
    DeliveryState,
    EventKind,
    JobRepository,
    JobState,
    upgrade,
)
from service.store.jobs.series_facts import folded
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, instance, instance_source, job, job_event
from service.store.tables.structure_schema import series_fact

_J, _E = JobState, EventKind
IN_HAND = (_J.RECEIVING, _J.WAITING, _J.QUEUED, _J.RUNNING, _J.RETRYING, _J.DELIVERING)
"""States of the 60 newest jobs, in turn, however long the history is."""
JOBS_IN_HAND = 60
ENDED_OTHERWISE = {0: _J.REFUSED, 1: _J.CANCELLED, 2: _J.FAILED, 3: _J.SUPERSEDED, 4: _J.SUPERSEDED}
"""States of some of a hundred ended jobs; the others are done."""
FAMILIES = ("Kowalski", "Müller", "Rossi", "Kim", "Novák", "Garcia", "Yamada", "Jensen", "Silva", "Popescu",
            "Smith", "Haddad", "Nguyen", "Okafor", "Larsson", "Dubois", "Ivanov", "Horvat", "Papadopoulos", "Singh")  # fmt: skip
GIVEN = ("Anna", "Jan", "Maria", "Ali", "Chen", "Eva", "Ivo", "Lucia", "Omar", "Petra",
         "Sara", "Tom", "Uma", "Vera", "Wei", "Xenia", "Yusuf", "Zoe", "Bela", "Dora")  # fmt: skip
SLICES = 2
"""Per job. A real job has a hundred times as many; nothing here reads them except by series."""
DESTINATIONS = ("tps", "archive")
HISTORY = (
    _E.OPENED, _E.CLOSED, _E.CLAIMED, _E.STAGE, _E.STAGE, _E.STAGE, _E.FINISHED, _E.SENT, _E.SENT, _E.DONE
)  # fmt: skip
EVERY = timedelta(minutes=5)
AT_ONCE = 5000
CT = "1.2.840.10008.5.1.4.1.1.2"
Rows = Iterator[dict[str, Any]]


def long_history(url: str, jobs: int) -> Database:
    """Open a database with a long history: an empty one is filled first, one with jobs is left as it is."""
    upgrade(url)
    database = Database(url)
    if not JobRepository(database).list_jobs(limit=1):
        began = time.monotonic()
        fill(database, jobs)
        print(f"filled in {time.monotonic() - began:.0f} s")
    return database


def fill(database: Database, jobs: int) -> None:
    """Put ``jobs`` jobs into an empty, migrated database, each with slices, events and two deliveries."""
    for table, rows in (
        (job, (_job(n, jobs, database.clock()) for n in range(1, jobs + 1))),
        (instance, (row for n in range(1, jobs + 1) for row in _instances(n, jobs, database.clock()))),
        (instance_source, (row for n in range(1, jobs + 1) for row in _arrivals(n))),
        (job_event, (row for n in range(1, jobs + 1) for row in _events(n, jobs, database.clock()))),
        (artifact, (row for n in range(1, jobs + 1) for row in _artifacts(n, jobs, database.clock()))),
        (delivery, (row for n in range(1, jobs + 1) for row in _deliveries(n, jobs, database.clock()))),
        (series_fact, (_facts(n, jobs, database.clock()) for n in range(1, jobs + 1))),
    ):
        _insert(database, table, rows)


def _insert(database: Database, table: Table, rows: Rows) -> None:
    with database.writing() as connection:
        while some := list(islice(rows, AT_ONCE)):
            connection.execute(insert(table), some)


def _state(number: int, jobs: int) -> JobState:
    if number > jobs - JOBS_IN_HAND:
        return IN_HAND[number % len(IN_HAND)]
    return ENDED_OTHERWISE.get(number % 100, _J.DONE)


def _at(number: int, jobs: int, now: datetime) -> datetime:
    return now - (jobs - number) * EVERY


def _job(number: int, jobs: int, now: datetime) -> dict[str, Any]:
    state, at = _state(number, jobs), _at(number, jobs, now)
    is_closed = state not in (_J.RECEIVING, _J.WAITING, _J.REFUSED)
    is_done = state in (_J.DELIVERING, _J.DONE)
    return {
        "id": number,
        "uid": UUID(int=number),
        "version": 1,
        "state": state,
        "reason": "" if is_done else "incomplete: 3 slices missing in 2 gaps",
        "series_uid": f"1.2.826.0.1.{number}.7",
        "study_uid": f"1.2.826.0.1.{number}",
        "called_aet": "CONTOURNODE",
        "calling_aet": "SCANNER",
        "slice_count": SLICES,
        "content_hash": f"{number:064x}" if is_closed else None,
        "rule": "head-neck" if is_closed else "",
        "model": "hn_oar" if is_closed else "",
        "model_version": 1 if is_closed else None,
        "priority": 50 if is_closed else None,
        "lease_owner": "work@host:1" if state is _J.RUNNING else None,
        "lease_expires_at": now + timedelta(minutes=1) if state is _J.RUNNING else None,
        "received_at": at,
        "last_received_at": at + timedelta(seconds=20),
        "queued_at": at + timedelta(seconds=30) if is_closed else None,
        "finished_at": at + timedelta(seconds=50) if is_done else None,
        "delivered_at": at + timedelta(seconds=52) if state is _J.DONE else None,
        "has_result": is_done,
        "failure_report_decided": state in (_J.REFUSED, _J.FAILED),
    }


def _instances(number: int, jobs: int, now: datetime) -> Rows:
    for slice_number in range(SLICES):
        uid = f"1.2.826.0.1.{number}.7.{slice_number}"
        yield {
            "id": (number - 1) * SLICES + slice_number + 1,
            "sop_instance_uid": uid,
            "sop_class_uid": CT,
            "series_uid": f"1.2.826.0.1.{number}.7",
            "study_uid": f"1.2.826.0.1.{number}",
            "modality": "CT",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "peer_host": "10.0.0.7",
            "path": _path(uid),
            "size_bytes": 525_000,
            "header_bytes": 1024,
            "sha256": "0" * 64,
            "received_at": _at(number, jobs, now),
        }


def _arrivals(number: int) -> Rows:
    for slice_number in range(SLICES):
        instance_id = (number - 1) * SLICES + slice_number + 1
        who = {"called_aet": "CONTOURNODE", "calling_aet": "SCANNER"}
        yield {"instance_id": instance_id, **who, "version": 1}


def _events(number: int, jobs: int, now: datetime) -> Rows:
    """Yield the whole history of a done job; of any other job, the beginning and the last event."""
    state, at = _state(number, jobs), _at(number, jobs, now)
    for place, kind in enumerate(HISTORY if state is _J.DONE else (_E.OPENED, _E.NOTE)):
        yield {
            "job_id": number,
            "at": at + place * timedelta(seconds=5),
            "kind": kind,
            "to_state": state,
            "message": {_E.SENT: "tps", _E.STAGE: "predict"}.get(kind, ""),
        }


def _artifacts(number: int, jobs: int, now: datetime) -> Rows:
    yield {
        "id": number,
        "job_id": number,
        "role": ArtifactRole.RESULT,
        "kind": ArtifactKind.STRUCTURE_SET,
        "path": _path(f"rs{number}"),
        "size_bytes": 500_000,
        "sha256": "0" * 64,
        "created_at": _at(number, jobs, now) + timedelta(seconds=50),
    }


def _deliveries(number: int, jobs: int, now: datetime) -> Rows:
    state, at = _state(number, jobs), _at(number, jobs, now)
    stands = {_J.DONE: DeliveryState.SENT, _J.DELIVERING: DeliveryState.PENDING}
    for name in DESTINATIONS:
        yield {
            "job_id": number,
            "artifact_id": number,
            "destination": name,
            "state": stands.get(state, DeliveryState.WITHDRAWN),
            "attempts": 1,
            "created_at": at + timedelta(seconds=50),
            "sent_at": at + timedelta(seconds=52) if state is _J.DONE else None,
        }


def _path(uid: str) -> str:
    return f"objects/{hash(uid) & 0xFF:02x}/{uid:>40}-{uid:>40}.dcm".replace(" ", "0")


def _facts(number: int, jobs: int, now: datetime) -> dict[str, Any]:
    """Return the series facts: one of 400 names, and an ID and accession number of its own."""
    family, given = FAMILIES[number % len(FAMILIES)], GIVEN[number // len(FAMILIES) % len(GIVEN)]
    name, patient_id, accession = f"{family}^{given}", f"PID-{number:07d}", f"ACC.{number * 7}"
    description = f"Head Neck 2.0 B30f {number % 9}"
    return {
        "series_uid": f"1.2.826.0.1.{number}.7",
        "study_uid": f"1.2.826.0.1.{number}",
        "patient_id": patient_id,
        "patient_name": name,
        "accession_number": accession,
        "search_text": folded("  ".join((name, patient_id, accession, description))),
        "description": description,
        "body_part": "HEADNECK" if number % 3 else "CHEST",
        "modality": "CT",
        "study_date": "20260101",
        "attributes": {"Manufacturer": "M", "KVP": "120", "SliceThickness": "2.0", "PatientPosition": "HFS"},
        "recorded_at": _at(number, jobs, now),
    }
