"""Contracts of models that tests talk to or run without a network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.contract import ModelContract

MOODY = Path(__file__).parents[1] / "inference" / "models" / "moody"
HN_CODES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus")


def contract_document(
    name: str = "moody", codes: tuple[str, ...] = tuple("ABCDEFGHI"), **changes: Any
) -> dict[str, Any]:
    """A contract.json that is accepted; ``changes`` replace whole top-level entries."""
    return {
        "format": 1,
        "name": name,
        "version": 1,
        "description": "for tests",
        "body_region": "head_neck",
        "inputs": [{"modality": "CT", "intensities": "HU"}],
        "structures": [{"code": code} for code in codes],
        "licence": "none",
        "citation": "none",
        "provenance": {"data": "none", "split": "none", "validation": "none"},
        "checksums": {"weights.safetensors": "0" * 64},
        "runtime": {
            "kind": "native",
            "networks": {
                "network": {
                    "architecture": "compact_unet3d",
                    "parameters": {"out_channels": len(codes), "channels": [4, 6, 8, 8]},
                }
            },
            "pipeline": {
                "name": "whole_volume_tiles",
                "windows_hu": [[-160.0, 240.0], [-1000.0, 1500.0]],
                "tile_zyx": [16, 16, 16],
                "voxels": {
                    "accepted_in_plane_mm": [3.4, 5.5],
                    "accepted_slice_mm": [1.9, 3.4],
                    "in_plane_mm": 4.0,
                    "slice_mm": 2.5,
                },
            },
        },
        **changes,
    }


def native_runtime(codes: tuple[str, ...] = tuple("ABCDEFGHI"), **pipeline: Any) -> dict[str, Any]:
    """The runtime of such a contract with other values of its pipeline."""
    runtime = contract_document(codes=codes)["runtime"]
    return {**runtime, "pipeline": {**runtime["pipeline"], **pipeline}}


def model_contract(
    name: str = "moody", codes: tuple[str, ...] = tuple("ABCDEFGHI"), **changes: Any
) -> ModelContract:
    """The same, validated."""
    return ModelContract.model_validate(contract_document(name, codes, **changes))


def moody_contract(codes: tuple[str, ...] = tuple("ABCDEFGHI"), **changes: Any) -> ModelContract:
    """The contract of the test model moody, with changes; its own code computes."""
    document = json.loads((MOODY / "1" / "contract.json").read_text())
    return ModelContract.model_validate({**document, "structures": [{"code": c} for c in codes], **changes})


@dataclass(frozen=True)
class OneModel:
    """The contracts of a worker that knows one model in one version."""

    contract: ModelContract

    def version(self, name: str, version: int) -> ModelContract | None:
        known = (name, version) == (self.contract.name, self.contract.version)
        return self.contract if known else None
