"""A prepared dataset: one folder per case, read patch by patch from disk."""

import json
from collections.abc import Iterable
from pathlib import Path
from shutil import rmtree

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from imaging.atomic_files import write_atomically
from training.cases import Case, Spacing, Subset
from training.faults import faults_of
from training.split import load_split

DATASET_FILE = "dataset.json"
_CASE_FILE = "case.json"


class DatasetRefused(Exception):
    """A folder that is not a prepared dataset, or a damaged one; the message names the file."""


class CaseRecord(BaseModel):
    """A case's description next to its arrays: case.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient: str
    spacing_zyx_mm: Spacing
    shape_zyx: tuple[int, int, int]
    drawn: dict[str, bool]
    volume_cc: dict[str, float]
    source_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")  # of the files that it was made from
    findings: tuple[tuple[str, str, str], ...] = ()  # structure, kind and words, from when it was made
    synthetic: bool = False


class DatasetIndex(BaseModel):
    """A dataset's content: dataset.json. Cases are listed by name; a patient may have several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    structures: tuple[str, ...] = Field(min_length=1)
    cases: dict[str, str]  # the case's patient


class Dataset:
    """A CaseSource over a prepared folder. Arrays are memory maps: only what is used is read."""

    def __init__(self, folder: Path) -> None:
        """Read the index and the split. Raises DatasetRefused, SplitRefused."""
        file = folder / DATASET_FILE
        try:
            self.index = DatasetIndex.model_validate_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise DatasetRefused(
                f"{file}: {error.strerror}. Make it with `contour-node train prepare SOURCE --out {folder}`."
            ) from error
        except ValueError as error:
            raise DatasetRefused(
                f"{file}: {faults_of(error)}. Run `contour-node train prepare` again."
            ) from error
        split = load_split(folder)
        if split is None:
            raise DatasetRefused(f"{folder} has no split.json: without it nothing may be trained on")
        self.folder, self.split = folder, split
        unplaced = sorted(set(self.index.cases.values()) - split.patients.keys())
        if unplaced:
            raise DatasetRefused(
                f"{folder}: split.json does not place the patients {', '.join(unplaced[:5])}"
            )

    @property
    def structures(self) -> tuple[str, ...]:
        """The structure codes in the order of bits."""
        return self.index.structures

    def names(self, subset: Subset) -> tuple[str, ...]:
        """Return the cases of a subset's patients, by name."""
        return tuple(
            name
            for name, patient in sorted(self.index.cases.items())
            if self.split.patients[patient] is subset
        )

    def case(self, name: str) -> Case:
        """Map one case; DatasetRefused where its files are damaged or absent."""
        folder = self.folder / "cases" / name
        try:
            record = load_record(folder)
            with np.load(folder / "places.npz") as places:
                found = tuple(places[code] for code in self.structures)
            return Case(
                name=name,
                subset=self.split.patients[record.patient],
                hu_zyx=np.load(folder / "hu.npy", mmap_mode="r"),
                planes=np.load(folder / "planes.npy", mmap_mode="r"),
                drawn=np.array([record.drawn[code] for code in self.structures]),
                places=found,
                spacing_zyx_mm=record.spacing_zyx_mm,
                synthetic=record.synthetic,
            )
        except (OSError, ValueError, KeyError) as error:
            raise DatasetRefused(
                f"{folder}: {faults_of(error)}. Remove the folder and run prepare again."
            ) from error


def load_record(folder: Path) -> CaseRecord:
    """Read a case's case.json; OSError, ValidationError."""
    return CaseRecord.model_validate_json((folder / _CASE_FILE).read_text(encoding="utf-8"))


def write_case(case: Case, record: CaseRecord, structures: tuple[str, ...], dataset: Path) -> Path:
    """Write a case's folder, under its name only once it is complete; return the folder."""
    final = dataset / "cases" / case.name
    part = final.with_name(f".{case.name}.part")
    rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    np.save(part / "hu.npy", case.hu_zyx)
    np.save(part / "planes.npy", case.planes)
    np.savez(part / "places.npz", **dict(zip(structures, case.places, strict=True)))  # type: ignore[arg-type] # arrays by name
    write_record(record, part)
    rmtree(final, ignore_errors=True)
    part.rename(final)
    return final


def write_record(record: CaseRecord, folder: Path) -> None:
    """Write a case's case.json, which is replaced as a whole."""
    write_atomically(folder / _CASE_FILE, record.model_dump_json(indent=1) + "\n")


def write_index(structures: tuple[str, ...], cases: Iterable[tuple[str, str]], dataset: Path) -> None:
    """Write dataset.json from (case, patient) pairs: the last step of a preparation."""
    index = DatasetIndex(structures=structures, cases=dict(cases))
    write_atomically(dataset / DATASET_FILE, json.dumps(index.model_dump(mode="json"), indent=1) + "\n")
