"""MONAI's transforms and inferers as steps of the bundle runtime.

Anything that is not in these tables is refused by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.errors import ImportRefused
from inference.importing.monai_config import Component

Fields = dict[str, Any]
_PLAIN = frozenset(
    {"LoadImage", "EnsureChannelFirst", "EnsureType", "ToTensor", "AddChannel", "ToDevice", "SqueezeDim"}
)
"""Transforms that load a file and change no value; the node has already done that."""
_WITHOUT_EFFECT = ("keys", "allow_missing_keys", "lazy", "dtype", "output_dtype", "name", "prefix")


def before(components: Sequence[Component]) -> list[Fields]:
    """Return the steps before the network."""
    steps = []
    for component in components:
        name = _plain_name(component)
        if name in _PLAIN:
            continue
        if name not in _BEFORE:
            raise ImportRefused(
                f"{component.where}: the transform {component.name} is not known here; known are {', '.join(sorted(_BEFORE))}"
            )
        component.ignore(*_WITHOUT_EFFECT)
        steps.append(_BEFORE[name](component))
        component.done()
    return steps


def after(components: Sequence[Component], *, moves: bool) -> Fields:
    """Return activation, decision and inverse of the steps after the network; ``moves``: earlier ones changed."""
    said: Fields = {}
    order = []
    for component in components:
        name = _plain_name(component)
        if name in _PLAIN | {"SaveImage"}:
            continue
        if name not in _AFTER:
            raise ImportRefused(
                f"{component.where}: the transform {component.name} is not known here; known are {', '.join(sorted(_AFTER))}"
            )
        component.ignore(*_WITHOUT_EFFECT)
        said |= _AFTER[name](component)
        component.done()
        order.append(name)
    _expect_order(components, order, said)
    nearest = said.pop("nearest", True)
    said["inverse"] = "nearest" if nearest or not moves else "linear"
    said["largest_last"] = bool(
        "Invert" in order
        and "KeepLargestConnectedComponent" in order
        and order.index("Invert") < order.index("KeepLargestConnectedComponent")
    )
    return said


def window(component: Component) -> Fields | None:
    """Return the sliding window of an inferer; None for one that takes the whole image."""
    if component.name == "SimpleInferer":
        return None
    if component.name not in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
        raise ImportRefused(f"{component.where}: the inferer {component.name} is not known here")
    fields = {
        "roi": _three(component.take("roi_size")),
        "overlap": _three(component.take("overlap", 0.25)),
        "blend": str(component.take("mode", "constant")).lower(),
        "sigma_scale": component.take("sigma_scale", 0.125),
        "padding": str(component.take("padding_mode", "constant")).lower(),
        "padding_value": component.take("cval", 0.0),
        "batch": component.take("sw_batch_size", 1),
    }
    component.ignore(
        "device", "sw_device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps", "buffer_dim"
    )
    component.done()
    return fields


def _plain_name(component: Component) -> str:
    """Return a transform's name without the suffix of its dictionary form: d, D or Dict."""
    name = component.name
    for ending in ("Dict", "d", "D"):
        if name.endswith(ending) and name.removesuffix(ending) in _KNOWN:
            return name.removesuffix(ending)
    return name


def _orientation(c: Component) -> Fields:
    c.ignore("labels")
    c.only("as_closest_canonical", False)
    return {"kind": "orientation", "axes": c.take("axcodes")}


def _spacing(c: Component) -> Fields:
    mode = c.take("mode", "bilinear")
    mode = mode[0] if isinstance(mode, list) and len(mode) == 1 else mode
    if mode not in ("bilinear", "nearest"):
        raise ImportRefused(
            f"{c.where}: {c.name}: mode {mode!r} is not supported here: bilinear and nearest are"
        )
    c.only("padding_mode", "border")
    c.only("align_corners", False)
    c.only("diagonal", False)
    c.only("scale_extent", False)
    c.ignore("recompute_affine", "ensure_same_shape")
    return {
        "kind": "spacing",
        "mm": _three(c.take("pixdim")),
        "interpolation": "linear" if mode == "bilinear" else "nearest",
    }


def _scale_range(c: Component) -> Fields:
    fields = {key: c.take(key) for key in ("a_min", "a_max", "b_min", "b_max")}
    return {"kind": "scale_range", **fields, "clip": c.take("clip", False)}


def _scale_whole(c: Component) -> Fields:
    c.only("factor", None)
    c.only("channel_wise", False, True)
    return {"kind": "scale_whole", "lowest": c.take("minv", 0.0), "highest": c.take("maxv", 1.0)}


