"""A model's contract: its structures, images, origin and package, separate from the runtime that executes it."""

from inference.contract.bundle import BundleRuntime
from inference.contract.model import (
    BodyRegion,
    ConceptCode,
    ModelContract,
    ModelInput,
    ModelStructure,
    Provenance,
    StructureDefinition,
    identity,
)
from inference.contract.native import NativeRuntime, NetworkDefinition
from inference.contract.nnunet import NnunetPart, NnunetRuntime
from inference.contract.own_code import OwnCodeRuntime
from inference.contract.pipelines import (
    BodyCrop,
    ResizedSlice,
    SliceStacks,
    SmallOrgan,
    Stratified,
    VoxelRange,
    WholeVolumeTiles,
)
from inference.contract.repository import (
    CONTRACT_FILE,
    ModelLibrary,
    default_version,
    load_contract,
    load_contracts,
    model_versions,
    set_default_version,
)

__all__ = [
    "CONTRACT_FILE",
    "BodyCrop",
    "BodyRegion",
    "BundleRuntime",
    "ConceptCode",
    "ModelContract",
    "ModelInput",
    "ModelLibrary",
    "ModelStructure",
    "NativeRuntime",
    "NetworkDefinition",
    "NnunetPart",
    "NnunetRuntime",
    "OwnCodeRuntime",
    "Provenance",
    "ResizedSlice",
    "SliceStacks",
    "SmallOrgan",
    "Stratified",
    "StructureDefinition",
    "VoxelRange",
    "WholeVolumeTiles",
    "default_version",
    "identity",
    "load_contract",
    "load_contracts",
    "model_versions",
    "set_default_version",
]
