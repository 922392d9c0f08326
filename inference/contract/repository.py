"""The contracts of a Triton model repository: one folder a model, one folder a version with its contract.json."""

import json
from pathlib import Path

from pydantic import ValidationError

from inference.contract.model import ModelContract
from inference.errors import ContractRefused

CONTRACT_FILE = "contract.json"
_OLD_FILE = "spec.json"


def load_contract(folder: Path) -> ModelContract:
    """Read the contract in one version's folder, ``<repository>/<model>/<version>``.

    Raises ContractRefused with the file and, where one is at fault, the field.
    """
    file = folder / CONTRACT_FILE
    try:
        contract = ModelContract.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractRefused(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        raise ContractRefused(f"{file}: {_fields(error)}") from error
    except ValueError as error:
        raise ContractRefused(f"{file}: no valid JSON: {error}") from error
    if contract.name != folder.parent.name:
        raise ContractRefused(
            f"{file}: name is {contract.name!r}, but the model's folder is {folder.parent.name!r}"
        )
    if str(contract.version) != folder.name:
        raise ContractRefused(
            f"{file}: version is {contract.version}, but the version's folder is {folder.name!r}"
        )
    return contract


def model_versions(model_folder: Path) -> dict[int, ModelContract]:
    """Read the contracts of all versions of one model, lowest version first.

    Raises ContractRefused, also for a folder with the format that contracts replaced.
    """
    if (model_folder / _OLD_FILE).is_file():
        raise ContractRefused(
            f"{model_folder / _OLD_FILE}: this format was replaced by {CONTRACT_FILE} in the version's folder; "
            f"run `contour-node models convert {model_folder}`"
        )
    folders = sorted(
        (file.parent for file in model_folder.glob(f"*/{CONTRACT_FILE}")),
        key=lambda folder: (not folder.name.isdecimal(), folder.name.zfill(12)),
    )
    contracts = [load_contract(folder) for folder in folders]
    return {contract.version: contract for contract in contracts}


def load_contracts(model_repository: Path) -> dict[str, ModelContract]:
    """Read the newest version's contract of every contouring model, by name.

    Folders without a contract, such as the self-test's, are not contouring models. Raises ContractRefused where the
    repository is missing or one of its contracts is wrong.
    """
    if not model_repository.is_dir():
        raise ContractRefused(f"{model_repository}: no such folder")
    found = {folder.name: model_versions(folder) for folder in sorted(model_repository.iterdir())}
    return {name: versions[max(versions)] for name, versions in found.items() if versions}


def _fields(error: ValidationError) -> str:
    """Each fault as ``field: reason``, with the JSON path of the field."""
    return "; ".join(
        f"{'.'.join(str(step) for step in fault['loc']) or 'the whole'}: {fault['msg']}"
        for fault in error.errors(include_url=False)
    )
