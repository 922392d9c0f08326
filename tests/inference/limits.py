"""Limits of a made-up model with two structures A and B, and structures that keep within them."""

from typing import Any

from imaging.anatomy import Region, StructurePlacement


def structure_document(code: str, **changes: Any) -> dict[str, Any]:
    return {
        "code": code,
        "volume_cc": [10, 50],
        "height_mm": [20, 60],
        "width_mm": [10, 40],
        "depth_mm": [10, 40],
        "across": [-0.5, 0.5],
        "deep": [0.3, 0.8],
        "inside": [0.75, 1],
        "median_hu": [-50, 90],
        "body_cm2": [100, 400],
        "regions": ["neck", "head"],
        **changes,
    }


def limits_document() -> dict[str, Any]:
    return {
        "learned_from": "nobody",
        "regions": ["neck", "head"],
        "least_mm": 50,
        "structures": [structure_document("A"), structure_document("B")],
        "pairs": [
            {
                "first": "A",
                "second": "B",
                "left_mm": [10, 60],
                "back_mm": [-20, 20],
                "head_mm": [-30, 30],
            }
        ],
    }


def placement(x: float = 0.0, y: float = 0.0, z: float = 0.0, **changes: Any) -> StructurePlacement:
    """A structure in the middle of every range, at a place in mm."""
    values: dict[str, Any] = {
        "volume_cc": 25.0,
        "height_mm": 40.0,
        "width_mm": 25.0,
        "depth_mm": 25.0,
        "middle_mm": (x, y, z),
        "top_mm": (x, y, z + 15),
        "bottom_mm": (x, y, z - 15),
        "across": 0.0,
        "deep": 0.5,
        "inside": 1.0,
        "median_hu": 40.0,
        "body_cm2": 200.0,
        "region": Region.NECK,
        "edges": (),
    }
    return StructurePlacement(**(values | changes))
