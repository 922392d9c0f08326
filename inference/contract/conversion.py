"""Converts the format that preceded contracts (spec.json in the model's folder) to the contract of its version."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imaging.atomic_files import write_atomically
from inference.contract.model import ModelContract
from inference.contract.repository import CONTRACT_FILE, field_faults
from inference.errors import ContractRefused

OLD_FILE = "spec.json"


def convert(model_folder: Path, body_region: str) -> ModelContract:
    """Write contract.json for the version of a folder's spec.json, and remove spec.json.

    The older format does not state the body region. Raises ContractRefused, and changes nothing, where the file is
    unreadable or lacks something.
    """
    file = model_folder / OLD_FILE
    try:
        spec = json.loads(file.read_text(encoding="utf-8"))
        contract = ModelContract.model_validate(_contract(spec, body_region))
    except OSError as error:
        raise ContractRefused(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        raise ContractRefused(f"{file}: {field_faults(error)}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ContractRefused(f"{file}: not a spec.json: {error}") from error
    except KeyError as error:
        raise ContractRefused(f"{file}: lacks {error}") from error
    version = model_folder / str(contract.version)
    if contract.name != model_folder.name or not version.is_dir():
        raise ContractRefused(
            f"{file}: describes {contract.name} version {contract.version}, for which there is no folder {version}"
        )
    text = json.dumps(contract.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)
    write_atomically(version / CONTRACT_FILE, text + "\n")
    file.unlink()
    return contract


def _contract(spec: dict[str, Any], body_region: str) -> dict[str, Any]:
    pipeline, provenance = dict(spec["pipeline"]), dict(spec["provenance"])
    return {
        "format": 1,
        "name": spec["name"],
        "version": spec["version"],
        "description": spec["description"],
        "body_region": body_region,
        "inputs": [{"modality": "CT", "intensities": "HU"}],
        "structures": spec["structures"],
        "left_right_pairs": pipeline.pop("mirrored_pairs", []),
        "licence": provenance.pop("licence"),
        "citation": provenance.pop("citation"),
        "checksums": {"weights.safetensors": provenance.pop("weights_sha256")},
        "provenance": provenance,
        "runtime": {
            "kind": "native",
            "networks": {"network": spec["network"]},
            "pipeline": {"name": "whole_volume_tiles", **pipeline},
        },
    }
