"""The link back from research copies: whoever can read these tables can identify a project's patients."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.schema import Table

from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.tables.pseudonym_schema import original_study, project, pseudonym, uid_pair

MOST_IN_A_QUERY = 500


@dataclass(frozen=True, kw_only=True)
class PseudonymLink:
    """The link back from the research copies of one study."""

    patient_key: str
    pseudonym: str
    study_uid: str
    study_attributes: str  # DICOM JSON of patient and study
    uids: Mapping[str, str]  # original by replacement


class PseudonymRepository:
    """Projects, each with its secret and its replaced values."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def secret(self, name: str) -> bytes:
        """Return the secret of a project; a new project gets one that never changes."""
        values = {"name": name, "secret": secrets.token_hex(32), "created_at": self._database.clock()}
        with self._database.writing() as connection:
            connection.execute(self._database.insert(project).values(**values).on_conflict_do_nothing())
            found = connection.execute(select(project.c.secret).where(project.c.name == name)).scalar_one()
        return bytes.fromhex(found)

    def check(self, name: str) -> None:
        """Return if the project exists; raise NotAllowed, naming those that do, if not."""
        with self._database.reading() as connection:
            names = connection.execute(select(project.c.name).order_by(project.c.name)).scalars().all()
        if name not in names:
            raise NotAllowed(f"there is no project {name}; there are: {', '.join(names) or 'none'}")

    def remember(self, name: str, link: PseudonymLink) -> None:
        """Record the link back in one transaction, before a copy is written. Existing links stay."""
        now = self._database.clock()
        with self._database.writing() as connection:
            self._keep(
                connection,
                pseudonym,
                [
                    {
                        "project": name,
                        "patient_key": link.patient_key,
                        "pseudonym": link.pseudonym,
                        "created_at": now,
                    }
                ],
            )
            study = {"project": name, "study_uid": link.study_uid, "attributes": link.study_attributes}
            self._keep(connection, original_study, [study])
            pairs = [
                {"project": name, "replacement": new, "original": old}
                for new, old in sorted(link.uids.items())
            ]
            self._keep(connection, uid_pair, pairs)

    def originals(self, name: str, replacements: Collection[str]) -> dict[str, str]:
        """Return the original UIDs by replacement, of those replacements that the project made."""
        asked, found = sorted(replacements), dict[str, str]()
        with self._database.reading() as connection:
            for start in range(0, len(asked), MOST_IN_A_QUERY):
                rows = connection.execute(
                    select(uid_pair).where(
                        uid_pair.c.project == name,
                        uid_pair.c.replacement.in_(asked[start : start + MOST_IN_A_QUERY]),
                    )
                )
                found.update({row.replacement: row.original for row in rows})
        return found

    def studies(self, name: str, study_uids: Collection[str]) -> dict[str, str]:
        """Return patient and study, as DICOM JSON, by UID of those original studies that the project has."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(original_study).where(
                    original_study.c.project == name, original_study.c.study_uid.in_(sorted(study_uids))
                )
            )
            return {row.study_uid: row.attributes for row in rows}

    def _keep(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            connection.execute(self._database.insert(table).on_conflict_do_nothing(), rows)
