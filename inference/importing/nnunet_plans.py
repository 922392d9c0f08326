"""nnU-Net's plans.json and dataset.json, read as data: one configuration becomes the fields of a `NnunetPart`."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.errors import ImportRefused

ARCHITECTURES = {"PlainConvUNet": "plain_conv_unet", "ResidualEncoderUNet": "residual_encoder_unet"}
NORMALISATIONS = (
    "CTNormalization",
    "ZScoreNormalization",
    "RescaleTo01Normalization",
    "NoNormalization",
)
_RESAMPLING = "resample_data_or_seg_to_shape"
_RESAMPLING_NUMBERS = {"is_seg", "order", "order_z", "force_separate_z"}
_READERS = {"SimpleITKIO": "LPS", "NibabelIOWithReorient": "RAS"}
_NETWORK_NUMBERS = {
    "n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage",
    "n_conv_per_stage_decoder", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin",
    "nonlin_kwargs", "deep_supervision", "nonlin_first",
}  # fmt: skip
_MAX_FEATURES = 4096


def configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration merged with everything that it inherits.

    Raises ImportRefused for an unknown one, circular inheritance, or a cascade.
    """
    configurations = plans.get("configurations")
    if not isinstance(configurations, dict) or name not in configurations:
        known = ", ".join(configurations) if isinstance(configurations, dict) else "none"
        raise ImportRefused(f"plans.json has no configuration {name!r}; there are: {known}")
    chain = [name]
    while (parent := configurations[chain[-1]].get("inherits_from")) is not None:
        if parent in chain or parent not in configurations:
            raise ImportRefused(
                f"plans.json: {chain[-1]} inherits from {parent!r}, which is unknown or a circle"
            )
        chain.append(parent)
    merged: dict[str, Any] = {}
    for step in reversed(chain):
        merged |= configurations[step]
    if merged.get("previous_stage"):
        raise ImportRefused(
            f"configuration {name} is the second stage of a cascade (previous_stage {merged['previous_stage']}); "
            "cascades are not supported: import the same training's 3d_fullres, or its first stage, with --configuration"
        )
    return merged


def reader_axes(plans: Mapping[str, Any]) -> str | None:
    """Return LPS or RAS, by the image reader that the model was trained with; None where that does not determine it."""
    return _READERS.get(str(plans.get("image_reader_writer")))


def part_numbers(plans: Mapping[str, Any], name: str, inputs: int, heads: int) -> dict[str, Any]:
    """Return the fields of a `NnunetPart` that plans.json states; ImportRefused for anything unknown here."""
    chosen = configuration(plans, name)
    _expect("label_manager", plans.get("label_manager", "LabelManager"), ("LabelManager",))
    _expect("preprocessor_name", chosen.get("preprocessor_name"), ("DefaultPreprocessor",))
    try:
        architecture, parameters = network(chosen, inputs, heads)
        numbers = {
            "architecture": architecture,
            "parameters": parameters,
            "patch": chosen["patch_size"],
            "spacing_mm": chosen["spacing"],
            "transpose": plans["transpose_forward"],
            "normalisation": _normalisation(plans, chosen),
            "image": _resampling(chosen, "resampling_fn_data"),
            "logits": _resampling(chosen, "resampling_fn_probabilities"),
        }
    except KeyError as error:
        raise ImportRefused(f"plans.json: configuration {name} lacks {error}") from error
    return numbers


def network(chosen: Mapping[str, Any], inputs: int, heads: int) -> tuple[str, dict[str, Any]]:
    """Return the architecture's name in our catalogue and its parameters, from plans of either format."""
    stated = chosen["architecture"] if "architecture" in chosen else _old_architecture(chosen)
    path = str(stated["network_class_name"])
    name = path.rpartition(".")[2]
    if name not in ARCHITECTURES or path.partition(".")[0] != "dynamic_network_architectures":
        raise ImportRefused(
            f"plans.json names the network {path!r}, which needs code of its own; known are "
            f"{', '.join(ARCHITECTURES)} of dynamic_network_architectures. Train with one of nnU-Net's own planners, "
            "or export the network as ONNX or TorchScript and import that"
        )
    numbers = stated["arch_kwargs"]
    unknown = sorted(set(numbers) - _NETWORK_NUMBERS)
    if unknown:
        raise ImportRefused(
            f"plans.json: the network has numbers that are not known here: {', '.join(unknown)}"
        )
    stages, dimensions = int(numbers["n_stages"]), len(chosen["patch_size"])
    layers = _layers(numbers, dimensions)
    count = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    return ARCHITECTURES[name], {
        "in_channels": inputs,
        "out_channels": heads,
        "features": _features(numbers["features_per_stage"], stages),
        "kernels": [_sizes(size, dimensions) for size in _each(numbers["kernel_sizes"], stages)],
        "strides": [_sizes(size, dimensions) for size in _each(numbers["strides"], stages)],
        "blocks": _each(numbers[count], stages),
        "decoder_blocks": _each(numbers["n_conv_per_stage_decoder"], stages - 1),
        "bias": bool(numbers.get("conv_bias", False)),
        "activation_first": bool(numbers.get("nonlin_first", False)),
        **layers,
    }


