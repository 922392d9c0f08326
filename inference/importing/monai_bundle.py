"""MONAI bundles, a folder or a zip: configs/inference.json and metadata.json as data, models/model.pt as tensors.

Options: ``modality`` (where metadata.json does not state it). ``models/model.ts`` is only compared with the network
that was built; nothing in configs is imported or evaluated.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from inference.contract import NetworkDefinition
from inference.contract.bundle import BundleRuntime
from inference.contract.repository import field_faults
from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportedLabel, Options
from inference.importing.monai_config import BundleConfiguration, Component
from inference.importing.monai_steps import after, before, window
from inference.importing.sources import SourceFiles
from inference.importing.tensors import load_tensors
from inference.importing.torchscript import expect_plain_script
from inference.server.bundle.script import load_script
from inference.server.networks.catalogue import build_network

WEIGHTS = "network.safetensors"
_MOST_DIFFERENCE = 1e-3
_ARCHITECTURES = {
    "UNet": "monai_unet",
    "Unet": "monai_unet",
    "BasicUNet": "monai_basic_unet",
    "BasicUnet": "monai_basic_unet",
    "SegResNet": "monai_segresnet",
    "DynUNet": "monai_dynunet",
    "DynUnet": "monai_dynunet",
}
_IN_TRAINING_ALONE = ("dropout", "dropout_prob", "deep_supervision", "deep_supr_num")
_SECOND_NAMES = ("skip_layers.", "act_mod.", "deep_supervision_heads.", "heads")
"""Prefixes of names in state dicts: tensors that occur twice, or that are used only in training."""


def read_monai_bundle(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Convert a bundle; its weights are written into ``out``."""
    bundle = _root(source)
    config = BundleConfiguration(bundle.json("configs/inference.json"), bundle.name)
    metadata = bundle.json("configs/metadata.json")
    definition = _definition(config)
    network = _network(bundle, definition, out)
    runtime = _runtime(config, definition)
    facts = [
        f"{metadata.get('name', bundle.name)} {metadata.get('version', '')}, made with MONAI {metadata.get('monai_version')}"
    ]
    facts += _compared(bundle, network, runtime)
    modality = _modality(metadata, options, bundle.name)
    return ImportDraft(
        runtime=runtime,
        labels=tuple(
            ImportedLabel(name=name, selects={"values": [value]})
            for value, name in _labels(metadata, runtime, bundle.name).items()
        ),
        modality=modality,
        intensities="HU" if modality == "CT" else "normalised",
        files=(WEIGHTS,),
        maker=f"MONAI bundle, {metadata.get('monai_version', 'version not stated')}",
        facts=tuple(facts),
        warnings=_warnings(runtime),
    )


