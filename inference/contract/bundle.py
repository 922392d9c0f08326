"""The bundle runtime: a network, and the steps before and after it, as MONAI names them.

Arrays are MONAI's: (x, y, z), in the order of its transforms. A TorchScript or ONNX file may replace a network
of the catalogue; the steps are the same.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from inference.contract.values import ContractPart, PackageFile, Voxels

Three = tuple[float, float, float]
_OPPOSITE = {"L": "R", "P": "A", "I": "S"}
Axes = Annotated[str, Field(pattern=r"^[RLAPSI]{3}$")]


class Orientation(ContractPart):
    """Orientationd: the patient's directions along which the array's axes grow."""

    kind: Literal["orientation"]
    axes: Axes

    @model_validator(mode="after")
    def _each_axis_once(self) -> Self:
        if len({letter if letter in "RAS" else _OPPOSITE[letter] for letter in self.axes}) != 3:
            raise ValueError(f"axes {self.axes} do not name each axis of the patient once")
        return self


class Spacing(ContractPart):
    """Spacingd: voxel sizes in mm, with the first voxel's centre in place; an axis with 0 or less keeps its own."""

    kind: Literal["spacing"]
    mm: Three
    interpolation: Literal["linear", "nearest"] = "linear"


class ScaleRange(ContractPart):
    """ScaleIntensityRanged: a_min..a_max to b_min..b_max, clipped if asked; without the latter, to 0..1, unclipped."""

    kind: Literal["scale_range"]
    a_min: float
    a_max: float
    b_min: float | None = None
    b_max: float | None = None
    clip: bool = False


class ScaleWhole(ContractPart):
    """ScaleIntensityd: the image's lowest and highest values become these two."""

    kind: Literal["scale_whole"]
    lowest: float = 0.0
    highest: float = 1.0


class ScalePercentiles(ContractPart):
    """ScaleIntensityRangePercentilesd: percentiles of the image to b_min..b_max."""

    kind: Literal["scale_percentiles"]
    lower: float = Field(ge=0.0, le=100.0)
    upper: float = Field(ge=0.0, le=100.0)
    b_min: float
    b_max: float
    clip: bool = False


class Normalise(ContractPart):
    """NormalizeIntensityd: subtract, then divide; by default the image's own mean and standard deviation."""

    kind: Literal["normalise"]
    subtrahend: float | None = None
    divisor: float | None = None
    nonzero: bool = False  # values that are 0 stay 0 and do not count


class Threshold(ContractPart):
    """ThresholdIntensityd: values not above (or not below) the threshold are replaced."""

    kind: Literal["threshold"]
    threshold: float
    above: bool = True
    other: float = 0.0


class CropForeground(ContractPart):
    """CropForegroundd: the box round values above 0, with a margin in voxels."""

    kind: Literal["crop_foreground"]
    margin: int = Field(default=0, ge=0, le=512)


Step = Annotated[
    Orientation
    | Spacing
    | ScaleRange
    | ScaleWhole
    | ScalePercentiles
    | Normalise
    | Threshold
    | CropForeground,
    Field(discriminator="kind"),
]


class SlidingWindow(ContractPart):
    """SlidingWindowInferer: window size in voxels (x, y, z; 0 or less: the whole axis) and how windows are blended."""

    roi: tuple[int, int, int]
    overlap: tuple[float, float, float] = (0.25, 0.25, 0.25)
    blend: Literal["constant", "gaussian"] = "constant"
    sigma_scale: float = Field(default=0.125, gt=0.0)
    padding: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    padding_value: float = 0.0
    batch: int = Field(default=1, ge=1, le=64)

    @model_validator(mode="after")
    def _windows_move(self) -> Self:
        if not all(0.0 <= share < 1.0 for share in self.overlap):
            raise ValueError(f"overlap {self.overlap} is not from 0 up to 1")
        if max(self.roi) > 1024:
            raise ValueError(f"roi {self.roi} is larger than 1024 voxels")
        return self


class BundleNetwork(ContractPart):
    """The network: one of the catalogue with safetensors, a TorchScript file or an ONNX file."""

    form: Literal["catalogue", "torchscript", "onnx"]
    file: PackageFile
    architecture: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    channels: Voxels  # of the answer


class StructureValues(ContractPart):
    """A structure: its values in the label map or, where channels may overlap, its channels."""

    values: Annotated[tuple[int, ...], Field(min_length=1)]


class BundleRuntime(ContractPart):
    """A network with its steps; ``structures`` are in the order of the contract's."""

    kind: Literal["bundle"]
    network: BundleNetwork
    before: tuple[Step, ...] = ()
    window: SlidingWindow | None = None  # None: the whole image at once
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    discrete: Literal["argmax", "threshold"] = "argmax"
    threshold: float = 0.5
    inverse: Literal["linear", "nearest"] = "linear"  # nearest: applied to the discrete answer
    largest_of: tuple[int, ...] = ()  # values or channels of which the largest piece is kept
    largest_last: bool = False  # on the image's own voxels, if labels are resampled back
    structures: tuple[StructureValues, ...] = Field(min_length=1)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the package that this runtime reads."""
        return (self.network.file,)

    @property
    def structure_count(self) -> int:
        """The number of structures in the runtime's answer."""
        return len(self.structures)

    @model_validator(mode="after")
    def _structures_are_answered(self) -> Self:
        lowest = 1 if self.discrete == "argmax" else 0
        for structure in self.structures:
            wrong = [value for value in structure.values if not lowest <= value < self.network.channels]
            if wrong:
                raise ValueError(
                    f"a structure is made of {wrong}, but the network answers {self.network.channels} channels"
                )
        return self