def _old_architecture(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the architecture that plans from before nnU-Net 2.4 imply by other fields."""
    stages = len(chosen["n_conv_per_stage_encoder"])
    dimensions = len(chosen["patch_size"])
    name = str(chosen["UNet_class_name"])
    count = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [
                min(int(chosen["UNet_base_num_features"]) * 2**i, int(chosen["unet_max_num_features"]))
                for i in range(stages)
            ],
            "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
            "kernel_sizes": chosen["conv_kernel_sizes"],
            "strides": chosen["pool_op_kernel_sizes"],
            count: chosen["n_conv_per_stage_encoder"],
            "n_conv_per_stage_decoder": chosen["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
    }


def _layers(numbers: Mapping[str, Any], dimensions: int) -> dict[str, Any]:
    """Return the layers' parameters; their names are compared by the last word and never imported."""
    _expect_layer(numbers, "conv_op", (f"Conv{dimensions}d",))
    _expect_layer(numbers, "dropout_op", ("None", f"Dropout{dimensions}d"))
    norm = _expect_layer(
        numbers, "norm_op", (f"InstanceNorm{dimensions}d", f"BatchNorm{dimensions}d", "None")
    )
    activation = _expect_layer(numbers, "nonlin", ("LeakyReLU", "ReLU"))
    settings = numbers.get("norm_op_kwargs") or {}
    unknown = set(settings) - {"eps", "affine", "momentum"} | set(numbers.get("nonlin_kwargs") or {}) - {
        "inplace",
        "negative_slope",
    }
    if unknown:
        raise ImportRefused(f"plans.json: settings of layers that are not known here: {sorted(unknown)}")
    kind = "none" if norm == "None" else ("batch" if norm.startswith("Batch") else "instance")
    slope = float((numbers.get("nonlin_kwargs") or {}).get("negative_slope", 0.01))
    return {
        "norm": kind,
        "norm_eps": float(settings.get("eps", 1e-5)),
        "norm_affine": bool(settings.get("affine", kind == "batch")),
        "negative_slope": slope if activation == "LeakyReLU" else None,
    }


def _expect_layer(numbers: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    path = str(numbers.get(key))
    name = path.rpartition(".")[2]
    if name not in known or not (path == "None" or path.startswith("torch.nn.")):
        raise ImportRefused(f"plans.json: {key} is {path!r}; known are {', '.join(known)} of torch.nn")
    return name


def _normalisation(plans: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    schemes = chosen["normalization_schemes"]
    _expect("normalization_schemes", schemes[0], NORMALISATIONS)
    how = {"scheme": schemes[0], "nonzero_only": bool((chosen.get("use_mask_for_norm") or [False])[0])}
    if schemes[0] != "CTNormalization":
        return how
    key = "foreground_intensity_properties_per_channel"
    values = plans.get(key) or plans["foreground_intensity_properties_by_modality"]
    return how | {
        "low": values["0"]["percentile_00_5"],
        "high": values["0"]["percentile_99_5"],
        "mean": values["0"]["mean"],
        "sd": values["0"]["std"],
    }


def _resampling(chosen: Mapping[str, Any], key: str) -> dict[str, Any]:
    _expect(key, chosen.get(key), (_RESAMPLING,))
    numbers = chosen[f"{key}_kwargs"]
    unknown = sorted(set(numbers) - _RESAMPLING_NUMBERS)
    if unknown or numbers.get("is_seg"):
        raise ImportRefused(f"plans.json: {key}_kwargs {numbers} are not known here")
    return {
        "order": numbers.get("order", 3),
        "order_z": numbers.get("order_z", 0),
        "separate_z": numbers.get("force_separate_z", False),
    }


def _expect(key: str, found: object, known: Sequence[str]) -> None:
    if found not in known:
        raise ImportRefused(
            f"plans.json: {key} is {found!r}, which needs code of its own; known are {', '.join(known)}"
        )


def _features(stated: Any, stages: int) -> list[int]:
    features = [int(width) for width in _each(stated, stages)]
    if max(features) > _MAX_FEATURES:
        raise ImportRefused(f"plans.json: {max(features)} features are more than any planned network has")
    return features


def _each(stated: Any, stages: int) -> list[Any]:
    return list(stated) if isinstance(stated, list | tuple) else [stated] * stages


def _sizes(stated: Any, dimensions: int) -> list[int]:
    return [int(size) for size in _each(stated, dimensions)]
