"""Every limit of a contract met from both sides: the last value that passes, and the first that does not."""

import math
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from inference.contract import values
from inference.contract.bundle import (
    BundleNetwork,
    BundleRuntime,
    CropForeground,
    Orientation,
    ScalePercentiles,
    SlidingWindow,
)
from inference.contract.model import ConceptCode, ModelStructure, Provenance, StructureDefinition
from inference.contract.nnunet import NnunetPart, NnunetRuntime, TotalSegmentatorSteps
from inference.contract.pipelines import SliceStacks, Stratified, VoxelRange, WholeVolumeTiles
from inference.contract.plausibility import PairLimits, Plausibility
from inference.contract.trust import FEATURES, TrustWeights
from tests.inference.limits import limits_document
from tests.support.models import contract_document, model_contract, native_runtime

OVER_0, UNDER_1 = math.ulp(0.0), math.nextafter(1.0, 0.0)
VOXELS: dict[str, Any] = native_runtime()["pipeline"]["voxels"]
TILES: dict[str, Any] = native_runtime()["pipeline"]
CONCEPT = {"value": "1", "scheme": "SCT", "meaning": "x"}
STACKS = {
    "name": "slice_stacks",
    "frame": {"kind": "resized_slice", "size_yx": [64, 64]},
    "accepted_slice_mm": [1.0, 5.0],
    "slice_mm": 3.0,
}
STRATIFIED = {"name": "stratified", "tile_zyx": [16, 16, 16], "voxels": VOXELS, "anchors": ["A"]}
PART: dict[str, Any] = {
    "architecture": "plain_conv_unet",
    "parameters": {},
    "folds": ["fold_0.safetensors"],
    "patch": [8, 8, 8],
    "spacing_mm": [1.0, 1.0, 1.0],
    "normalisation": {"scheme": "NoNormalization"},
    "image": {"order": 3},
    "logits": {"order": 1},
    "heads": [0, 1],
}
NNUNET: dict[str, Any] = {"kind": "nnunet", "parts": [PART], "structures": [{"values": [1]}], "axes": "LPS"}
NETWORK = {"form": "onnx", "file": "network.onnx", "channels": 3}
BUNDLE: dict[str, Any] = {"kind": "bundle", "network": NETWORK, "structures": [{"values": [1]}]}
PERCENTILES = {"kind": "scale_percentiles", "lower": 1.0, "upper": 99.0, "b_min": 0.0, "b_max": 1.0}
PROVENANCE = contract_document()["provenance"]
TRUST: dict[str, Any] = {
    "learned_from": "nobody",
    "good_dice": 0.8,
    "intercept": 0.0,
    **{field: dict.fromkeys(FEATURES, 1.0) for field in ("means", "scales", "weights")},
    "usual_dice": {"A": 0.9},
}
PAIR = limits_document()["pairs"][0]

