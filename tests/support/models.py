"""Specs of models that tests talk to or run without a network."""

from typing import Any

from inference.spec import ModelSpec


def spec_document(
    name: str = "moody", codes: tuple[str, ...] = tuple("ABCDEFGHI"), **changes: Any
) -> dict[str, Any]:
    """A spec.json that is accepted; ``changes`` replace whole top-level entries."""
    return {
        "name": name,
        "version": 1,
        "description": "for tests",
        "structures": [{"code": code} for code in codes],
        "network": {
            "architecture": "compact_unet3d",
            "parameters": {"out_channels": len(codes), "channels": [4, 6, 8, 8]},
        },
        "pipeline": {
            "windows_hu": [[-160.0, 240.0], [-1000.0, 1500.0]],
            "tile_zyx": [16, 16, 16],
            "voxels": {
                "accepted_in_plane_mm": [3.4, 5.5],
                "accepted_slice_mm": [1.9, 3.4],
                "in_plane_mm": 4.0,
                "slice_mm": 2.5,
            },
        },
        "provenance": {
            "data": "none",
            "split": "none",
            "licence": "none",
            "citation": "none",
            "weights_sha256": "0" * 64,
            "steps": 0,
            "training_s": 0.0,
            "validation": "none",
        },
        **changes,
    }


def model_spec(name: str = "moody", codes: tuple[str, ...] = tuple("ABCDEFGHI"), **changes: Any) -> ModelSpec:
    """The same, validated."""
    return ModelSpec.model_validate(spec_document(name, codes, **changes))
