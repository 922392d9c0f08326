"""The verb `models`: the repository's models and versions, which are loaded, and which is the default."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from inference.contract import (
    ModelContract,
    default_version,
    model_versions,
    set_default_version,
)
from inference.contract.conversion import convert
from inference.errors import ContractRefused, ImportRefused, ModelFailed, ModelUnavailable
from inference.importing.package import remove_version
from inference.triton_config import MODEL_ENTRY, write_triton_config
from service.application import Operation, change_models
from service.cli.audit import administrator
from service.cli.calibrate import run_calibrate
from service.cli.importing import run_import
from service.cli.model_test import run_test
from service.cli.output import print_table, say, say_json, warn
from service.cli.train import hand_over
from service.components import opened_store, rule_book, triton_client
from service.config import Settings
from service.errors import Refused, TryAgain

COLUMNS = ("model", "version", "default", "loaded", "structures", "runtime", "body region", "package sha256")


def run(arguments: argparse.Namespace) -> int:
    """Run one act; Refused says which file or model is at fault."""
    acts: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "show": _show,
        "load": _load,
        "unload": _unload,
        "default": _default,
        "config": _config,
        "publish": _publish,
        "convert": _convert,
        "remove": _remove,
        "import": run_import,
        "test": run_test,
        "calibrate": run_calibrate,
    }
    try:
        return acts[arguments.act](arguments)
    except (ContractRefused, ImportRefused, ModelFailed) as reason:
        raise Refused(str(reason)) from reason
    except ModelUnavailable as reason:
        raise TryAgain(str(reason)) from reason


def _list(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    rows: list[dict[str, Any]] = []
    for folder in _folders(arguments):
        default = default_version(folder)
        rows += [
            _row(contract, is_default=version == default, loaded=loaded)
            for version, contract in model_versions(folder).items()
        ]
    if arguments.json:
        say_json(rows)
        return 0
    print_table(COLUMNS, [[_words(row[column]) for column in COLUMNS] for row in rows])
    return 0


def _row(contract: ModelContract, *, is_default: bool, loaded: set[tuple[str, int]] | None) -> dict[str, Any]:
    return {
        "model": contract.name,
        "version": contract.version,
        "default": is_default,
        "loaded": None if loaded is None else (contract.name, contract.version) in loaded,
        "structures": len(contract.structures),
        "runtime": contract.runtime.kind,
        "body region": contract.body_region,
        "package sha256": contract.package_sha256,
    }


def _words(value: object) -> str:
    if value is None:
        return "?"
    return {True: "yes", False: ""}[value] if isinstance(value, bool) else str(value)


def _show(arguments: argparse.Namespace) -> int:
    contract = _contract(arguments)
    say_json(contract.model_dump(mode="json"), indent=2)
    return 0


def _load(arguments: argparse.Namespace) -> int:
    contract = _contract(arguments)
    with triton_client(arguments.settings_tree) as server:
        server.models.make_ready(contract)
    say(f"{contract.name} version {contract.version} is loaded")
    return 0


def _unload(arguments: argparse.Namespace) -> int:
    versions = [arguments.version] if arguments.version else model_versions(_folder(arguments))
    with triton_client(arguments.settings_tree) as server:
        for version in versions:
            server.models.unload(arguments.model, version)
    say(f"{arguments.model} is not loaded; the next job that needs it loads it again")
    return 0


def _default(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    before = default_version(folder)
    what = f"default version of {arguments.model}: {before} -> {arguments.version}"
    with opened_store(arguments.settings_tree) as store:
        set_default = partial(set_default_version, folder, arguments.version)
        change_models(store.database, administrator(), Operation.MODELS_DEFAULT, set_default, what)
    say(f"{what}; queued jobs keep the version they were queued with")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    """Remove versions, but never a model that a rule names or a default version."""
    folder = _folder(arguments)
    versions = [arguments.version] if arguments.version else sorted(model_versions(folder))
    settings = arguments.settings_tree
    with opened_store(settings) as store:
        held = rule_book(settings, store.database).current().settings.rules
    rules = [rule.name for rule in held if rule.model == arguments.model]
    if rules and len(versions) == len(model_versions(folder)):
        raise Refused(f"{arguments.model} is used by the rules {', '.join(rules)}; change them first")
    if not arguments.version:
        set_default_version(folder, versions[-1])
    repository = arguments.settings_tree.triton.model_repository
    with opened_store(arguments.settings_tree) as store:
        for version in versions:
            _forget(arguments, version)
            what = f"{arguments.model} version {version} removed"
            take = partial(remove_version, repository, arguments.model, version)
            change_models(store.database, administrator(), Operation.MODELS_REMOVE, take, what)
            say(f"{what}; jobs that need it will fail and name it")
    return 0


def _forget(arguments: argparse.Namespace, version: int) -> None:
    """Unload a version if a server answers; without a server there is nothing to unload."""
    try:
        with triton_client(arguments.settings_tree) as server:
            server.models.unload(arguments.model, version)
    except (ModelUnavailable, ModelFailed) as reason:
        warn(f"contour-node: not unloaded: {reason}")


def _config(arguments: argparse.Namespace) -> int:
    folders = [_named(arguments, name) for name in arguments.model] or _folders(arguments)
    for folder in folders:
        file = write_triton_config(folder)
        say(f"{file} written from {', '.join(map(str, model_versions(folder)))}")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    """Have training publish into the configured repository; return its exit code."""
    source = ("--openkbp", arguments.openkbp) if arguments.openkbp else ("--data", arguments.data)
    repository = arguments.settings_tree.triton.model_repository
    words = ("publish", arguments.run, *source, "--repository", repository, "--weights", arguments.weights)
    return hand_over([str(word) for word in words])


def _convert(arguments: argparse.Namespace) -> int:
    contract = convert(arguments.folder, arguments.body_region)
    (arguments.folder / str(contract.version) / "model.py").write_text(MODEL_ENTRY, encoding="utf-8")
    write_triton_config(arguments.folder)
    say(f"{contract.name} version {contract.version}: contract.json, model.py and config.pbtxt written")
    return 0


def _loaded(arguments: argparse.Namespace) -> set[tuple[str, int]] | None:
    """Return the versions that the server has loaded; None, with a line on standard error, if it does not answer."""
    try:
        with triton_client(arguments.settings_tree) as server:
            return {(one.name, one.version) for one in server.models.loaded()}
    except (ModelUnavailable, ModelFailed) as reason:
        warn(f"contour-node: {reason}")
        return None


def _contract(arguments: argparse.Namespace) -> ModelContract:
    folder = _folder(arguments)
    version = arguments.version or default_version(folder)
    versions = model_versions(folder)
    if version not in versions:
        raise Refused(f"{folder}: no version {version}; there are: {', '.join(map(str, versions)) or 'none'}")
    return versions[version]


def _folder(arguments: argparse.Namespace) -> Path:
    return _named(arguments, arguments.model)


def _named(arguments: argparse.Namespace, name: str) -> Path:
    found = {folder.name: folder for folder in _folders(arguments)}
    if name not in found:
        raise Refused(f"no model {name!r} in the repository; there are: {', '.join(found) or 'none'}")
    return found[name]


def _folders(arguments: argparse.Namespace) -> list[Path]:
    settings: Settings = arguments.settings_tree
    repository = settings.triton.model_repository
    if not repository.is_dir():
        raise Refused(f"triton.model_repository: {repository}: no such folder")
    return [folder for folder in sorted(repository.iterdir()) if folder.is_dir() and model_versions(folder)]