LIMITS: list[tuple[type[BaseModel], dict[str, Any], str, Any, Any]] = [
    (ModelStructure, {"code": "A"}, "threshold", OVER_0, 0.0),
    (ModelStructure, {"code": "A"}, "threshold", UNDER_1, 1.0),
    (ModelStructure, {"code": "A"}, "smallest_piece_cc", 0.0, -OVER_0),
    (StructureDefinition, {"colour_rgb": [0, 0, 0]}, "name", "x" * 16, "x" * 17),
    (StructureDefinition, {"colour_rgb": [0, 0, 0]}, "name", "x", ""),
    (StructureDefinition, {"name": "x"}, "colour_rgb", [255, 0, 255], [255, 0, 256]),
    (StructureDefinition, {"name": "x"}, "colour_rgb", [0, 0, 0], [-1, 0, 0]),
    (ConceptCode, CONCEPT, "value", "1" * 16, "1" * 17),
    (ConceptCode, CONCEPT, "value", "1", ""),
    (ConceptCode, CONCEPT, "meaning", "x" * 64, "x" * 65),
    (ConceptCode, CONCEPT, "meaning", "x", ""),
    (Provenance, PROVENANCE, "steps", 0, -1),
    (Provenance, PROVENANCE, "training_s", 0.0, -OVER_0),
    (Provenance, PROVENANCE, "validation_mean_dice", 1.0, 1.0 + 1e-9),
    (VoxelRange, VOXELS, "in_plane_mm", 3.4, 3.399),
    (VoxelRange, VOXELS, "in_plane_mm", 5.5, 5.501),
    (VoxelRange, VOXELS, "slice_mm", 1.9, 1.899),
    (VoxelRange, VOXELS, "slice_mm", 3.4, 3.401),
    (WholeVolumeTiles, TILES, "overlap", 0.0, -OVER_0),
    (WholeVolumeTiles, TILES, "overlap", math.nextafter(0.9, 0.0), 0.9),
    (WholeVolumeTiles, TILES, "windows_hu", [[0.0, 0.5]], [[0.5, 0.5]]),
    (WholeVolumeTiles, TILES, "body_margin_mm", 0.0, -OVER_0),
    (SliceStacks, STACKS, "sd", [OVER_0], [0.0]),
    (SliceStacks, STACKS, "sd", [1.0], [1.0, 1.0]),
    (SliceStacks, STACKS, "slices", 5, 7),
    (SliceStacks, STACKS, "window_hu", [0.0, 0.5], [0.5, 0.5]),
    (Stratified, STRATIFIED, "window_hu", [0.0, 0.5], [0.5, 0.5]),
    (Stratified, STRATIFIED, "anchors", ["A"], []),
    (Stratified, STRATIFIED, "mid_level", ["B"], ["A"]),
    (Stratified, STRATIFIED, "overlap", 0.0, -OVER_0),
    (Stratified, STRATIFIED, "overlap", math.nextafter(0.9, 0.0), 0.9),
    (Stratified, STRATIFIED, "voi_factor", 1.0, UNDER_1),
    (Stratified, STRATIFIED, "voi_factor", 10.0, 10.001),
    (Stratified, STRATIFIED, "body_margin_mm", 0.0, -OVER_0),
    (NnunetPart, PART, "transpose", [2, 0, 1], [0, 1, 1]),
    (NnunetPart, PART, "mirror_axes", [0, 1, 2], [0, 1, 1]),
    (NnunetPart, {**PART, "patch": [8, 8], "spacing_mm": [1.0, 1.0]}, "mirror_axes", [0, 1], [0, 2]),
    (NnunetPart, PART, "step", 1.0, 1.0 + 1e-9),
    (NnunetPart, PART, "step", OVER_0, 0.0),
    (NnunetPart, {**PART, "regions": True}, "heads", [1], []),
    (NnunetRuntime, NNUNET, "structures", [{"values": [1]}], [{"values": [0]}]),
    (NnunetRuntime, NNUNET, "structures", [{"values": [1], "part": 0}], [{"values": [1], "part": 1}]),
    (NnunetRuntime, NNUNET, "structures", [{"values": [1]}], [{"values": [1, 2]}]),
    (TotalSegmentatorSteps, {}, "split_above_voxels", 1, 0),
    (SlidingWindow, {"roi": [8, 8, 8]}, "overlap", [0.0, 0.5, UNDER_1], [0.0, 0.5, 1.0]),
    (SlidingWindow, {"roi": [8, 8, 8]}, "overlap", [0.0, 0.5, 0.5], [-OVER_0, 0.5, 0.5]),
    (SlidingWindow, {}, "roi", [0, -1, 1024], [8, 8, 1025]),
    (SlidingWindow, {"roi": [8, 8, 8]}, "sigma_scale", OVER_0, 0.0),
    (SlidingWindow, {"roi": [8, 8, 8]}, "batch", 1, 0),
    (SlidingWindow, {"roi": [8, 8, 8]}, "batch", 64, 65),
    (Orientation, {"kind": "orientation"}, "axes", "LPI", "LRS"),
    (Orientation, {"kind": "orientation"}, "axes", "SAR", "SAI"),
    (ScalePercentiles, PERCENTILES, "lower", 0.0, -OVER_0),
    (ScalePercentiles, PERCENTILES, "lower", 100.0, 100.001),
    (ScalePercentiles, PERCENTILES, "upper", 0.0, -OVER_0),
    (ScalePercentiles, PERCENTILES, "upper", 100.0, 100.001),
    (CropForeground, {"kind": "crop_foreground"}, "margin", 0, -1),
    (CropForeground, {"kind": "crop_foreground"}, "margin", 512, 513),
    (BundleNetwork, NETWORK, "channels", 1024, 1025),
    (BundleRuntime, BUNDLE, "structures", [{"values": [1, 2]}], [{"values": [1, 3]}]),
    (BundleRuntime, BUNDLE, "structures", [{"values": [1]}], [{"values": [0]}]),  # 0 is the background
    (BundleRuntime, {**BUNDLE, "discrete": "threshold"}, "structures", [{"values": [0]}], [{"values": [-1]}]),
    (BundleRuntime, BUNDLE, "structures", [{"values": [1]}], []),
    (TrustWeights, TRUST, "good_dice", OVER_0, 0.0),
    (TrustWeights, TRUST, "good_dice", UNDER_1, 1.0),
    *(
        (TrustWeights, TRUST, field, dict.fromkeys(FEATURES, 1.0), dict.fromkeys(FEATURES[1:], 1.0))
        for field in ("means", "scales", "weights")
    ),
    (TrustWeights, TRUST, "scales", dict.fromkeys(FEATURES, OVER_0), {**TRUST["scales"], "cut": 0.0}),
    (Plausibility, limits_document(), "least_mm", OVER_0, 0.0),
    (PairLimits, PAIR, "head_mm", [3.0, 3.0], [3.0, 2.9]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "rest", "field", "last", "beyond"), LIMITS, ids=lambda one: getattr(one, "__name__", None)
)
def test_the_last_value_passes_and_the_next_does_not(
    part: type[BaseModel], rest: dict[str, Any], field: str, last: Any, beyond: Any
) -> None:
    part.model_validate({**rest, field: last})
    with pytest.raises(ValidationError):
        part.model_validate({**rest, field: beyond})


