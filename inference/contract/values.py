"""Values that the parts of a contract share, each with its limits."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Millimetres = Annotated[float, Field(gt=0.0, le=50.0)]
Voxels = Annotated[int, Field(ge=1, le=1024)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
StructureCode = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]
PackageFile = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
WeightsFile = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*\.safetensors$")]


class ContractPart(BaseModel):
    """A frozen part of a contract; an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