def _percentiles(c: Component) -> Fields:
    c.only("relative", False)
    c.only("channel_wise", False, True)
    fields = {key: c.take(key) for key in ("lower", "upper", "b_min", "b_max")}
    return {"kind": "scale_percentiles", **fields, "clip": c.take("clip", False)}


def _normalise(c: Component) -> Fields:
    c.only("channel_wise", False, True)
    return {
        "kind": "normalise",
        "subtrahend": _one(c.take("subtrahend")),
        "divisor": _one(c.take("divisor")),
        "nonzero": c.take("nonzero", False),
    }


def _threshold(c: Component) -> Fields:
    return {
        "kind": "threshold",
        "threshold": c.take("threshold"),
        "above": c.take("above", True),
        "other": c.take("cval", 0.0),
    }


def _crop(c: Component) -> Fields:
    c.ignore("source_key", "start_coord_key", "end_coord_key", "mode")
    c.only("channel_indices", None)
    c.only("k_divisible", 1)
    margin, smaller = c.take("margin", 0), c.take("allow_smaller", True)
    if margin and not smaller:
        raise ImportRefused(
            f"{c.where}: {c.name}: a margin that pads (allow_smaller false) is not supported here"
        )
    return {"kind": "crop_foreground", "margin": margin}


def _activation(c: Component) -> Fields:
    softmax, sigmoid = c.take("softmax", False), c.take("sigmoid", False)
    c.only("other", None)
    return {"activation": "softmax" if softmax else "sigmoid" if sigmoid else "none"}


def _decision(c: Component) -> Fields:
    argmax, threshold = c.take("argmax", False), c.take("threshold")
    for key in ("to_onehot", "rounding"):
        c.only(key, None)
    if argmax and threshold is None:
        return {"discrete": "argmax"}
    if threshold is not None and not argmax:
        return {"discrete": "threshold", "threshold": _one(threshold)}
    raise ImportRefused(f"{c.where}: {c.name}: either argmax or a threshold is supported here")


def _inverse(c: Component) -> Fields:
    c.ignore(
        "transform",
        "orig_keys",
        "meta_keys",
        "orig_meta_keys",
        "meta_key_postfix",
        "to_tensor",
        "device",
        "post_func",
    )
    return {"nearest": _one(c.take("nearest_interp", True))}


def _largest(c: Component) -> Fields:
    c.only("independent", True)
    c.only("connectivity", None, 3)
    c.only("num_components", 1)
    c.ignore("is_onehot")
    labels = c.take("applied_labels")
    if labels is None:
        raise ImportRefused(f"{c.where}: {c.name}: applied_labels must be stated")
    return {"largest_of": labels if isinstance(labels, list) else [labels]}


_BEFORE: Mapping[str, Callable[[Component], Fields]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _scale_range,
    "ScaleIntensity": _scale_whole,
    "ScaleIntensityRangePercentiles": _percentiles,
    "NormalizeIntensity": _normalise,
    "ThresholdIntensity": _threshold,
    "CropForeground": _crop,
}
_AFTER: Mapping[str, Callable[[Component], Fields]] = {
    "Activations": _activation,
    "AsDiscrete": _decision,
    "Invert": _inverse,
    "KeepLargestConnectedComponent": _largest,
}
_KNOWN = _PLAIN | _BEFORE.keys() | _AFTER.keys() | {"SaveImage"}


def _expect_order(components: Sequence[Component], order: Sequence[str], said: Fields) -> None:
    """Refuse orders of steps that the runtime cannot reproduce."""
    where = components[0].where if components else "postprocessing"
    if len(set(order)) != len(order):
        raise ImportRefused(f"{where}: a transform occurs twice: {', '.join(order)}")
    if "AsDiscrete" not in order:
        raise ImportRefused(f"{where}: nothing decides (AsDiscreted): the answer would be no contours")
    places = {name: place for place, name in enumerate(order)}
    decision = places["AsDiscrete"]
    if "Activations" in places and places["Activations"] > min(decision, places.get("Invert", decision)):
        raise ImportRefused(f"{where}: Activationsd behind Invertd or AsDiscreted is not supported here")
    if "Invert" in places and places["Invert"] > decision and not said.get("nearest", True):
        raise ImportRefused(
            f"{where}: Invertd would interpolate labels (nearest_interp false behind AsDiscreted)"
        )
    if places.get("KeepLargestConnectedComponent", decision) < decision:
        raise ImportRefused(
            f"{where}: KeepLargestConnectedComponentd in front of AsDiscreted is not supported here"
        )


def _three(value: Any) -> Any:
    return [value, value, value] if isinstance(value, int | float) else value


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