@pytest.mark.parametrize(
    ("kind", "last", "beyond"),
    [
        (values.Fraction, 0.0, -OVER_0),
        (values.Fraction, 1.0, 1.0 + 1e-9),
        (values.Millimetres, OVER_0, 0.0),
        (values.Millimetres, 50.0, 50.001),
        (values.Voxels, 1, 0),
        (values.Voxels, 1024, 1025),
        (values.StructureCode, "A" * 64, "A" * 65),
        (values.StructureCode, "A", ""),
        (values.PackageFile, "a" * 64, "a" * 65),
        (values.WeightsFile, "a" * 52 + ".safetensors", "a" * 53 + ".safetensors"),
    ],
)
def test_shared_values_have_their_limits(kind: Any, last: Any, beyond: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    adapter.validate_python(last)
    with pytest.raises(ValidationError):
        adapter.validate_python(beyond)


@pytest.mark.parametrize(
    ("patch", "transpose", "axes", "expected"),
    [
        ([8, 8, 8], [0, 1, 2], [2], True),
        ([8, 8, 8], [0, 1, 2], [0, 1], False),
        ([8, 8, 8], [2, 0, 1], [0], True),  # plans that put x first
        ([8, 8, 8], [2, 0, 1], [1, 2], False),
        ([8, 8], [0, 1, 2], [1], True),  # a 2-D patch lies in the last two axes
        ([8, 8], [0, 1, 2], [0], False),
    ],
)
def test_a_pass_mirrored_along_x_is_known(
    patch: list[int], transpose: list[int], axes: list[int], expected: bool
) -> None:
    document = {**PART, "patch": patch, "spacing_mm": [1.0] * len(patch), "transpose": transpose}
    part = NnunetPart.model_validate({**document, "mirror_axes": axes})
    assert part.mirrors_left_and_right is expected


def test_a_contract_says_what_it_takes() -> None:
    both = model_contract(
        inputs=[{"modality": "CT", "intensities": "HU"}, {"modality": "MR", "intensities": "normalised"}]
    )
    assert (both.takes("CT"), both.takes("MR"), both.takes("CBCT")) == (True, True, False)
    assert (model_contract().in_hounsfield_units, both.in_hounsfield_units) == (True, False)
