"""Writes a converted model as a version of the model repository, whole or not at all, and removes versions."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.contract import (
    CONTRACT_FILE,
    ModelContract,
    default_version,
    model_versions,
    set_default_version,
)
from inference.contract.repository import field_faults
from inference.errors import ContractRefused, ImportRefused
from inference.importing.card import CARD_FILE, card
from inference.importing.draft import ImportDraft
from inference.importing.labels import LabelRow, left_right_pairs, structure_entries
from inference.structures import own_structures
from inference.triton_config import CONFIG_FILE, MODEL_ENTRY, pbtxt, triton_config, write_triton_config

_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What only the user knows about a foreign model."""

    name: str
    description: str
    body_region: str
    licence: str
    data: str
    citation: str


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """Yield a temporary folder on the repository's own disk; it is removed in any case."""
    if not repository.is_dir():
        raise ImportRefused(f"triton.model_repository: {repository}: no such folder")
    with tempfile.TemporaryDirectory(dir=repository, prefix=".import-") as folder:
        yield Path(folder)


def next_version(repository: Path, name: str) -> int:
    """Return the number of the next version of a model, 1 for a new one.

    Raises ImportRefused for a folder that is not a model.
    """
    folder = repository / name
    if not folder.exists():
        return 1
    versions = model_versions(folder)
    if not versions:
        raise ImportRefused(f"{folder}: exists and holds no model; choose another name")
    return max(versions) + 1


def build_version(
    draft: ImportDraft, rows: Sequence[LabelRow], answers: Answers, folder: Path, weights: Path
) -> ModelContract:
    """Write contract, model.py and weights into ``folder``, named after its version; raises ImportRefused.

    Nothing outside ``folder`` is touched.
    """
    selects = {label.name: label.selects for label in draft.labels}
    document: dict[str, Any] = {
        "format": 1,
        "name": answers.name,
        "version": int(folder.name),
        "description": answers.description,
        "body_region": answers.body_region,
        "inputs": [{"modality": draft.modality, "intensities": draft.intensities}],
        "structures": structure_entries(rows),
        "left_right_pairs": left_right_pairs(rows),
        "licence": answers.licence,
        "citation": answers.citation,
        "provenance": {
            "data": answers.data,
            "split": "not stated by the import",
            "validation": "none on this node: commission it on your own patients",
        },
        "checksums": {name: sha256(weights / name) for name in draft.files},
        "runtime": {**draft.runtime, "structures": [selects[row.label] for row in rows if row.code]},
    }
    try:
        contract = ModelContract.model_validate(json.loads(json.dumps(document)))
        own_structures(contract)
    except ValidationError as error:
        raise ImportRefused(
            f"the converted model does not make a valid contract: {field_faults(error)}"
        ) from error
    except ContractRefused as error:
        raise ImportRefused(str(error)) from error
    folder.mkdir(parents=True)
    for name in draft.files:
        (weights / name).replace(folder / name)
    write_contract(contract, folder)
    (folder / "model.py").write_text(MODEL_ENTRY, encoding="utf-8")
    return contract


def write_contract(contract: ModelContract, folder: Path) -> None:
    """Write contract.json of a version that is being built."""
    text = json.dumps(contract.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)
    (folder / CONTRACT_FILE).write_text(text + "\n", encoding="utf-8")


def publish(contract: ModelContract, version_folder: Path, repository: Path) -> None:
    """Move a built version into the repository; an existing model keeps its default version."""
    model = repository / contract.name
    if model.exists():
        set_default_version(model, default_version(model))
        version_folder.replace(model / str(contract.version))
        write_triton_config(model)
        return
    text = pbtxt(triton_config({contract.version: contract}))
    (version_folder.parent / CONFIG_FILE).write_text(text, encoding="utf-8")
    version_folder.parent.replace(model)


def write_card(
    contract: ModelContract,
    draft: ImportDraft,
    rows: Sequence[LabelRow],
    remarks: Sequence[str],
    version_folder: Path,
) -> None:
    """Write the card of a version next to its contract."""
    (version_folder / CARD_FILE).write_text(card(contract, draft, rows, remarks), encoding="utf-8")


def remove_version(repository: Path, name: str, version: int) -> None:
    """Remove one version of a model, and the model too if it was the last.

    Raises ImportRefused for the default version while there are others: choose another default first.
    """
    folder = repository / name
    versions = model_versions(folder)
    if version not in versions:
        raise ImportRefused(f"{folder}: no version {version}; there are: {', '.join(map(str, versions))}")
    others = sorted(set(versions) - {version})
    if others and default_version(folder) == version:
        raise ImportRefused(
            f"{name} version {version} is the default; choose another first: contour-node models default {name} "
            f"{others[-1]}"
        )
    with tempfile.TemporaryDirectory(dir=repository, prefix=".removed-") as bin_folder:
        taken = folder / str(version) if others else folder
        taken.replace(Path(bin_folder) / "taken")
        shutil.rmtree(Path(bin_folder) / "taken")
    if others:
        write_triton_config(folder)


def sha256(file: Path) -> str:
    """Return the checksum of a file of any size."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
