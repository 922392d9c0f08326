"""What searching studies and fetching single images cost the database of a node with many.

    python -m bench.dicomweb --url sqlite:////tmp/dicomweb.sqlite      # or a Postgres URL

An empty database is filled first. Every figure is of the use cases that the routes ask, with their entries in the
audit trail; files are not read.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import func, insert, select

from service.application import Actor, ActorKind, ActorRole, search_studies, series_of_listed, study_objects
from service.store import Database, upgrade
from service.store.jobs.kept_objects import StudyQuery
from service.store.tables.audit_schema import audit_event
from service.store.tables.schema import instance

REPEATS = 7
AT_ONCE = 5000
CT = "1.2.840.10008.5.1.4.1.1.2"
VIEWER = Actor(kind=ActorKind.PERSON, name="viewer", role=ActorRole.VIEWER, entry="web", sees_patients=True)


def main() -> None:
    """Fill where there is nothing, then measure; medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--images", type=int, default=200, help="of each study")
    arguments = parser.parse_args()
    upgrade(arguments.url)
    database = Database(arguments.url)
    _fill(database, arguments.studies, arguments.images)
    middle = arguments.studies // 2
    asked: dict[str, Callable[[], object]] = {
        "the newest 100 studies": lambda: _listed(database, StudyQuery(limit=100)),
        "100 studies further on": lambda: _listed(
            database, StudyQuery(limit=100, offset=arguments.studies - 100)
        ),
        "studies with an MR, which none has": lambda: _listed(database, StudyQuery(modalities=("MR",))),
        "one study by its UID": lambda: _listed(database, StudyQuery(study_uids=(_study(middle),))),
        "one image, looked at before": lambda: study_objects(
            database, VIEWER, _study(middle), sop_instance_uid=f"{_study(middle)}.1.7", is_recorded=False
        ),
    }
    for name, what in asked.items():
        before = _entries(database)
        median, processor = _times_ms(what)
        entries = (_entries(database) - before) / REPEATS
        print(
            f"{median:8.2f} ms, {processor:8.2f} of this process, {entries:.0f} entries  {name}", flush=True
        )
    database.close()


def _listed(database: Database, wanted: StudyQuery) -> object:
    return series_of_listed(database, VIEWER, search_studies(database, VIEWER, wanted))


def _entries(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(audit_event)).scalar_one())


def _study(number: int) -> str:
    return f"1.2.826.0.1.{(number * 7919) % 100_003}"


def _fill(database: Database, studies: int, images: int) -> None:
    with database.reading() as connection:
        if connection.execute(select(instance.c.id).limit(1)).first() is not None:
            return
    rows = [
        {
            "sop_instance_uid": f"{_study(study)}.1.{image}",
            "sop_class_uid": CT,
            "series_uid": f"{_study(study)}.1",
            "study_uid": _study(study),
            "modality": "CT",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "peer_host": "192.0.2.1",
            "path": f"objects/00/{study:020d}{image:020d}-{'0' * 40}.dcm",
            "size_bytes": 526_000,
            "header_bytes": 1024,
            "sha256": f"{study:032d}{image:032d}",
            "received_at": datetime.now(UTC),
        }
        for study in range(studies)
        for image in range(images)
    ]
    with database.writing() as connection:
        for start in range(0, len(rows), AT_ONCE):
            connection.execute(insert(instance), rows[start : start + AT_ONCE])


def _times_ms(what: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of the time and of the processor time of this process, which has SQLite's share in it."""
    times, processor = [], []
    for _ in range(REPEATS):
        began, busy = time.monotonic(), time.process_time()
        what()
        times.append((time.monotonic() - began) * 1000)
        processor.append((time.process_time() - busy) * 1000)
    return sorted(times)[REPEATS // 2], sorted(processor)[REPEATS // 2]


if __name__ == "__main__":
    main()
