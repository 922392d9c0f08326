"""What a TorchScript or ONNX file does not state, as TOML: images, steps, window, answer, names (docs/models.md).

modality = "CT"
channels = 3
axes = "RAS"
spacing_mm = [1.5, 1.5, 2.0]

[[steps]]
kind = "scale_range"
a_min = -57
a_max = 164
b_min = 0
b_max = 1
clip = true

[window]
roi = [96, 96, 96]

[answer]
activation = "softmax"

[labels]
Parotid_L = 1
Parotid_R = 2
"""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from inference.contract.bundle import (
    BundleRuntime,
    Normalise,
    ScalePercentiles,
    ScaleRange,
    ScaleWhole,
    SlidingWindow,
    Threshold,
)
from inference.contract.model import Modality
from inference.contract.repository import field_faults
from inference.contract.values import ContractPart
from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportedLabel, Options

_LONGEST = 2**20


class SpecAnswer(ContractPart):
    """What the channels of the answer mean and how they become labels; with ``threshold``, channels may overlap."""

    activation: Literal["none", "softmax", "sigmoid"] = "none"
    discrete: Literal["argmax", "threshold"] = "argmax"
    threshold: float = 0.5
    inverse: Literal["linear", "nearest"] = "linear"
    largest_of: tuple[int, ...] = ()


class ModelSpec(ContractPart):
    """The whole specification of one model."""

    modality: Modality
    channels: int = Field(ge=1, le=1024)
    axes: str = Field(default="LPS", pattern=r"^[RLAPSI]{3}$")
    spacing_mm: tuple[float, float, float] | None = None  # along x, y, z; absent: the images' own voxels
    interpolation: Literal["linear", "nearest"] = "linear"
    steps: tuple[ScaleRange | ScaleWhole | ScalePercentiles | Normalise | Threshold, ...] = ()
    window: SlidingWindow | None = None
    answer: SpecAnswer = SpecAnswer()
    labels: dict[str, int] = Field(min_length=1)

    @property
    def sample(self) -> tuple[int, int, int]:
        """The size (x, y, z) in voxels of an image with which the network is tried."""
        x, y, z = self.window.roi if self.window else (32, 32, 32)
        return (x if x > 0 else 32, y if y > 0 else 32, z if z > 0 else 32)


def read_spec(options: Options) -> ModelSpec:
    """Read the file of ``--spec``; ImportRefused names its wrong fields."""
    stated = options.get("spec")
    if not isinstance(stated, str):
        raise ImportRefused(
            "this format states nothing about images and labels: --spec FILE is needed, see docs/models.md"
        )
    file = Path(stated)
    try:
        if file.stat().st_size > _LONGEST:
            raise ImportRefused(f"{file}: larger than {_LONGEST} bytes, too large for a specification")
        return ModelSpec.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ImportRefused(f"{file}: {field_faults(error)}") from error
    except (OSError, ValueError) as error:
        raise ImportRefused(f"{file}: cannot be read as TOML: {error}") from error


def draft_of(
    spec: ModelSpec, *, form: str, file: str, answered: tuple[int, ...] | None, name: str, maker: str
) -> ImportDraft:
    """Return the draft of a network whose answer for the specification's sample has the shape ``answered``.

    Raises ImportRefused where the shape does not fit.
    """
    expected = (1, spec.channels, *spec.sample)
    if answered is None or tuple(answered) != expected:
        raise ImportRefused(
            f"{name}: answered {answered} for an image of {spec.sample} voxels, expected {expected}"
        )
    steps: list[dict[str, Any]] = [{"kind": "orientation", "axes": spec.axes}]
    if spec.spacing_mm is not None:
        steps.append({"kind": "spacing", "mm": spec.spacing_mm, "interpolation": spec.interpolation})
    steps += [step.model_dump(mode="json") for step in spec.steps]
    fields = {
        "kind": "bundle",
        "network": {"form": form, "file": file, "channels": spec.channels},
        "before": steps,
        "window": spec.window,
        **spec.answer.model_dump(mode="json"),
        "structures": [{"values": [value]} for value in spec.labels.values()],
    }
    try:
        runtime = BundleRuntime.model_validate(fields)
    except ValidationError as error:
        raise ImportRefused(f"{name}: {field_faults(error)}") from error
    return ImportDraft(
        runtime=runtime.model_dump(mode="json", exclude={"structures"}),
        labels=tuple(
            ImportedLabel(name=label, selects={"values": [value]}) for label, value in spec.labels.items()
        ),
        modality=spec.modality,
        intensities="HU" if spec.modality == "CT" else "normalised",
        files=(file,),
        maker=maker,
        facts=(
            f"{name} with a specification of its images: axes {spec.axes}, voxels {spec.spacing_mm or 'as they are'}",
        ),
        warnings=(
            "what is known of its images is what the specification says: compare it with its maker's own output",
        ),
    )
