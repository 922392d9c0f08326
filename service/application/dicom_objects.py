"""The use cases of DICOM objects: find studies, and read what is kept of one. Every object names its patient."""

from service.application.actors import Actor, Operation, require_patients, require_permission
from service.application.audited import perform
from service.store import Database, Transaction
from service.store.jobs.kept_objects import StudyObjects, StudyQuery, find_studies, read_study

WHY = "DICOM objects name the patient"


def search_studies(database: Database, actor: Actor, wanted: StudyQuery) -> list[str]:
    """Return the UIDs of studies, newest first; the look is recorded in the audit trail, without what was asked for.

    Raises:
        NotPermitted: the actor may not read DICOM objects, or not see patients.
    """

    def look(transaction: Transaction) -> list[str]:
        require_patients(actor, WHY)
        return find_studies(transaction, wanted)

    return perform(database, actor, Operation.DICOMWEB_READ, None, look, detail="studies")


def study_objects(
    database: Database, actor: Actor, study_uid: str, *, is_recorded: bool = True
) -> StudyObjects:
    """Return what is kept of a study, which may be nothing.

    Args:
        database: the node's.
        actor: who looks.
        study_uid: the Study Instance UID.
        is_recorded: False for another look at what the actor was given, and recorded for, a moment ago.

    Raises:
        NotPermitted: the actor may not read DICOM objects, or not see patients.
    """

    def look(transaction: Transaction) -> StudyObjects:
        require_patients(actor, WHY)
        return read_study(transaction, study_uid)

    if is_recorded:
        return perform(database, actor, Operation.DICOMWEB_READ, None, look, study_uid=study_uid)
    require_permission(actor, Operation.DICOMWEB_READ)
    with database.reading() as connection:
        return look(connection)
