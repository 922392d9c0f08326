"""The use cases of DICOM objects: find studies, and read what is kept of one. Every object names its patient."""

from collections.abc import Sequence

from service.application.actors import Actor, Operation, require_patients, require_permission
from service.application.audited import perform
from service.store import Database, Transaction
from service.store.audit.log import listed_studies
from service.store.jobs.kept_objects import (
    KeptSeries,
    StudyObjects,
    StudyQuery,
    find_studies,
    read_series,
    read_study,
)

WHY = "DICOM objects name the patient"


def search_studies(database: Database, actor: Actor, wanted: StudyQuery) -> list[str]:
    """Return the UIDs of studies, newest first; one entry of the trail names them all, not what was asked for.

    Raises:
        NotPermitted: the actor may not read DICOM objects, or not see patients.
    """

    def look(transaction: Transaction) -> list[str]:
        require_patients(actor, WHY)
        return find_studies(transaction, wanted)

    return perform(database, actor, Operation.DICOMWEB_READ, None, look, describe=listed_studies)


def series_of_listed(database: Database, actor: Actor, study_uids: Sequence[str]) -> list[list[KeptSeries]]:
    """Return the series of each of the studies that a search gave, and recorded.

    Raises:
        NotPermitted: the actor may not read DICOM objects, or not see patients.
    """
    require_permission(actor, Operation.DICOMWEB_READ)
    require_patients(actor, WHY)
    with database.reading() as connection:
        return [read_series(connection, uid) for uid in study_uids]


def study_objects(  # who, of what, and whether it is recorded
    database: Database,
    actor: Actor,
    study_uid: str,
    *,
    series_uid: str | None = None,
    sop_instance_uid: str | None = None,
    is_recorded: bool = True,
) -> StudyObjects:
    """Return what is kept of a study, which may be nothing.

    Args:
        database: the node's.
        actor: who looks.
        study_uid: the Study Instance UID.
        series_uid: received objects of this series alone.
        sop_instance_uid: this object alone.
        is_recorded: False for another look at what the actor was given, and recorded for, a moment ago.

    Raises:
        NotPermitted: the actor may not read DICOM objects, or not see patients.
    """

    def look(transaction: Transaction) -> StudyObjects:
        require_patients(actor, WHY)
        return read_study(transaction, study_uid, series_uid=series_uid, sop_instance_uid=sop_instance_uid)

    if is_recorded:
        return perform(database, actor, Operation.DICOMWEB_READ, None, look, study_uid=study_uid)
    require_permission(actor, Operation.DICOMWEB_READ)
    with database.reading() as connection:
        return look(connection)
