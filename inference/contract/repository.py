"""The contracts of a Triton model repository: one folder per model, in it one per version with a contract.json."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from typing_extensions import override

from inference.contract.model import ModelContract
from inference.errors import ContractRefused

CONTRACT_FILE = "contract.json"
_DEFAULT_FILE = "default_version"
_OLD_FILE = "spec.json"

log = logging.getLogger(__name__)


def load_contract(folder: Path) -> ModelContract:
    """Read the contract in one version's folder, ``<repository>/<model>/<version>``.

    Raises ContractRefused, which names the file and, if one is at fault, the field.
    """
    file = folder / CONTRACT_FILE
    try:
        contract = ModelContract.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractRefused(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        raise ContractRefused(f"{file}: {field_faults(error)}") from error
    except ValueError as error:
        raise ContractRefused(f"{file}: not valid JSON: {error}") from error
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

    Raises ContractRefused, also for a folder in the format that contracts replaced.
    """
    if (model_folder / _OLD_FILE).is_file():
        raise ContractRefused(
            f"{model_folder / _OLD_FILE}: this format was replaced by {CONTRACT_FILE} in the version's folder; "
            f"run `contour-node models convert {model_folder} --body-region REGION`"
        )
    folders = sorted(
        (file.parent for file in model_folder.glob(f"[!.]*/{CONTRACT_FILE}")),
        key=lambda folder: (not folder.name.isdecimal(), folder.name.zfill(12)),
    )
    contracts = [load_contract(folder) for folder in folders]
    return {contract.version: contract for contract in contracts}


def load_contracts(model_repository: Path) -> dict[str, ModelContract]:
    """Read the default version's contract of every contouring model, by name.

    Folders without a contract, such as the self-test's, are not contouring models. Raises ContractRefused if the
    repository is missing or one of its contracts is invalid.
    """
    if not model_repository.is_dir():
        raise ContractRefused(f"{model_repository}: no such folder")
    found = {folder.name: (folder, model_versions(folder)) for folder in sorted(model_repository.iterdir())}
    return {
        name: versions[_default(folder, versions)] for name, (folder, versions) in found.items() if versions
    }


def default_version(model_folder: Path) -> int:
    """Return the version that new jobs use: the one chosen by ``set_default_version``, else the newest.

    Raises ContractRefused where the folder has no version, or not the chosen one.
    """
    versions = model_versions(model_folder)
    if not versions:
        raise ContractRefused(f"{model_folder}: no model version with a {CONTRACT_FILE}")
    return _default(model_folder, versions)


def set_default_version(model_folder: Path, version: int) -> None:
    """Choose the version that new jobs use; existing jobs keep theirs. Raises ContractRefused where it is absent."""
    versions = model_versions(model_folder)
    if version not in versions:
        raise ContractRefused(
            f"{model_folder}: no version {version}; there are: {', '.join(map(str, versions)) or 'none'}"
        )
    from imaging.atomic_files import write_atomically  # not at the top: Triton's image has `inference` alone

    write_atomically(model_folder / _DEFAULT_FILE, f"{version}\n")


def _default(model_folder: Path, versions: Mapping[int, ModelContract]) -> int:
    file = model_folder / _DEFAULT_FILE
    if not file.exists():
        return max(versions)
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    if not text.isdecimal() or int(text) not in versions:
        raise ContractRefused(
            f"{file}: {text!r} is not one of the versions {', '.join(map(str, versions))}; choose one with "
            f"`contour-node models default {model_folder.name} VERSION`"
        )
    return int(text)


class ModelLibrary(Mapping[str, ModelContract]):
    """The default contract of every model by name, read again when a file of the repository changes.

    A change that cannot be read is logged, and the earlier contracts stay in use: each answer's package is compared
    with them.
    """

    def __init__(self, model_repository: Path) -> None:
        """Read the repository; raises ContractRefused like ``load_contracts``."""
        self._repository = model_repository
        self._stamp = self._stamped()
        self._contracts = load_contracts(model_repository)

    def version(self, name: str, version: int) -> ModelContract | None:
        """Return the contract of one version, default or not; None where the repository has none that can be read."""
        default = self.get(name)
        if default is not None and default.version == version:
            return default
        folder = self._repository / name / str(version)
        if not (folder / CONTRACT_FILE).is_file():
            return None
        try:
            return load_contract(folder)
        except ContractRefused as reason:
            log.warning("%s", reason)
            return None

    @override
    def __getitem__(self, name: str) -> ModelContract:
        return self._current()[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    @override
    def __len__(self) -> int:
        return len(self._current())

    def _current(self) -> Mapping[str, ModelContract]:
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._contracts = load_contracts(self._repository)
            except ContractRefused as reason:
                log.error("the model repository changed and cannot be read: %s", reason)  # noqa: TRY400
        return self._contracts

    def _stamped(self) -> tuple[tuple[str, int, int], ...]:
        files = [
            *self._repository.glob(f"*/*/{CONTRACT_FILE}"),
            *self._repository.glob(f"*/{_DEFAULT_FILE}"),
        ]
        stats = [(str(file), file.stat()) for file in sorted(files) if file.exists()]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def field_faults(error: ValidationError) -> str:
    """List each fault as ``field: reason``, with the JSON path of the field."""
    return "; ".join(
        f"{'.'.join(str(step) for step in fault['loc']) or 'the whole'}: {fault['msg']}"
        for fault in error.errors(include_url=False)
    )
