"""The use cases of maintenance: forget a series or a patient, and confirm the clock."""

from collections.abc import Mapping, Sequence

from pydicom import dcmread

from imaging.deidentify import patient_key
from imaging.errors import PARSE_ERRORS
from service.application.actors import Actor, Operation
from service.application.audited import perform
from service.errors import Refused
from service.retention import unlink_removed
from service.store import (
    AuditEvent,
    AuditKind,
    ClockWatch,
    Database,
    FileLost,
    FileStore,
    ForgottenSeries,
    RetentionStore,
    SeriesIdentity,
    Transaction,
    all_series,
    forget_patient_keys,
    forget_series,
    look_at_series,
    series_named,
)
from service.store.objects import StoredContent

PATIENT = ("PatientID", "IssuerOfPatientID", "SpecificCharacterSet")


def find_series(
    database: Database, files: FileStore, *, series_uid: str | None, patient_id: str | None
) -> tuple[list[SeriesIdentity], frozenset[str]]:
    """Return the series with a UID, or those with an image of a patient, and that patient's keys in research projects.

    Every stored image is read: the database has only the patient of a series' first image.

    Raises:
        Refused: no such series or patient is stored.
    """
    with database.reading() as connection:
        if series_uid is not None:
            found, keys = series_named(connection, series_uid), frozenset[str]()
        else:
            found, keys = _of_patient(all_series(connection), files, patient_id or "")
    if not found:
        raise Refused("nothing is stored of it")
    return found, keys


def forget_all(
    database: Database,
    content: StoredContent,
    actor: Actor,
    series: Sequence[SeriesIdentity],
    reason: str,
    *,
    patient_keys: frozenset[str] = frozenset(),
) -> list[ForgottenSeries]:
    """Remove series, all or none, with one audit entry each; return what was removed and what destinations have.

    Raises:
        NotPermitted: the actor is no admin.
        NotAllowed: a job of one is running, or an object of one is being sent.
    """
    why = AuditEvent(
        kind=AuditKind.DELETED, role=actor.entry, actor=actor.name, address=actor.address, detail=reason
    )

    def act(transaction: Transaction) -> list[ForgottenSeries]:
        gone = [forget_series(database, transaction, one, why) for one in series]
        forget_patient_keys(transaction, patient_keys)
        return gone

    gone = perform(database, actor, Operation.FORGET, None, act, detail=reason)
    unlink_removed(RetentionStore(database), content)
    return gone


def would_forget(database: Database, actor: Actor, series: Sequence[SeriesIdentity]) -> list[ForgottenSeries]:
    """Return what `forget` would remove now.

    Raises:
        NotAllowed: as in forget_all().
    """
    return perform(
        database,
        actor,
        Operation.FORGET,
        None,
        lambda transaction: [look_at_series(transaction, one) for one in series],
        detail="dry run",
    )


def accept_clock(database: Database, actor: Actor) -> None:
    """Record that a person confirms the clock.

    Raises:
        NotPermitted: the actor is no admin.
    """
    perform(database, actor, Operation.ACCEPT_CLOCK, None, ClockWatch(database).accept)


def _of_patient(
    stored: Mapping[SeriesIdentity, list[str]], files: FileStore, patient_id: str
) -> tuple[list[SeriesIdentity], frozenset[str]]:
    found: list[SeriesIdentity] = []
    keys: set[str] = set()
    for series, paths in stored.items():
        here = {key for path in paths if (key := _key(files, path, patient_id)) is not None}
        found += [series] if here else []
        keys |= here
    return sorted(found), frozenset(keys)


def _key(files: FileStore, path: str, patient_id: str) -> str | None:
    """Return the patient's key if a stored image is this patient's; None if it is not, or cannot be read."""
    try:
        with files.open(path) as stream:
            header = dcmread(stream, stop_before_pixels=True, specific_tags=list(PATIENT))
    except (*PARSE_ERRORS, FileLost):
        return None
    if str(header.get("PatientID", "")).strip() != patient_id.strip():
        return None
    return patient_key(header)
