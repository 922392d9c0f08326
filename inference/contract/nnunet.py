"""The nnU-Net runtime: networks trained by nnU-Net v2, with the parameters of their plans, run by its rules."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from inference.contract.native import Precision
from inference.contract.values import ContractPart, Millimetres, Voxels, WeightsFile

Order = Literal[0, 1, 3]
AxisNumber = Annotated[int, Field(ge=0, le=2)]


class Normalisation(ContractPart):
    """One normalisation scheme of nnU-Net; its parameters are those of the plans."""

    scheme: Literal["CTNormalization", "ZScoreNormalization", "RescaleTo01Normalization", "NoNormalization"]
    low: float = 0.0  # of CTNormalization: percentiles, mean and standard deviation of the foreground
    high: float = 0.0
    mean: float = 0.0
    sd: float = Field(default=1.0, ge=0.0)
    nonzero_only: bool = False  # of ZScoreNormalization: voxels outside the non-zero region stay 0


class Resampling(ContractPart):
    """Parameters of nnU-Net's ``resample_data_or_seg_to_shape``."""

    order: Order
    order_z: Literal[0] = 0  # along an axis that is resampled separately: the nearest plane
    separate_z: bool | None = None  # None: if voxels are anisotropic by a factor above 3


class NnunetPart(ContractPart):
    """One trained configuration: 2d, 3d_lowres or 3d_fullres; its folds are averaged.

    Everything is in the order of axes after ``transpose_forward``, as plans.json has it.
    """

    architecture: Literal["plain_conv_unet", "residual_encoder_unet"]
    parameters: dict[str, JsonValue]
    folds: tuple[WeightsFile, ...] = Field(min_length=1)
    patch: tuple[Voxels, ...] = Field(min_length=2, max_length=3)
    spacing_mm: tuple[Millimetres, ...] = Field(min_length=2, max_length=3)
    transpose: tuple[AxisNumber, AxisNumber, AxisNumber] = (0, 1, 2)
    normalisation: Normalisation
    image: Resampling
    logits: Resampling
    mirror_axes: tuple[AxisNumber, ...] = ()
    step: float = Field(default=0.5, gt=0.0, le=1.0)  # between tiles, in patches
    heads: tuple[int, ...] = Field(
        min_length=1
    )  # the value that each head writes into the label map; 0: background
    regions: bool = False  # heads are sigmoids, written one over the other in order

    @model_validator(mode="after")
    def _axes_fit(self) -> Self:
        if sorted(self.transpose) != [0, 1, 2]:
            raise ValueError(f"transpose {self.transpose} is not an order of three axes")
        if len(self.patch) != len(self.spacing_mm):
            raise ValueError(f"patch {self.patch} and spacing_mm {self.spacing_mm} have different axes")
        if len(set(self.mirror_axes)) != len(self.mirror_axes) or any(
            axis >= len(self.patch) for axis in self.mirror_axes
        ):
            raise ValueError(f"mirror_axes {self.mirror_axes} are not axes of the patch {self.patch}")
        return self

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if not self.regions and (self.heads[0] != 0 or len(self.heads) < 2):
            raise ValueError(f"heads {self.heads}: the first of two or more is the background, 0")
        return self

    @property
    def mirrors_left_and_right(self) -> bool:
        """Whether any pass is mirrored along the patient's left-right axis, which is x before the transpose."""
        offset = 3 - len(self.patch)
        return any(self.transpose[axis + offset] == 2 for axis in self.mirror_axes)


class LabelValues(ContractPart):
    """A structure: its values in the label map of one part; several are merged."""

    part: int = Field(default=0, ge=0)
    values: Annotated[tuple[int, ...], Field(min_length=1)]


class TotalSegmentatorSteps(ContractPart):
    """What TotalSegmentator does before and after nnU-Net: voxels, large volumes in thirds, labels back to the CT."""

    voxel_zyx_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None  # None: the CT's own
    order: Literal[1, 3] = 1  # of the interpolation to these voxels
    split_above_voxels: int = Field(
        default=512 * 512 * 900, ge=1
    )  # counted on the model's voxels, if there are several parts
    split_margin: Voxels = 20


class NnunetRuntime(ContractPart):
    """One or several trained configurations, and the structures that are read from their label maps.

    ``axes`` are the patient's directions along which x and y grow in the images that the model was trained on: LPS as
    DICOM has them (nnU-Net's SimpleITKIO), RAS as its NibabelIOWithReorient has them.
    """

    kind: Literal["nnunet"]
    parts: tuple[NnunetPart, ...] = Field(min_length=1)
    structures: tuple[LabelValues, ...] = Field(min_length=1)  # in the order of the contract's structures
    axes: Literal["LPS", "RAS"]
    precision: Precision = "float32"
    totalsegmentator: TotalSegmentatorSteps | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the package that this runtime reads."""
        return tuple(file for part in self.parts for file in part.folds)

    @property
    def structure_count(self) -> int:
        """The number of structures in the runtime's answer."""
        return len(self.structures)

    @model_validator(mode="after")
    def _structures_are_written(self) -> Self:
        for structure in self.structures:
            if structure.part >= len(self.parts):
                raise ValueError(f"a structure is of part {structure.part}, but there are {len(self.parts)}")
            unknown = set(structure.values) - (set(self.parts[structure.part].heads) - {0})
            if unknown:
                raise ValueError(
                    f"a structure is made of {sorted(unknown)}, which no head of its part writes"
                )
        if len(set(self.files)) != len(self.files):
            raise ValueError(f"two folds share a weights file: {list(self.files)}")
        return self
