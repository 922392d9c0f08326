"""What was measured and found for each structure of a job: written with the job's result, read for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, delete, insert, select

from service.store.tables.structure_schema import structure_result


@dataclass(frozen=True, kw_only=True)
class StructureFinding:
    """A plausibility check that a structure did not pass: what was measured, and what is expected.

    Two numbers in `expected` are a range.
    """

    check: str
    measured: float | str
    expected: tuple[float | str, ...]
    relative_to: str
    is_implausible: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class StructureResult:
    """One structure of a job; it names no patient.

    `code` is the model's, empty for a derived structure; `name` is the name under which it was or would be sent.
    Volume, slices and pieces are those of the mask before an export profile changes it. `mean_probability` is the
    model's inside the structure, None for a derived one. `edges` are the sides of the field that it touches.
    `trust` is the score of `inference.trust`, 0..1; None if the model has no weights for it.
    """

    code: str
    name: str
    is_sent: bool
    volume_cc: float
    slices: int
    pieces: int
    mean_probability: float | None
    edges: tuple[str, ...]
    findings: tuple[StructureFinding, ...]
    trust: float | None


def replace_structure_results(
    connection: Connection, job_id: int, structures: Sequence[StructureResult]
) -> None:
    """Record the job's structures in place of those of an earlier attempt."""
    connection.execute(delete(structure_result).where(structure_result.c.job_id == job_id))
    rows = [
        {
            **asdict(structure),
            "job_id": job_id,
            "position": position,
            "edges": ", ".join(structure.edges),
            "findings": [asdict(finding) for finding in structure.findings],
        }
        for position, structure in enumerate(structures, 1)
    ]
    if rows:
        connection.execute(insert(structure_result), rows)


def read_structure_results(connection: Connection, job_id: int) -> list[StructureResult]:
    """Return the job's structures: those sent in the order of the structure set, then the others."""
    query = (
        select(structure_result)
        .where(structure_result.c.job_id == job_id)
        .order_by(structure_result.c.position)
    )
    found = []
    for row in connection.execute(query).mappings():
        values = {field.name: row[field.name] for field in fields(StructureResult)}
        values["edges"] = tuple(row["edges"].split(", ")) if row["edges"] else ()
        values["findings"] = tuple(
            StructureFinding(**{**finding, "expected": tuple(finding["expected"])})
            for finding in row["findings"]
        )
        found.append(StructureResult(**values))
    return found
