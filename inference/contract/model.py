"""What every model states, whichever runtime executes it: the content of a version's contract.json."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from inference.contract.bundle import BundleRuntime
from inference.contract.native import NativeRuntime
from inference.contract.nnunet import NnunetRuntime
from inference.contract.own_code import OwnCodeRuntime
from inference.contract.plausibility import Plausibility
from inference.contract.trust import TrustWeights
from inference.contract.values import ContractPart, Fraction, PackageFile, Sha256, StructureCode

BodyRegion = Literal["head", "head_neck", "thorax", "abdomen", "pelvis", "extremity", "whole_body"]
Modality = Literal["CT", "CBCT", "MR"]
Intensities = Literal["HU", "normalised"]

# One module of this package for each kind of runtime; inference/server/runtimes loads it. Every runtime
# provides ``kind``, ``files`` and ``structure_count``.
Runtime = Annotated[
    BundleRuntime | NativeRuntime | NnunetRuntime | OwnCodeRuntime, Field(discriminator="kind")
]


class ConceptCode(ContractPart):
    """A coded concept: SNOMED CT (SCT) or FMA."""

    value: str = Field(min_length=1, max_length=16)
    scheme: Literal["SCT", "FMA"]
    meaning: str = Field(min_length=1, max_length=64)


class StructureDefinition(ContractPart):
    """A structure that the catalogue lacks, defined by its model."""

    name: str = Field(min_length=1, max_length=16)
    colour_rgb: tuple[int, int, int]
    interpreted_type: str = Field(default="ORGAN", pattern=r"^[A-Z_]{1,16}$")
    concept: ConceptCode | None = None

    @model_validator(mode="after")
    def _colours_fit_a_byte(self) -> Self:
        if not all(0 <= channel <= 255 for channel in self.colour_rgb):
            raise ValueError(f"colour_rgb {self.colour_rgb} is not red, green, blue of 0..255")
        return self


class ModelStructure(ContractPart):
    """One structure of the answer, and its post-processing."""

    code: StructureCode
    definition: StructureDefinition | None = None  # only where the structure catalogue has no such code
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    single_piece: bool = True  # only the largest connected piece is kept
    smallest_piece_cc: float = Field(default=0.1, ge=0.0)  # smaller pieces are removed
    fill_holes: bool = True  # in each axial slice
    usual_cc: tuple[float, float] | None = None  # outside this range, the result carries a note


class ModelInput(ContractPart):
    """A kind of series that the model takes, and the scale of its voxels."""

    modality: Modality
    intensities: Intensities

    @model_validator(mode="after")
    def _hounsfield_units_are_computed_tomography(self) -> Self:
        if self.modality == "MR" and self.intensities == "HU":
            raise ValueError("MR has no Hounsfield units: intensities must be normalised")
        return self


class Provenance(ContractPart):
    """Where the weights came from and how they scored; figures are as measured, never rounded up."""

    data: str
    split: str
    steps: int = Field(default=0, ge=0)
    training_s: float = Field(default=0.0, ge=0.0)
    validation: str
    validation_dice: dict[str, Fraction] = Field(default_factory=dict)
    validation_mean_dice: Fraction | None = None


class ModelContract(ContractPart):
    """One version of one model; the order of ``structures`` is the order of bits in the model's answer."""

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)
    version: int = Field(ge=1)
    description: str
    body_region: BodyRegion
    inputs: tuple[ModelInput, ...] = Field(min_length=1)
    structures: tuple[ModelStructure, ...] = Field(min_length=1)
    left_right_pairs: tuple[
        tuple[StructureCode, StructureCode], ...
    ] = ()  # swapped in a left-right mirror image
    licence: str = Field(min_length=1)
    citation: str
    provenance: Provenance
    checksums: dict[PackageFile, Sha256] = Field(min_length=1)  # of the files next to contract.json
    runtime: Runtime
    plausibility: Plausibility | None = None  # learned: python -m training.plausibility
    trust: TrustWeights | None = None  # learned: python -m bench.trust

    @property
    def labels(self) -> tuple[str, ...]:
        """The structure codes in the order of the model's bits."""
        return tuple(structure.code for structure in self.structures)

    @property
    def planes(self) -> int:
        """The number of uint8 planes, which hold one bit per structure."""
        return -(-len(self.structures) // 8)

    def takes(self, modality: str) -> bool:
        """Tell whether the model accepts series of this kind."""
        return any(accepted.modality == modality for accepted in self.inputs)

    @property
    def in_hounsfield_units(self) -> bool:
        """Whether all images that the model accepts are in Hounsfield units."""
        return all(accepted.intensities == "HU" for accepted in self.inputs)

    @property
    def native(self) -> NativeRuntime:
        """The native runtime; ValueError where the model has another runtime."""
        if not isinstance(self.runtime, NativeRuntime):
            raise ValueError(
                f"{self.name} version {self.version} has the runtime {self.runtime.kind}, not native"
            )
        return self.runtime

    @property
    def package_sha256(self) -> str:
        """The package's checksum: that of its only file, or of the output of ``sha256sum FILES`` for several."""
        if len(self.checksums) == 1:
            return next(iter(self.checksums.values()))
        listing = "".join(f"{self.checksums[name]}  {name}\n" for name in sorted(self.checksums))
        return hashlib.sha256(listing.encode("ascii")).hexdigest()

    @model_validator(mode="after")
    def _structures_are_consistent(self) -> Self:
        labels = self.labels
        if len(set(labels)) != len(labels):
            raise ValueError(f"a structure code appears twice in {labels}")
        paired = [code for pair in self.left_right_pairs for code in pair]
        if not set(paired) <= set(labels) or len(set(paired)) != len(paired):
            raise ValueError(
                f"left_right_pairs {self.left_right_pairs} do not pair structures of {labels}, each once"
            )
        return self

    @model_validator(mode="after")
    def _limits_are_for_its_structures(self) -> Self:
        limited = self.plausibility.structures if self.plausibility else ()
        foreign = [limits.code for limits in limited if limits.code not in self.labels]
        if foreign:
            raise ValueError(
                f"plausibility has limits for {', '.join(foreign)}, which the model does not give"
            )
        return self

    @model_validator(mode="after")
    def _runtime_gives_its_structures(self) -> Self:
        given = self.runtime.structure_count
        if given is not None and given != len(self.structures):
            raise ValueError(f"the runtime gives {given} structures, the contract has {len(self.structures)}")
        return self

    @model_validator(mode="after")
    def _package_is_complete(self) -> Self:
        missing = sorted(set(self.runtime.files) - set(self.checksums))
        if missing:
            raise ValueError(f"checksums lacks the files of the runtime {missing}")
        return self


def identity(contract: ModelContract) -> dict[str, str]:
    """Return a version's labels and package as parameters of config.pbtxt, which node and server compare."""
    return {
        f"version_{contract.version}_labels": ",".join(contract.labels),
        f"version_{contract.version}_package_sha256": contract.package_sha256,
    }