def checked(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the fields of a bundle runtime, except its structures, as the contract needs them.

    Raises ImportRefused where they do not fit.
    """
    try:
        runtime = BundleRuntime.model_validate(
            {**fields, "structures": [{"values": [1 if fields["network"]["channels"] > 1 else 0]}]}
        )
    except ValidationError as error:
        raise ImportRefused(f"{name}: {field_faults(error)}") from error
    return runtime.model_dump(mode="json", exclude={"structures"})


def _root(source: SourceFiles) -> SourceFiles:
    """Return the folder that holds configs/inference.json."""
    found = [
        path.removesuffix("configs/inference.json").rstrip("/")
        for path in source.ending("inference.json")
        if path.endswith("configs/inference.json")
    ]
    if len(found) == 1:
        return source.under(found[0])
    yaml = source.ending("inference.yaml") + source.ending("inference.yml")
    if yaml:
        raise ImportRefused(f"{source.name}: {yaml[0]}: YAML is not read; save it as inference.json")
    raise ImportRefused(
        f"{source.name}: {len(found)} files configs/inference.json, expected one: this is no MONAI bundle"
    )


def _definition(config: BundleConfiguration) -> NetworkDefinition:
    component = config.component(config.first("network_def", "net_def", "network", "net"), "the network")
    if component.name not in _ARCHITECTURES:
        raise ImportRefused(
            f"{component.where}: the architecture {component.name} is not known here; known are "
            f"{', '.join(sorted(set(_ARCHITECTURES)))}. Export the bundle's model.ts and import it with "
            "`models import torchscript --spec`"
        )
    component.only("spatial_dims", 3)
    component.only("adn_ordering", "NDA")
    component.only("upsample", "deconv")
    component.ignore(*_IN_TRAINING_ALONE)
    parameters = _with_pairs(component)
    if parameters.get("in_channels", 1) != 1:
        raise ImportRefused(
            f"{component.where}: {parameters['in_channels']} input channels, and a job here has one series: import a "
            "bundle for one image, or run this one with MONAI beside the node"
        )
    return NetworkDefinition(
        architecture=_ARCHITECTURES[component.name], parameters=parameters, weights=WEIGHTS
    )


def _with_pairs(component: Component) -> dict[str, Any]:
    """Return the network's parameters; ``dimensions`` is the old name of ``spatial_dims``."""
    component.only("dimensions", 3)
    return component.rest()


def _network(bundle: SourceFiles, definition: NetworkDefinition, out: Path) -> nn.Module:
    """Build the network with the bundle's weights, and write these."""
    try:
        network = build_network(definition).eval()
    except (ValueError, TypeError, IndexError) as error:
        raise ImportRefused(f"{bundle.name}: the network of inference.json: {error}") from error
    tensors = _state(bundle)
    expected = network.state_dict()
    missing, foreign = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or foreign:
        raise ImportRefused(
            f"{bundle.name}: the weights are not those of the network in inference.json: {len(missing)} tensors are missing "
            f"({', '.join(missing[:2]) or 'none'}), {len(foreign)} are foreign ({', '.join(foreign[:2]) or 'none'})"
        )
    wrong = [key for key in expected if expected[key].shape != tensors[key].shape]
    if wrong:
        raise ImportRefused(
            f"{bundle.name}: {wrong[0]} has the shape {tuple(tensors[wrong[0]].shape)}, not {tuple(expected[wrong[0]].shape)}"
        )
    infinite = [
        key for key, value in tensors.items() if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if infinite:
        raise ImportRefused(f"{bundle.name}: {infinite[0]} has values that are not numbers")
    kept = {key: value.to(expected[key].dtype).contiguous().clone() for key, value in tensors.items()}
    network.load_state_dict(kept)
    save_file(kept, out / WEIGHTS)
    return network


def _state(bundle: SourceFiles) -> dict[str, torch.Tensor]:
    """Return the state dict of models/model.safetensors or model.pt, without the tensors that occur twice."""
    if "models/model.safetensors" in bundle.files:
        found: Any = load_file(bundle.path("models/model.safetensors"))
    elif "models/model.pt" in bundle.files:
        found = load_tensors(bundle.path("models/model.pt"), f"{bundle.name}/models/model.pt")
    else:
        listed = bundle.ending("large_files.yml")
        remedy = f"; {listed[0]} lists files to fetch first" if listed else ""
        raise ImportRefused(f"{bundle.name}: no models/model.pt and no models/model.safetensors{remedy}")
    for key in ("state_dict", "model", "network"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    tensors = (
        {str(key).removeprefix("module."): value for key, value in found.items()}
        if isinstance(found, dict)
        else {}
    )
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ImportRefused(f"{bundle.name}: models/model.pt holds no state dict")
    return {key: value for key, value in tensors.items() if not key.startswith(_SECOND_NAMES)}


def _runtime(config: BundleConfiguration, definition: NetworkDefinition) -> dict[str, Any]:
    steps = before(
        config.composed(config.first("preprocessing", "pre_transforms", "transforms"), "preprocessing")
    )
    moves = any(step["kind"] == "spacing" for step in steps)
    behind = after(
        config.composed(config.first("postprocessing", "post_transforms"), "postprocessing"), moves=moves
    )
    fields = {
        "kind": "bundle",
        "network": {
            "form": "catalogue",
            "file": WEIGHTS,
            "architecture": definition.architecture,
            "parameters": definition.parameters,
            "channels": definition.parameters.get("out_channels", 2),
        },
        "before": steps,
        "window": window(config.component(config.first("inferer"), "the inferer")),
        **behind,
    }
    return checked(fields, "inference.json")


def _labels(metadata: Mapping[str, Any], runtime: Mapping[str, Any], name: str) -> dict[int, str]:
    """Return the structures by channel: names of channel_def, without the background."""
    outputs = metadata.get("network_data_format", {}).get("outputs", {})
    stated = next(
        (output.get("channel_def") for output in outputs.values() if isinstance(output, dict)), None
    )
    channels = runtime["network"]["channels"]
    if not isinstance(stated, dict) or sorted(map(str, stated)) != sorted(map(str, range(channels))):
        raise ImportRefused(
            f"{name}: metadata.json: channel_def of the outputs does not name the {channels} channels of the network"
        )
    exclusive = runtime["discrete"] == "argmax"
    named = {int(key): str(value) for key, value in stated.items()}
    kept = {
        key: value
        for key, value in sorted(named.items())
        if not (exclusive and key == 0) and value.lower() != "background"
    }
    if not kept:
        raise ImportRefused(f"{name}: metadata.json: channel_def names no structure")
    return kept


def _modality(metadata: Mapping[str, Any], options: Options, name: str) -> Any:
    inputs = metadata.get("network_data_format", {}).get("inputs", {})
    images = [image for image in inputs.values() if isinstance(image, dict)]
    if len(images) != 1 or images[0].get("num_channels", 1) != 1:
        raise ImportRefused(
            f"{name}: metadata.json: the network takes several images or channels, and a job here has one series: import "
            "a bundle for one image, or run this one with MONAI beside the node"
        )
    stated = str(images[0].get("modality", "")).upper()
    modality = options.get("modality") or {"CT": "CT", "MR": "MR", "MRI": "MR", "CBCT": "CBCT"}.get(stated)
    if modality is None:
        raise ImportRefused(
            f"{name}: metadata.json calls its images {stated or 'nothing'!r}; say --modality CT, CBCT or MR"
        )
    return modality


def _compared(bundle: SourceFiles, network: nn.Module, runtime: Mapping[str, Any]) -> list[str]:
    """Compare the network with the bundle's own TorchScript on one window of noise, and describe the difference."""
    if "models/model.ts" not in bundle.files:
        return ["no model.ts: the network that was built could not be compared with the maker's"]
    file = bundle.path("models/model.ts")
    expect_plain_script(file, f"{bundle.name}/models/model.ts")
    roi = (runtime["window"] or {}).get("roi", [32, 32, 32])
    shape = [1, 1, *(min(size, 96) if size > 0 else 32 for size in roi)]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    try:
        with torch.inference_mode():
            theirs, ours = load_script(file, torch.device("cpu"))(noise), network(noise)
    except RuntimeError as error:
        raise ImportRefused(
            f"{bundle.name}: models/model.ts does not run on {shape}: {str(error).splitlines()[-1][:160]}"
        ) from error
    difference = float((theirs - ours).abs().max()) if theirs.shape == ours.shape else float("inf")
    if difference > _MOST_DIFFERENCE:
        raise ImportRefused(
            f"{bundle.name}: model.ts answers otherwise than the network of inference.json with model.pt (by {difference:g}): "
            "they are not one model"
        )
    return [
        f"the network answers as the bundle's model.ts: the largest difference on noise is {difference:g}"
    ]


def _warnings(runtime: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = [step["kind"] for step in runtime["before"]]
    found = []
    if "orientation" not in kinds:
        found.append(
            "the bundle does not turn its images (no Orientationd): x to the left, y to the back and z to the head are taken, as DICOM "
            "has them; compare the sides with the maker's own output"
        )
    return tuple(found)
